//! The public keys of the trusted issuers, from files.

use std::path::PathBuf;
use std::sync::Arc;

use tomato_shared::runtime::jwt::{JwkSet, JwkSetError, RefreshGate, TrustedIssuer, Verifier};
use tomato_shared::runtime::shutdown::StopSignal;

use crate::clock;
use crate::config::{AuthConfig, IssuerConfig};
use crate::fault::Chain;

/// Most verified tokens remembered; operators are few.
const CACHED_TOKENS: usize = 1_000;
/// Seconds between two reads of the files, however many tokens with unknown keys come.
const REFRESH_S: i64 = 5;

/// A file of keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysFault {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It does not hold keys.
    #[error("cannot use {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: JwkSetError,
    },
}

/// Reads the keys of all issuers.
pub(crate) fn verifier(auth: &AuthConfig) -> Result<Verifier, KeysFault> {
    let issuers: Result<Vec<_>, _> = auth.issuers.iter().map(trusted).collect();
    Ok(Verifier::new(auth.audience.clone(), issuers?, CACHED_TOKENS))
}

/// Reads the files again when a token names a key that no issuer has, so that keys can be replaced while the hub runs.
pub(crate) async fn refresh(
    auth: AuthConfig,
    verifier: Arc<Verifier>,
    mut stop: StopSignal,
) -> Result<(), std::convert::Infallible> {
    let gate = RefreshGate::new(REFRESH_S);
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            () = verifier.key_missed() => {}
        }
        if !gate.allow(clock::now().0 / 1_000) {
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
                Ok(Err(fault)) => tracing::warn!(fault = %Chain(fault), "the old token keys stay"),
                Err(fault) => tracing::error!(%fault, "reading token keys failed"),
            }
        }
    }
}

fn trusted(issuer: &IssuerConfig) -> Result<TrustedIssuer, KeysFault> {
    let path = || issuer.jwks_file.clone();
    let text = std::fs::read_to_string(&issuer.jwks_file).map_err(|source| KeysFault::Read { path: path(), source })?;
    let keys = JwkSet::parse(&text).map_err(|source| KeysFault::Parse { path: path(), source })?;
    Ok(TrustedIssuer {
        issuer: issuer.issuer.clone(),
        keys,
    })
}
