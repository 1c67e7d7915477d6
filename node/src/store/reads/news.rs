//! What happened to a caller's orders since a sequence, for those who cannot hold a socket.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use tomato_shared::event::{self, Decoded, Envelope};
use tomato_shared::id::{Id, OrderId};

use super::{corrupt, doc, head_seq, id, prepare};
use crate::engine::model::{By, Order};
use crate::feed::audience::{self, Name};
use crate::store::StoreError;

/// Rows of the outbox looked at for one page; a page may end early, and goes on from there.
pub const WINDOW: i64 = 10_000;

/// An event that a viewer hears of.
#[derive(Debug, Clone)]
pub struct News {
    /// What it is called for them.
    pub name: Name,
    /// The event.
    pub envelope: Envelope,
}

/// A stretch of the region's events, as far as a viewer hears of them.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Oldest first.
    pub news: Vec<News>,
    /// Everything up to here was looked at.
    pub upto: u64,
    /// Newest event of the region.
    pub head: u64,
    /// Events after the one that was asked from are not kept any more.
    pub missed: bool,
}

/// Events after a sequence that `viewer` hears of, as the order stands now; at most `limit` (1 or more).
pub fn news(connection: &Connection, viewer: By, after: u64, limit: usize) -> Result<Stretch, StoreError> {
    let failed = || StoreError::sqlite("read events");
    let transaction = connection.unchecked_transaction().map_err(failed())?;
    let head = head_seq(&transaction)?;
    let oldest: Option<i64> = prepare(&transaction, "SELECT min(seq) FROM outbox")?
        .query_row([], |row| row.get(0))
        .map_err(failed())?;
    let oldest = oldest.map_or(1, |seq| u64::try_from(seq).unwrap_or(1));
    let from = after.max(oldest - 1);
    // Not by arithmetic: between two incarnations sequences are left out.
    let window = "SELECT max(seq) FROM (SELECT seq FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
    let window: Option<i64> = prepare(&transaction, window)?
        .query_row([i64::try_from(from).unwrap_or(i64::MAX), WINDOW], |row| row.get(0))
        .map_err(failed())?;
    let upto = window.and_then(|seq| u64::try_from(seq).ok());
    let mut stretch = Stretch {
        news: Vec::new(),
        upto: upto.unwrap_or(head.max(after)),
        head,
        missed: oldest > after + 1,
    };
    let (wanted, mine) = condition(&viewer);
    // `?3 = ?3`: every viewer binds the same parameters, though operators have no use for the third.
    let sql = format!(
        "SELECT outbox.seq, outbox.payload, orders.id, orders.doc FROM outbox JOIN orders ON orders.id = outbox.order_id
         WHERE outbox.seq > ?1 AND outbox.seq <= ?2 AND (?3 = ?3) AND ({wanted}) ORDER BY outbox.seq"
    );
    let mut statement = prepare(&transaction, &sql)?;
    let bound = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let mut rows = statement
        .query((bound(from), bound(stretch.upto), mine))
        .map_err(failed())?;
    let mut orders = HashMap::new();
    while let Some(row) = rows.next().map_err(failed())? {
        if let Some(news) = heard(row, viewer, &mut orders)? {
            let seq = news.envelope.seq;
            stretch.news.push(news);
            if stretch.news.len() >= limit {
                stretch.upto = seq;
                break;
            }
        }
    }
    Ok(stretch)
}

/// Which rows may concern a viewer: their orders', and those that name whom an order has gone from. `audience` has the
/// last word.
fn condition(viewer: &By) -> (&'static str, &[u8; 16]) {
    match viewer {
        By::Customer(id) => ("orders.customer_id = ?3", id.bytes()),
        By::Restaurant(id) => (
            "orders.restaurant_id = ?3 OR outbox.type IN ('restaurant.assigned', 'restaurant.declined')",
            id.bytes(),
        ),
        By::Driver(id) => (
            "orders.driver_id = ?3 OR outbox.type GLOB 'driver.*' OR outbox.type GLOB 'delivery.*'
             OR outbox.type = 'order.picked_up'",
            id.bytes(),
        ),
        By::Operator(id) => ("true", id.bytes()),
        By::Provider | By::System => ("false", &[0; 16]),
    }
}

/// `orders`: those parsed already.
fn heard(row: &Row<'_>, viewer: By, orders: &mut HashMap<OrderId, Order>) -> Result<Option<News>, StoreError> {
    let payload = row.get_ref(1).map_err(StoreError::sqlite("read events"))?;
    let payload = payload.as_blob().map_err(|error| corrupt("outbox", error))?;
    let envelope = match event::decode(payload).map_err(|error| corrupt("outbox", error))? {
        Decoded::Known(envelope) => *envelope,
        Decoded::Unknown(_) => return Ok(None),
    };
    let order_id: Id<_> = id(row, 2)?;
    let order = match orders.entry(order_id) {
        std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
        std::collections::hash_map::Entry::Vacant(place) => place.insert(doc("orders", row, 3)?),
    };
    let name = audience::name_for(&envelope.event, order, viewer);
    Ok(name.map(|name| News { name, envelope }))
}
