//! Applied events as they were received, what was refused, and the position in the hub's own stream.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;
use tomato_shared::event::OrderRef;
use tomato_shared::id::OrderId;
use tomato_shared::time::UnixMs;

use super::StoreFault;

/// Rows kept in `quarantine`; the oldest go first.
const KEPT_QUARANTINED: i64 = 1_000;
/// Bytes kept of a quarantined message.
const KEPT_BYTES: usize = 64 * 1024;

/// One applied event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredEvent<'a> {
    pub(crate) region: &'a RegionId,
    pub(crate) seq: u64,
    pub(crate) incarnation: u32,
    pub(crate) at: UnixMs,
    pub(crate) name: &'a str,
    pub(crate) order: Option<OrderRef>,
    pub(crate) known: bool,
    pub(crate) payload: &'a [u8],
}

/// Stores an event. Fails if the region has one with that sequence: the cursor must have prevented it.
pub(crate) fn insert(conn: &Connection, event: StoredEvent<'_>) -> Result<(), StoreFault> {
    conn.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![
            event.region.as_str(),
            signed(event.seq),
            event.incarnation,
            event.at.0,
            event.name,
            event.order.as_ref().map(|order| order.id.bytes()),
            event.order.map(|order| order.version),
            event.known,
            event.payload,
        ])?;
    Ok(())
}

/// One applied event, encoded.
pub(crate) fn payload(conn: &Connection, region: &RegionId, seq: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT payload FROM events WHERE region = ?1 AND seq = ?2")?;
    let found = statement.query_row(params![region.as_str(), signed(seq)], |row| row.get(0));
    Ok(found.optional()?)
}

/// The newest applied event at or before `seq`: its sequence, and itself.
pub(crate) fn at_or_before(
    conn: &Connection,
    region: &RegionId,
    seq: u64,
) -> Result<Option<(u64, Vec<u8>)>, StoreFault> {
    let sql = "SELECT seq, payload FROM events WHERE region = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1";
    let found = conn
        .prepare_cached(sql)?
        .query_row(params![region.as_str(), signed(seq)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(seq, payload)| (u64::try_from(seq).unwrap_or(0), payload)))
}

/// Moves a region's events beyond `seq` to those that it has forgotten, by the incarnation that went on without them.
/// Returns how many.
pub(crate) fn forget(conn: &Connection, region: &RegionId, seq: u64, incarnation: u32) -> Result<usize, StoreFault> {
    let moved = conn
        .prepare_cached(
            "INSERT INTO forgotten SELECT region, ?3, seq, at_ms, type, order_id, payload FROM events
             WHERE region = ?1 AND seq > ?2",
        )?
        .execute(params![region.as_str(), signed(seq), incarnation])?;
    conn.prepare_cached("DELETE FROM events WHERE region = ?1 AND seq > ?2")?
        .execute(params![region.as_str(), signed(seq)])?;
    Ok(moved)
}

/// How many events, and of how many orders, a region had forgotten when an incarnation began.
pub(crate) fn forgotten_count(
    conn: &Connection,
    region: &RegionId,
    incarnation: u32,
) -> Result<(i64, i64), StoreFault> {
    let sql = "SELECT count(*), count(DISTINCT order_id) FROM forgotten WHERE region = ?1 AND by_incarnation = ?2";
    Ok(conn
        .prepare_cached(sql)?
        .query_row(params![region.as_str(), incarnation], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?)
}

/// An order of which a region has forgotten events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenOrder {
    /// Its region.
    pub region: RegionId,
    /// The order.
    pub order_id: OrderId,
    /// The incarnation that began without the events.
    pub incarnation: u32,
    /// How many they are.
    pub events: i64,
    /// When the last of them was decided.
    pub last_at: UnixMs,
    /// What the last of them was.
    pub last_type: String,
    /// Whether the region still knows the order, as it was before.
    pub known: bool,
}

/// Every order with forgotten events.
pub(crate) fn forgotten_orders(conn: &Connection) -> Result<Vec<ForgottenOrder>, StoreFault> {
    // With max(), SQLite takes the other columns from that row.
    let mut statement = conn.prepare(
        "SELECT region, order_id, by_incarnation, count(*), at_ms, type, max(seq),
                EXISTS (SELECT 1 FROM events WHERE events.order_id = forgotten.order_id AND events.region = forgotten.region)
         FROM forgotten WHERE order_id IS NOT NULL GROUP BY region, order_id, by_incarnation ORDER BY region, seq",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(ForgottenOrder {
            region: super::regions::region_of(row)?,
            order_id: OrderId::from_bytes(row.get(1)?),
            incarnation: row.get(2)?,
            events: row.get(3)?,
            last_at: UnixMs(row.get(4)?),
            last_type: row.get(5)?,
            known: row.get(7)?,
        });
    }
    Ok(found)
}

/// The payloads of an order's events in its region's order, oldest first, at most `limit`.
pub(crate) fn of_order(
    conn: &Connection,
    region: &RegionId,
    id: OrderId,
    limit: u32,
) -> Result<Vec<Vec<u8>>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT payload FROM events WHERE order_id = ?1 AND region = ?2 ORDER BY seq LIMIT ?3")?;
    let rows = statement.query_map(params![id.bytes(), region.as_str(), limit], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// At most `limit` payloads of a region after `seq`, oldest first, each with its sequence.
pub(crate) fn after(
    conn: &Connection,
    region: &RegionId,
    seq: i64,
    limit: u32,
) -> Result<Vec<(i64, Vec<u8>)>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT seq, payload FROM events WHERE region = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
    let rows = statement.query_map(params![region.as_str(), seq, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

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
