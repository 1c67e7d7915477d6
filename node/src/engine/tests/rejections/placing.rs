//! Orders that are not taken, and orders that are not given up.

use tomato_shared::id::{ItemId, OrderId};
use tomato_shared::rejection::Rejection as R;

use super::super::world::{
    BURGER, CAKE, OPERATOR, SODA, SOUP, World, address, centre, customer, order_of, place, restaurant,
};
use super::{check_all, kitchen, me};
use crate::engine::command::{Command as C, PlaceOrder};
use crate::engine::model::{Address, By};

const NOBODY: OrderId = OrderId::from_bytes([77; 16]);

fn burger() -> PlaceOrder {
    order_of(Some(restaurant(1)), &[(BURGER, 1)])
}

fn to(east_m: f64) -> Address {
    Address {
        place: centre().offset_m(east_m, 0.0),
        ..address()
    }
}

fn at(restaurant_id: u8, items: &[(ItemId, u32)]) -> C {
    place(order_of(Some(restaurant(restaurant_id)), items))
}

/// The order of one burger, changed.
fn but(change: fn(&mut PlaceOrder)) -> (By, C) {
    let mut wanted = burger();
    change(&mut wanted);
    (me(), place(wanted))
}

fn quoted(quote: &str) -> (By, C) {
    let quote = Some(quote.to_owned());
    (me(), place(PlaceOrder { quote, ..burger() }))
}

#[test]
fn order_to_or_from_the_wrong_place_is_refused() {
    check_all(&[
        ("a restaurant orders", |_| (kitchen(1), place(burger())), R::Forbidden),
        (
            "outside the area",
            |_| but(|w| w.deliver_to = to(40_000.0)),
            R::OutOfArea,
        ),
        (
            "too far",
            |_| but(|w| w.deliver_to = to(-5_000.0)),
            R::TooFarFromRestaurant,
        ),
        ("no such restaurant", |_| (me(), at(66, &[(BURGER, 1)])), R::NotFound),
        (
            "nobody has as many",
            |_| (me(), place(order_of(None, &[(CAKE, 4)]))),
            R::NoRestaurant,
        ),
        (
            "nobody sells it",
            |_| (me(), place(order_of(None, &[(SOUP, 1)]))),
            R::NoRestaurant,
        ),
    ]);
}

#[test]
fn order_of_what_is_not_sold_or_not_for_that_price_is_refused() {
    const MANY: u32 = u32::MAX;
    check_all(&[
        ("not on the menu", |_| (me(), at(3, &[(CAKE, 1)])), R::ItemUnknown),
        ("nothing at all", |_| (me(), at(1, &[])), R::ItemUnknown),
        ("off the menu", |_| (me(), at(1, &[(SOUP, 1)])), R::ItemUnavailable),
        ("none of it", |_| (me(), at(1, &[(BURGER, 0)])), R::OrderValue),
        (
            "none of one",
            |_| (me(), at(1, &[(BURGER, 1), (SODA, 0)])),
            R::OrderValue,
        ),
        ("more than there are", |_| (me(), at(1, &[(BURGER, 11)])), R::SoldOut),
        (
            "in two lines",
            |_| (me(), at(1, &[(BURGER, 6), (BURGER, 5)])),
            R::SoldOut,
        ),
        (
            "beyond counting",
            |_| (me(), at(1, &[(BURGER, MANY), (BURGER, MANY)])),
            R::OrderValue,
        ),
        ("worth too much", |_| (me(), at(1, &[(SODA, 5_000)])), R::OrderValue),
        ("a negative tip", |_| but(|w| w.tip_minor = -1), R::OrderValue),
        ("an endless tip", |_| but(|w| w.tip_minor = i64::MAX), R::OrderValue),
        ("a quote of nobody", |_| quoted("e30.e30"), R::QuoteInvalid),
        ("an empty quote", |_| quoted(""), R::QuoteInvalid),
    ]);
}

#[test]
fn who_has_too_many_unpaid_orders_is_refused_and_others_are_not() {
    check_all(&[
        (
            "a fourth unpaid order",
            |world| {
                for _ in 0..3 {
                    world.pending();
                }
                (me(), place(burger()))
            },
            R::TooManyOpenOrders,
        ),
        (
            "a closed restaurant",
            |world| {
                world.ok(
                    kitchen(1),
                    C::SetOpen {
                        restaurant_id: restaurant(1),
                        open: false,
                    },
                );
                (me(), place(burger()))
            },
            R::RestaurantClosed,
        ),
    ]);
    let mut world = World::new();
    let first = world.confirmed();
    for _ in 0..3 {
        world.pending();
    }
    world.check(me(), place(burger()), Err(R::TooManyOpenOrders));
    world.ok(By::Customer(customer(2)), place(burger()));
    world.ok(me(), C::CancelOrder(first));
    world.check(me(), place(burger()), Err(R::TooManyOpenOrders));
}

#[test]
fn customers_and_operators_cancel_in_time_only() {
    check_all(&[
        ("no such order", |_| (me(), C::CancelOrder(NOBODY)), R::NotFound),
        (
            "somebody else's",
            |w| (By::Customer(customer(2)), C::CancelOrder(w.pending())),
            R::NotFound,
        ),
        (
            "the restaurant",
            |w| (kitchen(1), C::CancelOrder(w.pending())),
            R::Forbidden,
        ),
        (
            "the customer, too late",
            |w| (me(), C::CancelOrder(w.preparing())),
            R::TooLate,
        ),
        (
            "an operator, on the way",
            |w| (OPERATOR, C::CancelOrder(w.picked_up(1))),
            R::WrongState,
        ),
        (
            "twice",
            |w| {
                let id = w.pending();
                w.ok(me(), C::CancelOrder(id));
                (me(), C::CancelOrder(id))
            },
            R::WrongState,
        ),
    ]);
}
