//! Double entry: what a movement of money does to the accounts of a region.
//!
//! A region posts in the transaction of the cause; the hub's ledger only copies. Amounts are minor units of the region's
//! currency, debits positive, credits negative, and the entries of one posting sum to zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{DriverId, RestaurantId};

/// An account of a region's books. Debits raise assets and costs, credits raise debts and income.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "account", rename_all = "snake_case")]
pub enum Account {
    /// What customers have paid for orders that are not delivered. A debt.
    CustomerPayments,
    /// What the payment provider holds for the region. An asset.
    ProviderClearing,
    /// Cash that a driver has taken and not handed in. An asset.
    CashInHand {
        /// Who has it.
        driver_id: DriverId,
    },
    /// Cash that drivers have handed in. An asset.
    CashOffice,
    /// What a restaurant is owed. A debt.
    RestaurantPayable {
        /// Whom.
        restaurant_id: RestaurantId,
    },
    /// What a driver is owed for deliveries and tips. A debt.
    DriverPayable {
        /// Whom.
        driver_id: DriverId,
    },
    /// Delivery and service fees, commissions, cancellation fees; less what drivers get. Income.
    Fees,
    /// Taxes to be passed on. A debt.
    Taxes,
    /// Discounts that the platform bears. A cost.
    Discounts,
    /// Refunds that the platform bears, and what banks took back for good. A cost.
    Refunds,
    /// What banks took back and may have to return. An asset.
    Disputes,
}

impl Account {
    /// The kind of account, as it stands in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CustomerPayments => "customer_payments",
            Self::ProviderClearing => "provider_clearing",
            Self::CashInHand { .. } => "cash_in_hand",
            Self::CashOffice => "cash_office",
            Self::RestaurantPayable { .. } => "restaurant_payable",
            Self::DriverPayable { .. } => "driver_payable",
            Self::Fees => "fees",
            Self::Taxes => "taxes",
            Self::Discounts => "discounts",
            Self::Refunds => "refunds",
            Self::Disputes => "disputes",
        }
    }

    /// Text id of the party whose account it is; empty for the region's own.
    pub fn party(&self) -> String {
        match self {
            Self::CashInHand { driver_id } | Self::DriverPayable { driver_id } => driver_id.to_string(),
            Self::RestaurantPayable { restaurant_id } => restaurant_id.to_string(),
            Self::CustomerPayments
            | Self::ProviderClearing
            | Self::CashOffice
            | Self::Fees
            | Self::Taxes
            | Self::Discounts
            | Self::Refunds
            | Self::Disputes => String::new(),
        }
    }
}

/// One side of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What changes.
    #[serde(flatten)]
    pub account: Account,
    /// Debit if positive, credit if negative; never zero.
    pub amount_minor: i64,
}

/// Why a posting was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The provider took the customer's money.
    Captured,
    /// A driver took cash at the door.
    CashTaken,
    /// An order was delivered: what was paid is shared out.
    Delivered,
    /// An order was given up and something of it kept.
    CancelFee,
    /// A driver is paid for a trip that brought nothing.
    FailedTrip,
    /// Money went back to the customer.
    Refunded,
    /// A tip after delivery.
    Tipped,
    /// A driver handed cash in.
    CashDeposited,
    /// A customer's bank took money back, returned it, or keeps it for good.
    Disputed,
}

impl Cause {
    /// As it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::CashTaken => "cash_taken",
            Self::Delivered => "delivered",
            Self::CancelFee => "cancel_fee",
            Self::FailedTrip => "failed_trip",
            Self::Refunded => "refunded",
            Self::Tipped => "tipped",
            Self::CashDeposited => "cash_deposited",
            Self::Disputed => "disputed",
        }
    }
}
