//! After delivery: stars and tips.

use tomato_shared::event::books::Account;
use tomato_shared::id::OrderId;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{World, complete, customer, driver, restaurant};
use crate::engine::city::Stars;
use crate::engine::command::{Command, OrderCommand, PaymentOutcome};
use crate::engine::draft::Rated;
use crate::engine::model::{By, TipState};
use crate::engine::task::TaskKind;

fn me() -> By {
    By::Customer(customer(1))
}

fn rate(id: OrderId, restaurant_stars: u8, driver_stars: Option<u8>) -> Command {
    Command::Order(
        id,
        OrderCommand::Rate {
            restaurant_stars,
            driver_stars,
            comment: "good".into(),
        },
    )
}

fn tip(id: OrderId, amount_minor: i64, card: Option<&str>) -> Command {
    let card = card.map(str::to_owned);
    Command::Order(id, OrderCommand::Tip { amount_minor, card })
}

#[test]
fn stars_add_up_for_restaurant_and_driver() {
    let mut world = World::new();
    let (first, second) = (world.delivered(1), world.delivered(1));
    world.check(me(), rate(first, 5, Some(4)), Ok(&["order.rated"]));
    world.ok(me(), rate(second, 2, None));
    let of = |whom| world.city.stars(whom);
    assert_eq!(of(Rated::Restaurant(restaurant(1))), Stars { sum: 7, count: 2 });
    assert_eq!(of(Rated::Driver(driver(1))), Stars { sum: 4, count: 1 });
    assert_eq!(world.order(first).rating.as_ref().unwrap().comment, "good");
}

#[test]
fn who_has_rated_is_not_asked_to() {
    let mut world = World::new();
    let id = world.delivered(1);
    world.ok(me(), rate(id, 5, None));
    let told = world.disk.events.len();
    world.pass(DurationMs::from_mins(60));
    assert_eq!(world.disk.events.len(), told);
}

#[test]
fn tip_is_a_payment_of_its_own_from_the_orders_card() {
    let mut world = World::new();
    let id = world.delivered(1);
    world.check(me(), tip(id, 700, None), Ok(&[]));
    let task = world.disk.tasks.values().next().unwrap().clone();
    assert_eq!(
        (task.kind, task.amount_minor, &*task.card),
        (TaskKind::Tip, 700, "card_ok")
    );
    assert_ne!(task.payment_id, world.order(id).payment.id);
    let before = world.balances(id)[&Account::DriverPayable { driver_id: driver(1) }];
    let taken = world.tip_outcome(id, 0, PaymentOutcome::TipTaken);
    world.check(By::Provider, taken.clone(), Ok(&["order.tipped", "ledger.posted"]));
    world.check(By::Provider, taken, Ok(&[]));
    let after = world.balances(id)[&Account::DriverPayable { driver_id: driver(1) }];
    assert_eq!(after, before - 700, "all of it is the driver's");
    assert!(world.disk.tasks.is_empty());
}

#[test]
fn declined_tip_changes_nothing_and_can_be_given_from_another_card() {
    let mut world = World::new();
    let id = world.delivered(1);
    let before = world.balances(id);
    world.ok(me(), tip(id, 700, None));
    let code = "card_declined".into();
    let declined = world.tip_outcome(id, 0, PaymentOutcome::TipDeclined { code });
    world.check(By::Provider, declined, Ok(&["order.tip.failed"]));
    assert_eq!(world.balances(id), before);
    world.ok(me(), tip(id, 700, Some("card_other")));
    world.ok(By::Provider, world.tip_outcome(id, 1, PaymentOutcome::TipTaken));
    let states: Vec<_> = world.order(id).payment.tips.iter().map(|tip| tip.state).collect();
    assert_eq!(states, [TipState::Declined, TipState::Done]);
}

#[test]
fn tip_for_a_cash_order_comes_from_a_named_card() {
    let mut world = World::new();
    let id = world.cash_picked_up(1);
    world.ok(By::Driver(driver(1)), complete(id));
    world.check(me(), tip(id, 500, None), Err(Rejection::OrderValue));
    world.ok(me(), tip(id, 500, Some("card_ok")));
}

#[test]
fn three_tips_are_taken_and_ten_are_tried() {
    let mut world = World::new();
    let id = world.delivered(1);
    for nth in 0..3 {
        world.ok(me(), tip(id, 100, None));
        world.ok(By::Provider, world.tip_outcome(id, nth, PaymentOutcome::TipTaken));
    }
    world.check(me(), tip(id, 100, None), Err(Rejection::WrongState));
    let other = world.delivered(1);
    for nth in 0..10 {
        world.ok(me(), tip(other, 100, None));
        let code = "card_declined".into();
        world.ok(
            By::Provider,
            world.tip_outcome(other, nth, PaymentOutcome::TipDeclined { code }),
        );
    }
    world.check(me(), tip(other, 100, None), Err(Rejection::WrongState));
}

#[test]
fn answer_for_the_order_is_none_for_its_tip() {
    let mut world = World::new();
    let id = world.delivered(1);
    world.ok(me(), tip(id, 700, None));
    // The right number, but of the order's own payment.
    world.check(By::Provider, world.outcome(id, PaymentOutcome::TipTaken), Ok(&[]));
    assert_eq!(world.order(id).payment.tips[0].state, TipState::Asked);
}
