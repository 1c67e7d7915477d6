//! Histories for tests, and what is measured with them.

pub(crate) mod history;
mod story;
