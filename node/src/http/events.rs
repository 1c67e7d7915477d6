//! `GET /v1/events`: what the live socket tells, for partners who cannot hold one and ask from time to time.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use tomato_shared::event::Actor;
use tomato_shared::id::OrderId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::error;
use super::orders::event_data;
use crate::feed::audience::Name;
use crate::store::reads::{self, News};

/// Something that happened to one of the caller's orders.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NewsView {
    /// Rises from event to event of the region.
    seq: u64,
    /// As on the live socket, `ORDER_CREATED`.
    #[serde(rename = "type")]
    name: Name,
    order_id: OrderId,
    /// The order's version after it.
    version: u32,
    /// When.
    at: UnixMs,
    /// Whose doing it was.
    by: Actor,
    /// `order.created`
    event: &'static str,
    /// What the event says; see the event of that type in /asyncapi.json.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    data: Box<RawValue>,
}

/// A stretch of events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NewsPage {
    /// Oldest first. May be empty though there is more: other people's events were looked through.
    data: Vec<NewsView>,
    /// To be sent as `?after=` next time.
    next_after: u64,
    /// Whether there is more to look through at once.
    more: bool,
    /// Events after `?after=` are not kept any more: read the orders anew.
    missed: bool,
}

/// What happened to the caller's orders after a sequence.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let after = query.get("after", "the next_after of a page")?.unwrap_or(0);
    let after = u64::min(after, i64::MAX.unsigned_abs());
    let (by, limit) = (call.by()?, query.limit()?);
    let read = call
        .app
        .reads
        .read(move |connection| reads::news(connection, by, after, limit))
        .await;
    let stretch = read.map_err(error::from_read)?;
    let data = stretch.news.into_iter().filter_map(|news| show(news).transpose());
    ok(&NewsPage {
        data: data.collect::<Result<_, _>>()?,
        next_after: stretch.upto,
        more: stretch.upto < stretch.head,
        missed: stretch.missed,
    })
}

fn show(News { name, envelope }: News) -> Result<Option<NewsView>, Problem> {
    let Some(about) = envelope.order else { return Ok(None) };
    Ok(Some(NewsView {
        seq: envelope.seq,
        name,
        order_id: about.id,
        version: about.version,
        at: envelope.at,
        by: envelope.by,
        event: envelope.event.name(),
        data: event_data(&envelope.event)?,
    }))
}
