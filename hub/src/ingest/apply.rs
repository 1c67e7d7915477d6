//! One transaction: events, projections, cursors and the position, of a batch of messages.
//!
//! Exactly once and in order per region: an event is applied only if its sequence is the cursor's plus one, and the
//! cursor moves in the same transaction. Everything else is skipped, held back or refused.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tomato_shared::cell::RegionId;
use tomato_shared::event::{self, Event};
use tomato_shared::id::OrderId;
use tomato_shared::subject::Origin;
use tomato_shared::sync::{begins_incarnation, incarnation_of, mark};
use tomato_shared::time::UnixMs;

use crate::fold::{Facts, Fold};
use crate::projections::analytics::Deltas;
use crate::rebuild;
use crate::store::StoreFault;
use crate::store::archive::{self, Past};
use crate::store::events::{self, Position, Quarantined};
use crate::store::forgotten;
use crate::store::regions::{self, Cursor};
use crate::store::rollups;

/// One event as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// By the server's header, or by the repair request; never by the message itself.
    pub(crate) origin: Origin,
    /// Its place in the hub's stream; `None` for a repaired row.
    pub(crate) stream_seq: Option<u64>,
    /// Mark of the event before it, as its region has that one.
    pub(crate) follows: Option<String>,
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
    /// Regions that say something else than what the hub has: their files were restored from old copies.
    pub(crate) apart: BTreeSet<RegionId>,
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
        events: BTreeMap::new(),
        past: Past::default(),
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
struct Run<'t, 'b> {
    tx: &'t Transaction<'t>,
    now: UnixMs,
    /// `None`: the region is not registered.
    cursors: BTreeMap<RegionId, Option<Cursor>>,
    /// Of the regions that the batch moves; written once, at the end.
    folds: BTreeMap<RegionId, Fold<'t>>,
    /// What the batch adds to each region's events.
    events: BTreeMap<RegionId, Vec<(u64, &'b [u8])>>,
    /// What was stored before.
    past: Past,
    outcome: Outcome,
}

impl<'t, 'b> Run<'t, 'b> {
    fn take(&mut self, arrival: &'b Arrival) -> Result<(), StoreFault> {
        let origin = &arrival.origin;
        let Some(cursor) = self.cursor(&origin.region)? else {
            return match arrival.stream_seq {
                Some(stream_seq) => events::pass_by(self.tx, &origin.region, stream_seq),
                None => Ok(()),
            };
        };
        if self.outcome.apart.contains(&origin.region) {
            self.hold(origin);
            return Ok(());
        }
        if origin.seq <= cursor.seq {
            self.outcome.repeated += 1;
            return self.compare(arrival);
        }
        if origin.seq != cursor.seq + 1 && !begins_incarnation(origin.seq) {
            self.hold(origin);
            return Ok(());
        }
        let decoded = event::decode(&arrival.payload);
        let facts = match &decoded {
            Ok(decoded) => Facts::from(decoded),
            Err(_) => return self.refuse(arrival, "not an envelope"),
        };
        if let Some(reason) = contradiction(origin, &facts) {
            return self.refuse(arrival, reason);
        }
        if begins_incarnation(origin.seq) && facts.incarnation > 1 {
            return self.begin(arrival, cursor, &facts);
        }
        if origin.seq != cursor.seq + 1 {
            self.hold(origin);
            return Ok(());
        }
        if !self.continues(arrival, cursor)? {
            self.outcome.apart.insert(origin.region.clone());
            return self.refuse(arrival, "does not follow the newest event that the hub has");
        }
        self.apply_next(arrival, &facts)
    }

    /// An event that was applied before is the same event, or the region has another past than the hub knows.
    fn compare(&mut self, arrival: &Arrival) -> Result<(), StoreFault> {
        let Origin { region, seq } = &arrival.origin;
        if self.known(region, *seq)?.is_some_and(|known| known != arrival.payload) {
            self.outcome.apart.insert(region.clone());
        }
        Ok(())
    }

    /// An event that is stored, or is about to be.
    fn known(&mut self, region: &RegionId, seq: u64) -> Result<Option<&[u8]>, StoreFault> {
        if let Some(events) = self.events.get(region)
            && let Ok(place) = events.binary_search_by_key(&seq, |(seq, _)| *seq)
        {
            return Ok(events.get(place).map(|(_, payload)| *payload));
        }
        self.past.event(self.tx, region, seq)
    }

    /// Stores the batch's events, as far as it has come.
    fn store_events(&mut self) -> Result<(), StoreFault> {
        for (region, events) in std::mem::take(&mut self.events) {
            archive::append(self.tx, &region, &events)?;
        }
        Ok(())
    }

    /// Whether the event's predecessor at the region is the newest event here.
    fn continues(&mut self, arrival: &Arrival, cursor: Cursor) -> Result<bool, StoreFault> {
        let Some(follows) = &arrival.follows else {
            return Ok(true);
        };
        let newest = self.known(&arrival.origin.region, cursor.seq)?;
        Ok(newest.is_none_or(|newest| mark(newest) == *follows))
    }

    /// The first event of a later incarnation: what the hub has beyond the event that it follows is not the region's past.
    fn begin(&mut self, arrival: &'b Arrival, cursor: Cursor, facts: &Facts<'_>) -> Result<(), StoreFault> {
        let Some(Event::IncarnationStarted { follows_seq, .. }) = facts.event else {
            return self.refuse(arrival, "begins an incarnation without saying what it follows");
        };
        if cursor.seq < *follows_seq {
            self.hold(&arrival.origin);
            return Ok(());
        }
        let region = &arrival.origin.region;
        self.store_events()?;
        self.past = Past::default();
        let forgotten = forgotten::forget(self.tx, region, *follows_seq, facts.incarnation)?;
        tracing::warn!(%region, incarnation = facts.incarnation, follows_seq, forgotten, "the region goes on from an older copy of its file");
        if forgotten > 0 {
            // Without them the projections are others: all are made again, in this transaction.
            for fold in std::mem::take(&mut self.folds).into_values() {
                let folded = fold.finish()?;
                self.outcome.anomalies += folded.anomalies;
            }
            rebuild::replay(self.tx)?;
        }
        self.apply_next(arrival, facts)
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

    fn apply_next(&mut self, arrival: &'b Arrival, facts: &Facts<'_>) -> Result<(), StoreFault> {
        let region = &arrival.origin.region;
        let events = self.events.entry(region.clone()).or_default();
        events.push((facts.seq, &arrival.payload));
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
        self.store_events()?;
        let mut all = Deltas::default();
        for (region, fold) in self.folds {
            let folded = fold.finish()?;
            self.outcome.anomalies += folded.anomalies;
            self.outcome.changed.insert(region, folded.orders);
            all.join(folded.deltas);
        }
        rollups::add_to_all(self.tx, &all)?;
        for (region, cursor) in &self.outcome.moved {
            regions::save_cursor(self.tx, region, *cursor)?;
        }
        Ok(self.outcome)
    }
}

/// Why an envelope cannot be the event that follows the cursor.
fn contradiction(origin: &Origin, facts: &Facts<'_>) -> Option<&'static str> {
    if *facts.region != origin.region {
        Some("names another region than its source")
    } else if facts.seq != origin.seq || i64::try_from(facts.seq).is_err() {
        Some("names another sequence than its source")
    } else if facts.incarnation != incarnation_of(facts.seq) {
        Some("names another incarnation than its sequence is of")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
