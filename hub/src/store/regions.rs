//! The registry of regions, how far each is applied, and their last signs of life.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;

/// A region that may connect, or could before it was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) id: RegionId,
    /// Public nkey of its leaf link.
    pub(crate) public_key: String,
    pub(crate) added_at: UnixMs,
    pub(crate) rotated_at: Option<UnixMs>,
    pub(crate) removed_at: Option<UnixMs>,
}

/// What became of a request to register a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    Added,
    /// Was removed before; its events are still there.
    Restored,
    Rotated,
    /// Nothing was changed.
    Exists,
}

/// Registers `public_key` for a region. The key of a registered region is replaced only if `rotate`.
pub(crate) fn register(
    conn: &mut Connection,
    region: &RegionId,
    public_key: &str,
    rotate: bool,
    now: UnixMs,
) -> Result<Registered, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = tx
        .query_row(
            "SELECT removed_at_ms IS NOT NULL FROM regions WHERE region = ?1",
            [region.as_str()],
            |row| row.get::<_, bool>(0),
        )
        .optional()?;
    let outcome = match before {
        None => Registered::Added,
        Some(true) => Registered::Restored,
        Some(false) if rotate => Registered::Rotated,
        Some(false) => return Ok(Registered::Exists),
    };
    tx.execute(
        "INSERT INTO regions (region, public_key, added_at_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (region) DO UPDATE
             SET public_key = excluded.public_key, rotated_at_ms = excluded.added_at_ms, removed_at_ms = NULL",
        params![region.as_str(), public_key, now.0],
    )?;
    tx.commit()?;
    Ok(outcome)
}

/// Forbids a region to connect; its events stay. False if there is no such region, or it was removed before.
pub(crate) fn remove(conn: &Connection, region: &RegionId, now: UnixMs) -> Result<bool, StoreFault> {
    let changed = conn.execute(
        "UPDATE regions SET removed_at_ms = ?2 WHERE region = ?1 AND removed_at_ms IS NULL",
        params![region.as_str(), now.0],
    )?;
    Ok(changed == 1)
}

/// All regions, removed ones included, by name.
pub(crate) fn list(conn: &Connection) -> Result<Vec<Region>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM regions ORDER BY region")?;
    let mut rows = statement.query([])?;
    let mut regions = Vec::new();
    while let Some(row) = rows.next()? {
        regions.push(Region {
            id: region_of(row)?,
            public_key: row.get("public_key")?,
            added_at: UnixMs(row.get("added_at_ms")?),
            rotated_at: row.get::<_, Option<i64>>("rotated_at_ms")?.map(UnixMs),
            removed_at: row.get::<_, Option<i64>>("removed_at_ms")?.map(UnixMs),
        });
    }
    Ok(regions)
}

/// Whether a region was ever registered. Messages that a removed region sent while it could are still its own.
pub(crate) fn is_known(conn: &Connection, region: &RegionId) -> Result<bool, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM regions WHERE region = ?1")?;
    Ok(statement.exists([region.as_str()])?)
}

/// A number that changes whenever another connection has committed.
pub(crate) fn data_version(conn: &Connection) -> Result<i64, StoreFault> {
    Ok(conn.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

/// How far a region is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// Incarnation of the newest applied event; 0 before the first.
    pub(crate) incarnation: u32,
    /// Its sequence; 0 before the first.
    pub(crate) seq: u64,
    /// When the region decided it.
    pub(crate) at: UnixMs,
}

/// The cursor of a region that has one.
pub(crate) fn cursor(conn: &Connection, region: &RegionId) -> Result<Option<Cursor>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM cursors WHERE region = ?1")?;
    let found = statement
        .query_row([region.as_str()], |row| Ok(read_cursor(row)))
        .optional()?;
    found.transpose()
}

/// All cursors.
pub(crate) fn cursors(conn: &Connection) -> Result<BTreeMap<RegionId, Cursor>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM cursors")?;
    let mut rows = statement.query([])?;
    let mut cursors = BTreeMap::new();
    while let Some(row) = rows.next()? {
        cursors.insert(region_of(row)?, read_cursor(row)?);
    }
    Ok(cursors)
}

/// Sets the cursor of a region.
pub(crate) fn save_cursor(conn: &Connection, region: &RegionId, cursor: Cursor) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO cursors VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (region) DO UPDATE
             SET incarnation = excluded.incarnation, seq = excluded.seq, at_ms = excluded.at_ms",
    )?
    .execute(params![
        region.as_str(),
        cursor.incarnation,
        i64::try_from(cursor.seq).unwrap_or(i64::MAX),
        cursor.at.0
    ])?;
    Ok(())
}

/// A stored sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredHeartbeat {
    pub(crate) region: RegionId,
    pub(crate) received_at: UnixMs,
    /// MessagePack.
    pub(crate) body: Vec<u8>,
}

/// Stores the newest heartbeats; those of regions that are not registered are left out.
pub(crate) fn save_heartbeats(conn: &mut Connection, newest: &[StoredHeartbeat]) -> Result<(), StoreFault> {
    let tx = conn.transaction()?;
    for heard in newest {
        tx.prepare_cached(
            "INSERT INTO heartbeats SELECT region, ?2, ?3 FROM regions WHERE region = ?1
             ON CONFLICT (region) DO UPDATE SET received_at_ms = excluded.received_at_ms, body = excluded.body",
        )?
        .execute(params![heard.region.as_str(), heard.received_at.0, heard.body])?;
    }
    Ok(tx.commit()?)
}

/// All stored heartbeats.
pub(crate) fn heartbeats(conn: &Connection) -> Result<Vec<StoredHeartbeat>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM heartbeats")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(StoredHeartbeat {
            region: region_of(row)?,
            received_at: UnixMs(row.get("received_at_ms")?),
            body: row.get("body")?,
        });
    }
    Ok(found)
}

fn read_cursor(row: &Row<'_>) -> Result<Cursor, StoreFault> {
    let seq: i64 = row.get("seq")?;
    Ok(Cursor {
        incarnation: row.get("incarnation")?,
        seq: u64::try_from(seq).map_err(|_| StoreFault::Corrupt {
            table: "cursors",
            column: "seq",
            found: seq.to_string(),
        })?,
        at: UnixMs(row.get("at_ms")?),
    })
}

/// The column `region` of any table.
pub(super) fn region_of(row: &Row<'_>) -> Result<RegionId, StoreFault> {
    let name: String = row.get("region")?;
    name.parse().map_err(|_| StoreFault::Corrupt {
        table: "any",
        column: "region",
        found: name,
    })
}
