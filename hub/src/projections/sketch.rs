//! Spans of time, counted in buckets: percentiles of any union of regions, cells and hours by adding counts up.

use super::pack::{Pack, Unpack};

/// Sub-buckets per power of two: the middle of a bucket is within 1.6 % of every value in it.
const STEPS: u64 = 32;
const STEP_BITS: u32 = 5;

/// Counts per [`bucket`]. Buckets are the same everywhere, so that sketches can be added up, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Bucket of the first count.
    low: usize,
    /// Of `low` and the buckets that follow it: a run, because one kind of span takes similar times, and adding up
    /// thousands of sketches has to be quick.
    counts: Vec<i64>,
}

impl Sketch {
    /// Counts one span. A negative one (a clock that was set back) counts as 0.
    pub(crate) fn count(&mut self, ms: i64) {
        self.put(bucket(ms), 1);
    }

    fn put(&mut self, bucket: usize, more: i64) {
        if self.counts.is_empty() {
            self.low = bucket;
        } else if bucket < self.low {
            let room = std::iter::repeat_n(0, self.low - bucket);
            self.counts.splice(0..0, room);
            self.low = bucket;
        }
        let place = bucket - self.low;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(more);
        }
    }

    /// Adds another sketch.
    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, count) in other.iter() {
            self.put(bucket, count);
        }
    }

    /// Buckets with a count, ascending.
    fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, i64)> {
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|(_, count)| **count != 0)
            .map(|(place, count)| (self.low + place, *count))
    }

    /// How many spans were counted.
    pub(crate) fn len(&self) -> i64 {
        self.counts.iter().sum()
    }

    /// The span in milliseconds that `percent` of all stay within (nearest rank); `None` without any.
    pub(crate) fn percentile_ms(&self, percent: i64) -> Option<i64> {
        let rank = (self.len() * percent + 99) / 100;
        let mut passed = 0;
        self.iter().find_map(|(bucket, here)| {
            passed += here;
            (passed >= rank.max(1)).then(|| middle_ms(bucket))
        })
    }

    /// As it is stored: how many buckets, then each one's distance from the one before it, and its count.
    pub(crate) fn write(&self, pack: &mut Pack) {
        let mut last = 0;
        pack.put(u64::try_from(self.iter().count()).unwrap_or(0));
        for (bucket, count) in self.iter() {
            pack.put(u64::try_from(bucket - last).unwrap_or(0));
            pack.put_signed(count);
            last = bucket;
        }
    }

    /// Adds what [`Sketch::write`] has written; `None` for anything else.
    pub(crate) fn add_stored(&mut self, unpack: &mut Unpack<'_>) -> Option<()> {
        let mut bucket = 0usize;
        for _ in 0..unpack.get()? {
            bucket = bucket.checked_add(usize::try_from(unpack.get()?).ok()?)?;
            if bucket > BUCKETS {
                return None;
            }
            self.put(bucket, unpack.get_signed()?);
        }
        Some(())
    }
}

/// More than there are.
const BUCKETS: usize = 2_000;

fn bucket(ms: i64) -> usize {
    let ms = u64::try_from(ms).unwrap_or(0);
    let shift = (u64::BITS - ms.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let number = u64::from(shift) * STEPS + (ms >> shift);
    usize::try_from(number).unwrap_or(BUCKETS)
}

/// The middle of a bucket, in milliseconds.
fn middle_ms(bucket: usize) -> i64 {
    let bucket = u64::try_from(bucket).unwrap_or(0);
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
        let numbers: Vec<usize> = (0..100_000).map(bucket).collect();
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

    #[test]
    fn sketches_come_back_as_they_were_stored() {
        let mut sketch = Sketch::default();
        let spans = [5_000, 12, 5_000, 90_000, 0, -3, i64::MAX];
        spans.into_iter().for_each(|ms| sketch.count(ms));
        let mut pack = Pack::default();
        sketch.write(&mut pack);
        let mut back = Sketch::default();
        assert_eq!(back.add_stored(&mut Unpack(&pack.0)), Some(()));
        assert_eq!((&back, back.len()), (&sketch, 7));
        assert_eq!(back.add_stored(&mut Unpack(&pack.0[..pack.0.len() - 1])), None);
        assert_eq!(
            back.add_stored(&mut Unpack(&[1, 0xff, 0xff, 0x7f, 2])),
            None,
            "no such bucket"
        );
        assert!(bucket(i64::MAX) < BUCKETS);
    }
}
