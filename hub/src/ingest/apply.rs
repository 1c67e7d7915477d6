//! One transaction: events, projections, cursors and the position, of a batch of messages.
//!
//! Exactly once and in order per region: an event is applied only if its sequence is the cursor's plus one, and the
//! cursor moves in the same transaction. Everything else is skipped, held back or refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tomato_shared::cell::RegionId;
use tomato_shared::event;
use tomato_shared::id::OrderId;
use tomato_shared::subject::Origin;
use tomato_shared::time::UnixMs;

use crate::fold::{Facts, Fold};
use crate::store::StoreFault;
use crate::store::events::{self, Position, Quarantined, StoredEvent};
use crate::store::regions::{self, Cursor};

/// One event as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// By the server's header, or by the repair request; never by the message itself.
    pub(crate) origin: Origin,
    /// Its place in the hub's stream; `None` for a repaired row.
    pub(crate) stream_seq: Option<u64>,
    /// An encoded envelope, if it is what it claims.
    pub(crate) payload: Bytes,
}

/// What is applied together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) arrivals: Vec<Arrival>,
    /// Where the hub stands in its stream after the batch; `None` for repaired rows.
    pub(crate) position: Option<Position>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Regions whose cursor moved, and where it stands now.
    pub(crate) moved: BTreeMap<RegionId, Cursor>,
    /// Regions with events that had to be held back, and the highest sequence among them.
    pub(crate) held: BTreeMap<RegionId, u64>,
    pub(crate) applied: u64,
    /// Already applied before.
    pub(crate) repeated: u64,
    pub(crate) quarantined: u64,
    pub(crate) anomalies: u64,
    /// Orders that changed.
    pub(crate) changed: BTreeMap<RegionId, Vec<OrderId>>,
}

/// Applies a batch durably, or not at all.
pub(crate) fn apply(conn: &mut Connection, batch: &Batch, now: UnixMs) -> Result<Outcome, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut run = Run {
        tx: &tx,
        now,
        cursors: BTreeMap::new(),
        folds: BTreeMap::new(),
        outcome: Outcome::default(),
    };
    for arrival in &batch.arrivals {
        run.take(arrival)?;
    }
    let outcome = run.finish()?;
    if let Some(position) = batch.position {
        events::save_position(&tx, position)?;
    }
    tx.commit()?;
    Ok(outcome)
}

/// A batch on its way into its transaction.
struct Run<'t> {
    tx: &'t Transaction<'t>,
    now: UnixMs,
    /// `None`: the region is not registered.
    cursors: BTreeMap<RegionId, Option<Cursor>>,
    /// Of the regions that the batch moves; written once, at the end.
    folds: BTreeMap<RegionId, Fold<'t>>,
    outcome: Outcome,
}

impl<'t> Run<'t> {
    fn take(&mut self, arrival: &Arrival) -> Result<(), StoreFault> {
        let origin = &arrival.origin;
        let Some(cursor) = self.cursor(&origin.region)? else {
            return match arrival.stream_seq {
                Some(stream_seq) => events::pass_by(self.tx, &origin.region, stream_seq),
                None => Ok(()),
            };
        };
        if origin.seq <= cursor.seq {
            self.outcome.repeated += 1;
            return Ok(());
        }
        if origin.seq != cursor.seq + 1 {
            self.hold(origin);
            return Ok(());
        }
        let decoded = event::decode(&arrival.payload);
        let facts = match &decoded {
            Ok(decoded) => Facts::from(decoded),
            Err(_) => return self.refuse(arrival, "not an envelope"),
        };
        if let Some(reason) = contradiction(origin, cursor, &facts) {
            return self.refuse(arrival, reason);
        }
        self.apply_next(arrival, &facts)
    }

    fn cursor(&mut self, region: &RegionId) -> Result<Option<Cursor>, StoreFault> {
        if let Some(known) = self.cursors.get(region) {
            return Ok(*known);
        }
        let found = match regions::cursor(self.tx, region)? {
            Some(cursor) => Some(cursor),
            None => regions::is_known(self.tx, region)?.then(Cursor::default),
        };
        self.cursors.insert(region.clone(), found);
        Ok(found)
    }

    fn hold(&mut self, origin: &Origin) {
        let highest = self.outcome.held.entry(origin.region.clone()).or_default();
        *highest = origin.seq.max(*highest);
    }

    /// A refused message leaves a gap, which the region's own row has to fill.
    fn refuse(&mut self, arrival: &Arrival, reason: &'static str) -> Result<(), StoreFault> {
        let Origin { region, seq } = &arrival.origin;
        self.hold(&arrival.origin);
        let refused = Quarantined {
            region,
            seq: *seq,
            reason,
            payload: &arrival.payload,
        };
        if events::quarantine(self.tx, refused, self.now)? {
            self.outcome.quarantined += 1;
            tracing::warn!(%region, seq, reason, "message quarantined");
        }
        Ok(())
    }

    fn apply_next(&mut self, arrival: &Arrival, facts: &Facts<'_>) -> Result<(), StoreFault> {
        let region = &arrival.origin.region;
        events::insert(
            self.tx,
            StoredEvent {
                region,
                seq: facts.seq,
                incarnation: facts.incarnation,
                at: facts.at,
                name: facts.name,
                order: facts.order,
                known: facts.event.is_some(),
                payload: &arrival.payload,
            },
        )?;
        if facts.event.is_none() {
            tracing::warn!(%region, seq = facts.seq, name = facts.name, "event of a newer node is kept but not counted");
        }
        if !self.folds.contains_key(region) {
            self.folds.insert(region.clone(), Fold::new(self.tx, region)?);
        }
        if let Some(fold) = self.folds.get_mut(region) {
            fold.take(facts)?;
        }
        let cursor = Cursor {
            incarnation: facts.incarnation,
            seq: facts.seq,
            at: facts.at,
        };
        self.cursors.insert(region.clone(), Some(cursor));
        self.outcome.moved.insert(region.clone(), cursor);
        self.outcome.applied += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, StoreFault> {
        for (region, fold) in self.folds {
            let folded = fold.finish()?;
            self.outcome.anomalies += folded.anomalies;
            self.outcome.changed.insert(region, folded.orders);
        }
        for (region, cursor) in &self.outcome.moved {
            regions::save_cursor(self.tx, region, *cursor)?;
        }
        Ok(self.outcome)
    }
}

/// Why an envelope cannot be the event that follows the cursor.
fn contradiction(origin: &Origin, cursor: Cursor, facts: &Facts<'_>) -> Option<&'static str> {
    if *facts.region != origin.region {
        Some("names another region than its source")
    } else if facts.seq != origin.seq || i64::try_from(facts.seq).is_err() {
        Some("names another sequence than its source")
    } else if facts.incarnation < cursor.incarnation {
        Some("is of an incarnation that has ended")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
