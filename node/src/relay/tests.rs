//! The relay against a real nats-server: rows at their sequences, whatever became of the stream meanwhile.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::params;
use tempfile::TempDir;
use tokio::sync::watch;
use tomato_shared::runtime::shutdown::Supervisor;

use tomato_shared::sync::first_seq;

use super::*;
use crate::store::Store;
use crate::writer::tests::within;

/// A broker of one's own.
pub(crate) struct Nats {
    child: Child,
    pub(crate) client: async_nats::Client,
    _directory: TempDir,
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) async fn nats() -> Nats {
    let directory = TempDir::new().unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    let child = Command::new(binary)
        .args(["-js", "-a", "127.0.0.1", "-p", &port, "-sd"])
        .arg(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("./scripts/install-nats puts nats-server there");
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let client = options.connect(format!("127.0.0.1:{port}")).await.unwrap();
    within(async {
        while client.connection_state() != async_nats::connection::State::Connected {
            drop(client.flush().await);
            tokio::task::yield_now().await;
        }
    })
    .await;
    Nats {
        child,
        client,
        _directory: directory,
    }
}

/// An outbox with its relay.
struct Bench {
    nats: Nats,
    directory: TempDir,
    store: Store,
    head: watch::Sender<Head>,
    supervisor: Supervisor,
    published: Arc<AtomicU64>,
    writer: Writer,
}

impl Bench {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let head = Head {
            incarnation: 1,
            ..Head::default()
        };
        Self {
            nats: nats().await,
            store: store::open(&directory.path().join("region.db")).unwrap(),
            directory,
            head: watch::channel(head).0,
            supervisor: Supervisor::default(),
            published: Arc::default(),
            writer: Writer::deaf(),
        }
    }

    /// Rows of these sequences, as the writer leaves them.
    fn rows(&self, seqs: std::ops::RangeInclusive<u64>) {
        let sql = "INSERT INTO outbox (seq, at, type, payload) VALUES (?1, ?1, 'order.created', ?2)";
        for seq in seqs.clone() {
            let seq = i64::try_from(seq).unwrap();
            self.store.connection.execute(sql, params![seq, payload(seq)]).unwrap();
        }
        self.head.send_modify(|head| head.seq = *seqs.end());
    }

    fn run(&mut self) {
        let relay = Relay {
            region: "blr".parse().unwrap(),
            client: self.nats.client.clone(),
            path: self.directory.path().join("region.db"),
            head: self.head.subscribe(),
            published: self.published.clone(),
            writer: self.writer.clone(),
            tracer: Tracer::default(),
            restarter: Restarter::default(),
        };
        self.supervisor.spawn("relay", relay.run(self.supervisor.stop_signal()));
    }

    async fn stream(&self) -> Stream {
        let name = subject::region_stream(&"blr".parse().unwrap());
        jetstream::new(self.nats.client.clone()).get_stream(name).await.unwrap()
    }

    async fn until_published(&self, seq: u64) {
        within(async {
            while self.published.load(Ordering::Relaxed) != seq {
                self.nats.client.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// First and last sequence, and that each message is its row.
    async fn assert_holds(&self, seqs: std::ops::RangeInclusive<u64>) {
        let mut stream = self.stream().await;
        let state = &stream.info().await.unwrap().state;
        assert_eq!(
            (state.first_sequence, state.last_sequence),
            (*seqs.start(), *seqs.end())
        );
        assert_eq!(state.messages, seqs.clone().count() as u64);
        for seq in seqs {
            let message = stream.get_raw_message(seq).await.unwrap();
            assert_eq!(message.payload.as_ref(), payload(i64::try_from(seq).unwrap()));
        }
    }
}

fn payload(seq: i64) -> Vec<u8> {
    format!("row {seq}").into_bytes()
}

/// A stream as an earlier run has left it: `count` messages from `first` on.
async fn earlier(bench: &Bench, first: u64, count: u64) {
    told(bench, first, count, payload).await;
}

async fn told(bench: &Bench, first: u64, count: u64, body: fn(i64) -> Vec<u8>) {
    let context = jetstream::new(bench.nats.client.clone());
    let region = "blr".parse().unwrap();
    let config = Config {
        name: subject::region_stream(&region),
        subjects: vec![subject::events(&region)],
        first_sequence: Some(first),
        ..Config::default()
    };
    context.create_stream(config).await.unwrap();
    for seq in first..first + count {
        let body = body(i64::try_from(seq).unwrap());
        let ack = context
            .publish(subject::event(&region, "order.created"), body.into())
            .await
            .unwrap();
        assert_eq!(ack.await.unwrap().sequence, seq);
    }
}

#[tokio::test]
async fn rows_arrive_at_their_sequences_and_later_ones_follow() {
    let mut bench = Bench::new().await;
    bench.rows(1..=1_200);
    bench.run();
    bench.until_published(1_200).await;
    bench.rows(1_201..=1_203);
    bench.until_published(1_203).await;
    bench.assert_holds(1..=1_203).await;
}

#[tokio::test]
async fn row_that_is_committed_but_not_told_yet_waits_and_is_no_old_copy() {
    let mut bench = Bench::new().await;
    bench.rows(1..=10);
    bench.head.send_modify(|head| head.seq = 6);
    bench.run();
    bench.until_published(6).await;
    bench.assert_holds(1..=6).await;
    assert_eq!(bench.writer.depth(), [0; 3], "nobody is fenced");
    bench.head.send_modify(|head| head.seq = 10);
    bench.until_published(10).await;
    bench.assert_holds(1..=10).await;
}

#[tokio::test]
async fn two_relays_write_each_row_once() {
    let mut bench = Bench::new().await;
    bench.rows(1..=2_000);
    bench.run();
    bench.run();
    bench.until_published(2_000).await;
    bench.assert_holds(1..=2_000).await;
}

#[tokio::test]
async fn lost_tail_of_the_stream_is_published_again() {
    let mut bench = Bench::new().await;
    bench.rows(1..=40);
    earlier(&bench, 1, 25).await;
    bench.run();
    bench.until_published(40).await;
    bench.assert_holds(1..=40).await;
}

#[tokio::test]
async fn wiped_stream_begins_behind_what_the_hub_has() {
    let mut bench = Bench::new().await;
    bench.rows(21..=40);
    bench.head.send_modify(|head| head.watermark_seq = 30);
    bench.run();
    bench.until_published(40).await;
    bench.assert_holds(31..=40).await;
}

#[tokio::test]
async fn old_stream_skips_rows_that_the_hub_has_and_the_outbox_has_not() {
    let mut bench = Bench::new().await;
    bench.rows(21..=40);
    bench.head.send_modify(|head| head.watermark_seq = 30);
    earlier(&bench, 1, 10).await;
    bench.run();
    bench.until_published(40).await;
    bench.assert_holds(21..=40).await;
}

/// What an earlier life of the file told under the same sequences.
fn other(seq: i64) -> Vec<u8> {
    format!("another row {seq}").into_bytes()
}

#[tokio::test]
async fn stream_ahead_of_the_file_takes_nothing_also_when_the_file_has_caught_up() {
    for rows in [20, 25, 30] {
        let mut bench = Bench::new().await;
        bench.rows(1..=rows);
        told(&bench, 1, 25, other).await;
        bench.run();
        // Other events than those that the stream has: the writer is told that the file is an old copy, and nothing follows.
        within(async {
            while bench.writer.depth()[0] == 0 {
                bench.nats.client.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(bench.published.load(Ordering::Relaxed), 0);
        let mut stream = bench.stream().await;
        assert_eq!(stream.info().await.unwrap().state.last_sequence, 25);
    }
}

#[tokio::test]
async fn a_new_incarnation_waits_until_the_hub_has_the_rest_of_the_old_one() {
    let mut bench = Bench::new().await;
    bench.rows(1..=20);
    let first = first_seq(2);
    bench.rows(first..=first + 3);
    told(&bench, 1, 25, other).await;
    bench
        .head
        .send_modify(|head| (head.incarnation, head.watermark_seq) = (2, first - 1));
    bench.run();
    let hears = |seq| Watermark {
        incarnation: 1,
        seq,
        agreed_seq: None,
    };
    bench.head.send_modify(|head| head.heard = Some(hears(24)));
    within(async {
        for _ in 0..300 {
            bench.nats.client.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut stream = bench.stream().await;
    assert_eq!(stream.info().await.unwrap().state.last_sequence, 25);
    bench.head.send_modify(|head| head.heard = Some(hears(25)));
    bench.until_published(first + 3).await;
    bench.assert_holds(first..=first + 3).await;
    assert_eq!(bench.writer.depth(), [0; 3]);
}

#[tokio::test]
async fn each_message_names_the_one_that_it_follows() {
    let mut bench = Bench::new().await;
    bench.rows(1..=3);
    earlier(&bench, 1, 1).await;
    bench.run();
    bench.until_published(3).await;
    let stream = bench.stream().await;
    for seq in 2..=3 {
        let message = stream.get_raw_message(seq).await.unwrap();
        let follows = message.headers.get(subject::HEADER_FOLLOWS).unwrap();
        assert_eq!(follows.as_str(), mark(&payload(i64::try_from(seq).unwrap() - 1)));
    }
}
