//! Apple Push Notification service over HTTP/2, with a provider token (ES256) that is made anew every 40 minutes: Apple wants it
//! between 20 and 60 minutes old.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::model::App;
use super::ways::{self, Answer, Outcome, Tried};
use super::{Letter, SetupError};
use crate::config::{ApnsConfig, TopicsConfig};

/// Age at which a provider token is replaced, and below which Apple does not want another one, in seconds.
const TOKEN_AGE_S: i64 = 40 * 60;
const TOKEN_AGE_LEAST_S: i64 = 20 * 60;
/// How often an idle connection is tried, as Apple advises once an hour or more; a dead one is found before it is needed.
const PING_EVERY: Duration = Duration::from_secs(600);

/// The line to Apple.
#[derive(Debug)]
pub struct Apns {
    client: reqwest::Client,
    base: String,
    topics: TopicsConfig,
    key_id: String,
    team_id: String,
    key: EncodingKey,
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    text: String,
    /// Real seconds since 1970.
    made_s: i64,
}

#[derive(Serialize)]
struct Claim<'a> {
    iss: &'a str,
    iat: i64,
}

impl Apns {
    /// Reads the key.
    ///
    /// # Errors
    /// [`SetupError`] where a file cannot be used.
    pub fn new(config: &ApnsConfig, timeout: Duration) -> Result<Self, SetupError> {
        let path = &config.key_file;
        let text = std::fs::read(path).map_err(|error| fault(path, "[push.apns] key_file", &error))?;
        let key = EncodingKey::from_ec_pem(&text).map_err(|error| fault(path, "[push.apns] key_file", &error))?;
        let mut client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http2_prior_knowledge()
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_while_idle(true);
        if !config.ca_file.as_os_str().is_empty() {
            let path = &config.ca_file;
            let text = std::fs::read(path).map_err(|error| fault(path, "[push.apns] ca_file", &error))?;
            let authority =
                reqwest::Certificate::from_pem(&text).map_err(|error| fault(path, "[push.apns] ca_file", &error))?;
            client = client.add_root_certificate(authority);
        }
        Ok(Self {
            client: client.build()?,
            base: config.base_url.trim_end_matches('/').to_owned(),
            topics: config.topics.clone(),
            key_id: config.key_id.clone(),
            team_id: config.team_id.clone(),
            key,
            token: Mutex::default(),
        })
    }

    /// Sends a message to a device.
    pub async fn send(&self, letter: &Letter<'_>) -> Tried {
        let token = match self.token(letter.wall_s).await {
            Ok(token) => token,
            Err(reason) => return Tried::nothing(format!("no provider token: {reason}")),
        };
        let topic = match letter.notice.app {
            App::Customer => &self.topics.customer,
            App::Restaurant => &self.topics.restaurant,
            App::Driver => &self.topics.driver,
        };
        let request = self
            .client
            .post(format!("{}/3/device/{}", self.base, letter.token))
            .bearer_auth(&token)
            .header("apns-topic", topic)
            .header("apns-push-type", "alert")
            .header("apns-id", uuid::Uuid::from_bytes(*letter.id.bytes()).to_string())
            .header("apns-collapse-id", letter.notice.order_id.to_string())
            .header("apns-expiration", letter.wall_s.saturating_add(letter.lasts_s))
            .header("apns-priority", if letter.urgent { 10 } else { 5 })
            .json(&written(letter));
        match ways::send(request, letter.trace, letter.wall_s).await {
            Err(reason) => Tried::nothing(reason),
            Ok(answer) => {
                if answer.status == 403 && answer.text("/reason").as_deref() == Some("ExpiredProviderToken") {
                    self.expire(&token, letter.wall_s).await;
                }
                judged(&answer, letter.put_ms)
            }
        }
    }

    async fn token(&self, wall_s: i64) -> Result<String, String> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| wall_s - token.made_s < TOKEN_AGE_S) {
            return Ok(token.text.clone());
        }
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(self.key_id.clone());
        let claim = Claim {
            iss: &self.team_id,
            iat: wall_s,
        };
        let text = jsonwebtoken::encode(&header, &claim, &self.key).map_err(|error| error.to_string())?;
        *kept = Some(Token {
            text: text.clone(),
            made_s: wall_s,
        });
        Ok(text)
    }

    /// A token that Apple finds too old is replaced, though not more often than Apple wants.
    async fn expire(&self, text: &str, wall_s: i64) {
        let mut kept = self.token.lock().await;
        if kept
            .as_ref()
            .is_some_and(|token| token.text == text && wall_s - token.made_s >= TOKEN_AGE_LEAST_S)
        {
            *kept = None;
        }
    }
}

fn fault(path: &Path, setting: &'static str, reason: &dyn std::fmt::Display) -> SetupError {
    SetupError::File {
        path: PathBuf::from(path),
        reason: reason.to_string(),
        setting,
    }
}

fn written(letter: &Letter<'_>) -> serde_json::Value {
    let notice = letter.notice;
    let mut aps = json!({
        "alert": {"title": letter.text.title, "body": letter.text.body},
        "thread-id": notice.order_id.to_string(),
        // So that an app may put its own words in place of these.
        "mutable-content": 1,
    });
    if letter.urgent {
        aps["sound"] = "default".into();
        aps["interruption-level"] = "time-sensitive".into();
    }
    json!({
        "aps": aps,
        "message_id": letter.id,
        "type": notice.name,
        "order_id": notice.order_id,
        "version": notice.version,
        "at": notice.at,
        "text_key": letter.text_key,
    })
}

/// <https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns>; `put_ms`: when the
/// device was registered, by real time.
fn judged(answer: &Answer, put_ms: i64) -> Tried {
    let reason = answer.text("/reason").unwrap_or_default();
    let said = || format!("{} {reason}", answer.status);
    match (answer.status, reason.as_str()) {
        (200, _) => answer.tried(Outcome::Delivered),
        (410, _) => {
            // Since when the token is not good; a device that was registered later has it anew.
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let since_ms = body["timestamp"].as_i64();
            if since_ms.is_some_and(|since_ms| since_ms < put_ms) {
                answer.tried(Outcome::Never(said()))
            } else {
                answer.tried(Outcome::Gone(said()))
            }
        }
        (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => answer.tried(Outcome::Gone(said())),
        // A wrong key or topic is put right by people, and then the message is still wanted.
        (403 | 408 | 429 | 500..=599, _) => answer.not_now(said()),
        _ => answer.tried(Outcome::Never(said())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn answers_mean_what_apple_says() {
        let judge = |status, body: serde_json::Value| {
            let answer = Answer {
                status,
                retry_after: None,
                body: Bytes::from(body.to_string()),
            };
            judged(&answer, 1_000).outcome
        };
        let gone = |timestamp: i64| json!({"reason": "Unregistered", "timestamp": timestamp});
        assert!(matches!(judge(410, gone(1_001)), Outcome::Gone(_)));
        assert!(
            matches!(judge(410, gone(999)), Outcome::Never(_)),
            "it was registered again since"
        );
        assert!(matches!(
            judge(400, json!({"reason": "BadDeviceToken"})),
            Outcome::Gone(_)
        ));
        assert!(matches!(
            judge(400, json!({"reason": "PayloadEmpty"})),
            Outcome::Never(_)
        ));
        assert!(matches!(
            judge(403, json!({"reason": "ExpiredProviderToken"})),
            Outcome::NotNow(..)
        ));
        for status in [429, 500, 503] {
            assert!(matches!(judge(status, json!({})), Outcome::NotNow(..)), "{status}");
        }
        assert_eq!(judge(200, json!({})), Outcome::Delivered);
    }
}
