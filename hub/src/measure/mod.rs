//! Histories by the million, for tests and for `./scripts/bench hub`, and what is measured with them.

pub(crate) mod history;
pub(crate) mod statement;
pub(crate) mod story;

mod run;
pub use run::{ASKED, Plan, Report, Timed, run};
pub use story::PHONE_KEY;
