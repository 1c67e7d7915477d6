//! What readers ask of the file. Each query runs on a read-only connection and touches rows by index, newest first.

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, ToSql};
use serde::de::DeserializeOwned;
use tomato_shared::event::{self, Decoded, Envelope};
use tomato_shared::id::{DriverId, Id, ItemId, Kind, OrderId, RestaurantId, UserId};
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::StoreError;
use crate::engine::model::{By, Driver, Order, Stock};
use crate::feed::audience;
use crate::feed::totals::{self, Counts, Totals};

/// Rows looked at for one page when a state is asked for; a page may end early, and its cursor goes on from there.
const SCAN_MAX: usize = 2_000;
/// Orders of one snapshot.
pub const SNAPSHOT_MAX: usize = 1_000;
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

/// Whose orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Of one customer.
    Customer(UserId),
    /// Of one restaurant, once they are paid for.
    Restaurant(RestaurantId),
    /// Of the region.
    All,
}

/// Part of a list.
#[derive(Debug, Clone)]
pub struct Page<T, K> {
    /// In order.
    pub rows: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<K>,
}

/// What a page is asked by.
#[derive(Debug, Clone)]
pub struct OrderQuery {
    /// Whose.
    pub scope: Scope,
    /// In which states; empty for any.
    pub states: Vec<OrderState>,
    /// Only older ones than this.
    pub before: Option<OrderId>,
    /// How many, 1 or more.
    pub limit: usize,
}

/// All of a viewer's orders that are not over, at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Sequence of the newest event that is part of it.
    pub seq: u64,
    /// Newest first.
    pub orders: Vec<OrderRow>,
    /// Whether [`SNAPSHOT_MAX`] cut it short.
    pub cut: bool,
}

/// One order.
pub fn order(connection: &Connection, id: OrderId) -> Result<Option<OrderRow>, StoreError> {
    let order: Option<Order> = one(connection, "orders", "SELECT doc FROM orders WHERE id = ?1", id.bytes())?;
    order.map(|order| with_driver(connection, order)).transpose()
}

/// A page of orders, newest first.
pub fn orders(connection: &Connection, query: &OrderQuery) -> Result<Page<OrderRow, OrderId>, StoreError> {
    let scope = match query.scope {
        Scope::Customer(_) => "customer_id = ?1 AND",
        Scope::Restaurant(_) => "restaurant_id = ?1 AND",
        Scope::All => "",
    };
    let mine = match &query.scope {
        Scope::Customer(id) => id.bytes(),
        Scope::Restaurant(id) => id.bytes(),
        Scope::All => &[0; 16],
    };
    // `id < X'FF..'` for the first page keeps it one statement; no UUIDv7 comes near.
    let before = query.before.as_ref().map_or(&[0xff; 16], Id::bytes);
    // The list of states is looked at here and not by SQL, so that a rare one cannot make a query walk the whole table.
    let sql = format!("SELECT id, state, doc FROM orders WHERE {scope} id < ?2 ORDER BY id DESC");
    let mut statement = prepare(connection, &sql)?;
    let mut found = Page {
        rows: Vec::with_capacity(query.limit),
        next: None,
    };
    let mut rows = statement
        .query((mine, before))
        .map_err(StoreError::sqlite("read orders"))?;
    let (mut seen, mut last) = (0, None);
    while let Some(row) = rows.next().map_err(StoreError::sqlite("read orders"))? {
        if found.rows.len() >= query.limit || seen >= SCAN_MAX {
            found.next = last;
            break;
        }
        seen += 1;
        last = Some(id(row, 0)?);
        let state: String = row.get(1).map_err(StoreError::sqlite("read orders"))?;
        let wanted = query.states.is_empty() || query.states.iter().any(|wanted| wanted.name() == state);
        if !wanted {
            continue;
        }
        let order: Order = doc("orders", row, 2)?;
        let hidden = matches!(query.scope, Scope::Restaurant(_)) && order.confirmed_at.is_none();
        if !hidden {
            found.rows.push(with_driver(connection, order)?);
        }
    }
    Ok(found)
}

