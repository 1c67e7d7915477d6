//! Where each order stands.

use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::books::{Account, Entry};
use tomato_shared::event::{CancelReason, Event, OrderRef, PaymentMethod};
use tomato_shared::id::{DriverId, OrderId, RestaurantId, UserId};
use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;
use tomato_shared::phone::PhoneHash;
use tomato_shared::time::UnixMs;

use super::pack::{Pack, Unpack};
use super::{Anomaly, AnomalyKind, ledger};

/// One row of the projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) region: RegionId,
    /// Version of the newest folded event.
    pub(crate) version: u32,
    pub(crate) state: OrderState,
    pub(crate) customer_id: UserId,
    /// Of the number under which the customer is reached.
    pub(crate) phone_hash: Option<PhoneHash>,
    /// The restaurant that was asked last.
    pub(crate) restaurant_id: RestaurantId,
    /// The driver who is bound to it, or who brought it.
    pub(crate) driver_id: Option<DriverId>,
    pub(crate) method: PaymentMethod,
    pub(crate) total_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) cell: Cell,
    pub(crate) cancel_reason: Option<CancelReason>,
    pub(crate) times: Times,
    pub(crate) money: OrderMoney,
    pub(crate) seqs: Seqs,
}

/// Where an order's events stand in its region's sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seqs(pub(crate) Vec<u64>);

impl Seqs {
    /// Most that are kept. An order has some twenty.
    const MOST: usize = 1_000;

    fn push(&mut self, seq: u64) {
        if self.0.len() < Self::MOST {
            self.0.push(seq);
        }
    }

    /// As it is stored: each step from one to the next.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut pack = Pack::default();
        let mut last = 0;
        for seq in &self.0 {
            pack.put(seq.wrapping_sub(last));
            last = *seq;
        }
        pack.0
    }

    /// The other way round; `None` for what [`Seqs::to_bytes`] does not give.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut unpack, mut seqs, mut last) = (Unpack(bytes), Vec::new(), 0u64);
        while !unpack.is_empty() {
            last = last.wrapping_add(unpack.get()?);
            seqs.push(last);
        }
        Some(Self(seqs))
    }
}

/// When an order came where, by its region's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) placed: UnixMs,
    /// When the customer wants it; `None`: as soon as possible.
    pub(crate) deliver: Option<UnixMs>,
    pub(crate) confirmed: Option<UnixMs>,
    /// When the newest restaurant was asked.
    pub(crate) asked: Option<UnixMs>,
    pub(crate) preparing: Option<UnixMs>,
    pub(crate) ready: Option<UnixMs>,
    /// When the first driver took it.
    pub(crate) assigned: Option<UnixMs>,
    pub(crate) picked_up: Option<UnixMs>,
    pub(crate) updated: UnixMs,
    pub(crate) ended: Option<UnixMs>,
}

/// What the events, and apart from them the books, say about an order's money, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OrderMoney {
    /// What is kept of a cancelled order's money.
    pub(crate) kept: i64,
    /// Captured at the provider, without tips after delivery.
    pub(crate) taken: i64,
    /// Tips after delivery.
    pub(crate) tipped: i64,
    /// Taken at the door.
    pub(crate) cash: i64,
    /// What went back after it had been taken.
    pub(crate) refunded: i64,
    pub(crate) postings: u32,
    /// Debits less credits of the customer's payments.
    pub(crate) books_customer: i64,
    /// The same at the provider.
    pub(crate) books_clearing: i64,
    /// The same in drivers' hands and in the office.
    pub(crate) books_cash: i64,
}

impl OrderRow {
    /// What was taken at the provider and at the door, and did not go back.
    pub(crate) fn net_minor(&self) -> i64 {
        let money = &self.money;
        money.taken + money.tipped + money.cash - money.refunded
    }

    /// Why the order's events and its books do not agree, or its price; `None` if they do, or nothing is booked yet.
    pub(crate) fn mismatch(&self) -> Option<&'static str> {
        let (money, card) = (&self.money, self.method == PaymentMethod::Card);
        let (paid, held) = (money.taken + money.cash, money.taken + money.cash - money.refunded);
        if money.postings > 0 && card && self.net_minor() - money.cash != money.books_clearing {
            return Some("ledger_amount");
        }
        let found = match self.state {
            OrderState::Delivered if paid < self.total_minor => Some("payment_missing"),
            OrderState::Delivered if held > self.total_minor => Some("payment_too_high"),
            OrderState::Cancelled | OrderState::PaymentFailed if held > money.kept => Some("refund_missing"),
            OrderState::Cancelled | OrderState::PaymentFailed if held < money.kept => Some("refund_too_high"),
            OrderState::Pending
            | OrderState::Confirmed
            | OrderState::PaymentFailed
            | OrderState::Preparing
            | OrderState::ReadyForPickup
            | OrderState::OutForDelivery
            | OrderState::Delivered
            | OrderState::Cancelled => None,
        };
        let open = money.postings > 0 && self.state.is_final() && money.books_customer != 0;
        found.or(open.then_some("ledger_open"))
    }
}

