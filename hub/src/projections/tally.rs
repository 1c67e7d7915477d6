//! What analytics counts for one stretch of time in one place. Tallies are added up, in any order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::event::CancelReason;
use tomato_shared::money::Currency;

use super::pack::{Pack, Unpack};
use super::sketch::Sketch;

/// Counts, money and spans of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) spans: Spans,
}

/// How many of what, and how much money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) created: i64,
    pub(crate) paid: i64,
    pub(crate) accepted: i64,
    pub(crate) ready: i64,
    pub(crate) picked_up: i64,
    pub(crate) delivered: i64,
    pub(crate) payment_failed: i64,
    pub(crate) cancelled: BTreeMap<Reason, i64>,
    /// Restaurants that said no, or nothing.
    pub(crate) declined: i64,
    /// Drivers who gave an order back.
    pub(crate) given_back: i64,
    /// Milliseconds of drivers at work, and of these with an order.
    pub(crate) online_ms: i64,
    pub(crate) busy_ms: i64,
    pub(crate) money: BTreeMap<Currency, Money>,
}

/// Why an order was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reason(pub(crate) CancelReason);

/// Money in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Money {
    /// Totals of delivered orders.
    pub(crate) revenue_minor: i64,
    /// What went back after it had been taken.
    pub(crate) refunded_minor: i64,
    /// Tips after delivery.
    pub(crate) tips_minor: i64,
}

/// A part of an order's life that takes time. Stored by its place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Span {
    /// From the tap in the app, where it was told, to the order.
    Placement,
    /// From the order to its payment.
    Payment,
    /// From asking the restaurant to its yes.
    Acceptance,
    /// From the yes to ready.
    Preparation,
    /// From the yes to a driver.
    Assignment,
    /// From ready to picked up.
    Pickup,
    /// From picked up to delivered.
    Delivery,
    /// From the order to the door; not of orders for a later time.
    ClickToDoor,
}

impl Span {
    /// In the order of their declaration.
    pub(crate) const ALL: [Self; 8] = [
        Self::Placement,
        Self::Payment,
        Self::Acceptance,
        Self::Preparation,
        Self::Assignment,
        Self::Pickup,
        Self::Delivery,
        Self::ClickToDoor,
    ];

    /// As it stands in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Payment => "payment",
            Self::Acceptance => "acceptance",
            Self::Preparation => "preparation",
            Self::Assignment => "assignment",
            Self::Pickup => "pickup",
            Self::Delivery => "delivery",
            Self::ClickToDoor => "click_to_door",
        }
    }
}

/// How long things took, by [`Span`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spans([Sketch; Span::ALL.len()]);

impl Spans {
    /// Counts one span.
    pub(crate) fn count(&mut self, span: Span, ms: i64) {
        if let Some(sketch) = self.0.get_mut(span as usize) {
            sketch.count(ms);
        }
    }

    /// What was counted of one kind.
    pub(crate) fn get(&self, span: Span) -> Option<&Sketch> {
        self.0.get(span as usize).filter(|sketch| sketch.len() > 0)
    }

    /// Adds other spans.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sketch, more) in self.0.iter_mut().zip(&other.0) {
            sketch.add(more);
        }
    }

    /// As they are stored: each kind that was counted, after its number.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut pack = Pack::default();
        for (number, sketch) in (0..).zip(&self.0) {
            if sketch.len() > 0 {
                pack.put(number);
                sketch.write(&mut pack);
            }
        }
        pack.0
    }

    /// Adds stored spans; `None` for what [`Spans::to_bytes`] does not give.
    pub(crate) fn add_stored(&mut self, bytes: &[u8]) -> Option<()> {
        let mut unpack = Unpack(bytes);
        while !unpack.is_empty() {
            let number = usize::try_from(unpack.get()?).ok()?;
            self.0.get_mut(number)?.add_stored(&mut unpack)?;
        }
        Some(())
    }
}

impl Counts {
    /// Orders that were given up, for whichever reason.
    pub(crate) fn cancelled(&self) -> i64 {
        self.cancelled.values().sum()
    }

    /// Orders that were created and are not final. Only of the sum over all time: of a shorter one it may be negative.
    pub(crate) fn active(&self) -> i64 {
        self.created - self.delivered - self.payment_failed - self.cancelled()
    }

