//! What each region is told, version after version.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use tomato_shared::cell::RegionId;
use tomato_shared::control::Edition;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use super::settle::Signed;

/// One version, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Made {
    pub(crate) edition: Edition,
    pub(crate) by: String,
    /// Why.
    pub(crate) note: String,
}

/// Adds a version.
pub(crate) fn add(
    conn: &Connection,
    region: &RegionId,
    edition: &Edition,
    (signed, note): (&Signed, &str),
) -> Result<(), StoreFault> {
    let doc = serde_json::to_string(&edition.control).map_err(|fault| StoreFault::Corrupt {
        table: "editions",
        column: "doc",
        found: fault.to_string(),
    })?;
    conn.prepare_cached("INSERT INTO editions VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            region.as_str(),
            i64::try_from(edition.version).unwrap_or(i64::MAX),
            edition.made_at.0,
            signed.by,
            note,
            doc
        ])?;
    Ok(())
}

/// The newest versions of a region, newest first.
pub(crate) fn newest(conn: &Connection, region: &RegionId, most: u32) -> Result<Vec<Made>, StoreFault> {
    let sql = "SELECT * FROM editions WHERE region = ?1 ORDER BY version DESC LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![region.as_str(), most])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The newest version; the empty one where there is none yet.
pub(crate) fn current(conn: &Connection, region: &RegionId) -> Result<Made, StoreFault> {
    Ok(newest(conn, region, 1)?.pop().unwrap_or_default())
}

/// The number of the newest version of every region that has one.
pub(crate) fn versions(conn: &Connection) -> Result<BTreeMap<RegionId, u64>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT region, max(version) AS version FROM editions GROUP BY region")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        found.insert(region_of(row)?, version(row)?);
    }
    Ok(found)
}

fn version(row: &Row<'_>) -> Result<u64, StoreFault> {
    let version: i64 = row.get("version")?;
    Ok(version.unsigned_abs())
}

fn read(row: &Row<'_>) -> Result<Made, StoreFault> {
    let doc: String = row.get("doc")?;
    let control = serde_json::from_str(&doc).map_err(|fault| StoreFault::Corrupt {
        table: "editions",
        column: "doc",
        found: fault.to_string(),
    })?;
    Ok(Made {
        edition: Edition {
            version: version(row)?,
            made_at: UnixMs(row.get("made_at_ms")?),
            control,
        },
        by: row.get("made_by")?,
        note: row.get("note")?,
    })
}
