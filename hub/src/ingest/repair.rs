//! Fetches missing events from the node itself: its outbox is the truth, the streams only carry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::client::{Request, RequestErrorKind};
use bytes::Bytes;
use tomato_shared::cell::RegionId;
use tomato_shared::subject::{self, Origin};
use tomato_shared::sync::{RepairReply, RepairRequest};
use tomato_shared::time::UnixMs;

use super::apply::Arrival;
use crate::live::{Gap, Now};

/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two attempts that did not help.
const PAUSE: Duration = Duration::from_secs(2);
/// A region that is ahead for so long without any progress is asked.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// Rows asked for at once; a node sends as many of them as fit into one message.
const PAGE: u64 = 10_000;

/// Why a repair request did not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairFault {
    #[error("the node cannot be reached")]
    Unreachable,
    #[error("the node did not answer within 2 s")]
    TimedOut,
    #[error("the request failed: {0}")]
    Request(String),
    #[error("the node's answer cannot be read")]
    Unreadable,
    #[error("the node does not have these events any more")]
    Gone,
    #[error("the node's own rows are refused: see the quarantine")]
    Refused,
}

/// Asks a node for the events from `from_seq` on, at most up to `to_seq`.
pub(crate) async fn ask(
    client: &Client,
    region: &RegionId,
    from_seq: u64,
    to_seq: u64,
) -> Result<Vec<Arrival>, RepairFault> {
    let to_seq = to_seq.min(from_seq.saturating_add(PAGE - 1));
    let body = rmp_serde::to_vec_named(&RepairRequest { from_seq, to_seq })
        .map_err(|fault| RepairFault::Request(fault.to_string()))?;
    let request = Request::new().payload(Bytes::from(body)).timeout(Some(ANSWER));
    let answer = client.send_request(subject::repair(region), request).await;
    let message = answer.map_err(|fault| match fault.kind() {
        RequestErrorKind::NoResponders => RepairFault::Unreachable,
        RequestErrorKind::TimedOut => RepairFault::TimedOut,
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::Other => {
            RepairFault::Request(fault.to_string())
        }
    })?;
    let reply: RepairReply = rmp_serde::from_slice(&message.payload).map_err(|_| RepairFault::Unreadable)?;
    if reply.rows.is_empty() {
        return Err(RepairFault::Gone);
    }
    let RepairReply {
        first_seq,
        mut mark_before,
        ..
    } = reply;
    let numbered = (first_seq..=u64::MAX).zip(reply.rows);
    let arrivals = numbered.map(|(seq, row)| Arrival {
        origin: Origin {
            region: region.clone(),
            seq,
        },
        stream_seq: None,
        // The rows after the first follow it in the same answer.
        follows: mark_before.take(),
        payload: Bytes::from(row.into_vec()),
    });
    Ok(arrivals.collect())
}

/// The gaps of all regions, and when to do something about each.
#[derive(Debug, Default)]
pub(crate) struct Gaps(BTreeMap<RegionId, Open>);

#[derive(Debug)]
struct Open {
    gap: Gap,
    /// `None`: a request is under way.
    next_try: Option<Instant>,
}

impl Gaps {
    /// Events up to `seq` are missing. True if the region had no gap before.
    pub(crate) fn want(&mut self, region: &RegionId, seq: u64, at: (Instant, UnixMs)) -> bool {
        if let Some(open) = self.0.get_mut(region) {
            open.gap.wanted_seq = open.gap.wanted_seq.max(seq);
            return false;
        }
        let gap = Gap {
            wanted_seq: seq,
            since: at.1,
            problem: None,
        };
        let next_try = Some(at.0);
        self.0.insert(region.clone(), Open { gap, next_try });
        true
    }

    /// Everything up to `seq` is applied. The gap, if that closes it.
    pub(crate) fn reach(&mut self, region: &RegionId, seq: u64) -> Option<Gap> {
        let closed = self.0.get(region).is_some_and(|open| open.gap.wanted_seq <= seq);
        if closed {
            self.0.remove(region).map(|open| open.gap)
        } else {
            None
        }
    }

    /// The regions to ask now, each with the last sequence that is wanted; they count as asked.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(RegionId, u64)> {
        let mut due = Vec::new();
        for (region, open) in &mut self.0 {
            if open.next_try.is_some_and(|at| at <= now) {
                open.next_try = None;
                due.push((region.clone(), open.gap.wanted_seq));
            }
        }
        due
    }

    /// A request is over. `problem`: why it did not help; `None` if it did. True if that is news.
    pub(crate) fn answered(&mut self, region: &RegionId, problem: Option<String>, now: Instant) -> bool {
        let Some(open) = self.0.get_mut(region) else {
            return false;
        };
        let news = problem.is_some() && open.gap.problem != problem;
        open.next_try = Some(if problem.is_some() { now + PAUSE } else { now });
        open.gap.problem = problem;
        news
    }

    /// Drops the gaps of some regions, and returns these.
    pub(crate) fn forget(&mut self, dropped: impl Fn(&RegionId) -> bool) -> Vec<RegionId> {
        let gone: Vec<RegionId> = self.0.keys().filter(|region| dropped(region)).cloned().collect();
        for region in &gone {
            self.0.remove(region);
        }
        gone
    }

    /// The gap of a region.
    pub(crate) fn get(&self, region: &RegionId) -> Option<Gap> {
        self.0.get(region).map(|open| open.gap.clone())
    }
}

/// Whether a region is ahead and nothing has arrived for too long: up to which sequence to ask.
pub(crate) fn silent(region: &Now, now: Instant) -> Option<u64> {
    let waited = region.behind_for(now).is_some_and(|span| span >= SILENCE);
    (waited && region.is_fresh(now)).then(|| region.head_seq())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gap_is_asked_for_until_it_is_closed() {
        let blr: RegionId = "blr".parse().unwrap();
        let mut gaps = Gaps::default();
        let start = Instant::now();
        assert!(gaps.want(&blr, 10, (start, UnixMs(1))));
        assert!(!gaps.want(&blr, 20, (start, UnixMs(2))));
        assert!(!gaps.want(&blr, 15, (start, UnixMs(3))));
        assert_eq!(gaps.due(start), [(blr.clone(), 20)]);
        assert_eq!(gaps.due(start), [], "one request at a time");
        assert!(gaps.answered(&blr, Some("away".into()), start));
        assert_eq!(gaps.due(start), [], "not at once after a failure");
        let later = start + PAUSE;
        assert_eq!(gaps.due(later).len(), 1);
        assert!(!gaps.answered(&blr, Some("away".into()), later), "no news");
        assert_eq!(gaps.reach(&blr, 19), None);
        let later = later + PAUSE;
        assert_eq!(gaps.due(later).len(), 1);
        assert!(!gaps.answered(&blr, None, later));
        assert_eq!(gaps.due(later).len(), 1, "at once after progress");
        assert_eq!(gaps.reach(&blr, 20).unwrap().since, UnixMs(1));
        assert_eq!(gaps.get(&blr), None);
    }
}
