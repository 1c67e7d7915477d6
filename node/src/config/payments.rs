//! Who moves the money, and with which keys.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomato_shared::runtime::config::{Faults, Validate};

/// Who moves the money of card payments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Nobody: behaves by the card's token. For development.
    #[default]
    Simulated,
    /// Stripe, by `PaymentIntents`.
    Stripe,
    /// Razorpay, by orders and its checkout.
    Razorpay,
}

/// `[payments]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentsConfig {
    /// `simulated`, `stripe` or `razorpay`. Default `simulated`.
    pub provider: ProviderKind,
    /// How long the simulated provider takes, in milliseconds. Default 500, 0 to 60,000.
    pub simulated_delay_ms: i64,
    /// How long one call may take, in real milliseconds. Default 20,000, 100 to 80,000.
    pub timeout_ms: u64,
    /// Calls in a row without an answer after which the provider counts as unreachable. Default 5, 1 to 1,000.
    pub breaker_failures: u32,
    /// How long it is then left alone before it is tried again, in milliseconds. Default 10,000, 100 to 600,000.
    pub breaker_pause_ms: i64,
    /// What one customer may order by card while the provider is unreachable, to be charged later, in minor units. Default 0:
    /// cash only. 0 to 10,000,000.
    pub deferred_max_minor: i64,
    /// How long a customer whose card was declined may pay with another one, in milliseconds; their stock is held so long.
    /// Default 120,000, 0 (not at all) to 3,600,000.
    pub another_card_ms: i64,
    /// Stripe's side.
    pub stripe: StripeConfig,
    /// Razorpay's side.
    pub razorpay: RazorpayConfig,
}

impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Simulated,
            simulated_delay_ms: 500,
            timeout_ms: 20_000,
            breaker_failures: 5,
            breaker_pause_ms: 10_000,
            deferred_max_minor: 0,
            another_card_ms: 120_000,
            stripe: StripeConfig::default(),
            razorpay: RazorpayConfig::default(),
        }
    }
}

/// `[payments.stripe]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StripeConfig {
    /// Where its API is. Default `https://api.stripe.com`.
    pub base_url: String,
    /// The secret key, `sk_...` or a restricted `rk_...`. From the environment; else from `secret_key_file`.
    pub secret_key: Secret,
    /// File of the secret key.
    pub secret_key_file: PathBuf,
    /// What webhooks are signed with, `whsec_...`. From the environment; else from `webhook_secret_file`.
    pub webhook_secret: Secret,
    /// File of it; several lines while it is changed.
    pub webhook_secret_file: PathBuf,
    /// Where a bank sends the customer back to after 3-D Secure. Required.
    pub return_url: String,
}

impl Default for StripeConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.stripe.com".into(),
            secret_key: Secret::default(),
            secret_key_file: PathBuf::new(),
            webhook_secret: Secret::default(),
            webhook_secret_file: PathBuf::new(),
            return_url: String::new(),
        }
    }
}

/// `[payments.razorpay]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RazorpayConfig {
    /// Where its API is. Default `https://api.razorpay.com`.
    pub base_url: String,
    /// The public half of the key, `rzp_live_...`. Required.
    pub key_id: String,
    /// The secret half. From the environment; else from `key_secret_file`.
    pub key_secret: Secret,
    /// File of it.
    pub key_secret_file: PathBuf,
    /// What webhooks are signed with. From the environment; else from `webhook_secret_file`.
    pub webhook_secret: Secret,
    /// File of it; several lines while it is changed.
    pub webhook_secret_file: PathBuf,
}

impl Default for RazorpayConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.razorpay.com".into(),
            key_id: String::new(),
            key_secret: Secret::default(),
            key_secret_file: PathBuf::new(),
            webhook_secret: Secret::default(),
            webhook_secret_file: PathBuf::new(),
        }
    }
}

/// Text that no log and no error shows.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// A secret that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the secret in {} cannot be read: {reason}; name a file that holds it", path.display())]
pub struct SecretError {
    /// Where it should be.
    pub path: PathBuf,
    /// The system's reason.
    pub reason: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret that is known.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent or to sign with.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Itself where it was given, else what the file holds: one secret per line.
    ///
    /// # Errors
    /// [`SecretError`] where neither is there.
    pub fn or_file(&self, path: &Path) -> Result<Vec<Self>, SecretError> {
        if !self.0.is_empty() {
            return Ok(vec![self.clone()]);
        }
        let fault = |reason: String| SecretError {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<Self> = lines.map(Self::new).collect();
        if secrets.is_empty() {
            return Err(fault("it is empty".into()));
        }
        Ok(secrets)
    }
}

impl Validate for PaymentsConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.range("simulated_delay_ms", self.simulated_delay_ms, 0..=60_000);
        faults.range("timeout_ms", self.timeout_ms, 100..=80_000);
        faults.range("breaker_failures", self.breaker_failures, 1..=1_000);
        faults.range("breaker_pause_ms", self.breaker_pause_ms, 100..=600_000);
        faults.range("deferred_max_minor", self.deferred_max_minor, 0..=10_000_000);
        faults.range("another_card_ms", self.another_card_ms, 0..=3_600_000);
        match self.provider {
            ProviderKind::Simulated => {}
            ProviderKind::Stripe => faults.within("stripe", |faults| self.stripe.validate(faults)),
            ProviderKind::Razorpay => faults.within("razorpay", |faults| self.razorpay.validate(faults)),
        }
    }
}

impl Validate for StripeConfig {
    fn validate(&self, faults: &mut Faults) {
        check_url(faults, "base_url", &self.base_url);
        check_url(faults, "return_url", &self.return_url);
        check_secret(faults, "secret_key", &self.secret_key, &self.secret_key_file);
        check_secret(
            faults,
            "webhook_secret",
            &self.webhook_secret,
            &self.webhook_secret_file,
        );
    }
}

impl Validate for RazorpayConfig {
    fn validate(&self, faults: &mut Faults) {
        check_url(faults, "base_url", &self.base_url);
        faults.require(
            !self.key_id.is_empty(),
            "key_id",
            "is missing",
            "give the public half of the key",
        );
        check_secret(faults, "key_secret", &self.key_secret, &self.key_secret_file);
        check_secret(
            faults,
            "webhook_secret",
            &self.webhook_secret,
            &self.webhook_secret_file,
        );
    }
}

/// Money goes over TLS; without it only to this machine, for tests.
pub(super) fn check_url(faults: &mut Faults, name: &str, url: &str) {
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    let fits = url.starts_with("https://") || local.iter().any(|start| url.starts_with(start));
    faults.require(
        fits,
        name,
        "is not an https address",
        "give one that begins with https://",
    );
}

fn check_secret(faults: &mut Faults, name: &str, given: &Secret, file: &Path) {
    let there = !given.0.is_empty() || !file.as_os_str().is_empty();
    faults.require(there, name, "is missing", format_args!("name a file by {name}_file"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_may_be_several_while_it_is_changed() {
        let secret = Secret::new("sk_live_canary");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("whsec");
        std::fs::write(&file, "whsec_old\n\n whsec_new \n").unwrap();
        let both = Secret::default().or_file(&file).unwrap();
        assert_eq!(both, [Secret::new("whsec_old"), Secret::new("whsec_new")]);
        assert_eq!(secret.or_file(&file).unwrap(), [secret]);
        assert!(Secret::default().or_file(Path::new("/nowhere")).is_err());
    }
}
