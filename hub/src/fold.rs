//! The folds of one region over a run of its events: rows are read once, changed in memory and written at the end.
//!
//! Ingest and rebuild both go through here, so that what a rebuild gives is what live ingestion gave, however the
//! events were cut into batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Decoded, Event, OrderRef, RegionStatusChanged};
use tomato_shared::id::{DriverId, OrderId, PaymentId, RefundId};
use tomato_shared::time::UnixMs;

use crate::projections::analytics::Deltas;
use crate::projections::drivers::{self, Change, DriverRow};
use crate::projections::ledger::{self, Posting};
use crate::projections::orders::{self as orders_fold, OrderEvent, OrderRow};
use crate::projections::payments::{self as payments_fold, About, PaymentRow, RefundRow};
use crate::projections::{Anomaly, AnomalyKind};
use crate::store::state::RegionState;
use crate::store::{
    StoreFault, anomalies, forgotten, ledger as ledger_rows, misstated, orders, payments, people, rollups, state,
};

/// What every readable envelope says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) region: &'a RegionId,
    pub(crate) seq: u64,
    pub(crate) incarnation: u32,
    pub(crate) at: UnixMs,
    pub(crate) device_at: Option<UnixMs>,
    pub(crate) order: Option<OrderRef>,
    pub(crate) name: &'a str,
    /// `None`: of a newer writer; kept, but not understood.
    pub(crate) event: Option<&'a Event>,
}

impl<'a> From<&'a Decoded> for Facts<'a> {
    fn from(decoded: &'a Decoded) -> Self {
        match decoded {
            Decoded::Known(envelope) => Facts {
                region: &envelope.region,
                seq: envelope.seq,
                incarnation: envelope.incarnation,
                at: envelope.at,
                device_at: envelope.device_at,
                order: envelope.order,
                name: envelope.event.name(),
                event: Some(&envelope.event),
            },
            Decoded::Unknown(header) => Facts {
                region: &header.region,
                seq: header.seq,
                incarnation: header.incarnation,
                at: header.at,
                device_at: None,
                order: header.order,
                name: &header.event.name,
                event: None,
            },
        }
    }
}

/// What a fold did, for those who watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) anomalies: u64,
    /// Orders that changed.
    pub(crate) orders: Vec<OrderId>,
    /// What it counted, which its caller adds to the rollups of all regions, [`rollups::add_to_all`].
    pub(crate) deltas: Deltas,
}

/// An order's row as it is stored, and as it is by now.
#[derive(Debug, Clone, Default)]
struct Held {
    stored: Option<OrderRow>,
    row: Option<OrderRow>,
}

/// One region's rows on their way through a transaction.
#[derive(Debug)]
pub(crate) struct Fold<'c> {
    conn: &'c Connection,
    region: RegionId,
    state: RegionState,
    orders: BTreeMap<OrderId, Held>,
    payments: BTreeMap<(OrderId, PaymentId), PaymentRow>,
    refunds: BTreeMap<(OrderId, RefundId), RefundRow>,
    /// The provider's, of payments that changed.
    transactions: BTreeSet<String>,
    drivers: BTreeMap<DriverId, DriverRow>,
    balances: ledger_rows::Moves,
    deltas: Deltas,
    folded: Folded,
}

impl<'c> Fold<'c> {
    /// Begins with what is stored.
    pub(crate) fn new(conn: &'c Connection, region: &RegionId) -> Result<Self, StoreFault> {
        Ok(Self {
            conn,
            region: region.clone(),
            state: state::load(conn, region)?,
            orders: BTreeMap::new(),
            payments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            transactions: BTreeSet::new(),
            drivers: BTreeMap::new(),
            balances: BTreeMap::new(),
            deltas: Deltas::default(),
            folded: Folded::default(),
        })
    }

    /// Folds the region's next event.
    pub(crate) fn take(&mut self, facts: &Facts<'_>) -> Result<(), StoreFault> {
        self.state.seen_at = self.state.seen_at.max(facts.at);
        let mut found = Vec::new();
        match (facts.order, facts.event) {
            (Some(order), _) => self.order(order, facts, &mut found)?,
            (None, Some(event)) => self.alone(event, facts, &mut found)?,
            (None, None) => {}
        }
        for (n, anomaly) in found.iter().enumerate() {
            let (region, seq, kind) = (&self.region, facts.seq, anomaly.kind.name());
            tracing::warn!(%region, seq, kind, detail = %anomaly.detail, "anomaly");
            anomalies::note(self.conn, region, (facts.seq, n, facts.at), anomaly)?;
            self.folded.anomalies += 1;
        }
        Ok(())
    }

    /// Writes everything.
    pub(crate) fn finish(mut self) -> Result<Folded, StoreFault> {
        for held in self.orders.values() {
            if let Some(order) = &held.row {
                orders::save(self.conn, held.stored.as_ref(), order)?;
                self.folded.orders.push(order.id);
            }
        }
        for payment in self.payments.values() {
            payments::save_payment(self.conn, &self.region, payment)?;
        }
        if misstated::any(self.conn, &self.region)? {
            for transaction in &self.transactions {
                misstated::compare(self.conn, &self.region, transaction)?;
            }
        }
        for refund in self.refunds.values() {
            payments::save_refund(self.conn, &self.region, refund)?;
        }
        for (id, driver) in &self.drivers {
            people::save_driver(self.conn, &self.region, *id, *driver)?;
        }
        ledger_rows::save_moves(self.conn, &self.region, &self.balances)?;
        rollups::add(self.conn, &self.region, &self.deltas, self.state.seen_at)?;
        state::save(self.conn, &self.region, &self.state)?;
        self.folded.deltas = self.deltas;
        Ok(self.folded)
    }

