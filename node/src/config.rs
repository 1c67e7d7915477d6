//! The configuration of a node, and the only reader of files and environment. Every field says what it means, its unit, its
//! default and its bounds; `config/node.toml` shows them all.

use std::path::PathBuf;

use serde::Deserialize;
use tomato_shared::cell::{Cell, CellSet, LatLng, RegionId};
use tomato_shared::money::{BasisPoints, Currency};
use tomato_shared::runtime::config::{Faults, Validate};
use tomato_shared::runtime::jwt::AuthConfig;
use tomato_shared::runtime::nats::RegionBroker;
use tomato_shared::runtime::telemetry::LogConfig;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::engine::policy::{DispatchPolicy, Fees, Policy};
use crate::writer::WriterLimits;

/// Everything a node is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of the region's file and of its broker's store. Made when it is missing. Required.
    pub data_dir: PathBuf,
    /// `development` or `production`, which refuses to start with what is for development only. Default `development`.
    pub profile: Profile,
    /// Which region this is.
    pub region: RegionConfig,
    /// Where apps connect.
    pub http: HttpConfig,
    /// Who may act.
    pub auth: AuthConfig,
    /// The region's nats-server.
    pub broker: RegionBroker,
    /// Limits of orders.
    pub orders: OrdersConfig,
    /// What is charged.
    pub fees: FeesConfig,
    /// How drivers are found.
    pub dispatch: DispatchConfig,
    /// How card payments are made.
    pub payments: PaymentsConfig,
    /// The one writer of the region's file.
    pub writer: WriterConfig,
    /// How fast the region's time runs.
    pub clock: ClockConfig,
    /// Logs.
    pub log: LogConfig,
}

/// `[region]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionConfig {
    /// 2 to 16 of `a-z 0-9`, unique in the fleet, never changed. Required.
    pub id: Option<RegionId>,
    /// For people.
    pub name: String,
    /// ISO 4217 currency of all prices. Required.
    pub currency: Option<Currency>,
    /// IANA time zone for opening hours and display, as `Asia/Kolkata`. Required.
    pub time_zone: String,
    /// H3 cells that the region owns, compacted or not, resolution 7 or coarser. Give these, or `centre` and `rings`.
    pub cells: Vec<Cell>,
    /// Middle of a region that is a disk of cells.
    pub centre: Option<LatLng>,
    /// Rings of resolution-7 cells (about 2.1 km each) around `centre`, 0 to 40.
    pub rings: u32,
    /// Where apps reach this node from outside, as `https://blr.example`. Required.
    pub public_url: String,
}

/// `[orders]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// How long stock is held while the payment's outcome is awaited, in milliseconds. Default 600,000, 10,000 to 3,600,000.
    pub hold_ms: i64,
    /// How long a restaurant may take to answer, in milliseconds. Default 300,000, 10,000 to 3,600,000.
    pub accept_within_ms: i64,
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
            items_min_minor: 0,
            total_max_minor: 10_000_000,
        }
    }
}

/// `[dispatch]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchConfig {
    /// How far from the restaurant a driver may be, in metres. Default 3,000, 100 to 50,000.
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

/// Who moves the money of card payments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Nobody: behaves by the card's token. For development.
    #[default]
    Simulated,
}

/// `[payments]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentsConfig {
    /// `simulated`. Default `simulated`.
    pub provider: ProviderKind,
    /// How long the simulated provider takes, in milliseconds. Default 500, 0 to 60,000.
    pub simulated_delay_ms: i64,
}

impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Simulated,
            simulated_delay_ms: 500,
        }
    }
}

/// `[writer]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriterConfig {
    /// Commands of one transaction. Default 512, 1 to 10,000.
    pub batch_max: usize,
    /// Waiting commands about money and orders under way. Default 8,192, 16 to 100,000.
    pub in_flight_max: usize,
    /// Waiting new orders; beyond that apps are told to come back. Default 2,048, 16 to 100,000.
    pub new_max: usize,
    /// Waiting edits of menus and drivers. Default 512, 16 to 100,000.
    pub other_max: usize,
    /// How long events are kept that the hub has, in hours. Default 168, 1 to 8,760.
    pub outbox_h: i64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            batch_max: 512,
            in_flight_max: 8_192,
            new_max: 2_048,
            other_max: 512,
            outbox_h: 168,
        }
    }
}

/// `[clock]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// Region time passes this many times as fast as real time. For simulations; 1 in production. Default 1, 0.1 to 10,000.
    pub rate: f64,
    /// The moment at which region time equals real time, RFC 3339. All processes of a simulation share it. Default 1970.
    pub epoch: UnixMs,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            rate: 1.0,
            epoch: UnixMs(0),
        }
    }
}

mod check;
mod http;
mod profile;

pub use http::{CorsConfig, HttpConfig, Network, NetworkError, RateConfig};
pub use profile::{DEVELOPMENT_ISSUER, Profile};

impl Config {
    /// The region's file.
    pub fn store_path(&self) -> PathBuf {
        self.data_dir.join("region.db")
    }

    /// Cells that the region owns.
    pub fn cells(&self) -> CellSet {
        match self.region.centre {
            Some(centre) if self.region.cells.is_empty() => CellSet::disk(centre, self.region.rings),
            Some(_) | None => CellSet::new(self.region.cells.iter().copied()),
        }
    }

    /// The numbers to decide by; `None` where [`Validate`] would have found the region's id or currency missing.
    pub fn policy(&self, quote_key: Vec<u8>) -> Option<Policy> {
        let (orders, fees, dispatch) = (&self.orders, &self.fees, &self.dispatch);
        Some(Policy {
            region: self.region.id.clone()?,
            cells: self.cells(),
            currency: self.region.currency?,
            fees: Fees {
                delivery_base_minor: fees.delivery_base_minor,
                delivery_per_km_minor: fees.delivery_per_km_minor,
                service: BasisPoints(fees.service_bp),
                tax: BasisPoints(fees.tax_bp),
                items_min_minor: fees.items_min_minor,
                total_max_minor: fees.total_max_minor,
            },
            hold: DurationMs(orders.hold_ms),
            accept_within: DurationMs(orders.accept_within_ms),
            restaurant_radius_m: f64::from(orders.restaurant_radius_m),
            restaurants_asked_max: orders.restaurants_asked_max,
            pending_orders_max: orders.pending_max,
            quote_ttl: DurationMs(orders.quote_ttl_ms),
            quote_key,
            rating_after: DurationMs(orders.rating_after_ms),
            dispatch: DispatchPolicy {
                radius_m: f64::from(dispatch.radius_m),
                retry: DurationMs(dispatch.retry_ms),
                give_up: DurationMs(dispatch.give_up_after_ms),
                offer_ttl: DurationMs(dispatch.offer_ttl_ms),
                cancellations_max: dispatch.cancellations_max,
                speed_m_per_min: f64::from(dispatch.speed_m_per_min),
                orders_per_round: dispatch.orders_per_round,
                candidates_max: dispatch.candidates_max,
            },
        })
    }

    /// Bounds of the writer.
    pub fn writer_limits(&self) -> WriterLimits {
        let hours = |h: i64| h.saturating_mul(3_600_000);
        WriterLimits {
            batch_max: self.writer.batch_max,
            in_flight_max: self.writer.in_flight_max,
            new_max: self.writer.new_max,
            other_max: self.writer.other_max,
            idempotency_ms: hours(self.orders.idempotency_h),
            outbox_ms: hours(self.writer.outbox_h),
        }
    }
}
