//! Every way in which the engine says no, and that a refusal leaves no row (which `World::run` checks each time).

mod afterwards;
mod driving;
mod elsewhere;
mod kitchens;
mod paying;
mod placing;

use tomato_shared::rejection::Rejection as R;

use super::world::{World, customer, driver, restaurant};
use crate::engine::command::Command as C;
use crate::engine::model::By;

/// A name; prepares a city and says who asks for what; the answer.
type Case = (&'static str, fn(&mut World) -> (By, C), R);

/// Codes that are given outside the engine, or by nobody yet.
const ELSEWHERE: [R; 3] = [
    // By the store, which counts webhook endpoints.
    R::LimitReached,
    // By the writer, which keeps the keys.
    R::IdempotencyKeyReused,
    // A quote is honoured to the letter: no price changes under it.
    R::PriceChanged,
];

fn check_all(cases: &[Case]) {
    for (name, prepare, expected) in cases {
        let mut world = World::new();
        let (by, command) = prepare(&mut world);
        let found = world.run(by, &command).map_err(|refusal| refusal.rejection);
        assert_eq!(found.as_ref().err(), Some(expected), "{name}: {found:?}");
    }
}

#[test]
fn every_code_that_the_engine_gives_is_among_the_cases() {
    let cases = [
        afterwards::ALL,
        driving::ALL,
        elsewhere::ALL,
        kitchens::ALL,
        paying::ALL,
        placing::ALL,
    ];
    let given: Vec<R> = cases
        .iter()
        .copied()
        .flatten()
        .copied()
        .flatten()
        .map(|(_, _, code)| *code)
        .collect();
    for code in R::ALL {
        assert_eq!(given.contains(code), !ELSEWHERE.contains(code), "{code:?}");
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
