//! `tomato-node reconcile`: what the provider moved, what the region's books say and what its orders say, side by side.
//!
//! Per order, three accounts of the same money have to agree: captures and refunds at the provider, postings to its clearing
//! account, and the payment, refunds and tips in the order's row. What does not agree is listed with its age and a reason.
//! Money that came after a payment's end and went back in full is in no book, and agrees.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde::Deserialize;
use tomato_shared::event::PaymentMethod;
use tomato_shared::event::books::Cause;
use tomato_shared::id::OrderId;
use tomato_shared::time::UnixMs;

use crate::engine::model::{Order, PaymentState, RefundState, TipState};
use crate::engine::task::Task;
use crate::store::StoreError;

/// One movement at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// The provider's id of it.
    pub id: String,
    /// `ord_...`, as the provider was told.
    pub order: String,
    /// `pay_...`, as the provider was told.
    pub payment: String,
    /// Taken where positive, sent back where negative, in minor units.
    pub amount_minor: i64,
    /// When, in seconds since 1970.
    pub created_s: i64,
}

/// Sums of one account of an order's money, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Taken, tips included.
    pub charged: i64,
    /// Sent back.
    pub refunded: i64,
}

/// An order whose accounts do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `ord_...`, or what the provider calls it.
    pub order: String,
    /// At the provider.
    pub provider: Sums,
    /// In the postings.
    pub books: Sums,
    /// In the order's row.
    pub row: Sums,
    /// How old the order is, in hours; `None` where there is no such order.
    pub age_h: Option<i64>,
    /// What it looks like.
    pub reason: &'static str,
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Orders whose accounts agree.
    pub matched: usize,
    /// All that the provider moved.
    pub provider: Sums,
    /// All in the postings.
    pub books: Sums,
    /// All in the orders.
    pub rows: Sums,
    /// Cash that drivers took, by the orders and by the postings.
    pub cash: (i64, i64),
    /// Messages of the provider about no order of this region.
    pub quarantined: i64,
    /// What does not agree.
    pub mismatches: Vec<Mismatch>,
}

impl Report {
    /// Whether nothing is left over.
    pub fn is_even(&self) -> bool {
        self.mismatches.is_empty() && self.cash.0 == self.cash.1
    }
}

#[derive(Debug, Default)]
struct Accounts {
    provider: Sums,
    books: Sums,
    row: Sums,
    placed_at: Option<UnixMs>,
    open: bool,
    doubled: bool,
}

/// Reads a statement: CSV with the header `id,order,payment,amount_minor,created_s`, sent back where negative.
///
/// # Errors
/// Names the line that cannot be read.
pub fn read_statement(path: &Path) -> Result<Vec<Movement>, csv::Error> {
    csv::Reader::from_path(path)?.deserialize().collect()
}

/// Compares. `now`: region time, for ages.
///
/// # Errors
/// [`StoreError`] where the region's file cannot be read.
pub fn compare(connection: &Connection, movements: &[Movement], now: UnixMs) -> Result<Report, StoreError> {
    let mut all: BTreeMap<String, Accounts> = BTreeMap::new();
    let mut captures: BTreeMap<&str, u32> = BTreeMap::new();
    for movement in movements {
        let accounts = all.entry(movement.order.clone()).or_default();
        if movement.amount_minor >= 0 {
            accounts.provider.charged += movement.amount_minor;
            let count = captures.entry(movement.payment.as_str()).or_default();
            *count += 1;
            accounts.doubled |= *count > 1;
        } else {
            accounts.provider.refunded -= movement.amount_minor;
        }
    }
    let mut report = Report::default();
    read_books(connection, &mut all, &mut report)?;
    read_rows(connection, &mut all, &mut report)?;
    report.quarantined = connection
        .query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0))
        .map_err(StoreError::sqlite("count the quarantine"))?;
    for (order, accounts) in all {
        add(&mut report.provider, accounts.provider);
        add(&mut report.books, accounts.books);
        add(&mut report.rows, accounts.row);
        match reason(&accounts) {
            None => report.matched += 1,
            Some(reason) => report.mismatches.push(Mismatch {
                order,
                provider: accounts.provider,
                books: accounts.books,
                row: accounts.row,
                age_h: accounts.placed_at.map(|at| (now - at).0 / 3_600_000),
                reason,
            }),
        }
    }
    Ok(report)
}

fn add(sum: &mut Sums, more: Sums) {
    sum.charged += more.charged;
    sum.refunded += more.refunded;
}

