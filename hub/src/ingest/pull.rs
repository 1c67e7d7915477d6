//! Reads the hub's stream in batches and hands them to the applier; acknowledges nothing itself.
//!
//! A session ends at any sign of trouble (error, reconnect, recreated stream) and the next begins with a new consumer
//! a little before the stored position: reading twice is cheap, the cursors skip what is known.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject::{
    self, HEADER_FOLLOWS, HEADER_STREAM_SOURCE, HEADER_TRACE, HUB_CONSUMER, HUB_STREAM, Origin,
};

use super::apply::{Arrival, Batch};
use crate::store::events::{self, Position};
use crate::store::{Pool, StoreFault};

/// Most messages in one transaction: as many as wait, so a region that is up to date has small ones, and a hub that
/// catches up writes the row of an order once for most of its events.
const BATCH: usize = 10_000;
/// Messages in front of the stored position that are read again at start. After the server has lost its tail and
/// sourced it anew, regions are interleaved differently than before.
const MARGIN: u64 = 10_000;
/// Between two sessions.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a session looks whether the connection is still the one it began with.
const LOOK: Duration = Duration::from_millis(500);

/// A batch, and its last message to acknowledge once it is durable.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) batch: Batch,
    /// W3C trace contexts of events that bear one.
    pub(crate) traces: Vec<(Origin, String)>,
    pub(crate) last: jetstream::Message,
}

/// What the puller needs.
#[derive(Debug)]
pub(crate) struct Puller {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) store: Pool,
    pub(crate) batches: mpsc::Sender<Pulled>,
    /// A region was registered: its messages may have gone by.
    pub(crate) rewind: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
enum SessionFault {
    #[error("{0}: {1}")]
    Nats(&'static str, String),
    #[error("the database failed")]
    Store(#[from] StoreFault),
    #[error("the server's connection was replaced")]
    Reconnected,
    #[error("a region was registered")]
    Rewind,
}

fn nats<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> SessionFault {
    move |fault| SessionFault::Nats(doing, fault.to_string())
}

impl Puller {
    /// Runs until `stop` turns true or the applier is gone.
    pub(crate) async fn run(self, mut stop: StopSignal) -> Result<(), std::convert::Infallible> {
        let mut told = String::new();
        loop {
            let ended = tokio::select! {
                () = stop.stopped() => return Ok(()),
                ended = self.session() => ended,
            };
            let Err(fault) = ended else { return Ok(()) };
            let text = fault.to_string();
            if text == told {
                tracing::debug!(fault = text, "still not reading the hub's stream");
            } else {
                tracing::info!(fault = text, "reading the hub's stream anew");
                told = text;
            }
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Reads until something goes wrong; `Ok` when the applier is gone.
    async fn session(&self) -> Result<(), SessionFault> {
        let connects = self.connects();
        let stream = self
            .context
            .get_stream(HUB_STREAM)
            .await
            .map_err(nats("the stream cannot be opened"))?;
        let info = stream.cached_info();
        let stream_id = i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX);
        let start = self.start(stream_id, info.state.last_sequence).await?;
        // A consumer keeps its start for life; the one of an earlier session is of no use.
        if let Err(fault) = stream.delete_consumer(HUB_CONSUMER).await {
            tracing::debug!(%fault, "no consumer of an earlier session");
        }
        let consumer = stream.create_consumer(consumer_config(start)).await;
        let consumer = consumer.map_err(nats("the consumer cannot be made"))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH * 2)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5))
            .messages()
            .await;
        let mut messages = messages.map_err(nats("the consumer cannot be read"))?;
        tracing::info!(start, end = info.state.last_sequence, "reading the hub's stream");
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                first = messages.next() => {
                    let Some(first) = first else {
                        return Err(SessionFault::Nats("the stream of messages ended", String::new()));
                    };
                    let mut taken = vec![first.map_err(nats("reading failed"))?];
                    while taken.len() < BATCH && let Some(Some(next)) = messages.next().now_or_never() {
                        taken.push(next.map_err(nats("reading failed"))?);
                    }
                    if let Some(pulled) = pulled(taken, stream_id)
                        && self.batches.send(pulled).await.is_err()
                    {
                        return Ok(());
                    }
                }
                () = self.rewind.notified() => return Err(SessionFault::Rewind),
                _ = look.tick() => if self.connects() != connects {
                    return Err(SessionFault::Reconnected);
                },
            }
        }
    }

    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Where to begin; stored, so that a crash right after does not skip what went by.
    async fn start(&self, stream_id: i64, last_seq: u64) -> Result<u64, StoreFault> {
        let work = move |conn: &mut rusqlite::Connection| {
            let tx = conn.transaction()?;
            let stored = events::position(&tx)?;
            let passed_by = events::take_passed_by(&tx)?;
            let start = start_sequence(stored, stream_id, last_seq, passed_by);
            let position = Position {
                stream_id,
                stream_seq: start - 1,
            };
            if passed_by.is_some() {
                events::save_position(&tx, position)?;
            }
            tx.commit()?;
            Ok(start)
        };
        self.store.run(work).await
    }
}

