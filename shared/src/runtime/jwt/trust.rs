//! Whose tokens are trusted: the `[auth]` section of node and hub, and the keys in the files that it names.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::{JwkSet, JwkSetError, RefreshGate, TrustedIssuer, Verifier};
use crate::runtime::config::{Faults, Validate};
use crate::runtime::shutdown::StopSignal;

/// Seconds between two reads of the files, however many tokens with unknown keys come.
const REFRESH_S: i64 = 5;

/// The `[auth]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// What `aud` of a token must name. Default `tomato`.
    pub audience: String,
    /// Whose tokens are trusted; at least one.
    pub issuers: Vec<IssuerConfig>,
    /// Verified tokens remembered until they expire, about 500 bytes each. Default 50,000, 0 to 1,000,000.
    pub cache_tokens: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            audience: "tomato".into(),
            issuers: Vec::new(),
            cache_tokens: 50_000,
        }
    }
}

/// One `[[auth.issuers]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// What `iss` of its tokens says. Required.
    pub issuer: String,
    /// File with its public keys (JWKS, RFC 7517); read at start, and again when a token names an unknown key. Required.
    pub jwks_file: PathBuf,
}

impl Validate for AuthConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.require(
            !self.audience.is_empty(),
            "audience",
            "is empty",
            "give what `aud` names",
        );
        let some = !self.issuers.is_empty();
        faults.require(
            some,
            "issuers",
            "is empty",
            "add [[auth.issuers]] with issuer and jwks_file",
        );
        for (index, issuer) in self.issuers.iter().enumerate() {
            let key = format!("issuers.{index}.issuer");
            faults.require(!issuer.issuer.is_empty(), &key, "is empty", "give what `iss` says");
        }
        faults.range("cache_tokens", self.cache_tokens, 0..=1_000_000);
    }
}

/// A file of keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("[auth] {}: {source}; make it with `tomato-node jwks --key FILE`, or fetch it from the issuer", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It does not hold keys.
    #[error("[auth] {}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: JwkSetError,
    },
}

/// Reads the keys of all issuers.
///
/// # Errors
/// The first file that cannot be used.
pub fn verifier(auth: &AuthConfig) -> Result<Verifier, KeysError> {
    let issuers: Result<Vec<_>, _> = auth.issuers.iter().map(trusted).collect();
    Ok(Verifier::new(auth.audience.clone(), issuers?, auth.cache_tokens))
}

/// The public keys of all issuers as one JWKS document, for others who want to check the same tokens.
///
/// # Errors
/// The first file that cannot be used.
pub fn public_keys(auth: &AuthConfig) -> Result<String, KeysError> {
    let mut keys = Vec::new();
    for issuer in &auth.issuers {
        let path = || issuer.jwks_file.clone();
        let text =
            std::fs::read_to_string(&issuer.jwks_file).map_err(|source| KeysError::Read { path: path(), source })?;
        JwkSet::parse(&text).map_err(|source| KeysError::Parse { path: path(), source })?;
        let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        keys.extend(document["keys"].as_array().into_iter().flatten().cloned());
    }
    Ok(serde_json::json!({ "keys": keys }).to_string())
}

/// Whether the keys of an issuer are marked as made with [`super::SigningKey::development_jwks`]; `false` where the file
/// cannot be read, which is told elsewhere.
pub fn is_development(issuer: &IssuerConfig) -> bool {
    let text = std::fs::read_to_string(&issuer.jwks_file).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut keys = document["keys"].as_array().into_iter().flatten();
    keys.any(|key| key[super::signing::DEVELOPMENT] == true)
}

/// Reads the files again when a token names a key that no issuer has, so that keys can be replaced while the program
/// runs. `now_s` gives Unix seconds.
///
/// # Errors
/// None: a file that cannot be used leaves its old keys in force.
pub async fn refresh(
    auth: AuthConfig,
    verifier: Arc<Verifier>,
    now_s: impl Fn() -> i64 + Send,
    mut stop: StopSignal,
) -> Result<(), std::convert::Infallible> {
    let gate = RefreshGate::new(REFRESH_S);
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            () = verifier.key_missed() => {}
        }
        if !gate.allow(now_s()) {
            continue;
        }
        for issuer in auth.issuers.clone() {
            let read = tokio::task::spawn_blocking(move || trusted(&issuer)).await;
            match read {
                Ok(Ok(fresh)) => {
                    if verifier.replace_keys(&fresh.issuer, fresh.keys) {
                        tracing::info!(issuer = fresh.issuer, "new token keys");
                    }
                }
                Ok(Err(fault)) => tracing::warn!(%fault, "the old token keys stay"),
                Err(fault) => tracing::error!(%fault, "reading token keys failed"),
            }
        }
    }
}

fn trusted(issuer: &IssuerConfig) -> Result<TrustedIssuer, KeysError> {
    let path = || issuer.jwks_file.clone();
    let text = std::fs::read_to_string(&issuer.jwks_file).map_err(|source| KeysError::Read { path: path(), source })?;
    let keys = JwkSet::parse(&text).map_err(|source| KeysError::Parse { path: path(), source })?;
    Ok(TrustedIssuer {
        issuer: issuer.issuer.clone(),
        keys,
    })
}
