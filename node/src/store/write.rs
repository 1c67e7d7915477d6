//! Writes what was decided. Everything here runs inside the writer's transaction.

use rusqlite::{Connection, params};
use tomato_shared::cell::RegionId;
use tomato_shared::event::{ENVELOPE_VERSION, Envelope, Event, OrderRef};
use tomato_shared::time::UnixMs;

use super::{extras, moves};
use crate::engine::draft::{Changes, NewEvent};
use crate::engine::model::{By, Driver, Order, Restaurant, Standing};

/// What every event of one command has in common.
#[derive(Debug, Clone)]
pub struct Stamp<'a> {
    /// The region.
    pub region: &'a RegionId,
    /// Its incarnation.
    pub incarnation: u32,
    /// Sequence of the newest event before this command.
    pub head_seq: u64,
    /// When it was decided.
    pub at: UnixMs,
    /// Who asked.
    pub by: By,
    /// When it happened by the clock of a device that was cut off.
    pub device_at: Option<UnixMs>,
    /// W3C trace context.
    pub trace: Option<&'a str>,
    /// The client's key of the command, as it is stored.
    pub key: Option<[u8; 16]>,
}

/// A row that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// SQLite refused or failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row does not serialise.
    #[error("row does not serialise: {0}")]
    Encode(String),
}

/// Writes every row and outbox entry, and returns the envelopes in order.
pub fn write(connection: &Connection, changes: &Changes, stamp: &Stamp<'_>) -> Result<Vec<Envelope>, WriteError> {
    for order in changes.orders.values() {
        put_order(connection, order, stamp.key)?;
    }
    for restaurant in changes.restaurants.values() {
        put_restaurant(connection, restaurant)?;
    }
    for driver in changes.drivers.values() {
        put_driver(connection, driver)?;
    }
    put_stock(connection, changes)?;
    put_reservations(connection, changes)?;
    put_timers(connection, changes)?;
    put_tasks(connection, changes, stamp.trace)?;
    extras::put(connection, changes, stamp.at)?;
    moves::put(connection, changes)?;
    (1u64..)
        .zip(&changes.events)
        .map(|(nth, event)| put_event(connection, event, stamp, stamp.head_seq + nth))
        .collect()
}

pub(super) fn json<T: serde::Serialize>(row: &T) -> Result<String, WriteError> {
    serde_json::to_string(row).map_err(|error| WriteError::Encode(error.to_string()))
}

/// `key` is that of the command; an order keeps the one under which it was placed.
fn put_order(connection: &Connection, order: &Order, key: Option<[u8; 16]>) -> Result<(), WriteError> {
    let sql = "INSERT INTO orders (id, customer_id, restaurant_id, driver_id, state, version, total_minor, placed_at, ended_at, doc,
                   idempotency_key)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
               ON CONFLICT (id) DO UPDATE SET restaurant_id = ?3, driver_id = ?4, state = ?5, version = ?6, total_minor = ?7,
                   ended_at = ?9, doc = ?10";
    connection.prepare_cached(sql)?.execute(params![
        order.id.bytes(),
        order.customer_id.bytes(),
        order.restaurant_id.bytes(),
        order.delivery.driver_id.as_ref().map(|id| id.bytes()),
        order.state.name(),
        order.version,
        order.price.total_minor,
        order.placed_at.0,
        order.ended_at.map(|at| at.0),
        json(order)?,
        key,
    ])?;
    Ok(())
}

fn put_restaurant(connection: &Connection, restaurant: &Restaurant) -> Result<(), WriteError> {
    let sql = "INSERT INTO restaurants (id, name, doc) VALUES (?1, ?2, ?3)
               ON CONFLICT (id) DO UPDATE SET name = ?2, doc = ?3";
    connection
        .prepare_cached(sql)?
        .execute(params![restaurant.id.bytes(), restaurant.name, json(restaurant)?])?;
    Ok(())
}

