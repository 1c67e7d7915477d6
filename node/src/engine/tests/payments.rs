//! The money of an order: decline, expiry, cancellation at every step, late and doubled answers.

use tomato_shared::event::{CancelReason, PaymentMethod};
use tomato_shared::id::{OrderId, PaymentId};
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{BURGER, OPERATOR, World, accept, customer, driver, order_of, restaurant};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome, PlaceOrder, ProviderEvent};
use crate::engine::model::{By, PaymentState, ReservationState};
use crate::engine::task::TaskKind;

fn me() -> By {
    By::Customer(customer(1))
}

/// The kinds of the calls that wait to be made.
fn calls(world: &World) -> Vec<TaskKind> {
    world.disk.tasks.keys().map(|key| key.kind).collect()
}

fn declined(world: &World, id: OrderId) -> Command {
    let code = "card_declined".into();
    world.outcome(id, PaymentOutcome::Declined { code })
}

fn reservation(world: &World, id: OrderId) -> ReservationState {
    let mut rows = world.disk.reservations.iter().filter(|(key, _)| key.order_id == id);
    rows.next().unwrap().1.state
}

#[test]
fn declined_card_ends_the_order_and_frees_its_stock() {
    let mut world = World::new();
    let id = world.pending();
    assert_eq!(calls(&world), [TaskKind::Authorise]);
    world.check(
        By::Provider,
        declined(&world, id),
        Ok(&["payment.failed", "inventory.released"]),
    );
    assert_eq!(world.order(id).state, OrderState::PaymentFailed);
    assert_eq!(world.stock(1, BURGER), (0, 0));
    assert_eq!(reservation(&world, id), ReservationState::Released);
    assert!(world.disk.tasks.is_empty() && world.disk.timers.is_empty());
    world.check(By::Provider, world.authorised(id), Ok(&[]));
    assert_eq!(world.city.pending_orders(customer(1)), 0);
}

fn pay(id: OrderId) -> Command {
    let card = "card_other".into();
    Command::Order(id, OrderCommand::Pay { card })
}

/// A city where another card may be named for two minutes.
fn patient() -> World {
    let mut world = World::new();
    world.policy.another_card = DurationMs::from_mins(2);
    world
}

#[test]
fn another_card_is_another_attempt_on_the_same_order() {
    let mut world = patient();
    let id = world.pending();
    world.check(me(), pay(id), Err(Rejection::WrongState));
    world.check(By::Provider, declined(&world, id), Ok(&["payment.declined"]));
    let order = world.order(id);
    assert_eq!(
        (order.state, order.payment.state),
        (OrderState::Pending, PaymentState::Declined)
    );
    assert_eq!(world.stock(1, BURGER), (1, 0), "its stock is held on");
    assert!(world.disk.tasks.is_empty());
    world.check(OPERATOR, pay(id), Err(Rejection::Forbidden));
    world.check(By::Customer(customer(2)), pay(id), Err(Rejection::NotFound));
    world.pass(DurationMs(119_999));
    world.check(me(), pay(id), Ok(&["payment.retried"]));
    let task = world.disk.tasks.values().next().unwrap();
    assert_eq!((task.attempt, task.card.as_str()), (2, "card_other"));
    world.check(me(), pay(id), Err(Rejection::WrongState));
    // What the first attempt was answered says nothing about the second.
    let stale = Command::PaymentOutcome {
        order_id: id,
        payment_id: world.order(id).payment.id,
        nth: 0,
        attempt: 1,
        outcome: PaymentOutcome::Declined { code: "late".into() },
    };
    world.check(By::Provider, stale, Ok(&[]));
    world.pass(DurationMs::from_mins(5));
    assert_eq!(
        world.order(id).state,
        OrderState::Pending,
        "the hold is as long as it was"
    );
    world.ok(By::Provider, world.authorised(id));
    assert_eq!(world.order(id).state, OrderState::Confirmed);
    assert_eq!(world.order(id).payment.declined, None);
}

#[test]
fn without_another_card_in_time_the_payment_has_failed() {
    let mut world = patient();
    let id = world.pending();
    world.ok(By::Provider, declined(&world, id));
    world.pass(DurationMs::from_mins(2));
    let order = world.order(id);
    assert_eq!((order.state, order.cancel_reason), (OrderState::PaymentFailed, None));
    assert_eq!(
        (world.stock(1, BURGER), reservation(&world, id)),
        ((0, 0), ReservationState::Released)
    );
    assert!(world.disk.tasks.is_empty() && world.disk.timers.is_empty());
    world.check(me(), pay(id), Err(Rejection::WrongState));

    // The hold is the longest: near its end there is less time, and after it none.
    let late = world.pending();
    world.pass(DurationMs::from_mins(9));
    world.ok(By::Provider, declined(&world, late));
    world.pass(DurationMs::from_mins(1));
    assert_eq!(world.order(late).state, OrderState::PaymentFailed);
    let given_up = world.pending();
    world.ok(By::Provider, declined(&world, given_up));
    world.ok(me(), Command::Order(given_up, OrderCommand::Cancel));
    assert_eq!(world.order(given_up).state, OrderState::Cancelled);
    assert!(world.disk.tasks.is_empty());
}

