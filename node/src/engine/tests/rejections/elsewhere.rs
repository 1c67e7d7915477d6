//! Orders to places that are another region's, or on the way there.

use tomato_shared::rejection::Rejection as R;

use super::super::moving::{gone, leaves, take};
use super::super::world::{BURGER, order_of, place, restaurant};
use super::{Case, check_all, me};
use crate::engine::command::Command;
use crate::engine::model::By;

pub(super) const ALL: &[&[Case]] = &[MOVED];

fn burger() -> (By, Command) {
    (me(), place(order_of(Some(restaurant(1)), &[(BURGER, 1)])))
}

const MOVED: &[Case] = &[
    (
        "on the way to another region",
        |world| {
            world.ok(By::System, take(&leaves()));
            burger()
        },
        R::CellMoving,
    ),
    (
        "in another region",
        |world| {
            world.ok(By::System, take(&gone()));
            burger()
        },
        R::OtherRegion,
    ),
];

#[test]
fn orders_elsewhere_are_refused() {
    check_all(MOVED);
}
