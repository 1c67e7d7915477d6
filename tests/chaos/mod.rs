//! Runs in which things break on purpose, while people order. Each returns a table and whatever should not have been;
//! `./scripts/chaos` runs them long, the tests of `e2e` short.
//!
//! | module | breaks |
//! |---|---|
//! | [`cut`] | the network between a region and the hub, in every way |
//! | [`power`] | the power of a region's machine, or of the hub's |
//! | [`stores`] | streams, the room to store, the whole hub |
//! | [`disks`] | the disk below a node, or below its broker alone |
//! | [`kills`] | each process, with kill -9 |
//! | [`keys`] | nothing, it tries: a region's key against what is not the region's |
//! | [`shop`] | nothing: customers who only order, and remember what they were told |
//! | [`books`] [`report`] | nothing: compares region and hub event by event; the table |

pub mod books;
pub mod cut;
pub mod disks;
pub mod keys;
pub mod kills;
pub mod power;
pub mod report;
pub mod shop;
pub mod stores;
