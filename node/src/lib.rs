//! placeholder

pub mod clock;
pub mod engine;
pub mod fleet;
pub mod store;
pub mod writer;
