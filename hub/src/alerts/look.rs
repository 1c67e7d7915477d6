//! Reads what the rules need.

use rusqlite::Connection;
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::rules::Seen;
use crate::live::{Live, Now};
use crate::projections::analytics::{DAY_MS, Level, MINUTE_MS};
use crate::registry::Active;
use crate::store::reconcile;
use crate::store::rollups::{self, Wanted};
use crate::store::{StoreFault, map, state};

/// Payments are counted over this long.
const PAYMENTS_MS: i64 = 15 * MINUTE_MS;
/// Unmatched things that are read, of all regions.
const MOST: u32 = 500;

/// What memory knows of the registered regions.
pub(crate) fn regions(live: &Live, registry: &Active, now: UnixMs) -> Vec<Seen> {
    let known = live.snapshot().into_iter();
    known
        .filter(|(region, _)| registry.contains_key(region))
        .map(|(region, found)| heard(region, &found, now))
        .collect()
}

fn heard(region: RegionId, found: &Now, now: UnixMs) -> Seen {
    let heard = found.heard.as_ref();
    let missing_events = found.missing();
    let oldest = heard.filter(|_| missing_events > 0).and_then(|heard| {
        let at_heartbeat = (heard.beat.at - heard.beat.oldest_unsynced_at?).0;
        Some(at_heartbeat.max(0) + (now - heard.received_at).0.max(0))
    });
    Seen {
        region: Some(region),
        silent_ms: heard.map(|heard| (now - heard.received_at).0),
        missing_events,
        oldest_missing_ms: oldest,
        skew_ms: heard.map_or(0, |heard| (heard.beat.at - heard.received_at).0),
        ..Seen::default()
    }
}

/// Adds what the database knows.
pub(crate) fn read(conn: &mut Connection, mut seen: Vec<Seen>, now: UnixMs) -> Result<Vec<Seen>, StoreFault> {
    let tx = conn.transaction()?;
    // An order of days ago is stuck, which other means have to find.
    let asked = map::oldest_unanswered(&tx, now.0 - DAY_MS)?;
    let waiting = map::waiting(&tx)?;
    for one in &mut seen {
        let Some(region) = one.region.clone() else { continue };
        // By the region's own clock: what it says, and how long ago it said it.
        let its_now = UnixMs(now.0 + one.skew_ms);
        let latest = state::load(&tx, &region)?.seen_at;
        let wanted = Wanted {
            level: Level::RegionMinute,
            regions: vec![region.clone()],
            from_ms: latest.0 - PAYMENTS_MS,
            to_ms: i64::MAX,
            spans: false,
        };
        let counts = rollups::whole(&tx, &wanted)?.counts;
        one.payments = counts.paid + counts.payment_failed;
        one.payments_failed = counts.payment_failed;
        one.oldest_unaccepted_ms = asked.get(&region).map(|asked| (its_now - *asked).0);
        one.waiting = waiting.get(&region).copied().unwrap_or(0);
        one.drivers_online = map::drivers_online(&tx, &region)?;
    }
    for found in reconcile::unmatched(&tx, now, MOST)? {
        if let Some(one) = seen.iter_mut().find(|one| one.region.as_ref() == Some(&found.region)) {
            let age = (UnixMs(now.0 + one.skew_ms) - found.at).0;
            one.unmatched += 1;
            one.oldest_unmatched_ms = Some(one.oldest_unmatched_ms.map_or(age, |oldest| oldest.max(age)));
        }
    }
    Ok(seen)
}
