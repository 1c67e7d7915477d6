//! Rounds of a plan: bundles, next trips, pickups that change under way, and races that are lost.

use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{OPERATOR, World, driver, policy, restaurant};
use crate::engine::command::{Command, Intent, OrderCommand as O, Round};
use crate::engine::model::By;
use crate::engine::policy::DispatchKind;
use crate::engine::timer::TimerKey;
use crate::engine::view::{StopKind, stops};

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}

fn kitchen() -> By {
    By::Restaurant(restaurant(1))
}

fn world() -> World {
    let mut policy = policy();
    policy.dispatch.kind = DispatchKind::Matching;
    World::with(policy)
}

fn intent(world: &World, n: u8, ids: &[OrderId], changed: bool) -> Intent {
    Intent {
        driver_id: driver(n),
        driver_version: world.city.driver(driver(n)).unwrap().version,
        order_ids: ids.to_vec(),
        changed,
        distance_m: 500,
    }
}

fn go(world: &mut World, intents: Vec<Intent>) -> Vec<&'static str> {
    let left = Vec::new();
    world.ok(By::System, Command::Round(Round { intents, left }));
    world.last.events.iter().map(|new| new.event.name()).collect()
}

fn asks(world: &mut World, n: u8, ids: &[OrderId], changed: bool) -> Vec<&'static str> {
    let intents = vec![intent(world, n, ids, changed)];
    go(world, intents)
}

fn accepts(world: &mut World, n: u8, id: OrderId) {
    let offer = world.offer(id);
    world.ok(rider(n), Command::AcceptOffer(offer));
}

/// Two orders that are being cooked, and fetched together by a driver.
fn bundle(world: &mut World, n: u8) -> [OrderId; 2] {
    let ids = [world.preparing(), world.preparing()];
    assert_eq!(asks(world, n, &ids, false), ["driver.offered"; 2]);
    accepts(world, n, ids[0]);
    ids
}

fn picked_up(world: &mut World, n: u8) -> OrderId {
    let id = world.ready();
    asks(world, n, &[id], false);
    accepts(world, n, id);
    world.ok(rider(n), Command::Order(id, O::PickUp));
    id
}

fn bound(world: &World, n: u8) -> Vec<OrderId> {
    world.city.driver(driver(n)).unwrap().delivering.clone()
}

fn state(world: &World, id: OrderId) -> (DeliveryState, Option<DriverId>) {
    let delivery = &world.order(id).delivery;
    (delivery.state, delivery.driver_id)
}

#[test]
fn bundle_is_one_offer_taken_or_declined_as_a_whole() {
    let mut world = world();
    let ids = [world.preparing(), world.preparing()];
    asks(&mut world, 1, &ids, false);
    assert_eq!(world.offer(ids[0]), world.offer(ids[1]));
    let offer = world.offer(ids[1]);
    world.check(rider(1), Command::DeclineOffer(offer), Ok(&["driver.offer.ended"; 2]));
    assert!(ids.iter().all(|id| world.order(*id).delivery.declined == [driver(1)]));
    assert_eq!(world.city.driver(driver(1)).unwrap().refused, 1);

    asks(&mut world, 2, &[ids[1], ids[0]], false);
    let offer = world.offer(ids[0]);
    world.check(rider(2), Command::AcceptOffer(offer), Ok(&["driver.assigned"; 2]));
    assert_eq!(bound(&world, 2), [ids[1], ids[0]], "in the planned order");
    assert!(!world.disk.timers.contains_key(&TimerKey::OfferExpiry(ids[0])));
}

#[test]
fn one_of_a_bundle_is_given_back_or_cancelled_and_the_other_stays() {
    let mut world = world();
    let ids = bundle(&mut world, 1);
    world.check(rider(1), Command::Order(ids[0], O::GiveBack), Ok(&["driver.cancelled"]));
    assert_eq!(bound(&world, 1), [ids[1]]);
    assert_eq!(state(&world, ids[0]), (DeliveryState::Searching, None));
    assert!(
        asks(&mut world, 1, &[ids[0], ids[1]], true).is_empty(),
        "never asked again"
    );

    let ids = bundle(&mut world, 2);
    world.ok(OPERATOR, Command::Order(ids[1], O::Cancel));
    assert_eq!(bound(&world, 2), [ids[0]]);

    let ids = [world.preparing(), world.preparing()];
    asks(&mut world, 3, &ids, false);
    let offer = world.offer(ids[0]);
    world.ok(OPERATOR, Command::Order(ids[0], O::Cancel));
    assert_eq!(world.offer(ids[1]), offer, "what is left of the offer stands");
    world.ok(rider(3), Command::AcceptOffer(offer));
    assert_eq!(bound(&world, 3), [ids[1]]);
}

#[test]
fn intent_of_an_old_driver_or_a_taken_order_is_lost_and_changes_nothing() {
    let mut world = world();
    let id = world.preparing();
    let old = intent(&world, 1, &[id], false);
    world.ok(OPERATOR, super::world::sign(driver(1), false));
    world.ok(OPERATOR, super::world::sign(driver(1), true));
    assert!(go(&mut world, vec![old]).is_empty() && world.last.drivers.is_empty());
    asks(&mut world, 1, &[id], false);
    assert!(asks(&mut world, 2, &[id], false).is_empty(), "offered already");
    accepts(&mut world, 1, id);
    assert!(asks(&mut world, 2, &[id], false).is_empty(), "taken");
    assert!(
        asks(&mut world, 1, &[id], false).is_empty(),
        "bound, so not free for a new trip"
    );
    let confirmed = world.confirmed();
    assert!(
        asks(&mut world, 2, &[confirmed], false).is_empty(),
        "nobody cooks it yet"
    );
    let twice = world.preparing();
    let both = vec![intent(&world, 2, &[twice], false), intent(&world, 3, &[twice], false)];
    assert_eq!(go(&mut world, both), ["driver.offered"], "the first of two wins");
}

