//! placeholder

pub mod runtime;
