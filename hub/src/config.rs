//! The hub's configuration: one struct per section of the file, annotated in `config/hub.toml`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomato_shared::runtime::config::{self, ConfigFaults, Faults, Validate};
use tomato_shared::runtime::jwt::AuthConfig;
use tomato_shared::runtime::nats::HubBroker;
use tomato_shared::runtime::otlp::OtlpConfig;
use tomato_shared::runtime::serve::ServeLimits;
use tomato_shared::runtime::telemetry::LogConfig;

/// Environment variables that begin with this and two underscores override the file: `TOMATO__HTTP__LISTEN`.
const ENV_PREFIX: &str = "TOMATO";

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Directory of `hub.db` and of the managed broker's files; made if missing. Required.
    pub data_dir: PathBuf,
    /// The operators' API.
    #[serde(default)]
    pub http: HttpConfig,
    /// Whose tokens are trusted.
    pub auth: AuthConfig,
    /// What operators may do.
    #[serde(default)]
    pub access: AccessConfig,
    /// The broker to which the regions connect.
    #[serde(default)]
    pub broker: HubBroker,
    /// The stream into which the hub's server sources the regions' events.
    #[serde(default)]
    pub stream: StreamConfig,
    /// What counts as going wrong.
    #[serde(default)]
    pub alerts: AlertConfig,
    /// The operators' page.
    #[serde(default)]
    pub page: PageConfig,
    /// What new regions are told.
    #[serde(default)]
    pub enrolment: EnrolmentConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Traces.
    #[serde(default)]
    pub otlp: OtlpConfig,
}

/// The `[http]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one. Default 127.0.0.1:8090.
    pub listen: SocketAddr,
    /// Database connections for reading, that is, reads that run at once. Default 4, 1 to 64.
    pub read_connections: u32,
    /// Bounds of the port.
    pub limits: ServeLimits,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            read_connections: 4,
            limits: ServeLimits::default(),
        }
    }
}

/// What an operator may do at the hub. Everybody who may do anything may read everything of their regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Reads.
    Viewer,
    /// Also acknowledges alerts.
    Operator,
    /// Also imports statements and settles accounts, but acknowledges nothing.
    Finance,
    /// All of it.
    Admin,
}

impl Access {
    /// Whether who has this may do what needs `needed`.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || needed == Self::Viewer
    }

    /// As it stands in the file and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Finance => "finance",
            Self::Admin => "admin",
        }
    }
}

/// The `[access]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// What an operator may do who is not named below. Default operator.
    pub everyone: Access,
    /// What others may do, by the `sub` of their token.
    pub named: BTreeMap<String, Access>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            everyone: Access::Operator,
            named: BTreeMap::new(),
        }
    }
}

impl AccessConfig {
    /// What the bearer of a token with this `sub` may do.
    pub fn of(&self, subject: &str) -> Access {
        self.named.get(subject).copied().unwrap_or(self.everyone)
    }
}

/// The `[stream]` section. Limits are set at each start; `replicas` only when the stream is made, at the very first.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Most bytes; the oldest events go first, which are in the database by then. At most nine tenths of what a managed
    /// broker may store are used. Default 4,294,967,296 (4 GiB), at least 16,777,216 (16 MiB).
    pub max_bytes: u64,
    /// Hours after which events go. Default 168 (a week), 1 to 87,600.
    pub max_age_hours: u64,
    /// Copies, on as many servers of a cluster; 1, 3 or 5. Default 1, the only choice for a managed broker.
    pub replicas: u8,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            max_age_hours: 168,
            replicas: 1,
        }
    }
}

/// The `[alerts]` section. Seconds are at most 604,800 (a week); 0 turns a rule off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// Where each new alert is posted as JSON; without, nowhere.
    pub webhook_url: Option<String>,
    /// Seconds without a heartbeat of a region. Default 30.
    pub region_silent_s: u32,
    /// Age in seconds of the oldest event that the hub knows to be missing. Default 60.
    pub sync_lag_s: u32,
    /// Share of declined payments in 15 minutes, of at least 20, in percent. Default 40, 0 to 100.
    pub payment_failures_percent: u32,
    /// Seconds that a restaurant may take to answer. Default 600.
    pub unaccepted_orders_s: u32,
    /// Orders to deliver while nobody is signed on. Default true.
    pub no_drivers: bool,
    /// Age in seconds of the oldest money that does not match. Default 900.
    pub ledger_mismatch_s: u32,
    /// Seconds between a region's clock and the hub's. Default 30.
    pub clock_skew_s: u32,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            webhook_url: None,
            region_silent_s: 30,
            sync_lag_s: 60,
            payment_failures_percent: 40,
            unaccepted_orders_s: 600,
            no_drivers: true,
            ledger_mismatch_s: 900,
            clock_skew_s: 30,
        }
    }
}

/// The `[page]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageConfig {
    /// Directory to serve the page from instead of the files built in, for those who change it.
    pub dir: Option<PathBuf>,
    /// Map tiles behind the cells, `https://tiles.example/{z}/{x}/{y}.png`. Without, no request leaves the hub.
    pub tile_url: Option<String>,
    /// What has to stand on a map with these tiles.
    pub tile_attribution: String,
}

/// The `[enrolment]` section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrolmentConfig {
    /// Where regions reach the hub's leaf port: `nats-leaf://host:port`, `tls://host:port` or `wss://host:port`.
    /// Default: the leaf port itself, on 127.0.0.1 where it listens on every address.
    pub leaf_urls: Vec<String>,
    /// Certificates (PEM) that sign that of the leaf port, where it is not one that every system trusts. Default none.
    pub ca_file: Option<PathBuf>,
}