fn put_driver(connection: &Connection, driver: &Driver) -> Result<(), WriteError> {
    let sql = "INSERT INTO drivers (id, online, leaving, doc) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET online = ?2, leaving = ?3, doc = ?4";
    let leaving = matches!(driver.custody.standing, Standing::Leaving { .. });
    connection
        .prepare_cached(sql)?
        .execute(params![driver.id.bytes(), driver.online, leaving, json(driver)?])?;
    Ok(())
}

fn put_stock(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let sql = "INSERT INTO stock (restaurant_id, item_id, capacity, reserved, sold) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (restaurant_id, item_id) DO UPDATE SET capacity = ?3, reserved = ?4, sold = ?5";
    for ((restaurant_id, item_id), stock) in &changes.stock {
        connection.prepare_cached(sql)?.execute(params![
            restaurant_id.bytes(),
            item_id.bytes(),
            stock.capacity,
            stock.reserved,
            stock.sold,
        ])?;
    }
    Ok(())
}

fn put_reservations(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let sql = "INSERT INTO reservations (order_id, restaurant_id, item_id, quantity, state, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (order_id, restaurant_id, item_id) DO UPDATE SET quantity = ?4, state = ?5, expires_at = ?6";
    for (key, row) in &changes.reservations {
        connection.prepare_cached(sql)?.execute(params![
            key.order_id.bytes(),
            key.restaurant_id.bytes(),
            key.item_id.bytes(),
            row.quantity,
            row.state.name(),
            row.expires_at.0,
        ])?;
    }
    Ok(())
}

fn put_timers(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let put = "INSERT INTO timers (kind, subject, due_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (kind, subject) DO UPDATE SET due_at = ?3";
    let drop = "DELETE FROM timers WHERE kind = ?1 AND subject = ?2";
    for (key, due_at) in &changes.timers {
        let (kind, subject) = key.to_stored();
        match due_at {
            Some(at) => connection.prepare_cached(put)?.execute(params![kind, subject, at.0])?,
            None => connection.prepare_cached(drop)?.execute(params![kind, subject])?,
        };
    }
    Ok(())
}

fn put_tasks(connection: &Connection, changes: &Changes, trace: Option<&str>) -> Result<(), WriteError> {
    let put = "INSERT INTO tasks (kind, subject, nth, doc) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (kind, subject, nth) DO UPDATE SET doc = ?4";
    let drop = "DELETE FROM tasks WHERE kind = ?1 AND subject = ?2 AND nth = ?3";
    for (key, task) in &changes.tasks {
        let (kind, subject) = (key.kind.to_stored(), key.order_id);
        match task {
            Some(task) => {
                let task = crate::engine::task::Task {
                    trace: trace.map(str::to_owned),
                    ..task.clone()
                };
                connection
                    .prepare_cached(put)?
                    .execute(params![kind, subject.bytes(), key.nth, json(&task)?])?
            }
            None => connection
                .prepare_cached(drop)?
                .execute(params![kind, subject.bytes(), key.nth])?,
        };
    }
    Ok(())
}

fn put_event(connection: &Connection, new: &NewEvent, stamp: &Stamp<'_>, seq: u64) -> Result<Envelope, WriteError> {
    let envelope = Envelope {
        v: ENVELOPE_VERSION,
        region: stamp.region.clone(),
        incarnation: stamp.incarnation,
        seq,
        at: stamp.at,
        device_at: stamp.device_at,
        order: new.order.map(|(id, version)| OrderRef { id, version }),
        by: stamp.by.actor(),
        trace: stamp.trace.map(str::to_owned),
        event: new.event.clone(),
    };
    let payload = tomato_shared::event::encode(&envelope).map_err(|error| WriteError::Encode(error.to_string()))?;
    let sql = "INSERT INTO outbox (seq, at, type, order_id, order_version, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![
        i64::try_from(seq).map_err(|error| WriteError::Encode(error.to_string()))?,
        stamp.at.0,
        envelope.event.name(),
        envelope.order.as_ref().map(|order| order.id.bytes()),
        envelope.order.map(|order| order.version),
        payload,
    ])?;
    if let Event::LedgerPosted { cause, entries, .. } = &envelope.event {
        extras::post(connection, &envelope, *cause, entries)?;
    }
    Ok(envelope)
}
