//! What the hub decides or is given about money: imported statements, and payouts.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::ledger::{self, Stretch};
use super::misstated;
use super::regions::region_of;

/// A line of a provider's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatementLine {
    /// The provider's id of the line.
    pub(crate) id: String,
    pub(crate) transaction_id: String,
    /// `charge` or `refund`.
    pub(crate) kind: &'static str,
    /// Positive.
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) at: UnixMs,
}

/// A statement, before it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) provider: &'static str,
    pub(crate) region: RegionId,
    /// What it covers, the end not included.
    pub(crate) from: UnixMs,
    pub(crate) to: UnixMs,
    pub(crate) lines: Vec<StatementLine>,
}

/// Who did something, and when.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) by: String,
    pub(crate) at: UnixMs,
}

/// Stores a statement; lines that were imported before are left as they are. Returns how many lines were new.
pub(crate) fn import(conn: &mut Connection, statement: &Statement, signed: &Signed) -> Result<u64, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute(
        "INSERT INTO statements (provider, region, from_ms, to_ms, lines, imported_at_ms, imported_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            statement.provider,
            statement.region.as_str(),
            statement.from.0,
            statement.to.0,
            i64::try_from(statement.lines.len()).unwrap_or(i64::MAX),
            signed.at.0,
            signed.by
        ],
    )?;
    let id = tx.last_insert_rowid();
    let (mut new, mut touched) = (0, BTreeSet::new());
    for line in &statement.lines {
        let inserted = tx
            .prepare_cached("INSERT OR IGNORE INTO statement_lines VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                statement.provider,
                line.id,
                line.transaction_id,
                line.kind,
                line.amount_minor,
                line.currency,
                line.at.0,
                id
            ])?;
        if inserted > 0 {
            new += inserted;
            state(&tx, &statement.region, line)?;
            touched.insert(line.transaction_id.as_str());
        }
    }
    for transaction in touched {
        misstated::compare(&tx, &statement.region, transaction)?;
    }
    misstated::compare_changed(&tx, &statement.region, statement.from.0, statement.to.0)?;
    tx.commit()?;
    Ok(u64::try_from(new).unwrap_or(u64::MAX))
}

/// Adds a line to what is stated of its transaction.
fn state(conn: &Connection, region: &RegionId, line: &StatementLine) -> Result<(), StoreFault> {
    let (charged, refunded) = match line.kind {
        "refund" => (0, line.amount_minor),
        _ => (line.amount_minor, 0),
    };
    conn.prepare_cached(
        "INSERT INTO stated VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (region, transaction_id) DO UPDATE SET
             currency = CASE currency WHEN excluded.currency THEN currency ELSE '' END,
             charged_minor = charged_minor + excluded.charged_minor,
             refunded_minor = refunded_minor + excluded.refunded_minor, at_ms = min(at_ms, excluded.at_ms)",
    )?
    .execute(params![
        region.as_str(),
        line.transaction_id,
        line.currency,
        charged,
        refunded,
        line.at.0
    ])?;
    Ok(())
}

/// An imported statement, as it is listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Imported {
    pub(crate) id: i64,
    pub(crate) provider: String,
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    #[schemars(with = "String")]
    pub(crate) from: UnixMs,
    #[schemars(with = "String")]
    pub(crate) to: UnixMs,
    pub(crate) lines: i64,
    #[schemars(with = "String")]
    pub(crate) imported_at: UnixMs,
    pub(crate) imported_by: String,
}

/// The newest statements.
pub(crate) fn statements(conn: &Connection, limit: u32) -> Result<Vec<Imported>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM statements ORDER BY id DESC LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Imported {
            id: row.get("id")?,
            provider: row.get("provider")?,
            region: region_of(row)?,
            from: UnixMs(row.get("from_ms")?),
            to: UnixMs(row.get("to_ms")?),
            lines: row.get("lines")?,
            imported_at: UnixMs(row.get("imported_at_ms")?),
            imported_by: row.get("imported_by")?,
        });
    }
    Ok(found)
}

/// What is paid to one restaurant or driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Payout {
    /// The same for the same entries: a bank that gets it twice pays once.
    pub(crate) payout_id: String,
    pub(crate) run_id: String,
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    pub(crate) account: String,
    pub(crate) party: String,
    pub(crate) currency: String,
    /// Entries after this sequence of the region, up to that.
    pub(crate) from_seq: i64,
    pub(crate) to_seq: i64,
    pub(crate) amount_minor: i64,
    #[schemars(with = "String")]
    pub(crate) created_at: UnixMs,
    pub(crate) created_by: String,
}

