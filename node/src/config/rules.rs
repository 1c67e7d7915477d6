//! The numbers a region decides by: orders, fees, what cancelling costs, what drivers earn, dispatch.

use serde::Deserialize;
use tomato_shared::cell::{Cell, CellSet};
use tomato_shared::money::BasisPoints;
use tomato_shared::phone::PhoneKey;
use tomato_shared::runtime::config::Faults;
use tomato_shared::time::DurationMs;

use super::Config;
use crate::engine::policy::{Cancelling, DispatchKind, DispatchPolicy, DriverPay, Fees, Policy, Zone};

/// `[orders]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// How long stock is held while the payment's outcome is awaited, in milliseconds. Default 600,000, 10,000 to 3,600,000.
    pub hold_ms: i64,
    /// How long a restaurant may take to answer, in milliseconds. Default 300,000, 10,000 to 3,600,000.
    pub accept_within_ms: i64,
    /// After how long of silence a restaurant is called once more, in milliseconds; never, if that is not below
    /// `accept_within_ms`. Default 90,000, 10,000 to 3,600,000.
    pub escalate_after_ms: i64,
    /// By how much a promised time has to be missed before somebody is called, in milliseconds. Default 600,000, 60,000 to
    /// 3,600,000.
    pub overdue_after_ms: i64,
    /// How long a customer may think about a proposed change, in milliseconds. Default 300,000, 30,000 to 3,600,000.
    pub change_ttl_ms: i64,
    /// Orders one customer may have under way at a time, paid or not. Default 10, 1 to 1,000.
    pub open_max: u32,
    /// How far ahead an order can be scheduled, in hours. Default 72, 1 to 168: card authorisations last a week.
    pub schedule_max_h: i64,
    /// How much earlier than needed a restaurant is asked for a scheduled order, in milliseconds. Default 300,000, 0 to
    /// 3,600,000.
    pub release_margin_ms: i64,
    /// How long before closing the last order is taken, in milliseconds. Default 0, 0 to 7,200,000.
    pub last_order_before_ms: i64,
    /// After delivery, until when the customer can rate and tip, in hours. Default 168, 1 to 2,160.
    pub feedback_within_h: i64,
    /// How far a restaurant may be that was not chosen, in metres. Default 5,000, 100 to 50,000.
    pub restaurant_radius_m: u32,
    /// How many restaurants are asked for one order. Default 5, 1 to 20.
    pub restaurants_asked_max: usize,
    /// Unpaid orders one customer may have at a time. Default 3, 1 to 100.
    pub pending_max: u32,
    /// How long a quote is honoured, in milliseconds. Default 600,000, 10,000 to 86,400,000.
    pub quote_ttl_ms: i64,
    /// After delivery, when a rating is asked for, in milliseconds. Default 300,000, 1,000 to 86,400,000.
    pub rating_after_ms: i64,
    /// How long answers are kept for their Idempotency-Key, in hours. Default 72, 24 to 720.
    pub idempotency_h: i64,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            hold_ms: 600_000,
            accept_within_ms: 300_000,
            escalate_after_ms: 90_000,
            overdue_after_ms: 600_000,
            change_ttl_ms: 300_000,
            open_max: 10,
            schedule_max_h: 72,
            release_margin_ms: 300_000,
            last_order_before_ms: 0,
            feedback_within_h: 168,
            restaurant_radius_m: 5_000,
            restaurants_asked_max: 5,
            pending_max: 3,
            quote_ttl_ms: 600_000,
            rating_after_ms: 300_000,
            idempotency_h: 72,
        }
    }
}

/// `[fees]`: minor units of the region's currency, and basis points (1 % = 100).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeesConfig {
    /// For every delivery. Default 2,000, 0 to 1,000,000.
    pub delivery_base_minor: i64,
    /// For every started kilometre from restaurant to customer. Default 500, 0 to 1,000,000.
    pub delivery_per_km_minor: i64,
    /// The platform's fee on items. Default 200, 0 to 10,000.
    pub service_bp: u32,
    /// Tax on items and fees. Default 500, 0 to 10,000.
    pub tax_bp: u32,
    /// The platform's share of what a restaurant sells. Default 1,500, 0 to 10,000.
    pub commission_bp: u32,
    /// Parts of the region with a delivery fee of their own; the first that holds the customer's place counts. Up to 100.
    pub zones: Vec<ZoneConfig>,
    /// Smallest sum of items. Default 0, 0 to 1,000,000.
    pub items_min_minor: i64,
    /// Largest total. Default 10,000,000, 1 to 1,000,000,000,000.
    pub total_max_minor: i64,
}

