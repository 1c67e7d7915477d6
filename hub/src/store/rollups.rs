//! Rows of analytics.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use crate::projections::analytics::{Deltas, Level};
use crate::projections::tally::{Counts, Spans, Tally};

/// The name under which stand the rollups of all regions together; no region has it.
const ALL_REGIONS: &str = "";

/// Adds to the rollups of all regions together, whose latest event is the latest of any.
pub(crate) fn add_to_all(conn: &Connection, deltas: &Deltas) -> Result<(), StoreFault> {
    let mut latest = conn.prepare_cached("SELECT max(seen_at_ms) FROM region_state")?;
    let latest: Option<i64> = latest.query_row([], |row| row.get(0))?;
    put(conn, ALL_REGIONS, deltas, UnixMs(latest.unwrap_or(0)))
}

/// Adds to a region's rollups, and lets those go that are too old. `latest`: time of the region's latest event.
pub(crate) fn add(conn: &Connection, region: &RegionId, deltas: &Deltas, latest: UnixMs) -> Result<(), StoreFault> {
    put(conn, region.as_str(), deltas, latest)
}

fn put(conn: &Connection, region: &str, deltas: &Deltas, latest: UnixMs) -> Result<(), StoreFault> {
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
        let key = params![level.number(), region, start_ms, cell];
        let stored = load.query_row(key, |row| Ok(read(row))).optional()?.transpose()?;
        let mut tally = stored.unwrap_or_default();
        tally.add(more);
        save.execute(params![
            level.number(),
            region,
            start_ms,
            cell,
            tally.counts.to_bytes(),
            tally.spans.to_bytes()
        ])?;
    }
    let mut forget = conn.prepare_cached("DELETE FROM rollups WHERE level = ?1 AND region = ?2 AND start_ms < ?3")?;
    for level in Level::ALL {
        if let Some(cut) = level.cut(latest) {
            forget.execute(params![level.number(), region, cut])?;
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

/// What tells the groups of a sum apart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct By {
    pub(crate) time: bool,
    pub(crate) region: bool,
    pub(crate) cell: bool,
}

/// What the rollups of a group have in common; `None` where groups are not told apart by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) start_ms: Option<i64>,
    pub(crate) region: Option<RegionId>,
    /// 0: the whole region.
    pub(crate) cell: Option<i64>,
}

/// Adds up what is wanted. Where groups do not tell stretches apart, longer ones are read as far as they fit; where
/// every region counts alike, the rows of all together.
pub(crate) fn sum(conn: &Connection, wanted: &Wanted, by: By) -> Result<BTreeMap<Group, Tally>, StoreFault> {
    let mut found = BTreeMap::new();
    let parts = parts(wanted.level, wanted.from_ms, wanted.to_ms, by.time);
    if !by.region && !wanted.level.by_cell() && is_all(conn, &wanted.regions)? {
        for part in &parts {
            scan(conn, (ALL_REGIONS, None), (part, wanted.spans), by, &mut found)?;
        }
        return Ok(found);
    }
    for region in &wanted.regions {
        let name = by.region.then_some(region);
        for part in &parts {
            scan(conn, (region.as_str(), name), (part, wanted.spans), by, &mut found)?;
        }
    }
    Ok(found)
}

/// One sum per region.
pub(crate) fn by_region(conn: &Connection, wanted: &Wanted) -> Result<BTreeMap<RegionId, Tally>, StoreFault> {
    let by = By {
        region: true,
        ..By::default()
    };
    let found = sum(conn, wanted, by)?;
    Ok(found
        .into_iter()
        .filter_map(|(group, tally)| Some((group.region?, tally)))
        .collect())
}

/// One sum of everything that is wanted.
pub(crate) fn whole(conn: &Connection, wanted: &Wanted) -> Result<Tally, StoreFault> {
    let found = sum(conn, wanted, By::default())?;
    Ok(found.into_values().next().unwrap_or_default())
}

/// A level, and from where on and up to where it is read.
type Part = (Level, i64, i64);

fn parts(level: Level, from_ms: i64, to_ms: i64, by_time: bool) -> Vec<Part> {
    let coarser = level.coarser().filter(|_| !by_time);
    if let Some((coarser, long_ms)) = coarser.and_then(|coarser| Some((coarser, coarser.stretch_ms()?))) {
        let begin = from_ms.saturating_add((-from_ms).rem_euclid(long_ms));
        let end = to_ms - to_ms.rem_euclid(long_ms);
        if begin < end {
            let mut parts = vec![(level, from_ms, begin)];
            parts.extend(self::parts(coarser, begin, end, by_time));
            parts.push((level, end, to_ms));
            return parts;
        }
    }
    vec![(level, from_ms, to_ms)]
}

/// Whether these are all regions that have rollups.
fn is_all(conn: &Connection, regions: &[RegionId]) -> Result<bool, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT region FROM region_state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !regions.contains(&region_of(row)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn scan(
    conn: &Connection,
    (stored_as, region): (&str, Option<&RegionId>),
    ((level, from_ms, to_ms), spans): (&Part, bool),
    by: By,
    found: &mut BTreeMap<Group, Tally>,
) -> Result<(), StoreFault> {
    let columns = if spans { "counts, spans" } else { "counts" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT start_ms, cell, {columns} FROM rollups WHERE level = ?1 AND region = ?2 AND start_ms >= ?3 AND start_ms < ?4"
    ))?;
    let mut rows = statement.query(params![level.number(), stored_as, from_ms, to_ms])?;
    while let Some(row) = rows.next()? {
        let group = Group {
            start_ms: if by.time { row.get(0)? } else { None },
            region: region.cloned(),
            cell: if by.cell { row.get(1)? } else { None },
        };
        let tally = found.entry(group).or_default();
        add_counts(row, &mut tally.counts)?;
        if spans {
            add_spans(row, &mut tally.spans)?;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Tally, StoreFault> {
    let mut tally = Tally::default();
    add_counts(row, &mut tally.counts)?;
    add_spans(row, &mut tally.spans)?;
    Ok(tally)
}

fn add_counts(row: &Row<'_>, counts: &mut Counts) -> Result<(), StoreFault> {
    let bytes = row.get_ref("counts")?.as_blob().map_err(rusqlite::Error::from)?;
    counts.add_stored(bytes).ok_or_else(|| corrupt("counts"))
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
