//! The engine's behaviour: tables of rejections, walks through an order's life, and random walks under an audit.

mod drivers;
pub(crate) mod fixture;
mod payments;
mod placing;
mod quotes;
mod rejections;
mod restaurants;
pub(crate) mod walk;
pub(crate) mod world;
