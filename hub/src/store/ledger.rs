//! Rows of the ledger: postings, their entries, and the balances that they add up to.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::event::books::Account;
use tomato_shared::id::{DriverId, Id, OrderId, RestaurantId};
use tomato_shared::money::Currency;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use crate::projections::ledger::Posting;
use crate::projections::orders::OrderRow;

/// Kinds of accounts as they are stored in `entries`: the place is the number, so new ones come last.
const ACCOUNTS: [&str; 11] = [
    "customer_payments",
    "provider_clearing",
    "cash_in_hand",
    "cash_office",
    "restaurant_payable",
    "driver_payable",
    "fees",
    "taxes",
    "discounts",
    "refunds",
    "disputes",
];

/// Fills `accounts`, for those who read the file with SQL.
pub(crate) fn name_accounts(conn: &Connection) -> Result<(), StoreFault> {
    let mut insert = conn.prepare("INSERT INTO accounts VALUES (?1, ?2)")?;
    for name in ACCOUNTS {
        insert.execute(params![number(name), name])?;
    }
    Ok(())
}

/// The number of a kind of account; -1 is that of none.
fn number(name: &str) -> i64 {
    let place = ACCOUNTS.iter().position(|known| *known == name);
    place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)
}

/// Whose account it is, as it is stored in `entries`.
fn party(account: &Account) -> Option<&[u8; 16]> {
    match account {
        Account::CashInHand { driver_id } | Account::DriverPayable { driver_id } => Some(driver_id.bytes()),
        Account::RestaurantPayable { restaurant_id } => Some(restaurant_id.bytes()),
        Account::CustomerPayments
        | Account::ProviderClearing
        | Account::CashOffice
        | Account::Fees
        | Account::Taxes
        | Account::Discounts
        | Account::Refunds
        | Account::Disputes => None,
    }
}

/// One account of one party, as `entries` has them; `None` for what is no such account.
pub(crate) fn key_of(account: &str, party: &str) -> Option<(i64, [u8; 16])> {
    let bytes = if account == "restaurant_payable" {
        *party.parse::<RestaurantId>().ok()?.bytes()
    } else {
        *party.parse::<DriverId>().ok()?.bytes()
    };
    Some((number(account), bytes))
}

/// What a run of postings moves: debits, credits and last sequence per currency, account and party.
pub(crate) type Moves = BTreeMap<(Currency, &'static str, String), Move>;

/// Of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Move {
    debit_minor: i64,
    credit_minor: i64,
    last_seq: i64,
}

/// Appends a posting.
pub(crate) fn insert(conn: &Connection, posting: &Posting, hash: &[u8; 32]) -> Result<(), StoreFault> {
    let seq = signed(posting.seq);
    conn.prepare_cached("INSERT INTO postings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            posting.region,
            seq,
            posting.at.0,
            posting.order.as_ref().map(Id::bytes),
            posting.cause.name(),
            posting.currency.code(),
            hash
        ])?;
    let mut statement = conn.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (n, entry) in (0i64..).zip(&posting.entries) {
        let (account, party) = (number(entry.account.name()), party(&entry.account));
        statement.execute(params![posting.region, seq, n, account, party, entry.amount_minor])?;
    }
    Ok(())
}

/// Adds a posting to what is moved.
pub(crate) fn count(moves: &mut Moves, posting: &Posting) {
    for entry in &posting.entries {
        let key = (posting.currency, entry.account.name(), entry.account.party());
        let sums = moves.entry(key).or_default();
        let size = entry.amount_minor.saturating_abs();
        if entry.amount_minor > 0 {
            sums.debit_minor = sums.debit_minor.saturating_add(size);
        } else {
            sums.credit_minor = sums.credit_minor.saturating_add(size);
        }
        sums.last_seq = signed(posting.seq);
    }
}

/// Moves the balances of a region.
pub(crate) fn save_moves(conn: &Connection, region: &RegionId, moves: &Moves) -> Result<(), StoreFault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO balances VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (region, currency, account, party) DO UPDATE SET debit_minor = debit_minor + excluded.debit_minor,
             credit_minor = credit_minor + excluded.credit_minor, last_seq = excluded.last_seq",
    )?;
    for ((currency, account, party), sums) in moves {
        statement.execute(params![
            region.as_str(),
            currency.code(),
            account,
            party,
            sums.debit_minor,
            sums.credit_minor,
            sums.last_seq
        ])?;
    }
    Ok(())
}

/// What stands in one kind of account of one region.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Balance {
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    pub(crate) currency: String,
    pub(crate) account: String,
    /// Accounts of that kind: one, or one per restaurant or driver.
    pub(crate) parties: i64,
    pub(crate) debit_minor: i64,
    pub(crate) credit_minor: i64,
    /// Debits less credits.
    pub(crate) balance_minor: i64,
}