#[test]
fn pickup_that_grows_is_offered_and_joins_the_trip() {
    let mut world = world();
    let first = world.preparing();
    asks(&mut world, 1, &[first], false);
    accepts(&mut world, 1, first);
    let second = world.ready();
    assert_eq!(asks(&mut world, 1, &[second, first], true), ["driver.offered"]);
    accepts(&mut world, 1, second);
    assert_eq!(world.order(first).delivery.trip, world.order(second).delivery.trip);
    assert_eq!(asks(&mut world, 1, &[second, first], true), [""; 0]);
    assert_eq!(
        bound(&world, 1),
        [second, first],
        "the order of delivery follows the plan"
    );

    // Who leaves without having answered has said no to nothing, and is not asked to turn back.
    let third = world.ready();
    asks(&mut world, 1, &[second, first, third], true);
    world.ok(rider(1), Command::Order(second, O::PickUp));
    assert_eq!(state(&world, third).0, DeliveryState::Searching);
    assert!(
        asks(&mut world, 1, &[first, third], true).is_empty(),
        "a begun pickup stays as it is"
    );
}

#[test]
fn drivers_at_one_counter_exchange_orders_together_or_not_at_all() {
    let mut world = world();
    let (mine, yours) = (world.preparing(), world.preparing());
    for (n, id) in [(1, mine), (2, yours)] {
        asks(&mut world, n, &[id], false);
        accepts(&mut world, n, id);
    }
    let mut stale = intent(&world, 2, &[mine], true);
    stale.driver_version -= 1;
    let swap = vec![intent(&world, 1, &[yours], true), stale];
    assert!(go(&mut world, swap).is_empty(), "one of them has changed meanwhile");
    let swap = vec![intent(&world, 1, &[yours], true), intent(&world, 2, &[mine], true)];
    let told = go(&mut world, swap);
    assert_eq!(told.iter().filter(|name| **name == "driver.unassigned").count(), 2);
    assert_eq!(told.iter().filter(|name| **name == "driver.assigned").count(), 2);
    assert_eq!((bound(&world, 1), bound(&world, 2)), (vec![yours], vec![mine]));
    assert!(world.order(mine).delivery.declined.is_empty(), "nobody is to blame");
}

#[test]
fn order_taken_from_a_pickup_is_looked_after_again() {
    let mut world = world();
    let ids = [world.ready(), world.ready()];
    asks(&mut world, 1, &ids, false);
    accepts(&mut world, 1, ids[0]);
    assert_eq!(asks(&mut world, 1, &ids[..1], true), ["driver.unassigned"]);
    assert!(world.disk.timers.contains_key(&TimerKey::SearchEnds(ids[1])));
}

#[test]
fn next_trip_is_offered_while_food_is_in_the_bag() {
    let mut world = world();
    let first = picked_up(&mut world, 1);
    let next = world.preparing();
    assert_eq!(asks(&mut world, 1, &[next], false), ["driver.offered"]);
    accepts(&mut world, 1, next);
    assert_eq!(bound(&world, 1), [first, next]);
    let orders: Vec<_> = [first, next].iter().map(|id| world.order(*id)).collect();
    let kinds: Vec<_> = stops(&orders)
        .iter()
        .map(|stop| (stop.kind, stop.order_ids[0]))
        .collect();
    let expected = [
        (StopKind::Dropoff, first),
        (StopKind::Pickup, next),
        (StopKind::Dropoff, next),
    ];
    assert_eq!(kinds, expected);
    let more: Vec<_> = (0..4).map(|_| world.preparing()).collect();
    assert!(
        asks(&mut world, 1, &more, true).is_empty(),
        "five at a time are too many"
    );
}

#[test]
fn order_that_gets_ready_while_it_is_offered_is_not_forgotten() {
    let mut world = world();
    let id = world.preparing();
    asks(&mut world, 1, &[id], false);
    world.ok(kitchen(), Command::Order(id, O::MarkReady));
    world.pass(world.policy.dispatch.offer_ttl);
    assert_eq!(state(&world, id).0, DeliveryState::Searching);
    assert_eq!(world.city.dispatch_at(), None, "the next plan comes by itself");
    world.pass(DurationMs::from_mins(61));
    assert_eq!(world.order(id).state, OrderState::Cancelled, "given up like any other");
}

#[test]
fn who_declined_may_be_asked_again_once_nobody_is_left() {
    let mut world = world();
    let id = world.ready();
    asks(&mut world, 1, &[id], false);
    let offer = world.offer(id);
    world.ok(rider(1), Command::DeclineOffer(offer));
    assert!(asks(&mut world, 1, &[id], false).is_empty());
    let (intents, left) = (Vec::new(), vec![id]);
    world.ok(By::System, Command::Round(Round { intents, left }));
    assert_eq!(asks(&mut world, 1, &[id], false), ["driver.offered"]);
}

#[test]
fn shift_that_is_over_gets_no_new_trip() {
    let mut world = world();
    let id = world.preparing();
    world.ok(rider(1), super::shifts::until(&world, 5));
    let old = picked_up(&mut world, 1);
    world.pass(DurationMs::from_mins(6));
    assert!(asks(&mut world, 1, &[id], false).is_empty());
    world.ok(rider(1), super::world::complete(old));
    assert!(!world.city.driver(driver(1)).unwrap().online);
    world.check(rider(1), Command::Order(id, O::Arrive), Err(Rejection::NotFound));
}
