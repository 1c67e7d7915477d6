//! Reads rows back: the working set at the start, and single orders that are over.

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::de::DeserializeOwned;
use tomato_shared::control::Edition;
use tomato_shared::id::{Id, OrderId};
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::StoreError;
use super::extras::REGION_STATUS;
use crate::engine::city::{City, Stars};
use crate::engine::draft::{Changes, Rated};
use crate::engine::model::{
    Driver, Order, PaymentState, Promotion, Reservation, ReservationKey, ReservationState, Restaurant, Stock,
};
use crate::engine::task::{Task, TaskKey, TaskKind};
use crate::engine::timer::TimerKey;
use crate::feed::totals::Totals;

/// Both go by the index of open orders, so that a start does not look at those that are over.
pub(super) const OPEN_ORDERS: &str = "SELECT doc FROM orders WHERE ended_at IS NULL";
pub(super) const LIVE_RESERVATIONS: &str =
    "SELECT r.order_id, r.restaurant_id, r.item_id, r.quantity, r.state, r.expires_at
     FROM orders o CROSS JOIN reservations r ON r.order_id = o.id
     WHERE o.ended_at IS NULL AND r.state IN ('held', 'consumed')";

/// What a start finds.
#[derive(Debug)]
pub struct Loaded {
    /// The working set.
    pub city: City,
    /// Sequence of the newest event; 0 in a new file.
    pub head_seq: u64,
    /// When that was decided: the region's time never goes behind it.
    pub head_at: UnixMs,
    /// Counts of the region.
    pub totals: Totals,
    /// Calls that were committed and not yet answered; further ones are found in their table later.
    pub tasks: Vec<Task>,
}

/// Loads everything that is not over.
pub fn load(connection: &Connection, now: UnixMs) -> Result<Loaded, StoreError> {
    let mut changes = Changes::default();
    each(connection, "restaurants", "SELECT doc FROM restaurants", |row| {
        let restaurant: Restaurant = doc("restaurants", row, 0)?;
        changes.restaurants.insert(restaurant.id, restaurant.into());
        Ok(())
    })?;
    each(connection, "drivers", "SELECT doc FROM drivers", |row| {
        let driver: Driver = doc("drivers", row, 0)?;
        changes.drivers.insert(driver.id, driver);
        Ok(())
    })?;
    each(connection, "orders", OPEN_ORDERS, |row| {
        let order: Order = doc("orders", row, 0)?;
        changes.orders.insert(order.id, order);
        Ok(())
    })?;
    load_returning(connection, &mut changes)?;
    load_deferred(connection, &mut changes)?;
    load_stock(connection, &mut changes)?;
    load_beside(connection, &mut changes)?;
    load_timers(connection, &mut changes)?;
    if changes
        .orders
        .values()
        .any(|order| order.state == OrderState::ReadyForPickup)
    {
        changes.dispatch_at = Some(Some(now));
    }
    let mut city = City::default();
    city.apply(&changes);
    let (head_seq, head_at) = head(connection)?;
    Ok(Loaded {
        city,
        head_seq,
        head_at,
        totals: super::reads::totals(connection)?,
        tasks: tasks(connection, crate::tasks::QUEUE_MAX)?,
    })
}

/// Orders that are over and whose food is still with their driver.
fn load_returning(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    let bound: Vec<OrderId> = changes
        .drivers
        .values()
        .flat_map(|driver| driver.delivering.iter().copied())
        .collect();
    for id in bound {
        if !changes.orders.contains_key(&id)
            && let Some(row) = order(connection, id)?
        {
            changes.orders.insert(id, row);
        }
    }
    Ok(())
}

/// Orders that are over and whose payment could not be asked for yet: they count against what their customer may owe.
fn load_deferred(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    for task in tasks(connection, crate::tasks::QUEUE_MAX)? {
        if task.kind == TaskKind::Authorise
            && !changes.orders.contains_key(&task.order_id)
            && let Some(row) = order(connection, task.order_id)?
            && row.payment.state == PaymentState::Deferred
        {
            changes.orders.insert(row.id, row);
        }
    }
    Ok(())
}

