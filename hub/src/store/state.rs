//! The state of each region's fold, and of the projections as a whole.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use crate::projections::ledger::Books;

/// Number of the fold: raised with every change of what is folded, or how. Projections of another fold are made again.
pub(crate) const FOLD: i64 = 5;

/// What the fold of a region carries from batch to batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegionState {
    /// Latest time of any event.
    pub(crate) seen_at: UnixMs,
    pub(crate) books: Books,
    /// Why the region takes no orders, while it takes none.
    pub(crate) paused: Option<String>,
}

/// The state of a region; the first one if there is none.
pub(crate) fn load(conn: &Connection, region: &RegionId) -> Result<RegionState, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT seen_at_ms, currency, postings, head, paused FROM region_state WHERE region = ?1")?;
    let found = statement
        .query_row([region.as_str()], |row| {
            let code: Option<String> = row.get(1)?;
            Ok((row.get(0)?, code, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((seen_at, code, postings, head, paused)) = found else {
        return Ok(RegionState::default());
    };
    let currency = code.map(|code| {
        code.parse().map_err(|_| StoreFault::Corrupt {
            table: "region_state",
            column: "currency",
            found: code,
        })
    });
    Ok(RegionState {
        seen_at: UnixMs(seen_at),
        books: Books {
            currency: currency.transpose()?,
            postings: u64::try_from(postings).unwrap_or(0),
            head,
        },
        paused,
    })
}

/// Stores the state of a region.
pub(crate) fn save(conn: &Connection, region: &RegionId, state: &RegionState) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO region_state VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (region) DO UPDATE SET seen_at_ms = excluded.seen_at_ms, currency = excluded.currency,
             postings = excluded.postings, head = excluded.head, paused = excluded.paused",
    )?
    .execute(params![
        region.as_str(),
        state.seen_at.0,
        state.books.currency.map(|currency| currency.code().to_owned()),
        i64::try_from(state.books.postings).unwrap_or(i64::MAX),
        state.books.head,
        state.paused,
    ])?;
    Ok(())
}

/// Tables of the projections, children first.
const TABLES: [&str; 14] = [
    "region_state",
    "orders",
    "payments",
    "refunds",
    "misstated",
    "entries",
    "postings",
    "accounts",
    "balances",
    "drivers",
    "restaurants",
    "rollups",
    "anomalies",
    "folded",
];

/// Whether the projections are of this program's fold.
pub(crate) fn is_current(conn: &Connection) -> Result<bool, StoreFault> {
    let found: Option<i64> = conn
        .query_row("SELECT fold FROM folded", [], |row| row.get(0))
        .optional()?;
    Ok(found == Some(FOLD))
}

/// Drops the projections and makes them again, empty and of this program's fold. Wants a transaction around it.
pub(crate) fn clear(conn: &Connection) -> Result<(), StoreFault> {
    for table in TABLES.iter().filter(|table| **table != "folded") {
        conn.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    conn.execute_batch(include_str!("projections.sql"))?;
    super::ledger::name_accounts(conn)?;
    conn.execute(
        "INSERT INTO folded VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET fold = excluded.fold",
        [FOLD],
    )?;
    Ok(())
}

/// Calls `each` with every row of every projection, in the order of their keys. Nothing if they were never made.
pub(crate) fn each_row(conn: &Connection, mut each: impl FnMut(&str, &[u8])) -> Result<(), StoreFault> {
    for table in TABLES {
        let keys: Vec<String> = conn
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
            .query_map([table], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            continue;
        }
        let mut statement = conn.prepare(&format!("SELECT * FROM {table} ORDER BY {}", keys.join(", ")))?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let mut bytes = Vec::new();
        while let Some(row) = rows.next()? {
            bytes.clear();
            for place in 0..width {
                put(&mut bytes, row.get_ref(place)?);
            }
            each(table, &bytes);
        }
    }
    Ok(())
}

/// Each value with its kind and length, so that no two rows have the same bytes.
fn put(bytes: &mut Vec<u8>, value: ValueRef<'_>) {
    let (kind, part): (u8, &[u8]) = match &value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => (1, &number.to_le_bytes()),
        ValueRef::Real(number) => (2, &number.to_le_bytes()),
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    bytes.push(kind);
    bytes.extend(part.len().to_le_bytes());
    bytes.extend(part);
}
