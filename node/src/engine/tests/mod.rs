//! The engine's behaviour: tables of rejections, walks through an order's life, and random walks under an audit.

mod books;
mod changes;
mod control;
mod custody;
mod drivers;
pub(crate) mod fixture;
mod hours;
mod menu;
mod moving;
mod operators;
mod payments;
mod placing;
mod promotions;
mod quotes;
mod refunds;
mod rejections;
mod restaurants;
mod returns;
mod rounds;
mod schedule;
mod shifts;
mod tips_ratings;
pub(crate) mod walk;
pub(crate) mod world;
