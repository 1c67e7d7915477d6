//! What is kept of devices, webhooks and messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::id::{DriverId, MessageId, OrderId, RestaurantId, UserId, WebhookId};
use tomato_shared::time::UnixMs;

use crate::engine::model::By;
use crate::feed::audience::Name;

/// Devices of one person; the one that was registered longest ago makes room for a further one.
pub const DEVICES_MAX: i64 = 10;
/// Characters of a device's name, as the app gives it.
pub const DEVICE_NAME_MAX: usize = 64;
/// Characters of a push service's token.
pub const TOKEN_MAX: usize = 4_096;
/// How long a webhook's old secret signs beside the new one.
pub const SECRET_OVERLAP_H: i64 = 24;

/// Events that webhooks are told of, besides `ping`.
pub const EVENT_TYPES: &[&str] = &[
    "order.created",
    "order.confirmed",
    "payment.failed",
    "payment.action_required",
    "payment.refunded",
    "restaurant.assigned",
    "restaurant.declined",
    "order.preparing",
    "order.ready",
    "driver.offered",
    "driver.offer.ended",
    "driver.assigned",
    "driver.arrived",
    "driver.cancelled",
    "driver.unassigned",
    "order.picked_up",
    "order.delivered",
    "order.cancelled",
    "order.scheduled",
    "order.overdue",
    "order.delayed",
    "order.change.proposed",
    "order.changed",
    "order.change.ended",
    "order.rating.requested",
    "order.rated",
    "order.tipped",
    "order.tip.failed",
    "payment.refund.failed",
    "delivery.returned",
];

/// Through whom a device is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Firebase Cloud Messaging.
    Fcm,
    /// Apple Push Notification service.
    Apns,
}

impl Platform {
    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Apns => "apns",
        }
    }
}

/// Whose messages a device shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// A customer's.
    Customer(UserId),
    /// A restaurant's.
    Restaurant(RestaurantId),
    /// A driver's.
    Driver(DriverId),
}

impl Party {
    /// `None` for those who have no devices.
    pub const fn of(by: By) -> Option<Self> {
        match by {
            By::Customer(id) => Some(Self::Customer(id)),
            By::Restaurant(id) => Some(Self::Restaurant(id)),
            By::Driver(id) => Some(Self::Driver(id)),
            By::Operator(_) | By::Provider | By::System => None,
        }
    }

    /// Number of the kind and bytes of the id, as stored. Numbers are never reused.
    pub const fn to_stored(self) -> (i64, [u8; 16]) {
        match self {
            Self::Customer(id) => (1, *id.bytes()),
            Self::Restaurant(id) => (2, *id.bytes()),
            Self::Driver(id) => (3, *id.bytes()),
        }
    }

    /// The app that shows it.
    pub const fn app(self) -> App {
        match self {
            Self::Customer(_) => App::Customer,
            Self::Restaurant(_) => App::Restaurant,
            Self::Driver(_) => App::Driver,
        }
    }
}

/// The three apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum App {
    /// The customers'.
    Customer,
    /// The restaurants'.
    Restaurant,
    /// The drivers'.
    Driver,
}

/// A device that shows messages.
#[derive(Debug, Clone)]
pub struct Device {
    /// Role and subject of the token that registered it.
    pub owner: String,
    /// As the app calls it; the owner has one of the name.
    pub name: String,
    /// Whose messages it shows.
    pub party: Party,
    /// Through whom.
    pub platform: Platform,
    /// The service's token of the app on it.
    pub token: String,
    /// BCP 47, as `en-IN`.
    pub locale: String,
    /// When it was registered last, by real time.
    pub put_ms: i64,
}

/// A partner's address that is told of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is; `None` for the operators'.
    pub restaurant_id: Option<RestaurantId>,
    /// Where messages go.
    pub url: String,
    /// Which of [`EVENT_TYPES`]; empty for all.
    pub events: Vec<String>,
    /// For people.
    pub description: String,
    /// Whether it is told anything.
    pub active: bool,
    /// Why the region switched it off itself.
    pub off_because: Option<String>,
    /// What messages are signed with, newest first.
    pub secrets: Vec<SigningSecret>,
    /// When it was made.
    pub made_at: UnixMs,
}

impl Webhook {
    /// Who hears what it is told.
    pub fn viewer(&self) -> By {
        match self.restaurant_id {
            Some(id) => By::Restaurant(id),
            // Operators all hear the same.
            None => By::Operator(UserId::from_bytes([0; 16])),
        }
    }

    /// Whether it wants to hear of such events.
    pub fn wants(&self, event: &str) -> bool {
        self.active && (self.events.is_empty() || self.events.iter().any(|name| name == event))
    }
}

/// A secret, as `whsec_` and base64.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningSecret {
    /// The secret.
    pub text: String,
    /// Until when it signs; `None` for the present one.
    pub until: Option<UnixMs>,
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningSecret(.., until {:?})", self.until)
    }
}

