//! A live message as bytes: the same view that HTTP gives, serialised once per kind of viewer and encoding.

use std::sync::OnceLock;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::id::OrderId;
use tomato_shared::time::UnixMs;

use super::Committed;
use super::audience::{self, Name};
use crate::engine::model::{By, Order};
use crate::engine::view::{self, OrderView};
use crate::fleet::Fix;

/// How frames are written; the subprotocols of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Text frames.
    Json,
    /// Binary frames with the same names and texts as in JSON, so that one model of an app reads both.
    MessagePack,
}

impl Encoding {
    /// Serialises a frame. Numbers, ids and strings always can be; an empty frame would be a fault of ours.
    pub fn write<T: Serialize>(self, frame: &T) -> Bytes {
        let written = match self {
            Self::Json => serde_json::to_vec(frame).map_err(|error| error.to_string()),
            Self::MessagePack => {
                let mut bytes = Vec::new();
                let mut serializer = rmp_serde::Serializer::new(&mut bytes)
                    .with_struct_map()
                    .with_human_readable();
                frame
                    .serialize(&mut serializer)
                    .map(|()| bytes)
                    .map_err(|error| error.to_string())
            }
        };
        match written {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                tracing::error!(%error, "a live frame does not serialise");
                Bytes::new()
            }
        }
    }
}

/// An event about an order, ready to be told.
#[derive(Debug)]
pub struct Message {
    committed: Committed,
    order_id: OrderId,
    version: u32,
    /// By kind of viewer and encoding.
    frames: [[OnceLock<Bytes>; 2]; 4],
}

/// An event as one viewer hears of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "News")]
pub(crate) struct Frame<'a> {
    #[serde(rename = "type")]
    name: Name,
    /// To be sent as `?after=` to go on from here.
    seq: u64,
    order_id: OrderId,
    /// The order's version after it.
    version: u32,
    at: UnixMs,
    /// Whether a device should make itself heard; absent for no.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    urgent: bool,
    /// The order as the viewer may see it; absent where it has gone to another.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a OrderView>,
}

impl Message {
    /// `None` for an event that is not about an order.
    pub(super) fn new(committed: Committed) -> Option<Self> {
        let about = committed.envelope.order?;
        committed.order.as_ref()?;
        Some(Self {
            order_id: about.id,
            version: about.version,
            committed,
            frames: Default::default(),
        })
    }

    /// Sequence of the event.
    pub fn seq(&self) -> u64 {
        self.committed.envelope.seq
    }

    /// The order.
    pub fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// The order's version after the event.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it is called for a viewer; `None` for those who may not hear of it.
    pub fn name_for(&self, viewer: By) -> Option<Name> {
        audience::name_for(&self.committed.envelope.event, self.order()?, viewer)
    }

    /// Everybody who may have to hear of it. Operators share one topic, so any id stands for all of them.
    pub(super) fn parties(&self) -> impl Iterator<Item = By> {
        let order = self.order();
        let parties = order.map(|order| audience::parties(&self.committed.envelope.event, order));
        let operators = order.map(|order| By::Operator(order.customer_id));
        parties.into_iter().flatten().flatten().chain(operators)
    }

    /// The frame for a viewer; `None` for those who may not see it.
    pub fn frame(&self, viewer: By, encoding: Encoding) -> Option<Bytes> {
        let name = self.name_for(viewer)?;
        let kind = match viewer {
            By::Customer(_) => 0,
            By::Restaurant(_) => 1,
            By::Driver(_) => 2,
            By::Operator(_) => 3,
            By::Provider | By::System => return None,
        };
        // One event has one viewer of each kind (operators all see the same), so the kind is key enough.
        let cell = &self.frames[kind][usize::from(encoding == Encoding::MessagePack)];
        Some(cell.get_or_init(|| self.write(name, viewer, encoding)).clone())
    }

    fn write(&self, name: Name, viewer: By, encoding: Encoding) -> Bytes {
        let view = self
            .order()
            .filter(|_| name != Name::OrderWithdrawn)
            .map(|order| self.view(order, viewer));
        encoding.write(&Frame {
            name,
            seq: self.seq(),
            order_id: self.order_id,
            version: self.version,
            at: self.committed.envelope.at,
            urgent: name.is_urgent(),
            order: view.as_ref(),
        })
    }

    fn view(&self, order: &Order, viewer: By) -> OrderView {
        let mut view = view::order(order, self.committed.driver.as_deref(), viewer);
        // Who lost an offer or gave a delivery back hears that it is over, not who has it now.
        if matches!(viewer, By::Driver(id) if order.delivery.driver_id != Some(id)) {
            view.delivery.driver = None;
        }
        view
    }

    fn order(&self) -> Option<&Order> {
        self.committed.order.as_deref()
    }
}

/// Where the driver of an order is.
#[derive(Debug)]
pub struct Location {
    order_id: OrderId,
    at: UnixMs,
    place: LatLng,
    frames: [OnceLock<Bytes>; 2],
}

/// Where the driver of an order is, for its customer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DriverLocation")]
pub(crate) struct LocationFrame {
    #[serde(rename = "type")]
    name: &'static str,
    order_id: OrderId,
    at: UnixMs,
    place: LatLng,
}

impl Location {
    pub(super) fn new(order_id: OrderId, fix: &Fix) -> Self {
        Self {
            order_id,
            at: fix.at,
            place: fix.place,
            frames: Default::default(),
        }
    }

    /// The order.
    pub fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// The frame; only its order's customer is ever given one.
    pub fn frame(&self, encoding: Encoding) -> Bytes {
        let cell = &self.frames[usize::from(encoding == Encoding::MessagePack)];
        let write = || {
            encoding.write(&LocationFrame {
                name: "DRIVER_LOCATION",
                order_id: self.order_id,
                at: self.at,
                place: self.place,
            })
        };
        cell.get_or_init(write).clone()
    }
}
