//! The region's counts, from its rows.

use rusqlite::{Connection, OptionalExtension as _};
use tomato_shared::order::OrderState;

use super::{collect, corrupt, prepare};
use crate::engine::model::Order;
use crate::feed::totals::{self, Counts, Totals};
use crate::store::StoreError;

/// Counts of the whole region, as they were written with the newest event.
pub fn totals(connection: &Connection) -> Result<Totals, StoreError> {
    let counts = match kept(connection)? {
        Some(counts) => counts,
        None => counted(connection)?,
    };
    let mut ready = prepare(
        connection,
        "SELECT doc FROM orders WHERE ended_at IS NULL AND state = 'READY_FOR_PICKUP'",
    )?;
    let waiting: Vec<Order> = collect(&mut ready, &[], usize::MAX, totals::waits_for_driver)?;
    Ok(Totals::new(counts, waiting.into_iter().map(|order| order.id)))
}

/// What the writer has kept, if it is as new as the newest event.
fn kept(connection: &Connection) -> Result<Option<Counts>, StoreError> {
    let failed = || StoreError::sqlite("read the counts");
    let mut statement = prepare(connection, "SELECT seq, doc FROM totals")?;
    let found: Option<(i64, String)> = statement
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(failed())?;
    let head = super::head_seq(connection)?;
    let fresh = found.filter(|(seq, _)| u64::try_from(*seq).is_ok_and(|seq| seq == head));
    fresh
        .map(|(_, doc)| serde_json::from_str(&doc).map_err(|error| corrupt("totals", error)))
        .transpose()
}

/// Walks all orders: for a file that was written by something else.
fn counted(connection: &Connection) -> Result<Counts, StoreError> {
    let failed = || StoreError::sqlite("count orders");
    let mut counts = Counts::default();
    let sql = "SELECT state, count(*), sum(total_minor) FROM orders GROUP BY state";
    let mut statement = connection.prepare(sql).map_err(failed())?;
    let mut rows = statement.query([]).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let state: String = row.get(0).map_err(failed())?;
        let count = row.get::<_, i64>(1).map_err(failed())?.unsigned_abs();
        counts.placed += count;
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
    let sql = "SELECT coalesce(-sum(amount_minor), 0) FROM postings
               WHERE cause = 'refunded' AND account IN ('provider_clearing', 'cash_office')";
    counts.refunded_minor = connection.query_row(sql, [], |row| row.get(0)).map_err(failed())?;
    Ok(counts)
}
