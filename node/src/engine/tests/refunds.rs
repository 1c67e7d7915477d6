//! Money that goes back: what a late cancellation costs, several refunds of one payment, and providers who say no.

use tomato_shared::event::books::Account;
use tomato_shared::event::{Bearer, CancelReason, RefundReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, OPERATOR, SODA, World, accept, basket_of, complete, customer, driver, fail, order_of, restaurant,
};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome, RefundAmount};
use crate::engine::model::{By, PaymentState, RefundState};
use crate::engine::task::TaskKind;

fn me() -> By {
    By::Customer(customer(1))
}

fn cancel(id: OrderId) -> Command {
    Command::Order(id, OrderCommand::Cancel)
}

fn refund(id: OrderId, amount: RefundAmount, borne_by: Bearer) -> Command {
    let reason = RefundReason::Quality;
    Command::Order(
        id,
        OrderCommand::Refund {
            amount,
            reason,
            borne_by,
        },
    )
}

fn minor(id: OrderId, amount_minor: i64) -> Command {
    refund(id, RefundAmount::Minor(amount_minor), Bearer::Platform)
}

fn amounts(world: &World, id: OrderId) -> Vec<i64> {
    let refunds = world.order(id).payment.refunds.iter();
    refunds.map(|refund| refund.amount_minor).collect()
}

/// The provider refuses a refund as often as it is asked for, until only a person can help.
fn refuse(world: &mut World, id: OrderId, nth: u32) {
    let code = "closed".to_owned();
    for tried in 1..=4 {
        let outcome = PaymentOutcome::RefundRefused { code: code.clone() };
        world.check(
            By::Provider,
            world.refund_outcome(id, nth, outcome),
            Ok(&["payment.refund.failed"]),
        );
        let asked_again = world.disk.tasks.values().any(|task| task.attempt == tried + 1);
        assert_eq!(asked_again, tried < 4, "{tried}");
    }
}

#[test]
fn customer_changes_their_mind_for_nothing_within_a_minute_of_acceptance() {
    let mut world = World::new();
    let id = world.preparing();
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.now = world.now + DurationMs(59_999);
    world.ok(me(), cancel(id));
    assert_eq!(amounts(&world, id), [world.order(id).price.total_minor]);
    // The restaurant is paid for what it began, by the platform.
    let restaurant_id = restaurant(1);
    let balances = world.balances(id);
    assert_eq!(balances[&Account::RestaurantPayable { restaurant_id }], -17_000);
    assert_eq!(balances[&Account::Refunds], 17_000);
}

#[test]
fn customer_pays_half_of_the_items_after_that() {
    let mut world = World::new();
    let id = world.preparing();
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.now = world.now + DurationMs(60_000);
    let told = ["order.cancelled", "ledger.posted", "payment.refund.requested"];
    world.check(me(), cancel(id), Ok(&told));
    let total = world.order(id).price.total_minor;
    assert_eq!(amounts(&world, id), [total - 10_000]);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Refunded));
    assert_eq!(world.order(id).payment.state, PaymentState::Refunded);
    let balances = world.balances(id);
    assert_eq!(balances.get(&Account::CustomerPayments), None);
    assert_eq!(balances[&Account::ProviderClearing], 10_000);
    assert_eq!(balances[&Account::Refunds], 7_000);
}

#[test]
fn fee_is_taken_of_money_that_is_only_promised() {
    let mut world = World::new();
    let id = world.preparing();
    world.now = world.now + DurationMs(60_000);
    world.ok(me(), cancel(id));
    let calls: Vec<_> = world.disk.tasks.keys().map(|key| key.kind).collect();
    assert_eq!(calls, [TaskKind::Capture]);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    assert_eq!(amounts(&world, id), [world.order(id).price.total_minor - 10_000]);
}

#[test]
fn restaurant_that_gives_up_gets_nothing_and_the_customer_all() {
    let mut world = World::new();
    let id = world.ready();
    world.ok(By::Restaurant(restaurant(1)), cancel(id));
    assert_eq!(world.order(id).cancel_reason, Some(CancelReason::Restaurant));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Refunded));
    assert!(world.balances(id).is_empty(), "{:?}", world.balances(id));
}

