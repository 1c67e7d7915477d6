//! Orders that are not taken, and orders that are not given up.

use tomato_shared::id::{ItemId, OrderId};
use tomato_shared::rejection::Rejection as R;
use tomato_shared::time::{DurationMs, UnixMs};

use super::super::world::{
    BURGER, CAKE, OPERATOR, PIZZA, SODA, SOUP, World, address, basket_of, centre, customer, for_time, order_of,
    pizza_of, place, promotion, put_promotion, restaurant, set_open, with_code,
};
use super::{Case, check_all, kitchen, me};
use crate::engine::command::{Command as C, OrderCommand as O, PlaceOrder, RestaurantCommand, WantedItem};
use crate::engine::model::{Address, By};
use crate::engine::quote::quote;

pub(super) const ALL: &[&[Case]] = &[PLACES, GOODS, CHOICES, TIMES, CODES, QUOTES, CROWDS, CANCELLING];

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

const PLACES: &[Case] = &[
    ("a restaurant orders", |_| (kitchen(1), place(burger())), R::Forbidden),
    (
        "outside the area",
        |_| but(|w| w.basket.deliver_to = to(40_000.0)),
        R::OutOfArea,
    ),
    (
        "too far",
        |_| but(|w| w.basket.deliver_to = to(-5_000.0)),
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
];

#[test]
fn order_to_or_from_the_wrong_place_is_refused() {
    check_all(PLACES);
}

const MANY: u32 = u32::MAX;

const GOODS: &[Case] = &[
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
    ("a negative tip", |_| but(|w| w.basket.tip_minor = -1), R::OrderValue),
    (
        "an endless tip",
        |_| but(|w| w.basket.tip_minor = i64::MAX),
        R::OrderValue,
    ),
];

#[test]
fn order_of_what_is_not_sold_or_not_for_that_price_is_refused() {
    check_all(GOODS);
}

const CROWDS: &[Case] = &[
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
        "too many under way",
        |world| {
            world.policy.open_orders_max = 1;
            world.preparing();
            (me(), place(burger()))
        },
        R::TooManyOpenOrders,
    ),
    (
        "a closed restaurant",
        |world| {
            world.ok(kitchen(1), set_open(restaurant(1), false));
            (me(), place(burger()))
        },
        R::RestaurantClosed,
    ),
    (
        "a suspended restaurant",
        |world| {
            let suspend = C::Restaurant(restaurant(1), RestaurantCommand::Suspend(true));
            world.ok(OPERATOR, suspend);
            (me(), place(burger()))
        },
        R::RestaurantClosed,
    ),
    (
        "a region that takes none",
        |world| {
            let reason = "storm".into();
            world.ok(OPERATOR, C::PauseRegion { paused: true, reason });
            (me(), place(burger()))
        },
        R::RegionPaused,
    ),
];

#[test]
fn who_has_too_many_orders_is_refused_and_others_are_not() {
    check_all(CROWDS);
    let mut world = World::new();
    let first = world.confirmed();
    for _ in 0..3 {
        world.pending();
    }
    world.check(me(), place(burger()), Err(R::TooManyOpenOrders));
    world.ok(By::Customer(customer(2)), place(burger()));
    world.ok(me(), C::Order(first, O::Cancel));
    world.check(me(), place(burger()), Err(R::TooManyOpenOrders));
}

const CANCELLING: &[Case] = &[
    ("no such order", |_| (me(), C::Order(NOBODY, O::Cancel)), R::NotFound),
    (
        "somebody else's",
        |w| (By::Customer(customer(2)), C::Order(w.pending(), O::Cancel)),
        R::NotFound,
    ),
    (
        "the restaurant, before it accepted",
        |w| (kitchen(1), C::Order(w.confirmed(), O::Cancel)),
        R::WrongState,
    ),
    (
        "an operator, on the way",
        |w| (OPERATOR, C::Order(w.picked_up(1), O::Cancel)),
        R::TooLate,
    ),
    (
        "the restaurant, on the way",
        |w| (kitchen(1), C::Order(w.picked_up(1), O::Cancel)),
        R::TooLate,
    ),
    (
        "the customer, once it is ready",
        |w| (me(), C::Order(w.ready(), O::Cancel)),
        R::TooLate,
    ),
    (
        "cash, once it would cost something",
        |w| {
            let mut wanted = burger();
            wanted.method = tomato_shared::event::PaymentMethod::Cash;
            let id = w.placed(wanted);
            w.ok(kitchen(1), super::super::world::accept(id));
            w.now = w.now + w.policy.cancelling.free_after_accept;
            (me(), C::Order(id, O::Cancel))
        },
        R::TooLate,
    ),
    (
        "a driver",
        |w| (super::rider(1), C::Order(w.assigned(1), O::Cancel)),
        R::Forbidden,
    ),
    (
        "twice",
        |w| {
            let id = w.pending();
            w.ok(me(), C::Order(id, O::Cancel));
            (me(), C::Order(id, O::Cancel))
        },
        R::WrongState,
    ),
];

#[test]
fn customers_and_operators_cancel_in_time_only() {
    check_all(CANCELLING);
}

fn pizza(change: fn(&mut WantedItem)) -> (By, C) {
    let mut item = pizza_of(1, "small", &[]);
    change(&mut item);
    let mut wanted = order_of(Some(restaurant(1)), &[]);
    wanted.basket.items = vec![item];
    (me(), place(wanted))
}

fn option(item: &mut WantedItem, group: &str, key: &str) {
    item.options.push((group.into(), key.into()));
}

