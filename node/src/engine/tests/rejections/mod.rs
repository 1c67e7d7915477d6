//! Every way in which the engine says no, and that a refusal leaves no row (which `World::run` checks each time).

mod driving;
mod kitchens;
mod placing;

use tomato_shared::rejection::Rejection as R;

use super::world::{World, customer, driver, restaurant};
use crate::engine::command::Command as C;
use crate::engine::model::By;

/// Prepares a city and says who asks for what.
type Case = fn(&mut World) -> (By, C);

fn check_all(cases: &[(&str, Case, R)]) {
    for (name, prepare, expected) in cases {
        let mut world = World::new();
        let (by, command) = prepare(&mut world);
        let found = world.run(by, &command).map_err(|refusal| refusal.rejection);
        assert_eq!(found.as_ref().err(), Some(expected), "{name}: {found:?}");
    }
}

fn me() -> By {
    By::Customer(customer(1))
}

fn kitchen(n: u8) -> By {
    By::Restaurant(restaurant(n))
}

fn rider(n: u8) -> By {
    By::Driver(driver(n))
}
