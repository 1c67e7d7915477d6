//! Bearer tokens: who speaks, in which role, for which regions.
//!
//! One issuer signs for all regions; every node verifies by itself from public keys (JWKS), so a token works while the
//! hub is away. Time is passed in as Unix seconds; nothing here reads a clock.

mod cache;
mod keys;
mod signing;
mod trust;
mod verifier;

pub use keys::{JwkSet, JwkSetError, RefreshGate};
pub use signing::{SigningError, SigningKey};
pub use trust::{AuthConfig, IssuerConfig, KeysError, is_development, public_keys, refresh, verifier};
pub use verifier::{LEEWAY_S, MAX_TOKEN_BYTES, TokenError, TrustedIssuer, Verifier};

use serde::{Deserialize, Serialize};

/// What the bearer is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Orders food.
    Customer,
    /// Works for the restaurant named in [`Claims::restaurant`].
    Restaurant,
    /// Delivers.
    Driver,
    /// Runs a city or the hub.
    Operator,
    /// Another program of the platform. A region lets it do nothing yet: what programs tell each other goes through
    /// NATS, and what is public needs no token.
    Service,
}

impl Role {
    /// The name in tokens and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Restaurant => "restaurant",
            Self::Driver => "driver",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }
}

/// The content of a token. All times are Unix seconds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// Who signed it; after verification one of the trusted issuers.
    pub iss: String,
    /// Who it is for; after verification our own audience, even if the token names several.
    pub aud: String,
    /// Whose token it is: the typed id of a user, driver or operator, or a service's name. Never empty once verified.
    pub sub: String,
    /// What the subject may act as.
    pub role: Role,
    /// Id of the restaurant a [`Role::Restaurant`] works for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restaurant: Option<String>,
    /// Regions the token is good for; `None` = all, empty = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Issued at. 0 when a foreign issuer did not say.
    #[serde(default)]
    pub iat: i64,
    /// Not valid before. 0 when a foreign issuer did not say.
    #[serde(default)]
    pub nbf: i64,
    /// Not valid from this second on.
    pub exp: i64,
    /// Id of the token; empty when a foreign issuer did not say.
    #[serde(default)]
    pub jti: String,
}

impl Claims {
    /// Whether the token is good for `region`.
    pub fn covers(&self, region: &str) -> bool {
        self.regions
            .as_ref()
            .is_none_or(|regions| regions.iter().any(|known| known == region))
    }
}

#[cfg(test)]
mod tests;
