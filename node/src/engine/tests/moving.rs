//! Cells that change hands: between two cities, each with its own rows, and the maps of the hub between them.

use tomato_shared::cell::{CellSet, REGION_RESOLUTION, RegionId};
use tomato_shared::directory::{Map, Move, Phase};
use tomato_shared::rejection::Rejection;

use super::world::{
    BURGER, CAKE, OPERATOR, World, accept, address, centre, customer, order_of, place, policy, put, put_restaurant,
    restaurant, set_open,
};
use crate::engine::command::Command;
use crate::engine::model::{By, Stock};
use crate::engine::moving::{KeptAnswer, Parcel};
use crate::engine::policy::Policy;

const MOVE: u64 = 9;

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}

/// The cells of the first restaurant and of the customers.
fn cells() -> CellSet {
    CellSet::new([centre(), put_restaurant(1).restaurant.place].map(|place| place.cell(REGION_RESOLUTION)))
}

/// Version 1: all is blr's.
fn whole() -> Map {
    let mut map = Map {
        version: 1,
        ..Map::default()
    };
    map.grant(&region("blr"), &CellSet::disk(centre(), 3));
    map.grant(&region("mys"), &CellSet::disk(centre().offset_m(90_000.0, 0.0), 1));
    for (name, share) in &mut map.regions {
        share.public_url = format!("https://{name}.test");
    }
    map
}

fn with(map: &Map, phase: Phase) -> Map {
    let mut next = map.clone();
    next.version += 1;
    next.moves = vec![Move {
        id: MOVE,
        from: region("blr"),
        to: region("mys"),
        cells: cells(),
        phase,
    }];
    if phase == Phase::Arriving {
        next.hand_over(&region("blr"), &region("mys"), &cells());
    }
    next
}

fn without_moves(map: &Map) -> Map {
    Map {
        version: map.version + 1,
        moves: Vec::new(),
        ..map.clone()
    }
}

/// The old owner has to stop.
pub(super) fn leaves() -> Map {
    with(&whole(), Phase::Leaving)
}

/// All is over.
pub(super) fn gone() -> Map {
    without_moves(&with(&leaves(), Phase::Arriving))
}

pub(super) fn take(map: &Map) -> Command {
    Command::TakeMap(Box::new(map.clone()))
}

/// The new owner, an empty city elsewhere.
fn other() -> World {
    World::empty(Policy {
        region: region("mys"),
        cells: CellSet::disk(centre().offset_m(90_000.0, 0.0), 1),
        ..policy()
    })
}

fn burgers(world: &World) -> Stock {
    *world.city.stock(restaurant(1), BURGER).unwrap()
}

fn burger(n: u8) -> (By, Command) {
    (
        By::Customer(customer(n)),
        place(order_of(Some(restaurant(1)), &[(BURGER, 1)])),
    )
}

/// Both at the version in which the old owner has stopped.
fn leaving() -> (World, World, Map) {
    let (mut old, mut new) = (World::new(), other());
    let map = with(&whole(), Phase::Leaving);
    for world in [&mut old, &mut new] {
        world.ok(By::System, take(&whole()));
    }
    old.ok(By::System, take(&map));
    new.ok(By::System, take(&map));
    (old, new, map)
}

fn parcel(world: &World) -> Parcel {
    world.city.parcel(MOVE).unwrap().clone()
}

#[test]
fn the_old_owner_stops_with_the_map_and_what_is_under_way_goes_on() {
    let mut world = World::new();
    world.ok(By::System, take(&whole()));
    let id = world.confirmed();
    let map = with(&whole(), Phase::Leaving);
    world.check(By::System, take(&map), Ok(&["region.cells.moved"]));
    world.check(By::System, take(&map), Ok(&[]));
    world.check(By::System, take(&whole()), Ok(&[]));
    let (by, order) = burger(2);
    world.check(by, order.clone(), Err(Rejection::CellMoving));
    world.check(OPERATOR, set_open(restaurant(1), false), Err(Rejection::OtherRegion));
    world.check(OPERATOR, put(put_restaurant(1)), Err(Rejection::CellMoving));
    world.ok(By::Restaurant(restaurant(1)), accept(id));
    world.check(By::System, take(&with(&map, Phase::Arriving)), Ok(&[]));
    let refusal = world.run(by, &order).unwrap_err();
    assert_eq!(refusal.rejection, Rejection::OtherRegion);
    assert_eq!(
        refusal.detail.as_deref(),
        Some("it belongs to region mys, https://mys.test")
    );
}

