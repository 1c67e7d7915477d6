//! placeholder

pub mod engine;
pub mod fleet;
pub mod writer;
