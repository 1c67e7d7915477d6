//! Cells that operators want to change hands.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tomato_shared::cell::{CellSet, RegionId};
use tomato_shared::time::UnixMs;

use super::StoreFault;

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// For both regions to be there.
    Waiting,
    /// For the old owner to have stopped.
    Leaving,
    /// For the new owner to have fetched what comes along.
    Arriving,
    /// Over.
    Done,
    /// Over, and nothing has changed.
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Leaving,
        Self::Arriving,
        Self::Done,
        Self::Cancelled,
    ];

    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Leaving => "leaving",
            Self::Arriving => "arriving",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveRow {
    pub(crate) id: u64,
    pub(crate) from: RegionId,
    pub(crate) to: RegionId,
    pub(crate) cells: CellSet,
    pub(crate) state: State,
    /// Whether somebody wants it called off.
    pub(crate) cancel: bool,
    pub(crate) asked_at: UnixMs,
    /// Since when it is in its state.
    pub(crate) since: UnixMs,
}

/// Moves that are not over, oldest first.
pub(crate) fn open(conn: &Connection) -> Result<Vec<MoveRow>, StoreFault> {
    read(
        conn,
        "SELECT * FROM moves WHERE state NOT IN ('done', 'cancelled') ORDER BY id",
        [],
    )
}

/// The newest moves, newest first, whatever their state.
pub(crate) fn newest(conn: &Connection, most: u32) -> Result<Vec<MoveRow>, StoreFault> {
    read(conn, "SELECT * FROM moves ORDER BY id DESC LIMIT ?1", [most])
}

/// Adds a move and returns its number.
pub(crate) fn add(
    conn: &Connection,
    (from, to): (&RegionId, &RegionId),
    cells: &CellSet,
    now: UnixMs,
) -> Result<u64, StoreFault> {
    let doc = serde_json::to_string(cells).unwrap_or_default();
    conn.execute(
        "INSERT INTO moves SELECT max(?4, coalesce(max(id) + 1, 0)), ?1, ?2, ?3, 'waiting', 0, ?4, ?4 FROM moves",
        params![from.as_str(), to.as_str(), doc, now.0],
    )?;
    Ok(conn.last_insert_rowid().unsigned_abs())
}

/// Wants a move called off; false where there is no such move, or it is too late.
pub(crate) fn cancel(conn: &Connection, id: u64) -> Result<bool, StoreFault> {
    let sql = "UPDATE moves SET cancel = 1 WHERE id = ?1 AND state IN ('waiting', 'leaving')";
    Ok(conn.execute(sql, [i64::try_from(id).unwrap_or(i64::MAX)])? == 1)
}

/// A move has come further.
pub(crate) fn set(conn: &Connection, id: u64, state: State, now: UnixMs) -> Result<(), StoreFault> {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    conn.prepare_cached("UPDATE moves SET state = ?2, since_ms = ?3 WHERE id = ?1")?
        .execute(params![id, state.name(), now.0])?;
    Ok(())
}

/// One move.
pub(crate) fn find(conn: &Connection, id: u64) -> Result<Option<MoveRow>, StoreFault> {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    let found = conn
        .prepare_cached("SELECT * FROM moves WHERE id = ?1")?
        .query_row([id], |row| Ok(of(row)))
        .optional()?;
    found.transpose()
}

fn read(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<MoveRow>, StoreFault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(of(row)?);
    }
    Ok(found)
}

fn of(row: &Row<'_>) -> Result<MoveRow, StoreFault> {
    let text = |column: &'static str| row.get::<_, String>(column);
    let corrupt = |column: &'static str, found: String| StoreFault::Corrupt {
        table: "moves",
        column,
        found,
    };
    let region = |column: &'static str| {
        let name = text(column)?;
        name.parse::<RegionId>().map_err(|_| corrupt(column, name))
    };
    let (cells, state) = (text("cells")?, text("state")?);
    let found = State::ALL.into_iter().find(|known| known.name() == state);
    Ok(MoveRow {
        id: row.get::<_, i64>("id")?.unsigned_abs(),
        from: region("from_region")?,
        to: region("to_region")?,
        cells: serde_json::from_str(&cells).map_err(|fault| corrupt("cells", fault.to_string()))?,
        state: found.ok_or_else(|| corrupt("state", state))?,
        cancel: row.get("cancel")?,
        asked_at: UnixMs(row.get("asked_at_ms")?),
        since: UnixMs(row.get("since_ms")?),
    })
}
