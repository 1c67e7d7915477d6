//! Lists of orders, and snapshots for live views.

use rusqlite::Connection;
use tomato_shared::id::{Id, OrderId, RestaurantId, UserId};
use tomato_shared::order::OrderState;

use super::{OrderRow, Page, collect, doc, driver, head_seq, id, one, prepare, with_driver};
use crate::engine::model::{By, Order};
use crate::feed::audience;
use crate::store::StoreError;

/// Rows looked at for one page when a state is asked for; a page may end early, and its cursor goes on from there.
const SCAN_MAX: usize = 2_000;
/// Orders of one snapshot.
pub const SNAPSHOT_MAX: usize = 1_000;

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
