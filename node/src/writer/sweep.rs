//! Removes what nobody needs any more, a bounded number of rows at a time. Both say whether there may be more.

use rusqlite::{Connection, OptionalExtension as _, params};
use tomato_shared::time::UnixMs;

use crate::store::push::NOTIFIED_SEQ;

/// Rows that go at once.
pub(super) const ROWS: i64 = 4_000;

/// Answers kept for their keys since before `before`.
pub(super) fn answers(connection: &Connection, before: UnixMs) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM idempotency WHERE key IN
               (SELECT key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
    let gone = connection.prepare_cached(sql)?.execute(params![before.0, ROWS])?;
    Ok(i64::try_from(gone).is_ok_and(|gone| gone == ROWS))
}

/// Events up to `upto`, which the hub has, decided before `before`. Looks at no more rows than may go: behind the first
/// young one there are only young ones.
pub(super) fn events(connection: &Connection, upto: u64, before: UnixMs) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM outbox
               WHERE seq < (SELECT min(seq) FROM outbox) + ?1 AND seq <= ?2 AND at < ?3";
    let upto = i64::try_from(upto).unwrap_or(i64::MAX);
    let gone = connection.prepare_cached(sql)?.execute(params![ROWS, upto, before.0])?;
    Ok(i64::try_from(gone).is_ok_and(|gone| gone == ROWS))
}

/// Newest event of which nobody has to be told any more. Where nobody ever was, all of them.
pub(super) fn notified(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let seq: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([NOTIFIED_SEQ], |row| row.get(0))
        .optional()?;
    Ok(seq.map_or(u64::MAX, i64::unsigned_abs))
}
