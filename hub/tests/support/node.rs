//! A region with a real nats-server, linked to the hub as a leaf: an outbox in memory, its stream, heartbeats,
//! answers to repair requests, and the watermark it hears.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_bytes::ByteBuf;
use tokio::task::JoinSet;
use tomato_hub::enrol::Enrolment;
use tomato_shared::runtime::nats::{Broker, LeafLink, LocalServer, RegionBroker, connect};
use tomato_shared::subject;
use tomato_shared::sync::{Heartbeat, RepairReply, RepairRequest, Watermark};

use super::life::{START, Talker};
use super::{World, eventually, free_port, nats_binary};

/// What the tasks of a node share.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Row n is sequence n + 1.
    pub(crate) outbox: Mutex<Vec<Vec<u8>>>,
    published: AtomicU64,
    pub(crate) watermark: AtomicU64,
    /// Repair requests that came.
    pub(crate) asked: AtomicU64,
    /// Whether they are answered.
    pub(crate) answers: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) talker: Talker,
    pub(crate) state: Arc<State>,
    pub(crate) context: jetstream::Context,
    broker: Broker,
    _tasks: JoinSet<()>,
}

impl Node {
    pub(crate) async fn start(world: &World, region: &str, enrolment: &Enrolment) -> Self {
        let talker = Talker::new(region);
        let options = RegionBroker {
            server: LocalServer {
                binary: nats_binary(),
                port: free_port(),
                max_file_store_bytes: 256 << 20,
                ..LocalServer::default()
            },
            leaf: Some(LeafLink {
                hub_urls: world.config().leaf_urls(),
                seed_file: enrolment.seed_file.clone(),
                ca_file: None,
            }),
            ..RegionBroker::default()
        };
        let broker = Broker::region(&talker.region, &options, &world.path(region)).unwrap();
        broker.ready(Duration::from_secs(20)).await.unwrap();
        let client = connect(&broker.access(), region, &subject::inbox(&talker.region))
            .await
            .unwrap();
        let context = jetstream::new(client.clone());
        let config = stream::Config {
            name: subject::region_stream(&talker.region),
            subjects: vec![subject::events(&talker.region)],
            ..stream::Config::default()
        };
        eventually("the region's stream", || async {
            context.create_stream(config.clone()).await.ok()
        })
        .await;
        let state = Arc::new(State::default());
        state.answers.store(true, Ordering::SeqCst);
        let mut tasks = JoinSet::new();
        tasks.spawn(beat(client.clone(), region.to_owned(), Arc::clone(&state)));
        tasks.spawn(hear(client.clone(), region.to_owned(), Arc::clone(&state)));
        tasks.spawn(answer(client, region.to_owned(), Arc::clone(&state)));
        Self {
            talker,
            state,
            context,
            broker,
            _tasks: tasks,
        }
    }

    /// Commits rows to the outbox.
    pub(crate) fn commit(&self, rows: &[Vec<u8>]) {
        self.state.outbox.lock().unwrap().extend_from_slice(rows);
    }

    /// Commits the events of whole orders.
    pub(crate) fn commit_orders(&mut self, orders: u64) {
        for n in 0..orders {
            let rows = self.talker.order(n % 4 != 3, 60_000);
            self.commit(&rows);
        }
    }

    /// Publishes what the outbox holds and the stream lacks.
    pub(crate) async fn publish(&self) {
        let from = usize::try_from(self.state.published.load(Ordering::SeqCst)).unwrap();
        let rows = self.state.outbox.lock().unwrap().get(from..).unwrap().to_vec();
        for chunk in rows.chunks(500) {
            let mut acks = Vec::new();
            for row in chunk {
                acks.push(self.send(row).await);
            }
            for ack in acks {
                let seq = ack.await.unwrap().sequence;
                self.state.published.store(seq, Ordering::SeqCst);
            }
        }
    }

    /// Puts something into the stream that is not what the outbox holds.
    pub(crate) async fn publish_instead(&self, payload: &[u8]) {
        let seq = self.send(payload).await.await.unwrap().sequence;
        self.state.published.store(seq, Ordering::SeqCst);
    }

    async fn send(&self, payload: &[u8]) -> jetstream::context::PublishAckFuture {
        let subject = subject::event(&self.talker.region, "order.ready");
        self.context
            .publish(subject, Bytes::copy_from_slice(payload))
            .await
            .unwrap()
    }

    pub(crate) async fn wait_watermark(&self, seq: u64) {
        let what = format!("watermark {seq} at {}", self.talker.region);
        let heard = || async { (self.state.watermark.load(Ordering::SeqCst) >= seq).then_some(()) };
        eventually(&what, heard).await;
    }

    pub(crate) async fn stop(self) {
        drop(self._tasks);
        self.broker.stop().await;
    }
}

async fn beat(client: Client, region: String, state: Arc<State>) {
    let region = region.parse().unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tick.tick().await;
        let beat = Heartbeat {
            incarnation: 1,
            head_seq: state.outbox.lock().unwrap().len() as u64,
            published_seq: state.published.load(Ordering::SeqCst),
            watermark_seq: state.watermark.load(Ordering::SeqCst),
            oldest_unsynced_at: Some(START),
            at: START,
            public_url: format!("http://{region}.example"),
            ..Heartbeat::default()
        };
        let body = rmp_serde::to_vec_named(&beat).unwrap();
        client.publish(subject::heartbeat(&region), body.into()).await.ok();
    }
}

async fn hear(client: Client, region: String, state: Arc<State>) {
    let region = region.parse().unwrap();
    let mut messages = client.subscribe(subject::watermark(&region)).await.unwrap();
    while let Some(message) = messages.next().await {
        let watermark: Watermark = rmp_serde::from_slice(&message.payload).unwrap();
        state.watermark.fetch_max(watermark.seq, Ordering::SeqCst);
    }
}

async fn answer(client: Client, region: String, state: Arc<State>) {
    let region = region.parse().unwrap();
    let mut requests = client.subscribe(subject::repair(&region)).await.unwrap();
    while let Some(Message { payload, reply, .. }) = requests.next().await {
        state.asked.fetch_add(1, Ordering::SeqCst);
        let request: RepairRequest = rmp_serde::from_slice(&payload).unwrap();
        let body = {
            let outbox = state.outbox.lock().unwrap();
            let (first, last) = (request.from_seq - 1, request.to_seq.min(outbox.len() as u64));
            // Pages of at most ten, so that a repair takes several.
            let last = last.min(first + 10);
            let rows = outbox.get(first as usize..last as usize).unwrap_or_default();
            let reply = RepairReply {
                rows: rows.iter().cloned().map(ByteBuf::from).collect(),
                first_seq: request.from_seq,
                mark_before: None,
                head_seq: outbox.len() as u64,
            };
            rmp_serde::to_vec_named(&reply).unwrap()
        };
        if state.answers.load(Ordering::SeqCst) {
            client.publish(reply.unwrap(), body.into()).await.unwrap();
        }
    }
}
