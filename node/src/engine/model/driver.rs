//! Somebody who drives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::time::UnixMs;

/// What a driver moves with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vehicle {
    /// Nothing.
    Foot,
    /// A bicycle.
    Bicycle,
    /// A scooter or motorcycle.
    #[default]
    Scooter,
    /// A car.
    Car,
}

/// The time from sign-on to sign-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// When the driver signed on.
    pub started_at: UnixMs,
    /// When the driver wants to stop; signed off then, or after the delivery under way.
    #[serde(default)]
    pub ends_at: Option<UnixMs>,
}

/// A planned shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From.
    pub starts_at: UnixMs,
    /// Until.
    pub ends_at: UnixMs,
}

/// Somebody who drives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Who it is.
    pub id: DriverId,
    /// Rises with each change.
    pub version: u32,
    /// Shown to the customer. Personal: never part of an event.
    pub name: String,
    /// To be called by the customer while delivering. Personal.
    pub phone: String,
    /// Signed on and willing.
    pub online: bool,
    /// What they move with.
    #[serde(default)]
    pub vehicle: Vehicle,
    /// Since when and until when, while signed on.
    #[serde(default)]
    pub shift: Option<Shift>,
    /// When they are expected to work.
    #[serde(default)]
    pub planned: Vec<Span>,
    /// Cash taken and not handed in, in minor units.
    #[serde(default)]
    pub cash_minor: i64,
    /// Orders of the open offer to this driver, in the order of delivery.
    #[serde(default)]
    pub offered: Vec<OrderId>,
    /// The orders this driver is bound to, in the order of delivery: at most [`ORDERS_MAX`].
    #[serde(default)]
    pub delivering: Vec<OrderId>,
    /// Counts the trips; the number of the newest.
    #[serde(default)]
    pub trip: u32,
    /// Offers made, older ones counting less and less.
    #[serde(default)]
    pub asked: u32,
    /// Those of them that were declined or ran out.
    #[serde(default)]
    pub refused: u32,
}

/// So many offers are remembered; then both counts are halved.
const ASKED_MAX: u32 = 64;
/// What is believed of a driver before the first offer: so many of so many are refused.
const PRIOR_REFUSED: u32 = 1;
const PRIOR_ASKED: u32 = 10;

/// Most orders one driver is bound to or asked to take at a time, all trips together.
pub const ORDERS_MAX: usize = 4;

impl Driver {
    /// Counts an offer.
    pub const fn note_asked(&mut self) {
        if self.asked >= ASKED_MAX {
            self.asked /= 2;
            self.refused /= 2;
        }
        self.asked += 1;
    }

    /// Share of offers that this driver refuses, per mille; few offers say little.
    pub fn refusal_permille(&self) -> i64 {
        i64::from((self.refused + PRIOR_REFUSED) * 1_000 / (self.asked + PRIOR_ASKED))
    }

    /// Signed on, with nothing to do.
    pub const fn is_free(&self) -> bool {
        self.online && self.offered.is_empty() && self.delivering.is_empty()
    }

    /// Whether the shift is over at `now`.
    pub fn shift_is_over(&self, now: UnixMs) -> bool {
        self.shift
            .and_then(|shift| shift.ends_at)
            .is_some_and(|ends_at| ends_at <= now)
    }
}
