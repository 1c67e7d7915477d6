//! Rows of payments and refunds.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Bearer, RefundReason};
use tomato_shared::id::{Id, OrderId, PaymentId, RefundId};
use tomato_shared::time::UnixMs;

use super::StoreFault;
use crate::projections::payments::{PaymentRow, PaymentState, RefundRow};

/// The row of one payment.
pub(crate) fn load_payment(
    conn: &Connection,
    region: &RegionId,
    (order, id): (OrderId, PaymentId),
) -> Result<Option<PaymentRow>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT * FROM payments WHERE order_id = ?1 AND region = ?2 AND payment_id = ?3")?;
    let key = params![order.bytes(), region.as_str(), id.bytes()];
    let found = statement.query_row(key, |row| Ok(payment(row)));
    found.optional()?.transpose()
}

/// The payments of an order, oldest first.
pub(crate) fn of_order(conn: &Connection, region: &RegionId, id: OrderId) -> Result<Vec<PaymentRow>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM payments WHERE order_id = ?1 AND region = ?2 ORDER BY created_at_ms, payment_id",
    )?;
    let mut rows = statement.query(params![id.bytes(), region.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(payment(row)?);
    }
    Ok(found)
}

/// Inserts or replaces a payment.
pub(crate) fn save_payment(conn: &Connection, region: &RegionId, row: &PaymentRow) -> Result<(), StoreFault> {
    conn.prepare_cached(
        "INSERT INTO payments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (order_id, region, payment_id) DO UPDATE SET tip = excluded.tip,
             transaction_id = excluded.transaction_id, state = excluded.state,
             authorised_minor = excluded.authorised_minor, captured_minor = excluded.captured_minor,
             refunded_minor = excluded.refunded_minor, updated_at_ms = excluded.updated_at_ms",
    )?
    .execute(params![
        row.order.bytes(),
        region.as_str(),
        row.id.bytes(),
        row.tip,
        row.transaction_id,
        row.state.name(),
        row.authorised_minor,
        row.captured_minor,
        row.refunded_minor,
        row.currency.code(),
        row.created_at.0,
        row.updated_at.0,
    ])?;
    Ok(())
}

fn payment(row: &Row<'_>) -> Result<PaymentRow, StoreFault> {
    let state: String = row.get("state")?;
    let currency: String = row.get("currency")?;
    let known = PaymentState::ALL.into_iter().find(|known| known.name() == state);
    Ok(PaymentRow {
        id: Id::from_bytes(row.get("payment_id")?),
        order: Id::from_bytes(row.get("order_id")?),
        tip: row.get("tip")?,
        transaction_id: row.get("transaction_id")?,
        state: known.ok_or_else(|| corrupt("payments", "state", state))?,
        authorised_minor: row.get("authorised_minor")?,
        captured_minor: row.get("captured_minor")?,
        refunded_minor: row.get("refunded_minor")?,
        currency: currency
            .parse()
            .map_err(|_| corrupt("payments", "currency", currency))?,
        created_at: UnixMs(row.get("created_at_ms")?),
        updated_at: UnixMs(row.get("updated_at_ms")?),
    })
}

/// The row of one refund.
pub(crate) fn load_refund(
    conn: &Connection,
    region: &RegionId,
    (order, id): (OrderId, RefundId),
) -> Result<Option<RefundRow>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT * FROM refunds WHERE order_id = ?1 AND region = ?2 AND refund_id = ?3")?;
    let key = params![order.bytes(), region.as_str(), id.bytes()];
    let found = statement.query_row(key, |row| Ok(refund(row)));
    found.optional()?.transpose()
}

/// Inserts or replaces a refund.
pub(crate) fn save_refund(conn: &Connection, region: &RegionId, row: &RefundRow) -> Result<(), StoreFault> {
    let (state, code) = match &row.outcome {
        None => ("requested", ""),
        Some(Ok(())) => ("done", ""),
        Some(Err(code)) => ("failed", code.as_str()),
    };
    conn.prepare_cached("INSERT OR REPLACE INTO refunds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
        .execute(params![
            row.order.bytes(),
            region.as_str(),
            row.id.bytes(),
            row.amount_minor,
            row.reason.map_or("", RefundReason::name),
            row.borne_by.map_or("", Bearer::name),
            state,
            code,
            row.requested_at.0,
            row.updated_at.0,
        ])?;
    Ok(())
}

fn refund(row: &Row<'_>) -> Result<RefundRow, StoreFault> {
    let (reason, bearer): (String, String) = (row.get("reason")?, row.get("borne_by")?);
    let (state, code): (String, String) = (row.get("state")?, row.get("code")?);
    Ok(RefundRow {
        id: Id::from_bytes(row.get("refund_id")?),
        order: Id::from_bytes(row.get("order_id")?),
        amount_minor: row.get("amount_minor")?,
        reason: RefundReason::from_name(&reason),
        borne_by: Bearer::from_name(&bearer),
        outcome: match state.as_str() {
            "requested" => None,
            "done" => Some(Ok(())),
            "failed" => Some(Err(code)),
            _ => return Err(corrupt("refunds", "state", state)),
        },
        requested_at: UnixMs(row.get("requested_at_ms")?),
        updated_at: UnixMs(row.get("updated_at_ms")?),
    })
}

fn corrupt(table: &'static str, column: &'static str, found: String) -> StoreFault {
    StoreFault::Corrupt { table, column, found }
}
