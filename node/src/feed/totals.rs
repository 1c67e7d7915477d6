//! Running counts of the region, kept from each event: by the writer, who writes them with the events, so that a start has
//! them at once, and by the feed, so that an overview asks the file for nothing. They are the same folds as the hub's.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tomato_shared::event::Event;
use tomato_shared::id::OrderId;
use tomato_shared::order::{DeliveryState, OrderState};

use super::Committed;
use crate::engine::model::Order;

/// Counts since the region began. Amounts in minor units of its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Orders taken in.
    pub placed: u64,
    /// Orders handed over.
    pub delivered: u64,
    /// Orders given up.
    pub cancelled: u64,
    /// Orders whose payment was declined.
    pub payment_failed: u64,
    /// Orders that are not over.
    pub active: u64,
    /// Orders that are ready and have no driver.
    pub waiting_for_driver: u64,
    /// Totals of delivered orders.
    pub revenue_minor: i64,
    /// What went back after it had been taken.
    pub refunded_minor: i64,
}

/// Keeps the counts.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    counts: Counts,
    waiting: HashSet<OrderId>,
}

impl Totals {
    /// Counts as loaded, and the ids of the orders that wait for a driver.
    pub fn new(counts: Counts, waiting: impl IntoIterator<Item = OrderId>) -> Self {
        Self {
            counts,
            waiting: waiting.into_iter().collect(),
        }
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        Counts {
            waiting_for_driver: self.waiting.len() as u64,
            ..self.counts
        }
    }

    /// Takes in an event.
    pub fn take(&mut self, committed: &Committed) {
        let Some(order) = committed.order.as_deref() else {
            return;
        };
        if waits_for_driver(order) {
            self.waiting.insert(order.id);
        } else {
            self.waiting.remove(&order.id);
        }
        let counts = &mut self.counts;
        let event = &committed.envelope.event;
        if matches!(event, Event::OrderCreated { .. }) {
            counts.placed += 1;
            counts.active += 1;
        }
        let ended = if matches!(event, Event::OrderDelivered { .. }) {
            counts.revenue_minor = counts.revenue_minor.saturating_add(order.price.total_minor);
            Some(&mut counts.delivered)
        } else if matches!(event, Event::OrderCancelled { .. }) {
            // Also the end of a failed delivery, which tells both.
            Some(&mut counts.cancelled)
        } else if matches!(event, Event::PaymentFailed { .. }) {
            Some(&mut counts.payment_failed)
        } else {
            None
        };
        if let Some(ended) = ended {
            *ended += 1;
            counts.active = counts.active.saturating_sub(1);
        }
        if let Event::PaymentRefunded {
            amount_minor,
            voided: false,
            ..
        } = event
        {
            counts.refunded_minor = counts.refunded_minor.saturating_add(*amount_minor);
        }
    }
}

/// Whether an order is ready and has no driver.
pub fn waits_for_driver(order: &Order) -> bool {
    order.state == OrderState::ReadyForPickup
        && matches!(order.delivery.state, DeliveryState::Searching | DeliveryState::Offered)
}
