//! `tomato-node incarnation new`: lets a region go on from a restored copy of its file.
//!
//! What the hub has beyond the copy is given up: nobody in the region knows of it any more. What the region did since it was
//! restored, the hub has not: those events are told again, under sequences of the new incarnation.

use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior, params};
use tomato_shared::event::{Decoded, ENVELOPE_VERSION, Envelope, Event, decode, encode};
use tomato_shared::sync::{Watermark, first_seq};
use tomato_shared::time::UnixMs;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::meta::{self, Meta};
use crate::store::{self, Store, StoreError, load, outbox};

/// Events moved before the next are read.
const PAGE: usize = 2_000;

/// Why there is no new incarnation; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nothing is wrong with the file, as far as it knows.
    #[error(
        "this file is not known to be an old copy, so there is nothing to decide. If it was restored, start the node and let \
         it reach the hub: /readyz says when it is behind"
    )]
    NotFenced,
    /// The hub has not compared yet.
    #[error(
        "the file is an old copy, but the hub has not yet said up to where the two agree: start the node, let it reach the \
         hub until /readyz names an event, stop it, and call this again"
    )]
    NotCompared,
    /// The configuration has no region.
    #[error("the configuration lacks the region's id")]
    NoRegion,
    /// There is no file to decide about.
    #[error("{} does not exist", path.display())]
    NoFile {
        /// Where it should be.
        path: PathBuf,
    },
    /// An event of a newer program.
    #[error("event {seq} was written by a newer program and cannot be told again; use that one")]
    Unknown {
        /// Which.
        seq: u64,
    },
    /// The file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The new incarnation.
    pub incarnation: u32,
    /// Newest event that file and hub both have.
    pub agreed_seq: u64,
    /// Newest event that the hub had been told; what is beyond `agreed_seq` the region does not know.
    pub hub_seq: u64,
    /// Own events since then, which are told again.
    pub retold: u64,
}

/// Opens the region's file, which no running node may have, and takes a new incarnation.
///
/// # Errors
/// [`Refused`]; nothing was changed.
pub fn take(config: &Config) -> Result<Taken, Refused> {
    let region = config.region.id.as_ref().ok_or(Refused::NoRegion)?;
    let path = config.store_path();
    if !path.exists() {
        return Err(Refused::NoFile { path });
    }
    let mut store = store::open(&path)?;
    let meta = meta::load_or_create(&store.connection, region, &[])?;
    let loaded = load::load(&store.connection, UnixMs(0))?;
    let clock = Clock::start(config.clock.epoch, config.clock.rate, loaded.head_at);
    renew(&mut store, &meta, clock.now())
}

/// Gives a fenced file a new incarnation and takes the fence away, in one transaction. `now`: region time.
///
/// # Errors
/// [`Refused`]; nothing was changed.
pub fn renew(store: &mut Store, meta: &Meta, now: UnixMs) -> Result<Taken, Refused> {
    let fence = meta.fence.ok_or(Refused::NotFenced)?;
    let agreed_seq = fence.agreed_seq.ok_or(Refused::NotCompared)?;
    let failed = |doing| move |source| Refused::Store(StoreError::Sqlite { doing, source });
    let begun = store
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(failed("begin a new incarnation"))?;
    let incarnation = meta.incarnation.max(fence.incarnation).saturating_add(1);
    let retold = retell(&transaction, agreed_seq, incarnation)?;
    start(&transaction, meta, (incarnation, now), fence)?;
    (|| {
        meta::set_incarnation(&transaction, incarnation)?;
        // The hub has everything before it, and the relay begins there.
        let upto = first_seq(incarnation) - 1;
        meta::set_watermark(&transaction, i64::try_from(upto).unwrap_or(i64::MAX))?;
        meta::set_fence(&transaction, None)
    })()
    .map_err(failed("write the new incarnation"))?;
    transaction.commit().map_err(failed("commit the new incarnation"))?;
    Ok(Taken {
        incarnation,
        agreed_seq,
        hub_seq: fence.seq,
        retold,
    })
}

/// Moves the events beyond `agreed_seq` behind the first of the new incarnation, and what is kept by their sequence.
fn retell(connection: &Connection, agreed_seq: u64, incarnation: u32) -> Result<u64, Refused> {
    let failed = |source| {
        Refused::Store(StoreError::Sqlite {
            doing: "tell events again",
            source,
        })
    };
    let before = first_seq(incarnation);
    let mut next = before;
    loop {
        let page = outbox::rows(connection, agreed_seq, PAGE).map_err(failed)?;
        let page: Vec<_> = page.into_iter().filter(|row| row.seq < before).collect();
        if page.is_empty() {
            return Ok(next - before);
        }
        for row in page {
            next += 1;
            let Ok(Decoded::Known(envelope)) = decode(&row.payload) else {
                return Err(Refused::Unknown { seq: row.seq });
            };
            let envelope = Envelope {
                incarnation,
                seq: next,
                ..*envelope
            };
            let payload = encode(&envelope).map_err(|_| Refused::Unknown { seq: row.seq })?;
            let (old, new) = (signed(row.seq), signed(next));
            (|| {
                let sql = "UPDATE outbox SET seq = ?2, payload = ?3 WHERE seq = ?1";
                connection.prepare_cached(sql)?.execute(params![old, new, payload])?;
                let sql = "UPDATE postings SET seq = ?2 WHERE seq = ?1";
                connection.prepare_cached(sql)?.execute([old, new])
            })()
            .map_err(failed)?;
        }
    }
}

/// The first event of the new incarnation says what it follows.
fn start(
    connection: &Connection,
    meta: &Meta,
    (incarnation, now): (u32, UnixMs),
    fence: Watermark,
) -> Result<(), Refused> {
    let seq = first_seq(incarnation);
    let envelope = Envelope {
        v: ENVELOPE_VERSION,
        region: meta.region.clone(),
        incarnation,
        seq,
        at: now,
        device_at: None,
        order: None,
        by: tomato_shared::event::Actor::Operator,
        trace: None,
        event: Event::IncarnationStarted {
            follows_seq: fence.agreed_seq.unwrap_or_default(),
            forgets_to_seq: fence.seq,
        },
    };
    let payload = encode(&envelope).map_err(|_| Refused::Unknown { seq })?;
    let sql = "INSERT INTO outbox (seq, at, type, payload) VALUES (?1, ?2, ?3, ?4)";
    let row = params![signed(seq), now.0, envelope.event.name(), payload];
    let written = connection.execute(sql, row).map(|_| ());
    written.map_err(|source| {
        Refused::Store(StoreError::Sqlite {
            doing: "start the new incarnation",
            source,
        })
    })
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
