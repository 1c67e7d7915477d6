//! The regions' books, copied: every posting is checked, chained to the one before it, and added to its accounts.
//!
//! The hub invents no posting. One that does not hold together becomes an anomaly and moves no balance.

use sha2::{Digest as _, Sha256};
use tomato_shared::event::books::{Cause, Entry};
use tomato_shared::id::OrderId;
use tomato_shared::money::Currency;
use tomato_shared::time::UnixMs;

use super::{Anomaly, AnomalyKind};

/// Where the chain of a region stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Books {
    /// Of the first posting; a region has one currency.
    pub(crate) currency: Option<Currency>,
    pub(crate) postings: u64,
    /// Hash of the newest posting; empty before the first.
    pub(crate) head: Vec<u8>,
}

/// One posting, as an event told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) region: String,
    /// Of the event.
    pub(crate) seq: u64,
    pub(crate) at: UnixMs,
    pub(crate) order: Option<OrderId>,
    pub(crate) cause: Cause,
    pub(crate) currency: Currency,
    pub(crate) entries: Vec<Entry>,
}

/// Takes a posting into the books and returns its hash, or says why it stays out. `order`: currency of the order.
pub(crate) fn post(books: &mut Books, posting: &Posting, order: Option<Currency>) -> Result<[u8; 32], Anomaly> {
    let refuse = |kind, detail| {
        Err(Anomaly {
            order_id: posting.order,
            kind,
            detail,
        })
    };
    if let Some(detail) = imbalance(&posting.entries) {
        return refuse(
            AnomalyKind::UnbalancedPosting,
            format!("{}: {detail}", posting.cause.name()),
        );
    }
    for (whose, expected) in [("the region's books", books.currency), ("the order", order)] {
        if let Some(expected) = expected.filter(|currency| *currency != posting.currency) {
            let detail = format!(
                "{} in {}, {whose} in {expected}",
                posting.cause.name(),
                posting.currency
            );
            return refuse(AnomalyKind::ForeignCurrency, detail);
        }
    }
    let hash = chain(&books.head, posting);
    books.currency = Some(posting.currency);
    books.postings += 1;
    books.head = hash.to_vec();
    Ok(hash)
}

/// What is wrong with the entries of a posting; `None` if they sum to zero and each says something.
pub(crate) fn imbalance(entries: &[Entry]) -> Option<String> {
    // i128: no number of 64-bit amounts that fits into one message overflows it.
    let sum: i128 = entries.iter().map(|entry| i128::from(entry.amount_minor)).sum();
    if entries.len() < 2 {
        Some(format!("{} entries", entries.len()))
    } else if entries.iter().any(|entry| entry.amount_minor == 0) {
        Some("an entry of zero".into())
    } else if sum != 0 {
        Some(format!("the entries sum to {sum}"))
    } else {
        None
    }
}

/// The hash of a posting that follows another.
pub(crate) fn chain(before: &[u8], posting: &Posting) -> [u8; 32] {
    let head = Head {
        region: &posting.region,
        seq: posting.seq,
        at: posting.at,
        order: posting.order,
        cause: posting.cause.name(),
        currency: posting.currency.code(),
    };
    let entries = posting.entries.iter();
    link(
        before,
        head,
        entries.map(|entry| (entry.account.name(), entry.account.party(), entry.amount_minor)),
    )
}

/// What a posting says besides its entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) region: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: UnixMs,
    pub(crate) order: Option<OrderId>,
    pub(crate) cause: &'a str,
    pub(crate) currency: &'a str,
}

/// SHA-256 over the hash before it and everything that a posting says, each part on a line. `entries`: account, party, amount.
pub(crate) fn link<'a>(
    before: &[u8],
    head: Head<'_>,
    entries: impl IntoIterator<Item = (&'a str, String, i64)>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    let order = head.order.map(|id| id.to_string()).unwrap_or_default();
    let (region, seq, at, cause, currency) = (head.region, head.seq, head.at.0, head.cause, head.currency);
    hash.update(format!("\n{region}\n{seq}\n{at}\n{order}\n{cause}\n{currency}\n"));
    for (account, party, amount_minor) in entries {
        hash.update(format!("{account} {party} {amount_minor}\n"));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use tomato_shared::event::books::Account;

    use super::*;

    fn posting(amounts: &[i64], currency: &str) -> Posting {
        let entry = |amount_minor: &i64| Entry {
            account: Account::Fees,
            amount_minor: *amount_minor,
        };
        Posting {
            region: "blr".into(),
            seq: 1,
            at: UnixMs(5),
            order: None,
            cause: Cause::Captured,
            currency: currency.parse().unwrap(),
            entries: amounts.iter().map(entry).collect(),
        }
    }

    #[test]
    fn only_what_sums_to_zero_in_the_right_currency_is_posted() {
        let check = |amounts: &[i64], currency, order: Option<&str>, expected| {
            let mut books = Books {
                currency: Some("INR".parse().unwrap()),
                ..Books::default()
            };
            let order = order.map(|code| code.parse().unwrap());
            let found = post(&mut books, &posting(amounts, currency), order);
            assert_eq!(
                found.err().map(|anomaly| anomaly.kind),
                expected,
                "{amounts:?} {currency}"
            );
            assert_eq!(books.postings, u64::from(expected.is_none()));
        };
        use AnomalyKind::{ForeignCurrency, UnbalancedPosting};
        check(&[5, -5], "INR", None, None);
        check(&[5, -2, -3], "INR", Some("INR"), None);
        check(&[5, -4], "INR", None, Some(UnbalancedPosting));
        check(&[5, 0, -5], "INR", None, Some(UnbalancedPosting));
        check(&[], "INR", None, Some(UnbalancedPosting));
        check(&[i64::MAX, i64::MAX, 2], "INR", None, Some(UnbalancedPosting));
        check(&[5, -5], "EUR", None, Some(ForeignCurrency));
        check(&[5, -5], "INR", Some("EUR"), Some(ForeignCurrency));
    }

    #[test]
    fn hash_covers_the_past_and_every_part() {
        let one = posting(&[5, -5], "INR");
        let others = [
            Posting { seq: 2, ..one.clone() },
            Posting {
                cause: Cause::Refunded,
                ..one.clone()
            },
            posting(&[6, -6], "INR"),
        ];
        assert!(others.iter().all(|other| chain(b"", other) != chain(b"", &one)));
        assert_ne!(chain(b"x", &one), chain(b"", &one));
    }
}
