//! What the map shows: cells, restaurants, orders under way.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::id::{DriverId, Id, OrderId};
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use crate::projections::analytics::Level;

/// Orders under way of one region that the map is given at once.
const MOST: u32 = 2_000;
/// By the index of states, which has the few that are open side by side; SQLite cannot know that they are few.
const OPEN: &str = "('PENDING', 'CONFIRMED', 'PREPARING', 'READY_FOR_PICKUP', 'OUT_FOR_DELIVERY')";

/// How many restaurants a region has in each cell.
pub(crate) fn restaurants(conn: &Connection, region: &RegionId) -> Result<BTreeMap<Cell, u32>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT cell, count(*) FROM restaurants WHERE region = ?1 GROUP BY cell")?;
    let rows = statement.query_map([region.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut found = BTreeMap::new();
    for row in rows {
        let (cell, count): (i64, u32) = row?;
        found.insert(read_cell("restaurants", cell)?, count);
    }
    Ok(found)
}

/// The cells of a region with anything to count since `from_ms`.
pub(crate) fn cells(conn: &Connection, region: &RegionId, from_ms: i64) -> Result<Vec<Cell>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT DISTINCT cell FROM rollups WHERE level = ?1 AND region = ?2 AND start_ms >= ?3")?;
    let values = params![Level::CellDay.number(), region.as_str(), from_ms];
    let rows = statement.query_map(values, |row| row.get::<_, i64>(0))?;
    let mut found = Vec::new();
    for row in rows {
        found.push(read_cell("rollups", row?)?);
    }
    Ok(found)
}

/// Orders under way: how many in which state, per region and cell.
pub(crate) fn open_by_cell(conn: &Connection) -> Result<Vec<(RegionId, i64, OrderState, i64)>, StoreFault> {
    let sql = format!(
        "SELECT region, cell, state, count(*) AS orders FROM orders INDEXED BY orders_newest_in_state
         WHERE state IN {OPEN} AND state <> 'DELIVERED' GROUP BY region, cell, state"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((
            region_of(row)?,
            row.get("cell")?,
            read_state(row.get("state")?)?,
            row.get("orders")?,
        ));
    }
    Ok(found)
}

/// An order under way.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) id: OrderId,
    pub(crate) state: OrderState,
    pub(crate) placed_at: UnixMs,
    pub(crate) driver_id: Option<DriverId>,
    pub(crate) cell: Cell,
    pub(crate) restaurant_cell: Option<Cell>,
}

/// The orders under way of a region, newest first.
pub(crate) fn open_orders(conn: &Connection, region: &RegionId) -> Result<Vec<Open>, StoreFault> {
    let sql = format!(
        "SELECT o.order_id, o.state, o.placed_at_ms, o.driver_id, o.cell, r.cell AS restaurant_cell
         FROM orders o INDEXED BY orders_newest_in_state
         LEFT JOIN restaurants r ON r.restaurant_id = o.restaurant_id AND r.region = o.region
         WHERE o.region = ?1 AND o.state IN {OPEN} AND o.state <> 'DELIVERED' ORDER BY o.placed_at_ms DESC LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![region.as_str(), MOST])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let driver: Option<[u8; 16]> = row.get("driver_id")?;
        let restaurant: Option<i64> = row.get("restaurant_cell")?;
        found.push(Open {
            id: Id::from_bytes(row.get("order_id")?),
            state: read_state(row.get("state")?)?,
            placed_at: UnixMs(row.get("placed_at_ms")?),
            driver_id: driver.map(Id::from_bytes),
            cell: read_cell("orders", row.get("cell")?)?,
            restaurant_cell: restaurant.map(|cell| read_cell("restaurants", cell)).transpose()?,
        });
    }
    Ok(found)
}

/// Drivers of a region who are signed on.
pub(crate) fn drivers_online(conn: &Connection, region: &RegionId) -> Result<i64, StoreFault> {
    let sql = "SELECT count(*) FROM drivers WHERE region = ?1 AND online_since_ms IS NOT NULL";
    Ok(conn
        .prepare_cached(sql)?
        .query_row([region.as_str()], |row| row.get(0))?)
}

fn read_cell(table: &'static str, stored: i64) -> Result<Cell, StoreFault> {
    Cell::from_i64(stored).ok_or_else(|| StoreFault::Corrupt {
        table,
        column: "cell",
        found: stored.to_string(),
    })
}

fn read_state(name: String) -> Result<OrderState, StoreFault> {
    OrderState::from_name(&name).ok_or(StoreFault::Corrupt {
        table: "orders",
        column: "state",
        found: name,
    })
}

/// Per region: when the restaurant was asked that has not answered for longest, of orders placed since `from_ms`.
pub(crate) fn oldest_unanswered(conn: &Connection, from_ms: i64) -> Result<BTreeMap<RegionId, UnixMs>, StoreFault> {
    let sql = "SELECT region, min(asked_at_ms) AS value FROM orders INDEXED BY orders_newest_in_state
         WHERE state = 'CONFIRMED' AND state <> 'DELIVERED' AND placed_at_ms >= ?1 AND asked_at_ms IS NOT NULL GROUP BY region";
    let found = per_region(conn, sql, &[&from_ms])?;
    Ok(found.into_iter().map(|(region, at)| (region, UnixMs(at))).collect())
}

/// Per region: orders that are cooked for, or wait for a driver.
pub(crate) fn waiting(conn: &Connection) -> Result<BTreeMap<RegionId, i64>, StoreFault> {
    let sql = "SELECT region, count(*) AS value FROM orders INDEXED BY orders_newest_in_state
         WHERE state IN ('PREPARING', 'READY_FOR_PICKUP') AND state <> 'DELIVERED' GROUP BY region";
    per_region(conn, sql, &[])
}

fn per_region(
    conn: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<BTreeMap<RegionId, i64>, StoreFault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        found.insert(region_of(row)?, row.get("value")?);
    }
    Ok(found)
}
