//! Firebase Cloud Messaging, HTTP v1: a service account's signed claim is exchanged for an access token, which is kept until it is
//! about to end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

use super::ways::{self, Answer, Outcome, Tried};
use super::{Letter, SetupError};
use crate::config::FcmConfig;

/// What the access token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long a claim is good, in seconds; Google allows an hour.
const CLAIM_S: i64 = 3_600;
/// An access token is not used so close to its end, in seconds.
const MARGIN_S: i64 = 300;
/// Where a quota is used up and nothing is said, as Firebase advises.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// The line to Firebase.
#[derive(Debug)]
pub struct Fcm {
    client: reqwest::Client,
    url: String,
    account: Account,
    key: EncodingKey,
    token: Mutex<Option<Token>>,
}

/// A service account, as Firebase gives it; it has more fields than these.
#[derive(Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.project_id)
    }
}

#[derive(Debug)]
struct Token {
    text: String,
    /// Real seconds since 1970.
    ends_s: i64,
}

#[derive(Serialize)]
struct Claim<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
}

impl Fcm {
    /// Reads the service account.
    ///
    /// # Errors
    /// [`SetupError`] where the file or its key cannot be used.
    pub fn new(config: &FcmConfig, timeout: Duration) -> Result<Self, SetupError> {
        let path = &config.service_account_file;
        let account = read(path)?;
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes()).map_err(|error| fault(path, &error))?;
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let base = config.base_url.trim_end_matches('/');
        Ok(Self {
            client,
            url: format!("{base}/v1/projects/{}/messages:send", account.project_id),
            account,
            key,
            token: Mutex::default(),
        })
    }

    /// Sends a message to a device.
    pub async fn send(&self, letter: &Letter<'_>) -> Tried {
        let token = match self.token(letter.wall_s).await {
            Ok(token) => token,
            Err(reason) => return Tried::nothing(format!("no access token: {reason}")),
        };
        let request = self.client.post(&self.url).bearer_auth(&token).json(&written(letter));
        match ways::send(request, letter.trace, letter.wall_s).await {
            Err(reason) => Tried::nothing(reason),
            Ok(answer) => {
                if answer.status == 401 {
                    self.forget(&token).await;
                }
                judged(&answer)
            }
        }
    }

    /// An access token. One call asks for a new one, the others wait for it.
    async fn token(&self, wall_s: i64) -> Result<String, String> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| wall_s < token.ends_s - MARGIN_S) {
            return Ok(token.text.clone());
        }
        let claim = Claim {
            iss: &self.account.client_email,
            scope: SCOPE,
            aud: &self.account.token_uri,
            iat: wall_s,
            exp: wall_s + CLAIM_S,
        };
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claim, &self.key)
            .map_err(|error| error.to_string())?;
        let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let request = self
            .client
            .post(&self.account.token_uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = ways::send(request, None, wall_s).await?;
        let granted: Granted = match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|_| "the answer cannot be read".to_owned())?,
            status => return Err(format!("status {status}")),
        };
        let text = granted.access_token.clone();
        *kept = Some(Token {
            text: granted.access_token,
            ends_s: wall_s + granted.expires_in,
        });
        Ok(text)
    }

    /// A token that was not accepted is not used again.
    async fn forget(&self, text: &str) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.text == text) {
            *kept = None;
        }
    }
}

fn read(path: &Path) -> Result<Account, SetupError> {
    let text = std::fs::read_to_string(path).map_err(|error| fault(path, &error))?;
    serde_json::from_str(&text).map_err(|error| fault(path, &error))
}

fn fault(path: &Path, reason: &dyn std::fmt::Display) -> SetupError {
    SetupError::File {
        path: PathBuf::from(path),
        reason: reason.to_string(),
        setting: "[push.fcm] service_account_file",
    }
}

/// <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages>
fn written(letter: &Letter<'_>) -> serde_json::Value {
    let notice = letter.notice;
    let priority = if letter.urgent { "HIGH" } else { "NORMAL" };
    json!({"message": {
        "token": letter.token,
        "notification": {"title": letter.text.title, "body": letter.text.body},
        "data": {
            "message_id": letter.id.to_string(),
            "type": notice.name.text(),
            "order_id": notice.order_id.to_string(),
            "version": notice.version.to_string(),
            "at": notice.at.to_string(),
            "text_key": letter.text_key,
        },
        "android": {
            "collapse_key": notice.order_id.to_string(),
            "priority": priority,
            "ttl": format!("{}s", letter.lasts_s),
        },
    }})
}

/// <https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode>
fn judged(answer: &Answer) -> Tried {
    let code = answer.text("/error/details/0/errorCode");
    let code = code.or_else(|| answer.text("/error/status")).unwrap_or_default();
    let reason = || format!("{} {code}", answer.status);
    match (answer.status, code.as_str()) {
        (200, _) => answer.tried(Outcome::Delivered),
        // The token is no more, or belongs to another project's app.
        (404, "UNREGISTERED") | (403, "SENDER_ID_MISMATCH") => answer.tried(Outcome::Gone(reason())),
        (429, _) => Tried {
            status: Some(429),
            outcome: Outcome::NotNow(reason(), answer.retry_after.or(Some(QUOTA_PAUSE))),
        },
        // A wrong key or project is put right by people, and then the message is still wanted.
        (401 | 403 | 404 | 408 | 500..=599, _) => answer.not_now(reason()),
        _ => answer.tried(Outcome::Never(reason())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn answers_mean_what_firebase_says() {
        let judge = |status, code: &str, retry_after| {
            judged(&Answer {
                status,
                retry_after,
                body: Bytes::from(json!({"error": {"status": "X", "details": [{"errorCode": code}]}}).to_string()),
            })
            .outcome
        };
        assert!(matches!(judge(404, "UNREGISTERED", None), Outcome::Gone(_)));
        assert!(matches!(judge(403, "SENDER_ID_MISMATCH", None), Outcome::Gone(_)));
        assert!(matches!(judge(404, "", None), Outcome::NotNow(_, None)));
        assert!(matches!(judge(400, "INVALID_ARGUMENT", None), Outcome::Never(_)));
        assert!(matches!(judge(503, "UNAVAILABLE", None), Outcome::NotNow(_, None)));
        assert!(matches!(
            judge(429, "QUOTA_EXCEEDED", None),
            Outcome::NotNow(_, Some(QUOTA_PAUSE))
        ));
        let asked = Some(Duration::from_secs(7));
        assert!(matches!(judge(429, "QUOTA_EXCEEDED", asked), Outcome::NotNow(_, pause) if pause == asked));
    }
}
