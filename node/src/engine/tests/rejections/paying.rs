//! Cards that cannot be charged now.

use tomato_shared::control::{Edition, Feature};
use tomato_shared::rejection::Rejection as R;

use super::super::world::{BURGER, order_of, place, restaurant};
use super::{Case, check_all, me};
use crate::engine::command::Command as C;
use crate::engine::model::By;

pub(super) const ALL: &[&[Case]] = &[CARDS, OFF];

const CARDS: &[Case] = &[(
    "a card while the provider cannot be reached",
    |world| {
        world.ok(By::System, C::CardsDown(true));
        (me(), place(order_of(Some(restaurant(1)), &[(BURGER, 1)])))
    },
    R::CardsUnavailable,
)];

const OFF: &[Case] = &[(
    "a card where the hub has switched cards off",
    |world| {
        let mut edition = Edition {
            version: 1,
            ..Edition::default()
        };
        edition.control.off = [Feature::Cards].into();
        world.ok(By::System, C::TakeControl(Box::new(edition)));
        (me(), place(order_of(Some(restaurant(1)), &[(BURGER, 1)])))
    },
    R::FeatureOff,
)];

#[test]
fn what_is_switched_off_is_refused() {
    check_all(OFF);
}

#[test]
fn cards_are_refused_while_nobody_can_charge_them() {
    check_all(CARDS);
}
