//! What analytics counts for one stretch of time in one place. Tallies are added up, in any order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::event::CancelReason;
use tomato_shared::money::Currency;

use super::sketch::Sketch;

/// Counts, money and spans of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) spans: Spans,
}

/// How many of what, and how much money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why an order was given up, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reason(pub(crate) CancelReason);

/// Money in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Money {
    /// Totals of delivered orders.
    pub(crate) revenue_minor: i64,
    /// What went back after it had been taken.
    pub(crate) refunded_minor: i64,
    /// Tips after delivery.
    pub(crate) tips_minor: i64,
}

/// A part of an order's life that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Spans(BTreeMap<Span, Sketch>);

impl Spans {
    /// Counts one span.
    pub(crate) fn count(&mut self, span: Span, ms: i64) {
        self.0.entry(span).or_default().count(ms);
    }

    /// What was counted of one kind.
    pub(crate) fn get(&self, span: Span) -> Option<&Sketch> {
        self.0.get(&span)
    }

    /// Adds other spans.
    pub(crate) fn add(&mut self, other: &Self) {
        for (span, sketch) in &other.0 {
            self.0.entry(*span).or_default().add(sketch);
        }
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

    /// Adds other counts.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.created, other.created),
            (&mut self.paid, other.paid),
            (&mut self.accepted, other.accepted),
            (&mut self.ready, other.ready),
            (&mut self.picked_up, other.picked_up),
            (&mut self.delivered, other.delivered),
            (&mut self.payment_failed, other.payment_failed),
            (&mut self.declined, other.declined),
            (&mut self.given_back, other.given_back),
            (&mut self.online_ms, other.online_ms),
            (&mut self.busy_ms, other.busy_ms),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (reason, more) in &other.cancelled {
            *self.cancelled.entry(*reason).or_default() += more;
        }
        for (currency, more) in &other.money {
            let money = self.money.entry(*currency).or_default();
            money.revenue_minor = money.revenue_minor.saturating_add(more.revenue_minor);
            money.refunded_minor = money.refunded_minor.saturating_add(more.refunded_minor);
            money.tips_minor = money.tips_minor.saturating_add(more.tips_minor);
        }
    }
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.spans.add(&other.spans);
    }
}
