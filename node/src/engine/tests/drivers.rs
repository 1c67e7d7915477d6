//! Drivers: offers and what becomes of them, giving back, signing on and off, failed deliveries.

use tomato_shared::event::CancelReason;
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{OPERATOR, World, candidate, driver, fail, restaurant, sign};
use crate::engine::command::{Command, OrderCommand, Waiting};
use crate::engine::model::{By, PaymentGoal, PaymentState};
use crate::engine::task::TaskKind;
use crate::engine::timer::TimerKey;

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}

fn online(n: u8, online: bool) -> Command {
    sign(driver(n), online)
}

#[test]
fn ready_order_is_offered_to_the_nearest_willing_driver_within_reach() {
    let mut world = World::new();
    let id = world.ready();
    assert_eq!(
        world.city.dispatch_at(),
        Some(world.now),
        "a ready order calls for a round at once"
    );
    world.ok(rider(1), online(1, false));
    let candidates = vec![
        candidate(1, 10.0),
        candidate(66, 20.0),
        candidate(2, 3_000.1),
        candidate(3, 3_000.0),
    ];
    world.ok(
        By::System,
        Command::Dispatch(vec![Waiting {
            order_id: id,
            candidates,
        }]),
    );
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(3));
    assert_eq!(world.city.dispatch_at(), None);
}

#[test]
fn order_that_finds_nobody_waits_for_the_next_round_and_is_not_written() {
    let mut world = World::new();
    let id = world.ready();
    world.dispatch(&[]);
    assert_eq!(world.city.dispatch_at(), Some(world.now + world.policy.dispatch.retry));
    assert!(world.last.orders.is_empty() && world.last.events.is_empty());
    assert_eq!(world.city.waiting().collect::<Vec<_>>(), [id]);
}

#[test]
fn one_driver_is_offered_one_order_in_a_round() {
    let mut world = World::new();
    let (first, second) = (world.ready(), world.ready());
    world.dispatch(&[1]);
    assert!(world.order(first).delivery.offer.is_some() || world.order(second).delivery.offer.is_some());
    assert_eq!(world.city.waiting_len(), 1);
    assert!(world.city.dispatch_at().is_some());
}

#[test]
fn declined_offer_goes_to_the_next_and_comes_back_only_when_nobody_else_is_near() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.check(rider(1), Command::DeclineOffer(offer), Ok(&["driver.offer.ended"]));
    assert_eq!(world.city.dispatch_at(), Some(world.now));
    world.dispatch(&[1, 2]);
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(2));
    world.ok(rider(2), Command::DeclineOffer(world.offer(id)));
    world.dispatch(&[1, 2]);
    assert!(world.order(id).delivery.offer.is_none());
    world.dispatch(&[1, 2]);
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(1));
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
}

#[test]
fn offer_expires_and_a_late_accept_is_refused() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.pass(DurationMs::from_secs(30));
    assert_eq!(world.order(id).delivery.state, DeliveryState::Searching);
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert_eq!(world.last.events[0].event.name(), "driver.offer.ended");
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    world.dispatch(&[2]);
    world.check(
        rider(2),
        Command::AcceptOffer(world.offer(id)),
        Ok(&["driver.assigned"]),
    );
}

#[test]
fn offer_is_accepted_once_and_by_its_driver() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.check(rider(2), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    world.check(rider(1), Command::AcceptOffer(offer), Ok(&["driver.assigned"]));
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    world.check(rider(1), Command::DeclineOffer(offer), Err(Rejection::OfferGone));
    world.pass(DurationMs::from_mins(60));
    assert_eq!(world.order(id).delivery.driver_id, Some(driver(1)));
}

#[test]
fn three_drivers_who_give_back_end_the_order_and_none_is_asked_again() {
    let mut world = World::new();
    let id = world.assigned(1);
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::GiveBack),
        Ok(&["driver.cancelled"]),
    );
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::GiveBack),
        Err(Rejection::NotFound),
    );
    for round in 0..3 {
        world.dispatch(&[1]);
        assert!(world.order(id).delivery.offer.is_none(), "asked again in round {round}");
    }
    for n in [2, 3] {
        world.dispatch(&[1, n]);
        world.ok(rider(n), Command::AcceptOffer(world.offer(id)));
        let last = [
            "driver.cancelled",
            "order.cancelled",
            "ledger.posted",
            "payment.refund.requested",
        ];
        let expected = if n == 3 { &last[..] } else { &last[..1] };
        world.check(rider(n), Command::Order(id, OrderCommand::GiveBack), Ok(expected));
    }
    let order = world.order(id);
    assert_eq!(
        (order.state, order.cancel_reason),
        (OrderState::Cancelled, Some(CancelReason::NoDriver))
    );
    assert_eq!(order.payment.state, PaymentState::Refunding);
    assert_eq!(
        world.disk.tasks.keys().map(|key| key.kind).collect::<Vec<_>>(),
        [TaskKind::Refund]
    );
    assert!((1..=3).all(|n| world.city.driver(driver(n)).unwrap().is_free()));
    assert_eq!(world.city.waiting_len(), 0);
}