    fn order(&mut self, order: OrderRef, facts: &Facts<'_>, found: &mut Vec<Anomaly>) -> Result<(), StoreFault> {
        let held = match self.orders.remove(&order.id) {
            Some(held) => held,
            None => {
                let stored = orders::load(self.conn, &self.region, order.id)?;
                Held {
                    row: stored.clone(),
                    stored,
                }
            }
        };
        let Held { stored, row: before } = held;
        let incoming = OrderEvent {
            region: &self.region,
            seq: facts.seq,
            order,
            at: facts.at,
            event: facts.event,
        };
        let (after, anomalies) = orders_fold::fold(before.as_ref(), incoming);
        found.extend(anomalies);
        if let (Some(row), Some(event)) = (&after, facts.event) {
            self.deltas.change(before.as_ref(), row, facts.at, facts.device_at);
            self.deltas.note(event, row, facts.at);
            self.bind(before.as_ref(), row, facts.at)?;
            self.pay(event, row, facts.at)?;
            self.post(event, Some(row), facts, found)?;
        }
        self.orders.insert(order.id, Held { stored, row: after });
        Ok(())
    }

    /// An event that is about no order.
    fn alone(&mut self, event: &Event, facts: &Facts<'_>, found: &mut Vec<Anomaly>) -> Result<(), StoreFault> {
        if let Event::DriverStatusChanged { driver_id, online } = event {
            let change = if *online { Change::Online } else { Change::Offline };
            self.drive(*driver_id, change, facts.at)?;
        } else if let Event::RestaurantUpdated {
            restaurant_id,
            name,
            cell,
            open,
        } = event
        {
            people::save_restaurant(self.conn, &self.region, *restaurant_id, (name, *cell, *open))?;
        } else if let Event::RegionStatusChanged(RegionStatusChanged { paused, reason }) = event {
            self.state.paused = paused.then(|| reason.clone());
        } else if let Event::IncarnationStarted { follows_seq, .. } = event {
            let (events, orders) = forgotten::forgotten_count(self.conn, &self.region, facts.incarnation)?;
            if events > 0 {
                let detail = format!(
                    "the region was restored from an older copy of its file: {events} events of {orders} orders after event \
                     {follows_seq} are not its past any more; `tomato-hub region forgotten` lists them"
                );
                found.push(Anomaly {
                    order_id: None,
                    kind: AnomalyKind::EventsForgotten,
                    detail,
                });
            }
        }
        self.post(event, None, facts, found)
    }

    /// An order that gets or loses its driver.
    fn bind(&mut self, before: Option<&OrderRow>, after: &OrderRow, at: UnixMs) -> Result<(), StoreFault> {
        let bound = |row: &OrderRow| row.driver_id.filter(|_| !row.state.is_final());
        let (was, is) = (before.and_then(bound), bound(after));
        if was == is {
            return Ok(());
        }
        if let Some(driver) = was {
            self.drive(driver, Change::Free, at)?;
        }
        if let Some(driver) = is {
            self.drive(driver, Change::Bound, at)?;
        }
        Ok(())
    }

    fn drive(&mut self, id: DriverId, change: Change, at: UnixMs) -> Result<(), StoreFault> {
        let row = match self.drivers.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let stored = people::driver(self.conn, &self.region, id)?;
                entry.insert(stored.unwrap_or_default())
            }
        };
        if let Some(stretch) = drivers::fold(row, change, at) {
            self.deltas.work(stretch);
        }
        Ok(())
    }

    fn pay(&mut self, event: &Event, order: &OrderRow, at: UnixMs) -> Result<(), StoreFault> {
        let about = About {
            order: order.id,
            currency: order.currency,
            at,
        };
        if let Some(id) = payments_fold::payment_of(event) {
            let before = match self.payments.remove(&(order.id, id)) {
                Some(row) => Some(row),
                None => payments::load_payment(self.conn, &self.region, (order.id, id))?,
            };
            let was = before.as_ref().map(|row| row.transaction_id.clone());
            let after = payments_fold::fold_payment(before, id, about, event);
            // With another card a payment leaves its first transaction behind.
            let transactions = was.into_iter().chain([after.transaction_id.clone()]);
            self.transactions.extend(transactions.filter(|id| !id.is_empty()));
            self.payments.insert((order.id, id), after);
        }
        if let Some(id) = payments_fold::refund_of(event) {
            let before = match self.refunds.remove(&(order.id, id)) {
                Some(row) => Some(row),
                None => payments::load_refund(self.conn, &self.region, (order.id, id))?,
            };
            let after = payments_fold::fold_refund(before, id, about, event);
            self.refunds.insert((order.id, id), after);
        }
        Ok(())
    }

    fn post(
        &mut self,
        event: &Event,
        order: Option<&OrderRow>,
        facts: &Facts<'_>,
        found: &mut Vec<Anomaly>,
    ) -> Result<(), StoreFault> {
        let Event::LedgerPosted {
            cause,
            currency,
            entries,
        } = event
        else {
            return Ok(());
        };
        let posting = Posting {
            region: self.region.as_str().to_owned(),
            seq: facts.seq,
            at: facts.at,
            order: order.map(|row| row.id),
            cause: *cause,
            currency: *currency,
            entries: entries.clone(),
        };
        match ledger::post(&mut self.state.books, &posting, order.map(|row| row.currency)) {
            Ok(hash) => {
                ledger_rows::insert(self.conn, &posting, &hash)?;
                ledger_rows::count(&mut self.balances, &posting);
            }
            Err(anomaly) => found.push(anomaly),
        }
        Ok(())
    }
}
