//! Orders for a wanted time: when the restaurant is asked, what it has to be open for, and nights in between.

use tomato_shared::event::{CancelReason, DeclineReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::hours::{at, week};
use super::world::{
    BURGER, OPERATOR, World, accept, centre, customer, for_time, order_of, place, policy, put, put_restaurant,
    restaurant, set_open,
};
use crate::engine::command::{Command, OrderCommand, PlaceOrder, RestaurantCommand};
use crate::engine::model::{By, Hours};
use crate::engine::quote;
use crate::engine::task::TaskKind;
use crate::engine::timer::TimerKey;

fn me() -> By {
    By::Customer(customer(1))
}

fn kitchen(n: u8) -> By {
    By::Restaurant(restaurant(n))
}

fn burger(deliver_at: UnixMs) -> PlaceOrder {
    for_time(deliver_at, order_of(Some(restaurant(1)), &[(BURGER, 1)]))
}

/// Berlin, with restaurant 1 alone, which keeps these hours.
fn berlin(now: &str, hours: Hours) -> World {
    let mut world = World::empty(policy());
    world.policy.zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    world.now = at(now);
    let mut wanted = put_restaurant(1);
    wanted.restaurant.hours = hours;
    world.ok(OPERATOR, put(wanted));
    world
}

/// A paid order for five hours from now.
fn scheduled(world: &mut World) -> OrderId {
    let id = world.placed(burger(world.now + DurationMs::from_mins(300)));
    world.ok(By::Provider, world.authorised(id));
    id
}

fn timers(world: &World) -> Vec<TimerKey> {
    world.disk.timers.keys().copied().collect()
}

#[test]
fn paid_order_waits_for_its_time_and_only_for_that() {
    let mut world = World::new();
    let deliver_at = world.now + DurationMs::from_mins(300);
    let id = world.placed(burger(deliver_at));
    let told = ["payment.completed", "order.confirmed", "order.scheduled"];
    world.check(By::Provider, world.authorised(id), Ok(&told));
    let order = world.order(id);
    assert_eq!(order.state, OrderState::Confirmed);
    assert_eq!((order.estimated_delivery_at, order.accept_by), (deliver_at, None));
    assert_eq!(timers(&world), [TimerKey::Release(id)]);
    assert_eq!(world.stock(1, BURGER), (0, 1));
}

#[test]
fn restaurant_is_asked_early_enough_to_answer_cook_and_deliver() {
    let mut world = World::new();
    let id = scheduled(&mut world);
    let order = world.order(id);
    let (release_at, deliver_at) = (order.release_at.unwrap(), order.deliver_at.unwrap());
    let row = world.city.catalogue().restaurants[&restaurant(1)].clone();
    let answered = release_at + world.policy.accept_within + world.policy.release_margin;
    assert_eq!(quote::estimate(&row, centre(), &world.policy, answered), deliver_at);
    world.pass(DurationMs(release_at.0 - world.now.0 - 1));
    assert!(world.order(id).release_at.is_some());
    world.pass(DurationMs(1));
    assert_eq!(world.last.events[0].event.name(), "restaurant.assigned");
    assert_eq!(world.order(id).release_at, None);
    assert_eq!(timers(&world), [TimerKey::AcceptBy(id), TimerKey::Escalate(id)]);
    world.check(kitchen(1), accept(id), Ok(&["order.preparing"]));
}

#[test]
fn order_for_soon_is_asked_for_at_once() {
    let mut world = World::new();
    let id = world.placed(burger(world.now + DurationMs::from_mins(25)));
    let told = ["payment.completed", "order.confirmed", "restaurant.assigned"];
    world.check(By::Provider, world.authorised(id), Ok(&told));
}

#[test]
fn restaurant_is_asked_for_its_first_order_when_it_opens_and_not_before() {
    let mut world = berlin("2026-06-01T09:00:00+02:00", week(&["mon 12:00 22:00"]));
    let id = world.placed(burger(at("2026-06-01T12:25:00+02:00")));
    world.ok(By::Provider, world.authorised(id));
    assert_eq!(world.order(id).release_at, Some(at("2026-06-01T12:00:00+02:00")));
    world.now = at("2026-06-01T11:58:00+02:00");
    let late = world.placed(burger(at("2026-06-01T12:25:00+02:00")));
    world.check(
        By::Provider,
        world.authorised(late),
        Ok(&["payment.completed", "order.confirmed", "order.scheduled"]),
    );
    world.pass(DurationMs::from_mins(2));
    assert!(world.order(id).accept_by.is_some() && world.order(late).accept_by.is_some());
}

#[test]
fn restaurant_that_is_closed_at_the_time_is_passed_over() {
    let mut world = World::new();
    let id = scheduled(&mut world);
    world.ok(kitchen(1), set_open(restaurant(1), false));
    world.pass(world.order(id).release_at.unwrap() - world.now);
    let order = world.order(id);
    assert_eq!(order.restaurant_id, restaurant(2));
    assert_eq!(order.declined_by, [(restaurant(1), DeclineReason::Rejected)]);
    assert_eq!((world.stock(1, BURGER), world.stock(2, BURGER)), ((0, 0), (0, 1)));
}

#[test]
fn order_that_nobody_can_take_at_its_time_ends_and_is_paid_back() {
    let mut world = World::new();
    let id = scheduled(&mut world);
    for n in 1..=3 {
        world.ok(kitchen(n), set_open(restaurant(n), false));
    }
    world.pass(DurationMs::from_mins(290));
    assert_eq!(world.order(id).cancel_reason, Some(CancelReason::NoRestaurant));
    let calls: Vec<_> = world.disk.tasks.keys().map(|key| key.kind).collect();
    assert_eq!(calls, [TaskKind::Void]);
    assert!(world.disk.timers.is_empty());
}

#[test]
fn order_is_given_up_for_nothing_before_its_time() {
    let mut world = World::new();
    let id = scheduled(&mut world);
    let told = ["order.cancelled", "inventory.released"];
    world.check(me(), Command::Order(id, OrderCommand::Cancel), Ok(&told));
    assert_eq!(world.order(id).payment.keep_minor, 0);
    assert!(world.disk.timers.is_empty());
    world.pass(DurationMs::from_mins(600));
    assert_eq!(world.order(id).state, OrderState::Cancelled);
}

#[test]
fn pause_and_switch_of_now_say_nothing_about_later_but_suspension_does() {
    let mut world = World::new();
    let later = world.now + DurationMs::from_mins(300);
    let pause = RestaurantCommand::SetStatus {
        open: Some(false),
        pause: Some(DurationMs::from_mins(10)),
        busy: None,
    };
    world.ok(kitchen(1), Command::Restaurant(restaurant(1), pause));
    world.ok(me(), place(burger(later)));
    let suspend = Command::Restaurant(restaurant(1), RestaurantCommand::Suspend(true));
    world.ok(OPERATOR, suspend);
    world.check(me(), place(burger(later)), Err(Rejection::RestaurantClosed));
}

#[test]
fn closed_restaurant_takes_orders_for_when_it_is_open() {
    let mut world = berlin("2026-06-01T09:00:00+02:00", week(&["mon 12:00 22:00"]));
    let now = order_of(Some(restaurant(1)), &[(BURGER, 1)]);
    world.check(me(), place(now), Err(Rejection::RestaurantClosed));
    world.ok(me(), place(burger(at("2026-06-01T13:00:00+02:00"))));
}

#[test]
fn order_is_refused_when_the_restaurant_would_be_closed_when_it_has_to_cook() {
    let mut world = berlin("2026-06-01T09:00:00+02:00", week(&["mon 12:00 22:00"]));
    // Open at the door's bell, but not twenty minutes earlier.
    let early = at("2026-06-01T12:10:00+02:00");
    world.check(me(), place(burger(early)), Err(Rejection::RestaurantClosed));
    // The last one is cooked before it closes and delivered after.
    world.ok(me(), place(burger(at("2026-06-01T22:15:00+02:00"))));
    let late = at("2026-06-01T22:25:00+02:00");
    world.check(me(), place(burger(late)), Err(Rejection::RestaurantClosed));
}

#[test]
fn last_orders_are_taken_some_time_before_closing() {
    let mut world = berlin("2026-06-01T21:29:59.999+02:00", week(&["mon 12:00 22:00"]));
    world.policy.last_order_before = DurationMs::from_mins(30);
    let now = || place(order_of(Some(restaurant(1)), &[(BURGER, 1)]));
    world.ok(me(), now());
    world.now = world.now + DurationMs(1);
    world.check(me(), now(), Err(Rejection::RestaurantClosed));
}

#[test]
fn order_for_after_midnight_is_asked_for_before() {
    let mut world = berlin("2026-06-06T21:00:00+02:00", week(&["sat 18:00 02:00"]));
    let id = world.placed(burger(at("2026-06-07T00:20:00+02:00")));
    world.ok(By::Provider, world.authorised(id));
    let release_at = world.order(id).release_at.unwrap();
    assert!(release_at < at("2026-06-07T00:00:00+02:00"));
    world.pass(release_at - world.now);
    assert_eq!(world.order(id).state, OrderState::Confirmed);
    assert!(world.order(id).accept_by.is_some());
}

#[test]
fn order_across_the_night_in_which_clocks_go_forward_is_cooked_by_the_new_clock() {
    let mut world = berlin(
        "2026-03-28T20:00:00+01:00",
        week(&["sat 12:00 22:00", "sun 12:00 22:00"]),
    );
    // 12:25 is 11:25 by yesterday's clock.
    let id = world.placed(burger(at("2026-03-29T12:25:00+02:00")));
    world.ok(By::Provider, world.authorised(id));
    assert_eq!(world.order(id).release_at, Some(at("2026-03-29T12:00:00+02:00")));
    world.pass(world.order(id).release_at.unwrap() - world.now);
    assert_eq!(world.last.events[0].event.name(), "restaurant.assigned");
    let early = at("2026-03-29T12:10:00+02:00");
    world.now = at("2026-03-28T21:00:00+01:00");
    world.check(me(), place(burger(early)), Err(Rejection::RestaurantClosed));
}

#[test]
fn order_across_the_night_in_which_clocks_go_back_is_cooked_by_the_new_clock() {
    let mut world = berlin(
        "2026-10-24T20:00:00+02:00",
        week(&["sat 12:00 22:00", "sun 12:00 22:00"]),
    );
    // 13:10 by yesterday's clock, but 12:10 on the day.
    let early = at("2026-10-25T12:10:00+01:00");
    world.check(me(), place(burger(early)), Err(Rejection::RestaurantClosed));
    world.ok(me(), place(burger(at("2026-10-25T22:15:00+01:00"))));
}

#[test]
fn quote_for_a_time_is_honoured_for_that_time() {
    let mut world = World::new();
    let later = world.now + DurationMs::from_mins(120);
    let found = quote::quote(
        world.city.catalogue(),
        &world.policy,
        customer(1),
        &burger(later).basket,
        world.now,
    )
    .unwrap();
    assert_eq!(found.estimated_delivery_at, later);
    let quoted = PlaceOrder {
        quote: Some(found.quote),
        ..order_of(None, &[])
    };
    let id = world.placed(quoted);
    assert_eq!(world.order(id).deliver_at, Some(later));
}

#[test]
fn busy_kitchen_needs_longer_while_it_lasts() {
    let mut world = World::new();
    let id = world.confirmed();
    let plain = world.order(id).estimated_delivery_at;
    let busy = RestaurantCommand::SetStatus {
        open: None,
        pause: None,
        busy: Some((20, DurationMs::from_mins(30))),
    };
    world.ok(kitchen(1), Command::Restaurant(restaurant(1), busy));
    let id = world.confirmed();
    assert_eq!(world.order(id).estimated_delivery_at, plain + DurationMs::from_mins(20));
}
