//! What the planner is told, what is learned, and a router that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DriverId, OrderId, RestaurantId};
use tomato_shared::order::DeliveryState;
use tomato_shared::time::{DurationMs, UnixMs};

use super::Positions;
use super::history::History;
use super::plane::Plane;
use super::problem::Facts;
use super::router::Router;
use crate::engine::command::{Command, OrderCommand, RestaurantCommand};
use crate::engine::matching::{Config, Driver, Duty, Point, Problem, Ready, TablePoint, Travel};
use crate::engine::model::{By, Order};
use crate::engine::snapshot::{DriverSeen, OrderSeen, Snapshot};
use crate::engine::tests::world::{BURGER, World, driver, restaurant};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn centre() -> LatLng {
    LatLng::new(12.97, 77.59).unwrap()
}

fn plane() -> Plane {
    Plane::around(Some(centre()))
}

fn order_id(n: u8) -> OrderId {
    OrderId::from_bytes([n; 16])
}

fn driver_id(n: u8) -> DriverId {
    DriverId::from_bytes([n; 16])
}

fn seen(n: u8, delivery: DeliveryState) -> OrderSeen {
    OrderSeen {
        id: order_id(n),
        restaurant_id: RestaurantId::from_bytes([1; 16]),
        restaurant_place: centre(),
        door: centre().offset_m(3_000.0, 0.0),
        accepted_at: NOW + DurationMs::from_mins(-10),
        ready_at: NOW,
        ready: true,
        delivery,
        trip: 1,
        assigned_at: NOW + DurationMs::from_mins(-5),
        excluded: Vec::new(),
        cash_minor: 0,
    }
}

fn at_work(offered: &[u8], delivering: &[u8]) -> DriverSeen {
    DriverSeen {
        id: driver_id(1),
        version: 1,
        shift_ends_at: None,
        offered: offered.iter().map(|n| order_id(*n)).collect(),
        delivering: delivering.iter().map(|n| order_id(*n)).collect(),
        refusal_permille: 0,
        cash_minor: 900,
    }
}

/// The problem of these orders and this driver, who was seen 600 m from the restaurant so long ago.
fn problem(orders: Vec<OrderSeen>, who: DriverSeen, seen_ago: DurationMs) -> Problem {
    let snapshot = Snapshot {
        orders,
        drivers: vec![who],
    };
    let here = centre().offset_m(0.0, 600.0);
    let positions = Positions::from([(driver_id(1), (here, NOW + DurationMs(-seen_ago.0)))]);
    let history = History::new(plane(), 300.0, DurationMs::from_mins(2));
    let facts = Facts {
        snapshot: &snapshot,
        positions: &positions,
        position_age_max: DurationMs::from_mins(1),
        history: &history,
        plane: plane(),
        travel: Travel::straight(300.0, 1),
        cash_max_minor: 1_000,
        config: &Config::default(),
        now: NOW,
    };
    facts.problem(Vec::new(), Vec::new())
}

fn only_driver(problem: &Problem) -> &Driver {
    assert_eq!(problem.drivers.len(), 1);
    &problem.drivers[0]
}

/// Minutes from now until the driver is free, rounded.
fn free_in_min(driver: &Driver) -> i64 {
    (driver.free_ms - NOW.0 + 30_000) / 60_000
}

#[test]
fn pickup_that_is_agreed_can_change_and_holds_its_orders() {
    let told = problem(
        vec![seen(1, DeliveryState::Assigned), seen(2, DeliveryState::Searching)],
        at_work(&[], &[1]),
        DurationMs(0),
    );
    assert_eq!(told.orders.len(), 2);
    let Duty::Pickup { orders, arrive_ms, .. } = &only_driver(&told).duty else {
        panic!("{told:?}");
    };
    assert_eq!(
        (orders.as_slice(), (arrive_ms - NOW.0) / 60_000),
        (&[order_id(1)][..], 2)
    );
}

