//! How people and partners are told of what happens.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomato_shared::runtime::config::{Faults, Validate};

use super::Network;
use super::payments::check_url;

/// `[push]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushConfig {
    /// How long one try may take, in real milliseconds. Default 10,000, 100 to 60,000.
    pub timeout_ms: u64,
    /// Tries to reach a device. Default 6, 1 to 20.
    pub tries_max: usize,
    /// Pause before the second try, in milliseconds; each further one is twice as long. Default 10,000, 100 to 600,000.
    pub retry_first_ms: i64,
    /// Failures in a row after which a push service or webhook is left alone for a while. Default 5, 1 to 1,000.
    pub breaker_failures: u32,
    /// For how long, in milliseconds, before one message is tried. Default 30,000, 10 to 3,600,000.
    pub breaker_pause_ms: i64,
    /// How long the log of deliveries and what was given up are kept, in hours. Default 168, 1 to 8,760.
    pub keep_h: i64,
    /// Words in other languages than English, TOML: a table per language. Default none.
    pub texts_file: PathBuf,
    /// Android.
    pub fcm: FcmConfig,
    /// Apple.
    pub apns: ApnsConfig,
    /// Partners.
    pub webhooks: WebhooksConfig,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            tries_max: 6,
            retry_first_ms: 10_000,
            breaker_failures: 5,
            breaker_pause_ms: 30_000,
            keep_h: 168,
            texts_file: PathBuf::new(),
            fcm: FcmConfig::default(),
            apns: ApnsConfig::default(),
            webhooks: WebhooksConfig::default(),
        }
    }
}

/// `[push.fcm]`: Firebase Cloud Messaging, HTTP v1. Without a service account its messages go to the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FcmConfig {
    /// The service account's key file, JSON, as Firebase gives it. Default none.
    pub service_account_file: PathBuf,
    /// Where its API is. Default `https://fcm.googleapis.com`.
    pub base_url: String,
}

impl Default for FcmConfig {
    fn default() -> Self {
        Self {
            service_account_file: PathBuf::new(),
            base_url: "https://fcm.googleapis.com".into(),
        }
    }
}

/// `[push.apns]`: Apple Push Notification service, by token. Without a key its messages go to the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApnsConfig {
    /// The key, `AuthKey_....p8`. Default none.
    pub key_file: PathBuf,
    /// The key's id, 10 characters.
    pub key_id: String,
    /// The team's id, 10 characters.
    pub team_id: String,
    /// Bundle id of each app.
    pub topics: TopicsConfig,
    /// Where its API is. Default `https://api.push.apple.com`.
    pub base_url: String,
    /// A further authority to trust, PEM, where a proxy stands between. Default none.
    pub ca_file: PathBuf,
}

impl Default for ApnsConfig {
    fn default() -> Self {
        Self {
            key_file: PathBuf::new(),
            key_id: String::new(),
            team_id: String::new(),
            topics: TopicsConfig::default(),
            base_url: "https://api.push.apple.com".into(),
            ca_file: PathBuf::new(),
        }
    }
}

/// `[push.apns.topics]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsConfig {
    /// Of the customers' app.
    pub customer: String,
    /// Of the restaurants' app.
    pub restaurant: String,
    /// Of the drivers' app.
    pub driver: String,
}

/// `[push.webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Pauses between tries, in seconds; after the last the message is given up. Default the schedule of Standard Webhooks:
    /// 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400. 1 to 20 of 0 to 604,800.
    pub retry_s: Vec<i64>,
    /// Webhooks of one restaurant, and of the operators. Default 10, 0 to 100.
    pub per_owner_max: u32,
    /// Webhooks of the region. Default 200, 0 to 10,000.
    pub all_max: u32,
    /// Messages that wait for one webhook; further events it has to read at `/v1/events`. Default 10,000, 1 to 1,000,000.
    pub backlog_max: usize,
    /// Networks that webhooks may be in although they are not the public internet, as `["10.0.0.0/8"]`. In development all
    /// may be. Default none.
    pub allow_networks: Vec<Network>,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            retry_s: vec![5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
            per_owner_max: 10,
            all_max: 200,
            backlog_max: 10_000,
            allow_networks: Vec::new(),
        }
    }
}

/// Whether a file is named.
fn given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

impl PushConfig {
    /// Whether Firebase is used.
    pub fn has_fcm(&self) -> bool {
        given(&self.fcm.service_account_file)
    }

    /// Whether Apple is used.
    pub fn has_apns(&self) -> bool {
        given(&self.apns.key_file)
    }
}

impl Validate for PushConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.range("timeout_ms", self.timeout_ms, 100..=60_000);
        faults.range("tries_max", self.tries_max, 1..=20);
        faults.range("retry_first_ms", self.retry_first_ms, 100..=600_000);
        faults.range("breaker_failures", self.breaker_failures, 1..=1_000);
        faults.range("breaker_pause_ms", self.breaker_pause_ms, 10..=3_600_000);
        faults.range("keep_h", self.keep_h, 1..=8_760);
        faults.within("fcm", |faults| check_url(faults, "base_url", &self.fcm.base_url));
        faults.within("apns", |faults| self.apns.validate(faults));
        faults.within("webhooks", |faults| {
            let webhooks = &self.webhooks;
            faults.range("retry_s", webhooks.retry_s.len(), 1..=20);
            for (nth, pause) in webhooks.retry_s.iter().enumerate() {
                faults.range(&format!("retry_s.{nth}"), *pause, 0..=604_800);
            }
            faults.range("per_owner_max", webhooks.per_owner_max, 0..=100);
            faults.range("all_max", webhooks.all_max, 0..=10_000);
            faults.range("backlog_max", webhooks.backlog_max, 1..=1_000_000);
        });
    }
}

impl Validate for ApnsConfig {
    fn validate(&self, faults: &mut Faults) {
        check_url(faults, "base_url", &self.base_url);
        if !given(&self.key_file) {
            return;
        }
        for (name, text) in [
            ("key_id", &self.key_id),
            ("team_id", &self.team_id),
            ("topics.customer", &self.topics.customer),
            ("topics.restaurant", &self.topics.restaurant),
            ("topics.driver", &self.topics.driver),
        ] {
            faults.require(
                !text.is_empty(),
                name,
                "is missing",
                "give it beside key_file, or take key_file out",
            );
        }
    }
}
