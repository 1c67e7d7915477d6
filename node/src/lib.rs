//! placeholder

pub mod clock;
pub mod engine;
pub mod feed;
pub mod fleet;
pub mod store;
pub mod writer;
