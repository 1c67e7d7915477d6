//! Variants and options: what a line costs, when two lines are one, and what a take-over makes of them.

use tomato_shared::id::OrderId;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, CAKE, OPERATOR, PIZZA, SODA, World, customer, order_of, pizza_of, place, put, put_restaurant, reject,
    restaurant,
};
use crate::engine::command::{Command, OrderCommand, PlaceOrder, RestaurantCommand, WantedItem};
use crate::engine::menu::wanted;
use crate::engine::model::{By, next_midnight};

fn me() -> By {
    By::Customer(customer(1))
}

fn kitchen(n: u8) -> By {
    By::Restaurant(restaurant(n))
}

fn of(items: Vec<WantedItem>) -> PlaceOrder {
    let mut wanted = order_of(Some(restaurant(1)), &[]);
    wanted.basket.items = items;
    wanted
}

fn paid(world: &mut World, items: Vec<WantedItem>) -> OrderId {
    let id = world.placed(of(items));
    world.ok(By::Provider, world.authorised(id));
    id
}

#[test]
fn size_has_its_own_price_and_options_add_to_it() {
    let mut world = World::new();
    let id = world.placed(of(vec![pizza_of(2, "large", &["olives", "cheese"])]));
    let line = &world.order(id).lines[0];
    assert_eq!(line.unit_minor, 14_000 + 1_000 + 800);
    assert_eq!(world.order(id).price.items_minor, 2 * 15_800);
    let choices: Vec<_> = line
        .choices
        .iter()
        .map(|choice| (&*choice.group, &*choice.key))
        .collect();
    let menu_order = [
        ("variant", "large"),
        ("crust", "thin"),
        ("extra", "cheese"),
        ("extra", "olives"),
    ];
    assert_eq!(choices, menu_order);
}

#[test]
fn same_choices_in_another_order_are_one_line_and_others_are_not() {
    let mut world = World::new();
    let id = world.placed(of(vec![
        pizza_of(1, "large", &["olives", "cheese"]),
        pizza_of(1, "small", &["cheese"]),
        pizza_of(2, "large", &["cheese", "olives"]),
    ]));
    let lines: Vec<_> = world.order(id).lines.iter().map(|line| line.quantity).collect();
    assert_eq!(lines, [3, 1]);
}

#[test]
fn stock_is_counted_over_all_sizes() {
    let mut world = World::new();
    let id = world.placed(of(vec![pizza_of(2, "large", &[]), pizza_of(3, "small", &[])]));
    assert_eq!(world.stock(1, PIZZA), (5, 0));
    let more = of(vec![pizza_of(1, "large", &[]), pizza_of(1, "small", &[])]);
    world.check(me(), place(more), Err(Rejection::SoldOut));
    world.ok(me(), Command::Order(id, OrderCommand::Cancel));
    assert_eq!(world.stock(1, PIZZA), (0, 0));
}

#[test]
fn what_was_ordered_can_be_ordered_again_from_its_line() {
    let mut world = World::new();
    let item = pizza_of(2, "large", &["cheese"]);
    let id = world.placed(of(vec![item.clone()]));
    assert_eq!(wanted(&world.order(id).lines[0]), item);
}

#[test]
fn next_restaurant_takes_over_if_it_has_the_same_choices() {
    let mut world = World::new();
    let id = paid(&mut world, vec![pizza_of(2, "large", &["cheese"])]);
    let lines = world.order(id).lines.clone();
    world.ok(kitchen(1), reject(id));
    assert_eq!(
        (world.order(id).restaurant_id, &world.order(id).lines),
        (restaurant(2), &lines)
    );
    assert_eq!((world.stock(1, PIZZA), world.stock(2, PIZZA)), ((0, 0), (0, 2)));
}

