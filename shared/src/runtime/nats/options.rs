//! The `[broker]` section of node and hub.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::Deserialize;

use super::super::config::{Faults, Validate};
use super::{BrokerAccess, BrokerError};
use crate::cell::RegionId;

/// Who runs the broker.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum BrokerMode {
    /// This program, as its child.
    #[default]
    Managed,
    /// Somebody else; `url` says where.
    External,
}

/// Text that does not show in logs.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// A region's broker.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RegionBroker {
    /// `managed` or `external`. Default `managed`.
    pub mode: BrokerMode,
    /// External: one or more `nats://host:port` or `tls://host:port`, separated by commas.
    pub url: Option<String>,
    /// External: user name.
    pub user: Option<String>,
    /// External: password; better set as `TOMATO__BROKER__PASSWORD` than in the file.
    pub password: Option<Secret>,
    /// Managed: the server itself.
    pub server: LocalServer,
    /// Managed: the link to the hub. Without it the region stands alone, and events wait in its outbox.
    pub leaf: Option<LeafLink>,
}

/// The hub's broker.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct HubBroker {
    /// `managed` or `external`. Default `managed`.
    pub mode: BrokerMode,
    /// External: one or more `nats://host:port` or `tls://host:port`, separated by commas.
    pub url: Option<String>,
    /// External: user name.
    pub user: Option<String>,
    /// External: password; better set as `TOMATO__BROKER__PASSWORD` than in the file.
    pub password: Option<Secret>,
    /// Managed: the server itself.
    pub server: LocalServer,
    /// Managed: the port on which regions connect.
    pub leaf: LeafPort,
}

/// A nats-server run by this program. Its files are in `<data directory>/nats`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LocalServer {
    /// Path of nats-server, 2.15.0 or later; a bare name is looked up in `PATH`, then in `.tools/bin` of the working
    /// directory. Default `nats-server`.
    pub binary: PathBuf,
    /// Address for clients, which is this program and nobody else. Default 127.0.0.1.
    pub host: IpAddr,
    /// Port for clients. Default 4222.
    pub port: u16,
    /// Port of the monitoring pages (`/healthz`, `/leafz`, `/jsz`) on `host`; 0 = none. Default 0.
    pub monitor_port: u16,
    /// Most bytes of streams on disk. Less is used, and logged, when the disk has less: what the store holds already
    /// plus 80 % of the free space. Default 5,368,709,120 (5 GiB), at least 67,108,864 (64 MiB).
    pub max_file_store_bytes: u64,
}

impl Default for LocalServer {
    fn default() -> Self {
        Self {
            binary: "nats-server".into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 4222,
            monitor_port: 0,
            max_file_store_bytes: 5 << 30,
        }
    }
}

/// A region's link to the hub.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LeafLink {
    /// The hub's leaf ports, tried in turn: `nats-leaf://host:port`, `tls://host:port` or `wss://host:port`, all of
    /// the same scheme. `wss` passes networks that only let HTTPS out.
    pub hub_urls: Vec<String>,
    /// File with the region's nkey seed (`SU...`), as enrolled at the hub.
    pub seed_file: PathBuf,
    /// CA certificates (PEM) that sign the hub's certificate; the system's when not set.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The hub's port for regions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LeafPort {
    /// Address; regions on other machines need one that they reach. Default 127.0.0.1.
    pub host: IpAddr,
    /// Port. Default 7422.
    pub port: u16,
    /// Certificate chain (PEM). With it the link is TLS from the first byte, and regions use `tls://`.
    pub tls_cert_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub tls_key_file: Option<PathBuf>,
    /// Port for regions that come as WebSocket; TLS as above, without a certificate only behind a proxy that adds it.
    pub websocket_port: Option<u16>,
}

impl Default for LeafPort {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7422,
            tls_cert_file: None,
            tls_key_file: None,
            websocket_port: None,
        }
    }
}

/// A region that may connect to the hub.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LeafUser {
    /// Region id.
    pub region: RegionId,
    /// Public user nkey (`U...`) of its link.
    pub public_nkey: String,
}

