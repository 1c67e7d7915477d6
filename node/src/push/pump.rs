//! Makes messages of committed events, each once: the cursor moves in the transaction that holds them.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tomato_shared::event::Envelope;
use tomato_shared::id::{MessageId, WebhookId};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::{DurationMs, UnixMs};

use super::Push;
use super::model::{Content, Lane, NewMessage, Notice, Party, Platform, Webhook};
use super::texts;
use super::webhook::{Body, Data};
use crate::engine::model::{By, Order};
use crate::feed::audience;
use crate::http::orders::event_data;
use crate::store::StoreError;
use crate::store::pool::ReadError;
use crate::store::push::{Enqueue, Errand};
use crate::store::reads::push as reads;
use crate::writer::{Context, Failure};

/// Events looked at for one transaction.
const WINDOW: u64 = 512;
/// Messages that wait for one push service; who is told late of so much is told nothing new.
const DEVICE_BACKLOG_MAX: usize = 100_000;
/// How often the cursor is written where there was nobody to tell.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Pause after a fault, and longest time without a look.
const PAUSE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(5);

/// Runs until told to stop.
pub(super) async fn run(push: Push, mut stop: StopSignal) {
    tokio::select! {
        () = stop.stopped() => {}
        () = pump(push) => {}
    }
}

/// A stretch of events and what comes of it.
struct Stretch {
    messages: Vec<NewMessage>,
    missed: HashMap<WebhookId, u64>,
    upto: u64,
}

