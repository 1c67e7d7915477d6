//! Drivers: offers of others, steps out of turn, wrong proofs.

use tomato_shared::id::{DriverId, OfferId, OrderId};
use tomato_shared::rejection::Rejection as R;
use tomato_shared::time::DurationMs;

use super::super::world::driver;
use super::{check_all, kitchen, me, rider};
use crate::engine::command::Command as C;
use crate::engine::model::{By, Proof};

#[test]
fn drivers_answer_their_own_open_offers_only() {
    const NO_OFFER: OfferId = OfferId::from_bytes([77; 16]);
    check_all(&[
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
    ]);
}

#[test]
fn drivers_take_the_steps_of_a_delivery_in_their_order() {
    check_all(&[
        (
            "arrives before accepting",
            |w| (rider(1), C::Arrive(w.offered(1).0)),
            R::NotFound,
        ),
        (
            "arrives for another",
            |w| (rider(2), C::Arrive(w.assigned(1))),
            R::NotFound,
        ),
        (
            "the restaurant arrives",
            |w| (kitchen(1), C::Arrive(w.assigned(1))),
            R::Forbidden,
        ),
        (
            "arrives after pickup",
            |w| (rider(1), C::Arrive(w.picked_up(1))),
            R::WrongState,
        ),
        (
            "picks up twice",
            |w| (rider(1), C::PickUp(w.picked_up(1))),
            R::WrongState,
        ),
        (
            "completes before pickup",
            |w| (rider(1), complete(w.assigned(1), "0000")),
            R::WrongState,
        ),
        (
            "a wrong PIN",
            |w| (rider(1), complete(w.picked_up(1), "12345")),
            R::ProofWrong,
        ),
        (
            "fails before pickup",
            |w| (rider(1), fail(w.assigned(1))),
            R::WrongState,
        ),
        (
            "gives back after pickup",
            |w| (rider(1), C::GiveBack(w.picked_up(1))),
            R::TooLate,
        ),
        (
            "signs off while bound",
            |w| (w.assigned(1), online(rider(1), 1, false)).1,
            R::DriverBusy,
        ),
        ("signs another off", |_| online(rider(1), 2, false), R::Forbidden),
        ("is not known", |_| online(rider(66), 66, true), R::NotFound),
    ]);
}

fn complete(order_id: OrderId, pin: &str) -> C {
    C::Complete {
        order_id,
        proof: Proof::Pin { pin: pin.into() },
    }
}

fn fail(order_id: OrderId) -> C {
    C::FailDelivery {
        order_id,
        reason: "customer_absent".into(),
    }
}

fn online(by: By, n: u8, online: bool) -> (By, C) {
    let driver_id: DriverId = driver(n);
    (by, C::SetOnline { driver_id, online })
}
