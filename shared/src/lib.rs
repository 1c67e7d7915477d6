//! What node and hub agree on.
//!
//! | module | owns |
//! |---|---|
//! | [`id`] | typed ids: a prefix and a UUIDv7 outside, 16 bytes inside |
//! | [`cell`] | places on the earth, H3 cells, the set of cells a region owns, region names |
//! | [`directory`] | which region owns which cells, version by version |
//! | [`control`] [`promotion`] | what the hub tells a region: fees, codes that take something off, switches, a pause |
//! | [`money`] | integer minor units, ISO 4217 currencies, rates in basis points |
//! | [`time`] | milliseconds since 1970: RFC 3339 outside, an integer inside |
//! | [`order`] | the states of an order and of its delivery, and the only table of legal transitions |
//! | [`phone`] | telephone numbers, and the hashes that leave a region in their place |
//! | [`event`] | everything that a region tells the world, versioned, in one envelope |
//! | [`rejection`] | every way in which the domain says no: stable codes, and whether a retry can help |
//! | [`subject`] | every NATS subject, stream, bucket and consumer name; built and parsed nowhere else |
//! | [`sync`] | the small messages between node and hub: heartbeat, watermark, repair |
//! | [`runtime`] | the only part with I/O: configuration, supervised nats-server, telemetry, HTTP serving, tokens |
//!
//! Everything but `runtime` is pure: no clock, no I/O, no randomness, no async. This crate knows neither
//! SQLite nor HTTP routes, and nothing of how a region decides.
//!
//! One walk through it: a node decides that an order is placed, builds [`event::Event::OrderCreated`], wraps it in
//! an [`event::Envelope`] whose `seq` is its outbox row, and publishes it on [`subject::event`]. The hub parses the
//! same envelope, and folds the order's state with the same [`order::OrderState::step`] that the node decided with.
#![warn(missing_docs)]

pub mod cell;
pub mod control;
pub mod directory;
pub mod event;
pub mod id;
pub mod money;
pub mod order;
pub mod phone;
pub mod promotion;
pub mod rejection;
pub mod runtime;
pub mod subject;
pub mod sync;
pub mod time;
pub mod verify;
