//! `[http]`: where apps connect, and how much each of them, and all of them together, may ask for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use tomato_shared::runtime::config::{Faults, Validate};
use tomato_shared::runtime::serve::ServeLimits;

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Read-only connections to the region's file. Default 4, 1 to 64.
    pub readers: usize,
    /// Requests worked on at a time; beyond its share of them each class gets 503. Default 2,048, 16 to 100,000.
    pub concurrent_max: usize,
    /// Proxies whose `X-Forwarded-For` is believed, as `10.0.0.7` or `10.0.0.0/8`. Default none.
    pub trusted_proxies: Vec<Network>,
    /// Frames a client may send on a WebSocket per second, pongs included. Default 10, 1 to 10,000.
    pub socket_frames_per_s: u32,
    /// Bounds of the port.
    pub limits: ServeLimits,
    /// How many requests one caller may send.
    pub rate: RateConfig,
    /// Which other sites' pages may call.
    pub cors: CorsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            readers: 4,
            concurrent_max: 2_048,
            trusted_proxies: Vec::new(),
            socket_frames_per_s: 10,
            limits: ServeLimits::default(),
            rate: RateConfig::default(),
            cors: CorsConfig::default(),
        }
    }
}

/// `[http.rate]`: requests per minute of real time, each 0 to 10,000,000; 0 is no limit. Default 100 each.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Of one customer.
    pub customer_per_min: u32,
    /// Of one restaurant, whoever of it asks.
    pub restaurant_per_min: u32,
    /// Of one driver, positions aside.
    pub driver_per_min: u32,
    /// Of one operator.
    pub operator_per_min: u32,
    /// Of one program of the platform.
    pub service_per_min: u32,
    /// Of one address without a valid token; IPv6 by its /64.
    pub anonymous_per_min: u32,
    /// Requests with positions, each of up to 100, of one driver. Default 120.
    pub positions_per_min: u32,
    /// The requests of so many seconds may come at once. Default 60, 1 to 3,600.
    pub burst_s: u32,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self {
            customer_per_min: 100,
            restaurant_per_min: 100,
            driver_per_min: 100,
            operator_per_min: 100,
            service_per_min: 100,
            anonymous_per_min: 100,
            positions_per_min: 120,
            burst_s: 60,
        }
    }
}

/// `[http.cors]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins whose pages may call and open WebSockets, as `https://ops.example`. The node's own always may.
    pub origins: Vec<String>,
}

/// Addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// IPv4 is kept as IPv4-mapped IPv6.
    address: Ipv6Addr,
    /// 0 to 128.
    bits: u32,
}

/// A text that is not a network.
#[derive(Debug, thiserror::Error)]
#[error("not an address or network: want 10.0.0.7, 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError;

impl Network {
    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let other = mapped(address).to_bits() ^ self.address.to_bits();
        self.bits == 0 || other >> (128 - self.bits) == 0
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(start, bits)| (start, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse::<u32>).map_err(|_| NetworkError)?;
        if bits > most {
            return Err(NetworkError);
        }
        Ok(Self {
            address: mapped(address),
            bits: bits + (128 - most),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Validate for HttpConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.range("readers", self.readers, 1..=64);
        faults.range("concurrent_max", self.concurrent_max, 16..=100_000);
        faults.range("socket_frames_per_s", self.socket_frames_per_s, 1..=10_000);
        faults.within("limits", |faults| self.limits.validate(faults));
        faults.within("rate", |faults| {
            let rate = &self.rate;
            for (name, per_min) in [
                ("customer_per_min", rate.customer_per_min),
                ("restaurant_per_min", rate.restaurant_per_min),
                ("driver_per_min", rate.driver_per_min),
                ("operator_per_min", rate.operator_per_min),
                ("service_per_min", rate.service_per_min),
                ("anonymous_per_min", rate.anonymous_per_min),
                ("positions_per_min", rate.positions_per_min),
            ] {
                faults.range(name, per_min, 0..=10_000_000);
            }
            faults.range("burst_s", rate.burst_s, 1..=3_600);
        });
        faults.within("cors", |faults| {
            for (index, origin) in self.cors.origins.iter().enumerate() {
                let rest = origin
                    .strip_prefix("https://")
                    .or_else(|| origin.strip_prefix("http://"));
                faults.require(
                    rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' '])),
                    &format!("origins.{index}"),
                    format_args!("{origin:?} is not an origin"),
                    "give scheme and host without a path, as in https://ops.example",
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.7", "10.0.0.7") && !holds("10.0.0.7", "10.0.0.8"));
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(
            holds("10.0.0.0/8", "::ffff:10.1.2.3"),
            "as a dual-stack socket shows it"
        );
        assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "1.2.3.4") && holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "fe80::1"));
        for bad in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "localhost",
            "10.0.0.0/-1",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
