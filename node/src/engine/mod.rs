//! PURE.

pub mod command;
pub mod model;
pub mod policy;
pub mod timer;
pub mod view;
