//! What events are made of: lines, prices, reasons.

use crate::cell::{CellSet, RegionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{DriverId, ItemId};
use crate::money::Currency;

/// One line of an order as it was priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The menu item.
    pub item_id: ItemId,
    /// Its name when ordered.
    pub name: String,
    /// 1 or more.
    pub quantity: u32,
    /// Price of one, variant and options included, in minor units.
    pub unit_minor: i64,
    /// The variant and options that were chosen, in the order of the menu.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// A variant or an option of a line, as it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// Key of the option group; `variant` for the item's variant.
    pub group: String,
    /// Key within the group.
    pub key: String,
    /// Its name when ordered.
    pub name: String,
    /// What it adds to the price of one; for a variant its whole price.
    pub price_minor: i64,
}

/// What an order costs, in minor units: `total = items + delivery_fee + service_fee + tax + tip - discount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Sum over the lines.
    pub items_minor: i64,
    /// For the way from restaurant to customer.
    pub delivery_fee_minor: i64,
    /// The platform's own fee.
    pub service_fee_minor: i64,
    /// Taxes on items and fees, less the discount.
    pub tax_minor: i64,
    /// Taken off by a promotion; not negative.
    #[serde(default)]
    pub discount_minor: i64,
    /// For the driver.
    #[serde(default)]
    pub tip_minor: i64,
    /// What the customer pays.
    pub total_minor: i64,
    /// Of all amounts above.
    pub currency: Currency,
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $each:literal])+ $variant:ident $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[doc = $each])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in events, in the API and in SQLite.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value of that word.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    };
}

words! {
    /// Where a dispute stands.
    DisputeState {
        /// Not decided.
        Open "open",
        /// For the region: the money is here again.
        Won "won",
        /// Against it.
        Lost "lost",
    }
}

words! {
    /// How a customer pays.
    PaymentMethod {
        /// Through the region's payment provider.
        Card "card",
        /// To the driver.
        Cash "cash",
    }
}

words! {
    /// Why an order was given up.
    CancelReason {
        /// The customer changed their mind in time.
        Customer "customer",
        /// No restaurant took it.
        NoRestaurant "no_restaurant",
        /// The restaurant could not cook what it had accepted.
        Restaurant "restaurant",
        /// No driver took it, or three gave it back.
        NoDriver "no_driver",
        /// The provider would not take the money that it had promised.
        PaymentLost "payment_lost",
        /// An operator decided.
        Operator "operator",
        /// The stock hold ran out before the payment's outcome was known.
        HoldExpired "hold_expired",
        /// The driver could not hand it over.
        DeliveryFailed "delivery_failed",
    }
}

words! {
    /// Why a restaurant does not take an order.
    DeclineReason {
        /// The restaurant said no.
        Rejected "rejected",
        /// It did not answer in time.
        TimedOut "timed_out",
    }
}

words! {
    /// What a restaurant says when it does not take an order, or cannot cook what it took.
    RejectWhy {
        /// Too much to cook.
        TooBusy "too_busy",
        /// About to close, or closed.
        Closing "closing",
        /// Something that was ordered has run out.
        ItemUnavailable "item_unavailable",
        /// Anything else.
        Other "other",
    }
}

words! {
    /// What an order is late with.
    Stage {
        /// The restaurant has not answered.
        Acceptance "acceptance",
        /// The restaurant said it would be ready by now.
        Preparation "preparation",
        /// It waits for a driver, or for its driver to fetch it.
        Pickup "pickup",
        /// The driver should have been at the door.
        Delivery "delivery",
        /// What could not be handed over should be back.
        Return "return",
    }
}

words! {
    /// Why money goes back.
    RefundReason {
        /// The order was given up.
        Cancelled "cancelled",
        /// Lines were taken off or swapped after acceptance.
        Changed "changed",
        /// Something was missing.
        Missing "missing",
        /// Something was wrong or bad.
        Quality "quality",
        /// It came too late.
        Late "late",
        /// As a courtesy.
        Goodwill "goodwill",
    }
}

words! {
    /// Who bears a refund or a discount.
    Bearer {
        /// The platform.
        Platform "platform",
        /// The restaurant.
        Restaurant "restaurant",
        /// The driver.
        Driver "driver",
    }
}

/// Whether a version is that before the first: left out, so that older readers and files see what they know.
pub(super) const fn is_zero(version: &u64) -> bool {
    *version == 0
}

/// A driver handed cash in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CashDeposited {
    /// Who.
    pub driver_id: DriverId,
    /// How much.
    pub amount_minor: i64,
}

/// A region stopped taking orders, or takes them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegionStatusChanged {
    /// True while it takes none.
    pub paused: bool,
    /// What the operator said.
    pub reason: String,
}

/// A driver on the way from one region to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// Who.
    pub driver_id: DriverId,
    /// The other region.
    pub other: RegionId,
    /// In which epoch the driver is the taker's.
    pub epoch: u64,
    /// For one delivery only.
    #[serde(default)]
    pub loan: bool,
}

/// What a region has done for cells that change hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellsMoved {
    /// The number of the move.
    pub move_id: u64,
    /// What it was.
    pub step: CellsStep,
    /// By which version of the map.
    pub map_version: u64,
    /// The other region.
    pub other: RegionId,
    /// Which cells, compacted.
    pub cells: CellSet,
    /// How many restaurants went along.
    pub restaurants: u32,
}

/// A region's part in a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellsStep {
    /// It takes no more orders there.
    Left,
    /// The move was called off: it takes orders there again.
    Kept,
    /// It takes orders there from now on.
    Arrived,
}
