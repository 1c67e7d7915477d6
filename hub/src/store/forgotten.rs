//! Events that a region has forgotten, because it was restored from a copy of its file that was made before them.

use rusqlite::{Connection, params};
use tomato_shared::cell::RegionId;
use tomato_shared::event;
use tomato_shared::id::{Id, OrderId};
use tomato_shared::time::UnixMs;

use super::{StoreFault, archive};
use crate::fold::Facts;

/// Events that are read before the next are read.
const PAGE: usize = 5_000;

/// Moves a region's events beyond `seq` to those that it has forgotten, by the incarnation that went on without them.
/// Returns how many.
pub(crate) fn forget(conn: &Connection, region: &RegionId, seq: u64, incarnation: u32) -> Result<usize, StoreFault> {
    let mut insert = conn.prepare_cached("INSERT INTO forgotten VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let (mut last, mut moved) = (seq, 0);
    loop {
        let page = archive::after(conn, region, last, PAGE)?;
        let Some((newest, _)) = page.last() else { break };
        last = *newest;
        moved += page.len();
        for (seq, payload) in &page {
            // Only what can be read is ever applied.
            let Ok(decoded) = event::decode(payload) else { continue };
            let facts = Facts::from(&decoded);
            insert.execute(params![
                region.as_str(),
                incarnation,
                i64::try_from(*seq).unwrap_or(i64::MAX),
                facts.at.0,
                facts.name,
                facts.order.as_ref().map(|order| order.id.bytes()),
                payload
            ])?;
        }
    }
    archive::cut(conn, region, seq)?;
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
                EXISTS (SELECT 1 FROM orders WHERE orders.order_id = forgotten.order_id AND orders.region = forgotten.region)
         FROM forgotten WHERE order_id IS NOT NULL GROUP BY region, order_id, by_incarnation ORDER BY region, seq",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(ForgottenOrder {
            region: super::regions::region_of(row)?,
            order_id: Id::from_bytes(row.get(1)?),
            incarnation: row.get(2)?,
            events: row.get(3)?,
            last_at: UnixMs(row.get(4)?),
            last_type: row.get(5)?,
            known: row.get(7)?,
        });
    }
    Ok(found)
}
