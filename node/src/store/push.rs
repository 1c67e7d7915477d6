//! Writes devices, webhooks and messages. Everything here runs inside the writer's transaction.

mod messages;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;
use tomato_shared::id::{MessageId, RestaurantId, WebhookId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::write::{WriteError, json};
use crate::engine::command::Refusal;
use crate::engine::deed::Deed;
use crate::push::model::{
    Attempt, Content, DEVICES_MAX, Device, Lane, NewMessage, SECRET_OVERLAP_H, SigningSecret, Webhook,
};
use crate::push::show::{DeviceView, Replayed, WebhookMade, WebhookView};
pub use messages::sweep;
use messages::{add_message, enqueued, replay, settle};

/// Key in `meta` of the newest event whose messages are written.
pub const NOTIFIED_SEQ: &str = "notified_seq";
/// Messages that are sent again by one request.
pub const REPLAY_MAX: i64 = 10_000;

/// Something to be written about notifications; no decision of the engine.
#[derive(Debug)]
pub enum Errand {
    /// Somebody's device.
    PutDevice(Device),
    /// It is not theirs any more.
    DropDevice {
        /// Whose.
        owner: String,
        /// Which.
        name: String,
    },
    /// A new webhook, with the bounds of how many there may be: of one owner, and in all.
    AddWebhook(Box<Webhook>, [u32; 2]),
    /// Edits one.
    EditWebhook(Scope, WebhookEdit),
    /// Takes one away, with its messages.
    DropWebhook(Scope),
    /// Gives one a new secret.
    RotateSecret(Scope, SigningSecret),
    /// A message to a webhook that says nothing.
    Ping(Scope, Box<NewMessage>),
    /// Sends messages of a webhook once more.
    Replay(Scope, Which),
    /// Messages of the events up to a sequence.
    Enqueue(Enqueue),
    /// What became of tries.
    Settle(Vec<Settled>),
}

/// A webhook, as somebody may touch it.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Which.
    pub id: WebhookId,
    /// Only if it is this restaurant's; `None` for operators, who may touch all.
    pub restaurant_id: Option<RestaurantId>,
}

/// What of a webhook can be edited.
#[derive(Debug)]
pub struct WebhookEdit {
    /// Where messages go.
    pub url: String,
    /// Which events; empty for all.
    pub events: Vec<String>,
    /// For people.
    pub description: String,
    /// Whether it is told anything.
    pub active: bool,
}

/// Messages to send again.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// This one.
    One(MessageId),
    /// All that were made in a span of time, or only those that were given up.
    Made {
        /// From this moment on.
        from: UnixMs,
        /// Until before this moment.
        to: UnixMs,
        /// Whether delivered ones stay as they are.
        dead_only: bool,
    },
}

/// Messages of a stretch of events.
#[derive(Debug)]
pub struct Enqueue {
    /// Everything up to here was looked at.
    pub upto: u64,
    /// Their messages.
    pub messages: Vec<NewMessage>,
    /// Webhooks whose queue is full, and how many events they were not told of.
    pub missed: Vec<(WebhookId, u64)>,
}

/// What became of one try.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Of which message.
    pub nth: i64,
    /// How many tries there had been: a message that was replayed meanwhile is another matter.
    pub tries: usize,
    /// The try; `None` where the time was over before it.
    pub attempt: Option<Attempt>,
    /// What follows.
    pub verdict: Verdict,
}

/// What follows a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(UnixMs),
    /// It is given up.
    Dead,
    /// Nobody is there any more: it is given up, and its device forgotten while it has that token, or its webhook switched off.
    Gone(Gone),
}

/// Who is there no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// A device's token.
    Device {
        /// Whose.
        owner: String,
        /// Which.
        name: String,
        /// What is not its token any more.
        token: String,
    },
    /// A device that was taken away before.
    Before,
    /// A webhook.
    Webhook(WebhookId),
}