#[test]
fn driver_who_signs_off_loses_the_offer() {
    let mut world = World::new();
    let (id, offer) = world.offered(1);
    world.check(
        rider(1),
        online(1, false),
        Ok(&["driver.offer.ended", "driver.status.changed"]),
    );
    assert_eq!(world.order(id).delivery.state, DeliveryState::Searching);
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    world.check(rider(1), online(1, false), Ok(&[]));
    let left: Vec<_> = world.disk.timers.keys().copied().collect();
    assert_eq!(left, [TimerKey::SearchEnds(id), TimerKey::Overdue(id)]);
}

#[test]
fn who_comes_online_or_becomes_free_is_matched_with_what_waits() {
    let mut world = World::new();
    world.ok(rider(1), online(1, false));
    let id = world.ready();
    world.dispatch(&[]);
    world.check(rider(1), online(1, true), Ok(&["driver.status.changed"]));
    assert_eq!(world.city.dispatch_at(), Some(world.now));
    world.dispatch(&[1]);
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(1));
    let second = world.ready();
    world.dispatch(&[]);
    world.now = world.now + DurationMs(7);
    world.ok(OPERATOR, Command::Order(id, OrderCommand::Cancel));
    assert_eq!(world.city.dispatch_at(), Some(world.now));
    world.dispatch(&[1]);
    assert_eq!(world.order(second).delivery.offer.unwrap().driver_id, driver(1));
}

#[test]
fn failed_delivery_ends_the_order_and_binds_its_driver_until_the_food_is_back() {
    let mut world = World::new();
    let id = world.picked_up(1);
    let told = [
        "delivery.failed",
        "ledger.posted",
        "order.cancelled",
        "ledger.posted",
        "payment.refund.requested",
    ];
    world.check(rider(1), fail(id, "customer_absent"), Ok(&told));
    let order = world.order(id);
    assert_eq!(
        (order.state, order.delivery.state),
        (OrderState::Cancelled, DeliveryState::Returning)
    );
    assert_eq!(
        (order.cancel_reason, order.payment.state),
        (Some(CancelReason::DeliveryFailed), PaymentState::Refunding)
    );
    assert_eq!(world.city.driver(driver(1)).unwrap().delivering, [id]);
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::Return),
        Ok(&["delivery.returned"]),
    );
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert_eq!(world.city.orders_open(), 0);
}

#[test]
fn cancelled_order_lets_its_driver_and_its_offer_go() {
    let mut world = World::new();
    let bound = world.assigned(1);
    world.check(
        OPERATOR,
        Command::Order(bound, OrderCommand::Cancel),
        Ok(&["order.cancelled", "ledger.posted", "payment.refund.requested"]),
    );
    let (offered, offer) = world.offered(1);
    world.check(
        OPERATOR,
        Command::Order(offered, OrderCommand::Cancel),
        Ok(&[
            "order.cancelled",
            "ledger.posted",
            "driver.offer.ended",
            "payment.refund.requested",
        ]),
    );
    world.check(rider(1), Command::AcceptOffer(offer), Err(Rejection::OfferGone));
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert!(world.disk.timers.is_empty());
    assert_eq!(world.city.orders_open(), 0);
}

#[test]
fn without_time_to_think_the_nearest_driver_is_bound_at_once() {
    let mut world = World::new();
    world.policy.dispatch.offer_ttl = DurationMs(0);
    let id = world.ready();
    world.dispatch(&[1]);
    assert_eq!(world.order(id).delivery.state, DeliveryState::Assigned);
    world.check(
        rider(1),
        Command::Order(id, OrderCommand::PickUp),
        Ok(&["order.picked_up"]),
    );
    world.check(
        By::Restaurant(restaurant(1)),
        Command::Order(id, OrderCommand::PickUp),
        Err(Rejection::Forbidden),
    );
}

#[test]
fn order_that_no_driver_takes_for_an_hour_is_given_up_and_paid_back() {
    let mut world = World::new();
    let id = world.ready();
    world.dispatch(&[]);
    world.pass(DurationMs::from_mins(59));
    assert_eq!(world.order(id).state, OrderState::ReadyForPickup);
    world.pass(DurationMs::from_mins(2));
    let order = world.order(id);
    assert_eq!(
        (order.state, order.cancel_reason),
        (OrderState::Cancelled, Some(CancelReason::NoDriver))
    );
    assert_eq!(order.payment.goal, PaymentGoal::Return);
}

#[test]
fn search_begins_anew_when_a_driver_gives_back_and_ends_when_one_accepts() {
    let mut world = World::new();
    let id = world.assigned(1);
    world.pass(DurationMs::from_mins(90));
    assert_eq!(world.order(id).state, OrderState::ReadyForPickup, "a driver is bound");
    world.ok(rider(1), Command::Order(id, OrderCommand::GiveBack));
    world.pass(DurationMs::from_mins(59));
    assert_eq!(world.order(id).state, OrderState::ReadyForPickup);
    world.pass(DurationMs::from_mins(2));
    assert_eq!(world.order(id).cancel_reason, Some(CancelReason::NoDriver));
}
