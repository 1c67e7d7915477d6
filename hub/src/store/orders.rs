//! Rows of the orders projection: load and save for ingest, pages and single orders for the API.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, Statement, ToSql, named_params, params};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::{CancelReason, PaymentMethod};
use tomato_shared::id::{DriverId, Id, OrderId, RestaurantId, UserId};
use tomato_shared::order::OrderState;
use tomato_shared::phone::PhoneHash;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use crate::projections::orders::{OrderMoney, OrderRow, Seqs, Times};

/// The row of one order of a region.
pub(crate) fn load(conn: &Connection, region: &RegionId, id: OrderId) -> Result<Option<OrderRow>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM orders WHERE order_id = ?1 AND region = ?2")?;
    let found = statement.query_row(params![id.bytes(), region.as_str()], |row| Ok(read(row)));
    found.optional()?.transpose()
}

/// The rows with an id, which is one unless regions have made the same id.
pub(crate) fn find(conn: &Connection, id: OrderId) -> Result<Vec<OrderRow>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM orders WHERE order_id = ?1")?;
    let mut rows = statement.query([id.bytes()])?;
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        orders.push(read(row)?);
    }
    Ok(orders)
}

/// Stores the row of an order. `before`: as it is stored, if it is. Columns with an index are written only where they
/// change, which most events do not: an index is written anew with every update that names one of its columns.
pub(crate) fn save(conn: &Connection, before: Option<&OrderRow>, order: &OrderRow) -> Result<(), StoreFault> {
    let Some(before) = before else {
        return insert(conn, order);
    };
    let seen = |row: &OrderRow| (row.money.postings, row.money.taken, row.money.cash);
    let sets = [
        (before.state != order.state, ", state = :state"),
        (
            before.restaurant_id != order.restaurant_id,
            ", restaurant_id = :restaurant_id",
        ),
        (before.driver_id != order.driver_id, ", driver_id = :driver_id"),
        (before.mismatch() != order.mismatch(), ", mismatch = :mismatch"),
        (
            seen(before) != seen(order),
            ", postings = :postings, taken_minor = :taken, cash_minor = :cash",
        ),
    ];
    let sets: String = sets
        .into_iter()
        .filter_map(|(changed, set)| changed.then_some(set))
        .collect();
    let mut statement = conn.prepare_cached(&format!(
        "UPDATE orders SET version = :version, total_minor = :total_minor, confirmed_at_ms = :confirmed_at,
             asked_at_ms = :asked_at, preparing_at_ms = :preparing_at, ready_at_ms = :ready_at,
             assigned_at_ms = :assigned_at, picked_up_at_ms = :picked_up_at, updated_at_ms = :updated_at,
             final_at_ms = :final_at, cancel_reason = :cancel_reason, kept_minor = :kept, tipped_minor = :tipped,
             refunded_minor = :refunded, books_customer_minor = :customer, books_clearing_minor = :clearing,
             books_cash_minor = :books_cash, seqs = :seqs{sets}
         WHERE order_id = :order_id AND region = :region"
    ))?;
    bind(&mut statement, order)?;
    statement.raw_execute()?;
    Ok(())
}

fn insert(conn: &Connection, order: &OrderRow) -> Result<(), StoreFault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO orders VALUES (:order_id, :region, :version, :state, :customer_id, :phone_hash, :restaurant_id, :driver_id,
             :method, :total_minor, :currency, :cell, :placed_at, :deliver_at, :confirmed_at, :asked_at, :preparing_at,
             :ready_at, :assigned_at, :picked_up_at, :updated_at, :final_at, :cancel_reason, :kept, :taken, :tipped,
             :cash, :refunded, :postings, :customer, :clearing, :books_cash, :mismatch, :seqs)",
    )?;
    bind(&mut statement, order)?;
    statement.raw_execute()?;
    Ok(())
}