/// Why an errand was not run.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// The domain says no; nothing was changed.
    #[error("{0:?}")]
    Refused(Refusal),
    /// A row could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<rusqlite::Error> for ErrandError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<Rejection> for ErrandError {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection.into())
    }
}

/// HTTP status and JSON body.
pub type Answer = (u16, String);

impl Errand {
    /// The act that it is when an operator does it.
    pub fn deed(&self) -> Option<Deed> {
        let (action, id) = match self {
            Self::AddWebhook(webhook, _) => ("webhook.add", webhook.id),
            Self::EditWebhook(scope, _) => ("webhook.edit", scope.id),
            Self::DropWebhook(scope) => ("webhook.drop", scope.id),
            Self::RotateSecret(scope, _) => ("webhook.rotate", scope.id),
            Self::Ping(scope, _) => ("webhook.ping", scope.id),
            Self::Replay(scope, _) => ("webhook.replay", scope.id),
            Self::PutDevice(_) | Self::DropDevice { .. } | Self::Enqueue(_) | Self::Settle(_) => return None,
        };
        Some(Deed {
            action,
            subject: id.to_string(),
            detail: json!({}),
        })
    }

    /// Runs it. `now`: region time.
    pub fn run(&self, connection: &Connection, now: UnixMs) -> Result<Answer, ErrandError> {
        let nothing = || Ok((204, String::new()));
        match self {
            Self::PutDevice(device) => put_device(connection, device),
            Self::DropDevice { owner, name } => {
                let sql = "DELETE FROM devices WHERE owner = ?1 AND name = ?2";
                match connection.prepare_cached(sql)?.execute([owner, name])? {
                    0 => Err(Rejection::NotFound.into()),
                    _ => nothing(),
                }
            }
            Self::AddWebhook(webhook, bounds) => add_webhook(connection, webhook, *bounds),
            Self::EditWebhook(scope, edit) => edit_webhook(connection, *scope, edit),
            Self::DropWebhook(scope) => {
                let (webhook, _) = webhook(connection, *scope)?;
                let lane = Lane::Webhook(webhook.id).to_stored();
                connection
                    .prepare_cached("DELETE FROM messages WHERE lane = ?1")?
                    .execute([lane])?;
                connection
                    .prepare_cached("DELETE FROM webhooks WHERE id = ?1")?
                    .execute([webhook.id.bytes()])?;
                nothing()
            }
            Self::RotateSecret(scope, secret) => rotate(connection, *scope, secret, now),
            Self::Ping(scope, message) => {
                webhook(connection, *scope)?;
                add_message(connection, message, now)?;
                Ok((202, json(&Replayed { messages: 1 })?))
            }
            Self::Replay(scope, which) => replay(connection, *scope, *which, now),
            Self::Enqueue(enqueue) => {
                enqueued(connection, enqueue, now)?;
                nothing()
            }
            Self::Settle(all) => {
                for settled in all {
                    settle(connection, settled, now)?;
                }
                nothing()
            }
        }
    }
}

fn put_device(connection: &Connection, device: &Device) -> Result<Answer, ErrandError> {
    let taken = "DELETE FROM devices WHERE platform = ?1 AND token = ?2";
    connection
        .prepare_cached(taken)?
        .execute([device.platform.name(), &device.token])?;
    let (party, subject) = device.party.to_stored();
    let put = "INSERT INTO devices (owner, name, party, subject, platform, token, locale, put_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (owner, name) DO UPDATE SET party = ?3, subject = ?4, platform = ?5, token = ?6, locale = ?7,
               put_ms = ?8";
    connection.prepare_cached(put)?.execute(params![
        device.owner,
        device.name,
        party,
        subject,
        device.platform.name(),
        device.token,
        device.locale,
        device.put_ms,
    ])?;
    // A telephone that was lost does not take the place of a new one.
    let oldest = "DELETE FROM devices WHERE owner = ?1 AND name IN
                  (SELECT name FROM devices WHERE owner = ?1 ORDER BY put_ms DESC, name <> ?2 LIMIT -1 OFFSET ?3)";
    connection
        .prepare_cached(oldest)?
        .execute(params![device.owner, device.name, DEVICES_MAX])?;
    let view = DeviceView {
        name: device.name.clone(),
        platform: device.platform,
        locale: device.locale.clone(),
        put_at: UnixMs(device.put_ms),
    };
    Ok((200, json(&view)?))
}

