//! Keeps webhooks out of networks that are nobody's business but ours: an address that somebody else chooses must not make the
//! node call its own neighbours. Asked where an address is written down, and again of every address that a name stands for when
//! it is called, as names can change their mind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::Network;

/// Longest URL of a webhook.
pub const URL_MAX: usize = 2_000;

/// Where webhooks may be.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Anywhere, and without TLS: for development.
    pub open: bool,
    /// Besides the public internet.
    pub allowed: Arc<[Network]>,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It cannot be read.
    #[error("is not an http or https address")]
    NotOne,
    /// It has a name or password in it.
    #[error("has a name or password in it")]
    Login,
    /// It is not https.
    #[error("is not https")]
    Plain,
    /// It is not on the public internet.
    #[error("is not on the public internet")]
    NotPublic,
}

/// A name that stands for addresses which must not be called.
#[derive(Debug, thiserror::Error)]
#[error("the address is not on the public internet")]
pub struct NotPublic;

impl Guard {
    /// Checks what can be seen of an address without asking anybody.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn check(&self, url: &str) -> Result<Url, BadUrl> {
        let url = Url::parse(url).map_err(|_| BadUrl::NotOne)?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(BadUrl::NotOne);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Login);
        }
        if !self.open && url.scheme() != "https" {
            return Err(BadUrl::Plain);
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let literal: Option<IpAddr> = host.parse().ok();
        match literal {
            Some(address) if !self.allows(address) => Err(BadUrl::NotPublic),
            Some(_) | None => Ok(url),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.open || is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| guard.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

/// Whether an address is one of the public internet (IANA's special-purpose registries, RFC 6890 and later).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        // This network, this host, private use, link-local (where clouds keep their metadata), shared by carriers,
        // protocol assignments, 6to4 relays, benchmarks, multicast and what is reserved.
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0)
            | (192, 88, 99)
            | (198, 18..=19, _)
    );
    !special && !address.is_documentation()
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [a, b, c, ..] = address.segments();
    // NAT64 and 6to4 carry an IPv4 address, Teredo a hidden one.
    let carried = match (a, b) {
        (0x64, 0xff9b) => Some((address.segments()[6], address.segments()[7])),
        (0x2002, _) => Some((b, c)),
        _ => None,
    };
    if let Some((high, low)) = carried {
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    // Only 2000::/3 is given out; of that not protocol assignments (with Teredo) and documentation.
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && b < 0x200) && !(a == 0x2001 && b == 0xdb8) && (a & 0xfff0) != 0x3ff0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn production(allowed: &[&str]) -> Guard {
        Guard {
            open: false,
            allowed: allowed.iter().map(|network| network.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn only_the_public_internet_is_called_in_production() {
        let guard = production(&[]);
        for (url, want) in [
            ("https://partner.example/hook?x=1", None),
            ("https://8.8.8.8/", None),
            ("https://[2606:4700::1111]/", None),
            ("http://partner.example/", Some(BadUrl::Plain)),
            ("ftp://partner.example/", Some(BadUrl::NotOne)),
            ("partner.example", Some(BadUrl::NotOne)),
            ("https://user:word@partner.example/", Some(BadUrl::Login)),
            ("https://127.0.0.1/", Some(BadUrl::NotPublic)),
            // The same in other spellings, which the parser of URLs makes one.
            ("https://0x7f.1/", Some(BadUrl::NotPublic)),
            ("https://2130706433/", Some(BadUrl::NotPublic)),
            ("https://10.1.2.3/", Some(BadUrl::NotPublic)),
            ("https://172.31.0.1/", Some(BadUrl::NotPublic)),
            ("https://172.32.0.1/", None),
            ("https://192.168.1.1/", Some(BadUrl::NotPublic)),
            ("https://169.254.169.254/latest/meta-data", Some(BadUrl::NotPublic)),
            ("https://100.64.0.1/", Some(BadUrl::NotPublic)),
            ("https://0.0.0.0/", Some(BadUrl::NotPublic)),
            ("https://224.0.0.1/", Some(BadUrl::NotPublic)),
            ("https://[::1]/", Some(BadUrl::NotPublic)),
            ("https://[::ffff:10.0.0.1]/", Some(BadUrl::NotPublic)),
            ("https://[64:ff9b::7f00:1]/", Some(BadUrl::NotPublic)),
            ("https://[2002:7f00:1::]/", Some(BadUrl::NotPublic)),
            ("https://[fd00::1]/", Some(BadUrl::NotPublic)),
            ("https://[fe80::1]/", Some(BadUrl::NotPublic)),
            ("https://[2001:db8::1]/", Some(BadUrl::NotPublic)),
        ] {
            assert_eq!(guard.check(url).err(), want, "{url}");
        }
        assert!(production(&["10.0.0.0/8"]).check("https://10.1.2.3/").is_ok());
        let development = Guard {
            open: true,
            allowed: Arc::default(),
        };
        assert!(development.check("http://127.0.0.1:80/").is_ok());
    }

    #[tokio::test]
    async fn a_name_is_asked_again_when_it_is_called() {
        let resolve = async |guard: Guard| guard.resolve("localhost".parse().unwrap()).await.map(Iterator::count);
        let refused = resolve(production(&[])).await.unwrap_err();
        assert!(refused.is::<NotPublic>(), "{refused}");
        assert!(resolve(production(&["127.0.0.0/8", "::1"])).await.unwrap() > 0);
    }
}
