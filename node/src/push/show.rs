//! Devices, webhooks and messages as HTTP shows them.

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::id::{MessageId, RestaurantId, WebhookId};
use tomato_shared::time::UnixMs;

use super::model::{Attempt, Channel, Lane, Message, Platform, State, Webhook};

/// A device that shows messages. Its token is not shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeviceView {
    /// As the app calls it.
    pub name: String,
    /// Through whom it is reached.
    pub platform: Platform,
    /// BCP 47, as `en-IN`.
    pub locale: String,
    /// When it was registered last, by real time.
    pub put_at: UnixMs,
}

/// An address that is told of events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookView {
    id: WebhookId,
    /// Whose it is; absent for the operators'.
    #[serde(skip_serializing_if = "Option::is_none")]
    restaurant_id: Option<RestaurantId>,
    url: String,
    /// Which events; empty for all.
    events: Vec<String>,
    description: String,
    /// Whether it is told anything.
    active: bool,
    /// Why the region switched it off itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    off_because: Option<String>,
    /// How many events it was not told of because its queue was full; they can be read at `/v1/events`.
    missed: u64,
    made_at: UnixMs,
}

impl WebhookView {
    /// Shows one.
    pub fn of(webhook: &Webhook, missed: u64) -> Self {
        Self {
            id: webhook.id,
            restaurant_id: webhook.restaurant_id,
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            description: webhook.description.clone(),
            active: webhook.active,
            off_because: webhook.off_because.clone(),
            missed,
            made_at: webhook.made_at,
        }
    }
}

/// An address with its secret, which is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookMade {
    /// What messages are signed with (Standard Webhooks), `whsec_` and base64.
    secret: String,
    #[serde(flatten)]
    webhook: WebhookView,
}

impl WebhookMade {
    /// Shows one.
    pub fn of(webhook: &Webhook, missed: u64) -> Self {
        Self {
            secret: webhook
                .secrets
                .first()
                .map(|secret| secret.text.clone())
                .unwrap_or_default(),
            webhook: WebhookView::of(webhook, missed),
        }
    }
}

/// How many messages will be sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replayed {
    /// At most 10,000 at a time.
    pub messages: u64,
}

/// A message and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MessageView {
    id: MessageId,
    channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    /// Sequence of its event; 0 for a ping.
    seq: u64,
    /// What it tells.
    event: String,
    state: State,
    made_at: UnixMs,
    /// When it is sent next.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<UnixMs>,
    /// Every try since it was made, or sent again by hand.
    attempts: Vec<Attempt>,
}

impl MessageView {
    /// Shows one.
    pub fn of(message: Message) -> Self {
        Self {
            id: message.id,
            channel: message.lane.channel(),
            webhook_id: match message.lane {
                Lane::Webhook(id) => Some(id),
                Lane::Fcm | Lane::Apns | Lane::Log => None,
            },
            seq: message.seq,
            event: message.content.event(),
            state: message.state,
            made_at: message.made_at,
            due_at: (message.state == State::Waiting).then_some(message.due_at),
            attempts: message.attempts,
        }
    }
}
