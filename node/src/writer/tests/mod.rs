//! The writer over a real file: what it remembers, how it shares commits, whom it refuses, and what a crash leaves.

mod answers;
mod crash;
mod crowds;
mod faults;
mod rounds;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tomato_shared::id::{OrderId, UserId};
use tomato_shared::time::{DurationMs, UnixMs};

use tomato_shared::runtime::otlp::Tracer;

use super::{Context, Failure, Head, IdempotencyKey, Outlets, Response, Start, Writer, WriterLimits, WriterStopped};
use crate::clock::Clock;
use crate::engine::command::Command;
use crate::engine::model::{By, Order};
use crate::engine::policy::Policy;
use crate::engine::task::Task;
use crate::engine::tests::world::{self, BURGER, OPERATOR, opening, order_of, restaurant};
use crate::feed::Feed;
use crate::feed::totals::Totals;
use crate::fleet::Fleet;
use crate::store::{self, load, meta};

/// Later than the wall clock of any machine that runs this, so that a region's time starts exactly here.
const NOON: UnixMs = UnixMs(4_102_444_800_000);
/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

const LIMITS: WriterLimits = WriterLimits {
    batch_max: 512,
    in_flight_max: 2_000,
    new_max: 2_000,
    other_max: 100,
    idempotency_ms: 72 * 3_600_000,
    outbox_ms: 168 * 3_600_000,
    messages_ms: 168 * 3_600_000,
};

/// How a region is started.
pub(crate) struct Setting {
    pub(crate) at: UnixMs,
    /// How fast its time runs.
    pub(crate) rate: f64,
    pub(crate) policy: Policy,
    pub(crate) limits: WriterLimits,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            at: NOON,
            rate: 1.0,
            policy: world::policy(),
            limits: LIMITS,
        }
    }
}

/// A running writer.
pub(crate) struct Region {
    pub(crate) writer: Writer,
    pub(crate) end: oneshot::Receiver<Result<(), WriterStopped>>,
    pub(crate) head: watch::Receiver<Head>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) tasks: Option<mpsc::Receiver<Task>>,
    pub(crate) clock: Clock,
}

/// A call that may be repeated.
fn keyed(key: IdempotencyKey) -> Context {
    Context {
        key: Some(key),
        ..Context::default()
    }
}

pub(crate) fn file(directory: &Path) -> std::path::PathBuf {
    directory.join("region.db")
}

impl Region {
    pub(crate) fn start(directory: &Path, setting: Setting) -> Self {
        let file = store::open(&file(directory)).unwrap();
        let found = meta::load_or_create(&file.connection, &setting.policy.region, b"key").unwrap();
        let loaded = load::load(&file.connection, UnixMs(0)).unwrap();
        let clock = Clock::start(setting.at, setting.rate, loaded.head_at.max(setting.at));
        let (head, head_in) = watch::channel(Head {
            incarnation: found.incarnation,
            seq: loaded.head_seq,
            watermark_seq: found.watermark_seq,
            fence: found.fence,
            ..Head::default()
        });
        let (tasks, tasks_in) = mpsc::channel(10_000);
        let fleet = Arc::new(Fleet::new(DurationMs::from_mins(60)));
        let outlets = Outlets {
            feed: Arc::new(Feed::new(loaded.head_seq, Totals::default())),
            fleet: fleet.clone(),
            catalogue: watch::channel(Arc::default()).0,
            head,
            tasks,
            news: mpsc::channel(1).0,
            metrics: crate::metrics::tests::none(),
            tracer: Tracer::default(),
        };
        let (writer, end) = super::start(Start {
            store: file,
            loaded,
            incarnation: found.incarnation,
            watermark_seq: found.watermark_seq,
            fence: found.fence,
            policy: Arc::new(setting.policy),
            limits: setting.limits,
            clock,
            outlets,
        })
        .unwrap();
        Self {
            writer,
            end,
            head: head_in,
            fleet,
            tasks: Some(tasks_in),
            clock,
        }
    }

    /// A new file with the usual restaurants and drivers.
    pub(crate) async fn opened(directory: &Path, setting: Setting) -> Self {
        let region = Self::start(directory, setting);
        for command in opening() {
            region.ok(OPERATOR, command).await;
        }
        region
    }

    pub(crate) async fn submit(&self, by: By, command: Command) -> Result<Response, Failure> {
        within(self.writer.submit(by, command, Context::default())).await
    }

    async fn keyed(&self, by: By, command: Command, key: IdempotencyKey) -> Result<Response, Failure> {
        within(self.writer.submit(by, command, keyed(key))).await
    }

    pub(crate) async fn ok(&self, by: By, command: Command) -> serde_json::Value {
        let text = format!("{command:?}");
        let response = self
            .submit(by, command)
            .await
            .unwrap_or_else(|failure| panic!("{text}: {failure:?}"));
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Waits until the file shows something.
    pub(crate) async fn until<T>(&mut self, directory: &Path, mut look: impl FnMut(&Connection) -> Option<T>) -> T {
        let connection = reader(directory);
        within(async {
            loop {
                self.head.borrow_and_update();
                if let Some(found) = look(&connection) {
                    return found;
                }
                self.head.changed().await.unwrap();
            }
        })
        .await
    }

    pub(crate) async fn close(self) {
        self.writer.close();
        within(self.end).await.unwrap().unwrap();
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Has a future do all that it can do at once: a submission is then in its queue.
async fn begun<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "answered at once");
        Poll::Ready(())
    })
    .await;
    future
}

pub(crate) fn reader(directory: &Path) -> Connection {
    store::pool::connect(&file(directory)).unwrap()
}

pub(crate) fn order(directory: &Path, id: OrderId) -> Order {
    load::order(&reader(directory), id).unwrap().unwrap()
}

pub(crate) fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Keeps the writer from beginning its next transaction.
struct Halt(Connection);

impl Halt {
    fn new(directory: &Path) -> Self {
        let connection = Connection::open(file(directory)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(connection)
    }

    fn release(self) {
        self.0.execute_batch("COMMIT").unwrap();
    }
}

pub(crate) fn id_of(reply: &serde_json::Value) -> OrderId {
    reply["id"].as_str().unwrap().parse().unwrap()
}

/// One of many customers.
pub(crate) fn customer(n: u32) -> By {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    By::Customer(UserId::from_bytes(bytes))
}

pub(crate) fn order_a_burger() -> Command {
    world::place(order_of(Some(restaurant(1)), &[(BURGER, 1)]))
}

fn burger() -> Command {
    order_a_burger()
}

fn key(n: u32, body: u8) -> IdempotencyKey {
    let mut key = [7; 16];
    key[12..].copy_from_slice(&n.to_be_bytes());
    IdempotencyKey {
        key,
        fingerprint: [body; 16],
    }
}

/// I6 as far as the outbox shows it: no gap, and the head is the newest row.
fn assert_gapless(connection: &Connection) {
    let rows = count(connection, "SELECT count(*) FROM outbox");
    assert_eq!(count(connection, "SELECT min(seq) FROM outbox"), 1);
    assert_eq!(count(connection, "SELECT max(seq) FROM outbox"), rows);
    let jumps = "SELECT count(*) FROM (SELECT order_version - lag(order_version, 1, 0) OVER
                 (PARTITION BY order_id ORDER BY order_version) AS step FROM outbox WHERE order_id IS NOT NULL) WHERE step <> 1";
    assert_eq!(count(connection, jumps), 0);
}