const CHOICES: &[Case] = &[
    ("no size", |_| pizza(|p| p.variant = None), R::OptionsInvalid),
    (
        "a size that there is not",
        |_| pizza(|p| p.variant = Some("tiny".into())),
        R::OptionsInvalid,
    ),
    (
        "a size of what has none",
        |_| pizza(|p| (p.item_id, p.options) = (SODA, Vec::new())),
        R::OptionsInvalid,
    ),
    (
        "a size that is out",
        |_| pizza(|p| p.variant = Some("huge".into())),
        R::ItemUnavailable,
    ),
    ("no crust", |_| pizza(|p| p.options.clear()), R::OptionsInvalid),
    (
        "two crusts",
        |_| pizza(|p| option(p, "crust", "thick")),
        R::OptionsInvalid,
    ),
    (
        "the same twice",
        |_| {
            pizza(|p| {
                option(p, "extra", "cheese");
                option(p, "extra", "cheese");
            })
        },
        R::OptionsInvalid,
    ),
    (
        "no such group",
        |_| pizza(|p| option(p, "sauce", "hot")),
        R::OptionsInvalid,
    ),
    (
        "no such extra",
        |_| pizza(|p| option(p, "extra", "gold")),
        R::OptionsInvalid,
    ),
    (
        "an extra that is out",
        |_| pizza(|p| option(p, "extra", "truffle")),
        R::ItemUnavailable,
    ),
    (
        "extras of what has none",
        |_| pizza(|p| (p.item_id, p.variant) = (SODA, None)),
        R::OptionsInvalid,
    ),
    (
        "more than there are, in two sizes",
        |_| {
            let mut wanted = order_of(Some(restaurant(1)), &[]);
            wanted.basket.items = vec![pizza_of(4, "small", &[]), pizza_of(3, "large", &[])];
            (me(), place(wanted))
        },
        R::SoldOut,
    ),
    (
        "no choices where there are some",
        |_| (me(), at(1, &[(PIZZA, 1)])),
        R::OptionsInvalid,
    ),
];

#[test]
fn choices_that_do_not_fit_the_menu_are_refused() {
    check_all(CHOICES);
}

const TIMES: &[Case] = &[
    (
        "sooner than it can be there",
        |w| (me(), place(for_time(w.now + DurationMs::from_mins(15), burger()))),
        R::ScheduleInvalid,
    ),
    (
        "in the past",
        |_| (me(), place(for_time(UnixMs(0), burger()))),
        R::ScheduleInvalid,
    ),
    (
        "at no time",
        |_| (me(), place(for_time(UnixMs(i64::MIN), burger()))),
        R::ScheduleInvalid,
    ),
    (
        "too far ahead",
        |w| {
            let late = w.now + w.policy.schedule_max + DurationMs(1);
            (me(), place(for_time(late, burger())))
        },
        R::ScheduleInvalid,
    ),
    (
        "after the end of time",
        |_| (me(), place(for_time(UnixMs(i64::MAX), burger()))),
        R::ScheduleInvalid,
    ),
    (
        "accepted before its time",
        |w| {
            let id = scheduled(w);
            (kitchen(1), super::super::world::accept(id))
        },
        R::WrongState,
    ),
    (
        "rejected before its time",
        |w| {
            let id = scheduled(w);
            (kitchen(1), super::super::world::reject(id))
        },
        R::WrongState,
    ),
];

fn scheduled(world: &mut World) -> OrderId {
    let id = world.placed(for_time(world.now + DurationMs::from_mins(300), burger()));
    world.ok(By::Provider, world.authorised(id));
    id
}

#[test]
fn orders_for_a_time_that_cannot_be_are_refused() {
    check_all(TIMES);
}

/// Writes a promotion, changed, and uses it.
fn coded(world: &mut World, change: fn(&mut crate::engine::model::Promotion)) -> (By, C) {
    let mut wanted = promotion("TEN");
    change(&mut wanted);
    world.ok(OPERATOR, put_promotion(wanted));
    (me(), place(with_code("TEN", burger())))
}

const CODES: &[Case] = &[
    (
        "no such code",
        |_| (me(), place(with_code("TEN", burger()))),
        R::PromoInvalid,
    ),
    ("switched off", |w| coded(w, |p| p.active = false), R::PromoInvalid),
    (
        "over",
        |w| coded(w, |p| p.ends_at = super::super::world::START),
        R::PromoInvalid,
    ),
    ("not yet", |w| coded(w, |p| p.starts_at = p.ends_at), R::PromoInvalid),
    (
        "for more",
        |w| coded(w, |p| p.items_min_minor = 20_001),
        R::PromoInvalid,
    ),
    (
        "for others",
        |w| coded(w, |p| p.restaurant_ids = vec![restaurant(2)]),
        R::PromoInvalid,
    ),
    ("used by all", |w| coded(w, |p| p.uses_max = 0), R::PromoUsedUp),
    (
        "used by me",
        |w| {
            coded(w, |_| ());
            for _ in 0..2 {
                w.placed(with_code("TEN", burger()));
            }
            (me(), place(with_code("TEN", burger())))
        },
        R::PromoUsedUp,
    ),
];

#[test]
fn codes_that_are_not_for_this_order_are_refused() {
    check_all(CODES);
}

const QUOTES: &[Case] = &[
    ("a quote of nobody", |_| quoted("e30.e30"), R::QuoteInvalid),
    ("an empty quote", |_| quoted(""), R::QuoteInvalid),
    (
        "a quote of yesterday",
        |w| {
            let basket = basket_of(Some(restaurant(1)), &[(BURGER, 1)]);
            let found = quote(w.city.catalogue(), &w.policy, customer(1), &basket, w.now).unwrap();
            w.now = w.now + w.policy.quote_ttl;
            quoted(&found.quote)
        },
        R::QuoteExpired,
    ),
];

#[test]
fn quotes_of_others_and_of_yesterday_are_refused() {
    check_all(QUOTES);
}
