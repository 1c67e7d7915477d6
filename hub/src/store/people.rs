//! Rows of drivers and restaurants.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::id::{DriverId, RestaurantId};
use tomato_shared::time::UnixMs;

use super::StoreFault;
use crate::projections::drivers::DriverRow;

/// The row of one driver in one region.
pub(crate) fn driver(conn: &Connection, region: &RegionId, id: DriverId) -> Result<Option<DriverRow>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT online_since_ms, orders, counted_to_ms FROM drivers WHERE driver_id = ?1 AND region = ?2",
    )?;
    let found = statement.query_row(params![id.bytes(), region.as_str()], |row| {
        Ok(DriverRow {
            online_since: row.get::<_, Option<i64>>(0)?.map(UnixMs),
            orders: row.get(1)?,
            counted_to: UnixMs(row.get(2)?),
        })
    });
    Ok(found.optional()?)
}

/// Stores the row of one driver.
pub(crate) fn save_driver(
    conn: &Connection,
    region: &RegionId,
    id: DriverId,
    row: DriverRow,
) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO drivers VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (driver_id, region) DO UPDATE SET online_since_ms = excluded.online_since_ms,
             orders = excluded.orders, counted_to_ms = excluded.counted_to_ms",
    )?
    .execute(params![
        id.bytes(),
        region.as_str(),
        row.online_since.map(|at| at.0),
        row.orders,
        row.counted_to.0
    ])?;
    Ok(())
}

/// Stores what a region says of a restaurant: its name, where it is, and whether it takes orders.
pub(crate) fn save_restaurant(
    conn: &Connection,
    region: &RegionId,
    id: RestaurantId,
    (name, cell, open): (&str, Cell, bool),
) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO restaurants VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (restaurant_id, region) DO UPDATE SET name = excluded.name, cell = excluded.cell,
             open = excluded.open",
    )?
    .execute(params![id.bytes(), region.as_str(), name, cell.to_i64(), open])?;
    Ok(())
}
