//! Food that nobody took: the order is over at once, its driver when the food is back. And PINs that nobody knows.

use tomato_shared::event::{Event, Stage};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{OPERATOR, World, complete, driver, restaurant, sign};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::model::{By, Proof};
use crate::engine::timer::TimerKey;

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}

fn back(id: tomato_shared::id::OrderId) -> Command {
    Command::Order(id, OrderCommand::Return)
}

#[test]
fn driver_with_food_on_its_way_back_is_offered_nothing() {
    let mut world = World::new();
    world.returning(1);
    let next = world.ready();
    world.dispatch(&[1]);
    assert!(world.order(next).delivery.offer.is_none());
    world.check(rider(1), sign(driver(1), false), Err(Rejection::DriverBusy));
}

#[test]
fn order_is_over_while_its_food_is_on_its_way_back() {
    let mut world = World::new();
    let id = world.returning(1);
    let order = world.order(id);
    assert_eq!(
        (order.state, order.delivery.state),
        (OrderState::Cancelled, DeliveryState::Returning)
    );
    assert!(order.ended_at.is_some());
    let left: Vec<_> = world.disk.timers.keys().copied().collect();
    assert_eq!(
        left,
        [TimerKey::Overdue(id)],
        "somebody is called if it does not come back"
    );
    assert_eq!(world.city.open_orders(order.customer_id), 0);
    assert!(world.city.order(id).is_some(), "its driver is still bound");
    world.pass(DurationMs::from_mins(60));
    let told = &world.last.events[0].event;
    assert!(
        matches!(
            told,
            Event::OrderOverdue {
                stage: Stage::Return,
                ..
            }
        ),
        "{told:?}"
    );
    world.ok(rider(1), back(id));
    assert!(world.disk.timers.is_empty());
}

#[test]
fn restaurant_or_operator_says_that_the_food_is_back() {
    for by in [By::Restaurant(restaurant(1)), OPERATOR, rider(1)] {
        let mut world = World::new();
        let id = world.returning(1);
        world.check(by, back(id), Ok(&["delivery.returned"]));
        world.check(by, back(id), Ok(&[]));
        assert_eq!(world.order(id).delivery.state, DeliveryState::Returned);
        assert!(world.city.driver(driver(1)).unwrap().is_free());
        assert!(world.city.order(id).is_none());
    }
}

#[test]
fn driver_is_paid_for_the_trip_in_vain() {
    let mut world = World::new();
    let id = world.returning(1);
    let told = &world.last.events[0].event;
    assert!(matches!(told, Event::DeliveryFailed { driver_fee_minor, .. } if *driver_fee_minor == 2_500));
    let driver_id = driver(1);
    let account = tomato_shared::event::books::Account::DriverPayable { driver_id };
    assert_eq!(world.balances(id)[&account], -2_500);
}

#[test]
fn steps_said_again_change_nothing() {
    let mut world = World::new();
    let id = world.assigned(1);
    let arrive = Command::Order(id, OrderCommand::Arrive);
    world.check(rider(1), arrive.clone(), Ok(&["driver.arrived"]));
    world.check(rider(1), arrive, Ok(&[]));
    let pick_up = Command::Order(id, OrderCommand::PickUp);
    world.check(rider(1), pick_up.clone(), Ok(&["order.picked_up"]));
    world.check(rider(1), pick_up, Ok(&[]));
    world.ok(rider(1), complete(id));
    let version = world.order(id).version;
    world.check(rider(1), complete(id), Ok(&[]));
    assert_eq!(world.order(id).version, version);
    world.check(rider(2), complete(id), Err(Rejection::NotFound));
}

#[test]
fn acceptance_and_readiness_said_again_change_nothing() {
    let mut world = World::new();
    let kitchen = By::Restaurant(restaurant(1));
    let id = world.preparing();
    let ready_at = world.order(id).ready_at;
    world.check(kitchen, super::world::accept(id), Ok(&[]));
    assert_eq!(world.order(id).ready_at, ready_at);
    let ready = Command::Order(id, OrderCommand::MarkReady);
    world.check(kitchen, ready.clone(), Ok(&["order.ready"]));
    world.check(kitchen, ready, Ok(&[]));
}

#[test]
fn wrong_pin_is_refused_counted_and_after_five_only_other_proof_counts() {
    let mut world = World::new();
    let id = world.picked_up(1);
    let right = world.order(id).pin.clone();
    let pin = |pin: &str| Command::Order(id, OrderCommand::Complete(Proof::Pin { pin: pin.into() }));
    for tries in 1..=5 {
        world.check(rider(1), pin("wrong"), Err(Rejection::ProofWrong));
        let told = &world.last.events[0].event;
        assert_eq!(
            *told,
            Event::ProofRefused {
                driver_id: driver(1),
                tries
            }
        );
        assert_eq!(world.order(id).delivery.pin_tries, tries);
    }
    world.check(rider(1), pin(&right), Err(Rejection::ProofLocked));
    assert!(world.last.events.is_empty());
    world.ok(rider(1), complete(id));
}

#[test]
fn right_pin_after_wrong_ones_delivers() {
    let mut world = World::new();
    let id = world.picked_up(1);
    let right = world.order(id).pin.clone();
    let pin = |pin: &str| Command::Order(id, OrderCommand::Complete(Proof::Pin { pin: pin.into() }));
    world.check(rider(1), pin("wrong"), Err(Rejection::ProofWrong));
    world.check(rider(1), pin(&right), Ok(&["order.delivered", "ledger.posted"]));
}
