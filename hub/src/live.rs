//! What the hub knows of each region at this moment: its heartbeat, how far it is applied, what is missing.
//!
//! Kept in memory for the tasks that act on it and for `/v1/regions`. Nothing here is the truth: cursors are in
//! SQLite, and heartbeats come again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tomato_shared::cell::RegionId;
use tomato_shared::sync::Heartbeat;
use tomato_shared::time::UnixMs;

use crate::store::regions::Cursor;

/// A heartbeat younger than this shows that node and link are alive; nodes send one every 2 s.
pub(crate) const FRESH: Duration = Duration::from_secs(6);

/// One region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Now {
    pub(crate) heard: Option<Heard>,
    pub(crate) cursor: Cursor,
    /// Since when the region is known to be ahead of the cursor without the cursor moving.
    pub(crate) behind_since: Option<Instant>,
    /// When the cursor last moved, in this process.
    pub(crate) advanced: Option<Instant>,
    /// The newest event on which node and hub agree, where the node runs on an old copy of its file.
    pub(crate) agreed_seq: Option<u64>,
    pub(crate) gap: Option<Gap>,
    pub(crate) source: Option<Source>,
    /// The newest version of what the region is told; 0 where it is told nothing.
    pub(crate) edition: u64,
}

/// A sign of life.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) beat: Heartbeat,
    pub(crate) received_at: UnixMs,
    /// `None`: read from the database, heard before this process started.
    pub(crate) received: Option<Instant>,
}

/// Events that have to be fetched from the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Everything up to here is wanted.
    pub(crate) wanted_seq: u64,
    pub(crate) since: UnixMs,
    /// Why the last attempt did not help, if there was one.
    pub(crate) problem: Option<String>,
}

/// How the hub's server sees its source of the region's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// Since the server last heard of the source; `None`: never.
    pub(crate) silent: Option<Duration>,
}

impl Now {
    /// Whether the node was heard from within [`FRESH`].
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.heard
            .as_ref()
            .and_then(|heard| heard.received)
            .is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }

    /// The node's newest sequence, as far as the hub knows. A node that is behind its own past counts as up to date.
    pub(crate) fn head_seq(&self) -> u64 {
        let heard = self.heard.as_ref().map_or(0, |heard| heard.beat.head_seq);
        heard.max(self.cursor.seq)
    }

    /// How many events the hub lacks, as far as it knows. Between two incarnations sequences are left out.
    pub(crate) fn missing(&self) -> u64 {
        match &self.heard {
            Some(heard) if heard.beat.incarnation > self.cursor.incarnation && self.cursor.seq > 0 => {
                heard.beat.head_seq.saturating_sub(heard.beat.watermark_seq)
            }
            Some(_) | None => self.head_seq() - self.cursor.seq,
        }
    }

    /// For how long the region has been ahead of a cursor that does not move; `None` if it is not ahead.
    pub(crate) fn behind_for(&self, now: Instant) -> Option<Duration> {
        self.behind_since.map(|since| now.saturating_duration_since(since))
    }

    fn is_behind(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| {
            heard.beat.incarnation >= self.cursor.incarnation && heard.beat.head_seq > self.cursor.seq
        })
    }
}

/// All regions that were ever registered.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<BTreeMap<RegionId, Now>>);

impl Live {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RegionId, Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a region known; its state stays if it already is.
    pub(crate) fn register(&self, region: &RegionId) {
        self.lock().entry(region.clone()).or_default();
    }

    /// A copy of everything.
    pub(crate) fn snapshot(&self) -> BTreeMap<RegionId, Now> {
        self.lock().clone()
    }

    /// A copy of one region.
    #[cfg(test)]
    pub(crate) fn get(&self, region: &RegionId) -> Option<Now> {
        self.lock().get(region).cloned()
    }

    /// Takes a heartbeat in; those of unknown regions change nothing.
    pub(crate) fn hear(&self, region: &RegionId, heard: Heard) {
        if let Some(now) = self.lock().get_mut(region) {
            let at = heard.received;
            now.heard = Some(heard);
            now.behind_since = match (now.is_behind(), now.behind_since) {
                (false, _) => None,
                (true, None) => at,
                (true, since) => since,
            };
        }
    }

    /// The cursor of a region is durable at `cursor`.
    pub(crate) fn advance(&self, region: &RegionId, cursor: Cursor, at: Instant) {
        if let Some(now) = self.lock().get_mut(region) {
            now.cursor = cursor;
            now.advanced = Some(at);
            now.agreed_seq = None;
            now.behind_since = now.is_behind().then_some(at);
        }
    }

    /// Sets what has to be fetched from the node.
    pub(crate) fn set_gap(&self, region: &RegionId, gap: Option<Gap>) {
        if let Some(now) = self.lock().get_mut(region) {
            now.gap = gap;
        }
    }

    /// Sets up to where an old copy and the hub agree.
    pub(crate) fn set_agreed(&self, region: &RegionId, agreed_seq: u64) {
        if let Some(now) = self.lock().get_mut(region) {
            now.agreed_seq = Some(agreed_seq);
        }
    }

    /// Sets the newest versions of what the regions are told.
    pub(crate) fn set_editions(&self, versions: &BTreeMap<RegionId, u64>) {
        for (region, now) in &mut *self.lock() {
            now.edition = versions.get(region).copied().unwrap_or_default();
        }
    }

    /// Sets how the server sees the sources; regions without a source get `None`.
    pub(crate) fn set_sources(&self, sources: &BTreeMap<RegionId, Source>) {
        for (region, now) in &mut *self.lock() {
            now.source = sources.get(region).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(head_seq: u64, incarnation: u32, at: Instant) -> Heard {
        Heard {
            beat: Heartbeat {
                incarnation,
                head_seq,
                published_seq: head_seq,
                ..Heartbeat::default()
            },
            received_at: UnixMs(0),
            received: Some(at),
        }
    }

    #[test]
    fn being_behind_counts_from_the_last_progress() {
        let (live, blr) = (Live::default(), "blr".parse().unwrap());
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let cursor = |seq| Cursor {
            incarnation: 2,
            seq,
            ..Cursor::default()
        };
        let behind = |seconds| live.get(&blr).and_then(|now| now.behind_for(after(seconds)));
        live.hear(&blr, heard(5, 2, start));
        assert!(live.get(&blr).is_none(), "not registered");
        live.register(&blr);
        live.advance(&blr, cursor(5), start);
        live.hear(&blr, heard(5, 2, after(100)));
        assert_eq!(behind(100), None);
        live.hear(&blr, heard(7, 1, after(101)));
        assert_eq!(behind(101), None, "an ended incarnation has nothing new");
        live.hear(&blr, heard(7, 2, after(102)));
        live.hear(&blr, heard(8, 2, after(104)));
        assert_eq!(behind(105), Some(Duration::from_secs(3)));
        live.advance(&blr, cursor(7), after(106));
        assert_eq!(behind(107), Some(Duration::from_secs(1)));
        live.advance(&blr, cursor(8), after(108));
        assert_eq!(behind(109), None);
        assert!(live.get(&blr).unwrap().is_fresh(after(109)));
        assert!(!live.get(&blr).unwrap().is_fresh(after(111)));
    }
}
