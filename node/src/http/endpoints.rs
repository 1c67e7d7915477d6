//! Where partners' programs are told of events: their webhooks, what was sent to them, and sending it again.

use std::borrow::Cow;

use axum::response::Response;
use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tomato_shared::id::{MessageId, RestaurantId, WebhookId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::input::{Faults, Input, PLAIN, Page};
use super::query::fault;
use super::{cursor, error};
use crate::engine::model::By;
use crate::push::guard::URL_MAX;
use crate::push::model::{Content, EVENT_TYPES, Lane, NewMessage, SigningSecret, State, Webhook};
use crate::push::show::{MessageView, WebhookView};
use crate::push::webhook::{Body, Data, secret_of};
use crate::store::push::{Errand, Scope, WebhookEdit, Which};
use crate::store::reads::push::{self as reads, MessageQuery};

/// One of [`EVENT_TYPES`].
#[derive(Debug)]
pub struct EventType(String);

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if EVENT_TYPES.contains(&text.as_str()) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("want an event as in order.delivered"))
        }
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> Cow<'static, str> {
        "WebhookEvent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": EVENT_TYPES})
    }
}

/// An address that shall be told of events.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// https, on the public internet.
    #[garde(length(chars, min = 8, max = URL_MAX), pattern(PLAIN))]
    url: String,
    /// Which events; none for all.
    #[serde(default)]
    #[garde(length(max = 64))]
    events: Vec<EventType>,
    /// For people.
    #[serde(default)]
    #[garde(length(chars, max = 200), pattern(PLAIN))]
    description: String,
    /// Whether it is told anything.
    #[serde(default = "yes")]
    #[garde(skip)]
    active: bool,
}

const fn yes() -> bool {
    true
}

impl Input for WebhookInput {}

impl WebhookInput {
    fn edit(self, call: &Call) -> Result<WebhookEdit, Problem> {
        if let Err(bad) = call.app.push.guard.check(&self.url) {
            return Err(error::invalid_body().at("/url", bad.to_string()));
        }
        Ok(WebhookEdit {
            url: self.url,
            events: self.events.into_iter().map(|event| event.0).collect(),
            description: self.description,
            active: self.active,
        })
    }
}

/// Whose webhooks the caller may touch: a restaurant's own, or all.
fn owner(call: &Call) -> Result<Option<RestaurantId>, Problem> {
    match call.by()? {
        By::Restaurant(id) => Ok(Some(id)),
        By::Operator(_) => Ok(None),
        By::Customer(_) | By::Driver(_) | By::Provider | By::System => Err(error::forbidden()),
    }
}

fn scope(call: &Call) -> Result<Scope, Problem> {
    Ok(Scope {
        id: call.id("whk")?,
        restaurant_id: owner(call)?,
    })
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|cause| error::internal("no random bytes", &cause))?;
    Ok(bytes)
}

fn fresh_secret() -> Result<SigningSecret, Problem> {
    random().map(secret_of)
}

/// A new webhook. Its secret is shown this once.
pub async fn add(call: Call, input: WebhookInput) -> Result<Response, Problem> {
    let (edit, now) = (input.edit(&call)?, call.app.clock.now());
    let webhook = Webhook {
        id: WebhookId::v7(now, random()?),
        restaurant_id: owner(&call)?,
        url: edit.url,
        events: edit.events,
        description: edit.description,
        active: edit.active,
        off_because: None,
        secrets: vec![fresh_secret()?],
        made_at: now,
    };
    let bounds = [call.app.push.webhooks.per_owner_max, call.app.push.webhooks.all_max];
    let answer = call.errand(Errand::AddWebhook(Box::new(webhook), bounds)).await?;
    call.app.push.bells.webhooks_changed();
    Ok(answer)
}

/// The caller's webhooks, or all of them for an operator, oldest first.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let (query, owner) = (call.query()?, owner(&call)?);
    let (after, limit) = (
        query.cursor(cursor::id::<tomato_shared::id::kind::Webhook>)?,
        query.limit()?,
    );
    let all = call.app.reads.read(reads::webhooks).await.map_err(error::from_read)?;
    let mine = all
        .iter()
        .filter(|(webhook, _)| owner.is_none() || webhook.restaurant_id == owner);
    let mut rows: Vec<_> = mine
        .filter(|(webhook, _)| after.is_none_or(|after| webhook.id > after))
        .take(limit + 1)
        .collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    ok(&Page {
        next_cursor: rows
            .last()
            .filter(|_| more)
            .map(|(webhook, _)| cursor::of_id(&webhook.id)),
        data: rows
            .into_iter()
            .map(|(webhook, missed)| WebhookView::of(webhook, *missed))
            .collect(),
    })
}

/// One webhook.
pub async fn read(call: Call) -> Result<Response, Problem> {
    let scope = scope(&call)?;
    let read = call
        .app
        .reads
        .read(move |connection| reads::webhook(connection, scope))
        .await;
    let (webhook, missed) = read.map_err(error::from_read)?.ok_or_else(error::not_found)?;
    ok(&WebhookView::of(&webhook, missed))
}

