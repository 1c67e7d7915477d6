//! What comes after an order: ratings, tips, refunds.

use tomato_shared::event::{Bearer, RefundReason};
use tomato_shared::id::OrderId;
use tomato_shared::rejection::Rejection as R;

use super::super::world::{OPERATOR, customer};
use super::{Case, check_all, kitchen, me, rider};
use crate::engine::command::{Command as C, OrderCommand as O, RefundAmount};
use crate::engine::model::By;

pub(super) const ALL: &[&[Case]] = &[RATINGS, TIPS, REFUNDS];

fn rate(id: OrderId) -> C {
    C::Order(
        id,
        O::Rate {
            restaurant_stars: 5,
            driver_stars: None,
            comment: String::new(),
        },
    )
}

const RATINGS: &[Case] = &[
    ("before it is there", |w| (me(), rate(w.picked_up(1))), R::WrongState),
    ("what never came", |w| (me(), rate(w.returning(1))), R::WrongState),
    (
        "by the restaurant",
        |w| (kitchen(1), rate(w.delivered(1))),
        R::Forbidden,
    ),
    ("by the driver", |w| (rider(1), rate(w.delivered(1))), R::Forbidden),
    (
        "by another customer",
        |w| (By::Customer(customer(2)), rate(w.delivered(1))),
        R::NotFound,
    ),
    (
        "twice",
        |w| {
            let id = w.delivered(1);
            w.ok(me(), rate(id));
            (me(), rate(id))
        },
        R::WrongState,
    ),
    (
        "a week later",
        |w| {
            let id = w.delivered(1);
            w.now = w.now + w.policy.feedback_within;
            (me(), rate(id))
        },
        R::TooLate,
    ),
];

#[test]
fn customers_rate_what_they_got_once_and_in_time() {
    check_all(RATINGS);
}

fn tip(id: OrderId, amount_minor: i64) -> C {
    C::Order(
        id,
        O::Tip {
            amount_minor,
            card: None,
        },
    )
}

const TIPS: &[Case] = &[
    ("before it is there", |w| (me(), tip(w.picked_up(1), 1)), R::WrongState),
    ("by an operator", |w| (OPERATOR, tip(w.delivered(1), 1)), R::Forbidden),
    ("of nothing", |w| (me(), tip(w.delivered(1), 0)), R::OrderValue),
    ("of less than that", |w| (me(), tip(w.delivered(1), -1)), R::OrderValue),
    ("without end", |w| (me(), tip(w.delivered(1), i64::MAX)), R::OrderValue),
    (
        "from no card",
        |w| {
            let id = w.cash_picked_up(1);
            w.ok(rider(1), super::super::world::complete(id));
            (me(), tip(id, 1))
        },
        R::OrderValue,
    ),
    (
        "while one is under way",
        |w| {
            let id = w.delivered(1);
            w.ok(me(), tip(id, 1));
            (me(), tip(id, 1))
        },
        R::WrongState,
    ),
    (
        "a week later",
        |w| {
            let id = w.delivered(1);
            w.now = w.now + w.policy.feedback_within;
            (me(), tip(id, 1))
        },
        R::TooLate,
    ),
];

#[test]
fn customers_tip_who_brought_it_in_time_and_one_tip_after_another() {
    check_all(TIPS);
}

fn refund(id: OrderId, amount: RefundAmount) -> C {
    C::Order(
        id,
        O::Refund {
            amount,
            reason: RefundReason::Quality,
            borne_by: Bearer::Platform,
        },
    )
}

const REFUNDS: &[Case] = &[
    (
        "by the customer",
        |w| (me(), refund(w.delivered(1), RefundAmount::Rest)),
        R::Forbidden,
    ),
    (
        "by the restaurant",
        |w| (kitchen(1), refund(w.delivered(1), RefundAmount::Rest)),
        R::Forbidden,
    ),
    (
        "of what is under way",
        |w| (OPERATOR, refund(w.picked_up(1), RefundAmount::Rest)),
        R::WrongState,
    ),
    (
        "of what nobody paid",
        |w| {
            let id = w.pending();
            w.ok(me(), C::Order(id, O::Cancel));
            (OPERATOR, refund(id, RefundAmount::Rest))
        },
        R::WrongState,
    ),
    (
        "of more than there is",
        |w| {
            let id = w.delivered(1);
            let total_minor = w.order(id).price.total_minor;
            (OPERATOR, refund(id, RefundAmount::Minor(total_minor + 1)))
        },
        R::RefundTooLarge,
    ),
    (
        "of nothing",
        |w| (OPERATOR, refund(w.delivered(1), RefundAmount::Minor(0))),
        R::RefundTooLarge,
    ),
    (
        "of less than that",
        |w| (OPERATOR, refund(w.delivered(1), RefundAmount::Minor(-1))),
        R::RefundTooLarge,
    ),
    (
        "of more than the line had",
        |w| (OPERATOR, refund(w.delivered(1), RefundAmount::Lines(vec![(0, 2)]))),
        R::RefundTooLarge,
    ),
    (
        "of no such line",
        |w| (OPERATOR, refund(w.delivered(1), RefundAmount::Lines(vec![(1, 1)]))),
        R::RefundTooLarge,
    ),
    (
        "of all, twice",
        |w| {
            let id = w.delivered(1);
            w.ok(OPERATOR, refund(id, RefundAmount::Rest));
            (OPERATOR, refund(id, RefundAmount::Rest))
        },
        R::RefundTooLarge,
    ),
];

#[test]
fn operators_send_back_what_was_taken_and_no_more() {
    check_all(REFUNDS);
}
