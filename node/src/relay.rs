//! Carries committed events from the outbox into the region's stream, in order, each at the sequence of its row.
//!
//! The stream itself is asked where it stands: at the start, and after any error. From there rows are published with
//! `Nats-Expected-Last-Sequence`, so that a lost tail, a second relay or a message that arrives late cannot put an
//! event at a wrong place: the server refuses, and the relay asks again where it stands.
//! Nothing is marked or deleted here; rows go when the hub's watermark has passed them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use tokio::sync::watch;
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Decoded, ENVELOPE_VERSION, decode};
use tomato_shared::runtime::nats::Restarter;
use tomato_shared::runtime::otlp::{Begun, Side, Tracer};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::{Watermark, incarnation_of, mark};

use crate::store::{self, outbox};
use crate::writer::{Head, Writer};

/// Rows published before their acknowledgements are awaited.
const WINDOW: usize = 500;
/// Pause after an error.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time without a look at the outbox.
const IDLE: Duration = Duration::from_secs(2);
/// Rounds that end without an answer, one after the other, before a broker of our own is restarted.
const SILENT_MAX: u32 = 3;
/// How long the stream keeps what the hub has not fetched; beyond it the hub asks the node itself.
const STREAM_MAX_AGE: Duration = Duration::from_secs(30 * 86_400);

/// What the relay works with.
#[derive(Debug)]
pub struct Relay {
    /// The region.
    pub region: RegionId,
    /// The region's broker.
    pub client: async_nats::Client,
    /// The region's file.
    pub path: PathBuf,
    /// Tells of new events.
    pub head: watch::Receiver<Head>,
    /// Newest event in the stream, for whoever reports it.
    pub published: Arc<AtomicU64>,
    /// Told where the stream shows the file to be an old copy.
    pub writer: Writer,
    /// Traces.
    pub tracer: Tracer,
    /// For a broker that is there and stores nothing.
    pub restarter: Restarter,
}

/// Why a round ended; the next one asks the stream where it stands.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the broker: {0}")]
    Broker(String),
    #[error("the broker does not say whether it has stored anything")]
    Silent,
    #[error("the outbox: {0}")]
    Outbox(String),
    #[error(
        "the stream is at {stream}, the outbox only at {outbox}: the region's file is older than what it has already \
         told"
    )]
    Behind { stream: u64, outbox: u64 },
    #[error(
        "the stream's message {seq} is not the outbox's row {seq}: the region's file was restored from an older copy and went \
         on"
    )]
    Diverged { seq: u64 },
    #[error("the stream has {stream} of an older incarnation, the hub only {hub}: waiting until it has fetched them")]
    Older { stream: u64, hub: u64 },
    #[error("row {wanted} is gone from the outbox, the next is {found}: the hub has it, but this stream does not")]
    Gap { wanted: u64, found: u64 },
}

impl Relay {
    /// Runs until told to stop. A broker that is away is waited for.
    pub async fn run(mut self, mut stop: StopSignal) -> Result<(), std::convert::Infallible> {
        let mut silent = 0;
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                interrupted = self.round() => {
                    tracing::warn!(reason = %interrupted, "relay begins again");
                    silent = if matches!(interrupted, Interrupted::Silent) { silent + 1 } else { 0 };
                }
            }
            // JetStream does not recover from a disk that was full, not even when there is room again.
            if silent >= SILENT_MAX && self.restarter.restart() {
                tracing::error!("the broker is there and stores nothing, as after its disk was full; it is restarted");
                silent = 0;
            }
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Publishes until something goes wrong, and says what.
    async fn round(&mut self) -> Interrupted {
        match self.publish_all().await {
            Ok(never) => match never {},
            Err(interrupted) => interrupted,
        }
    }

    async fn publish_all(&mut self) -> Result<std::convert::Infallible, Interrupted> {
        let context = jetstream::new(self.client.clone());
        let mut stream = self.stream(&context).await?;
        let info = stream
            .info()
            .await
            .map_err(|error| Interrupted::Broker(error.to_string()))?;
        let mut last = info.state.last_sequence;
        self.check_newest(&stream, last).await?;
        // After a power cut the stream may stand behind what it had acknowledged.
        tracing::info!(stream = last, outbox = self.head.borrow().seq, "publishing goes on");
        loop {
            let head = *self.head.borrow_and_update();
            if last > head.seq {
                self.doubt(head, last);
                return Err(Interrupted::Behind {
                    stream: last,
                    outbox: head.seq,
                });
            }
            self.published.store(last, Ordering::Relaxed);
            let mut rows = self.rows(last.saturating_sub(1), WINDOW + 1).await?;
            // Committed, but not told yet: sent now, the stream would be ahead of the head, as if the file were an old copy.
            rows.retain(|row| row.seq <= head.seq);
            let before = rows.first().is_some_and(|row| row.seq == last).then(|| rows.remove(0));
            let Some(first) = rows.first() else {
                if let Ok(Err(_)) = tokio::time::timeout(IDLE, self.head.changed()).await {
                    // The writer has ended, and this task will be told to soon.
                    tokio::time::sleep(IDLE).await;
                }
                continue;
            };
            if first.seq != last + 1 {
                self.skip_to(&stream, (last, first.seq), head).await?;
            }
            last = self.publish(&context, before, rows).await?;
        }
    }