/// The scheme of a leaf URL, if it is one that we support.
pub(super) fn leaf_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let known = ["nats-leaf", "tls", "ws", "wss"].contains(&scheme);
    (known && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())).then_some(scheme)
}

pub(super) fn external_access(
    url: Option<&String>,
    user: Option<&String>,
    password: Option<&Secret>,
) -> Result<BrokerAccess, BrokerError> {
    let url = url.ok_or_else(|| BrokerError::Option("broker.url is needed when broker.mode is external".into()))?;
    Ok(BrokerAccess {
        url: url.clone(),
        user: user.cloned(),
        password: password.cloned(),
    })
}

fn validate_mode(mode: BrokerMode, url: Option<&String>, faults: &mut Faults) {
    let parses = |url: &str| {
        url.split(',')
            .all(|url| url.trim().parse::<async_nats::ServerAddr>().is_ok())
    };
    let remedy = "give nats://host:port or tls://host:port, several separated by commas";
    match (mode, url) {
        (BrokerMode::External, None) => faults.add("url", "is needed when mode is external", remedy),
        (BrokerMode::External, Some(url)) => faults.require(parses(url), "url", "is not a broker's address", remedy),
        (BrokerMode::Managed, Some(_)) => {
            faults.add(
                "url",
                "has no effect when mode is managed",
                "remove it, or set mode = \"external\"",
            );
        }
        (BrokerMode::Managed, None) => {}
    }
}

impl Validate for RegionBroker {
    fn validate(&self, faults: &mut Faults) {
        validate_mode(self.mode, self.url.as_ref(), faults);
        faults.within("server", |faults| self.server.validate(faults));
        if let Some(leaf) = &self.leaf {
            faults.within("leaf", |faults| leaf.validate(faults));
        }
    }
}

impl Validate for HubBroker {
    fn validate(&self, faults: &mut Faults) {
        validate_mode(self.mode, self.url.as_ref(), faults);
        faults.within("server", |faults| self.server.validate(faults));
        faults.within("leaf", |faults| self.leaf.validate(faults));
    }
}

impl Validate for LocalServer {
    fn validate(&self, faults: &mut Faults) {
        faults.require(
            self.port != 0,
            "port",
            "must be fixed, so that a restart finds it",
            "give 1 to 65535",
        );
        let apart = self.monitor_port == 0 || self.monitor_port != self.port;
        faults.require(
            apart,
            "monitor_port",
            "is also the port for clients",
            "choose another, or 0 for none",
        );
        faults.range("max_file_store_bytes", self.max_file_store_bytes, 64 << 20..=1 << 60);
    }
}

impl Validate for LeafLink {
    fn validate(&self, faults: &mut Faults) {
        let remedy = "give nats-leaf://host:port, tls://host:port or wss://host:port";
        faults.require(!self.hub_urls.is_empty(), "hub_urls", "is empty", remedy);
        let schemes: Vec<Option<&str>> = self.hub_urls.iter().map(|url| leaf_scheme(url)).collect();
        for (index, (url, scheme)) in self.hub_urls.iter().zip(&schemes).enumerate() {
            let key = format!("hub_urls.{index}");
            faults.require(
                scheme.is_some(),
                &key,
                format_args!("{url} is not an address of a leaf port"),
                remedy,
            );
        }
        let same = schemes.windows(2).all(|pair| pair.first() == pair.last());
        faults.require(
            same,
            "hub_urls",
            "mixes schemes",
            "use one scheme for all addresses of the hub",
        );
    }
}

impl Validate for LeafPort {
    fn validate(&self, faults: &mut Faults) {
        faults.require(
            self.port != 0,
            "port",
            "must be fixed, so that regions find it",
            "give 1 to 65535",
        );
        let paired = self.tls_cert_file.is_some() == self.tls_key_file.is_some();
        faults.require(
            paired,
            "tls_key_file",
            "certificate and key go together",
            "set both, or neither",
        );
        let apart = self.websocket_port != Some(self.port) && self.websocket_port != Some(0);
        faults.require(
            apart,
            "websocket_port",
            "must be a port of its own",
            "give 1 to 65535, not that of the leaf port",
        );
    }
}
