//! Shifts that end by themselves, and the cash that drivers carry.

use tomato_shared::event::Event;
use tomato_shared::event::books::{Account, Cause};
use tomato_shared::order::DeliveryState;
use tomato_shared::time::DurationMs;

use super::world::{OPERATOR, World, complete, driver, sign};
use crate::engine::command::{Command, DriverCommand, OrderCommand};
use crate::engine::model::{By, Span, Vehicle};
use crate::engine::timer::TimerKey;

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}

/// Driver 1 says when they want to stop.
pub(super) fn until(world: &World, minutes: i64) -> Command {
    let command = DriverCommand::SetOnline {
        online: true,
        vehicle: Some(Vehicle::Bicycle),
        until: Some(world.now + DurationMs::from_mins(minutes)),
    };
    Command::Driver(driver(1), command)
}

fn deposit(amount_minor: i64) -> Command {
    Command::Driver(driver(1), DriverCommand::DepositCash(amount_minor))
}

fn is_online(world: &World) -> bool {
    world.city.driver(driver(1)).unwrap().online
}

#[test]
fn shift_ends_by_itself_and_is_kept() {
    let mut world = World::new();
    let started_at = world.now;
    world.check(rider(1), until(&world, 30), Ok(&[]));
    world.pass(DurationMs(30 * 60_000 - 1));
    assert!(is_online(&world));
    world.pass(DurationMs(1));
    assert!(!is_online(&world));
    assert_eq!(world.last.events[0].event.name(), "driver.status.changed");
    let (who, shift, ended_at) = world.last.shifts[0];
    assert_eq!((who, shift.started_at, ended_at), (driver(1), started_at, world.now));
    assert!(world.disk.timers.is_empty());
}

#[test]
fn shift_that_ends_takes_an_open_offer_back() {
    let mut world = World::new();
    world.ok(rider(1), until(&world, 30));
    world.pass(DurationMs(30 * 60_000 - 1));
    let (id, offer) = world.offered(1);
    world.pass(DurationMs(1));
    assert_eq!(world.order(id).delivery.state, DeliveryState::Searching);
    let gone = tomato_shared::rejection::Rejection::OfferGone;
    world.check(rider(1), Command::AcceptOffer(offer), Err(gone));
}

#[test]
fn who_carries_an_order_stops_after_it() {
    let mut world = World::new();
    world.ok(rider(1), until(&world, 30));
    let id = world.picked_up(1);
    world.pass(DurationMs::from_mins(31));
    assert!(is_online(&world));
    world.check(
        rider(1),
        complete(id),
        Ok(&["order.delivered", "ledger.posted", "driver.status.changed"]),
    );
    assert!(!is_online(&world));
}

#[test]
fn who_brings_food_back_stops_after_that() {
    let mut world = World::new();
    world.ok(rider(1), until(&world, 30));
    let id = world.returning(1);
    world.pass(DurationMs::from_mins(31));
    assert!(is_online(&world));
    let back = Command::Order(id, OrderCommand::Return);
    world.check(rider(1), back, Ok(&["delivery.returned", "driver.status.changed"]));
}

#[test]
fn nobody_is_asked_after_work_although_the_timer_has_not_fired() {
    let mut world = World::new();
    world.ok(rider(1), until(&world, 30));
    world.now = world.now + DurationMs::from_mins(30);
    let id = world.ready();
    world.dispatch(&[1]);
    assert!(world.order(id).delivery.offer.is_none());
    world.dispatch(&[1, 2]);
    assert_eq!(world.order(id).delivery.offer.unwrap().driver_id, driver(2));
}

#[test]
fn who_works_on_moves_the_end_of_the_shift() {
    let mut world = World::new();
    let started_at = world.now;
    world.ok(rider(1), until(&world, 30));
    world.pass(DurationMs::from_mins(20));
    world.ok(rider(1), until(&world, 60));
    let row = world.city.driver(driver(1)).unwrap();
    assert_eq!(row.shift.unwrap().started_at, started_at);
    assert_eq!(row.vehicle, Vehicle::Bicycle);
    world.pass(DurationMs::from_mins(30));
    assert!(is_online(&world));
    // Without an end again.
    world.ok(rider(1), sign(driver(1), true));
    assert!(!world.disk.timers.contains_key(&TimerKey::ShiftEnds(driver(1))));
}

#[test]
fn who_signs_off_early_leaves_no_deadline() {
    let mut world = World::new();
    world.ok(rider(1), until(&world, 30));
    world.ok(rider(1), sign(driver(1), false));
    assert!(world.disk.timers.is_empty());
    assert_eq!(world.last.shifts.len(), 1);
}

#[test]
fn planned_shifts_are_in_order_of_time() {
    let mut world = World::new();
    let span = |minutes| Span {
        starts_at: world.now + DurationMs::from_mins(minutes),
        ends_at: world.now + DurationMs::from_mins(minutes + 60),
    };
    let plan = DriverCommand::Plan(vec![span(600), span(60)]);
    let sorted = vec![span(60), span(600)];
    world.ok(OPERATOR, Command::Driver(driver(1), plan));
    assert_eq!(world.city.driver(driver(1)).unwrap().planned, sorted);
}

#[test]
fn cash_is_handed_in_in_parts_and_moves_to_the_office() {
    let mut world = World::new();
    let id = world.cash_picked_up(1);
    world.ok(rider(1), complete(id));
    let total = world.order(id).price.total_minor;
    let told = ["driver.cash.deposited", "ledger.posted"];
    world.check(OPERATOR, deposit(4_000), Ok(&told));
    let Event::LedgerPosted { cause, entries, .. } = &world.last.events[1].event else {
        panic!("{:?}", world.last.events);
    };
    assert_eq!(*cause, Cause::CashDeposited);
    let moved: Vec<_> = entries
        .iter()
        .map(|entry| (entry.account, entry.amount_minor))
        .collect();
    let driver_id = driver(1);
    let expected = [
        (Account::CashOffice, 4_000),
        (Account::CashInHand { driver_id }, -4_000),
    ];
    assert_eq!(moved, expected);
    world.ok(OPERATOR, deposit(total - 4_000));
    assert_eq!(world.city.driver(driver(1)).unwrap().cash_minor, 0);
}

#[test]
fn who_has_too_much_cash_is_offered_cards_only() {
    let mut world = World::new();
    world.policy.driver_pay.cash_max_minor = 30_000;
    let id = world.cash_picked_up(1);
    world.ok(rider(1), complete(id));
    let card = world.ready();
    world.dispatch(&[1]);
    assert_eq!(world.order(card).delivery.offer.unwrap().driver_id, driver(1));
    world.ok(rider(1), Command::DeclineOffer(world.offer(card)));
    world.ok(OPERATOR, Command::Order(card, OrderCommand::Cancel));
    let mut wanted = super::world::order_of(Some(super::world::restaurant(1)), &[(super::world::BURGER, 1)]);
    wanted.method = tomato_shared::event::PaymentMethod::Cash;
    let cash = world.placed(wanted);
    let kitchen = By::Restaurant(super::world::restaurant(1));
    world.ok(kitchen, super::world::accept(cash));
    world.ok(kitchen, Command::Order(cash, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    assert!(world.order(cash).delivery.offer.is_none());
    world.ok(OPERATOR, deposit(24_045));
    world.dispatch(&[1]);
    assert_eq!(world.order(cash).delivery.offer.unwrap().driver_id, driver(1));
}
