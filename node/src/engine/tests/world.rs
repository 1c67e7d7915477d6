//! A city with its file and its clock: decides as the writer does, and keeps every row that was ever written.

use std::collections::BTreeMap;

use tomato_shared::event::books::Account;
use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::id::{ItemId, OfferId, OrderId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

pub(crate) use super::fixture::*;
use crate::engine::city::City;
use crate::engine::command::{Command, OrderCommand, PaymentOutcome, PlaceOrder, Refusal, Waiting};
use crate::engine::draft::{Changes, NewEvent};
use crate::engine::model::{By, Order, Reservation, ReservationKey, Stock};
use crate::engine::policy::Policy;
use crate::engine::task::{Task, TaskKey};
use crate::engine::timer::TimerKey;
use crate::engine::view::Reply;
use crate::engine::{Decision, decide};

/// What SQLite would hold.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) orders: BTreeMap<OrderId, Order>,
    pub(crate) stock: BTreeMap<(RestaurantId, ItemId), Stock>,
    pub(crate) reservations: BTreeMap<ReservationKey, Reservation>,
    pub(crate) timers: BTreeMap<TimerKey, UnixMs>,
    pub(crate) tasks: BTreeMap<TaskKey, Task>,
    pub(crate) events: Vec<NewEvent>,
}

impl Disk {
    fn write(&mut self, changes: &Changes) {
        self.orders
            .extend(changes.orders.iter().map(|(id, row)| (*id, row.clone())));
        self.stock.extend(&changes.stock);
        self.reservations.extend(&changes.reservations);
        for (key, due_at) in &changes.timers {
            match due_at {
                Some(at) => self.timers.insert(*key, *at),
                None => self.timers.remove(key),
            };
        }
        for (key, task) in &changes.tasks {
            match task {
                Some(task) => self.tasks.insert(*key, task.clone()),
                None => self.tasks.remove(key),
            };
        }
        self.events.extend(changes.events.iter().cloned());
    }
}

/// A city, its file and its clock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) city: City,
    pub(crate) policy: Policy,
    pub(crate) disk: Disk,
    pub(crate) now: UnixMs,
    pub(crate) seed: u128,
    /// What the last command wrote.
    pub(crate) last: Changes,
}

impl World {
    pub(crate) fn empty(policy: Policy) -> Self {
        Self {
            city: City::default(),
            policy,
            disk: Disk::default(),
            now: START,
            seed: 0x0123_4567_89ab_cdef << 64,
            last: Changes::default(),
        }
    }

    /// The city of [`opening`].
    pub(crate) fn new() -> Self {
        Self::with(policy())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let mut world = Self::empty(policy);
        for command in opening() {
            world.run(OPERATOR, &command).unwrap();
        }
        world
    }

    /// Decides as the writer does: the row of an order that is over is at hand for its command only.
    pub(crate) fn run(&mut self, by: By, command: &Command) -> Result<Reply, Refusal> {
        if let Some(row) = command
            .order_id()
            .filter(|id| self.city.order(*id).is_none())
            .and_then(|id| self.disk.orders.get(&id))
        {
            self.city.put_order(row.clone());
        }
        self.seed = self
            .seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        let Decision { answer, changes } = decide(&self.city, &self.policy, by, command, self.now, self.seed);
        // A wrong PIN is counted, on the row of its order.
        let counted = matches!(&answer, Err(refusal) if refusal.rejection == Rejection::ProofWrong);
        if answer.is_err() {
            let rows = (
                changes.orders.len() - usize::from(counted),
                changes.restaurants.len(),
                changes.stock.len(),
                changes.reservations.len(),
            );
            assert_eq!(rows, (0, 0, 0, 0), "{command:?} was refused and writes rows");
            let rows = (
                changes.drivers.len(),
                changes.timers.len(),
                changes.tasks.len(),
                changes.dispatch_at,
            );
            assert_eq!(rows, (0, 0, 0, None), "{command:?} was refused and writes rows");
            let rows = (
                changes.shifts.len(),
                changes.promotions.len(),
                changes.promo_uses.len(),
                changes.stars.len(),
            );
            assert_eq!(rows, (0, 0, 0, 0), "{command:?} was refused and writes rows");
            assert_eq!(changes.region, None, "{command:?} was refused and writes rows");
        }
        self.disk.write(&changes);
        self.city.apply(&changes);
        for id in changes.orders.keys().copied().chain(command.order_id()) {
            self.city.forget_final(id);
        }
        self.last = changes;
        answer.map(|answer| answer.reply)
    }

