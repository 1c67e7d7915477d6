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

/// What does not match at `now`, oldest first, at most `limit` per way of looking. Statements are looked at as far back
/// as `since`.
pub(crate) fn unmatched(
    conn: &Connection,
    (since, now): (UnixMs, UnixMs),
    limit: u32,
) -> Result<Vec<Unmatched>, StoreFault> {
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
    take(LINES, params![since.0, limit], line)?;
    take(ABSENT, params![since.0, limit], absent)?;
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
/// Transactions on statements that are unknown here, or have other amounts.
const LINES: &str =
    "SELECT t.region AS region, t.transaction_id AS transaction_id, t.at_ms AS at_ms, t.currency AS currency,
         t.charged AS charged, t.refunded AS refunded, p.order_id AS order_id, p.captured_minor AS captured_minor,
         p.refunded_minor AS refunded_minor, p.currency AS our_currency
     FROM (SELECT s.region, l.transaction_id, min(l.at_ms) AS at_ms, min(l.currency) AS currency,
               sum(CASE l.kind WHEN 'charge' THEN l.amount_minor ELSE 0 END) AS charged,
               sum(CASE l.kind WHEN 'refund' THEN l.amount_minor ELSE 0 END) AS refunded, max(s.to_ms) AS to_ms
           FROM statements s JOIN statement_lines l ON l.statement_id = s.id
           WHERE s.to_ms >= ?1 GROUP BY s.region, l.transaction_id) t
     LEFT JOIN payments p ON p.transaction_id = t.transaction_id AND p.region = t.region
     WHERE p.payment_id IS NULL OR p.captured_minor <> t.charged OR p.currency <> t.currency
         OR (p.refunded_minor <> t.refunded AND p.updated_at_ms < t.to_ms)
     ORDER BY t.at_ms LIMIT ?2";
/// Captured payments that a statement should have and has not.
const ABSENT: &str = "SELECT p.* FROM statements s
     JOIN payments p ON p.region = s.region AND p.created_at_ms >= s.from_ms AND p.created_at_ms < s.to_ms
     WHERE s.to_ms >= ?1 AND p.transaction_id <> '' AND p.captured_minor > 0
         AND NOT EXISTS (SELECT 1 FROM statement_lines l WHERE l.transaction_id = p.transaction_id)
     ORDER BY p.created_at_ms LIMIT ?2";

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

fn line(row: &Row<'_>) -> Result<Unmatched, StoreFault> {
    let (charged, refunded): (i64, i64) = (row.get("charged")?, row.get("refunded")?);
    let captured: Option<i64> = row.get("captured_minor")?;
    let returned: Option<i64> = row.get("refunded_minor")?;
    let (currency, ours): (String, Option<String>) = (row.get("currency")?, row.get("our_currency")?);
    let reason = match captured {
        None => "provider_unknown",
        Some(_) if ours.as_deref() != Some(&currency) => "provider_currency",
        Some(captured) if captured != charged => "provider_amount",
        Some(_) if returned.unwrap_or(0) > refunded => "provider_refund_missing",
        Some(_) => "provider_refund_unknown",
    };
    Ok(Unmatched {
        region: region_of(row)?,
        order_id: row.get::<_, Option<[u8; 16]>>("order_id")?.map(Id::from_bytes),
        transaction_id: row.get("transaction_id")?,
        reason,
        at: UnixMs(row.get("at_ms")?),
        currency,
        provider_minor: Some(charged - refunded),
        ledger_minor: None,
        orders_minor: captured.map(|captured| captured - returned.unwrap_or(0)),
    })
}

fn absent(row: &Row<'_>) -> Result<Unmatched, StoreFault> {
    let (captured, refunded): (i64, i64) = (row.get("captured_minor")?, row.get("refunded_minor")?);
    Ok(Unmatched {
        region: region_of(row)?,
        order_id: Some(Id::from_bytes(row.get("order_id")?)),
        transaction_id: row.get("transaction_id")?,
        reason: "provider_missing",
        at: UnixMs(row.get("created_at_ms")?),
        currency: row.get("currency")?,
        provider_minor: None,
        ledger_minor: None,
        orders_minor: Some(captured - refunded),
    })
}
