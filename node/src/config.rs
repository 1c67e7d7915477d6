//! The configuration of a node, and the only reader of files and environment. Every field says what it means, its unit, its
//! default and its bounds; `config/node.toml` shows them all.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tomato_shared::cell::{Cell, CellSet, LatLng, RegionId};
use tomato_shared::money::Currency;
use tomato_shared::runtime::config::{Faults, Validate};
use tomato_shared::runtime::jwt::AuthConfig;
use tomato_shared::runtime::nats::RegionBroker;
use tomato_shared::runtime::otlp::OtlpConfig;
use tomato_shared::runtime::telemetry::LogConfig;
use tomato_shared::time::UnixMs;

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
    /// Where whoever runs the node looks.
    pub admin: AdminConfig,
    /// Who may act.
    pub auth: AuthConfig,
    /// The region's nats-server.
    pub broker: RegionBroker,
    /// Limits of orders.
    pub orders: OrdersConfig,
    /// What is charged.
    pub fees: FeesConfig,
    /// What giving an order up costs.
    pub cancelling: CancellingConfig,
    /// What drivers earn.
    pub driver_pay: DriverPayConfig,
    /// How drivers are found.
    pub dispatch: DispatchConfig,
    /// Drivers where this region meets others.
    pub borders: BordersConfig,
    /// How card payments are made.
    pub payments: PaymentsConfig,
    /// How people and partners are told of what happens.
    pub push: PushConfig,
    /// What of people may leave the region.
    pub privacy: PrivacyConfig,
    /// The one writer of the region's file.
    pub writer: WriterConfig,
    /// How fast the region's time runs.
    pub clock: ClockConfig,
    /// Logs.
    pub log: LogConfig,
    /// Traces.
    pub otlp: OtlpConfig,
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

/// `[admin]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port of metrics and health, as `127.0.0.1:9090`; never one that the outside reaches. Default empty: none.
    #[serde(deserialize_with = "address_or_none")]
    pub listen: Option<SocketAddr>,
}

fn address_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = (!text.is_empty()).then(|| text.parse()).transpose();
    read.map_err(|_| serde::de::Error::custom("want an address and a port, as 127.0.0.1:9090, or nothing"))
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
    /// How long events are kept that the hub has, in hours; 0: for ever, so that a hub that lost its file can be rebuilt from
    /// the regions. Default 0, at most 87,600.
    pub outbox_h: i64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            batch_max: 512,
            in_flight_max: 8_192,
            new_max: 2_048,
            other_max: 512,
            outbox_h: 0,
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

mod borders;
mod check;
mod http;
mod payments;
mod privacy;
mod profile;
mod push;
mod rules;

pub use borders::BordersConfig;
pub use http::{CorsConfig, HttpConfig, Network, NetworkError, RateConfig};
pub use payments::{PaymentsConfig, ProviderKind, RazorpayConfig, Secret, SecretError, StripeConfig};
pub use privacy::PrivacyConfig;
pub use profile::{DEVELOPMENT_ISSUER, Profile};
pub use push::{ApnsConfig, FcmConfig, PushConfig, TopicsConfig, WebhooksConfig};
pub use rules::{
    CancellingConfig, DispatchConfig, DispatchPolicyName, DriverPayConfig, FeesConfig, OrdersConfig, ZoneConfig,
};

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
            messages_ms: hours(self.push.keep_h),
        }
    }
}