    /// Runs a command and compares: the names of its events in order, or the rejection.
    #[track_caller]
    pub(crate) fn check(&mut self, by: By, command: Command, expected: Result<&[&str], Rejection>) {
        let found = self.run(by, &command).map_err(|refusal| refusal.rejection);
        let names: Vec<_> = self.last.events.iter().map(|new| new.event.name()).collect();
        match (found, expected) {
            (Ok(_), Ok(events)) => assert_eq!(names, events, "{command:?}"),
            (Err(found), Err(rejection)) => assert_eq!(found, rejection, "{command:?}"),
            (found, expected) => panic!("{command:?} by {by:?}: {found:?} with {names:?}, expected {expected:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, by: By, command: Command) {
        self.run(by, &command)
            .unwrap_or_else(|refusal| panic!("{command:?} by {by:?}: {refusal:?}"));
    }

    pub(crate) fn order(&self, id: OrderId) -> &Order {
        &self.disk.orders[&id]
    }

    pub(crate) fn stock(&self, n: u8, item: ItemId) -> (u32, u32) {
        let row = self.disk.stock[&(restaurant(n), item)];
        (row.reserved, row.sold)
    }

    /// Lets time pass, and every deadline in it come at its time.
    pub(crate) fn pass(&mut self, span: DurationMs) {
        let until = self.now + span;
        while let Some(key) = self.city.due(until) {
            self.now = self.now.max(self.disk.timers[&key]);
            self.ok(By::System, Command::TimerDue(key));
        }
        self.now = until;
    }

    /// A dispatch round in which every waiting order sees these drivers, nearest first.
    pub(crate) fn dispatch(&mut self, drivers: &[u8]) {
        let candidates: Vec<_> = drivers
            .iter()
            .zip(1u8..)
            .map(|(n, nth)| candidate(*n, f64::from(nth) * 100.0))
            .collect();
        let waiting: Vec<_> = self.city.waiting().collect();
        let command = Command::Dispatch(
            waiting
                .into_iter()
                .map(|order_id| Waiting {
                    order_id,
                    candidates: candidates.clone(),
                })
                .collect(),
        );
        self.ok(By::System, command);
    }

    pub(crate) fn outcome(&self, id: OrderId, outcome: PaymentOutcome) -> Command {
        Command::PaymentOutcome {
            order_id: id,
            payment_id: self.order(id).payment.id,
            nth: 0,
            attempt: self.order(id).payment.attempt,
            outcome,
        }
    }

    /// What the provider said about the `nth` refund.
    pub(crate) fn refund_outcome(&self, id: OrderId, nth: u32, outcome: PaymentOutcome) -> Command {
        Command::PaymentOutcome {
            order_id: id,
            payment_id: self.order(id).payment.id,
            nth,
            attempt: self.order(id).payment.refunds[nth as usize].refused + 1,
            outcome,
        }
    }

    /// What the provider said about the `nth` tip.
    pub(crate) fn tip_outcome(&self, id: OrderId, nth: u32, outcome: PaymentOutcome) -> Command {
        Command::PaymentOutcome {
            order_id: id,
            payment_id: self.order(id).payment.tips[nth as usize].id,
            nth,
            attempt: 1,
            outcome,
        }
    }

    /// Everything that has moved in the accounts of an order.
    pub(crate) fn balances(&self, id: OrderId) -> BTreeMap<Account, i64> {
        let mut sums = BTreeMap::new();
        for new in &self.disk.events {
            let of_order = new.order.is_some_and(|(of, _)| of == id);
            if let (true, Event::LedgerPosted { entries, .. }) = (of_order, &new.event) {
                for entry in entries {
                    *sums.entry(entry.account).or_insert(0) += entry.amount_minor;
                }
            }
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    pub(crate) fn authorised(&self, id: OrderId) -> Command {
        self.outcome(
            id,
            PaymentOutcome::Authorised {
                transaction_id: "tx_1".into(),
            },
        )
    }
}

/// Orders brought to where a test begins.
impl World {
    #[track_caller]
    pub(crate) fn placed(&mut self, wanted: PlaceOrder) -> OrderId {
        match self.run(By::Customer(customer(1)), &place(wanted)) {
            Ok(Reply::Order(order)) => order.id,
            other => panic!("{other:?}"),
        }
    }

    /// One burger at restaurant 1, by card, not yet paid.
    pub(crate) fn pending(&mut self) -> OrderId {
        self.placed(order_of(Some(restaurant(1)), &[(BURGER, 1)]))
    }

    pub(crate) fn confirmed(&mut self) -> OrderId {
        let id = self.pending();
        self.ok(By::Provider, self.authorised(id));
        id
    }

    pub(crate) fn preparing(&mut self) -> OrderId {
        let id = self.confirmed();
        self.ok(By::Restaurant(restaurant(1)), accept(id));
        id
    }

    /// Ready, and its money taken.
    pub(crate) fn ready(&mut self) -> OrderId {
        let id = self.preparing();
        self.ok(By::Provider, self.outcome(id, PaymentOutcome::Captured));
        self.ok(
            By::Restaurant(restaurant(1)),
            Command::Order(id, OrderCommand::MarkReady),
        );
        id
    }

    /// Offered to a driver.
    pub(crate) fn offered(&mut self, n: u8) -> (OrderId, OfferId) {
        let id = self.ready();
        self.dispatch(&[n]);
        (id, self.offer(id))
    }

    #[track_caller]
    pub(crate) fn offer(&self, id: OrderId) -> OfferId {
        self.order(id).delivery.offer.expect("an open offer").id
    }

    pub(crate) fn assigned(&mut self, n: u8) -> OrderId {
        let (id, offer) = self.offered(n);
        self.ok(By::Driver(driver(n)), Command::AcceptOffer(offer));
        id
    }

    pub(crate) fn picked_up(&mut self, n: u8) -> OrderId {
        let id = self.assigned(n);
        self.ok(By::Driver(driver(n)), Command::Order(id, OrderCommand::PickUp));
        id
    }

    pub(crate) fn delivered(&mut self, n: u8) -> OrderId {
        let id = self.picked_up(n);
        self.ok(By::Driver(driver(n)), complete(id));
        id
    }

    /// On its way back, as nobody was there.
    pub(crate) fn returning(&mut self, n: u8) -> OrderId {
        let id = self.picked_up(n);
        self.ok(By::Driver(driver(n)), fail(id, "customer_absent"));
        id
    }

    /// The same orders, paid in cash.
    pub(crate) fn cash_picked_up(&mut self, n: u8) -> OrderId {
        let wanted = PlaceOrder {
            method: PaymentMethod::Cash,
            card: String::new(),
            ..order_of(Some(restaurant(1)), &[(BURGER, 1)])
        };
        let id = self.placed(wanted);
        let (kitchen, rider) = (By::Restaurant(restaurant(1)), By::Driver(driver(n)));
        self.ok(kitchen, accept(id));
        self.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
        self.dispatch(&[n]);
        self.ok(rider, Command::AcceptOffer(self.offer(id)));
        self.ok(rider, Command::Order(id, OrderCommand::PickUp));
        id
    }
}