#[test]
fn cards_are_tried_five_times_and_not_while_money_of_the_last_goes_back() {
    let mut world = patient();
    let id = world.pending();
    for nth in 1..=5 {
        assert_eq!(world.order(id).payment.attempt, nth);
        world.ok(By::Provider, declined(&world, id));
        if nth < 5 {
            world.ok(me(), pay(id));
        }
    }
    assert_eq!(world.order(id).state, OrderState::PaymentFailed);

    let id = world.pending();
    world.ok(By::Provider, declined(&world, id));
    let event = ProviderEvent {
        provider: "stripe",
        event_id: "evt_1".into(),
        kind: "payment_intent.succeeded".into(),
        order_id: Some(id),
        money: true,
        alarm: false,
        dispute: None,
        body: "{}".into(),
    };
    world.ok(By::Provider, Command::ProviderEvent(Box::new(event)));
    assert_eq!(calls(&world), [TaskKind::Void]);
    world.check(me(), pay(id), Err(Rejection::WrongState));
    let back = Command::PaymentOutcome {
        order_id: id,
        payment_id: world.order(id).payment.id,
        nth: 1,
        attempt: 1,
        outcome: PaymentOutcome::Voided,
    };
    world.ok(By::Provider, back);
    world.ok(me(), pay(id));
    world.ok(By::System, Command::CardsDown(true));
    world.ok(By::Provider, declined(&world, id));
    world.check(me(), pay(id), Err(Rejection::CardsUnavailable));
}

#[test]
fn hold_expires_and_a_late_authorisation_is_voided_exactly_once() {
    let mut world = World::new();
    let id = world.pending();
    world.pass(DurationMs(599_999));
    assert_eq!(world.order(id).state, OrderState::Pending);
    world.pass(DurationMs(1));
    let order = world.order(id);
    assert_eq!(
        (order.state, order.cancel_reason),
        (OrderState::Cancelled, Some(CancelReason::HoldExpired))
    );
    assert_eq!(reservation(&world, id), ReservationState::Expired);
    assert_eq!(
        calls(&world),
        [TaskKind::Authorise],
        "what is under way stays under way"
    );
    world.pass(DurationMs::from_mins(72 * 60));
    world.check(By::Provider, world.authorised(id), Ok(&["payment.completed"]));
    assert_eq!(calls(&world), [TaskKind::Void]);
    world.check(By::Provider, world.authorised(id), Ok(&[]));
    world.check(
        By::Provider,
        world.outcome(id, PaymentOutcome::Voided),
        Ok(&["payment.refunded"]),
    );
    world.check(By::Provider, world.outcome(id, PaymentOutcome::Voided), Ok(&[]));
    assert!(world.disk.tasks.is_empty());
    assert_eq!(world.order(id).payment.state, PaymentState::Voided);
}

#[test]
fn authorisation_at_the_deadline_is_too_late_although_the_timer_has_not_fired() {
    let mut world = World::new();
    let id = world.pending();
    world.now = world.now + world.policy.hold;
    let told = ["order.cancelled", "inventory.released", "payment.completed"];
    world.check(By::Provider, world.authorised(id), Ok(&told));
    assert_eq!(world.order(id).cancel_reason, Some(CancelReason::HoldExpired));
    assert_eq!(calls(&world), [TaskKind::Void]);
    assert_eq!(world.stock(1, BURGER), (0, 0));
}

#[test]
fn cancelled_while_authorising_waits_for_the_answer_and_gives_it_back() {
    let mut world = World::new();
    let id = world.pending();
    world.check(
        me(),
        Command::Order(id, OrderCommand::Cancel),
        Ok(&["order.cancelled", "inventory.released"]),
    );
    assert_eq!(calls(&world), [TaskKind::Authorise]);
    world.ok(By::Provider, world.authorised(id));
    assert_eq!(calls(&world), [TaskKind::Void]);
    let other = world.pending();
    world.ok(me(), Command::Order(other, OrderCommand::Cancel));
    world.check(By::Provider, declined(&world, other), Ok(&["payment.refunded"]));
    assert_eq!(world.order(other).payment.state, PaymentState::Declined);
    assert_eq!(calls(&world), [TaskKind::Void]);
}

