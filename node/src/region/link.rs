//! Tells the hub that the region lives, hears from it how far it is, and gives it rows that it misses.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::{Heartbeat, PositionsReply, RepairReply, RepairRequest, Watermark, begins_incarnation, mark};
use tomato_shared::time::UnixMs;

use super::control::Obedience;
use super::directory::Locator;
use super::verify;
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

/// Most drivers in one reply about positions: some 60 bytes each.
const POSITIONS_MAX: usize = 2_000;

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
    /// What the region has of the directory.
    pub locator: Locator,
    /// What the region has of the hub's documents.
    pub control: Obedience,
    /// Something has changed that the hub waits for.
    pub beat: Arc<Notify>,
}

/// The broker does not let us listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot subscribe at the broker: {0}")]
pub struct LinkError(pub String);

impl From<async_nats::SubscribeError> for LinkError {
    fn from(error: async_nats::SubscribeError) -> Self {
        Self(error.to_string())
    }
}

impl Link {
    /// Runs until told to stop.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let mut watermarks = self.subscribe(subject::watermark(&self.region)).await?;
        let mut repairs = self.subscribe(subject::repair(&self.region)).await?;
        let mut verifies = self.subscribe(subject::verify(&self.region)).await?;
        let mut looks = self.subscribe(subject::positions(&self.region)).await?;
        // One at a time: hashing reads whole tables.
        let mut verifying = JoinSet::new();
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = beat.tick() => self.beat().await,
                () = self.beat.notified() => self.beat().await,
                Some(message) = watermarks.next() => self.watermark(&message),
                Some(message) = repairs.next() => self.repair(message).await,
                Some(message) = looks.next() => self.positions(message).await,
                Some(message) = verifies.next(), if verifying.is_empty() => {
                    let (client, path) = (self.client.clone(), self.path.clone());
                    verifying.spawn(verify::serve(client, path, message));
                }
                Some(_) = verifying.join_next() => {}
            }
        }
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, LinkError> {
        Ok(self.client.subscribe(subject).await?)
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
            fenced: head.fence.is_some(),
            directory: self.locator.territory(),
            control: self.control.now(),
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
            // With the row before the first, whose mark shows what the first follows.
            let after = request.from_seq.saturating_sub(2);
            outbox::rows(&store::pool::connect(&path).ok()?, after, REPAIR_ROWS_MAX).ok()
        });
        let rows = read.await.ok().flatten().unwrap_or_default();
        let reply = answer(rows, request, self.head.borrow().seq);
        self.send(reply_to.to_string(), &reply).await;
    }

    async fn positions(&self, message: Message) {
        let Some(reply_to) = message.reply else { return };
        let at = self.clock.now();
        let (known, drivers) = self.fleet.positions(at, POSITIONS_MAX);
        let known = known as u64;
        self.send(reply_to.to_string(), &PositionsReply { at, known, drivers })
            .await;
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

/// The rows that were asked for, without a gap, as many as fit into one message. Where the first was never given because an
/// incarnation ended before it, those of the next incarnation.
fn answer(rows: Vec<outbox::Row>, request: RepairRequest, head_seq: u64) -> RepairReply {
    let mut rows = rows.into_iter().peekable();
    let before = rows.next_if(|row| row.seq < request.from_seq);
    let first_seq = match rows.peek() {
        Some(row) if row.seq != request.from_seq && begins_incarnation(row.seq) => row.seq,
        Some(_) | None => request.from_seq,
    };
    let asked_for = request.to_seq.saturating_sub(request.from_seq);
    let mut bytes = 0;
    let rows = (first_seq..=first_seq.saturating_add(asked_for))
        .zip(rows)
        .take_while(|(wanted, row)| {
            bytes += row.payload.len();
            row.seq == *wanted && bytes <= REPAIR_BYTES_MAX
        })
        .map(|(_, row)| serde_bytes::ByteBuf::from(row.payload))
        .collect();
    let mark_before = before
        .filter(|row| row.seq + 1 == first_seq)
        .map(|row| mark(&row.payload));
    RepairReply {
        rows,
        first_seq,
        mark_before,
        head_seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tomato_shared::sync::first_seq;

    #[test]
    fn an_answer_has_no_gap_but_between_incarnations() {
        let row = |seq: u64| outbox::Row {
            seq,
            name: String::new(),
            payload: seq.to_be_bytes().to_vec(),
        };
        let second = first_seq(2);
        let seqs = |from_seq: u64, to_seq, rows: &[u64]| {
            let rows = rows
                .iter()
                .filter(|seq| **seq + 1 >= from_seq)
                .map(|seq| row(*seq))
                .collect();
            let reply = answer(rows, RepairRequest { from_seq, to_seq }, 9);
            (reply.first_seq, reply.rows.len(), reply.mark_before)
        };
        let before = |seq: u64| Some(mark(&seq.to_be_bytes()));
        assert_eq!(seqs(1, 9, &[1, 2, 3]), (1, 3, None));
        assert_eq!(seqs(2, 2, &[1, 2, 3]), (2, 1, before(1)));
        assert_eq!(seqs(2, 9, &[3, 4]), (2, 0, None), "swept");
        assert_eq!(seqs(3, 9, &[2, 3, 5]), (3, 1, before(2)));
        assert_eq!(seqs(4, 9, &[2, 3, second, second + 1]), (second, 2, None));
        assert_eq!(seqs(4, 9, &[3]), (4, 0, before(3)));
    }
}
