//! Rows of analytics.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use crate::projections::analytics::{Deltas, Level};
use crate::projections::tally::{Counts, Spans, Tally};

/// Adds to a region's rollups, and lets those go that are too old. `latest`: time of the region's latest event.
pub(crate) fn add(conn: &Connection, region: &RegionId, deltas: &Deltas, latest: UnixMs) -> Result<(), StoreFault> {
    let mut load = conn.prepare_cached(
        "SELECT counts, spans FROM rollups WHERE level = ?1 AND region = ?2 AND start_ms = ?3 AND cell = ?4",
    )?;
    let mut save = conn.prepare_cached(
        "INSERT INTO rollups VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (level, region, start_ms, cell) DO UPDATE SET counts = excluded.counts, spans = excluded.spans",
    )?;
    for ((level, start_ms, cell), more) in &deltas.0 {
        if level.cut(latest).is_some_and(|cut| *start_ms < cut) {
            continue;
        }
        let key = params![level.number(), region.as_str(), start_ms, cell];
        let stored = load.query_row(key, |row| Ok(read(row))).optional()?.transpose()?;
        let mut tally = stored.unwrap_or_default();
        tally.add(more);
        save.execute(params![
            level.number(),
            region.as_str(),
            start_ms,
            cell,
            tally.counts.to_bytes(),
            tally.spans.to_bytes()
        ])?;
    }
    let mut forget = conn.prepare_cached("DELETE FROM rollups WHERE level = ?1 AND region = ?2 AND start_ms < ?3")?;
    for level in Level::ALL {
        if let Some(cut) = level.cut(latest) {
            forget.execute(params![level.number(), region.as_str(), cut])?;
        }
    }
    Ok(())
}

/// Which rollups to add up.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) level: Level,
    pub(crate) regions: Vec<RegionId>,
    /// Stretches that begin from here on, and before there.
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// Whether the time that things took is wanted, which costs more to read.
    pub(crate) spans: bool,
}

/// Where a rollup belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) region: RegionId,
    pub(crate) start_ms: i64,
    /// 0: the whole region.
    pub(crate) cell: i64,
}

/// Adds up what is wanted, into as many groups as `group` makes of the places.
pub(crate) fn sum<G: Ord>(
    conn: &Connection,
    wanted: &Wanted,
    group: impl Fn(Place) -> G,
) -> Result<BTreeMap<G, Tally>, StoreFault> {
    let spans = if wanted.spans { "spans" } else { "NULL" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT region, start_ms, cell, counts, {spans} AS spans FROM rollups
         WHERE level = ?1 AND region = ?2 AND start_ms >= ?3 AND start_ms < ?4"
    ))?;
    let mut found: BTreeMap<G, Tally> = BTreeMap::new();
    for region in &wanted.regions {
        let level = wanted.level.number();
        let mut rows = statement.query(params![level, region.as_str(), wanted.from_ms, wanted.to_ms])?;
        while let Some(row) = rows.next()? {
            let place = Place {
                region: region_of(row)?,
                start_ms: row.get("start_ms")?,
                cell: row.get("cell")?,
            };
            let entry = found.entry(group(place)).or_default();
            entry.counts.add(&counts(row)?);
            if wanted.spans {
                add_spans(row, &mut entry.spans)?;
            }
        }
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Tally, StoreFault> {
    let mut tally = Tally {
        counts: counts(row)?,
        spans: Spans::default(),
    };
    add_spans(row, &mut tally.spans)?;
    Ok(tally)
}

fn counts(row: &Row<'_>) -> Result<Counts, StoreFault> {
    let bytes = row.get_ref("counts")?.as_blob().map_err(rusqlite::Error::from)?;
    Counts::from_bytes(bytes).ok_or_else(|| corrupt("counts"))
}

fn add_spans(row: &Row<'_>, spans: &mut Spans) -> Result<(), StoreFault> {
    let bytes = row.get_ref("spans")?.as_blob().map_err(rusqlite::Error::from)?;
    spans.add_stored(bytes).ok_or_else(|| corrupt("spans"))
}

fn corrupt(column: &'static str) -> StoreFault {
    StoreFault::Corrupt {
        table: "rollups",
        column,
        found: "what this program did not write".into(),
    }
}