/// Postings to the provider's clearing account, and cash that drivers took.
fn read_books(
    connection: &Connection,
    all: &mut BTreeMap<String, Accounts>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("read the postings");
    let sql = "SELECT order_id, account, cause, amount_minor FROM postings
               WHERE order_id IS NOT NULL AND (account = 'provider_clearing' OR cause = 'cash_taken')";
    let mut rows = Vec::new();
    let read = (|| {
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map([], |row| {
            let id: [u8; 16] = row.get(0)?;
            let (account, cause): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((id, account, cause, row.get::<_, i64>(3)?))
        })?;
        for row in found {
            rows.push(row?);
        }
        Ok::<(), rusqlite::Error>(())
    })();
    read.map_err(failed)?;
    for (id, account, cause, minor) in rows {
        if account != "provider_clearing" {
            report.cash.1 += minor.max(0);
            continue;
        }
        let accounts = all.entry(OrderId::from_bytes(id).to_string()).or_default();
        // What a bank returns after a dispute is no new charge.
        if minor >= 0 && cause != Cause::Disputed.name() {
            accounts.books.charged += minor;
        } else {
            accounts.books.refunded -= minor;
        }
    }
    Ok(())
}

fn read_rows(
    connection: &Connection,
    all: &mut BTreeMap<String, Accounts>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("read the orders");
    let mut docs: Vec<String> = Vec::new();
    let read = (|| {
        let mut statement = connection.prepare("SELECT doc FROM orders")?;
        for row in statement.query_map([], |row| row.get(0))? {
            docs.push(row?);
        }
        Ok::<(), rusqlite::Error>(())
    })();
    read.map_err(failed)?;
    for doc in docs {
        let order: Order = serde_json::from_str(&doc).map_err(|error| StoreError::Corrupt {
            table: "orders",
            reason: error.to_string(),
        })?;
        if order.payment.state == PaymentState::CashTaken {
            report.cash.0 += order.payment.amount_minor;
        }
        let accounts = all.entry(order.id.to_string()).or_default();
        accounts.row = of_row(&order);
        accounts.placed_at = Some(order.placed_at);
        accounts.open = !Task::open(&order).is_empty();
    }
    Ok(())
}

fn of_row(order: &Order) -> Sums {
    let payment = &order.payment;
    let tips = payment.tips.iter().filter(|tip| tip.state == TipState::Done);
    let tips: i64 = tips.map(|tip| tip.amount_minor).sum();
    if payment.method == PaymentMethod::Cash {
        return Sums {
            charged: tips,
            refunded: 0,
        };
    }
    let done = payment
        .refunds
        .iter()
        .filter(|refund| refund.state == RefundState::Done);
    let taken = if payment.state.is_taken() {
        payment.amount_minor
    } else {
        0
    };
    let disputed: i64 = payment.disputes.iter().map(|row| row.withdrawn_minor).sum();
    Sums {
        charged: taken + tips,
        refunded: done.map(|refund| refund.amount_minor).sum::<i64>() + disputed,
    }
}

/// What is wrong; nothing where the three agree.
fn reason(accounts: &Accounts) -> Option<&'static str> {
    let Accounts {
        provider, books, row, ..
    } = accounts;
    let returned = *books == Sums::default() && *row == *books && provider.charged == provider.refunded;
    if accounts.placed_at.is_none() {
        return Some("the provider or the books name an order that is not here");
    }
    if accounts.doubled {
        return Some("one payment was charged twice");
    }
    if books != row {
        return Some("the books and the order differ");
    }
    if provider == books || returned {
        return None;
    }
    Some(match (accounts.open, provider.charged - books.charged) {
        (true, _) => "the provider is still being asked",
        (false, 1..) => "the provider has charged what the region does not know of",
        (false, ..=-1) => "the region believes in a charge that the provider does not know",
        (false, 0) => "refunds differ",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(provider: (i64, i64), books: (i64, i64), row: (i64, i64)) -> Accounts {
        let sums = |(charged, refunded)| Sums { charged, refunded };
        Accounts {
            provider: sums(provider),
            books: sums(books),
            row: sums(row),
            placed_at: Some(UnixMs(0)),
            ..Accounts::default()
        }
    }

    #[test]
    fn what_does_not_agree_has_a_reason() {
        let fine = [
            ((0, 0), (0, 0), (0, 0)),
            ((500, 0), (500, 0), (500, 0)),
            ((500, 200), (500, 200), (500, 200)),
            ((500, 500), (0, 0), (0, 0)),
        ];
        for (provider, books, row) in fine {
            assert_eq!(reason(&accounts(provider, books, row)), None);
        }
        let wrong = [
            ((500, 0), (0, 0), (0, 0)),
            ((0, 0), (500, 0), (500, 0)),
            ((500, 0), (500, 0), (0, 0)),
            ((500, 100), (500, 0), (500, 0)),
            ((500, 0), (500, 100), (500, 100)),
        ];
        let reasons: Vec<_> = wrong
            .map(|(provider, books, row)| reason(&accounts(provider, books, row)))
            .into();
        assert_eq!(
            reasons,
            [
                Some("the provider has charged what the region does not know of"),
                Some("the region believes in a charge that the provider does not know"),
                Some("the books and the order differ"),
                Some("refunds differ"),
                Some("refunds differ"),
            ]
        );
        let twice = Accounts {
            doubled: true,
            ..accounts((500, 0), (500, 0), (500, 0))
        };
        assert_eq!(reason(&twice), Some("one payment was charged twice"));
    }
}
