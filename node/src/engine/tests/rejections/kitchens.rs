//! Restaurants, and those who write them.

use tomato_shared::id::RestaurantId;
use tomato_shared::rejection::Rejection as R;

use super::super::world::{OPERATOR, accept, centre, driver, put_restaurant, restaurant};
use super::{check_all, kitchen, me, rider};
use crate::engine::command::{Command as C, PutRestaurant};

#[test]
fn restaurants_act_on_their_own_orders_in_their_state() {
    check_all(&[
        ("an unpaid order", |w| (kitchen(1), accept(w.pending())), R::WrongState),
        ("another's order", |w| (kitchen(2), accept(w.confirmed())), R::NotFound),
        ("the customer accepts", |w| (me(), accept(w.confirmed())), R::Forbidden),
        ("accepts twice", |w| (kitchen(1), accept(w.preparing())), R::WrongState),
        (
            "rejects what it cooks",
            |w| (kitchen(1), C::RejectOrder(w.preparing())),
            R::WrongState,
        ),
        (
            "rejects another's",
            |w| (kitchen(2), C::RejectOrder(w.confirmed())),
            R::NotFound,
        ),
        (
            "ready before accepted",
            |w| (kitchen(1), C::MarkReady(w.confirmed())),
            R::WrongState,
        ),
        ("ready twice", |w| (kitchen(1), C::MarkReady(w.ready())), R::WrongState),
        (
            "a driver says ready",
            |w| (rider(1), C::MarkReady(w.preparing())),
            R::NotFound,
        ),
        (
            "opens another",
            |_| {
                (
                    kitchen(1),
                    C::SetOpen {
                        restaurant_id: restaurant(2),
                        open: true,
                    },
                )
            },
            R::NotFound,
        ),
        (
            "a customer opens",
            |_| {
                (
                    me(),
                    C::SetOpen {
                        restaurant_id: restaurant(2),
                        open: true,
                    },
                )
            },
            R::Forbidden,
        ),
        (
            "opens nothing",
            |_| {
                (
                    OPERATOR,
                    C::SetOpen {
                        restaurant_id: RestaurantId::from_bytes([66; 16]),
                        open: true,
                    },
                )
            },
            R::NotFound,
        ),
    ]);
}

#[test]
fn only_operators_write_restaurants_and_drivers() {
    fn edit(change: fn(&mut PutRestaurant)) -> C {
        let mut wanted = put_restaurant(1);
        change(&mut wanted);
        C::PutRestaurant(Box::new(wanted))
    }
    check_all(&[
        ("a restaurant its menu", |_| (kitchen(1), edit(|_| ())), R::Forbidden),
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
        (
            "a driver",
            |_| {
                (
                    rider(1),
                    C::PutDriver {
                        driver_id: driver(1),
                        name: String::new(),
                        phone: String::new(),
                    },
                )
            },
            R::Forbidden,
        ),
    ]);
}
