//! The region's counts, from its rows.

use rusqlite::Connection;
use tomato_shared::order::OrderState;

use super::{collect, corrupt, prepare};
use crate::engine::model::Order;
use crate::feed::totals::{self, Counts, Totals};
use crate::store::StoreError;

/// Counts of the whole region. Walks all orders: for the start, before the writer runs; afterwards the feed keeps them.
pub fn totals(connection: &Connection) -> Result<Totals, StoreError> {
    let failed = || StoreError::sqlite("count orders");
    let mut counts = Counts::default();
    let sql = "SELECT state, count(*), sum(total_minor),
                      sum(iif(json_extract(doc, '$.payment.state') = 'REFUNDED', total_minor, 0))
               FROM orders GROUP BY state";
    let mut statement = connection.prepare(sql).map_err(failed())?;
    let mut rows = statement.query([]).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let state: String = row.get(0).map_err(failed())?;
        let count = row.get::<_, i64>(1).map_err(failed())?.unsigned_abs();
        counts.placed += count;
        counts.refunded_minor += row.get::<_, i64>(3).map_err(failed())?;
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
    let mut ready = prepare(
        connection,
        "SELECT doc FROM orders WHERE ended_at IS NULL AND state = 'READY_FOR_PICKUP'",
    )?;
    let waiting: Vec<Order> = collect(&mut ready, &[], usize::MAX, totals::waits_for_driver)?;
    Ok(Totals::new(counts, waiting.into_iter().map(|order| order.id)))
}
