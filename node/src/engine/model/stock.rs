//! Counted stock and what is held of it.

use serde::{Deserialize, Serialize};
use tomato_shared::id::{ItemId, OrderId, RestaurantId};
use tomato_shared::time::UnixMs;

/// Counted stock of one item at one restaurant. Always `reserved + sold <= capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// How many there are in all.
    pub capacity: u32,
    /// Held for orders whose payment is awaited.
    pub reserved: u32,
    /// Gone with confirmed orders.
    pub sold: u32,
}

impl Stock {
    /// How many can still be ordered.
    pub const fn left(&self) -> u32 {
        self.capacity.saturating_sub(self.reserved).saturating_sub(self.sold)
    }
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Counts as reserved.
    Held,
    /// Counts as sold.
    Consumed,
    /// Free again, as the order ended or went to another restaurant.
    Released,
    /// Free again, as the payment took too long.
    Expired,
}

impl ReservationState {
    /// The name as it stands in SQLite.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Held, Self::Consumed, Self::Released, Self::Expired]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// Stock of one item at one restaurant, held or taken by one order. A take-over by another restaurant is another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// How many.
    pub quantity: u32,
    /// Where it stands.
    pub state: ReservationState,
    /// When a hold ends by itself.
    pub expires_at: UnixMs,
}

/// Names a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservationKey {
    /// For which order.
    pub order_id: OrderId,
    /// At which restaurant.
    pub restaurant_id: RestaurantId,
    /// Of which item.
    pub item_id: ItemId,
}
