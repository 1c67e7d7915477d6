//! Public keys from JWKS documents (RFC 7517), each bound to one algorithm.

use std::sync::atomic::{AtomicI64, Ordering};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// More keys than any issuer rotates through.
const MAX_KEYS: usize = 100;

/// Why a JWKS document is of no use.
#[derive(Debug, thiserror::Error)]
pub enum JwkSetError {
    /// Not `{"keys": [...]}`.
    #[error("not a JWKS document: {0}")]
    Syntax(#[from] serde_json::Error),
    /// No key in it can verify a token. `skipped` says why for each.
    #[error("no usable key (EdDSA, ES256 or RS256, with a kid): {}", .skipped.join("; "))]
    Empty {
        /// One reason per key that was passed over.
        skipped: Vec<String>,
    },
    /// Too many keys.
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
}

/// The usable keys of one or more JWKS documents of one issuer.
#[derive(Clone, Debug)]
pub struct JwkSet {
    pub(super) keys: Vec<PublicKey>,
    skipped: Vec<String>,
}

/// A key that verifies exactly one algorithm, fixed by the document and never by a token.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    jwk: Jwk,
}

impl PartialEq for JwkSet {
    fn eq(&self, other: &Self) -> bool {
        self.keys
            .iter()
            .map(|key| &key.jwk)
            .eq(other.keys.iter().map(|key| &key.jwk))
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl JwkSet {
    /// Reads a JWKS document. Keys of other kinds (encryption, unknown curves, shared secrets) are passed over, as the
    /// RFC asks, and listed in [`JwkSet::skipped`].
    ///
    /// # Errors
    /// [`JwkSetError`] when no usable key remains.
    pub fn parse(document: &str) -> Result<Self, JwkSetError> {
        let document: Document = serde_json::from_str(document)?;
        if document.keys.len() > MAX_KEYS {
            return Err(JwkSetError::TooMany);
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, value) in document.keys.into_iter().enumerate() {
            let read = serde_json::from_value::<Jwk>(value).map_err(|error| error.to_string());
            match read.and_then(PublicKey::new) {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(format!("key {index}: {reason}")),
            }
        }
        if keys.is_empty() {
            Err(JwkSetError::Empty { skipped })
        } else {
            Ok(Self { keys, skipped })
        }
    }

    /// Adds the keys of another document of the same issuer.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
    }

    /// Why keys were passed over; for the log.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Ids of the usable keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }
}

impl PublicKey {
    fn new(jwk: Jwk) -> Result<Self, String> {
        let kid = jwk
            .common
            .key_id
            .clone()
            .filter(|kid| !kid.is_empty())
            .ok_or("has no kid")?;
        if jwk
            .common
            .public_key_use
            .as_ref()
            .is_some_and(|usage| *usage != PublicKeyUse::Signature)
        {
            return Err(format!("{kid} is not for signatures"));
        }
        let algorithm = fixed_algorithm(&jwk).ok_or_else(|| format!("{kid} is not of EdDSA, ES256 or RS256"))?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|error| format!("{kid}: {error}"))?;
        Ok(Self {
            kid,
            algorithm,
            key,
            jwk,
        })
    }
}

/// The one algorithm of a key: what its type implies, provided that `alg`, if present, agrees.
fn fixed_algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKey(_)
        | AlgorithmParameters::Other(_) => return None,
        // The enum is open: whatever comes later is not ours.
        _ => return None,
    };
    jwk.common
        .key_algorithm
        .is_none_or(|given| given == name)
        .then_some(algorithm)
}

/// Lets at most one key refresh start per interval, however many unknown key ids strangers send.
#[derive(Debug)]
pub struct RefreshGate {
    min_interval_s: i64,
    last_s: AtomicI64,
}

impl RefreshGate {
    /// `min_interval_s`: seconds between two refreshes.
    pub const fn new(min_interval_s: i64) -> Self {
        Self {
            min_interval_s,
            last_s: AtomicI64::new(i64::MIN),
        }
    }

    /// True when a refresh may start at `now_s` (Unix seconds); it then counts as started.
    pub fn allow(&self, now_s: i64) -> bool {
        let last = self.last_s.load(Ordering::Relaxed);
        // A clock that was set back must not close the gate for good.
        let due = now_s < last || now_s.saturating_sub(last) >= self.min_interval_s;
        due && self
            .last_s
            .compare_exchange(last, now_s, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_without_a_usable_key_are_refused() {
        for document in [
            "",
            "[]",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#,
        ] {
            assert!(JwkSet::parse(document).is_err(), "{document}");
        }
        let swapped = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"a","alg":"RS256"}]}"#;
        assert!(
            JwkSet::parse(swapped)
                .unwrap_err()
                .to_string()
                .contains("a is not of EdDSA")
        );
    }

    #[test]
    fn refreshes_keep_their_distance() {
        let gate = RefreshGate::new(60);
        let opened: Vec<bool> = [100, 101, 159, 160, 161, 50]
            .into_iter()
            .map(|now| gate.allow(now))
            .collect();
        assert_eq!(opened, [true, false, false, true, false, true]);
    }
}
