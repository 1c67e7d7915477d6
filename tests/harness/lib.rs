//! What tests, benches and `tomato-up` stand on.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | a real program: start, SIGTERM, kill -9, start again; its log |
//! | [`ports`] [`wait`] | free loopback ports; waiting for a condition with a deadline |
//! | [`client`] [`calls`] [`request`] [`view`] | the public HTTP API as a careful app speaks it |
//! | [`live`] | the public WebSocket |
//! | [`stack`] [`server`] [`settings`] | hub and nodes as real processes, their configuration files |
//! | [`proxy`] [`network`] | the network between region and hub, which breaks on purpose; machines of their own |
//! | [`disk`] | a disk whose power can be cut, and that can be full |
//! | [`hub_view`] [`compare`] | the hub's HTTP API; whether it says what the regions say |
//! | [`town`] | a city at work, whose orders are counted and compared |
//! | [`till`] | a region whose every payment goes through it |
//! | [`post`] | Firebase, Apple and partners, which fail on purpose |
//! | [`tokens`] | the issuer, and tokens for each role |
//! | [`city`] | the simulator |
//! | [`provider`] | a payment provider that fails on purpose |
//! | [`chaos`] | runs in which everything else fails on purpose |

pub mod calls;
#[path = "../chaos/mod.rs"]
pub mod chaos;
#[path = "../city/mod.rs"]
pub mod city;
pub mod client;
pub mod compare;
pub mod disk;
pub mod hub_view;
pub mod live;
pub mod network;
pub mod ports;
pub mod post;
pub mod process;
#[path = "../provider/mod.rs"]
pub mod provider;
pub mod proxy;
pub mod request;
pub mod server;
pub mod settings;
pub mod stack;
pub mod till;
pub mod tokens;
pub mod town;
pub mod view;
pub mod wait;
