//! Promotions: codes that take something off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::event::Bearer;
use tomato_shared::id::RestaurantId;
use tomato_shared::money::BasisPoints;
use tomato_shared::time::UnixMs;

/// What a promotion takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Saving {
    /// A share of the items.
    Percent {
        /// In basis points: 1,000 are 10 %.
        share_bp: u32,
        /// At most so much, in minor units.
        max_minor: i64,
    },
    /// So much, but not more than the items cost.
    Amount {
        /// In minor units.
        amount_minor: i64,
    },
    /// The delivery fee.
    FreeDelivery,
}

/// A code and what it brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promotion {
    /// What customers type: upper-case letters, digits and dashes.
    pub code: String,
    /// Rises with each edit; the ETag.
    pub version: u32,
    /// What it takes off.
    pub saving: Saving,
    /// Who bears it.
    pub borne_by: Bearer,
    /// Whether it can be used.
    pub active: bool,
    /// From when on.
    pub starts_at: UnixMs,
    /// Until when.
    pub ends_at: UnixMs,
    /// Smallest sum of items it is for.
    pub items_min_minor: i64,
    /// How often in all.
    pub uses_max: u32,
    /// How often by one customer.
    pub uses_per_customer_max: u32,
    /// Only for these restaurants; for all where empty.
    pub restaurant_ids: Vec<RestaurantId>,
}

impl Promotion {
    /// What it takes off, in minor units: never more than items and delivery cost.
    pub fn discount_minor(&self, items_minor: i64, delivery_fee_minor: i64) -> i64 {
        match self.saving {
            Saving::Percent { share_bp, max_minor } => BasisPoints(share_bp).of(items_minor).min(max_minor),
            Saving::Amount { amount_minor } => amount_minor.min(items_minor),
            Saving::FreeDelivery => delivery_fee_minor,
        }
        .max(0)
    }

    /// Whether it is for an order of these items at this restaurant now.
    pub fn applies(&self, restaurant_id: RestaurantId, items_minor: i64, now: UnixMs) -> bool {
        self.active
            && self.starts_at <= now
            && now < self.ends_at
            && items_minor >= self.items_min_minor
            && (self.restaurant_ids.is_empty() || self.restaurant_ids.contains(&restaurant_id))
    }
}
