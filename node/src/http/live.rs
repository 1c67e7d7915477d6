//! `GET /v1/live`: a WebSocket on which a caller hears of their own orders.
//!
//! HELLO, then either what was missed since `?after=` or a SNAPSHOT, then messages as they are committed. The server
//! sends a HEARTBEAT every [`HEARTBEAT`] and drops peers that do not answer its pings; a reader that falls behind gets
//! RESYNC and a new SNAPSHOT. An idle driver is told by HINT where to wait. Nothing that a client sends has a meaning; it is
//! only bounded.

mod session;
mod sockets;

use std::time::Duration;

use axum::extract::{FromRequestParts as _, WebSocketUpgrade};
use axum::response::Response;
use http::StatusCode;
use tomato_shared::id::OrderId;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::{error, origin};
use crate::feed::frame::Encoding;
pub(crate) use session::Control;
use session::Session;
pub use sockets::Sockets;

/// Real time between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(4);
/// Heartbeats without a sign of life after which a peer counts as dead.
pub const SILENT_BEATS: u32 = 3;
/// How long a frame may take to leave.
pub const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Largest frame from a client.
pub const FRAME_MAX: usize = 4 * 1024;
/// Sockets of one principal.
pub const SOCKETS_MAX: usize = 5;

const PROTOCOLS: [(&str, Encoding); 2] = [("json", Encoding::Json), ("msgpack", Encoding::MessagePack)];

/// Upgrades to a WebSocket.
pub async fn open(mut call: Call) -> Result<Response, Problem> {
    origin::check_socket(&call.parts.headers, &call.app.http, &call.app.public_url)?;
    let query = call.query()?;
    let after = query.get("after", "the seq of a message")?;
    query.get::<OrderId>("order", "an order as in ord_...")?;
    let caller = call.caller()?.clone();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await;
    let upgrade = upgrade.map_err(|_| upgrade_required())?;
    let place = call.app.sockets.enter(caller.principal()).ok_or_else(|| {
        error::too_many(
            "too_many_sockets",
            "You have too many live connections; close one first.",
        )
    })?;
    let upgrade = upgrade
        .protocols(PROTOCOLS.map(|(name, _)| name))
        .max_message_size(FRAME_MAX)
        // What clients send is small; by default each socket would hold 128 KiB for it.
        .read_buffer_size(FRAME_MAX)
        .max_frame_size(FRAME_MAX);
    let selected = upgrade.selected_protocol().and_then(|name| name.to_str().ok());
    let encoding = PROTOCOLS.iter().find(|(name, _)| selected == Some(*name));
    let encoding = encoding.map_or(Encoding::Json, |(_, encoding)| *encoding);
    let app = call.app;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _place = place;
        Session::new(app, caller, encoding, socket).run(after).await;
    }))
}

fn upgrade_required() -> Problem {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        "upgrade_required",
        "This path speaks WebSocket only.",
    )
}