/// Promotions and their uses, stars, the region's own status, what the hub says.
fn load_beside(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    each(connection, "promotions", "SELECT doc FROM promotions", |row| {
        let promotion: Promotion = doc("promotions", row, 0)?;
        changes.promotions.insert(promotion.code.clone(), promotion.into());
        Ok(())
    })?;
    let sql = "SELECT code, customer_id, uses FROM promo_uses WHERE uses > 0";
    each(connection, "promo_uses", sql, |row| {
        changes.promo_uses.insert((cell(row, 0)?, id(row, 1)?), cell(row, 2)?);
        Ok(())
    })?;
    each(
        connection,
        "stars",
        "SELECT kind, subject, sum, count FROM stars",
        |row| {
            let kind: i64 = cell(row, 0)?;
            let whom = match kind {
                1 => Rated::Restaurant(id(row, 1)?),
                2 => Rated::Driver(id(row, 1)?),
                _ => {
                    return Err(StoreError::Corrupt {
                        table: "stars",
                        reason: format!("kind {kind}"),
                    });
                }
            };
            let (sum, count): (i64, i64) = (cell(row, 2)?, cell(row, 3)?);
            let stars = Stars {
                sum: sum.unsigned_abs(),
                count: count.unsigned_abs(),
            };
            changes.stars.insert(whom, stars);
            Ok(())
        },
    )?;
    let sql = format!("SELECT value FROM meta WHERE key = '{REGION_STATUS}'");
    each(connection, "meta", &sql, |row| {
        changes.region = Some(doc("meta", row, 0)?);
        Ok(())
    })?;
    each(connection, "control", "SELECT doc FROM control", |row| {
        let edition: Edition = doc("control", row, 0)?;
        changes.control = Some(edition.into());
        Ok(())
    })?;
    super::moves::load(connection, changes)
}

/// One order by id, open or over.
pub fn order(connection: &Connection, id: OrderId) -> Result<Option<Order>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT doc FROM orders WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id.bytes()], |row| row.get(0)).optional())
        .map_err(StoreError::sqlite("read an order"))?;
    text.map(|text| parse("orders", &text)).transpose()
}

/// Up to `max` calls that wait to be made, oldest order first.
pub fn tasks(connection: &Connection, max: usize) -> Result<Vec<Task>, StoreError> {
    let mut tasks = Vec::new();
    each(
        connection,
        "tasks",
        &format!("SELECT doc FROM tasks ORDER BY subject LIMIT {max}"),
        |row| {
            tasks.push(doc("tasks", row, 0)?);
            Ok(())
        },
    )?;
    Ok(tasks)
}

/// One call by its name, if it is still to be made.
pub fn task(connection: &Connection, key: TaskKey) -> Result<Option<Task>, StoreError> {
    let sql = "SELECT doc FROM tasks WHERE kind = ?1 AND subject = ?2 AND nth = ?3";
    let name = rusqlite::params![key.kind.to_stored(), key.order_id.bytes(), key.nth];
    let text: Option<String> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(name, |row| row.get(0)).optional())
        .map_err(StoreError::sqlite("read a task"))?;
    text.map(|text| parse("tasks", &text)).transpose()
}

fn head(connection: &Connection) -> Result<(u64, UnixMs), StoreError> {
    let found: Option<(i64, i64)> = connection
        .query_row("SELECT seq, at FROM outbox ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(StoreError::sqlite("read the outbox's head"))?;
    let (seq, at) = found.unwrap_or((0, 0));
    Ok((u64::try_from(seq).unwrap_or(0), UnixMs(at)))
}

fn load_stock(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    each(
        connection,
        "stock",
        "SELECT restaurant_id, item_id, capacity, reserved, sold FROM stock",
        |row| {
            let stock = Stock {
                capacity: cell(row, 2)?,
                reserved: cell(row, 3)?,
                sold: cell(row, 4)?,
            };
            changes.stock.insert((id(row, 0)?, id(row, 1)?), stock);
            Ok(())
        },
    )?;
    each(connection, "reservations", LIVE_RESERVATIONS, |row| {
        let key = ReservationKey {
            order_id: id(row, 0)?,
            restaurant_id: id(row, 1)?,
            item_id: id(row, 2)?,
        };
        let name: String = cell(row, 4)?;
        let state = ReservationState::from_name(&name).ok_or_else(|| StoreError::Corrupt {
            table: "reservations",
            reason: format!("state {name}"),
        })?;
        changes.reservations.insert(
            key,
            Reservation {
                quantity: cell(row, 3)?,
                state,
                expires_at: UnixMs(cell(row, 5)?),
            },
        );
        Ok(())
    })
}

fn load_timers(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    each(
        connection,
        "timers",
        "SELECT kind, subject, due_at FROM timers",
        |row| {
            let kind: i64 = cell(row, 0)?;
            let key = TimerKey::from_stored(kind, cell(row, 1)?).ok_or_else(|| StoreError::Corrupt {
                table: "timers",
                reason: format!("kind {kind}"),
            })?;
            changes.timers.insert(key, Some(UnixMs(cell(row, 2)?)));
            Ok(())
        },
    )
}

fn each(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Corrupt {
        table,
        reason: format!("{source}"),
    };
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        take(row)?;
    }
    Ok(())
}

fn cell<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column).map_err(StoreError::sqlite("read a column"))
}

fn id<K: tomato_shared::id::Kind>(row: &Row<'_>, column: usize) -> Result<Id<K>, StoreError> {
    Ok(Id::from_bytes(cell(row, column)?))
}

fn doc<T: DeserializeOwned>(table: &'static str, row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text: String = cell(row, column)?;
    parse(table, &text)
}

fn parse<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        table,
        reason: error.to_string(),
    })
}
