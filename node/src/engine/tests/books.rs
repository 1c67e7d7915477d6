//! The books: who has what after an order, to the last minor unit.

use std::collections::BTreeMap;

use tomato_shared::event::Event;
use tomato_shared::event::books::{Account, Cause};
use tomato_shared::id::OrderId;

use super::world::{BURGER, World, accept, complete, customer, driver, order_of, restaurant};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome};
use crate::engine::model::By;

fn restaurant_payable() -> Account {
    Account::RestaurantPayable {
        restaurant_id: restaurant(1),
    }
}

fn driver_payable() -> Account {
    Account::DriverPayable { driver_id: driver(1) }
}

fn causes(world: &World, id: OrderId) -> Vec<Cause> {
    let of_order = world
        .disk
        .events
        .iter()
        .filter(|new| new.order.is_some_and(|(of, _)| of == id));
    of_order
        .filter_map(|new| {
            let Event::LedgerPosted { cause, .. } = &new.event else {
                return None;
            };
            Some(*cause)
        })
        .collect()
}

/// One burger: 20,000 and 2,500 for the way, 400 for the platform, 1,145 of taxes.
#[test]
fn delivered_card_order_is_shared_out() {
    let mut world = World::new();
    let id = world.delivered(1);
    let expected = BTreeMap::from([
        (Account::ProviderClearing, 24_045),
        (restaurant_payable(), -17_000),
        (driver_payable(), -2_500),
        (Account::Taxes, -1_145),
        (Account::Fees, -3_400),
    ]);
    assert_eq!(world.balances(id), expected);
    assert_eq!(causes(&world, id), [Cause::Captured, Cause::Delivered]);
}

#[test]
fn delivered_cash_order_leaves_the_cash_with_the_driver() {
    let mut world = World::new();
    let id = world.cash_picked_up(1);
    world.ok(By::Driver(driver(1)), complete(id));
    let in_hand = Account::CashInHand { driver_id: driver(1) };
    assert_eq!(world.balances(id)[&in_hand], 24_045);
    assert_eq!(world.balances(id).get(&Account::CustomerPayments), None);
    assert_eq!(causes(&world, id), [Cause::CashTaken, Cause::Delivered]);
}

#[test]
fn tip_with_the_order_is_the_drivers_alone() {
    let mut world = World::new();
    let mut wanted = order_of(Some(restaurant(1)), &[(BURGER, 1)]);
    wanted.basket.tip_minor = 900;
    let id = world.placed(wanted);
    let (kitchen, rider) = (By::Restaurant(restaurant(1)), By::Driver(driver(1)));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen, accept(id));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(rider, Command::AcceptOffer(world.offer(id)));
    world.ok(rider, Command::Order(id, OrderCommand::PickUp));
    world.ok(rider, complete(id));
    assert_eq!(world.balances(id)[&driver_payable()], -2_500 - 900);
    assert_eq!(world.balances(id)[&Account::Fees], -3_400);
}

#[test]
fn order_that_is_given_up_before_it_is_cooked_moves_nothing() {
    let mut world = World::new();
    let id = world.confirmed();
    world.ok(By::Customer(customer(1)), Command::Order(id, OrderCommand::Cancel));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Voided));
    assert_eq!(causes(&world, id), []);
}

#[test]
fn failed_delivery_pays_driver_and_restaurant_out_of_the_platform() {
    let mut world = World::new();
    let id = world.returning(1);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Refunded));
    let expected = BTreeMap::from([
        (restaurant_payable(), -17_000),
        (driver_payable(), -2_500),
        (Account::Fees, 2_500),
        (Account::Refunds, 17_000),
    ]);
    assert_eq!(world.balances(id), expected);
}

#[test]
fn posting_stands_in_the_decision_of_its_cause() {
    let mut world = World::new();
    let id = world.preparing();
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    let told: Vec<_> = world.last.events.iter().map(|new| new.event.name()).collect();
    assert_eq!(told, ["payment.captured", "ledger.posted"]);
}