/// Writes what can be changed of a webhook. One that the region switched off is told again what waits for it.
pub async fn write(call: Call, input: WebhookInput) -> Result<Response, Problem> {
    let (scope, edit) = (scope(&call)?, input.edit(&call)?);
    let answer = call.errand(Errand::EditWebhook(scope, edit)).await?;
    call.app.push.bells.webhooks_changed();
    Ok(answer)
}

/// Takes a webhook away, with everything that waits for it.
pub async fn remove(call: Call) -> Result<Response, Problem> {
    let scope = scope(&call)?;
    let answer = call.errand(Errand::DropWebhook(scope)).await?;
    call.app.push.bells.ring(Lane::Webhook(scope.id));
    Ok(answer)
}

/// Gives a webhook a new secret; the old one signs beside it for a day.
pub async fn rotate(call: Call) -> Result<Response, Problem> {
    call.errand(Errand::RotateSecret(scope(&call)?, fresh_secret()?)).await
}

/// Sends a message that says nothing, to see whether it arrives.
pub async fn ping(call: Call) -> Result<Response, Problem> {
    let (scope, now) = (scope(&call)?, call.app.clock.now());
    let body = Body {
        kind: "ping",
        timestamp: now,
        data: Data {
            region: &call.app.policy.region,
            seq: 0,
            order_id: None,
            version: None,
            by: None,
            event: None,
        },
    };
    let body = serde_json::to_string(&body).map_err(|cause| error::internal("a ping does not serialise", &cause))?;
    let message = NewMessage {
        id: MessageId::v7(now, random()?),
        lane: Lane::Webhook(scope.id),
        seq: 0,
        ends_at: UnixMs(i64::MAX),
        content: Content::Event {
            event: "ping".to_owned(),
            body,
            trace: call.trace.clone(),
        },
    };
    let answer = call.errand(Errand::Ping(scope, Box::new(message))).await?;
    call.app.push.bells.ring(Lane::Webhook(scope.id));
    Ok(answer)
}

fn state(text: Option<&str>) -> Result<Option<State>, Problem> {
    let read = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
    let want = || fault("state", "want waiting, delivered or dead");
    text.map(|name| read(name).ok_or_else(want)).transpose()
}

/// What was sent to a webhook, newest first, with every try.
pub async fn deliveries(call: Call) -> Result<Response, Problem> {
    let (scope, query) = (scope(&call)?, call.query()?);
    let query = MessageQuery {
        webhook_id: Some(scope.id),
        state: state(query.text("state"))?,
        before: query.cursor(cursor::message)?,
        limit: query.limit()?,
    };
    let read = call.app.reads.read(move |connection| {
        let known = reads::webhook(connection, scope)?.is_some();
        known.then(|| reads::messages(connection, &query)).transpose()
    });
    let page = read.await.map_err(error::from_read)?.ok_or_else(error::not_found)?;
    ok(&shown(page))
}

/// What could not be told to anybody, device or webhook, newest first.
pub async fn dead(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let query = MessageQuery {
        webhook_id: None,
        state: Some(State::Dead),
        before: query.cursor(cursor::message)?,
        limit: query.limit()?,
    };
    let page = call
        .app
        .reads
        .read(move |connection| reads::messages(connection, &query))
        .await;
    ok(&shown(page.map_err(error::from_read)?))
}

fn shown(page: crate::store::reads::Page<crate::push::model::Message, i64>) -> Page<MessageView> {
    Page {
        data: page.rows.into_iter().map(MessageView::of).collect(),
        next_cursor: page.next.map(cursor::of_message),
    }
}

/// Sends one message once more.
pub async fn replay_one(call: Call) -> Result<Response, Problem> {
    let (scope, id) = (scope(&call)?, call.id("msg")?);
    replayed(&call, scope, Which::One(id)).await
}

/// Messages that shall be sent again.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ReplayInput {
    /// Made from this moment on.
    from: UnixMs,
    /// Made before this moment.
    to: UnixMs,
    /// Only what was given up, and not what was delivered.
    #[serde(default = "yes")]
    dead_only: bool,
}

impl Input for ReplayInput {
    fn check(&self, faults: &mut Faults) {
        if self.to <= self.from {
            faults.add("/to", "is not after from");
        }
    }
}

/// Sends the messages of a span of time once more, at most 10,000.
pub async fn replay(call: Call, input: ReplayInput) -> Result<Response, Problem> {
    let which = Which::Made {
        from: input.from,
        to: input.to,
        dead_only: input.dead_only,
    };
    replayed(&call, scope(&call)?, which).await
}

async fn replayed(call: &Call, scope: Scope, which: Which) -> Result<Response, Problem> {
    let answer = call.errand(Errand::Replay(scope, which)).await?;
    call.app.push.bells.ring(Lane::Webhook(scope.id));
    Ok(answer)
}
