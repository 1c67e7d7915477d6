//! `GET /v1/live`: a WebSocket that says what changed, so that a page reads again only what it shows.
//!
//! A browser cannot send a header with a WebSocket, so the token may come as a second subprotocol, `bearer.<token>`. A
//! page that does not answer pings, or does not take what it is sent, is let go; the others are closed when their token
//! expires and when the hub stops.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout};
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::runtime::problem::Problem;

use super::App;
use super::auth::Operator;
use crate::changes::Change;

/// What is selected; the other protocol that a browser offers is the token.
const PROTOCOL: &str = "json";
/// Changes within this span go together: at most four messages a second.
pub(super) const GATHER: Duration = Duration::from_millis(250);
/// Orders named per message and region; if more changed, only their number is told.
pub(super) const NAMED: usize = 50;
/// Largest message that a page may send. It has nothing to say.
const LARGEST: usize = 1_024;
/// Time between two pings.
pub(super) const BEAT: Duration = Duration::from_secs(20);
/// Pings without a sign of life after which a page counts as gone.
pub(super) const SILENT_BEATS: u32 = 3;
/// How long a message may take to leave.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(10);

/// One message.
#[derive(Debug, Default, Serialize)]
struct Told {
    /// True where changes were missed: read everything again.
    resync: bool,
    /// True where alerts changed.
    alerts: bool,
    regions: BTreeMap<RegionId, Moved>,
}

#[derive(Debug, Default, Serialize)]
struct Moved {
    applied_seq: u64,
    /// The first of the orders that changed.
    orders: Vec<OrderId>,
    /// How many changed.
    changed: usize,
}

pub(super) async fn live(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers)
        .ok_or_else(|| Problem::unauthorized("token_missing", "offer the subprotocols json and bearer.<token>"))?;
    let operator = Operator::of(&app, &token)?;
    let upgrade = upgrade.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(LARGEST)
        // By default each socket would hold 128 KiB for what a page has to say.
        .read_buffer_size(LARGEST);
    Ok(upgrade.on_upgrade(move |socket| serve(app, operator, socket)))
}

fn token(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(bearer) = text(AUTHORIZATION).and_then(|header| header.strip_prefix("Bearer ")) {
        return Some(bearer.trim().to_owned());
    }
    let mut offered = text(SEC_WEBSOCKET_PROTOCOL)?.split(',').map(str::trim);
    offered.find_map(|name| name.strip_prefix("bearer.")).map(str::to_owned)
}

/// Why a socket ends; `None` where nobody is there to be told.
type End = Option<CloseFrame>;

async fn serve(app: App, operator: Operator, mut socket: WebSocket) {
    if let Err(Some(frame)) = talk(app, &operator, &mut socket).await {
        // The page may be gone; there is nobody else to tell.
        drop(send(&mut socket, Message::Close(Some(frame))).await);
    }
}

async fn talk(app: App, operator: &Operator, socket: &mut WebSocket) -> Result<std::convert::Infallible, End> {
    let mut changes = app.changes.listen();
    let mut told = Told {
        resync: true,
        ..Told::default()
    };
    let mut news = true;
    let mut gather = interval(GATHER);
    // After a quiet time the ticks that nobody waited for must not come all at once.
    gather.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let mut stop = app.stop.clone();
    let expiry = sleep(operator.token_left());
    tokio::pin!(expiry);
    loop {
        tokio::select! {
            () = stop.stopped() => return Err(closing(close_code::AWAY, "stopping")),
            () = &mut expiry => return Err(closing(close_code::POLICY, "token_expired")),
            change = changes.recv() => match change {
                Ok(change) => {
                    gathered(&mut told, &change, operator);
                    news |= told.alerts || !told.regions.is_empty();
                }
                Err(RecvError::Lagged(_)) => {
                    told.resync = true;
                    news = true;
                }
                Err(RecvError::Closed) => return Err(closing(close_code::AWAY, "stopping")),
            },
            message = socket.recv() => match message {
                // Pings are answered by the library; what else a page says means nothing.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {
                    heard_at = Instant::now();
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
            },
            _ = gather.tick(), if news => {
                let text = serde_json::to_string(&std::mem::take(&mut told)).map_err(|_| None)?;
                send(socket, Message::Text(text.into())).await?;
                news = false;
            }
            _ = beat.tick() => {
                if heard_at.elapsed() > BEAT * SILENT_BEATS {
                    return Err(closing(close_code::AWAY, "silent"));
                }
                send(socket, Message::Ping(Bytes::new())).await?;
            }
        }
    }
}

/// Whoever does not take a message in time holds nothing up but their own socket, and that not for long.
async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(SEND_WITHIN, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

fn closing(code: u16, reason: &'static str) -> End {
    Some(CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    })
}

fn gathered(told: &mut Told, change: &Change, operator: &Operator) {
    told.alerts |= change.alerts;
    for (region, moved) in change.regions.iter().filter(|(region, _)| operator.sees(region)) {
        let entry = told.regions.entry(region.clone()).or_default();
        entry.applied_seq = moved.applied_seq;
        entry.changed += moved.orders.len();
        let room = NAMED.saturating_sub(entry.orders.len());
        entry.orders.extend(moved.orders.iter().take(room));
    }
}
