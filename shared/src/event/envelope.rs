//! The envelope around every event: who says it, in which order, and how its bytes are read by older and newer programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::cell::RegionId;
use crate::id::OrderId;
use crate::time::UnixMs;

/// Version of the envelope written today.
pub const ENVELOPE_VERSION: u16 = 1;

/// One committed event of a region: one outbox row, one message of the region's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// [`ENVELOPE_VERSION`] of the writer.
    pub v: u16,
    /// The region that decided. A hub takes the region from the stream's source and only checks this one.
    pub region: RegionId,
    /// Rises when a region starts anew from a backup; within one incarnation `seq` has no gap.
    pub incarnation: u32,
    /// Row of the outbox, and sequence in the region's stream: 1, 2, 3 and so on from [`crate::sync::first_seq`].
    pub seq: u64,
    /// When the region decided, by its own clock.
    pub at: UnixMs,
    /// When it happened by the clock of the device that told of it later, having been cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_at: Option<UnixMs>,
    /// The order it is about, and the order's version after it: 1..n without gaps per order.
    #[serde(default)]
    pub order: Option<OrderRef>,
    /// Who caused it.
    pub by: Actor,
    /// W3C `traceparent` of the request that caused it.
    #[serde(default)]
    pub trace: Option<String>,
    /// What happened.
    pub event: Event,
}

/// An order and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRef {
    /// The order.
    pub id: OrderId,
    /// Counts the order's events from 1.
    pub version: u32,
}

/// The kind of party that caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The customer of the order.
    Customer,
    /// The restaurant.
    Restaurant,
    /// The driver.
    Driver,
    /// A person who operates the region.
    Operator,
    /// A payment provider.
    Provider,
    /// The region itself: a timer, dispatch.
    System,
}

/// The part of an [`Envelope`] that every version of every event has; read when the event itself is not understood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Header {
    /// As in [`Envelope`].
    pub region: RegionId,
    /// As in [`Envelope`].
    pub incarnation: u32,
    /// As in [`Envelope`].
    pub seq: u64,
    /// As in [`Envelope`].
    pub at: UnixMs,
    /// As in [`Envelope`].
    #[serde(default)]
    pub order: Option<OrderRef>,
    /// Only the type of the event.
    pub event: EventType,
}

/// The type of an event without its data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EventType {
    /// As [`Event::name`].
    #[serde(rename = "type")]
    pub name: String,
}

/// What [`decode`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// An event this reader knows.
    Known(Box<Envelope>),
    /// An event of a newer writer: counted and kept, but not folded.
    Unknown(Header),
}

/// Encodes an envelope as MessagePack with named fields. Fails only if a string inside is longer than 4 GiB.
pub fn encode(envelope: &Envelope) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(envelope)
}

/// Decodes what [`encode`] or a newer version of it wrote. Fails where not even the header can be read.
pub fn decode(bytes: &[u8]) -> Result<Decoded, rmp_serde::decode::Error> {
    match rmp_serde::from_slice(bytes) {
        Ok(envelope) => Ok(Decoded::Known(Box::new(envelope))),
        Err(_) => rmp_serde::from_slice(bytes).map(Decoded::Unknown),
    }
}
