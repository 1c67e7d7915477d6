//! Quotes: honoured to the letter, for their customer, their place and their time.

use tomato_shared::cell::LatLng;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, OPERATOR, World, address, basket_of, centre, customer, order_of, place, put, put_restaurant, restaurant,
    set_open,
};
use crate::engine::command::{Basket, PlaceOrder};
use crate::engine::model::{Address, By};
use crate::engine::quote::{self, QuoteView};

fn me() -> By {
    By::Customer(customer(1))
}

fn quoted(world: &World, place: LatLng) -> QuoteView {
    let basket = Basket {
        deliver_to: Address { place, ..address() },
        tip_minor: 500,
        ..basket_of(Some(restaurant(1)), &[(BURGER, 2)])
    };
    quote::quote(world.city.catalogue(), &world.policy, customer(1), &basket, world.now).unwrap()
}

fn with(quote: &str) -> PlaceOrder {
    PlaceOrder {
        quote: Some(quote.to_owned()),
        ..order_of(None, &[])
    }
}

fn with_at(quote: &str, place: LatLng) -> PlaceOrder {
    let mut wanted = with(quote);
    wanted.basket.deliver_to.place = place;
    wanted
}

#[test]
fn quote_is_honoured_although_the_menu_became_dearer() {
    let mut world = World::new();
    let quote = quoted(&world, centre());
    let mut dearer = put_restaurant(1);
    dearer.restaurant.menu[0].price_minor = 90_000;
    world.ok(OPERATOR, put(dearer));
    world.now = world.now + DurationMs(599_999);
    let id = world.placed(with(&quote.quote));
    assert_eq!(world.order(id).price, quote.price);
    assert_eq!(world.order(id).lines, quote.lines);
    assert_eq!(world.order(id).restaurant_id, restaurant(1));
    assert_eq!(world.stock(1, BURGER), (2, 0));
}

#[test]
fn quote_is_refused_after_its_time_to_others_and_for_another_place() {
    let mut world = World::new();
    let quote = quoted(&world, centre()).quote;
    world.check(
        By::Customer(customer(2)),
        place(with(&quote)),
        Err(Rejection::QuoteInvalid),
    );
    let elsewhere = with_at(&quote, centre().offset_m(900.0, 0.0));
    world.check(me(), place(elsewhere), Err(Rejection::QuoteInvalid));
    world.now = world.now + world.policy.quote_ttl;
    world.check(me(), place(with(&quote)), Err(Rejection::QuoteExpired));
}

#[test]
fn quote_that_was_tampered_with_is_refused() {
    let mut world = World::new();
    let quote = quoted(&world, centre()).quote;
    for at in 0..quote.len() {
        let mut bytes = quote.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        world.check(me(), place(with(&forged)), Err(Rejection::QuoteInvalid));
    }
    let (terms, signature) = quote.split_once('.').unwrap();
    let half = signature.len() / 2;
    for forged in [
        terms.to_owned(),
        format!("{terms}."),
        format!(".{signature}"),
        format!("{terms}.{}", signature.split_at(half).0),
    ] {
        world.check(me(), place(with(&forged)), Err(Rejection::QuoteInvalid));
    }
    world.policy.quote_key = b"another region's secret".to_vec();
    world.check(me(), place(with(&quote)), Err(Rejection::QuoteInvalid));
}

#[test]
fn quote_holds_no_stock_and_opens_no_closed_restaurant() {
    let mut world = World::new();
    let quote = quoted(&world, centre()).quote;
    world.ok(me(), place(order_of(Some(restaurant(1)), &[(BURGER, 9)])));
    world.check(me(), place(with(&quote)), Err(Rejection::SoldOut));
    let close = set_open(restaurant(1), false);
    world.ok(OPERATOR, close);
    world.check(me(), place(with(&quote)), Err(Rejection::RestaurantClosed));
}

#[test]
fn quote_is_honoured_wherever_the_customer_lives() {
    let mut world = World::new();
    world.policy.pending_orders_max = u32::MAX;
    for n in 0..1_000_u32 {
        // Apps send as many digits as their platform prints; the place is read once for the quote, once for the order.
        let digits = u64::from(n) * 9_007_199_254_740_881 % 10_000_000_000_000;
        let sent = format!("{{\"lat\":12.97{digits:013}1,\"lng\":77.59{digits:013}7}}");
        let read = || serde_json::from_str::<LatLng>(&sent).unwrap();
        let quote = quoted(&world, read()).quote;
        let wanted = with_at(&quote, read());
        let found = world
            .run(me(), &super::world::place(wanted))
            .map_err(|refusal| refusal.rejection);
        assert!(!matches!(found, Err(Rejection::QuoteInvalid)), "{sent}");
    }
}
