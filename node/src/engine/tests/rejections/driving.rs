//! Drivers: offers of others, steps out of turn, wrong proofs.

use tomato_shared::id::{OfferId, OrderId};
use tomato_shared::rejection::Rejection as R;
use tomato_shared::time::DurationMs;

use super::super::shifts::until;
use super::super::world::{OPERATOR, World, driver, fail, sign};
use super::{Case, check_all, kitchen, me, rider};
use crate::engine::command::{Command as C, DriverCommand, OrderCommand as O};
use crate::engine::custody::Step;
use crate::engine::model::{By, Proof};

pub(super) const ALL: &[&[Case]] = &[OFFERS, STEPS, SIGNING, BY_HAND];
const NO_OFFER: OfferId = OfferId::from_bytes([77; 16]);

const OFFERS: &[Case] = &[
    ("no such offer", |_| (rider(1), C::AcceptOffer(NO_OFFER)), R::OfferGone),
    (
        "another's offer",
        |w| (rider(2), C::AcceptOffer(w.offered(1).1)),
        R::OfferGone,
    ),
    (
        "declines another's",
        |w| (rider(2), C::DeclineOffer(w.offered(1).1)),
        R::OfferGone,
    ),
    (
        "a customer accepts",
        |w| (me(), C::AcceptOffer(w.offered(1).1)),
        R::Forbidden,
    ),
    (
        "late by nothing",
        |w| {
            let (_, offer) = w.offered(1);
            w.now = w.now + DurationMs::from_secs(30);
            (rider(1), C::AcceptOffer(offer))
        },
        R::OfferGone,
    ),
];

#[test]
fn drivers_answer_their_own_open_offers_only() {
    check_all(OFFERS);
}

const STEPS: &[Case] = &[
    (
        "arrives before accepting",
        |w| (rider(1), C::Order(w.offered(1).0, O::Arrive)),
        R::NotFound,
    ),
    (
        "arrives for another",
        |w| (rider(2), C::Order(w.assigned(1), O::Arrive)),
        R::NotFound,
    ),
    (
        "the restaurant arrives",
        |w| (kitchen(1), C::Order(w.assigned(1), O::Arrive)),
        R::Forbidden,
    ),
    (
        "arrives after pickup",
        |w| (rider(1), C::Order(w.picked_up(1), O::Arrive)),
        R::WrongState,
    ),
    (
        "picks up what was delivered",
        |w| (rider(1), C::Order(w.delivered(1), O::PickUp)),
        R::WrongState,
    ),
    (
        "completes before pickup",
        |w| (rider(1), pin(w.assigned(1), "0000")),
        R::WrongState,
    ),
    (
        "a wrong PIN",
        |w| (rider(1), pin(w.picked_up(1), "12345")),
        R::ProofWrong,
    ),
    ("a sixth PIN, and the right one", sixth_pin, R::ProofLocked),
    (
        "fails before pickup",
        |w| (rider(1), fail(w.assigned(1), "customer_absent")),
        R::WrongState,
    ),
    (
        "fails twice",
        |w| (rider(1), fail(w.returning(1), "customer_absent")),
        R::WrongState,
    ),
    (
        "completes what is on its way back",
        |w| (rider(1), pin(w.returning(1), "0000")),
        R::WrongState,
    ),
    (
        "gives back after pickup",
        |w| (rider(1), C::Order(w.picked_up(1), O::GiveBack)),
        R::TooLate,
    ),
    (
        "brings back what was not refused",
        |w| (rider(1), C::Order(w.picked_up(1), O::Return)),
        R::WrongState,
    ),
    (
        "the customer says it is back",
        |w| (me(), C::Order(w.returning(1), O::Return)),
        R::Forbidden,
    ),
    (
        "another brings it back",
        |w| (rider(2), C::Order(w.returning(1), O::Return)),
        R::NotFound,
    ),
];

#[test]
fn drivers_take_the_steps_of_a_delivery_in_their_order() {
    check_all(STEPS);
}