    /// The region's stream, created where it does not exist: empty, and so that its first sequence is the first row
    /// that the hub does not have.
    async fn stream(&self, context: &Context) -> Result<Stream, Interrupted> {
        let name = subject::region_stream(&self.region);
        if let Ok(stream) = context.get_stream(&name).await {
            return Ok(stream);
        }
        let config = Config {
            name,
            subjects: vec![subject::events(&self.region)],
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            max_age: STREAM_MAX_AGE,
            allow_direct: true,
            first_sequence: Some(self.head.borrow().watermark_seq + 1),
            ..Config::default()
        };
        context
            .get_or_create_stream(config)
            .await
            .map_err(|error| Interrupted::Broker(error.to_string()))
    }

    /// Moves an empty or old stream forward over rows that the hub has and the outbox has not any more.
    async fn skip_to(&self, stream: &Stream, (last, next): (u64, u64), head: Head) -> Result<(), Interrupted> {
        let hub = head.heard.unwrap_or_default();
        if incarnation_of(last) < head.incarnation && hub.incarnation < head.incarnation && hub.seq < last {
            return Err(Interrupted::Older {
                stream: last,
                hub: hub.seq,
            });
        }
        if head.watermark_seq + 1 < next {
            return Err(Interrupted::Gap {
                wanted: head.watermark_seq + 1,
                found: next,
            });
        }
        tracing::warn!(
            next,
            "the stream has lost events that the hub has; going on behind them"
        );
        stream
            .purge()
            .sequence(next)
            .await
            .map(|_| ())
            .map_err(|error| Interrupted::Broker(error.to_string()))
    }

    /// The stream's newest message must be the row of its sequence. It is not where the file was restored from an older copy
    /// and has meanwhile written other events under sequences that were told before; then no row may follow.
    async fn check_newest(&self, stream: &Stream, last: u64) -> Result<(), Interrupted> {
        let rows = self.rows(last.saturating_sub(1), 1).await?;
        let Some(row) = rows.first().filter(|row| row.seq == last) else {
            return Ok(());
        };
        match stream.get_raw_message(last).await {
            Ok(message) if message.payload.as_ref() == row.payload => Ok(()),
            Ok(_) => {
                self.doubt(*self.head.borrow(), last);
                Err(Interrupted::Diverged { seq: last })
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(()),
            Err(error) => Err(Interrupted::Broker(error.to_string())),
        }
    }

    /// The file does not have what it once told.
    fn doubt(&self, head: Head, told_seq: u64) {
        if head.fence.is_none() {
            self.writer.fence(Watermark {
                incarnation: head.incarnation,
                seq: told_seq,
                agreed_seq: None,
            });
        }
    }

    async fn rows(&self, after: u64, max: usize) -> Result<Vec<outbox::Row>, Interrupted> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let connection = store::pool::connect(&path).map_err(|error| error.to_string())?;
            outbox::rows(&connection, after, max).map_err(|error| error.to_string())
        });
        read.await
            .map_err(|error| Interrupted::Outbox(error.to_string()))?
            .map_err(Interrupted::Outbox)
    }
}

impl Relay {
    /// Publishes rows in one window and returns the last sequence. Every acknowledgement must name its row.
    /// `before`: the row before the first, where the outbox has it.
    async fn publish(
        &self,
        context: &Context,
        before: Option<outbox::Row>,
        rows: Vec<outbox::Row>,
    ) -> Result<u64, Interrupted> {
        let mut follows = before.map(|row| (row.seq, mark(&row.payload)));
        let broker = |error: jetstream::context::PublishError| {
            if error.kind() == PublishErrorKind::TimedOut {
                Interrupted::Silent
            } else {
                Interrupted::Broker(error.to_string())
            }
        };
        let mut acks = Vec::with_capacity(rows.len());
        for row in rows {
            let (seq, subject) = (row.seq, subject::event(&self.region, &row.name));
            let trace = trace_of(&row);
            let span = self.tracer.child(trace.as_deref());
            let headers = headers(&row, follows.take_if(|(before, _)| *before + 1 == seq), trace);
            follows = Some((seq, mark(&row.payload)));
            let ack = context
                .publish_with_headers(subject, headers, row.payload.into())
                .await
                .map_err(broker)?;
            acks.push((seq, row.name, ack, span));
        }
        let mut last = 0;
        for (seq, name, ack, span) in acks {
            let ack = ack.await.map_err(broker)?;
            if ack.sequence != seq {
                return Err(Interrupted::Broker(format!("row {seq} was stored as {}", ack.sequence)));
            }
            self.told(span, name, seq);
            last = seq;
        }
        Ok(last)
    }

    fn told(&self, span: Option<Begun>, name: String, seq: u64) {
        let Some(span) = span else { return };
        let attributes = vec![
            ("messaging.system", "nats".to_owned()),
            ("messaging.operation.type", "send".to_owned()),
            ("messaging.message.id", seq.to_string()),
            ("tomato.event.type", name),
        ];
        self.tracer
            .end(span, ("relay.publish", Side::Producer), attributes, false);
    }
}

/// The W3C trace context that an event bears.
fn trace_of(row: &outbox::Row) -> Option<String> {
    match decode(&row.payload) {
        Ok(Decoded::Known(envelope)) => envelope.trace,
        Ok(Decoded::Unknown(_)) | Err(_) => None,
    }
}

fn headers(row: &outbox::Row, follows: Option<(u64, String)>, trace: Option<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some((_, mark)) = follows {
        headers.insert(subject::HEADER_FOLLOWS, mark);
    }
    headers.insert(
        async_nats::header::NATS_EXPECTED_LAST_SEQUENCE,
        (row.seq - 1).to_string(),
    );
    headers.insert(subject::HEADER_SCHEMA, format!("{}/{ENVELOPE_VERSION}", row.name));
    if let Some(trace) = trace {
        headers.insert(subject::HEADER_TRACE, trace);
    }
    headers
}

#[cfg(test)]
pub(crate) mod tests;
