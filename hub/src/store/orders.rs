//! Rows of the orders projection: load and save for ingest, pages and single orders for the API.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::{CancelReason, PaymentMethod};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use crate::projections::orders::OrderRow;

const COLUMNS: &str = "order_id, region, version, state, customer_id, restaurant_id, driver_id, method, total_minor, \
     refunded_minor, currency, cell, placed_at_ms, updated_at_ms, final_at_ms, cancel_reason";

/// The row of one order.
pub(crate) fn load(conn: &Connection, id: OrderId) -> Result<Option<OrderRow>, StoreFault> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM orders WHERE order_id = ?1"))?;
    let row = statement.query_row([id.bytes()], |row| Ok(read(row))).optional()?;
    row.transpose()
}

/// Inserts or replaces the row of an order.
pub(crate) fn save(conn: &Connection, order: &OrderRow) -> Result<(), StoreFault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO orders VALUES (:order_id, :region, :version, :state, :customer_id, :restaurant_id, :driver_id,
             :method, :total_minor, :refunded_minor, :currency, :cell, :placed_at_ms, :updated_at_ms, :final_at_ms,
             :cancel_reason)
         ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, state = excluded.state,
             restaurant_id = excluded.restaurant_id, driver_id = excluded.driver_id,
             refunded_minor = excluded.refunded_minor, updated_at_ms = excluded.updated_at_ms,
             final_at_ms = excluded.final_at_ms, cancel_reason = excluded.cancel_reason",
    )?;
    statement.execute(named_params! {
        ":order_id": order.id.bytes(),
        ":region": order.region.as_str(),
        ":version": order.version,
        ":state": order.state.name(),
        ":customer_id": order.customer_id.bytes(),
        ":restaurant_id": order.restaurant_id.bytes(),
        ":driver_id": order.driver_id.as_ref().map(tomato_shared::id::Id::bytes),
        ":method": order.method.name(),
        ":total_minor": order.total_minor,
        ":refunded_minor": order.refunded_minor,
        ":currency": order.currency.code(),
        ":cell": order.cell.to_i64(),
        ":placed_at_ms": order.placed_at.0,
        ":updated_at_ms": order.updated_at.0,
        ":final_at_ms": order.final_at.map(|at| at.0),
        ":cancel_reason": order.cancel_reason.map(CancelReason::name),
    })?;
    Ok(())
}

/// The place of an order in the list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) placed_at: UnixMs,
    pub(crate) id: OrderId,
}

/// Which orders to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only these regions; `None`: all.
    pub(crate) regions: Option<BTreeSet<RegionId>>,
    pub(crate) state: Option<OrderState>,
    /// Only orders after this place, that is, older ones.
    pub(crate) after: Option<Place>,
}

/// At most `limit` orders, newest first, ties by id.
pub(crate) fn page(conn: &Connection, filter: &Filter, limit: u32) -> Result<Vec<OrderRow>, StoreFault> {
    let mut wheres = Vec::new();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(regions) = &filter.regions {
        let marks = vec!["?"; regions.len()].join(", ");
        wheres.push(format!("region IN ({marks})"));
        for region in regions {
            values.push(Box::new(region.as_str().to_owned()));
        }
    }
    if let Some(state) = filter.state {
        wheres.push("state = ?".to_owned());
        values.push(Box::new(state.name()));
    }
    if let Some(after) = filter.after {
        wheres.push("(placed_at_ms, order_id) < (?, ?)".to_owned());
        values.push(Box::new(after.placed_at.0));
        values.push(Box::new(*after.id.bytes()));
    }
    values.push(Box::new(limit));
    let wheres = if wheres.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", wheres.join(" AND "))
    };
    let sql = format!("SELECT {COLUMNS} FROM orders {wheres} ORDER BY placed_at_ms DESC, order_id DESC LIMIT ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| Ok(read(row)))?;
    let mut orders = Vec::new();
    for row in rows {
        orders.push(row??);
    }
    Ok(orders)
}

fn read(row: &Row<'_>) -> Result<OrderRow, StoreFault> {
    let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?.to_owned()));
    let corrupt = |column, found| StoreFault::Corrupt {
        table: "orders",
        column,
        found,
    };
    let (region, state, currency, method) = (text("region")?, text("state")?, text("currency")?, text("method")?);
    let cell: i64 = row.get("cell")?;
    let reason: Option<String> = row.get("cancel_reason")?;
    Ok(OrderRow {
        id: OrderId::from_bytes(row.get("order_id")?),
        region: region.parse().map_err(|_| corrupt("region", region))?,
        version: row.get("version")?,
        state: OrderState::from_name(&state).ok_or_else(|| corrupt("state", state))?,
        customer_id: tomato_shared::id::Id::from_bytes(row.get("customer_id")?),
        restaurant_id: tomato_shared::id::Id::from_bytes(row.get("restaurant_id")?),
        driver_id: row
            .get::<_, Option<[u8; 16]>>("driver_id")?
            .map(tomato_shared::id::Id::from_bytes),
        method: PaymentMethod::from_name(&method).ok_or_else(|| corrupt("method", method))?,
        total_minor: row.get("total_minor")?,
        refunded_minor: row.get("refunded_minor")?,
        currency: currency.parse().map_err(|_| corrupt("currency", currency))?,
        cell: Cell::from_i64(cell).ok_or_else(|| corrupt("cell", cell.to_string()))?,
        placed_at: UnixMs(row.get("placed_at_ms")?),
        updated_at: UnixMs(row.get("updated_at_ms")?),
        final_at: row.get::<_, Option<i64>>("final_at_ms")?.map(UnixMs),
        cancel_reason: match reason {
            None => None,
            Some(name) => Some(CancelReason::from_name(&name).ok_or_else(|| corrupt("cancel_reason", name))?),
        },
    })
}