#[test]
fn restaurant_without_that_size_is_passed_over() {
    let mut world = World::new();
    let mut second = put_restaurant(2);
    let pizza = second.restaurant.menu.iter_mut().find(|item| item.id == PIZZA).unwrap();
    pizza.variants.retain(|variant| variant.key != "large");
    world.ok(OPERATOR, put(second));
    let id = paid(&mut world, vec![pizza_of(1, "large", &[])]);
    world.ok(kitchen(1), reject(id));
    assert!(world.order(id).state.is_final());
    let nearest = of(vec![pizza_of(1, "large", &[])]);
    world.ok(kitchen(1), super::world::set_open(restaurant(1), false));
    let mut anywhere = nearest;
    anywhere.basket.restaurant_id = None;
    world.check(me(), place(anywhere), Err(Rejection::NoRestaurant));
}

#[test]
fn item_is_off_for_a_while_and_back_by_itself() {
    let mut world = World::new();
    let off = RestaurantCommand::SetItem {
        item_id: SODA,
        available: true,
        off: Some(DurationMs::from_mins(30)),
        left: None,
    };
    world.check(
        kitchen(1),
        Command::Restaurant(restaurant(1), off),
        Ok(&["restaurant.updated"]),
    );
    let soda = || place(order_of(Some(restaurant(1)), &[(SODA, 1)]));
    world.check(me(), soda(), Err(Rejection::ItemUnavailable));
    world.now = world.now + DurationMs::from_mins(30);
    world.ok(me(), soda());
}

#[test]
fn restaurant_says_how_many_are_left() {
    let mut world = World::new();
    world.confirmed();
    world.pending();
    let left = RestaurantCommand::SetItem {
        item_id: BURGER,
        available: true,
        off: None,
        left: Some(1),
    };
    world.ok(kitchen(1), Command::Restaurant(restaurant(1), left));
    assert_eq!(world.disk.stock[&(restaurant(1), BURGER)].capacity, 3);
    let burgers = |n| place(order_of(Some(restaurant(1)), &[(BURGER, n)]));
    world.check(me(), burgers(2), Err(Rejection::SoldOut));
    world.ok(me(), burgers(1));
}

#[test]
fn what_a_restaurant_says_has_run_out_is_off_until_tomorrow() {
    let mut world = World::new();
    let id = world.confirmed();
    let why = tomato_shared::event::RejectWhy::ItemUnavailable;
    let off = vec![BURGER, CAKE];
    world.check(
        kitchen(1),
        Command::Order(id, OrderCommand::Reject { why, off }),
        Ok(&[
            "restaurant.updated",
            "restaurant.declined",
            "inventory.released",
            "inventory.reserved",
            "restaurant.assigned",
        ]),
    );
    let tomorrow = next_midnight(world.now, &world.policy.zone);
    let row = world.city.catalogue().restaurants[&restaurant(1)].clone();
    let until = |item| row.item(item).unwrap().off_until;
    assert_eq!((until(BURGER), until(CAKE), until(SODA)), (tomorrow, tomorrow, None));
}

#[test]
fn pause_ends_by_itself() {
    let mut world = World::new();
    let pause = RestaurantCommand::SetStatus {
        open: None,
        pause: Some(DurationMs::from_mins(20)),
        busy: None,
    };
    world.ok(kitchen(1), Command::Restaurant(restaurant(1), pause));
    let burger = || place(order_of(Some(restaurant(1)), &[(BURGER, 1)]));
    world.check(me(), burger(), Err(Rejection::RestaurantClosed));
    world.now = world.now + DurationMs::from_mins(20);
    world.ok(me(), burger());
}

#[test]
fn spans_far_beyond_reason_are_held_to_a_year() {
    let mut world = World::new();
    let endless = RestaurantCommand::SetStatus {
        open: None,
        pause: Some(DurationMs(i64::MAX)),
        busy: Some((u32::MAX, DurationMs(i64::MAX))),
    };
    world.ok(kitchen(1), Command::Restaurant(restaurant(1), endless));
    let row = &world.city.catalogue().restaurants[&restaurant(1)];
    let year = world.now + DurationMs::from_mins(366 * 24 * 60);
    assert_eq!(row.paused_until, Some(year));
    assert_eq!(row.cooking_min(world.now), 15 + 24 * 60);
    // Every time that is written can be read again.
    let text = serde_json::to_string(&**row).unwrap();
    serde_json::from_str::<crate::engine::model::Restaurant>(&text).unwrap();
}