/// An event about an order, as the hub received it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderEvent<'a> {
    /// By the stream's source.
    pub(crate) region: &'a RegionId,
    pub(crate) seq: u64,
    pub(crate) order: OrderRef,
    pub(crate) at: UnixMs,
    /// `None`: of a newer writer; only the order's version and time are known to change.
    pub(crate) event: Option<&'a Event>,
}

/// The row after an event. `before`: the row of the same order, if it exists. The row is changed as far as the event
/// makes sense; what does not is returned as anomalies.
pub(crate) fn fold(before: Option<&OrderRow>, incoming: OrderEvent<'_>) -> (Option<OrderRow>, Vec<Anomaly>) {
    let mut found = Vec::new();
    let mut note = |kind, detail: String| {
        found.push(Anomaly {
            order_id: Some(incoming.order.id),
            kind,
            detail,
        });
    };
    let name = incoming.event.map_or("an unknown event", Event::name);
    let Some(before) = before else {
        let created = incoming.event.and_then(|event| create(event, &incoming));
        if created.is_none() && !tells_of_no_order(incoming.event) {
            note(
                AnomalyKind::UnknownOrder,
                format!("{name} of an order that was never created"),
            );
        } else if created.is_some() && incoming.order.version != 1 {
            note(
                AnomalyKind::VersionGap,
                format!("created with version {}", incoming.order.version),
            );
        }
        return (created, found);
    };
    if matches!(incoming.event, Some(Event::OrderCreated { .. })) {
        note(
            AnomalyKind::CreatedTwice,
            format!("created again with version {}", incoming.order.version),
        );
        let mut row = before.clone();
        row.seqs.push(incoming.seq);
        return (Some(row), found);
    }
    let mut row = before.clone();
    row.seqs.push(incoming.seq);
    if incoming.order.version != before.version.saturating_add(1) {
        note(
            AnomalyKind::VersionGap,
            format!("{name} is version {} after {}", incoming.order.version, before.version),
        );
    }
    row.version = before.version.max(incoming.order.version);
    row.times.updated = before.times.updated.max(incoming.at);
    let Some(event) = incoming.event else {
        return (Some(row), found);
    };
    if let Some(step) = event.step() {
        let Some(state) = before.state.step(step) else {
            note(
                AnomalyKind::IllegalStep,
                format!("{name} in state {}", before.state.name()),
            );
            return (Some(row), found);
        };
        row.state = state;
        reach(&mut row.times, state, incoming.at);
    }
    details(&mut row, event, incoming.at);
    (Some(row), found)
}

fn create(event: &Event, incoming: &OrderEvent<'_>) -> Option<OrderRow> {
    let Event::OrderCreated {
        customer_id,
        restaurant_id,
        price,
        method,
        cell,
        deliver_at,
        phone_hash,
        ..
    } = event
    else {
        return None;
    };
    Some(OrderRow {
        id: incoming.order.id,
        region: incoming.region.clone(),
        version: incoming.order.version,
        state: OrderState::Pending,
        customer_id: *customer_id,
        phone_hash: *phone_hash,
        restaurant_id: *restaurant_id,
        driver_id: None,
        method: *method,
        total_minor: price.total_minor,
        currency: price.currency,
        cell: *cell,
        cancel_reason: None,
        times: Times {
            placed: incoming.at,
            deliver: *deliver_at,
            updated: incoming.at,
            ..Times::default()
        },
        money: OrderMoney::default(),
        seqs: Seqs(vec![incoming.seq]),
    })
}

fn reach(times: &mut Times, state: OrderState, at: UnixMs) {
    match state {
        OrderState::Pending => {}
        OrderState::Confirmed => times.confirmed = Some(at),
        OrderState::Preparing => times.preparing = Some(at),
        OrderState::ReadyForPickup => times.ready = Some(at),
        OrderState::OutForDelivery => times.picked_up = Some(at),
        OrderState::PaymentFailed | OrderState::Delivered | OrderState::Cancelled => times.ended = Some(at),
    }
}

/// A reservation that failed may carry the id of the order that therefore never came to be.
fn tells_of_no_order(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::InventoryReservationFailed { .. }))
}

