//! What readers ask of the file. Each query runs on a read-only connection and touches rows by index, newest first.

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, ToSql};
use serde::de::DeserializeOwned;
use tomato_shared::event::{self, Decoded, Envelope};
use tomato_shared::id::{DriverId, Id, ItemId, Kind, OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

mod beside;
mod news;
mod orders;
pub mod push;
mod totals;

use super::StoreError;
use crate::engine::model::{Driver, Order, Stock};
pub use beside::{
    DRIVERS_MAX, DeedRow, ENTRIES_MAX, EntryRow, SHIFTS_MAX, Statement as AccountStatement, StatementQuery, deeds,
    drivers_online, shifts, stars_of, statement,
};
pub use news::{News, Stretch, WINDOW, news};
pub use orders::{OrderQuery, SNAPSHOT_MAX, Scope, Snapshot, orders, snapshot};
pub use totals::totals;

/// Events of one answer.
pub const EVENTS_MAX: i64 = 500;

/// An order and the row of its driver, where it has one.
#[derive(Debug, Clone)]
pub struct OrderRow {
    /// The order.
    pub order: Order,
    /// Its driver.
    pub driver: Option<Driver>,
}

/// Part of a list.
#[derive(Debug, Clone)]
pub struct Page<T, K> {
    /// In order.
    pub rows: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<K>,
}

/// One order.
pub fn order(connection: &Connection, id: OrderId) -> Result<Option<OrderRow>, StoreError> {
    let order: Option<Order> = one(connection, "orders", "SELECT doc FROM orders WHERE id = ?1", id.bytes())?;
    order.map(|order| with_driver(connection, order)).transpose()
}

/// Whether there is such an order.
pub fn order_exists(connection: &Connection, id: OrderId) -> Result<bool, StoreError> {
    prepare(connection, "SELECT 1 FROM orders WHERE id = ?1")?
        .exists([id.bytes()])
        .map_err(StoreError::sqlite("look for an order"))
}

/// Whether a command with this key was answered here.
pub fn is_answered(connection: &Connection, key: [u8; 16]) -> Result<bool, StoreError> {
    prepare(connection, "SELECT 1 FROM idempotency WHERE key = ?1")?
        .exists([key])
        .map_err(StoreError::sqlite("look for an answer"))
}

/// Events of an order after a version, oldest first, at most [`EVENTS_MAX`]. Events of a newer program are left out.
pub fn events(connection: &Connection, id: OrderId, after: u32) -> Result<Vec<Envelope>, StoreError> {
    let mut statement = prepare(
        connection,
        "SELECT payload FROM outbox WHERE order_id = ?1 AND order_version > ?2 ORDER BY order_version LIMIT ?3",
    )?;
    let failed = || StoreError::sqlite("read an order's events");
    let mut rows = statement.query((id.bytes(), after, EVENTS_MAX)).map_err(failed())?;
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let payload = row.get_ref(0).map_err(failed())?;
        let payload = payload.as_blob().map_err(|error| corrupt("outbox", error))?;
        match event::decode(payload).map_err(|error| corrupt("outbox", error))? {
            Decoded::Known(envelope) => events.push(*envelope),
            Decoded::Unknown(_) => {}
        }
    }
    Ok(events)
}

/// One driver.
pub fn driver(connection: &Connection, id: DriverId) -> Result<Option<Driver>, StoreError> {
    one(
        connection,
        "drivers",
        "SELECT doc FROM drivers WHERE id = ?1",
        id.bytes(),
    )
}

/// A page of drivers, by id.
pub fn drivers(
    connection: &Connection,
    after: Option<DriverId>,
    limit: usize,
) -> Result<Page<Driver, DriverId>, StoreError> {
    let after = after.map_or([0; 16], |id| *id.bytes());
    let mut statement = prepare(connection, "SELECT doc FROM drivers WHERE id > ?1 ORDER BY id")?;
    let mut rows: Vec<Driver> = collect(&mut statement, &[&after], limit + 1, |_| true)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().map(|driver| driver.id).filter(|_| more);
    Ok(Page { rows, next })
}

/// The newest orders that are over, newest first.
pub fn last_orders(connection: &Connection, limit: usize) -> Result<Vec<Order>, StoreError> {
    let sql = "SELECT doc FROM orders WHERE ended_at IS NOT NULL ORDER BY id DESC";
    collect(&mut *prepare(connection, sql)?, &[], limit, |_| true)
}