/// A viewer's orders that are not over, and the event up to which they are told, read at one moment.
pub fn snapshot(connection: &Connection, viewer: By) -> Result<Snapshot, StoreError> {
    let failed = StoreError::sqlite("read a snapshot");
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let seq = head_seq(&transaction)?;
    let mut orders = open_orders(&transaction, viewer)?;
    let cut = orders.len() > SNAPSHOT_MAX;
    orders.truncate(SNAPSHOT_MAX);
    let orders = orders
        .into_iter()
        .map(|order| with_driver(&transaction, order))
        .collect::<Result<_, _>>()?;
    Ok(Snapshot { seq, orders, cut })
}

fn open_orders(connection: &Connection, viewer: By) -> Result<Vec<Order>, StoreError> {
    let mine = |sql: &str, id: &[u8; 16]| {
        let mut statement = prepare(connection, sql)?;
        collect(&mut statement, &[id], SNAPSHOT_MAX + 1, |order| {
            audience::in_snapshot(order, viewer)
        })
    };
    match viewer {
        By::Customer(id) => mine(
            "SELECT doc FROM orders WHERE customer_id = ?1 AND ended_at IS NULL ORDER BY id DESC",
            id.bytes(),
        ),
        // By way of what is open, which is bounded by the kitchens of a city, and not of all that ever was.
        By::Restaurant(id) => mine(
            "SELECT doc FROM orders INDEXED BY orders_open WHERE ended_at IS NULL AND restaurant_id = ?1
             ORDER BY id DESC",
            id.bytes(),
        ),
        By::Operator(_) => {
            let mut statement = prepare(
                connection,
                "SELECT doc FROM orders INDEXED BY orders_open WHERE ended_at IS NULL ORDER BY id DESC",
            )?;
            collect(&mut statement, &[], SNAPSHOT_MAX + 1, |_| true)
        }
        By::Driver(id) => {
            let Some(driver) = driver(connection, id)? else {
                return Ok(Vec::new());
            };
            let mut orders = Vec::new();
            for id in driver.offered.into_iter().chain(driver.delivering) {
                orders.extend(one(
                    connection,
                    "orders",
                    "SELECT doc FROM orders WHERE id = ?1",
                    id.bytes(),
                )?);
            }
            orders.retain(|order| audience::in_snapshot(order, viewer));
            Ok(orders)
        }
        By::Provider | By::System => Ok(Vec::new()),
    }
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

/// Counts of the whole region. Walks all orders: for the start, before the writer runs; afterwards the feed keeps them.
pub fn totals(connection: &Connection) -> Result<Totals, StoreError> {
    let failed = || StoreError::sqlite("count orders");
    let mut counts = Counts::default();
    let sql = "SELECT state, count(*), sum(total_minor),
                      sum(iif(json_extract(doc, '$.payment.state') = 'REFUNDED', total_minor, 0))
               FROM orders GROUP BY state";
    let mut statement = connection.prepare(sql).map_err(failed())?;
    let mut rows = statement.query([]).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let state: String = row.get(0).map_err(failed())?;
        let count = row.get::<_, i64>(1).map_err(failed())?.unsigned_abs();
        counts.placed += count;
        counts.refunded_minor += row.get::<_, i64>(3).map_err(failed())?;
        match OrderState::from_name(&state).ok_or_else(|| corrupt("orders", format!("state {state}")))? {
            OrderState::Delivered => {
                counts.delivered = count;
                counts.revenue_minor = row.get(2).map_err(failed())?;
            }
            OrderState::Cancelled => counts.cancelled = count,
            OrderState::PaymentFailed => counts.payment_failed = count,
            OrderState::Pending
            | OrderState::Confirmed
            | OrderState::Preparing
            | OrderState::ReadyForPickup
            | OrderState::OutForDelivery => counts.active += count,
        }
    }
    let mut ready = prepare(
        connection,
        "SELECT doc FROM orders WHERE ended_at IS NULL AND state = 'READY_FOR_PICKUP'",
    )?;
    let waiting: Vec<Order> = collect(&mut ready, &[], usize::MAX, totals::waits_for_driver)?;
    Ok(Totals::new(counts, waiting.into_iter().map(|order| order.id)))
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
