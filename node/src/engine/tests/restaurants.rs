//! Restaurants that say no or nothing: the next nearest takes over, and the stock moves along.

use tomato_shared::event::{CancelReason, DeclineReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::time::DurationMs;

use super::world::{BURGER, CAKE, OPERATOR, World, accept, customer, order_of, reject, restaurant, set_open};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::model::{By, ReservationState};
use crate::engine::task::TaskKind;

fn kitchen(n: u8) -> By {
    By::Restaurant(restaurant(n))
}

/// A paid order of one burger and one cake at restaurant 1.
fn confirmed(world: &mut World) -> OrderId {
    let id = world.placed(order_of(Some(restaurant(1)), &[(BURGER, 1), (CAKE, 1)]));
    world.ok(By::Provider, world.authorised(id));
    id
}

const TAKE_OVER: [&str; 4] = [
    "restaurant.declined",
    "inventory.released",
    "inventory.reserved",
    "restaurant.assigned",
];
const GIVE_UP: [&str; 4] = [
    "restaurant.declined",
    "restaurant.assignment.failed",
    "order.cancelled",
    "inventory.released",
];

#[test]
fn rejected_order_goes_to_the_next_nearest_with_its_stock_at_its_price() {
    let mut world = World::new();
    let id = confirmed(&mut world);
    let price = world.order(id).price;
    world.check(kitchen(1), reject(id), Ok(&TAKE_OVER));
    assert_eq!((world.stock(1, BURGER), world.stock(1, CAKE)), ((0, 0), (0, 0)));
    assert_eq!((world.stock(2, BURGER), world.stock(2, CAKE)), ((0, 1), (0, 1)));
    let order = world.order(id);
    assert_eq!(
        (order.restaurant_id, order.state, order.price),
        (restaurant(2), OrderState::Confirmed, price)
    );
    assert_eq!(order.declined_by, [(restaurant(1), DeclineReason::Rejected)]);
    let states: Vec<_> = world.disk.reservations.values().map(|row| row.state).collect();
    assert_eq!(
        states
            .iter()
            .filter(|state| **state == ReservationState::Released)
            .count(),
        2
    );
    assert_eq!(
        states
            .iter()
            .filter(|state| **state == ReservationState::Consumed)
            .count(),
        2
    );
    world.check(
        kitchen(1),
        accept(id),
        Err(tomato_shared::rejection::Rejection::NotFound),
    );
    world.check(kitchen(2), accept(id), Ok(&["order.preparing"]));
}

#[test]
fn silent_restaurant_loses_the_order_at_its_deadline() {
    let mut world = World::new();
    let id = confirmed(&mut world);
    world.pass(DurationMs(299_999));
    assert_eq!(world.order(id).restaurant_id, restaurant(1));
    world.pass(DurationMs(1));
    assert_eq!(world.order(id).restaurant_id, restaurant(2));
    assert_eq!(world.order(id).accept_by, Some(world.now + world.policy.accept_within));
    world.pass(DurationMs::from_mins(5));
    let order = world.order(id);
    // Restaurant 3 bakes no cake.
    assert_eq!(
        (order.state, order.cancel_reason),
        (OrderState::Cancelled, Some(CancelReason::NoRestaurant))
    );
    assert_eq!(order.declined_by.len(), 2);
    assert_eq!(
        world.disk.tasks.keys().map(|key| key.kind).collect::<Vec<_>>(),
        [TaskKind::Void]
    );
    assert_eq!((world.stock(2, BURGER), world.stock(2, CAKE)), ((0, 0), (0, 0)));
    assert!(world.disk.timers.is_empty());
}

#[test]
fn nobody_is_asked_who_is_closed_short_or_was_asked() {
    let mut world = World::new();
    world.ok(OPERATOR, set_open(restaurant(2), false));
    let id = world.confirmed();
    world.check(kitchen(1), reject(id), Ok(&TAKE_OVER));
    assert_eq!(world.order(id).restaurant_id, restaurant(3));
    world.check(kitchen(3), reject(id), Ok(&GIVE_UP));

    let mut world = World::new();
    let id = confirmed(&mut world);
    world.ok(
        By::Customer(customer(2)),
        super::world::place(order_of(Some(restaurant(2)), &[(CAKE, 3)])),
    );
    world.check(kitchen(1), reject(id), Ok(&GIVE_UP));
    assert_eq!((world.stock(1, CAKE), world.stock(2, CAKE)), ((0, 0), (3, 0)));
}

#[test]
fn no_more_restaurants_are_asked_than_the_policy_says() {
    let mut world = World::new();
    world.policy.restaurants_asked_max = 2;
    let id = world.confirmed();
    world.check(kitchen(1), reject(id), Ok(&TAKE_OVER));
    world.check(kitchen(2), reject(id), Ok(&GIVE_UP));
}

#[test]
fn ready_time_far_beyond_reason_is_held_to_a_day() {
    let mut world = World::new();
    for (asked, kept) in [
        (DurationMs(i64::MAX), DurationMs::from_mins(24 * 60)),
        (DurationMs(i64::MIN), DurationMs(0)),
    ] {
        let id = world.confirmed();
        world.ok(kitchen(1), Command::Order(id, OrderCommand::Accept(asked)));
        assert_eq!(world.order(id).ready_at, Some(world.now + kept));
    }
}