fn details(row: &mut OrderRow, event: &Event, at: UnixMs) {
    match event {
        Event::RestaurantAssigned { restaurant_id, .. } => {
            row.restaurant_id = *restaurant_id;
            row.times.asked = Some(at);
        }
        Event::OrderPreparing { restaurant_id, .. } => row.restaurant_id = *restaurant_id,
        Event::DriverAssigned { driver_id, .. } => {
            row.driver_id = Some(*driver_id);
            row.times.assigned = row.times.assigned.or(Some(at));
        }
        Event::OrderPickedUp { driver_id } => row.driver_id = Some(*driver_id),
        Event::OrderDelivered {
            driver_id, cash_minor, ..
        } => {
            row.driver_id = Some(*driver_id);
            add(&mut row.money.cash, *cash_minor);
        }
        Event::DriverCancelled { .. } | Event::DriverUnassigned { .. } => row.driver_id = None,
        Event::OrderChanged { price, .. } => row.total_minor = price.total_minor,
        Event::DeliveryFailed { .. } => row.cancel_reason = Some(CancelReason::DeliveryFailed),
        Event::OrderCancelled { reason, fee_minor } => {
            row.cancel_reason = Some(*reason);
            row.money.kept = *fee_minor;
        }
        Event::PaymentCompleted { .. }
        | Event::PaymentCaptured { .. }
        | Event::PaymentRefunded { .. }
        | Event::OrderTipped { .. } => money(row, event),
        // What a bank took is with the customer as well.
        Event::PaymentDisputed(dispute) => add(&mut row.money.refunded, dispute.moved_minor),
        Event::LedgerPosted { entries, .. } => books(&mut row.money, entries),
        Event::OrderCreated { .. }
        | Event::InventoryReserved { .. }
        | Event::InventoryReservationFailed { .. }
        | Event::InventoryReleased { .. }
        | Event::PaymentFailed { .. }
        | Event::OrderConfirmed { .. }
        | Event::RestaurantDeclined { .. }
        | Event::RestaurantAssignmentFailed { .. }
        | Event::OrderReady { .. }
        | Event::DriverOffered { .. }
        | Event::DriverOfferEnded { .. }
        | Event::DriverArrived { .. }
        | Event::RatingRequested { .. }
        | Event::DriverStatusChanged { .. }
        | Event::OrderScheduled { .. }
        | Event::RefundRequested { .. }
        | Event::RefundFailed { .. }
        | Event::CaptureFailed { .. }
        | Event::PaymentActionRequired { .. }
        | Event::PaymentDeclined { .. }
        | Event::PaymentRetried { .. }
        | Event::ProofRefused { .. }
        | Event::OrderOverdue { .. }
        | Event::OrderDelayed { .. }
        | Event::ChangeProposed { .. }
        | Event::ChangeEnded { .. }
        | Event::DeliveryReturned { .. }
        | Event::OrderRated { .. }
        | Event::TipFailed { .. }
        | Event::CashDeposited(_)
        | Event::RegionStatusChanged(_)
        | Event::IncarnationStarted { .. }
        | Event::CellsMoved(_)
        | Event::DriverHandedOver(_)
        | Event::DriverTakenOver(_)
        | Event::RestaurantUpdated { .. } => {}
    }
}

/// What moved at the provider. Cash moves at the door.
fn money(row: &mut OrderRow, event: &Event) {
    let cash = row.method == PaymentMethod::Cash;
    if let Event::PaymentCompleted {
        amount_minor,
        captured: true,
        ..
    }
    | Event::PaymentCaptured { amount_minor, .. } = event
        && !cash
    {
        add(&mut row.money.taken, *amount_minor);
    }
    if let Event::OrderTipped { amount_minor, .. } = event {
        add(&mut row.money.tipped, *amount_minor);
    }
    if let Event::PaymentRefunded {
        amount_minor,
        voided: false,
        ..
    } = event
    {
        add(&mut row.money.refunded, *amount_minor);
    }
}

fn books(money: &mut OrderMoney, entries: &[Entry]) {
    // An order with a posting that was refused still has books, which then do not agree with its events.
    money.postings = money.postings.saturating_add(1);
    if ledger::imbalance(entries).is_some() {
        return;
    }
    for entry in entries {
        match entry.account {
            Account::CustomerPayments => add(&mut money.books_customer, entry.amount_minor),
            Account::ProviderClearing => add(&mut money.books_clearing, entry.amount_minor),
            Account::CashInHand { .. } | Account::CashOffice => add(&mut money.books_cash, entry.amount_minor),
            Account::RestaurantPayable { .. }
            | Account::DriverPayable { .. }
            | Account::Fees
            | Account::Taxes
            | Account::Discounts
            | Account::Refunds
            | Account::Disputes => {}
        }
    }
}

fn add(sum: &mut i64, more: i64) {
    *sum = sum.saturating_add(more);
}

#[cfg(test)]
mod tests;
