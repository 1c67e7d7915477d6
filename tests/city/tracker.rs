//! What became of every order, as its customer saw it, and every answer that nobody expected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::view::Order;

/// More complaints than anybody reads.
const COMPLAINTS_MAX: usize = 200;

/// An order whose placement was answered with 2xx.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub region: RegionId,
    /// Number of its plan.
    pub plan: u64,
    pub placed_at: UnixMs,
    pub total_minor: i64,
    /// The newest state that the customer saw.
    pub state: OrderState,
    pub version: u32,
    pub picked_up_at: Option<UnixMs>,
    pub ready_at: Option<UnixMs>,
    pub ended_at: Option<UnixMs>,
    /// Why it was given up.
    pub reason: Option<String>,
}

impl Record {
    /// From the placement to the door.
    pub fn click_to_door(&self) -> Option<DurationMs> {
        let ended = self.ended_at.filter(|_| self.state == OrderState::Delivered)?;
        Some(ended - self.placed_at)
    }
}

/// Orders by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub placed: u64,
    pub delivered: u64,
    pub cancelled: u64,
    pub payment_failed: u64,
    /// Wishes that the region refused: sold out, closed.
    pub refused: u64,
    /// Wishes that are in flight, their answer awaited.
    pub asking: u64,
}

impl Counts {
    /// Orders that have come to their end.
    pub fn ended(&self) -> u64 {
        self.delivered + self.cancelled + self.payment_failed
    }

    /// Orders that have not.
    pub fn active(&self) -> u64 {
        self.placed - self.ended()
    }
}

#[derive(Debug, Default)]
struct Book {
    records: BTreeMap<OrderId, Record>,
    refused: BTreeMap<(RegionId, u64), String>,
    asking: BTreeSet<(RegionId, u64)>,
    complaints: Vec<String>,
}

/// Shared by all customers of all regions.
#[derive(Debug)]
pub struct Tracker {
    book: Mutex<Book>,
    bell: watch::Sender<u64>,
    first_placed: OnceLock<Instant>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            book: Mutex::default(),
            bell: watch::Sender::new(0),
            first_placed: OnceLock::new(),
        }
    }
}

impl Tracker {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bell.send_modify(|count| *count += 1);
    }

    /// A customer is about to order.
    pub fn asks(&self, region: &RegionId, plan: u64) {
        self.book().asking.insert((region.clone(), plan));
    }

    /// The order was placed.
    pub fn placed(&self, region: &RegionId, plan: u64, order: &Order) {
        self.first_placed.get_or_init(Instant::now);
        let mut book = self.book();
        book.asking.remove(&(region.clone(), plan));
        book.records.entry(order.id).or_insert_with(|| Record {
            region: region.clone(),
            plan,
            placed_at: order.placed_at,
            total_minor: order.price.total_minor,
            state: order.state,
            version: 0,
            picked_up_at: None,
            ready_at: None,
            ended_at: None,
            reason: None,
        });
        drop(book);
        self.saw(order);
    }

    /// When the first placement was answered.
    pub fn first_placed(&self) -> Option<Instant> {
        self.first_placed.get().copied()
    }

    /// The order was refused, with a code.
    pub fn refused(&self, region: &RegionId, plan: u64, code: &str) {
        let mut book = self.book();
        book.asking.remove(&(region.clone(), plan));
        book.refused.insert((region.clone(), plan), code.to_owned());
        drop(book);
        self.ring();
    }

    /// A newer view of an order. A final state that changes again is a complaint.
    pub fn saw(&self, order: &Order) {
        let mut book = self.book();
        let Some(record) = book
            .records
            .get_mut(&order.id)
            .filter(|record| record.version < order.version)
        else {
            return;
        };
        let (was, became) = (record.state, order.state);
        record.version = order.version;
        record.state = became;
        record.picked_up_at = order.delivery.picked_up_at;
        record.ready_at = order.ready_at;
        record.ended_at = order.ended_at;
        record.reason = order.cancel_reason.map(|reason| format!("{reason:?}"));
        if was.is_final() && was != became {
            complain(
                &mut book,
                format!("order {} went from {} to {}", order.id, was.name(), became.name()),
            );
        }
        drop(book);
        self.ring();
    }

    /// Somebody got an answer that the contract does not foresee.
    pub fn complain(&self, text: String) {
        complain(&mut self.book(), text);
    }

    /// Unexpected answers so far, oldest first.
    pub fn complaints(&self) -> Vec<String> {
        self.book().complaints.clone()
    }

    /// Everything known about an order.
    pub fn record(&self, id: OrderId) -> Option<Record> {
        self.book().records.get(&id).cloned()
    }

    /// All orders of a region.
    pub fn records(&self, region: &RegionId) -> BTreeMap<OrderId, Record> {
        let book = self.book();
        let ours = book.records.iter().filter(|(_, record)| record.region == *region);
        ours.map(|(id, record)| (*id, record.clone())).collect()
    }

    /// Orders of a region by state.
    pub fn counts(&self, region: &RegionId) -> Counts {
        let book = self.book();
        let mut counts = Counts {
            refused: book.refused.keys().filter(|(of, _)| of == region).count() as u64,
            asking: book.asking.iter().filter(|(of, _)| of == region).count() as u64,
            ..Counts::default()
        };
        for record in book.records.values().filter(|record| record.region == *region) {
            counts.placed += 1;
            match record.state {
                OrderState::Delivered => counts.delivered += 1,
                OrderState::Cancelled => counts.cancelled += 1,
                OrderState::PaymentFailed => counts.payment_failed += 1,
                OrderState::Pending
                | OrderState::Confirmed
                | OrderState::Preparing
                | OrderState::ReadyForPickup
                | OrderState::OutForDelivery => {}
            }
        }
        counts
    }

    /// Why wishes were refused, by code.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        for code in self.book().refused.values() {
            *codes.entry(code.clone()).or_default() += 1;
        }
        codes
    }

    /// Tells of each change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}

fn complain(book: &mut Book, text: String) {
    if book.complaints.len() < COMPLAINTS_MAX {
        book.complaints.push(text);
    }
}

#[cfg(test)]
mod tests;