#[test]
fn open_offer_begun_pickup_and_full_bag_are_time_that_is_spent() {
    let minutes = |orders: Vec<OrderSeen>, who| {
        let told = problem(orders, who, DurationMs::from_mins(9));
        assert!(told.orders.is_empty() && only_driver(&told).duty == Duty::None);
        free_in_min(only_driver(&told))
    };
    // 2 min to the restaurant and 4 there, 10 min to the door and 4 there.
    assert_eq!(minutes(vec![seen(1, DeliveryState::Offered)], at_work(&[1], &[])), 20);
    // From 600 m north of the restaurant to the door 3 km east of it.
    assert_eq!(minutes(vec![seen(1, DeliveryState::PickedUp)], at_work(&[], &[1])), 14);
    let begun = vec![seen(1, DeliveryState::PickedUp), seen(2, DeliveryState::AtRestaurant)];
    assert!(minutes(begun, at_work(&[], &[1, 2])) > 14, "and then the second");
}

#[test]
fn trip_to_two_restaurants_stays_as_it_is() {
    let mut second = seen(2, DeliveryState::Assigned);
    second.restaurant_id = RestaurantId::from_bytes([2; 16]);
    second.restaurant_place = centre().offset_m(0.0, -1_200.0);
    second.door = second.restaurant_place.offset_m(3_000.0, 0.0);
    let told = problem(
        vec![
            seen(1, DeliveryState::Assigned),
            second.clone(),
            seen(3, DeliveryState::Searching),
        ],
        at_work(&[], &[2, 1]),
        DurationMs(0),
    );
    assert_eq!(
        told.orders.iter().map(|order| order.id).collect::<Vec<_>>(),
        [order_id(3)]
    );
    assert_eq!(only_driver(&told).duty, Duty::None);
    // To the second first, as its door comes first: 6 min, 4, 4 to the other, 4; then about 10.8 and 4, 4 and 4.
    let both = free_in_min(only_driver(&told));
    assert!((40..=42).contains(&both), "{both}");
    let mut fetched = seen(1, DeliveryState::PickedUp);
    fetched.trip = second.trip;
    let told = problem(vec![fetched, second], at_work(&[], &[1, 2]), DurationMs(0));
    // With the first in the bag: 6 to the second, 4; then both doors.
    let one = free_in_min(only_driver(&told));
    assert!((32..=34).contains(&one), "{one}");
}

#[test]
fn who_is_idle_and_silent_is_not_planned_with_and_cash_has_a_limit() {
    let old = problem(
        vec![seen(1, DeliveryState::Searching)],
        at_work(&[], &[]),
        DurationMs::from_mins(2),
    );
    assert!(old.drivers.is_empty());
    let mut cash = seen(1, DeliveryState::Searching);
    cash.cash_minor = 101;
    let told = problem(vec![cash], at_work(&[], &[]), DurationMs(0));
    assert_eq!(told.orders[0].excluded, [driver_id(1)]);
    let mut little = seen(1, DeliveryState::Searching);
    little.cash_minor = 100;
    assert!(
        problem(vec![little], at_work(&[], &[]), DurationMs(0)).orders[0]
            .excluded
            .is_empty()
    );
}

/// Orders of a kitchen that promises ten minutes and takes twenty, brought at half the usual speed; with their events.
fn past() -> Vec<(tomato_shared::event::Event, Order)> {
    let mut told = Vec::new();
    let mut world = World::new();
    for _ in 0..60 {
        let more = RestaurantCommand::SetItem {
            item_id: BURGER,
            available: true,
            off: None,
            left: Some(10),
        };
        let kitchen = By::Restaurant(restaurant(1));
        world.ok(kitchen, Command::Restaurant(restaurant(1), more));
        let id = world.confirmed();
        let promise = OrderCommand::Accept(DurationMs::from_mins(10));
        world.ok(kitchen, Command::Order(id, promise));
        world.now = world.now + DurationMs::from_mins(20);
        world.ok(
            By::Restaurant(restaurant(1)),
            Command::Order(id, OrderCommand::MarkReady),
        );
        world.dispatch(&[1]);
        world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
        world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
        // 3 km at 150 m a minute, and two minutes at the door.
        let took_ms = 22 * 60_000;
        world.now = world.now + DurationMs(took_ms);
        world.ok(By::Driver(driver(1)), crate::engine::tests::world::complete(id));
        let mut order = world.disk.orders[&id].clone();
        order.deliver_to.place = order.restaurant_place.offset_m(3_000.0, 0.0);
        told.extend(
            world
                .disk
                .events
                .drain(..)
                .filter(|new| super::teaches(&new.event))
                .map(|new| (new.event, order.clone())),
        );
    }
    told
}