fn add_webhook(connection: &Connection, webhook: &Webhook, [of_one, of_all]: [u32; 2]) -> Result<Answer, ErrandError> {
    let sql = "SELECT count(*) FILTER (WHERE restaurant_id IS ?1), count(*) FROM webhooks";
    let owner = webhook.restaurant_id.as_ref().map(|id| id.bytes());
    let (own, all): (u32, u32) = connection
        .prepare_cached(sql)?
        .query_row([owner], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if own >= of_one || all >= of_all {
        return Err(Rejection::LimitReached.into());
    }
    let sql = "INSERT INTO webhooks (id, restaurant_id, active, missed, doc) VALUES (?1, ?2, ?3, 0, ?4)";
    connection
        .prepare_cached(sql)?
        .execute(params![webhook.id.bytes(), owner, webhook.active, json(webhook)?])?;
    Ok((201, json(&WebhookMade::of(webhook, 0))?))
}

fn webhook(connection: &Connection, scope: Scope) -> Result<(Webhook, u64), ErrandError> {
    let sql = "SELECT doc, missed FROM webhooks WHERE id = ?1";
    let found: Option<(String, i64)> = connection
        .prepare_cached(sql)?
        .query_row([scope.id.bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (doc, missed) = found.ok_or(Rejection::NotFound)?;
    let webhook: Webhook = serde_json::from_str(&doc).map_err(|error| WriteError::Encode(error.to_string()))?;
    if scope.restaurant_id.is_some() && scope.restaurant_id != webhook.restaurant_id {
        return Err(Rejection::NotFound.into());
    }
    Ok((webhook, missed.unsigned_abs()))
}

fn save(connection: &Connection, webhook: &Webhook) -> Result<(), ErrandError> {
    let sql = "UPDATE webhooks SET active = ?2, doc = ?3 WHERE id = ?1";
    connection
        .prepare_cached(sql)?
        .execute(params![webhook.id.bytes(), webhook.active, json(webhook)?])?;
    Ok(())
}

fn edit_webhook(connection: &Connection, scope: Scope, edit: &WebhookEdit) -> Result<Answer, ErrandError> {
    let (mut webhook, missed) = webhook(connection, scope)?;
    webhook.url.clone_from(&edit.url);
    webhook.events.clone_from(&edit.events);
    webhook.description.clone_from(&edit.description);
    webhook.active = edit.active;
    if edit.active {
        webhook.off_because = None;
    }
    save(connection, &webhook)?;
    Ok((200, json(&WebhookView::of(&webhook, missed))?))
}

fn rotate(connection: &Connection, scope: Scope, secret: &SigningSecret, now: UnixMs) -> Result<Answer, ErrandError> {
    let (mut webhook, missed) = webhook(connection, scope)?;
    let until = now + DurationMs::from_mins(SECRET_OVERLAP_H * 60);
    // Rotated twice in a row, the middle one still has its day.
    webhook.secrets.retain(|old| old.until.is_none_or(|until| until > now));
    webhook.secrets.truncate(2);
    for old in &mut webhook.secrets {
        old.until = old.until.or(Some(until));
    }
    webhook.secrets.insert(0, secret.clone());
    save(connection, &webhook)?;
    Ok((200, json(&WebhookMade::of(&webhook, missed))?))
}

/// What a message is about, read for tests and views.
pub(super) fn content(text: &str) -> Option<Content> {
    serde_json::from_str(text).ok()
}
