//! What stands beside the orders: stars, statements, shifts, the audit log, drivers at work.

use rusqlite::{Connection, params};
use tomato_shared::id::{DriverId, Id, RestaurantId, UserId};
use tomato_shared::time::UnixMs;

use super::{collect, prepare};
use crate::engine::city::Stars;
use crate::engine::draft::Rated;
use crate::engine::model::{Driver, Shift};
use crate::store::StoreError;
use crate::store::extras::rated;

/// Rows of a statement at once; a longer span is read in pages.
pub const ENTRIES_MAX: usize = 1_000;
/// Shifts that are listed.
pub const SHIFTS_MAX: usize = 200;
/// Drivers on a board.
pub const DRIVERS_MAX: usize = 2_000;

/// What customers gave some restaurants, in the order of the ids.
pub fn stars_of(connection: &Connection, ids: &[RestaurantId]) -> Result<Vec<Stars>, StoreError> {
    let mut statement = prepare(
        connection,
        "SELECT sum, count FROM stars WHERE kind = ?1 AND subject = ?2",
    )?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let (kind, subject) = rated(Rated::Restaurant(*id));
        let rows = statement.query_map(params![kind, subject], |row| {
            let (sum, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Stars {
                sum: sum.unsigned_abs(),
                count: count.unsigned_abs(),
            })
        });
        let found: Result<Vec<Stars>, _> = rows.and_then(Iterator::collect);
        let found = found.map_err(StoreError::sqlite("read stars"))?;
        all.push(found.first().copied().unwrap_or_default());
    }
    Ok(all)
}

/// One entry of the region's books.
#[derive(Debug, Clone)]
pub struct EntryRow {
    /// Of its posting.
    pub seq: i64,
    /// Within the posting.
    pub nth: i64,
    /// When.
    pub at: UnixMs,
    /// About which order.
    pub order_id: Option<tomato_shared::id::OrderId>,
    /// Why.
    pub cause: String,
    /// Which account.
    pub account: String,
    /// Debit if positive.
    pub amount_minor: i64,
}

/// What a statement is asked for.
#[derive(Debug, Clone)]
pub struct StatementQuery {
    /// Text id of whose accounts they are.
    pub party: String,
    /// From this moment on.
    pub from: UnixMs,
    /// Until before this moment.
    pub to: UnixMs,
}

/// Entries of somebody's accounts in a span of time, oldest first, at most [`ENTRIES_MAX`]; and what each account adds up
/// to: in the span, and from the first day to its end.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// The entries.
    pub entries: Vec<EntryRow>,
    /// Account, sum in the span, sum up to its end.
    pub sums: Vec<(String, i64, i64)>,
}

/// Reads a statement.
pub fn statement(connection: &Connection, query: &StatementQuery) -> Result<Statement, StoreError> {
    let failed = || StoreError::sqlite("read a statement");
    let mut entries = prepare(
        connection,
        "SELECT seq, nth, at, order_id, cause, account, amount_minor FROM postings
         WHERE party = ?1 AND party <> '' AND at >= ?2 AND at < ?3 ORDER BY at, seq, nth LIMIT ?4",
    )?;
    let limit = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX);
    let rows = entries.query_map(params![query.party, query.from.0, query.to.0, limit], |row| {
        let order_id: Option<[u8; 16]> = row.get(3)?;
        Ok(EntryRow {
            seq: row.get(0)?,
            nth: row.get(1)?,
            at: UnixMs(row.get(2)?),
            order_id: order_id.map(Id::from_bytes),
            cause: row.get(4)?,
            account: row.get(5)?,
            amount_minor: row.get(6)?,
        })
    });
    let entries: Vec<EntryRow> = rows.and_then(Iterator::collect).map_err(failed())?;
    let mut sums = prepare(
        connection,
        "SELECT account, sum(iif(at >= ?2, amount_minor, 0)), sum(amount_minor) FROM postings
         WHERE party = ?1 AND party <> '' AND at < ?3 GROUP BY account ORDER BY account",
    )?;
    let rows = sums.query_map(params![query.party, query.from.0, query.to.0], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let sums = rows.and_then(Iterator::collect).map_err(failed())?;
    Ok(Statement { entries, sums })
}

/// Shifts of a driver that are over, newest first, at most [`SHIFTS_MAX`].
pub fn shifts(connection: &Connection, driver_id: DriverId) -> Result<Vec<Shift>, StoreError> {
    let mut statement = prepare(
        connection,
        "SELECT started_at, ended_at FROM shifts WHERE driver_id = ?1 ORDER BY started_at DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(SHIFTS_MAX).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![driver_id.bytes(), limit], |row| {
        Ok(Shift {
            started_at: UnixMs(row.get(0)?),
            ends_at: Some(UnixMs(row.get(1)?)),
        })
    });
    rows.and_then(Iterator::collect)
        .map_err(StoreError::sqlite("read shifts"))
}

/// One act of an operator.
#[derive(Debug, Clone)]
pub struct DeedRow {
    /// Rises with each.
    pub id: i64,
    /// When.
    pub at: UnixMs,
    /// Who.
    pub operator_id: UserId,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What more there is to know, as JSON.
    pub detail: String,
}

/// A page of the audit log, newest first.
pub fn deeds(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<super::Page<DeedRow, i64>, StoreError> {
    let mut statement = prepare(
        connection,
        "SELECT id, at, operator_id, action, subject, detail FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let more_than = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before.unwrap_or(i64::MAX), more_than], |row| {
        Ok(DeedRow {
            id: row.get(0)?,
            at: UnixMs(row.get(1)?),
            operator_id: Id::from_bytes(row.get(2)?),
            action: row.get(3)?,
            subject: row.get(4)?,
            detail: row.get(5)?,
        })
    });
    let mut rows: Vec<DeedRow> = rows
        .and_then(Iterator::collect)
        .map_err(StoreError::sqlite("read the audit log"))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().map(|row| row.id).filter(|_| more);
    Ok(super::Page { rows, next })
}

/// Drivers who are signed on, by id, at most [`DRIVERS_MAX`].
pub fn drivers_online(connection: &Connection) -> Result<Vec<Driver>, StoreError> {
    let mut statement = prepare(connection, "SELECT doc FROM drivers WHERE online = 1 ORDER BY id")?;
    collect(&mut statement, &[], DRIVERS_MAX, |_| true)
}