async fn pump(mut push: Push) {
    let mut cursor = loop {
        match push.reads.read(reads::notified_seq).await {
            Ok(found) => break found.unwrap_or(0),
            Err(error) => pause(&error).await,
        }
    };
    let (mut saved, mut saved_at) = (cursor, Instant::now());
    loop {
        let head = *push.head.borrow_and_update();
        push.metrics
            .notify_lag
            .set(usize::try_from(head.seq.saturating_sub(cursor)).unwrap_or(usize::MAX));
        if cursor >= head.seq {
            // What is left to save is saved by the time at which there is nothing to do.
            if tokio::time::timeout(IDLE, push.head.changed()).await.is_err() && saved < cursor {
                saved = save(&push, cursor, saved).await;
            }
            continue;
        }
        let stretch = match look(&push, cursor, head.incarnation).await {
            Ok(stretch) => stretch,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        cursor = stretch.upto;
        let idle = stretch.messages.is_empty() && stretch.missed.is_empty();
        if idle && saved_at.elapsed() < SAVE_EVERY {
            continue;
        }
        let lanes: BTreeSet<Lane> = stretch.messages.iter().map(|message| message.lane).collect();
        push.metrics.notify_missed.add(stretch.missed.values().sum());
        let errand = Errand::Enqueue(Enqueue {
            upto: cursor,
            messages: stretch.messages,
            missed: stretch.missed.into_iter().collect(),
        });
        // Whether it was written is not known: the cursor in the file knows.
        if written(&push, errand).await {
            (saved, saved_at) = (cursor, Instant::now());
            lanes.into_iter().for_each(|lane| push.bells.ring(lane));
        } else {
            cursor = saved;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn pause(error: &ReadError) {
    tracing::warn!(%error, "events cannot be read for notifications; trying again");
    tokio::time::sleep(PAUSE).await;
}

async fn save(push: &Push, cursor: u64, saved: u64) -> u64 {
    let errand = Errand::Enqueue(Enqueue {
        upto: cursor,
        messages: Vec::new(),
        missed: Vec::new(),
    });
    if written(push, errand).await { cursor } else { saved }
}

async fn written(push: &Push, errand: Errand) -> bool {
    match push.writer.errand(By::System, errand, Context::default()).await {
        Ok(_) => true,
        // Orders come first.
        Err(Failure::Overloaded) => false,
        Err(failure) => {
            tracing::warn!(?failure, "messages could not be written");
            false
        }
    }
}

/// Reads a stretch of events and says who is told what. Where there is nobody, all events are passed over at once.
async fn look(push: &Push, after: u64, incarnation: u32) -> Result<Stretch, ReadError> {
    let maker = Maker {
        region: push.region.clone(),
        incarnation,
        now: push.clock.now(),
        fcm: push.ways.fcm.is_some(),
        apns: push.ways.apns.is_some(),
        backlog_max: push.config.webhooks.backlog_max,
    };
    push.reads
        .read(move |connection| {
            if !reads::has_receivers(connection)? {
                let head = crate::store::reads::head_seq(connection)?;
                return Ok(Stretch {
                    messages: Vec::new(),
                    missed: HashMap::new(),
                    upto: head.max(after),
                });
            }
            maker.stretch(connection, after)
        })
        .await
}

struct Maker {
    region: tomato_shared::cell::RegionId,
    incarnation: u32,
    now: UnixMs,
    fcm: bool,
    apns: bool,
    backlog_max: usize,
}

impl Maker {
    fn stretch(&self, connection: &rusqlite::Connection, after: u64) -> Result<Stretch, StoreError> {
        let (events, upto) = reads::events_with_orders(connection, after, WINDOW)?;
        let mut stretch = Stretch {
            messages: Vec::new(),
            missed: HashMap::new(),
            upto,
        };
        let mut full = HashMap::new();
        let mut is_full = |lane, most| match full.get(&lane) {
            Some(known) => Ok(*known),
            None => {
                let found = reads::is_full(connection, lane, most)?;
                full.insert(lane, found);
                Ok::<bool, StoreError>(found)
            }
        };
        let webhooks = reads::webhooks(connection)?;
        for (envelope, order) in &events {
            for (webhook, _) in &webhooks {
                if !self.concerns(webhook, envelope, order) {
                    continue;
                }
                if is_full(Lane::Webhook(webhook.id), self.backlog_max)? {
                    *stretch.missed.entry(webhook.id).or_default() += 1;
                } else {
                    stretch.messages.extend(self.for_webhook(webhook, envelope));
                }
            }
            for party in audience::parties(&envelope.event, order).into_iter().flatten() {
                for message in self.for_devices(connection, party, (envelope, order))? {
                    if !is_full(message.lane, DEVICE_BACKLOG_MAX)? {
                        stretch.messages.push(message);
                    }
                }
            }
        }
        Ok(stretch)
    }

    fn concerns(&self, webhook: &Webhook, envelope: &Envelope, order: &Order) -> bool {
        webhook.wants(envelope.event.name())
            && envelope.at >= webhook.made_at
            && audience::name_for(&envelope.event, order, webhook.viewer()).is_some()
    }

    fn for_webhook(&self, webhook: &Webhook, envelope: &Envelope) -> Option<NewMessage> {
        let event = envelope.event.name();
        let body = Body {
            kind: event,
            timestamp: envelope.at,
            data: Data {
                region: &self.region,
                seq: envelope.seq,
                order_id: envelope.order.map(|order| order.id),
                version: envelope.order.map(|order| order.version),
                by: Some(envelope.by),
                event: Some(event_data(&envelope.event).ok()?),
            },
        };
        Some(NewMessage {
            id: self.id(envelope.seq, &[webhook.id.bytes()]),
            lane: Lane::Webhook(webhook.id),
            seq: envelope.seq,
            ends_at: UnixMs(i64::MAX),
            content: Content::Event {
                event: event.to_owned(),
                body: serde_json::to_string(&body).ok()?,
                trace: envelope.trace.clone(),
            },
        })
    }

    fn for_devices(
        &self,
        connection: &rusqlite::Connection,
        by: By,
        (envelope, order): (&Envelope, &Order),
    ) -> Result<Vec<NewMessage>, StoreError> {
        let told = Party::of(by).zip(audience::name_for(&envelope.event, order, by));
        let told = told.and_then(|(party, name)| Some((party, name, texts::style(party.app(), name)?)));
        let Some((party, name, style)) = told else {
            return Ok(Vec::new());
        };
        let ends_at = envelope.at + style.ttl;
        if ends_at <= self.now + DurationMs(0) {
            return Ok(Vec::new());
        }
        let devices = reads::devices_of(connection, party)?;
        let message = |device: reads::Target| NewMessage {
            id: self.id(envelope.seq, &[device.owner.as_bytes(), device.name.as_bytes()]),
            lane: match device.platform {
                Platform::Fcm if self.fcm => Lane::Fcm,
                Platform::Apns if self.apns => Lane::Apns,
                Platform::Fcm | Platform::Apns => Lane::Log,
            },
            seq: envelope.seq,
            ends_at,
            content: Content::Notice(Notice {
                owner: device.owner,
                device: device.name,
                app: party.app(),
                name,
                order_id: order.id,
                version: envelope.order.map_or(order.version, |about| about.version),
                at: envelope.at,
                trace: envelope.trace.clone(),
            }),
        };
        Ok(devices.into_iter().map(message).collect())
    }

    /// The same for the same event and receiver.
    fn id(&self, seq: u64, receiver: &[&[u8]]) -> MessageId {
        let mut hash = Sha256::new();
        hash.update(self.region.as_str());
        hash.update(self.incarnation.to_be_bytes());
        hash.update(seq.to_be_bytes());
        for part in receiver {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // Apple wants a UUID; version 8 is for whoever makes their own.
        MessageId::from_bytes(*uuid::Builder::from_custom_bytes(bytes).as_uuid().as_bytes())
    }
}