impl Default for FeesConfig {
    fn default() -> Self {
        Self {
            delivery_base_minor: 2_000,
            delivery_per_km_minor: 500,
            service_bp: 200,
            tax_bp: 500,
            commission_bp: 1_500,
            zones: Vec::new(),
            items_min_minor: 0,
            total_max_minor: 10_000_000,
        }
    }
}

/// `[[fees.zones]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// For people.
    pub name: String,
    /// Where: H3 cells of any resolution down to 9.
    pub cells: Vec<Cell>,
    /// Added to the delivery fee, or taken off it, in minor units. -1,000,000 to 1,000,000.
    pub extra_minor: i64,
}

impl ZoneConfig {
    fn zone(&self) -> Zone {
        Zone {
            name: self.name.clone(),
            cells: CellSet::new(self.cells.iter().copied()),
            extra_minor: self.extra_minor,
        }
    }
}

/// `[cancelling]`: what a customer keeps paying after giving an order up late. Before the restaurant accepts it is free, and
/// once the food is ready it is too late.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CancellingConfig {
    /// How long after the restaurant accepted it is still free, in milliseconds. Default 60,000, 0 to 3,600,000.
    pub free_after_accept_ms: i64,
    /// Share of the items that is kept after that. Default 5,000, 0 to 10,000.
    pub late_bp: u32,
    /// Share of the items that is kept where the customer was not to be found at the door. Default 0, 0 to 10,000.
    pub absent_bp: u32,
}

impl Default for CancellingConfig {
    fn default() -> Self {
        Self {
            free_after_accept_ms: 60_000,
            late_bp: 5_000,
            absent_bp: 0,
        }
    }
}

/// `[driver_pay]`: what a driver earns by a delivery besides tips, in minor units.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriverPayConfig {
    /// For each. Default 2,000, 0 to 1,000,000.
    pub base_minor: i64,
    /// For each started kilometre from restaurant to customer. Default 500, 0 to 1,000,000.
    pub per_km_minor: i64,
    /// Who has so much cash in hand is offered no more cash orders; 0 for no limit. Default 0, 0 to 1,000,000,000.
    pub cash_max_minor: i64,
}

impl Default for DriverPayConfig {
    fn default() -> Self {
        Self {
            base_minor: 2_000,
            per_km_minor: 500,
            cash_max_minor: 0,
        }
    }
}

/// How drivers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchPolicyName {
    /// By a plan for the whole region.
    Matching,
    /// Once it is ready, the nearest free driver.
    Nearest,
}

/// `[dispatch]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchConfig {
    /// How drivers are found: `matching` plans the whole region every few seconds, ahead of readiness, with several orders on one
    /// trip; `nearest` asks, once an order is ready, the nearest free driver. Default `matching`.
    pub policy: DispatchPolicyName,
    /// With `matching`, the time between two plans, in milliseconds. Default 5,000, 1,000 to 60,000.
    pub cycle_ms: i64,
    /// With `matching`, most orders on one trip. Default 3, 1 to 4.
    pub bundle_max: usize,
    /// With `matching`, whether a trip may fetch from two restaurants that are near each other, where that makes customers wait
    /// less in all. Default true.
    pub two_restaurants: bool,
    /// What a hand-over takes a driver besides the way, at the restaurant and at the door alike, in milliseconds. Default
    /// 120,000, 0 to 1,800,000.
    pub handover_ms: i64,
    /// With `matching`, a table service that speaks as OSRM does, up to the profile, such as
    /// `http://127.0.0.1:5000/table/v1/driving`. Default none: the straight line and the speeds of finished trips.
    pub router_url: Option<String>,
    /// With `nearest`, how far from the restaurant a driver may be, in metres. Default 3,000, 100 to 50,000.
    pub radius_m: u32,
    /// After how long orders without a driver are looked at again, in milliseconds. Default 30,000, 1,000 to 600,000.
    pub retry_ms: i64,
    /// How long a driver is looked for before the order is cancelled and refunded, in milliseconds. Default 3,600,000,
    /// 60,000 to 86,400,000.
    pub give_up_after_ms: i64,
    /// How long a driver may think about an offer, in milliseconds; 0 assigns without asking. Default 30,000, 0 to 600,000.
    pub offer_ttl_ms: i64,
    /// After how many drivers who gave an order back it is cancelled. Default 3, 1 to 20.
    pub cancellations_max: u32,
    /// Speed for estimates, in metres of straight line per minute. Default 300, 10 to 5,000.
    pub speed_m_per_min: u32,
    /// How old a driver's position may be, in milliseconds. Default 60,000, 1,000 to 3,600,000.
    pub position_age_max_ms: i64,
    /// Waiting orders looked at in one round. Default 500, 1 to 10,000.
    pub orders_per_round: usize,
    /// Drivers looked at for one order. Default 16, 1 to 1,000.
    pub candidates_max: usize,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self {
            policy: DispatchPolicyName::Matching,
            cycle_ms: 5_000,
            bundle_max: 3,
            two_restaurants: true,
            handover_ms: 120_000,
            router_url: None,
            radius_m: 3_000,
            retry_ms: 30_000,
            give_up_after_ms: 3_600_000,
            offer_ttl_ms: 30_000,
            cancellations_max: 3,
            speed_m_per_min: 300,
            position_age_max_ms: 60_000,
            orders_per_round: 500,
            candidates_max: 16,
        }
    }
}