#[test]
fn what_was_learned_is_learned_again_after_a_restart() {
    let past = past();
    let later = past.last().unwrap().1.ended_at.unwrap() + DurationMs::from_mins(60);
    let fresh = || History::new(plane(), 300.0, DurationMs::from_mins(2));
    let mut live = fresh();
    for (event, order) in &past {
        live.hear(event, order, later);
    }
    let mut again = fresh();
    let mut rows: Vec<Order> = past.into_iter().map(|(_, order)| order).collect();
    rows.dedup_by_key(|order| order.id);
    assert_eq!(rows.len(), 60);
    rows.reverse();
    again.recall(rows.clone(), later);

    let kitchen = restaurant(1);
    let promised_at = later + DurationMs::from_mins(10);
    let middle = |history: &History| match history.ready(kitchen, later, promised_at, later) {
        Ready::Likely(moments) => (moments[moments.len() / 2] - later.0) / 60_000,
        Ready::At(_) => panic!("known"),
    };
    assert_eq!(middle(&fresh()), 9, "before anything was seen a promise is a promise");
    assert!((15..=21).contains(&middle(&live)), "{}", middle(&live));
    assert_eq!(middle(&live), middle(&again));
    let place = plane().point(rows[0].restaurant_place);
    let speed = |history: &History| history.speeds().speed(place, rows[0].ended_at.unwrap().0).unwrap();
    assert!(speed(&live) < 290.0, "{}", speed(&live));
    assert!((speed(&live) - speed(&again)).abs() < 1e-9);
    let expected = |history: &History| -> i64 {
        let cells = history.demand(later, DurationMs::from_mins(30));
        cells.iter().map(|cell| cell.orders_permille).sum()
    };
    assert_eq!(expected(&live), expected(&again));
}

/// A table service where every way takes ten seconds for each place that the answer is about; counts questions.
async fn street_router() -> (String, Arc<AtomicU32>, tokio::task::JoinHandle<()>) {
    let asked: Arc<AtomicU32> = Arc::default();
    let table = |State(asked): State<Arc<AtomicU32>>, Path(places): Path<String>, query: axum::extract::RawQuery| async move {
        asked.fetch_add(1, Ordering::Relaxed);
        let query = query.0.unwrap_or_default();
        let many = |name: &str| {
            let list = query
                .split('&')
                .find_map(|part| part.strip_prefix(name))
                .unwrap_or_default();
            list.split(';').count()
        };
        let (from, to) = (many("sources="), many("destinations="));
        assert_eq!(places.split(';').count(), from + to, "{places}?{query}");
        let row: Vec<Value> = (0..to).map(|nth| json!(10.0 * (nth + 1) as f64)).collect();
        axum::Json(json!({"code": "Ok", "durations": vec![row; from]}))
    };
    let app = axum::Router::new()
        .route("/table/v1/driving/{places}", get(table))
        .with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/table/v1/driving/", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, asked, task)
}

#[tokio::test]
async fn router_is_asked_once_remembered_and_not_missed() {
    let (url, asked, serving) = street_router().await;
    let told = problem(
        vec![seen(1, DeliveryState::Searching), seen(2, DeliveryState::Searching)],
        at_work(&[], &[]),
        DurationMs(0),
    );
    let mut router = Router::new(&url, plane()).unwrap();
    let table = router.table(&told, NOW).await;
    assert!(router.is_there());
    let key = |from: Point, to: Point| (TablePoint::from(from), TablePoint::from(to));
    let order = &told.orders[0];
    let ways = [
        key(told.drivers[0].at, order.restaurant_at),
        key(order.restaurant_at, order.customer_at),
    ];
    assert!(ways.iter().all(|way| table.get(way) == Some(&10_000)), "{table:?}");
    let before = asked.load(Ordering::Relaxed);
    router.table(&told, NOW + DurationMs::from_secs(5)).await;
    assert_eq!(asked.load(Ordering::Relaxed), before, "nothing new to ask");

    serving.abort();
    let later = NOW + DurationMs::from_mins(20);
    assert!(router.table(&told, later).await.is_empty(), "too old to hold");
    assert!(!router.is_there());
    // It is left alone for a while, then asked again.
    router.table(&told, later + DurationMs::from_secs(1)).await;
    assert!(!router.is_there());
}
