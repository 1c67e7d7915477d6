//! Transactions on which a provider's statement and the payments do not agree. Looked at anew with each change of either, so
//! that the list of them is only read.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;

use super::StoreFault;

/// The payments with a transaction.
pub(super) const PAID: &str =
    "SELECT min(order_id), sum(captured_minor), sum(refunded_minor), min(currency), min(created_at_ms),
         max(updated_at_ms)
     FROM payments WHERE transaction_id = ?1 AND transaction_id <> '' AND region = ?2 HAVING count(*) > 0";

/// What a statement says of a transaction.
struct Stated {
    charged_minor: i64,
    refunded_minor: i64,
    /// Empty where its lines name several.
    currency: String,
    at_ms: i64,
}

/// What the payments with a transaction say; nearly always it is one.
struct Paid {
    order_id: [u8; 16],
    captured_minor: i64,
    refunded_minor: i64,
    currency: String,
    created_at_ms: i64,
    updated_at_ms: i64,
}

/// Whether a region has statements at all.
pub(crate) fn any(conn: &Connection, region: &RegionId) -> Result<bool, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM statements WHERE region = ?1)")?;
    Ok(statement.query_row([region.as_str()], |row| row.get(0))?)
}

/// Notes every transaction of the statements, before the payments are made from the events again.
pub(crate) fn begin(conn: &Connection) -> Result<(), StoreFault> {
    let mut statement = conn.prepare("SELECT region, transaction_id FROM stated")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        compare(
            conn,
            &super::regions::region_of(row)?,
            row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
        )?;
    }
    Ok(())
}

/// Compares the payments of a region that changed last between two times.
pub(crate) fn compare_changed(
    conn: &Connection,
    region: &RegionId,
    from_ms: i64,
    to_ms: i64,
) -> Result<(), StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT transaction_id FROM payments
         WHERE region = ?1 AND updated_at_ms >= ?2 AND updated_at_ms < ?3 AND transaction_id <> ''",
    )?;
    let found = statement.query_map(params![region.as_str(), from_ms, to_ms], |row| row.get::<_, String>(0))?;
    for transaction in found.collect::<Result<Vec<_>, _>>()? {
        compare(conn, region, &transaction)?;
    }
    Ok(())
}

/// Compares one transaction, and notes or forgets what does not match.
pub(crate) fn compare(conn: &Connection, region: &RegionId, transaction: &str) -> Result<(), StoreFault> {
    let (stated, paid) = (stated(conn, region, transaction)?, paid(conn, region, transaction)?);
    // Of what changed after the last statement nobody can expect that it is on it.
    let covered = match &paid {
        Some(paid) => covered(conn, region, paid.updated_at_ms)?,
        None => false,
    };
    let Some(reason) = reason(stated.as_ref(), paid.as_ref(), covered) else {
        conn.prepare_cached("DELETE FROM misstated WHERE region = ?1 AND transaction_id = ?2")?
            .execute(params![region.as_str(), transaction])?;
        return Ok(());
    };
    let at_ms = stated.as_ref().map(|stated| stated.at_ms);
    let at_ms = at_ms.or(paid.as_ref().map(|paid| paid.created_at_ms)).unwrap_or(0);
    let currency = stated.as_ref().map(|stated| &stated.currency);
    let currency = currency.or(paid.as_ref().map(|paid| &paid.currency));
    conn.prepare_cached("INSERT OR REPLACE INTO misstated VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            region.as_str(),
            transaction,
            reason,
            paid.as_ref().map(|paid| paid.order_id),
            at_ms,
            currency,
            stated
                .as_ref()
                .map(|stated| stated.charged_minor - stated.refunded_minor),
            paid.as_ref().map(|paid| paid.captured_minor - paid.refunded_minor),
        ])?;
    Ok(())
}

/// Why the two do not agree; `None` if they do. `covered`: a statement is about the time of the payment's last change.
fn reason(stated: Option<&Stated>, paid: Option<&Paid>, covered: bool) -> Option<&'static str> {
    match (stated, paid) {
        (None, None) => None,
        (Some(_), None) => Some("provider_unknown"),
        (None, Some(paid)) => (covered && paid.captured_minor > 0).then_some("provider_missing"),
        (Some(stated), Some(paid)) if stated.currency != paid.currency => Some("provider_currency"),
        (Some(stated), Some(paid)) if stated.charged_minor != paid.captured_minor => Some("provider_amount"),
        (Some(stated), Some(paid)) if covered && paid.refunded_minor > stated.refunded_minor => {
            Some("provider_refund_missing")
        }
        (Some(stated), Some(paid)) if covered && paid.refunded_minor < stated.refunded_minor => {
            Some("provider_refund_unknown")
        }
        (Some(_), Some(_)) => None,
    }
}

fn stated(conn: &Connection, region: &RegionId, transaction: &str) -> Result<Option<Stated>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT charged_minor, refunded_minor, currency, at_ms FROM stated WHERE region = ?1 AND transaction_id = ?2",
    )?;
    let found = statement.query_row(params![region.as_str(), transaction], |row| {
        Ok(Stated {
            charged_minor: row.get(0)?,
            refunded_minor: row.get(1)?,
            currency: row.get(2)?,
            at_ms: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

fn paid(conn: &Connection, region: &RegionId, transaction: &str) -> Result<Option<Paid>, StoreFault> {
    let mut statement = conn.prepare_cached(PAID)?;
    let found = statement.query_row(params![transaction, region.as_str()], |row| {
        Ok(Paid {
            order_id: row.get(0)?,
            captured_minor: row.get(1)?,
            refunded_minor: row.get(2)?,
            currency: row.get(3)?,
            created_at_ms: row.get(4)?,
            updated_at_ms: row.get(5)?,
        })
    });
    Ok(found.optional()?)
}

fn covered(conn: &Connection, region: &RegionId, at_ms: i64) -> Result<bool, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM statements WHERE region = ?1 AND to_ms > ?2 AND from_ms <= ?2)",
    )?;
    Ok(statement.query_row(params![region.as_str(), at_ms], |row| row.get(0))?)
}