#[test]
fn absent_customer_pays_what_the_region_says() {
    let mut world = World::new();
    world.policy.cancelling.absent = tomato_shared::money::BasisPoints(10_000);
    let id = world.picked_up(1);
    world.ok(By::Driver(driver(1)), fail(id, "customer_absent"));
    assert_eq!(amounts(&world, id), [world.order(id).price.total_minor - 20_000]);
    let id = world.picked_up(2);
    world.ok(By::Driver(driver(2)), fail(id, "fell"));
    assert_eq!(amounts(&world, id), [world.order(id).price.total_minor]);
}

#[test]
fn parts_go_back_one_after_another_until_nothing_is_left() {
    let mut world = World::new();
    let id = world.delivered(1);
    let total = world.order(id).price.total_minor;
    world.check(OPERATOR, minor(id, 1_000), Ok(&["payment.refund.requested"]));
    world.ok(OPERATOR, minor(id, 2_000));
    world.check(OPERATOR, minor(id, total - 2_999), Err(Rejection::RefundTooLarge));
    world.ok(OPERATOR, refund(id, RefundAmount::Rest, Bearer::Restaurant));
    assert_eq!(amounts(&world, id), [1_000, 2_000, total - 3_000]);
    let keys: Vec<_> = world.disk.tasks.keys().map(|key| (key.kind, key.nth)).collect();
    assert_eq!(
        keys,
        [(TaskKind::Refund, 0), (TaskKind::Refund, 1), (TaskKind::Refund, 2)]
    );
    let ids: std::collections::BTreeSet<_> = world.disk.tasks.values().map(|task| task.refund_id).collect();
    assert_eq!(ids.len(), 3, "each has a key of its own at the provider");
    for nth in [2, 0, 1] {
        let done = world.refund_outcome(id, nth, PaymentOutcome::Refunded);
        world.check(By::Provider, done.clone(), Ok(&["payment.refunded", "ledger.posted"]));
        world.check(By::Provider, done, Ok(&[]));
    }
    assert_eq!(world.balances(id).get(&Account::ProviderClearing), None);
    assert_eq!(world.order(id).state, OrderState::Delivered);
}

#[test]
fn who_is_to_blame_bears_a_refund() {
    for (borne_by, account) in [
        (Bearer::Platform, Account::Refunds),
        (
            Bearer::Restaurant,
            Account::RestaurantPayable {
                restaurant_id: restaurant(1),
            },
        ),
        (Bearer::Driver, Account::DriverPayable { driver_id: driver(1) }),
    ] {
        let mut world = World::new();
        let id = world.delivered(1);
        let before = world.balances(id).get(&account).copied().unwrap_or(0);
        world.ok(OPERATOR, refund(id, RefundAmount::Minor(500), borne_by));
        world.ok(By::Provider, world.outcome(id, PaymentOutcome::Refunded));
        assert_eq!(world.balances(id)[&account], before + 500, "{borne_by:?}");
    }
}

#[test]
fn refund_of_lines_is_their_price_with_tax() {
    let mut world = World::new();
    let id = world.delivered(1);
    world.ok(
        OPERATOR,
        refund(id, RefundAmount::Lines(vec![(0, 1)]), Bearer::Platform),
    );
    assert_eq!(amounts(&world, id), [21_000]);
}

#[test]
fn line_named_twice_goes_back_once() {
    let mut world = World::new();
    let id = world.delivered(1);
    let twice = refund(id, RefundAmount::Lines(vec![(0, 1), (0, 1)]), Bearer::Platform);
    world.check(OPERATOR, twice, Err(Rejection::RefundTooLarge));
}

#[test]
fn cash_goes_back_by_hand_and_at_once() {
    let mut world = World::new();
    let id = world.cash_picked_up(1);
    world.ok(By::Driver(driver(1)), complete(id));
    let told = ["payment.refund.requested", "payment.refunded", "ledger.posted"];
    world.check(OPERATOR, minor(id, 1_000), Ok(&told));
    assert!(world.disk.tasks.is_empty());
    assert_eq!(world.balances(id)[&Account::CashOffice], -1_000);
}

#[test]
fn refused_refund_can_be_tried_anew_and_nobody_bears_what_was_never_earned() {
    let mut world = World::new();
    let id = world.ready();
    world.ok(OPERATOR, cancel(id));
    refuse(&mut world, id, 0);
    let order = world.order(id);
    assert_eq!(order.payment.refunds[0].state, RefundState::Refused);
    assert_eq!(order.payment.state, PaymentState::Refunding);
    let total = order.price.total_minor;
    assert_eq!(world.balances(id)[&Account::CustomerPayments], -total);
    world.ok(OPERATOR, refund(id, RefundAmount::Rest, Bearer::Restaurant));
    world.ok(By::Provider, world.refund_outcome(id, 1, PaymentOutcome::Refunded));
    assert_eq!(world.order(id).payment.state, PaymentState::Refunded);
    assert_eq!(world.balances(id).get(&Account::CustomerPayments), None);
}

