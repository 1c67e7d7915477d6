//! Checks tokens against the keys of the trusted issuers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use tokio::sync::Notify;

use super::cache::Cache;
use super::keys::PublicKey;
use super::{Claims, JwkSet, Role};

/// Seconds by which the clocks of issuer and node may differ.
pub const LEEWAY_S: i64 = 30;

/// Longer tokens are refused before any work is done on them.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Not three base64url parts of JSON with the claims we need, each of its type.
    #[error("the token cannot be read")]
    Malformed,
    /// Above [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// No trusted issuer has this key now. A refresh may bring it.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The header names another algorithm than the one its key is for (`none` and the shared-secret ones included).
    #[error("the token's algorithm is not the one of its key")]
    Algorithm,
    /// The signature does not match.
    #[error("the token's signature is wrong")]
    Signature,
    /// The key belongs to another issuer than the token names.
    #[error("the token's issuer is not trusted")]
    Issuer,
    /// Meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come yet.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl TokenError {
    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::TooLong,
        Self::UnknownKey,
        Self::Algorithm,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
    ];

    /// Stable code for responses and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::TooLong => "token_too_long",
            Self::UnknownKey => "token_key_unknown",
            Self::Algorithm => "token_algorithm_refused",
            Self::Signature => "token_signature_wrong",
            Self::Issuer => "token_issuer_unknown",
            Self::Audience => "token_audience_wrong",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
        }
    }
}

/// An issuer and its keys.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// What `iss` must be.
    pub issuer: String,
    /// Its keys; those of several documents are joined with [`JwkSet::extend`].
    pub keys: JwkSet,
}

/// Verifies tokens; shared by all requests.
pub struct Verifier {
    audience: String,
    trusted: RwLock<Arc<Trusted>>,
    cache: Cache,
    missed: Notify,
}

/// One state of the keys. Replaced as a whole, so a check sees one state from start to end.
struct Trusted {
    generation: u64,
    issuers: Vec<TrustedIssuer>,
    /// Two issuers may use the same kid by chance, hence a list.
    by_kid: HashMap<String, Vec<IssuedKey>>,
}

struct IssuedKey {
    key: PublicKey,
    name: &'static str,
    validation: Validation,
}

/// What [`jsonwebtoken`] leaves unread until the signature is checked.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawClaims {
    iss: String,
    sub: String,
    role: Role,
    restaurant: Option<String>,
    regions: Option<Vec<String>>,
    iat: Option<i64>,
    nbf: Option<i64>,
    exp: i64,
    jti: Option<String>,
}

impl Verifier {
    /// `audience`: what `aud` must name. `issuers`: the same name may come twice, its keys are joined.
    /// `cache_tokens`: most verified tokens remembered (100,000 take about 50 MB); 0 = none.
    pub fn new(audience: impl Into<String>, issuers: Vec<TrustedIssuer>, cache_tokens: usize) -> Self {
        let audience = audience.into();
        let mut joined: Vec<TrustedIssuer> = Vec::new();
        for issuer in issuers {
            match joined.iter_mut().find(|known| known.issuer == issuer.issuer) {
                Some(known) => known.keys.extend(issuer.keys),
                None => joined.push(issuer),
            }
        }
        let trusted = RwLock::new(Arc::new(Trusted::new(0, joined, &audience)));
        Self {
            audience,
            trusted,
            cache: Cache::new(cache_tokens),
            missed: Notify::new(),
        }
    }

    /// Puts `keys` in place of all keys of `issuer` (added when new). Tokens of dropped keys are refused from now on,
    /// remembered ones too. Returns false, and changes nothing, when the keys are the ones already in use.
    pub fn replace_keys(&self, issuer: &str, keys: JwkSet) -> bool {
        let mut slot = self.trusted.write().unwrap_or_else(PoisonError::into_inner);
        let mut issuers = slot.issuers.clone();
        match issuers.iter_mut().find(|known| known.issuer == issuer) {
            Some(known) if known.keys == keys => return false,
            Some(known) => known.keys = keys,
            None => issuers.push(TrustedIssuer {
                issuer: issuer.to_owned(),
                keys,
            }),
        }
        *slot = Arc::new(Trusted::new(slot.generation + 1, issuers, &self.audience));
        true
    }

