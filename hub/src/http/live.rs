//! `GET /v1/live`: a WebSocket that says what changed, so that a page reads again only what it shows.
//!
//! A browser cannot send a header with a WebSocket, so the token may come as a second subprotocol, `bearer.<token>`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::runtime::problem::Problem;

use super::App;
use super::auth::Operator;
use crate::changes::Change;

/// What is selected; the other protocol that a browser offers is the token.
const PROTOCOL: &str = "json";
/// Changes within this span go together: at most four messages a second.
const GATHER: Duration = Duration::from_millis(250);
/// Orders named per message and region; if more changed, only their number is told.
const NAMED: usize = 50;
/// Largest message that a page may send. It has nothing to say.
const LARGEST: usize = 1_024;

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
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(LARGEST);
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

async fn serve(app: App, operator: Operator, mut socket: WebSocket) {
    let mut changes = app.changes.listen();
    let mut told = Told {
        resync: true,
        ..Told::default()
    };
    let mut gather = tokio::time::interval(GATHER);
    let mut news = true;
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => {
                    gathered(&mut told, &change, &operator);
                    news |= told.alerts || !told.regions.is_empty();
                }
                Err(RecvError::Lagged(_)) => {
                    told.resync = true;
                    news = true;
                }
                Err(RecvError::Closed) => return,
            },
            message = socket.recv() => match message {
                // Pings are answered by the library; what else a page says means nothing.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = gather.tick(), if news => {
                // A token that has expired meanwhile is found out at the next request of the page.
                let Ok(text) = serde_json::to_string(&std::mem::take(&mut told)) else { return };
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
                news = false;
            }
        }
    }
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
