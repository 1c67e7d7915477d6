//! Rows beside the orders: books, shifts, promotions, stars, the region's own status, what the hub says, the audit log.

use rusqlite::{Connection, params};
use tomato_shared::event::Envelope;
use tomato_shared::event::books::{Cause, Entry};
use tomato_shared::id::UserId;
use tomato_shared::time::UnixMs;

use super::write::{WriteError, json};
use crate::engine::deed::Deed;
use crate::engine::draft::{Changes, Rated};
use crate::engine::model::Promotion;
use crate::feed::totals::Counts;

/// Key of the region's status in `meta`.
pub(super) const REGION_STATUS: &str = "region_status";

/// Writes what a decision changed of these.
pub(super) fn put(connection: &Connection, changes: &Changes, at: UnixMs) -> Result<(), WriteError> {
    put_quarantine(connection, changes, at)?;
    put_shifts(connection, changes)?;
    for row in changes.promotions.values() {
        put_promotion(connection, row)?;
    }
    put_uses(connection, changes)?;
    put_stars(connection, changes)?;
    if let Some(status) = &changes.region {
        put_fact(connection, REGION_STATUS, &json(status)?)?;
    }
    if let Some(edition) = &changes.control {
        let sql = "INSERT INTO control (id, version, doc) VALUES (1, ?1, ?2)
                   ON CONFLICT (id) DO UPDATE SET version = ?1, doc = ?2";
        let version = i64::try_from(edition.version).map_err(|error| WriteError::Encode(error.to_string()))?;
        connection
            .prepare_cached(sql)?
            .execute(params![version, json(edition.as_ref())?])?;
    }
    Ok(())
}

fn put_fact(connection: &Connection, key: &str, value: &str) -> Result<(), WriteError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
    connection.prepare_cached(sql)?.execute(params![key, value])?;
    Ok(())
}

fn put_quarantine(connection: &Connection, changes: &Changes, at: UnixMs) -> Result<(), WriteError> {
    let sql = "INSERT INTO quarantine (provider, event_id, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (provider, event_id) DO NOTHING";
    for event in &changes.quarantine {
        connection.prepare_cached(sql)?.execute(params![
            event.provider,
            event.event_id,
            at.0,
            event.kind,
            event.body
        ])?;
    }
    Ok(())
}

fn put_shifts(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let sql = "INSERT INTO shifts (driver_id, started_at, ended_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (driver_id, started_at) DO UPDATE SET ended_at = ?3";
    for (driver_id, shift, ended_at) in &changes.shifts {
        connection
            .prepare_cached(sql)?
            .execute(params![driver_id.bytes(), shift.started_at.0, ended_at.0])?;
    }
    Ok(())
}

fn put_promotion(connection: &Connection, row: &Promotion) -> Result<(), WriteError> {
    let sql = "INSERT INTO promotions (code, doc) VALUES (?1, ?2) ON CONFLICT (code) DO UPDATE SET doc = ?2";
    connection.prepare_cached(sql)?.execute(params![row.code, json(row)?])?;
    Ok(())
}

fn put_uses(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let sql = "INSERT INTO promo_uses (code, customer_id, uses) VALUES (?1, ?2, ?3)
               ON CONFLICT (code, customer_id) DO UPDATE SET uses = ?3";
    for ((code, customer_id), uses) in &changes.promo_uses {
        connection
            .prepare_cached(sql)?
            .execute(params![code, customer_id.bytes(), uses])?;
    }
    Ok(())
}

fn put_stars(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    let sql = "INSERT INTO stars (kind, subject, sum, count) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (kind, subject) DO UPDATE SET sum = ?3, count = ?4";
    for (whom, stars) in &changes.stars {
        let (kind, subject) = rated(*whom);
        connection.prepare_cached(sql)?.execute(params![
            kind,
            subject,
            i64::try_from(stars.sum).unwrap_or(i64::MAX),
            i64::try_from(stars.count).unwrap_or(i64::MAX),
        ])?;
    }
    Ok(())
}

/// Number of the kind and bytes of the id, as stored. Numbers are never reused.
pub(super) const fn rated(whom: Rated) -> (i64, [u8; 16]) {
    match whom {
        Rated::Restaurant(id) => (1, *id.bytes()),
        Rated::Driver(id) => (2, *id.bytes()),
    }
}

/// Writes the entries of a posting: the region's own books.
pub(super) fn post(
    connection: &Connection,
    envelope: &Envelope,
    cause: Cause,
    entries: &[Entry],
) -> Result<(), WriteError> {
    let sql = "INSERT INTO postings (seq, nth, at, order_id, cause, account, party, amount_minor)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let seq = i64::try_from(envelope.seq).map_err(|error| WriteError::Encode(error.to_string()))?;
    for (nth, entry) in (0i64..).zip(entries) {
        connection.prepare_cached(sql)?.execute(params![
            seq,
            nth,
            envelope.at.0,
            envelope.order.as_ref().map(|order| order.id.bytes()),
            cause.name(),
            entry.account.name(),
            entry.account.party(),
            entry.amount_minor,
        ])?;
    }
    Ok(())
}

/// Writes the region's counts as of an event.
pub fn put_totals(connection: &Connection, seq: u64, counts: &Counts) -> Result<(), WriteError> {
    let sql = "INSERT INTO totals (id, seq, doc) VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET seq = ?1, doc = ?2";
    let seq = i64::try_from(seq).map_err(|error| WriteError::Encode(error.to_string()))?;
    connection.prepare_cached(sql)?.execute(params![seq, json(counts)?])?;
    Ok(())
}

/// Writes an operator's act into the audit log.
pub fn put_deed(connection: &Connection, operator: UserId, at: UnixMs, deed: &Deed) -> Result<(), WriteError> {
    let sql = "INSERT INTO audit (at, operator_id, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        at.0,
        operator.bytes(),
        deed.action,
        deed.subject,
        deed.detail.to_string(),
    ])?;
    Ok(())
}