#[test]
fn the_new_owner_takes_orders_only_with_what_comes_along() {
    let (mut old, mut new, map) = leaving();
    let arriving = with(&map, Phase::Arriving);
    let (by, order) = burger(1);
    new.check(by, order.clone(), Err(Rejection::OtherRegion));
    let taken = parcel(&old);
    new.check(
        By::System,
        Command::TakeIn(MOVE, Box::new(taken.clone())),
        Err(Rejection::WrongState),
    );
    old.check(By::System, Command::HandOut(MOVE), Err(Rejection::WrongState));
    for world in [&mut old, &mut new] {
        world.ok(By::System, take(&arriving));
    }
    new.check(by, order.clone(), Err(Rejection::CellMoving));
    old.check(by, order.clone(), Err(Rejection::OtherRegion));
    old.check(By::System, Command::HandOut(MOVE), Ok(&[]));
    let arrived = Command::TakeIn(MOVE, Box::new(taken));
    new.check(
        By::System,
        arrived.clone(),
        Ok(&["restaurant.updated", "region.cells.moved"]),
    );
    new.check(By::System, arrived, Ok(&[]));
    new.ok(by, order.clone());
    assert_eq!((burgers(&new).left(), burgers(&old).left()), (9, 0));
    let end = without_moves(&arriving);
    for world in [&mut old, &mut new] {
        world.check(By::System, take(&end), Ok(&[]));
        assert!(world.city.catalogue().territory.parts.is_empty());
        assert!(world.city.parcel(MOVE).is_none());
    }
    old.check(by, order, Err(Rejection::OtherRegion));
}

#[test]
fn what_is_held_stays_and_what_is_left_goes_along_there_and_back() {
    let (mut old, mut new) = (World::new(), other());
    old.ok(By::System, take(&whole()));
    old.ok(
        By::Customer(customer(1)),
        place(order_of(Some(restaurant(1)), &[(BURGER, 3), (CAKE, 1)])),
    );
    let mut map = whole();
    for (phase, burgers_left, cakes_left) in [(Phase::Leaving, 7, 2), (Phase::Arriving, 7, 2)] {
        map = with(&map, phase);
        old.ok(By::System, take(&map));
        let moved = &parcel(&old).restaurants[0];
        assert!(moved.left.contains(&(BURGER, burgers_left)) && moved.left.contains(&(CAKE, cakes_left)));
        assert_eq!((burgers(&old).reserved, burgers(&old).left()), (3, 0));
    }
    new.ok(By::System, take(&map));
    new.ok(By::System, Command::TakeIn(MOVE, Box::new(parcel(&old))));
    // Back by a move of its own; meanwhile one burger went there, and the hold here ended.
    let (by, order) = burger(5);
    new.ok(by, order);
    map = without_moves(&map);
    for phase in [Phase::Leaving, Phase::Arriving] {
        let mut next = Map {
            version: map.version + 1,
            ..map.clone()
        };
        next.moves = vec![Move {
            id: 10,
            from: region("mys"),
            to: region("blr"),
            cells: cells(),
            phase,
        }];
        if phase == Phase::Arriving {
            next.hand_over(&region("mys"), &region("blr"), &cells());
        }
        map = next;
        new.ok(By::System, take(&map));
    }
    // The old owner was away all the while and sees only the last version.
    old.ok(By::System, take(&map));
    assert_eq!(
        old.city.catalogue().territory.parts.len(),
        0,
        "it is not taken for a move that was called off"
    );
    assert_eq!(burgers(&old).left(), 0);
    let back = new.city.parcel(10).unwrap().clone();
    old.ok(By::System, Command::TakeIn(10, Box::new(back)));
    let (here, there) = (burgers(&old), burgers(&new));
    assert_eq!((here.reserved, here.left(), there.reserved, there.left()), (3, 6, 1, 0));
    let (by, order) = burger(6);
    old.ok(by, order);
}

#[test]
fn a_move_that_is_called_off_leaves_all_as_it_was() {
    let (mut old, _, map) = leaving();
    let mut off = whole();
    off.version = map.version + 1;
    old.check(
        By::System,
        take(&off),
        Ok(&["restaurant.updated", "region.cells.moved"]),
    );
    assert_eq!((burgers(&old).capacity, burgers(&old).left()), (10, 10));
    let (by, order) = burger(1);
    old.ok(by, order);
    old.ok(OPERATOR, set_open(restaurant(1), false));
}

#[test]
fn what_was_handed_out_is_never_taken_back() {
    let (mut old, _, map) = leaving();
    let arriving = with(&map, Phase::Arriving);
    old.ok(By::System, take(&arriving));
    old.ok(By::System, Command::HandOut(MOVE));
    // A hub that lost its file and gives the cells back to who had them.
    let mut wrong = whole();
    wrong.version = arriving.version + 1;
    old.ok(By::System, take(&wrong));
    let (by, order) = burger(1);
    assert!(old.run(by, &order).is_err());
    assert_eq!(burgers(&old).left(), 0);
}

#[test]
fn parcels_survive_the_wire() {
    let (old, _, _) = leaving();
    let mut whole = parcel(&old);
    whole.answers = vec![KeptAnswer {
        restaurant_id: restaurant(1),
        cell: Some(centre().cell(REGION_RESOLUTION)),
        key: [1; 16],
        fingerprint: [2; 16],
        status: 201,
        body: b"{}".to_vec(),
        created_at: 5,
    }];
    let bytes = rmp_serde::to_vec_named(&whole).unwrap();
    assert_eq!(rmp_serde::from_slice::<Parcel>(&bytes).unwrap(), whole);
    assert_eq!(whole.restaurants[0].row.place, put_restaurant(1).restaurant.place);
    assert!(address().place == centre());
}