/// What messages wait in: each is worked off by itself, whatever becomes of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// To Firebase.
    Fcm,
    /// To Apple.
    Apns,
    /// To the log, where a push service is not set up.
    Log,
    /// To one webhook.
    Webhook(WebhookId),
}

impl Lane {
    /// As it is stored. Numbers are never reused.
    pub fn to_stored(self) -> Vec<u8> {
        match self {
            Self::Fcm => vec![1],
            Self::Apns => vec![2],
            Self::Log => vec![3],
            Self::Webhook(id) => id.bytes().to_vec(),
        }
    }

    /// Reads what [`Lane::to_stored`] wrote.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [1] => Some(Self::Fcm),
            [2] => Some(Self::Apns),
            [3] => Some(Self::Log),
            _ => Some(Self::Webhook(WebhookId::from_bytes(bytes.try_into().ok()?))),
        }
    }

    /// What it is called.
    pub const fn channel(self) -> Channel {
        match self {
            Self::Fcm => Channel::Fcm,
            Self::Apns => Channel::Apns,
            Self::Log => Channel::Log,
            Self::Webhook(_) => Channel::Webhook,
        }
    }
}

/// The ways out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Firebase Cloud Messaging.
    Fcm,
    /// Apple Push Notification service.
    Apns,
    /// The log.
    Log,
    /// A webhook.
    Webhook,
}

impl Channel {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Fcm, Self::Apns, Self::Log, Self::Webhook];

    /// As labels have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Apns => "apns",
            Self::Log => "log",
            Self::Webhook => "webhook",
        }
    }
}

/// How it stands with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It will be sent, or sent again.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was given up.
    Dead,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// As it is stored. Numbers are never reused.
    pub const fn to_stored(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Delivered => 2,
            Self::Dead => 3,
        }
    }

    /// As queries have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Something for a person to read.
    Notice(Notice),
    /// Something for a partner's program: the bytes that are signed and sent.
    Event {
        /// `order.delivered`
        event: String,
        /// JSON.
        body: String,
        /// W3C trace context.
        trace: Option<String>,
    },
}

impl Content {
    /// What it is about, for the log of deliveries.
    pub fn event(&self) -> String {
        match self {
            Self::Notice(notice) => notice.name.text(),
            Self::Event { event, .. } => event.clone(),
        }
    }

    /// W3C trace context of what caused it.
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Notice(Notice { trace, .. }) | Self::Event { trace, .. } => trace.as_deref(),
        }
    }
}

/// Something for a person to read on a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    /// Whose device.
    pub owner: String,
    /// Which of theirs.
    pub device: String,
    /// In which app.
    pub app: App,
    /// What happened.
    pub name: Name,
    /// To which order.
    pub order_id: OrderId,
    /// The order's version after it.
    pub version: u32,
    /// When.
    pub at: UnixMs,
    /// W3C trace context.
    pub trace: Option<String>,
}

/// One try to deliver a message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// When.
    pub at: UnixMs,
    /// How long it took, in real milliseconds.
    pub took_ms: u64,
    /// HTTP status of the answer; absent where none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A message as it is first written.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The same for the same event and receiver.
    pub id: MessageId,
    /// Where it waits.
    pub lane: Lane,
    /// Sequence of its event; 0 for a ping.
    pub seq: u64,
    /// When it is worth nothing any more.
    pub ends_at: UnixMs,
    /// What it says.
    pub content: Content,
}

/// A message as it is stored.
#[derive(Debug, Clone)]
pub struct Message {
    /// Order in which messages were made.
    pub nth: i64,
    /// The same for the same event and receiver.
    pub id: MessageId,
    /// Where it waits.
    pub lane: Lane,
    /// Sequence of its event; 0 for a ping.
    pub seq: u64,
    /// How it stands.
    pub state: State,
    /// When it was made.
    pub made_at: UnixMs,
    /// When it is sent next, while it waits.
    pub due_at: UnixMs,
    /// When it is worth nothing any more.
    pub ends_at: UnixMs,
    /// What it says.
    pub content: Content,
    /// Every try so far.
    pub attempts: Vec<Attempt>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_webhooks_are_told_of_exist() {
        let told = crate::http::asyncapi::text();
        for name in EVENT_TYPES {
            assert!(told.contains(&format!("\"{name}\"")), "{name} is no event");
        }
    }

    #[test]
    fn lanes_come_back_as_they_were() {
        let webhook = Lane::Webhook(WebhookId::from_bytes([3; 16]));
        for lane in [Lane::Fcm, Lane::Apns, Lane::Log, webhook] {
            assert_eq!(Lane::from_stored(&lane.to_stored()), Some(lane));
        }
        assert_eq!(Lane::from_stored(&[9]), None);
        for (nth, channel) in Channel::ALL.into_iter().enumerate() {
            assert_eq!(channel as usize, nth, "metrics count by it");
        }
    }
}
