//! Restaurants, and those who write them.

use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::rejection::Rejection as R;
use tomato_shared::time::DurationMs;

use super::super::world::{
    BURGER, CAKE, OPERATOR, SODA, accept, centre, driver, promotion, put, put_promotion, put_restaurant, reject,
    restaurant, set_open,
};
use super::{Case, check_all, kitchen, me, rider};
use crate::engine::command::{
    Command as C, DriverCommand, OrderCommand as O, PutRestaurant, RestaurantCommand, WantedItem,
};
use crate::engine::model::{By, Hours};

pub(super) const ALL: &[&[Case]] = &[ORDERS, CHANGES, SWITCHES, EDITS];

const ORDERS: &[Case] = &[
    ("an unpaid order", |w| (kitchen(1), accept(w.pending())), R::WrongState),
    ("another's order", |w| (kitchen(2), accept(w.confirmed())), R::NotFound),
    ("the customer accepts", |w| (me(), accept(w.confirmed())), R::Forbidden),
    (
        "accepts what is ready",
        |w| (kitchen(1), accept(w.ready())),
        R::WrongState,
    ),
    (
        "rejects what it cooks",
        |w| (kitchen(1), reject(w.preparing())),
        R::WrongState,
    ),
    (
        "rejects another's",
        |w| (kitchen(2), reject(w.confirmed())),
        R::NotFound,
    ),
    (
        "ready before accepted",
        |w| (kitchen(1), C::Order(w.confirmed(), O::MarkReady)),
        R::WrongState,
    ),
    (
        "ready after pickup",
        |w| (kitchen(1), C::Order(w.picked_up(1), O::MarkReady)),
        R::WrongState,
    ),
    (
        "a driver says ready",
        |w| (rider(1), C::Order(w.preparing(), O::MarkReady)),
        R::NotFound,
    ),
    (
        "later before accepted",
        |w| (kitchen(1), later(w.confirmed())),
        R::WrongState,
    ),
    ("later though ready", |w| (kitchen(1), later(w.ready())), R::WrongState),
    ("the customer is late", |w| (me(), later(w.preparing())), R::Forbidden),
];

fn later(order_id: tomato_shared::id::OrderId) -> C {
    C::Order(order_id, O::Delay(DurationMs::from_mins(30)))
}

#[test]
fn restaurants_act_on_their_own_orders_in_their_state() {
    check_all(ORDERS);
}

/// What the order of one burger would become.
fn change(lines: &[(usize, u32)], add: &[(ItemId, u32)]) -> O {
    let plain = |(item_id, quantity): &(ItemId, u32)| WantedItem {
        item_id: *item_id,
        quantity: *quantity,
        variant: None,
        options: Vec::new(),
    };
    O::ProposeChange {
        lines: lines.to_vec(),
        add: add.iter().map(plain).collect(),
    }
}

const CHANGES: &[Case] = &[
    (
        "proposed before accepted",
        |w| (kitchen(1), C::Order(w.confirmed(), change(&[(0, 0)], &[(SODA, 1)]))),
        R::WrongState,
    ),
    (
        "proposed by the customer",
        |w| (me(), C::Order(w.preparing(), change(&[(0, 0)], &[(SODA, 1)]))),
        R::Forbidden,
    ),
    (
        "of another's order",
        |w| (kitchen(2), C::Order(w.preparing(), change(&[(0, 0)], &[(SODA, 1)]))),
        R::NotFound,
    ),
    (
        "nothing is left",
        |w| (kitchen(1), C::Order(w.preparing(), change(&[(0, 0)], &[]))),
        R::OrderValue,
    ),
    (
        "more than before",
        |w| (kitchen(1), C::Order(w.preparing(), change(&[(0, 2)], &[]))),
        R::OrderValue,
    ),
    (
        "no such line",
        |w| (kitchen(1), C::Order(w.preparing(), change(&[(1, 0)], &[]))),
        R::OrderValue,
    ),
    (
        "dearer than before",
        |w| (kitchen(1), C::Order(w.preparing(), change(&[], &[(SODA, 1)]))),
        R::OrderValue,
    ),
    (
        "what nobody has",
        |w| (kitchen(1), C::Order(w.preparing(), change(&[(0, 0)], &[(CAKE, 4)]))),
        R::SoldOut,
    ),
    (
        "answered by the restaurant",
        |w| (kitchen(1), C::Order(w.preparing(), O::AnswerChange(true))),
        R::Forbidden,
    ),
    (
        "answered before it was proposed",
        |w| (me(), C::Order(w.preparing(), O::AnswerChange(true))),
        R::ChangeGone,
    ),
    (
        "answered too late by nothing",
        |w| {
            let id = w.preparing();
            w.ok(kitchen(1), C::Order(id, change(&[(0, 0)], &[(SODA, 1)])));
            w.now = w.now + w.policy.change_ttl;
            (me(), C::Order(id, O::AnswerChange(true)))
        },
        R::ChangeGone,
    ),
    (
        "what was added is gone meanwhile",
        |w| {
            let id = w.preparing();
            w.ok(kitchen(1), C::Order(id, change(&[(0, 0)], &[(CAKE, 1)])));
            w.ok(kitchen(1), C::Restaurant(restaurant(1), item(CAKE, Some(0))));
            (me(), C::Order(id, O::AnswerChange(true)))
        },
        R::SoldOut,
    ),
];