/// Binds every value of a row that the statement names.
fn bind(statement: &mut Statement<'_>, order: &OrderRow) -> rusqlite::Result<()> {
    let (times, money) = (&order.times, &order.money);
    let values = named_params! {
        ":order_id": order.id.bytes(),
        ":region": order.region.as_str(),
        ":version": order.version,
        ":state": order.state.name(),
        ":customer_id": order.customer_id.bytes(),
        ":phone_hash": order.phone_hash.as_ref().map(PhoneHash::bytes),
        ":restaurant_id": order.restaurant_id.bytes(),
        ":driver_id": order.driver_id.as_ref().map(Id::bytes),
        ":method": order.method.name(),
        ":total_minor": order.total_minor,
        ":currency": order.currency.code(),
        ":cell": order.cell.to_i64(),
        ":placed_at": times.placed.0,
        ":deliver_at": times.deliver.map(|at| at.0),
        ":confirmed_at": times.confirmed.map(|at| at.0),
        ":asked_at": times.asked.map(|at| at.0),
        ":preparing_at": times.preparing.map(|at| at.0),
        ":ready_at": times.ready.map(|at| at.0),
        ":assigned_at": times.assigned.map(|at| at.0),
        ":picked_up_at": times.picked_up.map(|at| at.0),
        ":updated_at": times.updated.0,
        ":final_at": times.ended.map(|at| at.0),
        ":cancel_reason": order.cancel_reason.map(CancelReason::name),
        ":kept": money.kept,
        ":taken": money.taken,
        ":tipped": money.tipped,
        ":cash": money.cash,
        ":refunded": money.refunded,
        ":postings": money.postings,
        ":customer": money.books_customer,
        ":clearing": money.books_clearing,
        ":books_cash": money.books_cash,
        ":mismatch": order.mismatch(),
        ":seqs": order.seqs.to_bytes(),
    };
    for (name, value) in values {
        if let Some(place) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(place, value)?;
        }
    }
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
    pub(crate) customer: Option<UserId>,
    pub(crate) phone_hash: Option<PhoneHash>,
    pub(crate) restaurant: Option<RestaurantId>,
    pub(crate) driver: Option<DriverId>,
    /// Placed from here on, and before there.
    pub(crate) from: Option<UnixMs>,
    pub(crate) to: Option<UnixMs>,
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
        if state != OrderState::Delivered {
            // What the index of the other states asks for; delivered are most, and found by time.
            wheres.push("state <> 'DELIVERED'".to_owned());
        }
        values.push(Box::new(state.name()));
    }
    let parties = [
        ("customer_id", filter.customer.map(|id| *id.bytes())),
        ("phone_hash", filter.phone_hash.map(|hash| *hash.bytes())),
        ("restaurant_id", filter.restaurant.map(|id| *id.bytes())),
        ("driver_id", filter.driver.map(|id| *id.bytes())),
    ];
    for (column, id) in parties {
        if let Some(id) = id {
            wheres.push(format!("{column} = ?"));
            values.push(Box::new(id));
        }
    }
    for (compare, at) in [(">=", filter.from), ("<", filter.to)] {
        if let Some(at) = at {
            wheres.push(format!("placed_at_ms {compare} ?"));
            values.push(Box::new(at.0));
        }
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
    let sql = format!("SELECT * FROM orders {wheres} ORDER BY placed_at_ms DESC, order_id DESC LIMIT ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        orders.push(read(row)?);
    }
    Ok(orders)
}

/// An order's row of any statement that selects all columns of `orders`.
pub(crate) fn read(row: &Row<'_>) -> Result<OrderRow, StoreFault> {
    let corrupt = |column, found| StoreFault::Corrupt {
        table: "orders",
        column,
        found,
    };
    let (state, currency): (String, String) = (row.get("state")?, row.get("currency")?);
    let (method, cell): (String, i64) = (row.get("method")?, row.get("cell")?);
    let reason: Option<String> = row.get("cancel_reason")?;
    let driver: Option<[u8; 16]> = row.get("driver_id")?;
    let phone: Option<[u8; 16]> = row.get("phone_hash")?;
    Ok(OrderRow {
        id: Id::from_bytes(row.get("order_id")?),
        region: super::regions::region_of(row)?,
        version: row.get("version")?,
        state: OrderState::from_name(&state).ok_or_else(|| corrupt("state", state))?,
        customer_id: Id::from_bytes(row.get("customer_id")?),
        phone_hash: phone.map(PhoneHash::from_bytes),
        restaurant_id: Id::from_bytes(row.get("restaurant_id")?),
        driver_id: driver.map(Id::from_bytes),
        method: PaymentMethod::from_name(&method).ok_or_else(|| corrupt("method", method))?,
        total_minor: row.get("total_minor")?,
        currency: currency.parse().map_err(|_| corrupt("currency", currency))?,
        cell: Cell::from_i64(cell).ok_or_else(|| corrupt("cell", cell.to_string()))?,
        cancel_reason: match reason {
            None => None,
            Some(name) => Some(CancelReason::from_name(&name).ok_or_else(|| corrupt("cancel_reason", name))?),
        },
        times: times(row)?,
        money: money(row)?,
        seqs: match row.get_ref("seqs")?.as_blob().ok().and_then(Seqs::from_bytes) {
            Some(seqs) => seqs,
            None => return Err(corrupt("seqs", String::new())),
        },
    })
}

fn times(row: &Row<'_>) -> rusqlite::Result<Times> {
    let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    Ok(Times {
        placed: UnixMs(row.get("placed_at_ms")?),
        deliver: at("deliver_at_ms")?,
        confirmed: at("confirmed_at_ms")?,
        asked: at("asked_at_ms")?,
        preparing: at("preparing_at_ms")?,
        ready: at("ready_at_ms")?,
        assigned: at("assigned_at_ms")?,
        picked_up: at("picked_up_at_ms")?,
        updated: UnixMs(row.get("updated_at_ms")?),
        ended: at("final_at_ms")?,
    })
}

fn money(row: &Row<'_>) -> rusqlite::Result<OrderMoney> {
    Ok(OrderMoney {
        kept: row.get("kept_minor")?,
        taken: row.get("taken_minor")?,
        tipped: row.get("tipped_minor")?,
        cash: row.get("cash_minor")?,
        refunded: row.get("refunded_minor")?,
        postings: row.get("postings")?,
        books_customer: row.get("books_customer_minor")?,
        books_clearing: row.get("books_clearing_minor")?,
        books_cash: row.get("books_cash_minor")?,
    })
}
