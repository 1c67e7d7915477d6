//! The small messages by which node and hub keep each other informed. MessagePack, named fields; never the truth,
//! which stays in the outbox and in the hub's own file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cell::CellSet;
use crate::id::{DriverId, OrderId};
use crate::time::UnixMs;

/// Sent by a node every two seconds of real time on [`crate::subject::heartbeat`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The node's file is older than what the hub has of it; it takes no orders until a person has decided.
    #[serde(default)]
    pub fenced: bool,
    /// What the region has of the directory.
    #[serde(default)]
    pub directory: Territory,
    /// What the region has of the hub's documents.
    #[serde(default)]
    pub control: Obeyed,
}

/// How a region stands to the documents that the hub gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Obeyed {
    /// Version of the document that is in force there; 0 where there is none.
    pub version: u64,
    /// Why it has not taken the last one in that it was given.
    #[serde(default)]
    pub fault: Option<String>,
    /// Why it takes no orders, whoever wants that; `None` while it takes them.
    #[serde(default)]
    pub paused: Option<String>,
}

/// How a region stands to the directory, as far as its own file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Territory {
    /// Version of its map; 0 where it has none.
    #[serde(default)]
    pub map_version: u64,
    /// What it says is its own: its cells on its map, and those of its configuration that are nobody's there.
    #[serde(default)]
    pub cells: CellSet,
    /// Moves for which it has stopped, and written down what comes along.
    #[serde(default)]
    pub left: Vec<u64>,
    /// Moves for which it has everything.
    #[serde(default)]
    pub arrived: Vec<u64>,
}

/// A region asks another for what comes along with cells, on [`crate::subject::parcel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParcelRequest {
    /// Of which move.
    pub move_id: u64,
    /// From which byte on.
    pub offset: u64,
}

/// Answer to a [`ParcelRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParcelReply {
    /// Length of the whole.
    pub total_bytes: u64,
    /// As many as fit into one message.
    #[serde(with = "serde_bytes")]
    #[schemars(with = "String")]
    pub bytes: Vec<u8>,
    /// Why there are none.
    #[serde(default)]
    pub fault: Option<String>,
}

/// Sent by the hub on [`crate::subject::newest`] after a change, and again every few seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Newest {
    /// The newest version of the map.
    pub map_version: u64,
    /// The hub's clock.
    pub at: UnixMs,
}

/// Sent by the hub on [`crate::subject::watermark`] after it has committed events of a region, and again every few seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watermark {
    /// Incarnation of the newest applied event.
    pub incarnation: u32,
    /// Its sequence: everything up to it is durable at the hub.
    pub seq: u64,
    /// Set where the node's file is not the one that told the hub all this (an old copy was restored): the newest sequence
    /// up to which both say the same.
    #[serde(default)]
    pub agreed_seq: Option<u64>,
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
    /// Encoded envelopes, without a gap; empty if the node does not have the first row any more.
    #[schemars(with = "Vec<String>")]
    pub rows: Vec<serde_bytes::ByteBuf>,
    /// Sequence of the first row: the one asked for, or the first of a later incarnation where the one asked for was never
    /// given.
    pub first_seq: u64,
    /// [`mark`] of the row before the first, as the node has it.
    #[serde(default)]
    pub mark_before: Option<String>,
    /// The node's newest sequence.
    pub head_seq: u64,
}

/// Answer to a request on [`crate::subject::positions`], which has no body: a look at the drivers, which nobody stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PositionsReply {
    /// The node's clock.
    pub at: UnixMs,
    /// Drivers who are signed on and told where they are; `drivers` may be fewer.
    pub known: u64,
    /// At most as many as fit into one message; the same ones as long as the same are signed on.
    pub drivers: Vec<DriverPosition>,
}

/// Where a driver is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriverPosition {
    /// Who.
    pub driver_id: DriverId,
    /// Degrees, to about ten metres.
    pub lat: f64,
    /// Degrees, to about ten metres.
    pub lng: f64,
    /// The orders that the driver is bound to; empty for one who is free.
    #[serde(default)]
    pub order_ids: Vec<OrderId>,
}

/// The sequences of incarnation n begin behind (n - 1) * 2^40, so that no two incarnations ever give the same one, whatever
/// a restored file has forgotten.
const INCARNATION_BITS: u32 = 40;

/// First sequence of an incarnation; incarnations count from 1.
pub const fn first_seq(incarnation: u32) -> u64 {
    ((incarnation.saturating_sub(1) as u64) << INCARNATION_BITS) + 1
}

/// The incarnation that a sequence belongs to.
pub fn incarnation_of(seq: u64) -> u32 {
    u32::try_from(seq.saturating_sub(1) >> INCARNATION_BITS).map_or(u32::MAX, |before| before.saturating_add(1))
}

/// Whether a sequence is the first of an incarnation.
pub fn begins_incarnation(seq: u64) -> bool {
    seq == first_seq(incarnation_of(seq))
}

/// Short name of one encoded event: two files that agree on the mark of a sequence agree on that event.
pub fn mark(payload: &[u8]) -> String {
    let hash = Sha256::digest(payload);
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incarnations_never_share_a_sequence() {
        assert_eq!(first_seq(1), 1);
        assert_eq!(first_seq(2), 1_099_511_627_777);
        for n in [1, 2, 3, 1_000] {
            let first = first_seq(n);
            assert_eq!((incarnation_of(first), incarnation_of(first + 9)), (n, n));
            assert!(begins_incarnation(first) && !begins_incarnation(first + 1));
            assert_eq!(incarnation_of(first - 1), (n - 1).max(1));
        }
        assert!(i64::try_from(first_seq(1_000_000)).is_ok());
        assert_ne!(mark(b"a"), mark(b"b"));
        assert_eq!(mark(b"a").len(), 16);
    }
}