    /// The plain counts, in the order in which they are stored: new ones come last.
    fn plain(&mut self) -> [&mut i64; 11] {
        [
            &mut self.created,
            &mut self.paid,
            &mut self.accepted,
            &mut self.ready,
            &mut self.picked_up,
            &mut self.delivered,
            &mut self.payment_failed,
            &mut self.declined,
            &mut self.given_back,
            &mut self.online_ms,
            &mut self.busy_ms,
        ]
    }

    /// As they are stored: which plain counts are not zero, those, then reasons and money, each after their number.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut pack = Pack::default();
        let mut whole = self.clone();
        let plain = whole.plain();
        let here = |(place, count): (u32, &&mut i64)| u64::from(**count != 0) << place;
        pack.put((0..).zip(&plain).map(here).sum());
        for count in plain.iter().filter(|count| ***count != 0) {
            pack.put_signed(**count);
        }
        pack.put(u64::try_from(self.cancelled.len()).unwrap_or(0));
        for (reason, count) in &self.cancelled {
            pack.put_text(reason.0.name());
            pack.put_signed(*count);
        }
        for (currency, money) in &self.money {
            pack.put_text(currency.code());
            for amount in [money.revenue_minor, money.refunded_minor, money.tips_minor] {
                pack.put_signed(amount);
            }
        }
        pack.0
    }

    /// Adds stored counts; `None` for what [`Counts::to_bytes`] does not give.
    pub(crate) fn add_stored(&mut self, bytes: &[u8]) -> Option<()> {
        let mut unpack = Unpack(bytes);
        let here = unpack.get()?;
        for (place, sum) in (0u32..).zip(self.plain()) {
            if here >> place & 1 == 1 {
                add(sum, unpack.get_signed()?);
            }
        }
        for _ in 0..unpack.get()? {
            let reason = CancelReason::from_name(unpack.get_text()?)?;
            add(self.cancelled.entry(Reason(reason)).or_default(), unpack.get_signed()?);
        }
        while !unpack.is_empty() {
            let money = self.money.entry(unpack.get_text()?.parse().ok()?).or_default();
            for sum in money.amounts() {
                add(sum, unpack.get_signed()?);
            }
        }
        Some(())
    }

    /// Adds other counts.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for (sum, more) in self.plain().into_iter().zip(other.plain()) {
            add(sum, *more);
        }
        for (reason, more) in &other.cancelled {
            add(self.cancelled.entry(*reason).or_default(), *more);
        }
        for (currency, more) in &mut other.money {
            let money = self.money.entry(*currency).or_default();
            for (sum, more) in money.amounts().into_iter().zip(more.amounts()) {
                add(sum, *more);
            }
        }
    }
}

impl Money {
    /// In the order in which they are stored.
    fn amounts(&mut self) -> [&mut i64; 3] {
        [&mut self.revenue_minor, &mut self.refunded_minor, &mut self.tips_minor]
    }
}

fn add(sum: &mut i64, more: i64) {
    *sum = sum.saturating_add(more);
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.spans.add(&other.spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_come_back_as_they_were_stored() {
        let mut tally = Tally::default();
        let read = |bytes: &[u8]| {
            let mut counts = Counts::default();
            counts.add_stored(bytes).map(|()| counts)
        };
        assert_eq!(read(&tally.counts.to_bytes()).as_ref(), Some(&tally.counts));
        tally.counts.created = 3;
        tally.counts.busy_ms = i64::MAX;
        tally.counts.given_back = -1;
        tally.counts.cancelled.insert(Reason(CancelReason::NoDriver), 2);
        let money = Money {
            revenue_minor: -5,
            refunded_minor: 6,
            tips_minor: 0,
        };
        tally.counts.money.insert("INR".parse().unwrap(), money);
        tally.spans.count(Span::Placement, 5);
        tally.spans.count(Span::ClickToDoor, 1_800_000);
        let bytes = tally.counts.to_bytes();
        assert_eq!(read(&bytes).as_ref(), Some(&tally.counts));
        assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        let (mut stored, mut twice) = (tally.counts.clone(), tally.counts.clone());
        assert_eq!(stored.add_stored(&bytes), Some(()));
        twice.add(&tally.counts);
        assert_eq!(stored, twice, "in both ways the same sum");
        let mut spans = Spans::default();
        assert_eq!(spans.add_stored(&tally.spans.to_bytes()), Some(()));
        assert_eq!(spans, tally.spans);
        assert_eq!(spans.add_stored(&[200, 1]), None, "no such span");
        for (place, span) in Span::ALL.into_iter().enumerate() {
            assert_eq!(span as usize, place);
        }
    }
}
