//! Changes after acceptance: proposed, agreed to or not, and what goes back.

use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::id::OrderId;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, CAKE, OPERATOR, SODA, World, accept, basket_of, complete, customer, driver, order_of, restaurant,
};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome, PlaceOrder, WantedItem};
use crate::engine::model::{By, PaymentState, RefundState};
use crate::engine::task::TaskKind;
use crate::engine::timer::TimerKey;

fn me() -> By {
    By::Customer(customer(1))
}

fn kitchen() -> By {
    By::Restaurant(restaurant(1))
}

/// Two burgers and a soda, being cooked.
fn cooking(world: &mut World, method: PaymentMethod) -> OrderId {
    let wanted = PlaceOrder {
        method,
        ..order_of(Some(restaurant(1)), &[(BURGER, 2), (SODA, 1)])
    };
    let id = world.placed(wanted);
    if method == PaymentMethod::Card {
        world.ok(By::Provider, world.authorised(id));
    }
    world.ok(kitchen(), accept(id));
    id
}

fn propose(id: OrderId, lines: &[(usize, u32)], add: Vec<WantedItem>) -> Command {
    let lines = lines.to_vec();
    Command::Order(id, OrderCommand::ProposeChange { lines, add })
}

fn agree(id: OrderId) -> Command {
    Command::Order(id, OrderCommand::AnswerChange(true))
}

fn refuse(id: OrderId) -> Command {
    Command::Order(id, OrderCommand::AnswerChange(false))
}

fn cake() -> Vec<WantedItem> {
    basket_of(None, &[(CAKE, 1)]).items
}

#[test]
fn proposal_changes_nothing_until_the_customer_agrees() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    let before = world.order(id).clone();
    world.check(
        kitchen(),
        propose(id, &[(0, 1)], cake()),
        Ok(&["order.change.proposed"]),
    );
    let order = world.order(id);
    assert_eq!((&order.lines, order.price), (&before.lines, before.price));
    assert_eq!(world.stock(1, CAKE), (0, 0));
    let refund = before.price.total_minor - order.change.as_ref().unwrap().price.total_minor;
    let told = &world.last.events[0].event;
    assert!(matches!(told, Event::ChangeProposed { refund_minor, .. } if *refund_minor == refund));
    assert_eq!(
        world.disk.timers[&TimerKey::ChangeExpiry(id)],
        world.now + world.policy.change_ttl
    );
}

#[test]
fn agreed_change_is_cooked_sold_and_the_difference_goes_back_after_the_capture() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    let before = world.order(id).price;
    world.ok(kitchen(), propose(id, &[(0, 1)], cake()));
    world.check(me(), agree(id), Ok(&["order.changed", "payment.refund.requested"]));
    let order = world.order(id);
    let lines: Vec<_> = order.lines.iter().map(|line| (line.item_id, line.quantity)).collect();
    assert_eq!(lines, [(BURGER, 1), (SODA, 1), (CAKE, 1)]);
    assert_eq!(order.price.items_minor, 20_000 + 4_000 + 15_000);
    assert_eq!(order.price.delivery_fee_minor, before.delivery_fee_minor);
    assert_eq!(world.stock(1, CAKE), (0, 1));
    assert_eq!(world.stock(1, BURGER), (0, 2), "what was taken off has run out");
    let less = before.total_minor - order.price.total_minor;
    assert_eq!(order.payment.refunds[0].amount_minor, less);
    assert_eq!(order.payment.refunds[0].state, RefundState::Waiting);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    let task = world.disk.tasks.values().next().unwrap();
    assert_eq!((task.kind, task.amount_minor), (TaskKind::Refund, less));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Refunded));
    assert_eq!(world.order(id).payment.state, PaymentState::Captured);
}

#[test]
fn refused_or_unanswered_change_leaves_the_order_as_it_was() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    let lines = world.order(id).lines.clone();
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.check(me(), refuse(id), Ok(&["order.change.ended"]));
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.pass(world.policy.change_ttl);
    assert_eq!(world.last.events[0].event, Event::ChangeEnded { declined: false });
    world.check(me(), agree(id), Err(Rejection::ChangeGone));
    assert_eq!(world.order(id).lines, lines);
    assert!(!world.disk.timers.contains_key(&TimerKey::ChangeExpiry(id)));
}

