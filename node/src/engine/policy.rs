//! The numbers by which a region decides. Read from its configuration; constant while a node runs.

use tomato_shared::cell::{CellSet, RegionId};
use tomato_shared::money::{BasisPoints, Currency};
use tomato_shared::time::DurationMs;

/// Everything about the region that a decision may depend on, besides the rows.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The region.
    pub region: RegionId,
    /// The cells it owns; orders to other places are refused.
    pub cells: CellSet,
    /// Of all its prices.
    pub currency: Currency,
    /// Fees and taxes.
    pub fees: Fees,
    /// How long stock is held while the payment's outcome is awaited.
    pub hold: DurationMs,
    /// How long a restaurant may take to answer.
    pub accept_within: DurationMs,
    /// How far a restaurant may be that takes an order over, or takes one for which none was chosen, in metres.
    pub restaurant_radius_m: f64,
    /// How many restaurants are asked for one order.
    pub restaurants_asked_max: usize,
    /// Unpaid orders one customer may have at a time.
    pub pending_orders_max: u32,
    /// How long a quote is honoured.
    pub quote_ttl: DurationMs,
    /// Signs quotes; the region's own secret.
    pub quote_key: Vec<u8>,
    /// After delivery, when the customer is asked for a rating.
    pub rating_after: DurationMs,
    /// Dispatch.
    pub dispatch: DispatchPolicy,
}

/// Fees in minor units, taxes in basis points.
#[derive(Debug, Clone)]
pub struct Fees {
    /// Charged for every delivery.
    pub delivery_base_minor: i64,
    /// Charged for every started kilometre between restaurant and customer.
    pub delivery_per_km_minor: i64,
    /// The platform's fee, as a share of the items.
    pub service: BasisPoints,
    /// Tax on items and fees.
    pub tax: BasisPoints,
    /// Smallest sum of items that is accepted.
    pub items_min_minor: i64,
    /// Largest total that is accepted.
    pub total_max_minor: i64,
}

/// How drivers are found.
#[derive(Debug, Clone)]
pub struct DispatchPolicy {
    /// How far from the restaurant a driver may be, in metres.
    pub radius_m: f64,
    /// After how long waiting orders are looked at again.
    pub retry: DurationMs,
    /// How long a driver is looked for before the order is given up.
    pub give_up: DurationMs,
    /// How long a driver may think about an offer; zero assigns without asking.
    pub offer_ttl: DurationMs,
    /// After how many drivers who gave an order back it is cancelled.
    pub cancellations_max: u32,
    /// How fast drivers move, in metres per minute of straight line; for estimates.
    pub speed_m_per_min: f64,
    /// Waiting orders looked at in one round.
    pub orders_per_round: usize,
    /// Drivers looked at for one order.
    pub candidates_max: usize,
}
