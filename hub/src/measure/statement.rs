//! What a payment provider would say of what was made up.

use rusqlite::{Connection, params};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use crate::store::StoreFault;
use crate::store::settle::{Statement, StatementLine};

/// Every payment of a region that changed last within a time, as the hub has it.
pub(crate) fn honest_statement(
    conn: &Connection,
    region: &RegionId,
    (from, to): (UnixMs, UnixMs),
) -> Result<Statement, StoreFault> {
    let mut statement = conn.prepare(
        "SELECT transaction_id, captured_minor, refunded_minor, currency, updated_at_ms FROM payments
         WHERE region = ?1 AND updated_at_ms >= ?2 AND updated_at_ms < ?3 AND transaction_id <> ''",
    )?;
    let mut rows = statement.query(params![region.as_str(), from.0, to.0])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let transaction_id: String = row.get(0)?;
        for (kind, amount_minor) in [("charge", row.get(1)?), ("refund", row.get(2)?)] {
            if amount_minor > 0 {
                lines.push(StatementLine {
                    id: format!("{kind}_{transaction_id}"),
                    transaction_id: transaction_id.clone(),
                    kind,
                    amount_minor,
                    currency: row.get(3)?,
                    at: UnixMs(row.get(4)?),
                });
            }
        }
    }
    Ok(Statement {
        provider: "simulated",
        region: region.clone(),
        from,
        to,
        lines,
    })
}