fn consumer_config(start_sequence: u64) -> pull::Config {
    pull::Config {
        durable_name: Some(HUB_CONSUMER.to_owned()),
        description: Some("tomato-hub reads; recreated at each start".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        ack_policy: AckPolicy::All,
        ack_wait: Duration::from_secs(60),
        max_ack_pending: 100_000,
        ..pull::Config::default()
    }
}

/// The first sequence of the hub's stream to read; at least 1.
fn start_sequence(stored: Option<Position>, stream_id: i64, last_seq: u64, passed_by: Option<u64>) -> u64 {
    let resumed = match stored {
        // The server may have lost its tail: what it sources anew begins behind what it has.
        Some(position) if position.stream_id == stream_id => {
            position.stream_seq.min(last_seq).saturating_sub(MARGIN) + 1
        }
        // First start, or another stream: sequences mean nothing.
        Some(_) | None => 1,
    };
    passed_by.map_or(resumed, |first| first.clamp(1, resumed))
}

/// A batch of at least one message; `None` if there is none.
fn pulled(messages: Vec<jetstream::Message>, stream_id: i64) -> Option<Pulled> {
    let mut batch = Batch::default();
    let mut traces = Vec::new();
    let mut last = None;
    for message in messages {
        let Ok(info) = message.info() else { continue };
        let stream_seq = info.stream_sequence;
        match message.headers.as_ref().and_then(origin) {
            Some(origin) => {
                let trace = message.headers.as_ref().and_then(|headers| headers.get(HEADER_TRACE));
                traces.extend(trace.map(|trace| (origin.clone(), trace.to_string())));
                batch.arrivals.push(Arrival {
                    origin,
                    stream_seq: Some(stream_seq),
                    follows: message.headers.as_ref().and_then(follows),
                    payload: message.payload.clone(),
                });
            }
            // Only the server writes into a stream without subjects, and it always says from where.
            None => tracing::warn!(stream_seq, subject = %message.subject, "message without a source is left out"),
        }
        batch.position = Some(Position { stream_id, stream_seq });
        last = Some(message);
    }
    last.map(|last| Pulled { batch, traces, last })
}

fn follows(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(HEADER_FOLLOWS)?.as_str().to_owned())
}

fn origin(headers: &HeaderMap) -> Option<Origin> {
    subject::origin(headers.get(HEADER_STREAM_SOURCE)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_before_the_stored_position() {
        let at = |stream_seq| {
            Some(Position {
                stream_id: 7,
                stream_seq,
            })
        };
        for (stored, stream_id, last_seq, passed_by, start) in [
            (None, 7, 50_000, None, 1),
            (at(30_000), 7, 50_000, None, 20_001),
            (at(30_000), 8, 50_000, None, 1),
            (at(30_000), 7, 15_000, None, 5_001),
            (at(500), 7, 50_000, None, 1),
            (at(30_000), 7, 50_000, Some(12), 12),
            (at(30_000), 7, 50_000, Some(25_000), 20_001),
            (at(30_000), 8, 50_000, Some(12), 1),
        ] {
            assert_eq!(
                start_sequence(stored, stream_id, last_seq, passed_by),
                start,
                "{stored:?} {stream_id}"
            );
        }
    }
}
