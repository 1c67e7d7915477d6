//! Every version of the map of who owns which cells.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::directory::Map;

use super::StoreFault;

/// Old versions that are kept, for whoever wants to know who owned a cell when an order was placed.
const VERSIONS_KEPT: i64 = 10_000;

/// The newest map; an empty one of version 0 before the first.
pub(crate) fn newest(conn: &Connection) -> Result<Map, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT doc FROM maps ORDER BY version DESC LIMIT 1")?;
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    let Some(text) = text else {
        return Ok(Map::default());
    };
    serde_json::from_str(&text).map_err(|fault| StoreFault::Corrupt {
        table: "maps",
        column: "doc",
        found: fault.to_string(),
    })
}

/// Forgets every version.
pub(crate) fn forget(conn: &Connection) -> Result<(), StoreFault> {
    conn.execute("DELETE FROM maps", [])?;
    Ok(())
}

/// The newest version; 0 before the first.
pub(crate) fn version(conn: &Connection) -> Result<u64, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT coalesce(max(version), 0) FROM maps")?;
    Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Adds a version; never writes over one.
pub(crate) fn save(conn: &Connection, map: &Map) -> Result<(), StoreFault> {
    let doc = serde_json::to_string(map).unwrap_or_default();
    let version = i64::try_from(map.version).unwrap_or(i64::MAX);
    conn.prepare_cached("INSERT INTO maps VALUES (?1, ?2, ?3)")?
        .execute(params![version, map.made_at.0, doc])?;
    conn.prepare_cached("DELETE FROM maps WHERE version <= ?1")?
        .execute([version - VERSIONS_KEPT])?;
    Ok(())
}
