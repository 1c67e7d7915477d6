//! Counts, money and delivery times per region, from the change of one order's row.

use std::collections::BTreeMap;

use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;

use super::orders::OrderRow;

/// What a set of events adds to a region's totals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) placed: i64,
    pub(crate) delivered: i64,
    pub(crate) cancelled: i64,
    pub(crate) payment_failed: i64,
    /// Orders that are not final.
    pub(crate) active: i64,
    pub(crate) money: BTreeMap<Currency, Money>,
    /// Delivered orders per [`bucket`] of the milliseconds from placing to delivery.
    pub(crate) click_to_door: BTreeMap<u32, i64>,
}

/// Money in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Money {
    /// Totals of delivered orders.
    pub(crate) revenue_minor: i64,
    /// What went back after it had been taken.
    pub(crate) refunded_minor: i64,
}

impl Totals {
    /// Adds what changed between two rows of one order.
    pub(crate) fn change(&mut self, before: Option<&OrderRow>, after: &OrderRow) {
        let was = before.map(|row| row.state);
        if before.is_none() {
            self.placed += 1;
        }
        self.active += i64::from(!after.state.is_final()) - i64::from(was.is_some_and(|state| !state.is_final()));
        if was != Some(after.state) {
            match after.state {
                OrderState::Delivered => self.deliver(after),
                OrderState::Cancelled => self.cancelled += 1,
                OrderState::PaymentFailed => self.payment_failed += 1,
                OrderState::Pending
                | OrderState::Confirmed
                | OrderState::Preparing
                | OrderState::ReadyForPickup
                | OrderState::OutForDelivery => {}
            }
        }
        let refunded = after.refunded_minor - before.map_or(0, |row| row.refunded_minor);
        if refunded != 0 {
            let money = self.money.entry(after.currency).or_default();
            money.refunded_minor = money.refunded_minor.saturating_add(refunded);
        }
    }

    fn deliver(&mut self, row: &OrderRow) {
        self.delivered += 1;
        let money = self.money.entry(row.currency).or_default();
        money.revenue_minor = money.revenue_minor.saturating_add(row.total_minor);
        if let Some(at) = row.final_at {
            *self.click_to_door.entry(bucket((at - row.placed_at).0)).or_default() += 1;
        }
    }

    /// Adds another set of events.
    pub(crate) fn add(&mut self, other: &Totals) {
        self.placed += other.placed;
        self.delivered += other.delivered;
        self.cancelled += other.cancelled;
        self.payment_failed += other.payment_failed;
        self.active += other.active;
        for (currency, more) in &other.money {
            let money = self.money.entry(*currency).or_default();
            money.revenue_minor = money.revenue_minor.saturating_add(more.revenue_minor);
            money.refunded_minor = money.refunded_minor.saturating_add(more.refunded_minor);
        }
        for (bucket, orders) in &other.click_to_door {
            *self.click_to_door.entry(*bucket).or_default() += orders;
        }
    }
}

/// Sub-buckets per power of two: the middle of a bucket is within 1.6 % of every value in it.
const STEPS: u64 = 32;
const STEP_BITS: u32 = 5;

/// The bucket of a span in milliseconds. Buckets of all regions are the same, so that counts can be added up.
/// A negative span (a clock that was set back) counts as 0.
pub(crate) fn bucket(ms: i64) -> u32 {
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

/// The span that `percent` of the orders stay within (nearest rank); `None` without orders.
pub(crate) fn percentile_ms(counts: &BTreeMap<u32, i64>, percent: i64) -> Option<i64> {
    let orders: i64 = counts.values().sum();
    let rank = (orders * percent + 99) / 100;
    let mut passed = 0;
    counts.iter().find_map(|(bucket, here)| {
        passed += here;
        (passed >= rank.max(1)).then(|| middle_ms(*bucket))
    })
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
    fn percentiles_by_nearest_rank() {
        let mut counts = BTreeMap::new();
        for ms in 1..=10 {
            *counts.entry(bucket(ms)).or_default() += 1;
        }
        assert_eq!(percentile_ms(&counts, 50), Some(5));
        assert_eq!(percentile_ms(&counts, 90), Some(9));
        assert_eq!(percentile_ms(&counts, 100), Some(10));
        assert_eq!(percentile_ms(&BTreeMap::new(), 50), None);
    }
}
