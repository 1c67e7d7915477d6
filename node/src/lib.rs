//! One region of Tomato: its orders, stock, restaurants, drivers and payments in one SQLite file, decided by one writer.
//!
//! ```text
//! http, live   -> writer -> engine (pure) decides -> store: rows + outbox, one transaction -> commit
//!                                                     |-> feed -> live (WebSocket), fleet, tasks -> payments
//!                                                     `-> relay -> the region's nats-server -> hub
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`config`] [`clock`] | the only reader of files and environment; the only reader of wall time |
//! | [`http`] | routes, auth, idempotency, problems, WebSocket |
//! | [`engine`] | PURE: every decision. Knows no clock, no I/O, no SQL |
//! | [`writer`] | the one thread that writes: batch, transaction, answers after the commit |
//! | [`store`] | schema, reads and writes of rows; the read pool |
//! | [`dispatch`] | plans who drives where, outside the writer; what is learned for that |
//! | [`fleet`] | latest driver positions by H3 cell, in memory |
//! | [`feed`] | committed events to subscribers |
//! | [`tasks`] [`payments`] | calls to the outside that were committed, repeated until they are answered |
//! | [`push`] | devices and partners told of events: Firebase, Apple, signed webhooks |
//! | [`reconcile`] | provider, books and orders compared |
//! | [`relay`] | outbox to JetStream, row id == stream sequence |
//! | [`region`] | heartbeat, watermark, repair; what the hub tells; whose which cell is; requests and drivers that cross borders |
//! | [`backup`] | a checked copy of the region's file, beside the running node |
//! | [`incarnation`] | lets a region go on from a restored copy of its file |
//! | [`metrics`] [`admin`] | every number told to Prometheus; the port for whoever runs the node |
//! | [`steps`] | where tests kill the node; nothing in a release build |
//! | [`replay`] | benchmark instances through the dispatcher: reads files, checks, writes solutions |
//!
//! Place an order: `http/orders.rs` parses and signs the caller in; [`writer::Writer::submit`] queues; [`engine::order`] prices,
//! checks area and stock and drafts the order, its hold, its payment task and two events; `store::write` puts all of it and the
//! answer under the client's key into one transaction; after the commit the customer hears 201, the feed tells the apps, `tasks`
//! asks the provider, and the relay publishes both events. When the provider has answered, that is a command like any other.
//!
//! The hub or the broker is away: nothing here waits for them; rows stay in the outbox until the hub's watermark passes them.
//! The node restarts: the working set, the deadlines and the open tasks are rows; everything goes on from there.

pub mod admin;
pub mod backup;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod engine;
pub mod feed;
pub mod fleet;
pub mod http;
pub mod incarnation;
pub mod metrics;
pub mod payments;
pub mod push;
pub mod reconcile;
pub mod region;
pub mod relay;
pub mod replay;
mod start;
pub mod steps;
pub mod store;
pub mod tasks;
pub mod writer;

pub use start::{Node, RunError, StartError};
