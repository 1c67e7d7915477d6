//! Histories by the million, for tests and for `./scripts/bench hub`, and what is measured with them.

pub(crate) mod history;
mod story;

#[cfg(feature = "measure")]
mod run;
#[cfg(feature = "measure")]
pub use run::{Plan, Report, Timed, run};
