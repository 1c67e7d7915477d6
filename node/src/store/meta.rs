//! The few facts about the file itself: whose it is, its incarnation, its secret, how far the hub has it.

use rusqlite::{Connection, OptionalExtension as _, params};
use tomato_shared::cell::RegionId;
use tomato_shared::sync::Watermark;

use super::StoreError;

/// Facts that a start needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Whose file it is.
    pub region: RegionId,
    /// Rises when the region starts anew from a backup.
    pub incarnation: u32,
    /// Signs quotes.
    pub quote_key: Vec<u8>,
    /// Newest sequence that the hub has durably applied, as far as this file knows.
    pub watermark_seq: u64,
    /// What the hub has and this file has not: until a person has decided, nothing is written.
    pub fence: Option<Watermark>,
}

/// Reads the facts; writes them into a new file with `fresh_key` as its secret.
/// Fails with `OtherRegion` where the file belongs to another one.
pub fn load_or_create(connection: &Connection, region: &RegionId, fresh_key: &[u8]) -> Result<Meta, StoreError> {
    let found: Option<String> = get(connection, "region")?;
    match found {
        None => {
            set(connection, "region", region.as_str())?;
            set(connection, "incarnation", 1)?;
            set(connection, "quote_key", fresh_key)?;
        }
        Some(found) if found != region.as_str() => {
            return Err(StoreError::OtherRegion {
                found,
                configured: region.to_string(),
            });
        }
        Some(_) => {}
    }
    let incarnation: i64 = get(connection, "incarnation")?.unwrap_or(1);
    let watermark: i64 = get(connection, "watermark_seq")?.unwrap_or(0);
    Ok(Meta {
        region: region.clone(),
        incarnation: u32::try_from(incarnation).map_err(|_| StoreError::Corrupt {
            table: "meta",
            reason: format!("incarnation {incarnation}"),
        })?,
        quote_key: get(connection, "quote_key")?.unwrap_or_default(),
        watermark_seq: u64::try_from(watermark).unwrap_or(0),
        fence: fence(connection)?,
    })
}

fn fence(connection: &Connection) -> Result<Option<Watermark>, StoreError> {
    let text: Option<String> = get(connection, "fence")?;
    let read = text.map(|text| serde_json::from_str(&text));
    read.transpose().map_err(|error| StoreError::Corrupt {
        table: "meta",
        reason: format!("fence: {error}"),
    })
}

/// Remembers that the hub has what this file has not; `None` takes the fence away.
pub fn set_fence(connection: &Connection, fence: Option<&Watermark>) -> rusqlite::Result<()> {
    let Some(fence) = fence else {
        return connection
            .execute("DELETE FROM meta WHERE key = 'fence'", [])
            .map(|_| ());
    };
    let text = serde_json::to_string(fence).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let sql = "INSERT INTO meta (key, value) VALUES ('fence', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    connection.execute(sql, [text]).map(|_| ())
}

/// Sets the incarnation of a file that has one.
pub fn set_incarnation(connection: &Connection, incarnation: u32) -> rusqlite::Result<()> {
    let sql = "UPDATE meta SET value = ?1 WHERE key = 'incarnation'";
    connection.execute(sql, [incarnation]).map(|_| ())
}

/// Remembers how far the hub is.
pub fn set_watermark(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('watermark_seq', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1",
        )?
        .execute([seq])?;
    Ok(())
}

fn get<T: rusqlite::types::FromSql>(connection: &Connection, key: &str) -> Result<Option<T>, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(StoreError::sqlite("read meta"))
}

fn set(connection: &Connection, key: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
    connection
        .execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])
        .map(|_| ())
        .map_err(StoreError::sqlite("write meta"))
}