/// Orders that are ready and have neither driver nor offer, oldest first.
pub fn waiting(connection: &Connection, limit: usize) -> Result<Vec<Order>, StoreError> {
    let sql = "SELECT doc FROM orders INDEXED BY orders_open WHERE ended_at IS NULL AND state = ?1 ORDER BY id";
    let searching = |order: &Order| order.delivery.state == DeliveryState::Searching;
    let mut statement = prepare(connection, sql)?;
    collect(&mut statement, &[&OrderState::ReadyForPickup.name()], limit, searching)
}

/// Drivers who leave for another region, by id.
pub fn leaving(connection: &Connection, after: Option<DriverId>, limit: usize) -> Result<Vec<Driver>, StoreError> {
    let after = after.map_or([0; 16], |id| *id.bytes());
    let mut statement = prepare(
        connection,
        "SELECT doc FROM drivers WHERE leaving = 1 AND id > ?1 ORDER BY id",
    )?;
    collect(&mut statement, &[&after], limit, |_| true)
}

/// Counted stock of a restaurant.
pub fn stock(connection: &Connection, restaurant_id: RestaurantId) -> Result<Vec<(ItemId, Stock)>, StoreError> {
    let mut statement = prepare(
        connection,
        "SELECT item_id, capacity, reserved, sold FROM stock WHERE restaurant_id = ?1",
    )?;
    let rows = statement.query_map([restaurant_id.bytes()], |row| {
        let stock = Stock {
            capacity: row.get(1)?,
            reserved: row.get(2)?,
            sold: row.get(3)?,
        };
        Ok((Id::from_bytes(row.get(0)?), stock))
    });
    rows.and_then(Iterator::collect)
        .map_err(StoreError::sqlite("read stock"))
}

/// Sequence of the newest event; 0 in a new file.
pub fn head_seq(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = prepare(connection, "SELECT coalesce(max(seq), 0) FROM outbox")?;
    let seq: i64 = statement
        .query_row([], |row| row.get(0))
        .map_err(StoreError::sqlite("read the outbox's head"))?;
    Ok(u64::try_from(seq).unwrap_or(0))
}

/// When the oldest event was decided that the hub does not have yet.
pub fn oldest_after(connection: &Connection, watermark_seq: u64) -> Result<Option<UnixMs>, StoreError> {
    let watermark = i64::try_from(watermark_seq).unwrap_or(i64::MAX);
    let mut statement = prepare(connection, "SELECT at FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
    let at = statement.query_row([watermark], |row| row.get(0)).optional();
    Ok(at.map_err(StoreError::sqlite("read the outbox"))?.map(UnixMs))
}

/// How many calls to the outside of each kind, by its stored number, have no outcome yet.
pub fn tasks_open(connection: &Connection) -> Result<Vec<(i64, u32)>, StoreError> {
    let mut statement = prepare(connection, "SELECT kind, count(*) FROM tasks GROUP BY kind")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.and_then(Iterator::collect)
        .map_err(StoreError::sqlite("count tasks"))
}

fn with_driver(connection: &Connection, order: Order) -> Result<OrderRow, StoreError> {
    let driver = match order.delivery.driver_id {
        Some(id) => driver(connection, id)?,
        None => None,
    };
    Ok(OrderRow { order, driver })
}

fn one<T: DeserializeOwned>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    id: &[u8; 16],
) -> Result<Option<T>, StoreError> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query([id]).map_err(StoreError::sqlite("read a row"))?;
    let row = rows.next().map_err(StoreError::sqlite("read a row"))?;
    row.map(|row| doc(table, row, 0)).transpose()
}

fn collect<T: DeserializeOwned>(
    statement: &mut Statement<'_>,
    arguments: &[&dyn ToSql],
    limit: usize,
    wanted: impl Fn(&T) -> bool,
) -> Result<Vec<T>, StoreError> {
    let mut rows = statement.query(arguments).map_err(StoreError::sqlite("read rows"))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(StoreError::sqlite("read rows"))? {
        let value = doc("doc", row, 0)?;
        if wanted(&value) {
            found.push(value);
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<rusqlite::CachedStatement<'c>, StoreError> {
    connection
        .prepare_cached(sql)
        .map_err(StoreError::sqlite("prepare a query"))
}

fn id<K: Kind>(row: &Row<'_>, column: usize) -> Result<Id<K>, StoreError> {
    let bytes = row.get(column).map_err(StoreError::sqlite("read an id"))?;
    Ok(Id::from_bytes(bytes))
}

fn doc<T: DeserializeOwned>(table: &'static str, row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text = row.get_ref(column).map_err(StoreError::sqlite("read a row"))?;
    let text = text.as_str().map_err(|error| corrupt(table, error))?;
    serde_json::from_str(text).map_err(|error| corrupt(table, error))
}

fn corrupt(table: &'static str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        table,
        reason: reason.to_string(),
    }
}