#[test]
fn changes_cost_no_more_than_before_and_are_answered_in_time() {
    check_all(CHANGES);
}

fn item(item_id: ItemId, left: Option<u32>) -> RestaurantCommand {
    RestaurantCommand::SetItem {
        item_id,
        available: true,
        off: None,
        left,
    }
}

const SWITCHES: &[Case] = &[
    (
        "opens another",
        |_| (kitchen(1), set_open(restaurant(2), true)),
        R::NotFound,
    ),
    (
        "a customer opens",
        |_| (me(), set_open(restaurant(2), true)),
        R::Forbidden,
    ),
    (
        "opens nothing",
        |_| (OPERATOR, set_open(RestaurantId::from_bytes([66; 16]), true)),
        R::NotFound,
    ),
    (
        "suspends itself",
        |_| {
            (
                kitchen(1),
                C::Restaurant(restaurant(1), RestaurantCommand::Suspend(false)),
            )
        },
        R::Forbidden,
    ),
    (
        "an item of nobody",
        |_| (kitchen(3), C::Restaurant(restaurant(3), item(CAKE, None))),
        R::ItemUnknown,
    ),
    (
        "counts what is not counted",
        |_| (kitchen(1), C::Restaurant(restaurant(1), item(SODA, Some(1)))),
        R::ItemUnknown,
    ),
    (
        "hours of an old version",
        |_| {
            let command = RestaurantCommand::PutHours {
                hours: Hours::default(),
                expected_version: Some(7),
            };
            (kitchen(1), C::Restaurant(restaurant(1), command))
        },
        R::VersionConflict,
    ),
    (
        "a menu of an old version",
        |_| {
            let command = RestaurantCommand::PutMenu {
                menu: Vec::new(),
                capacities: vec![(BURGER, 1)],
                expected_version: Some(7),
            };
            (kitchen(1), C::Restaurant(restaurant(1), command))
        },
        R::VersionConflict,
    ),
];

#[test]
fn restaurants_turn_their_own_switches_only() {
    check_all(SWITCHES);
}

fn edit(change: fn(&mut PutRestaurant)) -> C {
    let mut wanted = put_restaurant(1);
    change(&mut wanted);
    put(wanted)
}

fn who() -> DriverCommand {
    DriverCommand::Put {
        name: String::new(),
        phone: String::new(),
    }
}

fn pause(by: By) -> (By, C) {
    let reason = String::new();
    (by, C::PauseRegion { paused: true, reason })
}

const EDITS: &[Case] = &[
    ("a restaurant itself", |_| (kitchen(1), edit(|_| ())), R::Forbidden),
    (
        "outside the area",
        |_| {
            (
                OPERATOR,
                edit(|w| w.restaurant.place = centre().offset_m(40_000.0, 0.0)),
            )
        },
        R::OutOfArea,
    ),
    (
        "an old version",
        |_| (OPERATOR, edit(|w| w.expected_version = Some(7))),
        R::VersionConflict,
    ),
    ("a driver", |_| (rider(1), C::Driver(driver(1), who())), R::Forbidden),
    (
        "a promotion of its own",
        |_| (kitchen(1), put_promotion(promotion("FREE"))),
        R::Forbidden,
    ),
    (
        "a promotion of an old version",
        |_| {
            let mut wanted = promotion("TEN");
            wanted.version = 7;
            (OPERATOR, put_promotion(wanted))
        },
        R::VersionConflict,
    ),
    ("a restaurant stops all", |_| pause(kitchen(1)), R::Forbidden),
];

#[test]
fn only_operators_write_restaurants_drivers_and_promotions() {
    check_all(EDITS);
}