const SIGNING: &[Case] = &[
    (
        "signs off while bound",
        |w| (w.assigned(1), (rider(1), sign(driver(1), false))).1,
        R::DriverBusy,
    ),
    (
        "signs off with food that was refused",
        |w| (w.returning(1), (rider(1), sign(driver(1), false))).1,
        R::DriverBusy,
    ),
    (
        "signs another off",
        |_| (rider(1), sign(driver(2), false)),
        R::Forbidden,
    ),
    (
        "signs on for a shift that is over",
        |w| (rider(1), until(w, 0)),
        R::ShiftOver,
    ),
    ("is not known", |_| (rider(66), sign(driver(66), true)), R::NotFound),
    (
        "hands their own cash in",
        |_| (rider(1), C::Driver(driver(1), DriverCommand::DepositCash(1))),
        R::Forbidden,
    ),
    (
        "plans for themselves",
        |_| (rider(1), C::Driver(driver(1), DriverCommand::Plan(Vec::new()))),
        R::Forbidden,
    ),
    (
        "more cash than there is",
        |_| (OPERATOR, C::Driver(driver(1), DriverCommand::DepositCash(1))),
        R::RefundTooLarge,
    ),
    (
        "less than no cash",
        |_| (OPERATOR, C::Driver(driver(1), DriverCommand::DepositCash(-1))),
        R::RefundTooLarge,
    ),
    (
        "cash of nobody",
        |_| (OPERATOR, C::Driver(driver(66), DriverCommand::DepositCash(1))),
        R::NotFound,
    ),
];

#[test]
fn drivers_sign_themselves_on_and_off_and_operators_do_the_rest() {
    check_all(SIGNING);
}

const BY_HAND: &[Case] = &[
    (
        "a restaurant assigns",
        |w| (kitchen(1), C::Order(w.ready(), O::Assign(driver(1)))),
        R::Forbidden,
    ),
    (
        "a driver unassigns",
        |w| (rider(1), C::Order(w.assigned(1), O::Unassign)),
        R::Forbidden,
    ),
    (
        "before it is cooked",
        |w| (OPERATOR, C::Order(w.confirmed(), O::Assign(driver(1)))),
        R::WrongState,
    ),
    (
        "after pickup",
        |w| (OPERATOR, C::Order(w.picked_up(1), O::Assign(driver(2)))),
        R::WrongState,
    ),
    (
        "nobody is bound",
        |w| (OPERATOR, C::Order(w.ready(), O::Unassign)),
        R::WrongState,
    ),
    (
        "unassigned after pickup",
        |w| (OPERATOR, C::Order(w.picked_up(1), O::Unassign)),
        R::WrongState,
    ),
    (
        "to nobody",
        |w| (OPERATOR, C::Order(w.ready(), O::Assign(driver(66)))),
        R::NotFound,
    ),
    (
        "to one who is at home",
        |w| {
            w.ok(OPERATOR, sign(driver(1), false));
            (OPERATOR, C::Order(w.ready(), O::Assign(driver(1))))
        },
        R::DriverOffline,
    ),
    (
        "one who went to another region",
        |w| {
            let to = "hyd".parse().unwrap();
            let command = DriverCommand::Cross(Step::HandOver { to, loan: None });
            w.ok(By::System, C::Driver(driver(1), command));
            (OPERATOR, sign(driver(1), true))
        },
        R::DriverElsewhere,
    ),
    (
        "to one who carries another",
        |w| {
            w.assigned(1);
            (OPERATOR, C::Order(w.ready(), O::Assign(driver(1))))
        },
        R::DriverBusy,
    ),
];

#[test]
fn operators_assign_those_who_are_there_and_free() {
    check_all(BY_HAND);
}

fn pin(order_id: OrderId, pin: &str) -> C {
    C::Order(order_id, O::Complete(Proof::Pin { pin: pin.into() }))
}

fn sixth_pin(world: &mut World) -> (By, C) {
    let id = world.picked_up(1);
    for _ in 0..5 {
        world.check(rider(1), pin(id, "wrong"), Err(R::ProofWrong));
    }
    let right = world.order(id).pin.clone();
    (rider(1), pin(id, &right))
}
