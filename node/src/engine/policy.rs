//! The numbers by which a region decides. Read from its configuration; constant while a node runs. A few of the fees can be
//! set by the hub instead: [`super::city::Catalogue::tariff`] says what is in force.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{CellSet, RegionId};
use tomato_shared::control::FeeChanges;
use tomato_shared::money::{BasisPoints, Currency};
use tomato_shared::phone::PhoneKey;
use tomato_shared::time::DurationMs;

/// Everything about the region that a decision may depend on, besides the rows.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The region.
    pub region: RegionId,
    /// The cells it owns; orders to other places are refused.
    pub cells: CellSet,
    /// Of its clocks on the wall: opening hours and days.
    pub zone: TimeZone,
    /// Of all its prices.
    pub currency: Currency,
    /// Fees and taxes.
    pub fees: Fees,
    /// How long stock is held while the payment's outcome is awaited.
    pub hold: DurationMs,
    /// How long a restaurant may take to answer.
    pub accept_within: DurationMs,
    /// After how long of silence the restaurant is called once more, and operators with it.
    pub escalate_after: DurationMs,
    /// By how much a promised time has to be missed before somebody is called.
    pub overdue_after: DurationMs,
    /// How long a customer may think about a proposed change.
    pub change_ttl: DurationMs,
    /// How far a restaurant may be that takes an order over, or takes one for which none was chosen, in metres.
    pub restaurant_radius_m: f64,
    /// How many restaurants are asked for one order.
    pub restaurants_asked_max: usize,
    /// Unpaid orders one customer may have at a time.
    pub pending_orders_max: u32,
    /// Orders one customer may have under way at a time, paid or not.
    pub open_orders_max: u32,
    /// How far ahead an order can be scheduled.
    pub schedule_max: DurationMs,
    /// How much earlier than needed a restaurant is asked for a scheduled order.
    pub release_margin: DurationMs,
    /// How long before closing the last order is taken.
    pub last_order_before: DurationMs,
    /// How long a quote is honoured.
    pub quote_ttl: DurationMs,
    /// Signs quotes; the region's own secret.
    pub quote_key: Vec<u8>,
    /// Hashes customers' telephone numbers; the fleet's secret. `None`: nothing of them leaves the region.
    pub phone_key: Option<PhoneKey>,
    /// After delivery, when the customer is asked for a rating.
    pub rating_after: DurationMs,
    /// After delivery, until when the customer can rate and tip.
    pub feedback_within: DurationMs,
    /// What giving up costs.
    pub cancelling: Cancelling,
    /// What drivers earn.
    pub driver_pay: DriverPay,
    /// Dispatch.
    pub dispatch: DispatchPolicy,
    /// How long a customer whose card was declined may pay with another one, and no longer than stock is held; 0 for not at
    /// all.
    pub another_card: DurationMs,
    /// How much one customer may order by card while the provider cannot be reached, in minor units; 0 for cash only.
    pub deferred_max_minor: i64,
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
    /// The platform's share of what a restaurant sells.
    pub commission: BasisPoints,
    /// Parts of the region to which delivery costs more or less; the first that holds the customer's place counts.
    pub zones: Vec<Zone>,
    /// Smallest sum of items that is accepted.
    pub items_min_minor: i64,
    /// Largest total that is accepted.
    pub total_max_minor: i64,
}

/// The fees that the hub may set, as they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    /// Charged for every delivery.
    pub delivery_base_minor: i64,
    /// Charged for every started kilometre between restaurant and customer.
    pub delivery_per_km_minor: i64,
    /// What an order keeps of them.
    pub rates: Rates,
}

/// By what an order is reckoned as long as it lives: as it was quoted or placed, whatever is in force later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// The platform's fee, as a share of the items.
    pub service: BasisPoints,
    /// The platform's share of what the restaurant sells.
    pub commission: BasisPoints,
    /// Smallest sum of items that is accepted.
    pub items_min_minor: i64,
}

impl Fees {
    /// What is in force where the hub has set `changes`.
    pub fn tariff(&self, changes: &FeeChanges) -> Tariff {
        let share = |set: Option<u32>, own: BasisPoints| set.map_or(own, BasisPoints);
        Tariff {
            delivery_base_minor: changes.delivery_base_minor.unwrap_or(self.delivery_base_minor),
            delivery_per_km_minor: changes.delivery_per_km_minor.unwrap_or(self.delivery_per_km_minor),
            rates: Rates {
                service: share(changes.service_bp, self.service),
                commission: share(changes.commission_bp, self.commission),
                items_min_minor: changes.items_min_minor.unwrap_or(self.items_min_minor),
            },
        }
    }
}

/// A part of the region with a delivery fee of its own.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Shown to customers.
    pub name: String,
    /// Where.
    pub cells: CellSet,
    /// Added to the delivery fee, or taken off it; the fee is never below zero.
    pub extra_minor: i64,
}

/// What a customer keeps paying after giving an order up. Before the restaurant accepts it is free; once the food is
/// ready it is too late.
#[derive(Debug, Clone)]
pub struct Cancelling {
    /// How long after the restaurant accepted it is still free.
    pub free_after_accept: DurationMs,
    /// Share of the items that is kept after that.
    pub late: BasisPoints,
    /// Share of the items that is kept where the customer could not be found at the door.
    pub absent: BasisPoints,
}

/// What a driver earns by a delivery, besides tips.
#[derive(Debug, Clone)]
pub struct DriverPay {
    /// For each.
    pub base_minor: i64,
    /// For each started kilometre from restaurant to customer.
    pub per_km_minor: i64,
    /// Who has so much cash in hand is offered no more cash orders; 0 for no limit.
    pub cash_max_minor: i64,
}

/// Which driver fetches which order, when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchKind {
    /// Once it is ready, the nearest free driver.
    Nearest,
    /// By a plan for the whole region, made anew every few seconds.
    Matching,
}

/// How drivers are found.
#[derive(Debug, Clone)]
pub struct DispatchPolicy {
    /// By which policy.
    pub kind: DispatchKind,
    /// Time between the rounds of a plan.
    pub cycle: DurationMs,
    /// Most orders that a plan has fetched together.
    pub bundle_max: usize,
    /// Whether these may be of two restaurants.
    pub two_restaurants: bool,
    /// What a driver needs for a hand-over besides the way, at the restaurant and at the door alike.
    pub handover: DurationMs,
    /// How old the position of a driver with nothing to do may be.
    pub position_age_max: DurationMs,
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
