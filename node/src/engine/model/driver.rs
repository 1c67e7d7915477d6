//! Somebody who drives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::RegionId;
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

/// Whose a driver is. An epoch is made by the region that gives the driver away and names the one that takes them, so
/// each has one owner at most; whoever knows a later one pays no heed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custody {
    /// Rises with every change of region.
    pub epoch: u64,
    /// Whose the driver is in it, as far as this region knows.
    pub standing: Standing,
}

/// Whose a driver is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// This region's.
    Ours {
        /// Borrowed for one delivery.
        loan: Option<Loan>,
    },
    /// Given away, which the other region is told until it says that it knows. Not this region's any more.
    Leaving {
        /// To whom.
        to: RegionId,
        /// For the delivery of this order only.
        loan: Option<OrderId>,
        /// Signed on when they left.
        online: bool,
        /// When they want to stop.
        ends_at: Option<UnixMs>,
    },
    /// The other region's, or that of whoever had them from it.
    Theirs {
        /// Who took them.
        region: RegionId,
    },
}

/// What a driver was borrowed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loan {
    /// Where they go back to.
    pub home: RegionId,
    /// What they deliver.
    pub order_id: OrderId,
}

impl Default for Custody {
    fn default() -> Self {
        Self {
            epoch: 1,
            standing: Standing::Ours { loan: None },
        }
    }
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
    /// Whose the driver is.
    #[serde(default)]
    pub custody: Custody,
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

    /// Whether this region may give the driver something to do.
    pub const fn is_ours(&self) -> bool {
        matches!(self.custody.standing, Standing::Ours { .. })
    }

    /// Where the driver was borrowed from.
    pub const fn borrowed(&self) -> Option<&Loan> {
        match &self.custody.standing {
            Standing::Ours { loan } => loan.as_ref(),
            Standing::Leaving { .. } | Standing::Theirs { .. } => None,
        }
    }

    /// Who has the driver, where that is another region.
    pub const fn elsewhere(&self) -> Option<&RegionId> {
        match &self.custody.standing {
            Standing::Ours { .. } => None,
            Standing::Leaving { to: region, .. } | Standing::Theirs { region } => Some(region),
        }
    }

    /// Whether the shift is over at `now`.
    pub fn shift_is_over(&self, now: UnixMs) -> bool {
        self.shift
            .and_then(|shift| shift.ends_at)
            .is_some_and(|ends_at| ends_at <= now)
    }
}