impl Config {
    /// The numbers to decide by; `None` where the check of the configuration would have found id, currency or time zone of the
    /// region missing.
    pub fn policy(&self, quote_key: Vec<u8>, phone_key: Option<PhoneKey>) -> Option<Policy> {
        let (orders, fees, dispatch) = (&self.orders, &self.fees, &self.dispatch);
        Some(Policy {
            region: self.region.id.clone()?,
            cells: self.cells(),
            zone: jiff::tz::TimeZone::get(&self.region.time_zone).ok()?,
            currency: self.region.currency?,
            fees: Fees {
                delivery_base_minor: fees.delivery_base_minor,
                delivery_per_km_minor: fees.delivery_per_km_minor,
                service: BasisPoints(fees.service_bp),
                tax: BasisPoints(fees.tax_bp),
                commission: BasisPoints(fees.commission_bp),
                zones: fees.zones.iter().map(ZoneConfig::zone).collect(),
                items_min_minor: fees.items_min_minor,
                total_max_minor: fees.total_max_minor,
            },
            hold: DurationMs(orders.hold_ms),
            accept_within: DurationMs(orders.accept_within_ms),
            escalate_after: DurationMs(orders.escalate_after_ms),
            overdue_after: DurationMs(orders.overdue_after_ms),
            change_ttl: DurationMs(orders.change_ttl_ms),
            restaurant_radius_m: f64::from(orders.restaurant_radius_m),
            restaurants_asked_max: orders.restaurants_asked_max,
            pending_orders_max: orders.pending_max,
            open_orders_max: orders.open_max,
            schedule_max: DurationMs::from_mins(orders.schedule_max_h.saturating_mul(60)),
            release_margin: DurationMs(orders.release_margin_ms),
            last_order_before: DurationMs(orders.last_order_before_ms),
            quote_ttl: DurationMs(orders.quote_ttl_ms),
            quote_key,
            phone_key,
            rating_after: DurationMs(orders.rating_after_ms),
            feedback_within: DurationMs::from_mins(orders.feedback_within_h.saturating_mul(60)),
            cancelling: Cancelling {
                free_after_accept: DurationMs(self.cancelling.free_after_accept_ms),
                late: BasisPoints(self.cancelling.late_bp),
                absent: BasisPoints(self.cancelling.absent_bp),
            },
            driver_pay: DriverPay {
                base_minor: self.driver_pay.base_minor,
                per_km_minor: self.driver_pay.per_km_minor,
                cash_max_minor: self.driver_pay.cash_max_minor,
            },
            dispatch: DispatchPolicy {
                kind: match dispatch.policy {
                    DispatchPolicyName::Matching => DispatchKind::Matching,
                    DispatchPolicyName::Nearest => DispatchKind::Nearest,
                },
                cycle: DurationMs(dispatch.cycle_ms),
                bundle_max: dispatch.bundle_max,
                two_restaurants: dispatch.two_restaurants,
                handover: DurationMs(dispatch.handover_ms),
                position_age_max: DurationMs(dispatch.position_age_max_ms),
                radius_m: f64::from(dispatch.radius_m),
                retry: DurationMs(dispatch.retry_ms),
                give_up: DurationMs(dispatch.give_up_after_ms),
                offer_ttl: DurationMs(dispatch.offer_ttl_ms),
                cancellations_max: dispatch.cancellations_max,
                speed_m_per_min: f64::from(dispatch.speed_m_per_min),
                orders_per_round: dispatch.orders_per_round,
                candidates_max: dispatch.candidates_max,
            },
            another_card: DurationMs(self.payments.another_card_ms),
            deferred_max_minor: self.payments.deferred_max_minor,
        })
    }

