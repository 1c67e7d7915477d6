//! placeholder

pub mod engine;
pub mod writer;
