//! How `tomato-hub verify` and a node find out cheaply whether they hold the same rows: both hash the same encoding of the same
//! rows, part by part, and only of parts that differ the rows are looked at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Orders fall into so many parts, by the last bits of their ids, which are random.
pub const ORDER_PARTS: u16 = 4_096;
/// Most sums of one answer.
pub const SUMS_MAX: u64 = 4_096;

/// Most orders of one answer.
pub const ORDERS_MAX: usize = 4_000;

/// What is to be hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum VerifyRequest {
    /// How far the region is.
    Reach {},
    /// Events as they were told: a sum for each `step` sequences from `from_seq` to `to_seq`, at most [`SUMS_MAX`].
    Events {
        /// First sequence.
        from_seq: u64,
        /// Last sequence.
        to_seq: u64,
        /// Sequences of one sum; 1 or more.
        step: u64,
    },
    /// Entries of the books, by the sequence of their posting; otherwise as events.
    Entries {
        /// First sequence.
        from_seq: u64,
        /// Last sequence.
        to_seq: u64,
        /// Sequences of one sum; 1 or more.
        step: u64,
    },
    /// Orders as they stand: a sum for each of the [`ORDER_PARTS`].
    Orders {},
    /// The orders of some parts.
    Parts {
        /// Each from 0.
        parts: Vec<u16>,
    },
}

/// A node's answer to a [`VerifyRequest`], all of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReply {
    /// The node's newest event at that moment.
    pub head_seq: u64,
    /// Its oldest event that is kept; 1 more than the newest where none is.
    pub oldest_seq: u64,
    /// The newest that is kept of each incarnation.
    pub ends: Vec<u64>,
    /// What was asked for, in order.
    pub sums: Vec<u64>,
    /// Orders of the parts, by id; at most [`ORDERS_MAX`].
    pub orders: Vec<OrderFacts>,
}

/// What both must know of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderFacts {
    /// Its id.
    pub id: [u8; 16],
    /// Number of its newest event.
    pub version: u32,
    /// Name of its state.
    pub state: String,
    /// Price, in minor units.
    pub total_minor: i64,
    /// Whose it is.
    pub customer: [u8; 16],
    /// Who cooks it.
    pub restaurant: [u8; 16],
}

impl OrderFacts {
    /// The part that the order falls into.
    pub fn part(&self) -> u16 {
        let [.., high, low] = self.id;
        u16::from_be_bytes([high, low]) % ORDER_PARTS
    }

    /// Adds it to a sum.
    pub fn put(&self, sum: &mut Sum) {
        sum.put(&self.id);
        sum.put(&self.version.to_be_bytes());
        sum.put(self.state.as_bytes());
        sum.put(&self.total_minor.to_be_bytes());
        sum.put(&self.customer);
        sum.put(&self.restaurant);
    }
}

/// A hash over fields, each with its length, so that no two lists of fields give the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Sum(Option<Sha256>);

impl Sum {
    /// Adds a field.
    pub fn put(&mut self, field: &[u8]) {
        let hash = self.0.get_or_insert_default();
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }

    /// 64 bits; 0 where nothing was added.
    pub fn value(self) -> u64 {
        let Some(hash) = self.0 else { return 0 };
        hash.finalize()
            .iter()
            .take(8)
            .fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }
}

/// The sums of a stretch of sequences.
#[derive(Debug)]
pub struct Sums {
    from_seq: u64,
    step: u64,
    sums: Vec<Sum>,
}

impl Sums {
    /// Empty; `None` where the stretch is empty or has too many parts.
    pub fn new(from_seq: u64, to_seq: u64, step: u64) -> Option<Self> {
        let parts = to_seq.checked_sub(from_seq)?.checked_div(step)? + 1;
        let parts = usize::try_from(parts).ok().filter(|_| parts <= SUMS_MAX)?;
        Some(Self {
            from_seq,
            step,
            sums: vec![Sum::default(); parts],
        })
    }

    /// Where the rows of a sequence are added.
    pub fn at(&mut self, seq: u64) -> Option<&mut Sum> {
        let part = seq.checked_sub(self.from_seq)? / self.step;
        self.sums.get_mut(usize::try_from(part).ok()?)
    }

    /// In order.
    pub fn values(self) -> Vec<u64> {
        self.sums.into_iter().map(Sum::value).collect()
    }
}

/// Adds an entry of the books to a sum.
pub fn put_entry(sum: &mut Sum, (seq, nth): (u64, i64), (account, party): (&str, &str), amount_minor: i64) {
    sum.put(&seq.to_be_bytes());
    sum.put(&nth.to_be_bytes());
    sum.put(account.as_bytes());
    sum.put(party.as_bytes());
    sum.put(&amount_minor.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_rows_and_their_places_apart() {
        let sum = |fields: &[&[u8]]| {
            let mut sum = Sum::default();
            fields.iter().for_each(|field| sum.put(field));
            sum.value()
        };
        assert_eq!(sum(&[]), 0);
        assert_ne!(sum(&[b"ab", b"c"]), sum(&[b"a", b"bc"]));
        let mut sums = Sums::new(10, 29, 10).unwrap();
        sums.at(10).unwrap().put(b"x");
        sums.at(29).unwrap().put(b"y");
        assert!(sums.at(9).is_none() && sums.at(30).is_none());
        assert_eq!(sums.values(), [sum(&[b"x"]), sum(&[b"y"])]);
        assert!(Sums::new(1, 9_999, 1).is_none() && Sums::new(2, 1, 1).is_none() && Sums::new(1, 2, 0).is_none());
    }
}
