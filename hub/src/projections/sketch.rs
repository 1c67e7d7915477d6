//! Spans of time, counted in buckets: percentiles of any union of regions, cells and hours by adding counts up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sub-buckets per power of two: the middle of a bucket is within 1.6 % of every value in it.
const STEPS: u64 = 32;
const STEP_BITS: u32 = 5;

/// Counts per [`bucket`]. Buckets are the same everywhere, so that sketches can be added up, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sketch(BTreeMap<u32, i64>);

impl Sketch {
    /// Counts one span. A negative one (a clock that was set back) counts as 0.
    pub(crate) fn count(&mut self, ms: i64) {
        *self.0.entry(bucket(ms)).or_default() += 1;
    }

    /// Adds another sketch.
    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    /// How many spans were counted.
    pub(crate) fn len(&self) -> i64 {
        self.0.values().sum()
    }

    /// The span in milliseconds that `percent` of all stay within (nearest rank); `None` without any.
    pub(crate) fn percentile_ms(&self, percent: i64) -> Option<i64> {
        let rank = (self.len() * percent + 99) / 100;
        let mut passed = 0;
        self.0.iter().find_map(|(bucket, here)| {
            passed += here;
            (passed >= rank.max(1)).then(|| middle_ms(*bucket))
        })
    }
}

fn bucket(ms: i64) -> u32 {
    let ms = u64::try_from(ms).unwrap_or(0);
    let shift = (u64::BITS - ms.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let number = u64::from(shift) * STEPS + (ms >> shift);
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The middle of a bucket, in milliseconds.
fn middle_ms(bucket: u32) -> i64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / STEPS).saturating_sub(1).min(57);
    let low = (bucket - shift * STEPS) << shift;
    let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
    i64::try_from(low.saturating_add(half)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_of_a_bucket_is_near_every_value_in_it() {
        for ms in (0..200).chain((200..10_000_000).step_by(997)).chain([i64::MAX]) {
            let middle = middle_ms(bucket(ms));
            assert!(
                (i128::from(middle) - i128::from(ms)).abs() * 64 <= i128::from(ms),
                "{ms} -> {middle}"
            );
        }
        assert_eq!(bucket(-5), bucket(0));
    }

    #[test]
    fn buckets_ascend() {
        let numbers: Vec<u32> = (0..100_000).map(bucket).collect();
        assert!(
            numbers
                .windows(2)
                .all(|pair| pair[0] == pair[1] || pair[0] + 1 == pair[1])
        );
    }

    #[test]
    fn percentiles_by_nearest_rank_of_parts_that_were_added_up() {
        let (mut odd, mut even) = (Sketch::default(), Sketch::default());
        for ms in 1..=10 {
            if ms % 2 == 0 { even.count(ms) } else { odd.count(ms) }
        }
        odd.add(&even);
        assert_eq!(odd.percentile_ms(50), Some(5));
        assert_eq!(odd.percentile_ms(90), Some(9));
        assert_eq!(odd.percentile_ms(100), Some(10));
        assert_eq!(Sketch::default().percentile_ms(50), None);
    }
}
