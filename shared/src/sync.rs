//! The small messages by which node and hub keep each other informed. MessagePack, named fields; never the truth,
//! which stays in the outbox and in the hub's own file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::UnixMs;

/// Sent by a node every two seconds of real time on [`crate::subject::heartbeat`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The node's current incarnation.
    pub incarnation: u32,
    /// Sequence of the newest committed event; 0 before the first.
    pub head_seq: u64,
    /// Sequence of the newest event in the region's stream.
    pub published_seq: u64,
    /// Newest sequence that the node knows the hub to have applied.
    pub watermark_seq: u64,
    /// When the oldest event beyond the watermark was decided.
    #[serde(default)]
    pub oldest_unsynced_at: Option<UnixMs>,
    /// The node's clock.
    pub at: UnixMs,
    /// Where apps reach the node.
    pub public_url: String,
    /// The node's version.
    pub version: String,
    /// Orders that are not final.
    pub active_orders: u64,
    /// Drivers who are signed on.
    pub drivers_online: u64,
}

/// Sent by the hub on [`crate::subject::watermark`] after it has committed events of a region, and again every few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watermark {
    /// Incarnation of the newest applied event.
    pub incarnation: u32,
    /// Its sequence: everything up to it is durable at the hub.
    pub seq: u64,
}

/// The hub asks for `from_seq` and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepairRequest {
    /// First missing sequence.
    pub from_seq: u64,
    /// Last missing sequence; the node may answer with fewer.
    pub to_seq: u64,
}

/// Answer to a [`RepairRequest`]: rows in ascending order, as many as fit into one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepairReply {
    /// Encoded envelopes, without a gap, beginning with `from_seq`; empty if the node does not have that row any more.
    #[schemars(with = "Vec<String>")]
    pub rows: Vec<serde_bytes::ByteBuf>,
    /// The node's newest sequence.
    pub head_seq: u64,
}
