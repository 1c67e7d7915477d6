//! Reads the outbox: for the relay, for the hub's repairs, for heartbeats.

use rusqlite::{Connection, OptionalExtension as _, params};
use tomato_shared::time::UnixMs;

/// One committed event as it waits for the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Row id, and sequence in the stream.
    pub seq: u64,
    /// Name of the event.
    pub name: String,
    /// The encoded envelope.
    pub payload: Vec<u8>,
}

/// Up to `max` rows beyond `after`, ascending. Rows that the hub had and that were swept are not there any more.
pub fn rows(connection: &Connection, after: u64, max: usize) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT seq, type, payload FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let bounds = params![
        i64::try_from(after).unwrap_or(i64::MAX),
        i64::try_from(max).unwrap_or(i64::MAX)
    ];
    connection
        .prepare_cached(sql)?
        .query_map(bounds, |row| {
            let seq: i64 = row.get(0)?;
            Ok(Row {
                seq: u64::try_from(seq).unwrap_or(0),
                name: row.get(1)?,
                payload: row.get(2)?,
            })
        })?
        .collect()
}

/// When the oldest event beyond `after` was decided; `None` where there is none.
pub fn oldest_at(connection: &Connection, after: u64) -> rusqlite::Result<Option<UnixMs>> {
    connection
        .prepare_cached("SELECT at FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT 1")?
        .query_row([i64::try_from(after).unwrap_or(i64::MAX)], |row| row.get(0).map(UnixMs))
        .optional()
}
