//! Histories by the million, for tests and for `./scripts/bench hub`, and what is measured with them.

pub(crate) mod history;
pub(crate) mod statement;
pub(crate) mod story;

mod run;
pub use run::{Plan, Report, Timed, run};