#[test]
fn refund_beyond_what_the_provider_refused_is_borne_by_somebody() {
    let mut world = World::new();
    let wanted = order_of(Some(restaurant(1)), &[(BURGER, 1), (SODA, 1)]);
    let id = world.placed(wanted);
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen, accept(id));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    let change = OrderCommand::ProposeChange {
        lines: vec![(0, 0)],
        add: basket_of(None, &[(SODA, 1)]).items,
    };
    world.ok(kitchen, Command::Order(id, change));
    world.ok(me(), Command::Order(id, OrderCommand::AnswerChange(true)));
    refuse(&mut world, id, 0);
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
    world.ok(By::Driver(driver(1)), complete(id));
    let owed = -world.balances(id)[&Account::CustomerPayments];
    assert_eq!(owed, world.order(id).payment.refunds[0].amount_minor);
    world.ok(OPERATOR, minor(id, owed + 300));
    assert_eq!(amounts(&world, id), [owed, owed, 300]);
    for nth in [1, 2] {
        world.ok(By::Provider, world.refund_outcome(id, nth, PaymentOutcome::Refunded));
    }
    let balances = world.balances(id);
    assert_eq!(balances.get(&Account::CustomerPayments), None);
    assert_eq!(balances[&Account::Refunds], 300);
}

#[test]
fn operator_who_gives_more_than_the_refused_refund_ends_the_return() {
    let mut world = World::new();
    let id = world.preparing();
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.now = world.now + DurationMs(60_000);
    world.ok(me(), cancel(id));
    refuse(&mut world, id, 0);
    // The fee goes back as well.
    world.ok(OPERATOR, refund(id, RefundAmount::Rest, Bearer::Platform));
    for nth in [1, 2] {
        world.ok(By::Provider, world.refund_outcome(id, nth, PaymentOutcome::Refunded));
    }
    assert_eq!(world.order(id).payment.state, PaymentState::Refunded);
    let balances = world.balances(id);
    assert_eq!(balances.get(&Account::CustomerPayments), None);
    assert_eq!(balances.get(&Account::ProviderClearing), None);
}

fn capture_refused(world: &mut World, id: OrderId) -> Vec<&'static str> {
    let code = "expired".into();
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::CaptureRefused { code }));
    world.last.events.iter().map(|new| new.event.name()).collect()
}

#[test]
fn order_whose_promised_money_does_not_come_is_given_up_before_pickup() {
    let mut world = World::new();
    let id = world.preparing();
    let told = ["payment.capture.failed", "order.cancelled", "ledger.posted"];
    assert_eq!(capture_refused(&mut world, id), told);
    let order = world.order(id);
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentLost));
    assert_eq!(order.payment.state, PaymentState::Declined);
    assert!(world.disk.tasks.is_empty() && world.disk.timers.is_empty());
}

#[test]
fn refund_that_waited_for_money_that_does_not_come_is_dropped() {
    let mut world = World::new();
    let id = world.placed(order_of(Some(restaurant(1)), &[(BURGER, 2)]));
    world.ok(By::Provider, world.authorised(id));
    world.ok(By::Restaurant(restaurant(1)), accept(id));
    let change = OrderCommand::ProposeChange {
        lines: vec![(0, 1)],
        add: Vec::new(),
    };
    world.ok(By::Restaurant(restaurant(1)), Command::Order(id, change));
    world.ok(me(), Command::Order(id, OrderCommand::AnswerChange(true)));
    capture_refused(&mut world, id);
    assert!(amounts(&world, id).is_empty());
    assert!(world.disk.tasks.is_empty());
    world.check(OPERATOR, minor(id, 1), Err(Rejection::WrongState));
}

#[test]
fn order_on_its_way_is_delivered_although_the_money_does_not_come() {
    let mut world = World::new();
    let id = world.preparing();
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
    assert_eq!(capture_refused(&mut world, id), ["payment.capture.failed"]);
    world.ok(By::Driver(driver(1)), complete(id));
    let total = world.order(id).price.total_minor;
    assert_eq!(
        world.balances(id)[&Account::CustomerPayments],
        total,
        "unpaid, and seen in the books"
    );
}
