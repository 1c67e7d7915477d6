//! The data of some events, where it is more than a line or two.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DisputeState;
use crate::id::{DriverId, ItemId, PaymentId, RestaurantId};
use crate::time::UnixMs;

/// Of `payment.declined`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Declined {
    /// The payment.
    pub payment_id: PaymentId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// The provider's code, as `card_declined`.
    pub reason: String,
    /// Until when another card can be named; then the payment has failed.
    pub another_card_until: UnixMs,
}

/// Of `payment.retried`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Retried {
    /// The payment.
    pub payment_id: PaymentId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
}

/// Of `payment.disputed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Disputed {
    /// The payment.
    pub payment_id: PaymentId,
    /// The provider's own id.
    pub dispute_id: String,
    /// What it is about.
    pub amount_minor: i64,
    /// What the provider took away with this, or gave back where negative.
    pub moved_minor: i64,
    /// The bank's reason, in the provider's words.
    pub reason: String,
    /// Where it stands.
    pub state: DisputeState,
}

/// Of `order.rated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Rated {
    /// The restaurant.
    pub restaurant_id: RestaurantId,
    /// Its stars.
    pub restaurant_stars: u8,
    /// The driver.
    pub driver_id: DriverId,
    /// Their stars, where given.
    #[serde(default)]
    pub driver_stars: Option<u8>,
}

/// Of `inventory.reservation.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Short {
    /// Where.
    pub restaurant_id: RestaurantId,
    /// The item that was short.
    pub item_id: ItemId,
    /// How many were asked for.
    pub wanted: u32,
    /// How many were left.
    pub left: u32,
}