#[test]
fn cancelled_while_authorised_is_voided() {
    let mut world = World::new();
    let id = world.confirmed();
    world.check(
        me(),
        Command::Order(id, OrderCommand::Cancel),
        Ok(&["order.cancelled", "inventory.released"]),
    );
    assert_eq!((calls(&world), world.stock(1, BURGER)), (vec![TaskKind::Void], (0, 0)));
    assert!(world.disk.timers.is_empty());
}

#[test]
fn cancelled_while_capturing_is_captured_then_refunded() {
    let mut world = World::new();
    let id = world.preparing();
    assert_eq!(calls(&world), [TaskKind::Capture]);
    world.check(
        OPERATOR,
        Command::Order(id, OrderCommand::Cancel),
        Ok(&["order.cancelled", "ledger.posted"]),
    );
    assert_eq!(calls(&world), [TaskKind::Capture]);
    world.check(
        By::Provider,
        world.outcome(id, PaymentOutcome::Captured),
        Ok(&["payment.captured", "ledger.posted", "payment.refund.requested"]),
    );
    assert_eq!(calls(&world), [TaskKind::Refund]);
    world.check(
        By::Provider,
        world.outcome(id, PaymentOutcome::Refunded),
        Ok(&["payment.refunded", "ledger.posted"]),
    );
    world.check(By::Provider, world.outcome(id, PaymentOutcome::Refunded), Ok(&[]));
    assert!(world.disk.tasks.is_empty());
    assert_eq!(world.stock(1, BURGER), (0, 1), "what was cooked is gone");
}

#[test]
fn delivered_while_capturing_keeps_the_money_when_the_answer_comes() {
    let mut world = World::new();
    let id = world.preparing();
    world.ok(
        By::Restaurant(restaurant(1)),
        Command::Order(id, OrderCommand::MarkReady),
    );
    world.dispatch(&[1]);
    let (rider, offer) = (By::Driver(driver(1)), world.offer(id));
    world.ok(rider, Command::AcceptOffer(offer));
    world.ok(rider, Command::Order(id, OrderCommand::PickUp));
    let proof = crate::engine::model::Proof::Photo { reference: "p".into() };
    world.ok(rider, Command::Order(id, OrderCommand::Complete(proof)));
    world.check(
        By::Provider,
        world.outcome(id, PaymentOutcome::Captured),
        Ok(&["payment.captured", "ledger.posted"]),
    );
    assert!(world.disk.tasks.is_empty());
    assert_eq!(world.order(id).state, OrderState::Delivered);
}

#[test]
fn answers_out_of_turn_or_for_another_payment_change_nothing() {
    let mut world = World::new();
    let id = world.pending();
    let early = [
        PaymentOutcome::Captured,
        PaymentOutcome::Voided,
        PaymentOutcome::Refunded,
    ];
    for outcome in early {
        world.check(By::Provider, world.outcome(id, outcome), Ok(&[]));
    }
    let foreign = Command::PaymentOutcome {
        order_id: id,
        payment_id: PaymentId::from_bytes([5; 16]),
        nth: 0,
        attempt: 1,
        outcome: PaymentOutcome::Authorised {
            transaction_id: "tx".into(),
        },
    };
    world.check(By::Provider, foreign, Ok(&[]));
    assert_eq!(
        (world.order(id).state, calls(&world)),
        (OrderState::Pending, vec![TaskKind::Authorise])
    );
    world.ok(By::Provider, world.authorised(id));
    world.check(By::Provider, declined(&world, id), Ok(&[]));
    assert_eq!(world.order(id).state, OrderState::Confirmed);
}

#[test]
fn tasks_carry_the_total_the_key_and_the_providers_id() {
    let mut world = World::new();
    let id = world.confirmed();
    world.ok(By::Restaurant(restaurant(1)), accept(id));
    let (order, task) = (world.order(id), world.disk.tasks.values().next().unwrap());
    assert_eq!((task.payment_id, task.attempt), (order.payment.id, 1));
    assert_eq!(
        (task.amount_minor, task.currency),
        (order.price.total_minor, order.price.currency)
    );
    assert_eq!(task.transaction_id, "tx_1");
}

#[test]
fn cash_that_nobody_will_take_is_waived() {
    let mut world = World::new();
    let wanted = PlaceOrder {
        method: PaymentMethod::Cash,
        ..order_of(Some(restaurant(1)), &[(BURGER, 1)])
    };
    let id = world.placed(wanted);
    world.check(
        me(),
        Command::Order(id, OrderCommand::Cancel),
        Ok(&["order.cancelled", "inventory.released"]),
    );
    assert_eq!(world.order(id).payment.state, PaymentState::CashWaived);
    assert!(world.disk.tasks.is_empty());
}
