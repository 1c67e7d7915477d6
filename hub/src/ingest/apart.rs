//! Finds out up to where a region's file and the hub say the same, when there is reason to doubt it: a node whose newest
//! event is older than what it once told, or whose events do not continue what the hub has, runs on a restored copy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::Client;
use tomato_shared::cell::RegionId;

use super::repair::{self, RepairFault};
use crate::live::Now;
use crate::store::{Pool, StoreFault, archive};

/// Between two comparisons with one region.
const PAUSE: Duration = Duration::from_secs(5);
/// A heartbeat that left before the newest event was applied may be on its way for so long.
const LATE: Duration = Duration::from_secs(5);

/// Why a comparison came to nothing; it is made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareFault {
    #[error(transparent)]
    Node(#[from] RepairFault),
    #[error("the database failed")]
    Store(#[from] StoreFault),
}

/// When each region was last compared.
#[derive(Debug, Default)]
pub(crate) struct Doubts(BTreeMap<RegionId, Instant>);

impl Doubts {
    /// Whether to compare now; counts as done.
    pub(crate) fn due(&mut self, region: &RegionId, now: Instant) -> bool {
        let rested = |at: &Instant| now.saturating_duration_since(*at) >= PAUSE;
        let due = self.0.get(region).is_none_or(rested);
        if due {
            self.0.insert(region.clone(), now);
        }
        due
    }
}

/// Whether a region says by itself that it has less than the hub.
pub(crate) fn is_behind_itself(region: &Now, now: Instant) -> bool {
    let Some(heard) = region.heard.as_ref().filter(|_| region.is_fresh(now)) else {
        return false;
    };
    let (beat, cursor) = (&heard.beat, region.cursor);
    let has_less =
        beat.incarnation < cursor.incarnation || (beat.incarnation == cursor.incarnation && beat.head_seq < cursor.seq);
    let settled = region
        .advanced
        .zip(heard.received)
        .is_none_or(|(advanced, received)| received.saturating_duration_since(advanced) >= LATE);
    beat.fenced || (has_less && settled)
}

/// The newest event of which node and hub have the same bytes; 0 if there is none. `upto`: newest sequence that both may have.
/// Events that the node has swept count as the same: the hub had confirmed them.
pub(crate) async fn agreed(client: &Client, store: &Pool, region: &RegionId, upto: u64) -> Result<u64, CompareFault> {
    let (mut low, mut high) = (0, upto);
    let mut newest = 0;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let of = region.clone();
        let found = store
            .run(move |conn| archive::at_or_before(conn, &of, middle))
            .await?
            .filter(|(seq, _)| *seq > low);
        let Some((seq, payload)) = found else {
            low = middle;
            continue;
        };
        let same = match repair::ask(client, region, seq, seq).await {
            Ok(arrivals) => {
                let own = arrivals.first().filter(|arrival| arrival.origin.seq == seq);
                own.is_some_and(|arrival| arrival.payload == payload)
            }
            Err(RepairFault::Gone) => true,
            Err(fault) => return Err(fault.into()),
        };
        if same {
            (low, newest) = (middle, seq);
        } else {
            high = seq - 1;
        }
    }
    Ok(newest)
}
