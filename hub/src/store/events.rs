//! What was refused, and the position in the hub's own stream.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;

/// Rows kept in `quarantine`; the oldest go first.
const KEPT_QUARANTINED: i64 = 1_000;
/// Bytes kept of a quarantined message.
const KEPT_BYTES: usize = 64 * 1024;

/// A message that cannot be what it claims.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarantined<'a> {
    pub(crate) region: &'a RegionId,
    pub(crate) seq: u64,
    pub(crate) reason: &'static str,
    pub(crate) payload: &'a [u8],
}

/// Keeps a refused message for a person to look at; true the first time that this sequence is refused for this reason.
pub(crate) fn quarantine(conn: &Connection, refused: Quarantined<'_>, now: UnixMs) -> Result<bool, StoreFault> {
    let kept = refused.payload.get(..KEPT_BYTES).unwrap_or(refused.payload);
    let added = conn
        .prepare_cached(
            "INSERT OR IGNORE INTO quarantine (received_at_ms, region, seq, reason, payload)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            now.0,
            refused.region.as_str(),
            signed(refused.seq),
            refused.reason,
            kept
        ])?;
    if added == 0 {
        return Ok(false);
    }
    conn.prepare_cached("DELETE FROM quarantine WHERE id <= ?1")?
        .execute([conn.last_insert_rowid() - KEPT_QUARANTINED])?;
    Ok(true)
}

/// Where the hub stands in its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Creation time of the stream in nanoseconds.
    pub(crate) stream_id: i64,
    pub(crate) stream_seq: u64,
}

/// The stored position, if any.
pub(crate) fn position(conn: &Connection) -> Result<Option<Position>, StoreFault> {
    let found = conn
        .query_row("SELECT stream_id, stream_seq FROM ingest", [], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    Ok(found.map(|(stream_id, stream_seq)| Position {
        stream_id,
        stream_seq: u64::try_from(stream_seq).unwrap_or(0),
    }))
}

/// Stores the position.
pub(crate) fn save_position(conn: &Connection, position: Position) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO ingest VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET stream_id = excluded.stream_id, stream_seq = excluded.stream_seq",
    )?
    .execute(params![position.stream_id, signed(position.stream_seq)])?;
    Ok(())
}

/// Remembers that a message of an unregistered region went by; the first one counts.
pub(crate) fn pass_by(conn: &Connection, region: &RegionId, stream_seq: u64) -> Result<(), StoreFault> {
    conn.prepare_cached("INSERT OR IGNORE INTO passed_by VALUES (?1, ?2)")?
        .execute(params![region.as_str(), signed(stream_seq)])?;
    Ok(())
}

/// Whether messages went by of regions that are registered by now.
pub(crate) fn has_passed_by(conn: &Connection) -> Result<bool, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM passed_by JOIN regions USING (region)")?;
    Ok(statement.exists([])?)
}

/// Forgets the messages that went by of regions that are registered by now, and returns the first of them:
/// the caller reads the stream again from there.
pub(crate) fn take_passed_by(conn: &Connection) -> Result<Option<u64>, StoreFault> {
    let mut statement =
        conn.prepare_cached("DELETE FROM passed_by WHERE region IN (SELECT region FROM regions) RETURNING stream_seq")?;
    let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
    let mut first: Option<i64> = None;
    for row in rows {
        let seq = row?;
        first = Some(first.map_or(seq, |known| known.min(seq)));
    }
    Ok(first.and_then(|seq| u64::try_from(seq).ok()))
}

/// SQLite's integers are signed. Sequences beyond i64 are refused before they get here.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