#[test]
fn newer_proposal_takes_the_place_of_an_open_one() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.pass(DurationMs::from_mins(3));
    world.ok(kitchen(), propose(id, &[(1, 0)], Vec::new()));
    world.pass(DurationMs::from_mins(4));
    world.ok(me(), agree(id));
    assert_eq!(world.order(id).lines.len(), 1);
    assert_eq!(world.order(id).lines[0].quantity, 2);
}

#[test]
fn proposal_ends_when_the_order_is_ready_or_given_up() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    let ready = Command::Order(id, OrderCommand::MarkReady);
    world.check(kitchen(), ready, Ok(&["order.change.ended", "order.ready"]));
    let other = cooking(&mut world, PaymentMethod::Card);
    world.ok(kitchen(), propose(other, &[(0, 1)], Vec::new()));
    let told = ["order.cancelled", "order.change.ended"];
    world.check(kitchen(), Command::Order(other, OrderCommand::Cancel), Ok(&told));
    assert_eq!(world.order(other).change, None);
    assert!(!world.disk.timers.contains_key(&TimerKey::ChangeExpiry(other)));
}

#[test]
fn driver_takes_as_much_cash_as_it_costs_after_the_change() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Cash);
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.check(me(), agree(id), Ok(&["order.changed"]));
    let total = world.order(id).price.total_minor;
    world.ok(kitchen(), Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    let rider = By::Driver(driver(1));
    world.ok(rider, Command::AcceptOffer(world.offer(id)));
    world.ok(rider, Command::Order(id, OrderCommand::PickUp));
    world.ok(rider, complete(id));
    assert_eq!(world.city.driver(driver(1)).unwrap().cash_minor, total);
    assert_eq!(world.order(id).payment.amount_minor, total);
}

#[test]
fn order_given_up_after_a_change_gives_back_the_rest_and_no_more() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.ok(me(), agree(id));
    world.ok(OPERATOR, Command::Order(id, OrderCommand::Cancel));
    let payment = &world.order(id).payment;
    let amounts: i64 = payment.refunds.iter().map(|refund| refund.amount_minor).sum();
    assert_eq!((payment.refunds.len(), amounts), (2, payment.amount_minor));
    for nth in [1, 0] {
        world.ok(By::Provider, world.refund_outcome(id, nth, PaymentOutcome::Refunded));
    }
    assert_eq!(world.order(id).payment.state, PaymentState::Refunded);
}

#[test]
fn discount_shrinks_with_what_it_was_for() {
    let mut world = World::new();
    world.ok(OPERATOR, super::world::put_promotion(super::world::promotion("TEN")));
    let id = world.placed(super::world::with_code(
        "TEN",
        order_of(Some(restaurant(1)), &[(BURGER, 1), (SODA, 1)]),
    ));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen(), accept(id));
    assert_eq!(world.order(id).price.discount_minor, 2_400);
    world.ok(kitchen(), propose(id, &[(0, 0)], Vec::new()));
    world.ok(me(), agree(id));
    assert_eq!(world.order(id).price.discount_minor, 400);
}

#[test]
fn free_delivery_stays_free_when_the_order_shrinks() {
    let mut world = World::new();
    let mut wanted = super::world::promotion("WAY");
    wanted.saving = crate::engine::model::Saving::FreeDelivery;
    world.ok(OPERATOR, super::world::put_promotion(wanted));
    let order = order_of(Some(restaurant(1)), &[(BURGER, 2)]);
    let id = world.placed(super::world::with_code("WAY", order));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen(), accept(id));
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.ok(me(), agree(id));
    let price = world.order(id).price;
    assert_eq!((price.delivery_fee_minor, price.discount_minor), (2_500, 2_500));
}

#[test]
fn operator_answers_for_the_customer() {
    let mut world = World::new();
    let id = cooking(&mut world, PaymentMethod::Card);
    world.ok(kitchen(), propose(id, &[(0, 1)], Vec::new()));
    world.ok(OPERATOR, agree(id));
    assert_eq!(world.order(id).lines[0].quantity, 1);
}
