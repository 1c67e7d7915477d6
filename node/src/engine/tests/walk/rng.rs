//! Splitmix64 (Steele, Lea, Flood 2014), so that a seed walks the same way everywhere.

#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound.max(1))).unwrap()
    }

    /// 1 to `max`.
    pub(crate) fn small(&mut self, max: u32) -> u8 {
        u8::try_from(self.below(max) + 1).unwrap()
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(u32::try_from(from.len()).unwrap()) as usize]
    }

    /// One of the last dozen.
    pub(crate) fn recent<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let tail = &from[from.len().saturating_sub(12)..];
        (!tail.is_empty()).then(|| *self.pick(tail))
    }

    /// Mostly little time, now and then much.
    pub(crate) fn span_ms(&mut self) -> i64 {
        let bound = *self.pick(&[
            1, 1, 1, 1, 1, 5_000, 5_000, 5_000, 5_000, 5_000, 60_000, 60_000, 60_000, 900_000,
        ]);
        i64::from(self.below(bound))
    }
}
