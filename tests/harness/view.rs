//! The bodies of the public API as an app reads them: what the app uses, unknown fields skipped.
//!
//! Written down here a second time, apart from the node's own types, so that a change of the contract shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::event::{CancelReason, Line, PaymentMethod, Price};
use tomato_shared::id::{DeliveryId, DriverId, ItemId, OfferId, OrderId, RefundId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

/// An order as its reader may see it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub state: OrderState,
    pub version: u32,
    pub customer_id: UserId,
    pub restaurant: OrderRestaurant,
    pub lines: Vec<Line>,
    pub price: Price,
    pub payment: Payment,
    pub delivery: Delivery,
    pub deliver_to: Option<Address>,
    pub pin: Option<String>,
    pub placed_at: UnixMs,
    pub confirmed_at: Option<UnixMs>,
    pub accept_by: Option<UnixMs>,
    pub ready_at: Option<UnixMs>,
    pub estimated_delivery_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub cancel_reason: Option<CancelReason>,
    pub deliver_at: Option<UnixMs>,
    pub release_at: Option<UnixMs>,
    pub change: Option<Change>,
}

/// What a restaurant proposes to cook instead.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Change {
    pub lines: Vec<Line>,
    pub refund_minor: i64,
    pub expires_at: UnixMs,
}

/// Where an order is cooked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OrderRestaurant {
    pub id: RestaurantId,
    pub name: String,
    pub place: LatLng,
}

/// The money of an order. The state is text: the simulator does not act on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payment {
    pub method: PaymentMethod,
    pub state: String,
    #[serde(default)]
    pub refunds: Vec<Refund>,
    #[serde(default)]
    pub tips: Vec<Tip>,
}

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    pub amount_minor: i64,
    pub reason: String,
    pub state: String,
}

/// A tip after delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tip {
    pub amount_minor: i64,
    pub state: String,
}

/// The driver's side of an order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Delivery {
    pub id: DeliveryId,
    pub state: DeliveryState,
    pub offer: Option<Offer>,
    pub driver: Option<DriverCard>,
    pub picked_up_at: Option<UnixMs>,
}

/// An offer to the driver who reads it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Offer {
    pub id: OfferId,
    pub distance_m: u32,
    pub expires_at: UnixMs,
}

/// The driver as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DriverCard {
    pub id: DriverId,
    pub name: Option<String>,
    pub phone: Option<String>,
}

/// A door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub place: LatLng,
    pub line: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A restaurant with its menu.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Restaurant {
    pub id: RestaurantId,
    pub version: u32,
    pub name: String,
    pub place: LatLng,
    pub open: bool,
    pub delivery_radius_m: u32,
    pub preparation_min: u32,
    pub menu: Vec<MenuItem>,
}

/// An item of a menu.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MenuItem {
    pub id: ItemId,
    pub name: String,
    pub category: String,
    pub price_minor: i64,
    pub available: bool,
    pub left: Option<u32>,
}

/// A restaurant in the list of those that deliver to a place.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NearbyRestaurant {
    pub id: RestaurantId,
    pub name: String,
    pub place: LatLng,
    pub open: bool,
    pub distance_m: f64,
    pub delivery_radius_m: u32,
    pub preparation_min: u32,
}

/// A driver as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Driver {
    pub id: DriverId,
    pub version: u32,
    pub name: String,
    pub online: bool,
    #[serde(default)]
    pub cash_minor: i64,
    pub offered_order_ids: Vec<OrderId>,
    pub delivering_order_ids: Vec<OrderId>,
}

/// All that a driver's app shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DriverHome {
    pub driver: Driver,
    pub offers: Vec<Order>,
    pub deliveries: Vec<Order>,
    pub stops: Vec<Stop>,
}

/// Where a driver goes, and what for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Stop {
    pub kind: StopKind,
    pub place: LatLng,
    pub order_ids: Vec<OrderId>,
}

/// What is done at a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    Pickup,
    Dropoff,
    Return,
}

/// A priced basket, signed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Quote {
    pub quote: String,
    pub expires_at: UnixMs,
    pub restaurant_id: RestaurantId,
    pub price: Price,
    pub estimated_delivery_at: UnixMs,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub next_cursor: Option<String>,
}

/// What one step of an order's history is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HistoryEntry {
    pub version: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub at: UnixMs,
}

/// A region in numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Overview {
    pub region: String,
    pub now: UnixMs,
    pub placed: u64,
    pub delivered: u64,
    pub cancelled: u64,
    pub payment_failed: u64,
    pub active: u64,
    pub revenue_minor: i64,
    pub refunded_minor: i64,
    pub currency: String,
    pub drivers_online: u64,
    pub waiting_for_driver: u64,
    pub outbox: Outbox,
}

/// How far a region's events have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Outbox {
    pub head_seq: u64,
    pub published_seq: u64,
    pub watermark_seq: u64,
    pub oldest_unsynced_at: Option<UnixMs>,
}

/// Version and clock of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Version {
    pub version: String,
    pub region: String,
    pub now: UnixMs,
    pub clock_rate: f64,
}

/// What went wrong, RFC 9457.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: String,
    pub detail: Option<String>,
    pub request_id: Option<String>,
    pub retry_after_s: Option<u64>,
    pub errors: Vec<serde_json::Value>,
}

/// A message of the WebSocket.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LiveMessage {
    #[serde(rename = "type")]
    pub kind: String,
    pub seq: Option<u64>,
    pub order_id: Option<OrderId>,
    pub version: Option<u32>,
    pub at: Option<UnixMs>,
    pub order: Option<Order>,
    pub orders: Option<Vec<Order>>,
    pub heartbeat_ms: Option<u64>,
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}
