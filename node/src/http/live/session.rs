//! One open socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tomato_shared::id::OrderId;
use tomato_shared::time::UnixMs;

use super::{HEARTBEAT, SEND_WITHIN, SILENT_BEATS};
use crate::dispatch::board::HintView;
use crate::engine::model::By;
use crate::engine::view::OrderView;
use crate::feed::Subscription;
use crate::feed::frame::Encoding;
use crate::feed::mailbox::Item;
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::orders::show;
use crate::store::reads;

/// What the socket says of itself.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Control {
    /// The first message.
    Hello {
        /// Real time between two heartbeats.
        heartbeat_ms: u64,
        /// Region time.
        now: UnixMs,
    },
    /// The socket is alive.
    Heartbeat {},
    /// For a driver with nothing to do: where they had better wait; never binding.
    Hint {
        /// Absent where the one before no longer holds.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<HintView>,
    },
    /// Something was missed: a snapshot follows.
    Resync {},
    /// Every order of the caller that is not over.
    Snapshot {
        /// The newest event that is in it.
        seq: u64,
        /// There are more than fit; older ones are left out.
        truncated: bool,
        orders: Vec<OrderView>,
    },
}

/// Why a socket ends; `None` where the peer has gone.
type End = Option<CloseFrame>;

pub(super) struct Session {
    app: Arc<App>,
    caller: Caller,
    by: By,
    encoding: Encoding,
    socket: WebSocket,
    /// Versions told by the newest snapshot: what waited in the queue meanwhile must not take an order back.
    told: HashMap<OrderId, u32>,
    /// The newest hint that was told.
    hint: Option<HintView>,
    heard_at: Instant,
    /// Start of the second that is being counted, and frames in it.
    window: (Instant, u32),
}

impl Session {
    pub(super) fn new(app: Arc<App>, caller: Caller, encoding: Encoding, socket: WebSocket) -> Self {
        let now = Instant::now();
        Self {
            app,
            by: caller.by,
            caller,
            encoding,
            socket,
            told: HashMap::new(),
            hint: None,
            heard_at: now,
            window: (now, 0),
        }
    }

    /// Talks until one side has had enough.
    pub(super) async fn run(mut self, after: Option<u64>) {
        if let Err(Some(frame)) = self.talk(after).await {
            // The peer may be gone; there is nobody else to tell.
            drop(timeout(SEND_WITHIN, self.socket.send(Message::Close(Some(frame)))).await);
        }
    }

    async fn talk(&mut self, after: Option<u64>) -> Result<std::convert::Infallible, End> {
        let now = self.app.clock.now();
        let heartbeat_ms = u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX);
        self.control(&Control::Hello { heartbeat_ms, now }).await?;
        // Listening begins before the snapshot is read, so that nothing falls between the two.
        let mut subscription = self.app.feed.subscribe(self.by, after);
        if !subscription.resumed() {
            if after.is_some() {
                self.control(&Control::Resync {}).await?;
            }
            self.snapshot().await?;
        }
        let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.app.stop.clone();
        let expiry = sleep(self.token_left());
        tokio::pin!(expiry);
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return Err(closing(close_code::AWAY, "stopping")),
                () = &mut expiry => return Err(closing(close_code::POLICY, "token_expired")),
                _ = beat.tick() => self.beat().await?,
                frame = self.socket.recv() => self.heard(frame)?,
                item = subscription.next() => self.tell(item, &subscription).await?,
            }
        }
    }

    async fn tell(&mut self, item: Item, subscription: &Subscription) -> Result<(), End> {
        match item {
            Item::Message(message) => {
                if self
                    .told
                    .get(&message.order_id())
                    .is_some_and(|told| *told >= message.version())
                {
                    return Ok(());
                }
                self.told.remove(&message.order_id());
                match message.frame(subscription.who(), self.encoding) {
                    Some(frame) => self.send(frame).await,
                    None => Ok(()),
                }
            }
            Item::Location(location) => self.send(location.frame(self.encoding)).await,
            Item::Overflow => {
                self.control(&Control::Resync {}).await?;
                self.snapshot().await
            }
        }
    }

    async fn snapshot(&mut self) -> Result<(), End> {
        let by = self.by;
        let read = self
            .app
            .reads
            .read(move |connection| reads::snapshot(connection, by))
            .await;
        let snapshot = read.map_err(|error| {
            tracing::warn!(%error, "no snapshot for a live socket");
            closing(close_code::AGAIN, "overloaded")
        })?;
        self.told = snapshot
            .orders
            .iter()
            .map(|row| (row.order.id, row.order.version))
            .collect();
        let control = Control::Snapshot {
            seq: snapshot.seq,
            truncated: snapshot.cut,
            orders: snapshot.orders.iter().map(|row| show(row, by)).collect(),
        };
        self.control(&control).await
    }

    async fn beat(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > HEARTBEAT * SILENT_BEATS {
            return Err(closing(close_code::AWAY, "silent"));
        }
        self.control(&Control::Heartbeat {}).await?;
        self.hint().await?;
        self.raw(Message::Ping(Bytes::new())).await
    }

    /// Tells a driver of a new hint. Looked for with the heartbeat: plans come seldom, and nothing hangs on a hint.
    async fn hint(&mut self) -> Result<(), End> {
        let By::Driver(id) = self.by else { return Ok(()) };
        let hint = self.app.board.shown().hints.get(&id).cloned();
        let place = |hint: &Option<HintView>| hint.as_ref().map(|hint| hint.place);
        if place(&hint) != place(&self.hint) {
            self.hint.clone_from(&hint);
            self.control(&Control::Hint { hint }).await?;
        }
        Ok(())
    }

    fn heard(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        match frame {
            None | Some(Ok(Message::Close(_))) => return Err(None),
            // Too large, not UTF-8, not WebSocket: which of them is the peer's own affair.
            Some(Err(_)) => return Err(closing(close_code::PROTOCOL, "bad_frame")),
            Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
        }
        let now = Instant::now();
        self.heard_at = now;
        if now.duration_since(self.window.0) >= Duration::from_secs(1) {
            self.window = (now, 0);
        }
        self.window.1 += 1;
        if self.window.1 > self.app.http.socket_frames_per_s {
            return Err(closing(close_code::POLICY, "too_many_frames"));
        }
        Ok(())
    }

    async fn control(&mut self, control: &Control) -> Result<(), End> {
        self.send(self.encoding.write(control)).await
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        let message = match self.encoding {
            // What serde_json has written is UTF-8.
            Encoding::Json => Message::Text(Utf8Bytes::try_from(frame).unwrap_or_default()),
            Encoding::MessagePack => Message::Binary(frame),
        };
        self.raw(message).await
    }

    async fn raw(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    fn token_left(&self) -> Duration {
        let left = self.caller.expires_s.saturating_sub(self.app.clock.wall_seconds());
        // Far deadlines are a matter of years; the timer wheel wants no more than one.
        Duration::from_secs(u64::try_from(left).unwrap_or(0).min(365 * 86_400))
    }
}

fn closing(code: u16, reason: &'static str) -> End {
    Some(CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    })
}
