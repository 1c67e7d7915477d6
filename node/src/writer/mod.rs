//! The one writer of the region's file: a thread that takes commands in batches, decides each, writes rows, events and
//! answers in one transaction, and only after the commit lets anybody know.
//!
//! ```text
//! http, tasks -> Inbox (bounded, by class) -> batch.rs: decide, write, remember the answer   } one transaction
//!                                          -> commit (one fsync for the batch)
//!                                          -> answers; then feed, fleet, tasks, relay are told
//! ```
//! An error of the disk at commit means that nobody knows whether the batch is there: the thread stops for good, the
//! process exits, and the next start finds out. Nothing is answered "failed" that may have happened.

mod batch;
mod errand;
mod inbox;
mod run;
mod sweep;

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tomato_shared::runtime::otlp::Tracer;
use tomato_shared::sync::Watermark;
use tomato_shared::time::UnixMs;

use crate::clock::Clock;
use crate::dispatch::News;
use crate::engine::city::Catalogue;
use crate::engine::command::{Command, Refusal};
use crate::engine::model::By;
use crate::engine::policy::Policy;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::Task;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::load::Loaded;
use crate::store::push::Errand;
pub use inbox::Class;
use inbox::Inbox;

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// JSON body; for a repeated key the stored bytes.
    pub body: Bytes,
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The domain says no; nothing was changed.
    Refused(Refusal),
    /// Too much is waiting; nothing was done, try again later.
    Overloaded,
    /// The node is stopping, or its disk failed: whether the command was carried out is not known.
    Unavailable,
    /// A fault of the program; nothing was changed.
    Broken,
    /// The region's file is an old copy, and waits for a person; nothing was done.
    Fenced,
}

/// Makes a command repeatable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of principal, route and the client's key.
    pub key: [u8; 16],
    /// Hash of the body.
    pub fingerprint: [u8; 16],
}

/// What comes with a command besides itself and who asks.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Under which it is carried out once.
    pub key: Option<IdempotencyKey>,
    /// W3C trace context.
    pub trace: Option<String>,
    /// When it happened, by the clock of a device that was cut off.
    pub device_at: Option<UnixMs>,
}

/// A command on its way, with everything that its answer needs.
#[derive(Debug)]
struct Submission {
    by: By,
    command: Command,
    context: Context,
    reply: oneshot::Sender<Result<Response, Failure>>,
}

/// Something to be written that the engine does not decide.
#[derive(Debug)]
struct Chore {
    by: By,
    errand: Errand,
    context: Context,
    reply: oneshot::Sender<Result<Response, Failure>>,
}

/// What the inbox holds.
#[derive(Debug)]
enum Entry {
    Command(Box<Submission>),
    Errand(Box<Chore>),
    Watermark(Watermark),
    Fence(Watermark),
    DriverAppeared,
    Snapshot(oneshot::Sender<Snapshot>),
}

/// How much the writer takes at a time, and how much may wait.
#[derive(Debug, Clone, Copy)]
pub struct WriterLimits {
    /// Commands of one transaction.
    pub batch_max: usize,
    /// Waiting commands about money and orders under way.
    pub in_flight_max: usize,
    /// Waiting new orders.
    pub new_max: usize,
    /// Waiting edits.
    pub other_max: usize,
    /// How long answers are kept for their keys, in milliseconds of region time.
    pub idempotency_ms: i64,
    /// How long rows that the hub has are kept, in milliseconds of region time; 0: for ever.
    pub outbox_ms: i64,
    /// How long finished notifications are kept, in milliseconds of region time.
    pub messages_ms: i64,
}

/// What the writer tells after a commit.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Live messages.
    pub feed: Arc<Feed>,
    /// Who is free.
    pub fleet: Arc<Fleet>,
    /// Menus, for readers.
    pub catalogue: watch::Sender<Arc<Catalogue>>,
    /// The outbox's head, for the relay.
    pub head: watch::Sender<Head>,
    /// What kitchens and drivers have done, to learn from. When it is full that is not learned.
    pub news: mpsc::Sender<News>,
    /// Calls to be made. When it is full they wait in their table.
    pub tasks: mpsc::Sender<Task>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Traces.
    pub tracer: Tracer,
}

/// Where the region's events stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The region's incarnation.
    pub incarnation: u32,
    /// Newest committed event.
    pub seq: u64,
    /// Newest event that the hub has durably applied.
    pub watermark_seq: u64,
    /// What the hub said last, of whatever incarnation; `None` since the start.
    pub heard: Option<Watermark>,
    /// What the hub has and this file has not: while it is set, nothing is decided.
    pub fence: Option<Watermark>,
    /// Orders that are not over.
    pub orders_open: usize,
    /// Orders that wait for a driver.
    pub orders_waiting: usize,
}

/// Sends commands to the writer; cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    inbox: Arc<Inbox<Entry>>,
    failure: Arc<OnceLock<String>>,
}

impl Writer {
    /// Has a command decided and committed; resolves after the commit. If the caller goes away meanwhile, the command
    /// is carried out all the same.
    pub async fn submit(&self, by: By, command: Command, context: Context) -> Result<Response, Failure> {
        let (reply, answer) = oneshot::channel();
        let class = Class::of(&command);
        let submission = Submission {
            by,
            command,
            context,
            reply,
        };
        self.answered(class, Entry::Command(Box::new(submission)), answer).await
    }

