//! Promotions: codes that take something off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Bearer;
use crate::id::RestaurantId;
use crate::money::BasisPoints;
use crate::time::UnixMs;

/// Largest amount in a promotion, in minor units.
pub const MINOR_MAX: i64 = 1_000_000_000;
/// Most uses in all.
pub const USES_MAX: u32 = 100_000_000;
/// Most uses by one customer.
pub const USES_PER_CUSTOMER_MAX: u32 = 1_000;
/// Most restaurants that one is limited to.
pub const RESTAURANTS_MAX: usize = 1_000;
/// Longest code.
const CODE_MAX: usize = 40;

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
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// What customers type: upper-case letters, digits and dashes.
    pub code: String,
    /// Rises with each edit; the ETag. 0 for one of the hub's, which is edited there.
    #[serde(default)]
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
    /// Smallest sum of items it is for, in minor units.
    #[serde(default)]
    pub items_min_minor: i64,
    /// How often in all.
    pub uses_max: u32,
    /// How often by one customer.
    pub uses_per_customer_max: u32,
    /// Only for these restaurants; for all where empty.
    #[serde(default)]
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

    /// What contradicts itself: the place, as RFC 6901 has it, and what is wrong there.
    pub fn contradictions(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if self.ends_at <= self.starts_at {
            faults.push(("/ends_at", "is not after starts_at"));
        }
        if self.borne_by == Bearer::Driver {
            faults.push(("/borne_by", "is a driver; platform or restaurant can bear a discount"));
        }
        let in_range = |minor: i64| (0..=MINOR_MAX).contains(&minor);
        match self.saving {
            Saving::Percent { share_bp, max_minor } => {
                if share_bp > 10_000 {
                    faults.push(("/saving/share_bp", "is more than all: 10000 are 100 %"));
                }
                if !in_range(max_minor) {
                    faults.push(("/saving/max_minor", "is not from 0 to 1000000000"));
                }
            }
            Saving::Amount { amount_minor } if !in_range(amount_minor) => {
                faults.push(("/saving/amount_minor", "is not from 0 to 1000000000"));
            }
            Saving::Amount { .. } | Saving::FreeDelivery => {}
        }
        faults
    }

    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = self.contradictions();
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        let limits = [
            (
                "/code",
                (1..=CODE_MAX).contains(&self.code.len()) && self.code.bytes().all(plain),
                "is not 1 to 40 of A-Z, 0-9 and -",
            ),
            (
                "/items_min_minor",
                (0..=MINOR_MAX).contains(&self.items_min_minor),
                "is not from 0 to 1000000000",
            ),
            (
                "/uses_max",
                (1..=USES_MAX).contains(&self.uses_max),
                "is not from 1 to 100000000",
            ),
            (
                "/uses_per_customer_max",
                (1..=USES_PER_CUSTOMER_MAX).contains(&self.uses_per_customer_max),
                "is not from 1 to 1000",
            ),
            (
                "/restaurant_ids",
                self.restaurant_ids.len() <= RESTAURANTS_MAX,
                "are more than 1000",
            ),
        ];
        let broken = limits.into_iter().filter(|(_, fits, _)| !fits);
        faults.extend(broken.map(|(pointer, _, message)| (pointer, message)));
        faults
    }
}