    /// Returns when a token with an unknown key id has come since the last call. A task that fetches a JWKS URL waits
    /// for this, asks its [`super::RefreshGate`], and calls [`Verifier::replace_keys`].
    pub async fn key_missed(&self) {
        self.missed.notified().await;
    }

    /// Checks `token` (compact form, without `Bearer `) at `now_s`, Unix seconds.
    ///
    /// # Errors
    /// The first check that fails; times are judged last, so an expired forgery is a forgery.
    pub fn verify(&self, token: &str, now_s: i64) -> Result<Arc<Claims>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let trusted = Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let digest: [u8; 32] = digest.as_ref().try_into().map_err(|_| TokenError::Malformed)?;
        if let Some(claims) = self.cache.get(&digest, trusted.generation, now_s) {
            return Ok(claims);
        }
        let claims = self.check(token, &trusted)?;
        // Saturating: an `exp` of i64::MAX is a number like any other.
        if now_s >= claims.exp.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        if now_s < claims.nbf.saturating_sub(LEEWAY_S) {
            return Err(TokenError::NotYetValid);
        }
        let claims = Arc::new(claims);
        // Within the leeway after `exp` every request pays for the signature; it is not worth remembering.
        if now_s < claims.exp {
            self.cache.insert(digest, trusted.generation, Arc::clone(&claims));
        }
        Ok(claims)
    }

    /// Everything but the times.
    fn check(&self, token: &str, trusted: &Trusted) -> Result<Claims, TokenError> {
        let header = token.split('.').next().ok_or(TokenError::Malformed)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
        // `jku`, `jwk` and `x5u` are not even read: a token does not bring its own key.
        let header: TokenHeader = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let kid = header.kid.ok_or(TokenError::Malformed)?;
        let Some(candidates) = trusted.by_kid.get(&kid) else {
            self.missed.notify_one();
            return Err(TokenError::UnknownKey);
        };
        let mut refusal = TokenError::UnknownKey;
        for candidate in candidates {
            if header.alg != candidate.name {
                refusal = TokenError::Algorithm;
                continue;
            }
            match jsonwebtoken::decode::<RawClaims>(token, &candidate.key.key, &candidate.validation) {
                Ok(data) if data.claims.sub.is_empty() => return Err(TokenError::Malformed),
                Ok(data) => return Ok(data.claims.into_claims(&self.audience)),
                Err(error) => refusal = refusal_of(error.kind()),
            }
        }
        Err(refusal)
    }
}

impl RawClaims {
    fn into_claims(self, audience: &str) -> Claims {
        Claims {
            iss: self.iss,
            aud: audience.to_owned(),
            sub: self.sub,
            role: self.role,
            restaurant: self.restaurant,
            regions: self.regions,
            iat: self.iat.unwrap_or(0),
            nbf: self.nbf.unwrap_or(0),
            exp: self.exp,
            jti: self.jti.unwrap_or_default(),
        }
    }
}

impl Trusted {
    fn new(generation: u64, issuers: Vec<TrustedIssuer>, audience: &str) -> Self {
        let mut by_kid: HashMap<String, Vec<IssuedKey>> = HashMap::new();
        for issuer in &issuers {
            for key in &issuer.keys.keys {
                let mut validation = Validation::new(key.algorithm);
                validation.set_issuer(&[&issuer.issuer]);
                validation.set_audience(&[audience]);
                validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
                // Times are checked against the time that was passed in.
                validation.validate_exp = false;
                let name = if key.algorithm == Algorithm::EdDSA {
                    "EdDSA"
                } else if key.algorithm == Algorithm::ES256 {
                    "ES256"
                } else {
                    "RS256"
                };
                by_kid.entry(key.kid.clone()).or_default().push(IssuedKey {
                    key: key.clone(),
                    name,
                    validation,
                });
            }
        }
        Self {
            generation,
            issuers,
            by_kid,
        }
    }
}

fn refusal_of(kind: &ErrorKind) -> TokenError {
    if matches!(kind, ErrorKind::InvalidSignature) {
        TokenError::Signature
    } else if matches!(kind, ErrorKind::InvalidIssuer) {
        TokenError::Issuer
    } else if matches!(kind, ErrorKind::InvalidAudience) {
        TokenError::Audience
    } else if matches!(kind, ErrorKind::InvalidAlgorithm) {
        TokenError::Algorithm
    } else {
        TokenError::Malformed
    }
}