/// Settles what restaurants and drivers of some regions were owed by entries of before `until`. Who is owed nothing, or
/// owes, is carried over. The same run again returns the same payouts and makes no new ones.
pub(crate) fn run(
    conn: &mut Connection,
    regions: &[RegionId],
    until: UnixMs,
    signed: &Signed,
) -> Result<Vec<Payout>, StoreFault> {
    let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
    let run_id = format!("run_{}", short_hash(&format!("{} {}", names.join(","), until.0)));
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if payouts_of(&tx, &run_id)?.is_empty() {
        for region in regions {
            for (stretch, amount_minor) in owed(&tx, region, until)? {
                let what = format!(
                    "{} {} {} {} {} {}",
                    region, stretch.account, stretch.party, stretch.currency, stretch.from_seq, stretch.to_seq
                );
                tx.prepare_cached("INSERT INTO payouts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
                    .execute(params![
                        format!("po_{}", short_hash(&what)),
                        run_id,
                        region.as_str(),
                        stretch.account,
                        stretch.party,
                        stretch.currency,
                        stretch.from_seq,
                        stretch.to_seq,
                        amount_minor,
                        signed.at.0,
                        signed.by
                    ])?;
            }
        }
    }
    let payouts = payouts_of(&tx, &run_id)?;
    tx.commit()?;
    Ok(payouts)
}

/// Unsettled stretches of a region before `until`, with the positive amount that each is owed.
fn owed(conn: &Connection, region: &RegionId, until: UnixMs) -> Result<Vec<(Stretch, i64)>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT b.account, b.party, b.currency,
             coalesce((SELECT max(o.to_seq) FROM payouts o WHERE o.region = b.region AND o.account = b.account
                 AND o.party = b.party AND o.currency = b.currency), 0) AS from_seq
         FROM balances b WHERE b.region = ?1 AND b.account IN ('restaurant_payable', 'driver_payable')",
    )?;
    let mut sums = conn.prepare_cached(
        "SELECT max(e.seq), -sum(e.amount_minor) FROM entries e JOIN postings p ON p.region = e.region AND p.seq = e.seq
         WHERE e.party = ?1 AND e.region = ?2 AND e.account = ?3 AND p.currency = ?4 AND e.seq > ?5 AND p.at_ms < ?6",
    )?;
    let mut rows = statement.query([region.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (account, party, currency): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let from_seq: i64 = row.get(3)?;
        let Some((number, whose)) = ledger::key_of(&account, &party) else {
            continue;
        };
        let values = params![whose, region.as_str(), number, currency, from_seq, until.0];
        let (to_seq, amount): (Option<i64>, Option<i64>) =
            sums.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let (Some(to_seq), Some(amount @ 1..)) = (to_seq, amount) {
            let stretch = Stretch {
                region: region.clone(),
                account,
                party,
                currency,
                from_seq,
                to_seq,
            };
            found.push((stretch, amount));
        }
    }
    Ok(found)
}

/// The payouts of a run.
pub(crate) fn payouts_of(conn: &Connection, run_id: &str) -> Result<Vec<Payout>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT * FROM payouts WHERE run_id = ?1 ORDER BY region, account, party")?;
    let mut rows = statement.query([run_id])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(payout(row)?);
    }
    Ok(found)
}

/// One payout.
pub(crate) fn find(conn: &Connection, payout_id: &str) -> Result<Option<Payout>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM payouts WHERE payout_id = ?1")?;
    let found = statement.query_row([payout_id], |row| Ok(payout(row)));
    found.optional()?.transpose()
}

/// A settlement run, as it is listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    pub(crate) currency: String,
    pub(crate) payouts: i64,
    pub(crate) amount_minor: i64,
    #[schemars(with = "String")]
    pub(crate) created_at: UnixMs,
    pub(crate) created_by: String,
}

/// The newest runs, per currency.
pub(crate) fn runs(conn: &Connection, limit: u32) -> Result<Vec<Run>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT run_id, currency, count(*) AS payouts, sum(amount_minor) AS amount, min(created_at_ms) AS at,
             min(created_by) AS who
         FROM payouts GROUP BY run_id, currency ORDER BY at DESC, run_id, currency LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| {
        Ok(Run {
            run_id: row.get("run_id")?,
            currency: row.get("currency")?,
            payouts: row.get("payouts")?,
            amount_minor: row.get("amount")?,
            created_at: UnixMs(row.get("at")?),
            created_by: row.get("who")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn payout(row: &Row<'_>) -> Result<Payout, StoreFault> {
    Ok(Payout {
        payout_id: row.get("payout_id")?,
        run_id: row.get("run_id")?,
        region: region_of(row)?,
        account: row.get("account")?,
        party: row.get("party")?,
        currency: row.get("currency")?,
        from_seq: row.get("from_seq")?,
        to_seq: row.get("to_seq")?,
        amount_minor: row.get("amount_minor")?,
        created_at: UnixMs(row.get("created_at_ms")?),
        created_by: row.get("created_by")?,
    })
}

fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(13).map(|byte| format!("{byte:02x}")).collect()
}
