//! The outside that moves money. Called by `tasks.rs` only, after the intent is committed.

pub mod simulated;

/// The provider gave no answer that settles the matter: a time-out, a 5xx, a cut line. Whether it acted is unknown, so the
/// same call is made again with the same key until there is an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the payment provider: {0}")]
pub struct NoAnswer(pub &'static str);
