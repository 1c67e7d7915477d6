//! Tells the hub that the region lives, hears from it how far it is, and gives it rows that it misses.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::{Heartbeat, RepairReply, RepairRequest, Watermark};
use tomato_shared::time::UnixMs;

use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::store::{self, outbox};
use crate::writer::{Head, Writer};

/// How often the hub hears from us, in real time.
const HEARTBEAT: Duration = Duration::from_millis(2_011);
/// Largest sum of payloads in one repair reply; the broker's limit for a message is 1 MB.
const REPAIR_BYTES_MAX: usize = 512 * 1024;
/// Most rows in one repair reply.
const REPAIR_ROWS_MAX: usize = 2_000;

/// What the link works with.
#[derive(Debug)]
pub struct Link {
    /// The region.
    pub region: RegionId,
    /// Where apps reach the node.
    pub public_url: String,
    /// The region's broker.
    pub client: Client,
    /// The region's file.
    pub path: PathBuf,
    /// Where the events stand.
    pub head: watch::Receiver<Head>,
    /// Newest event in the stream.
    pub published: Arc<AtomicU64>,
    /// Takes the hub's watermark.
    pub writer: Writer,
    /// Counts drivers.
    pub fleet: Arc<Fleet>,
    /// Region time.
    pub clock: Clock,
}

/// The broker does not let us listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot subscribe at the broker: {0}")]
pub struct LinkError(String);

impl Link {
    /// Runs until told to stop.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let mut watermarks = self.subscribe(subject::watermark(&self.region)).await?;
        let mut repairs = self.subscribe(subject::repair(&self.region)).await?;
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = beat.tick() => self.beat().await,
                Some(message) = watermarks.next() => self.watermark(&message),
                Some(message) = repairs.next() => self.repair(message).await,
            }
        }
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, LinkError> {
        self.client
            .subscribe(subject)
            .await
            .map_err(|error| LinkError(error.to_string()))
    }

    fn watermark(&self, message: &Message) {
        match rmp_serde::from_slice::<Watermark>(&message.payload) {
            Ok(watermark) => self.writer.watermark(watermark),
            Err(error) => tracing::warn!(%error, "the hub's watermark cannot be read"),
        }
    }

    async fn beat(&self) {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return;
        }
        let head = *self.head.borrow();
        let beat = Heartbeat {
            incarnation: head.incarnation,
            head_seq: head.seq,
            published_seq: self.published.load(Ordering::Relaxed),
            watermark_seq: head.watermark_seq,
            oldest_unsynced_at: self.oldest_unsynced_at(head).await,
            at: self.clock.now(),
            public_url: self.public_url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            active_orders: head.orders_open as u64,
            drivers_online: self.fleet.online() as u64,
        };
        self.send(subject::heartbeat(&self.region), &beat).await;
    }

    async fn oldest_unsynced_at(&self, head: Head) -> Option<UnixMs> {
        if head.watermark_seq >= head.seq {
            return None;
        }
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            outbox::oldest_at(&store::pool::connect(&path).ok()?, head.watermark_seq)
                .ok()
                .flatten()
        });
        read.await.ok().flatten()
    }

    async fn repair(&self, message: Message) {
        let Some(reply_to) = message.reply else { return };
        let request = match rmp_serde::from_slice::<RepairRequest>(&message.payload) {
            Ok(request) => request,
            Err(error) => return tracing::warn!(%error, "the hub's repair request cannot be read"),
        };
        tracing::info!(
            from_seq = request.from_seq,
            to_seq = request.to_seq,
            "the hub misses events"
        );
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            outbox::rows(
                &store::pool::connect(&path).ok()?,
                request.from_seq.saturating_sub(1),
                REPAIR_ROWS_MAX,
            )
            .ok()
        });
        let rows = read.await.ok().flatten().unwrap_or_default();
        let reply = RepairReply {
            rows: fitting(rows, request),
            head_seq: self.head.borrow().seq,
        };
        self.send(reply_to.to_string(), &reply).await;
    }

    async fn send<T: serde::Serialize>(&self, subject: String, body: &T) {
        match rmp_serde::to_vec_named(body) {
            Ok(bytes) => {
                if let Err(error) = self.client.publish(subject, bytes.into()).await {
                    tracing::warn!(%error, "message to the hub not sent");
                }
            }
            Err(error) => tracing::error!(%error, "message to the hub does not serialise"),
        }
    }
}

/// The rows that were asked for, without a gap, as many as fit into one message.
fn fitting(rows: Vec<outbox::Row>, request: RepairRequest) -> Vec<serde_bytes::ByteBuf> {
    let mut bytes = 0;
    (request.from_seq..=request.to_seq)
        .zip(rows)
        .take_while(|(wanted, row)| {
            bytes += row.payload.len();
            row.seq == *wanted && bytes <= REPAIR_BYTES_MAX
        })
        .map(|(_, row)| serde_bytes::ByteBuf::from(row.payload))
        .collect()
}
