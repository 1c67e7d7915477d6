//! Messages to partners' programs, signed as in Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, and
//! `webhook-signature` with HMAC-SHA256 over `id.timestamp.body`, one per secret that is good at the time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use tomato_shared::cell::RegionId;
use tomato_shared::event::Actor;
use tomato_shared::id::{MessageId, OrderId};
use tomato_shared::time::UnixMs;

use super::guard::Guard;
use super::model::{SigningSecret, Webhook};
use super::ways::{self, Outcome, Tried};

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// What a partner's program is told.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "WebhookMessage")]
pub struct Body<'a> {
    /// `order.delivered`, or `ping`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// When it happened, in region time.
    pub timestamp: UnixMs,
    /// What happened.
    pub data: Data<'a>,
}

/// What happened.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "WebhookData")]
pub struct Data<'a> {
    /// Where.
    pub region: &'a RegionId,
    /// Rises from event to event of the region; 0 in a ping.
    pub seq: u64,
    /// To which order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The order's version after it: messages may come in another order than they happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Whose doing it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// What the event says; see the event of that type in /asyncapi.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub event: Option<Box<RawValue>>,
}

/// A new secret of 32 random bytes.
pub fn secret_of(random: [u8; 32]) -> SigningSecret {
    SigningSecret {
        text: format!("{PREFIX}{}", STANDARD.encode(random)),
        until: None,
    }
}

/// The signatures of a message, with a space between them. `at_s`: real seconds since 1970; `now`: region time.
pub fn signatures(secrets: &[SigningSecret], now: UnixMs, (id, at_s): (&str, i64), body: &str) -> String {
    let good = secrets
        .iter()
        .filter(|secret| secret.until.is_none_or(|until| until > now));
    let signed = good.filter_map(|secret| {
        let key = STANDARD.decode(secret.text.strip_prefix(PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{at_s}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

/// Calls partners.
#[derive(Debug, Clone)]
pub struct Caller {
    client: reqwest::Client,
    guard: Guard,
}

/// One message on its way.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The same at every try.
    pub id: MessageId,
    /// JSON.
    pub body: &'a str,
    /// W3C trace context.
    pub trace: Option<&'a str>,
    /// Region time.
    pub now: UnixMs,
    /// Real seconds since 1970.
    pub wall_s: i64,
}

impl Caller {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            // What is signed for one address is not for another, and that might be a neighbour's.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(2)
            .user_agent(concat!("tomato/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(std::sync::Arc::new(guard.clone()))
            .build()?;
        Ok(Self { client, guard })
    }

    /// Sends a message.
    pub async fn send(&self, webhook: &Webhook, message: &Outgoing<'_>) -> Tried {
        let url = match self.guard.check(&webhook.url) {
            Ok(url) => url,
            Err(bad) => return Tried::nothing(format!("the address {bad}")),
        };
        let id = message.id.to_string();
        let signatures = signatures(&webhook.secrets, message.now, (&id, message.wall_s), message.body);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", message.wall_s)
            .header("webhook-signature", signatures)
            .body(message.body.to_owned());
        match ways::send(request, message.trace, message.wall_s).await {
            Err(reason) => Tried::nothing(reason),
            Ok(answer) => match answer.status {
                200..=299 => answer.tried(Outcome::Delivered),
                410 => answer.tried(Outcome::Gone("it answered 410".to_owned())),
                status => answer.not_now(format!("it answered {status}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_signed_as_the_standard_says() {
        // The example of the Standard Webhooks specification's own libraries.
        let secret = |text: &str, until| SigningSecret {
            text: text.to_owned(),
            until,
        };
        let known = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None);
        let sign = |secrets: &[SigningSecret], now| {
            signatures(
                secrets,
                now,
                ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330),
                r#"{"test": 2432232314}"#,
            )
        };
        let want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(std::slice::from_ref(&known), UnixMs(0)), want);
        let old = secret("whsec_c2VjcmV0", Some(UnixMs(100)));
        let both = [known, old];
        assert_eq!(sign(&both, UnixMs(99)).split(' ').count(), 2);
        assert_eq!(sign(&both, UnixMs(100)), want, "the old one's day is over");
        assert_eq!(secret_of([7; 32]).text.len(), PREFIX.len() + 44);
    }
}
