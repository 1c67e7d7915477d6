//! Three ways to know an order's money: the provider's statement, the books, the order's events. What does not match.

use rusqlite::{Connection, Row, params};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::id::{Id, OrderId};
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;

/// Something about money that does not match. Amounts in minor units; `None` where that side says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Unmatched {
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    #[schemars(with = "Option<String>")]
    pub(crate) order_id: Option<OrderId>,
    /// The provider's; empty where it is not about one payment.
    pub(crate) transaction_id: String,
    pub(crate) reason: &'static str,
    /// Since when.
    #[schemars(with = "String")]
    pub(crate) at: UnixMs,
    pub(crate) currency: String,
    pub(crate) provider_minor: Option<i64>,
    pub(crate) ledger_minor: Option<i64>,
    pub(crate) orders_minor: Option<i64>,
}

/// How long a refund may be under way.
const REFUND_MS: i64 = 5 * 60_000;

/// What does not match at `now`, oldest first, at most `limit` per way of looking. All of it stands in indexes of its own
/// that are kept with each event and statement, so this takes as long as the list is, however large the rest.
pub(crate) fn unmatched(conn: &Connection, now: UnixMs, limit: u32) -> Result<Vec<Unmatched>, StoreFault> {
    let mut found = Vec::new();
    let mut take = |sql: &str, values: &[&dyn rusqlite::ToSql], read: fn(&Row<'_>) -> Result<Unmatched, StoreFault>| {
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok::<_, StoreFault>(())
    };
    take(ORDERS, params![limit], order)?;
    take(UNBOOKED, params![limit], order)?;
    take(REFUNDS, params![now.0 - REFUND_MS, limit], refund)?;
    take(STATED, params![limit], stated)?;
    found.sort_by(|a, b| (a.at, &a.region, a.order_id).cmp(&(b.at, &b.region, b.order_id)));
    Ok(found)
}

/// Orders whose events and books do not agree.
const ORDERS: &str =
    "SELECT * FROM orders INDEXED BY orders_unmatched WHERE mismatch IS NOT NULL ORDER BY placed_at_ms LIMIT ?1";
/// Orders without postings, of regions that had begun to post when they were placed.
const UNBOOKED: &str = "SELECT o.*
     FROM region_state s CROSS JOIN orders o INDEXED BY orders_unbooked ON o.region = s.region
         AND o.placed_at_ms >= (SELECT p.at_ms FROM postings p WHERE p.region = s.region ORDER BY p.seq LIMIT 1)
     WHERE o.mismatch IS NULL AND o.postings = 0 AND o.taken_minor + o.cash_minor > 0 AND s.postings > 0
     ORDER BY o.placed_at_ms LIMIT ?1";
const REFUNDS: &str = "SELECT r.*, o.currency AS currency FROM refunds r INDEXED BY refunds_open
     LEFT JOIN orders o ON o.order_id = r.order_id AND o.region = r.region
     WHERE r.state <> 'done' AND (r.state = 'failed' OR r.requested_at_ms < ?1) ORDER BY r.requested_at_ms LIMIT ?2";
/// Transactions on which a provider's statement and the payments do not agree.
const STATED: &str = "SELECT * FROM misstated ORDER BY at_ms LIMIT ?1";
/// What [`super::misstated`] finds.
const REASONS: [&str; 6] = [
    "provider_unknown",
    "provider_missing",
    "provider_currency",
    "provider_amount",
    "provider_refund_missing",
    "provider_refund_unknown",
];

fn order(row: &Row<'_>) -> Result<Unmatched, StoreFault> {
    let order = super::orders::read(row)?;
    let booked = order.money.postings > 0;
    Ok(Unmatched {
        order_id: Some(order.id),
        transaction_id: String::new(),
        reason: order.mismatch().unwrap_or("ledger_missing"),
        at: order.times.ended.unwrap_or(order.times.updated),
        currency: order.currency.code().to_owned(),
        provider_minor: None,
        ledger_minor: booked.then_some(order.money.books_clearing + order.money.books_cash),
        orders_minor: Some(order.net_minor()),
        region: order.region,
    })
}

fn refund(row: &Row<'_>) -> Result<Unmatched, StoreFault> {
    let state: String = row.get("state")?;
    Ok(Unmatched {
        region: region_of(row)?,
        order_id: row.get::<_, Option<[u8; 16]>>("order_id")?.map(Id::from_bytes),
        transaction_id: String::new(),
        reason: if state == "failed" {
            "refund_failed"
        } else {
            "refund_late"
        },
        at: UnixMs(row.get("requested_at_ms")?),
        currency: row.get::<_, Option<String>>("currency")?.unwrap_or_default(),
        provider_minor: None,
        ledger_minor: None,
        orders_minor: Some(row.get("amount_minor")?),
    })
}

fn stated(row: &Row<'_>) -> Result<Unmatched, StoreFault> {
    let reason: String = row.get("reason")?;
    let known = REASONS.into_iter().find(|known| *known == reason);
    Ok(Unmatched {
        region: region_of(row)?,
        order_id: row.get::<_, Option<[u8; 16]>>("order_id")?.map(Id::from_bytes),
        transaction_id: row.get("transaction_id")?,
        reason: known.ok_or(StoreFault::Corrupt {
            table: "misstated",
            column: "reason",
            found: reason,
        })?,
        at: UnixMs(row.get("at_ms")?),
        currency: row.get("currency")?,
        provider_minor: row.get("provider_minor")?,
        ledger_minor: None,
        orders_minor: row.get("orders_minor")?,
    })
}
