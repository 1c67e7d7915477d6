//! An order from the menu to the rating, one story a promise. Each file runs one region without a hub; every story in it
//! has restaurants, customers and drivers of its own.
//!
//! | module | shows |
//! |---|---|
//! | [`scene`] | the stage: a region, and the people of a story |
//! | [`catalogue`] | what can be ordered when, and finding it |
//! | [`quote`] | what it costs, to the last coin; promotions under pressure |
//! | [`scheduled`] | ordered now, cooked later |
//! | [`kitchen`] | a restaurant says no, nothing, later, something else |
//! | [`driver`] | a driver's day: shift, offers, door, money |
//! | [`customer`] | giving up, following, rating |
//! | [`desk`] | what operators do by hand, and the log of it |
//! | [`planned`] | a region that plans: together, and before it is ready |
//! | [`field`] | a driver without a network |
//! | [`crowd`] | a thousand at once for one thing |
//! | [`holds`] | stock that nobody paid for comes back |

mod catalogue;
mod crowd;
mod customer;
mod desk;
mod driver;
mod field;
mod holds;
mod kitchen;
mod planned;
mod quote;
pub(crate) mod scene;
mod scheduled;
