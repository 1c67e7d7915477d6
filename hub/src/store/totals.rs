//! Rows of the totals projection.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tomato_shared::cell::RegionId;

use super::StoreFault;
use crate::projections::totals::{Money, Totals};

/// Adds to the totals of a region.
pub(crate) fn add(conn: &Connection, region: &RegionId, more: &Totals) -> Result<(), StoreFault> {
    let region = region.as_str();
    conn.prepare_cached(
        "INSERT INTO region_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (region) DO UPDATE SET placed = placed + excluded.placed,
             delivered = delivered + excluded.delivered, cancelled = cancelled + excluded.cancelled,
             payment_failed = payment_failed + excluded.payment_failed, active = active + excluded.active",
    )?
    .execute(params![
        region,
        more.placed,
        more.delivered,
        more.cancelled,
        more.payment_failed,
        more.active
    ])?;
    for (currency, money) in &more.money {
        conn.prepare_cached(
            "INSERT INTO region_money VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (region, currency) DO UPDATE SET revenue_minor = revenue_minor + excluded.revenue_minor,
                 refunded_minor = refunded_minor + excluded.refunded_minor",
        )?
        .execute(params![
            region,
            currency.code(),
            money.revenue_minor,
            money.refunded_minor
        ])?;
    }
    for (bucket, orders) in &more.click_to_door {
        conn.prepare_cached(
            "INSERT INTO click_to_door VALUES (?1, ?2, ?3)
             ON CONFLICT (region, bucket) DO UPDATE SET orders = orders + excluded.orders",
        )?
        .execute(params![region, bucket, orders])?;
    }
    Ok(())
}

/// The totals of every region that has any. Reads in one transaction, so that the parts belong together.
pub(crate) fn all(conn: &mut Connection) -> Result<BTreeMap<RegionId, Totals>, StoreFault> {
    let tx = conn.transaction()?;
    let mut totals: BTreeMap<RegionId, Totals> = BTreeMap::new();
    let mut statement = tx.prepare_cached("SELECT * FROM region_totals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let entry = totals.entry(super::regions::region_of(row)?).or_default();
        entry.placed = row.get("placed")?;
        entry.delivered = row.get("delivered")?;
        entry.cancelled = row.get("cancelled")?;
        entry.payment_failed = row.get("payment_failed")?;
        entry.active = row.get("active")?;
    }
    let mut statement = tx.prepare_cached("SELECT * FROM region_money")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let code: String = row.get("currency")?;
        let currency = code.parse().map_err(|_| StoreFault::Corrupt {
            table: "region_money",
            column: "currency",
            found: code,
        })?;
        let money = Money {
            revenue_minor: row.get("revenue_minor")?,
            refunded_minor: row.get("refunded_minor")?,
        };
        let entry = totals.entry(super::regions::region_of(row)?).or_default();
        entry.money.insert(currency, money);
    }
    let mut statement = tx.prepare_cached("SELECT * FROM click_to_door")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let entry = totals.entry(super::regions::region_of(row)?).or_default();
        entry.click_to_door.insert(row.get("bucket")?, row.get("orders")?);
    }
    Ok(totals)
}
