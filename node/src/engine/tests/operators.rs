//! What operators do by hand: assign, unassign, stop the region; and what calls for them.

use tomato_shared::event::{Event, Stage};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{BURGER, OPERATOR, World, customer, driver, order_of, place, restaurant};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::model::By;
use crate::engine::timer::TimerKey;

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}

fn assign(id: tomato_shared::id::OrderId, n: u8) -> Command {
    Command::Order(id, OrderCommand::Assign(driver(n)))
}

fn unassign(id: tomato_shared::id::OrderId) -> Command {
    Command::Order(id, OrderCommand::Unassign)
}

#[test]
fn driver_is_bound_before_the_food_is_ready_and_nobody_is_looked_for_then() {
    let mut world = World::new();
    let id = world.preparing();
    world.check(OPERATOR, assign(id, 1), Ok(&["driver.assigned"]));
    world.check(OPERATOR, assign(id, 1), Ok(&[]));
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::PickUp),
        Err(Rejection::WrongState),
    );
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    assert_eq!(world.city.waiting_len(), 0);
    assert!(!world.disk.timers.contains_key(&TimerKey::SearchEnds(id)));
    world.ok(rider(1), Command::Order(id, OrderCommand::PickUp));
}

#[test]
fn open_offer_to_another_ends_when_somebody_is_assigned() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.check(OPERATOR, assign(id, 2), Ok(&["driver.offer.ended", "driver.assigned"]));
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert_eq!(world.order(id).delivery.driver_id, Some(driver(2)));
    let left: Vec<_> = world.disk.timers.keys().copied().collect();
    assert_eq!(left, [TimerKey::Overdue(id)]);
}

#[test]
fn who_has_the_offer_can_be_assigned_what_was_offered() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.check(OPERATOR, assign(id, 1), Ok(&["driver.offer.ended", "driver.assigned"]));
    let row = world.city.driver(driver(1)).unwrap();
    assert_eq!((&row.offered[..], &row.delivering[..]), (&[][..], &[id][..]));
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    assert!(!world.disk.timers.contains_key(&TimerKey::OfferExpiry(id)));
}

#[test]
fn who_is_assigned_loses_an_offer_of_another_order() {
    let mut world = World::new();
    let (first, _) = world.offered(1);
    let second = world.preparing();
    world.ok(OPERATOR, assign(second, 1));
    assert_eq!(world.order(first).delivery.state, DeliveryState::Searching);
    assert_eq!(world.city.waiting().collect::<Vec<_>>(), [first]);
    assert_eq!(world.city.dispatch_at(), Some(world.now));
}

#[test]
fn delivery_goes_from_one_driver_to_another() {
    let mut world = World::new();
    let id = world.assigned(1);
    world.check(OPERATOR, assign(id, 2), Ok(&["driver.unassigned", "driver.assigned"]));
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert_eq!(world.order(id).delivery.cancellations, 0, "nobody gave it back");
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::PickUp),
        Err(Rejection::NotFound),
    );
    world.ok(rider(2), Command::Order(id, OrderCommand::PickUp));
}

#[test]
fn unassigned_order_looks_for_the_next_driver() {
    let mut world = World::new();
    let id = world.assigned(1);
    world.check(OPERATOR, unassign(id), Ok(&["driver.unassigned"]));
    assert!(world.disk.timers.contains_key(&TimerKey::SearchEnds(id)));
    world.dispatch(&[1, 2]);
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(2));
    let early = world.preparing();
    world.ok(OPERATOR, assign(early, 1));
    world.ok(OPERATOR, unassign(early));
    assert!(!world.disk.timers.contains_key(&TimerKey::SearchEnds(early)));
}

#[test]
fn assigning_to_and_fro_leaves_each_driver_in_the_list_once() {
    let mut world = World::new();
    let id = world.preparing();
    for n in [1, 2, 1, 2, 1, 2] {
        world.ok(OPERATOR, assign(id, n));
    }
    assert_eq!(world.order(id).delivery.declined.len(), 2);
}

#[test]
fn region_that_is_paused_takes_no_orders_and_finishes_those_it_has() {
    let mut world = World::new();
    let id = world.preparing();
    let pause = |paused| Command::PauseRegion {
        paused,
        reason: "storm".into(),
    };
    world.check(OPERATOR, pause(true), Ok(&["region.status.changed"]));
    world.check(OPERATOR, pause(true), Ok(&[]));
    let order = || place(order_of(None, &[(BURGER, 1)]));
    let refused = world.run(By::Customer(customer(1)), &order()).unwrap_err();
    assert_eq!(refused.rejection, Rejection::RegionPaused);
    assert_eq!(refused.detail.as_deref(), Some("storm"));
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(rider(1), Command::AcceptOffer(world.offer(id)));
    world.check(OPERATOR, pause(false), Ok(&["region.status.changed"]));
    world.ok(By::Customer(customer(1)), order());
}

fn overdue(world: &World) -> Option<(Stage, tomato_shared::time::UnixMs)> {
    match world.disk.events.last().map(|new| &new.event) {
        Some(Event::OrderOverdue { stage, due_at }) => Some((*stage, *due_at)),
        _ => None,
    }
}

#[test]
fn silent_restaurant_is_called_again_before_it_loses_the_order() {
    let mut world = World::new();
    let id = world.confirmed();
    let due_at = world.order(id).accept_by.unwrap();
    world.pass(DurationMs::from_secs(90));
    assert_eq!(overdue(&world), Some((Stage::Acceptance, due_at)));
    assert_eq!(world.order(id).restaurant_id, restaurant(1));
    let told = world.disk.events.len();
    world.pass(DurationMs::from_secs(60));
    assert_eq!(world.disk.events.len(), told, "once");
    world.ok(By::Restaurant(restaurant(1)), super::world::accept(id));
}

#[test]
fn what_was_promised_and_did_not_happen_calls_for_somebody_at_each_stage() {
    let mut world = World::new();
    let id = world.preparing();
    let late = world.policy.overdue_after;
    let ready_at = world.order(id).ready_at.unwrap();
    world.pass((ready_at + late) - world.now);
    assert_eq!(overdue(&world), Some((Stage::Preparation, ready_at)));
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(
        By::Provider,
        world.outcome(id, crate::engine::command::PaymentOutcome::Captured),
    );
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    let ready_at = world.now;
    world.ok(OPERATOR, assign(id, 1));
    world.pass(late);
    assert_eq!(overdue(&world), Some((Stage::Pickup, ready_at)));
    world.ok(rider(1), Command::Order(id, OrderCommand::PickUp));
    let expected = world.order(id).estimated_delivery_at;
    world.pass((expected + late) - world.now);
    assert_eq!(overdue(&world), Some((Stage::Delivery, expected)));
    assert_eq!(world.order(id).state, OrderState::OutForDelivery);
}

#[test]
fn delay_moves_what_was_promised() {
    let mut world = World::new();
    let id = world.preparing();
    let before = world.order(id).estimated_delivery_at;
    world.now = world.now + DurationMs::from_mins(15);
    let delay = Command::Order(id, OrderCommand::Delay(DurationMs::from_mins(10)));
    world.check(By::Restaurant(restaurant(1)), delay, Ok(&["order.delayed"]));
    let order = world.order(id);
    assert_eq!(order.ready_at, Some(world.now + DurationMs::from_mins(10)));
    assert_eq!(order.estimated_delivery_at, before + DurationMs::from_mins(10));
    let due = order.ready_at.unwrap() + world.policy.overdue_after;
    assert_eq!(world.disk.timers[&TimerKey::Overdue(id)], due);
}