    pub(super) fn check_orders(&self, faults: &mut Faults) {
        let orders = &self.orders;
        faults.range("hold_ms", orders.hold_ms, 10_000..=3_600_000);
        faults.range("accept_within_ms", orders.accept_within_ms, 10_000..=3_600_000);
        faults.range("restaurant_radius_m", orders.restaurant_radius_m, 100..=50_000);
        faults.range("restaurants_asked_max", orders.restaurants_asked_max, 1..=20);
        faults.range("pending_max", orders.pending_max, 1..=100);
        faults.range("quote_ttl_ms", orders.quote_ttl_ms, 10_000..=86_400_000);
        faults.range("rating_after_ms", orders.rating_after_ms, 1_000..=86_400_000);
        faults.range("idempotency_h", orders.idempotency_h, 24..=720);
        faults.range("escalate_after_ms", orders.escalate_after_ms, 10_000..=3_600_000);
        faults.range("overdue_after_ms", orders.overdue_after_ms, 60_000..=3_600_000);
        faults.range("change_ttl_ms", orders.change_ttl_ms, 30_000..=3_600_000);
        faults.range("open_max", orders.open_max, 1..=1_000);
        faults.range("schedule_max_h", orders.schedule_max_h, 1..=168);
        faults.range("release_margin_ms", orders.release_margin_ms, 0..=3_600_000);
        faults.range("last_order_before_ms", orders.last_order_before_ms, 0..=7_200_000);
        faults.range("feedback_within_h", orders.feedback_within_h, 1..=2_160);
    }

    pub(super) fn check_fees(&self, faults: &mut Faults) {
        let fees = &self.fees;
        faults.range("delivery_base_minor", fees.delivery_base_minor, 0..=1_000_000);
        faults.range("delivery_per_km_minor", fees.delivery_per_km_minor, 0..=1_000_000);
        faults.range("service_bp", fees.service_bp, 0..=10_000);
        faults.range("tax_bp", fees.tax_bp, 0..=10_000);
        faults.range("items_min_minor", fees.items_min_minor, 0..=1_000_000);
        faults.range("total_max_minor", fees.total_max_minor, 1..=1_000_000_000_000);
        faults.range("commission_bp", fees.commission_bp, 0..=10_000);
        faults.range("zones", fees.zones.len(), 0..=100);
        for zone in &fees.zones {
            faults.range("zones.extra_minor", zone.extra_minor, -1_000_000..=1_000_000);
        }
    }

    pub(super) fn check_cancelling(&self, faults: &mut Faults) {
        let cancelling = &self.cancelling;
        faults.range("free_after_accept_ms", cancelling.free_after_accept_ms, 0..=3_600_000);
        faults.range("late_bp", cancelling.late_bp, 0..=10_000);
        faults.range("absent_bp", cancelling.absent_bp, 0..=10_000);
    }

    pub(super) fn check_driver_pay(&self, faults: &mut Faults) {
        let pay = &self.driver_pay;
        faults.range("base_minor", pay.base_minor, 0..=1_000_000);
        faults.range("per_km_minor", pay.per_km_minor, 0..=1_000_000);
        faults.range("cash_max_minor", pay.cash_max_minor, 0..=1_000_000_000);
    }

    pub(super) fn check_dispatch(&self, faults: &mut Faults) {
        let dispatch = &self.dispatch;
        if let Some(url) = &dispatch.router_url
            && !reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            faults.add(
                "router_url",
                "is no http or https address",
                "write it as http://127.0.0.1:5000/table/v1/driving",
            );
        }
        faults.range("cycle_ms", dispatch.cycle_ms, 1_000..=60_000);
        faults.range("bundle_max", dispatch.bundle_max, 1..=4);
        faults.range("handover_ms", dispatch.handover_ms, 0..=1_800_000);
        faults.range("radius_m", dispatch.radius_m, 100..=50_000);
        faults.range("retry_ms", dispatch.retry_ms, 1_000..=600_000);
        faults.range("give_up_after_ms", dispatch.give_up_after_ms, 60_000..=86_400_000);
        faults.range("offer_ttl_ms", dispatch.offer_ttl_ms, 0..=600_000);
        faults.range("cancellations_max", dispatch.cancellations_max, 1..=20);
        faults.range("speed_m_per_min", dispatch.speed_m_per_min, 10..=5_000);
        faults.range("position_age_max_ms", dispatch.position_age_max_ms, 1_000..=3_600_000);
        faults.range("orders_per_round", dispatch.orders_per_round, 1..=10_000);
        faults.range("candidates_max", dispatch.candidates_max, 1..=1_000);
    }
}