/// The balances of every region, per currency and kind of account.
pub(crate) fn balances(conn: &Connection) -> Result<Vec<Balance>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT region, currency, account, count(*) AS parties, sum(debit_minor) AS debit, sum(credit_minor) AS credit
         FROM balances GROUP BY region, currency, account ORDER BY region, currency, account",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (debit_minor, credit_minor): (i64, i64) = (row.get("debit")?, row.get("credit")?);
        found.push(Balance {
            region: region_of(row)?,
            currency: row.get("currency")?,
            account: row.get("account")?,
            parties: row.get("parties")?,
            debit_minor,
            credit_minor,
            balance_minor: debit_minor.saturating_sub(credit_minor),
        });
    }
    Ok(found)
}

/// One entry, with its posting.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Line {
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    pub(crate) seq: i64,
    #[schemars(with = "String")]
    pub(crate) at: UnixMs,
    #[schemars(with = "Option<String>")]
    pub(crate) order_id: Option<OrderId>,
    pub(crate) cause: String,
    pub(crate) currency: String,
    pub(crate) account: String,
    pub(crate) party: String,
    /// Debit positive.
    pub(crate) amount_minor: i64,
}

const LINES: &str =
    "SELECT p.region, p.seq, p.at_ms, p.order_id, p.cause, p.currency, e.account, e.party, e.amount_minor
     FROM entries e JOIN postings p ON p.region = e.region AND p.seq = e.seq";

/// The entries of an order, in the order of its postings.
pub(crate) fn of_order(conn: &Connection, order: &OrderRow) -> Result<Vec<Line>, StoreFault> {
    let sql = format!("{LINES} WHERE e.region = ?1 AND e.seq = ?2 ORDER BY e.n");
    let mut found = Vec::new();
    for seq in &order.seqs.0 {
        found.extend(lines(conn, &sql, params![order.region.as_str(), signed(*seq)])?);
    }
    Ok(found)
}

/// One account of one party, and which of its entries.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) region: RegionId,
    pub(crate) account: String,
    pub(crate) party: String,
    pub(crate) currency: String,
    /// Entries after this sequence, up to that.
    pub(crate) from_seq: i64,
    pub(crate) to_seq: i64,
}

/// The entries of a stretch.
pub(crate) fn of_stretch(conn: &Connection, stretch: &Stretch) -> Result<Vec<Line>, StoreFault> {
    let sql = format!(
        "{LINES} WHERE e.party = ?1 AND e.region = ?2 AND e.account = ?3 AND p.currency = ?4
         AND e.seq > ?5 AND e.seq <= ?6 ORDER BY e.seq, e.n"
    );
    let Some((account, party)) = key_of(&stretch.account, &stretch.party) else {
        return Ok(Vec::new());
    };
    let values = params![
        party,
        stretch.region.as_str(),
        account,
        stretch.currency,
        stretch.from_seq,
        stretch.to_seq
    ];
    lines(conn, &sql, values)
}

fn lines(conn: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Line>, StoreFault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let account: i64 = row.get("account")?;
        let name = usize::try_from(account).ok().and_then(|place| ACCOUNTS.get(place));
        let account = name.copied().ok_or_else(|| StoreFault::Corrupt {
            table: "entries",
            column: "account",
            found: account.to_string(),
        })?;
        found.push(Line {
            region: region_of(row)?,
            seq: row.get("seq")?,
            at: UnixMs(row.get("at_ms")?),
            order_id: row.get::<_, Option<[u8; 16]>>("order_id")?.map(Id::from_bytes),
            cause: row.get("cause")?,
            currency: row.get("currency")?,
            party: party_text(account, row.get("party")?),
            account: account.to_owned(),
            amount_minor: row.get("amount_minor")?,
        });
    }
    Ok(found)
}

/// One entry of the books.
#[derive(Debug, Clone)]
pub(crate) struct Booked {
    pub(crate) seq: u64,
    /// Its place in its posting.
    pub(crate) n: i64,
    /// Name of the account; empty where that is none.
    pub(crate) account: &'static str,
    pub(crate) party: String,
    pub(crate) amount_minor: i64,
}

/// Shows every entry of a region from one sequence up to another, in order.
pub(crate) fn each(
    conn: &Connection,
    region: &RegionId,
    (from, to): (u64, u64),
    mut show: impl FnMut(Booked),
) -> Result<(), StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, n, account, party, amount_minor FROM entries WHERE region = ?1 AND seq >= ?2 AND seq <= ?3
         ORDER BY seq, n",
    )?;
    let mut rows = statement.query(params![region.as_str(), signed(from), signed(to)])?;
    while let Some(row) = rows.next()? {
        let account: i64 = row.get(2)?;
        let account = name(account);
        show(Booked {
            seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            n: row.get(1)?,
            account,
            party: party_text(account, row.get(3)?),
            amount_minor: row.get(4)?,
        });
    }
    Ok(())
}

/// The kind of account of a number; empty where that is none.
pub(crate) fn name(number: i64) -> &'static str {
    let place = usize::try_from(number).ok();
    place.and_then(|place| ACCOUNTS.get(place)).copied().unwrap_or_default()
}

/// A party as people read it.
pub(crate) fn party_text(account: &str, party: Option<[u8; 16]>) -> String {
    let text = |bytes| match account {
        "restaurant_payable" => RestaurantId::from_bytes(bytes).to_string(),
        _ => DriverId::from_bytes(bytes).to_string(),
    };
    party.map(text).unwrap_or_default()
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
