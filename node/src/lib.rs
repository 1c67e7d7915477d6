//! placeholder

pub mod clock;
pub mod engine;
pub mod store;
pub mod writer;