impl HubConfig {
    /// Reads a file, and `env` (usually `std::env::vars()`) on top of it.
    ///
    /// # Errors
    /// Every fault of both.
    pub fn load(file: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigFaults> {
        config::load(Some(file), env, ENV_PREFIX)
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("hub.db")
    }

    /// The fleet's key for hashes of telephone numbers; made if missing.
    pub fn phone_key_file(&self) -> PathBuf {
        self.data_dir.join("phone.key")
    }

    /// Where regions are told to connect.
    pub fn leaf_urls(&self) -> Vec<String> {
        if !self.enrolment.leaf_urls.is_empty() {
            return self.enrolment.leaf_urls.clone();
        }
        let leaf = &self.broker.leaf;
        let scheme = if leaf.tls_cert_file.is_some() {
            "tls"
        } else {
            "nats-leaf"
        };
        let host = if leaf.host.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            leaf.host
        };
        vec![format!("{scheme}://{}", SocketAddr::new(host, leaf.port))]
    }
}

impl Validate for HubConfig {
    fn validate(&self, faults: &mut Faults) {
        let named = !self.data_dir.as_os_str().is_empty();
        faults.require(named, "data_dir", "is empty", "name a directory for the database");
        faults.within("http", |faults| {
            faults.range("read_connections", self.http.read_connections, 1..=64);
            faults.within("limits", |faults| self.http.limits.validate(faults));
        });
        faults.within("auth", |faults| self.auth.validate(faults));
        faults.within("broker", |faults| self.broker.validate(faults));
        faults.within("stream", |faults| self.stream.validate(faults));
        faults.within("alerts", |faults| self.alerts.validate(faults));
        faults.within("page", |faults| self.page.validate(faults));
        faults.within("enrolment", |faults| self.enrolment.validate(faults));
        faults.within("log", |faults| self.log.validate(faults));
        faults.within("otlp", |faults| self.otlp.validate(faults));
    }
}

impl Validate for StreamConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.range("max_bytes", self.max_bytes, 16 << 20..=1 << 60);
        faults.range("max_age_hours", self.max_age_hours, 1..=87_600);
        let odd = [1, 3, 5].contains(&self.replicas);
        faults.require(
            odd,
            "replicas",
            format_args!("{} is no majority", self.replicas),
            "give 1, 3 or 5",
        );
    }
}

impl Validate for AlertConfig {
    fn validate(&self, faults: &mut Faults) {
        for (name, seconds) in [
            ("region_silent_s", self.region_silent_s),
            ("sync_lag_s", self.sync_lag_s),
            ("unaccepted_orders_s", self.unaccepted_orders_s),
            ("ledger_mismatch_s", self.ledger_mismatch_s),
            ("clock_skew_s", self.clock_skew_s),
        ] {
            faults.range(name, seconds, 0..=604_800);
        }
        faults.range("payment_failures_percent", self.payment_failures_percent, 0..=100);
        let web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        let fits = self.webhook_url.as_ref().is_none_or(web);
        faults.require(fits, "webhook_url", "is no web address", "give http:// or https://");
    }
}

impl Validate for PageConfig {
    fn validate(&self, faults: &mut Faults) {
        let named = |url: &String| {
            url.starts_with("http")
                && ["{z}", "{x}", "{y}"].iter().all(|part| url.contains(part))
                && !url.contains([' ', ';', ','])
        };
        let fits = self.tile_url.as_ref().is_none_or(named);
        let remedy = "give https://host/{z}/{x}/{y}.png";
        faults.require(fits, "tile_url", "is no address of tiles", remedy);
    }
}

impl Validate for EnrolmentConfig {
    fn validate(&self, faults: &mut Faults) {
        for (index, url) in self.leaf_urls.iter().enumerate() {
            let known = ["nats-leaf://", "tls://", "wss://"]
                .iter()
                .any(|scheme| url.starts_with(scheme));
            let problem = format!("{url} is not an address of a leaf port");
            let remedy = "give nats-leaf://host:port, tls://host:port or wss://host:port";
            faults.require(known, &format!("leaf_urls.{index}"), problem, remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &Path, env: &[(&str, &str)]) -> Result<HubConfig, ConfigFaults> {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        HubConfig::load(file, env)
    }

    #[test]
    fn annotated_file_loads_and_holds_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/hub.toml");
        let config = load(&file, &[]).unwrap();
        assert_eq!(config.http.listen, HttpConfig::default().listen);
        assert_eq!(config.http.limits, ServeLimits::default());
        assert_eq!(config.stream.max_bytes, StreamConfig::default().max_bytes);
        // Not the default: a node of the same machine has that port.
        let mut broker = HubBroker::default();
        broker.server.port = 4223;
        assert_eq!(config.broker, broker);
        assert_eq!(config.leaf_urls(), ["nats-leaf://127.0.0.1:7422"]);
        let config = load(
            &file,
            &[("TOMATO__ENROLMENT__LEAF_URLS", "[\"tls://hub.example:7422\"]")],
        )
        .unwrap();
        assert_eq!(config.leaf_urls(), ["tls://hub.example:7422"]);
    }

    #[test]
    fn every_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hub.toml");
        let text = "[auth]\nissuers = []\n[http]\nread_connections = 0\nport = 5\n[stream]\nreplicas = 2\n[enrolment]\nleaf_urls = [\"http://x\"]\n";
        std::fs::write(&file, text).unwrap();
        let faults = load(&file, &[]).unwrap_err();
        let mut paths: Vec<&str> = faults.faults().iter().map(|fault| fault.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "auth.issuers",
                "data_dir",
                "enrolment.leaf_urls.0",
                "http.port",
                "http.read_connections",
                "stream.replicas"
            ]
        );
    }
}