    /// Has an errand written and committed, behind everything that is about orders; resolves after the commit.
    pub async fn errand(&self, by: By, errand: Errand, context: Context) -> Result<Response, Failure> {
        let (reply, answer) = oneshot::channel();
        let chore = Chore {
            by,
            errand,
            context,
            reply,
        };
        self.answered(Class::Other, Entry::Errand(Box::new(chore)), answer)
            .await
    }

    async fn answered(
        &self,
        class: Class,
        entry: Entry,
        answer: oneshot::Receiver<Result<Response, Failure>>,
    ) -> Result<Response, Failure> {
        if self.inbox.push(class, entry).is_err() {
            return Err(if self.inbox.is_closed() {
                Failure::Unavailable
            } else {
                Failure::Overloaded
            });
        }
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Tells the writer how far the hub is. A watermark that finds no room is dropped: the hub repeats it.
    pub fn watermark(&self, watermark: Watermark) {
        if self.inbox.push(Class::Other, Entry::Watermark(watermark)).is_err() {
            tracing::debug!("no room for a watermark");
        }
    }

    /// Tells the writer that the region's own stream shows its file to be an old copy: `seen` was told, and is not there.
    pub fn fence(&self, seen: Watermark) {
        if self.inbox.push(Class::InFlight, Entry::Fence(seen)).is_err() {
            tracing::debug!("no room for a fence; the relay looks again");
        }
    }

    /// Tells the writer that a free driver is on the map who was not: orders that wait are looked at now. Where there is
    /// no room they are looked at in the next round anyway.
    pub fn driver_appeared(&self) {
        if self.inbox.push(Class::InFlight, Entry::DriverAppeared).is_err() {
            tracing::debug!("no room to tell of a driver");
        }
    }

    /// One whose thread never runs, so that what it is told can be counted.
    #[cfg(test)]
    pub(crate) fn deaf() -> Self {
        Self {
            inbox: Arc::new(Inbox::new([8, 8, 8])),
            failure: Arc::default(),
        }
    }

    /// The facts that bear on who drives where, as of a commit. `None` where there is no room for the question, or no writer
    /// any more.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.inbox.push(Class::InFlight, Entry::Snapshot(reply)).ok()?;
        answer.await.ok()
    }

    /// How many commands wait, by [`Class`].
    pub fn depth(&self) -> [usize; 3] {
        self.inbox.depth()
    }

    /// Whether commands are taken in.
    pub fn is_open(&self) -> bool {
        !self.inbox.is_closed()
    }

    /// Why the thread ended before it was told to, if it did.
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Takes nothing in any more; what waits is still decided, then the thread ends.
    pub fn close(&self) {
        self.inbox.close();
    }
}

/// Why the writer's thread ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error(
    "the region's file failed while {doing}: {reason}; no further write is tried, start the node again when the disk is well"
)]
pub struct WriterStopped {
    doing: &'static str,
    reason: String,
}

/// The facts that the writer starts from.
#[derive(Debug)]
pub struct Start {
    /// The open file.
    pub store: Store,
    /// Its working set.
    pub loaded: Loaded,
    /// The region's incarnation.
    pub incarnation: u32,
    /// Newest event that the hub has.
    pub watermark_seq: u64,
    /// What the hub has and the file has not.
    pub fence: Option<Watermark>,
    /// The region's numbers.
    pub policy: Arc<Policy>,
    /// Bounds.
    pub limits: WriterLimits,
    /// Region time.
    pub clock: Clock,
    /// Who is told.
    pub outlets: Outlets,
}

/// Starts the writer's thread. The receiver resolves when it has ended: `Ok` after [`Writer::close`].
pub fn start(start: Start) -> std::io::Result<(Writer, oneshot::Receiver<Result<(), WriterStopped>>)> {
    let limits = start.limits;
    let inbox = Arc::new(Inbox::new([limits.in_flight_max, limits.new_max, limits.other_max]));
    let failure = Arc::<OnceLock<String>>::default();
    let writer = Writer {
        inbox: inbox.clone(),
        failure: failure.clone(),
    };
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("writer".into()).spawn(move || {
        // However the loop ends, a panic included, nobody waits for an answer that will not come.
        let closing = Closing(inbox);
        let result = run::run(start, &closing.0);
        if let Err(stopped) = &result {
            failure.get_or_init(|| stopped.to_string());
        }
        drop(closing);
        drop(ended.send(result));
    })?;
    Ok((writer, end))
}

/// Abandons the inbox when the writer's thread ends.
struct Closing(Arc<Inbox<Entry>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A finished submission, held back until the commit.
struct Held {
    reply: oneshot::Sender<Result<Response, Failure>>,
    result: Result<Response, Failure>,
}

/// Region time of one batch; read once, so that everything in it happens at the same time.
#[derive(Debug, Clone, Copy)]
struct Tick {
    now: UnixMs,
}

#[cfg(test)]
pub(crate) mod tests;
