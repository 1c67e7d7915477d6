//! Random walks: parties who do what they should, what they should not, and the same again, while time passes and the
//! provider answers late, twice or not at all. After every step the [`Audit`] looks at what was written.
//!
//! `TOMATO_WALKS=100000 cargo test -p tomato-node walks` walks for longer; `TOMATO_WALK_SEED=n` repeats one walk.

mod audit;
mod commands;
mod ledger;
mod money;
mod parties;
pub(crate) mod rng;
mod rounds;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tomato_shared::id::{OfferId, OrderId};
use tomato_shared::money::BasisPoints;
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::{DurationMs, UnixMs};

use super::world::{OPERATOR, World, candidate, driver, opening, policy, sign};
use crate::engine::city::City;
use crate::engine::command::{Command, OrderCommand as O, Waiting};
use crate::engine::draft::Changes;
use crate::engine::model::{By, Proof};
use crate::engine::policy::DispatchKind;
use audit::Audit;
use ledger::Ledger;
use rng::Rng;

/// Steps of one walk.
const STEPS: u32 = 300;

/// Kinds of events that there are; a walk can come to each of them.
const EVENTS: usize = 46;

/// Hears of everything that is written.
pub(crate) type Sink = Box<dyn FnMut(&Changes, By, UnixMs)>;

pub(crate) struct Walk {
    pub(crate) world: World,
    rng: Rng,
    audit: Audit,
    ledger: Ledger,
    orders: Vec<OrderId>,
    offers: Vec<OfferId>,
    quotes: Vec<String>,
    last: Option<(By, Command)>,
    sink: Sink,
}

impl Walk {
    pub(crate) fn new(seed: u64, sink: Sink) -> Self {
        let mut rng = Rng::new(seed);
        let mut policy = policy();
        policy.dispatch.offer_ttl = DurationMs(*rng.pick(&[0, 30_000, 30_000]));
        policy.dispatch.kind = *rng.pick(&[DispatchKind::Nearest, DispatchKind::Matching]);
        policy.another_card = DurationMs(*rng.pick(&[0, 120_000, 3_600_000]));
        policy.pending_orders_max = *rng.pick(&[1, 3, 100]);
        policy.restaurants_asked_max = *rng.pick(&[1, 2, 3]);
        policy.open_orders_max = *rng.pick(&[4, 100]);
        policy.driver_pay.cash_max_minor = *rng.pick(&[0, 0, 60_000]);
        policy.cancelling.absent = BasisPoints(*rng.pick(&[0, 3_000]));
        policy.last_order_before = DurationMs::from_mins(*rng.pick(&[0, 30]));
        let mut world = World::empty(policy);
        world.seed ^= u128::from(seed) << 70;
        let mut walk = Self {
            world,
            rng,
            audit: Audit::default(),
            ledger: Ledger::default(),
            orders: Vec::new(),
            offers: Vec::new(),
            quotes: Vec::new(),
            last: None,
            sink,
        };
        for command in opening() {
            walk.run(OPERATOR, command);
        }
        for _ in 0..3 {
            let command = walk.promotion();
            walk.run(OPERATOR, command);
        }
        walk
    }

    /// Has a command decided, written and audited.
    pub(super) fn run(&mut self, by: By, command: Command) {
        drop(self.world.run(by, &command));
        (self.sink)(&self.world.last, by, self.world.now);
        self.audit.step(&self.world, &command);
        for id in self.world.last.orders.keys() {
            if !self.orders.contains(id) {
                self.orders.push(*id);
            }
        }
        let offers = self.world.last.orders.values().filter_map(|order| order.delivery.offer);
        self.offers.extend(offers.map(|offer| offer.id));
        self.last = Some((by, command));
    }

    pub(crate) fn step(&mut self) {
        self.world.now = self.world.now + DurationMs(self.rng.span_ms());
        if self.world.city.catalogue().region.paused && self.rng.below(4) == 0 {
            let reason = String::new();
            self.run(OPERATOR, Command::PauseRegion { paused: false, reason });
        }
        // A writer with much to do may come to its deadlines late.
        if self.rng.below(10) > 0 {
            self.fire();
        }
        match self.rng.below(100) {
            0..25 => self.provider(),
            25..28 => {
                if let Some((by, command)) = self.last.clone() {
                    self.run(by, command);
                }
            }
            _ => {
                let (by, command) = self.command();
                self.run(by, command);
            }
        }
        self.ledger.check();
    }

    /// Deadlines that have come, then a round of dispatch; now and then the round comes first.
    fn fire(&mut self) {
        if self.rng.below(8) == 0 {
            self.dispatch();
        }
        while let Some(key) = self.world.city.due(self.world.now) {
            self.run(By::System, Command::TimerDue(key));
        }
        self.dispatch();
    }

    /// A round of dispatch, if it is time.
    fn dispatch(&mut self) {
        if self.world.policy.dispatch.kind == DispatchKind::Matching {
            return self.plan();
        }
        if self.world.city.dispatch_at().is_some_and(|at| at <= self.world.now) {
            let waiting: Vec<_> = self.world.city.waiting().collect();
            let round = waiting.into_iter().map(|order_id| {
                let near = (0..self.rng.below(5)).map(|nth| candidate(self.rng.small(6), 900.0 * f64::from(nth)));
                Waiting {
                    order_id,
                    candidates: near.collect(),
                }
            });
            let command = Command::Dispatch(round.collect());
            self.run(By::System, command);
        }
    }

    /// The provider acts on a call, and answers, or not, or says again what it said before.
    fn provider(&mut self) {
        let tasks = &self.world.disk.tasks;
        if tasks.is_empty() || self.rng.below(8) == 0 {
            if let Some(said) = self.ledger.again(&mut self.rng) {
                self.run(By::Provider, said);
            }
            return;
        }
        let nth = self.rng.below(u32::try_from(tasks.len()).unwrap());
        let task = tasks.values().nth(nth as usize).unwrap().clone();
        let declines = self.rng.below(8) == 0;
        let answer = self.ledger.call(&task, declines);
        if self.rng.below(5) > 0 {
            self.run(By::Provider, answer);
        }
    }

    /// Everybody finishes what was begun; then nothing may be left over.
    pub(crate) fn finish(&mut self) {
        for _ in 0..20 {
            self.fire();
            while let Some(task) = self.world.disk.tasks.values().next().cloned() {
                let answer = self.ledger.call(&task, false);
                self.run(By::Provider, answer);
            }
            for id in self.orders.clone() {
                self.end(id);
            }
            for n in 1..=5 {
                self.run(OPERATOR, sign(driver(n), false));
            }
            self.world.now = self.world.now + DurationMs::from_mins(6);
        }
        self.audit.quiescent(&self.world, &self.ledger);
        self.ledger.settled(&self.world);
    }

    /// Brings an order to its end.
    fn end(&mut self, id: OrderId) {
        let order = self.world.order(id);
        let (state, delivery) = (order.state, order.delivery.state);
        let (by, command) = match (state, order.delivery.driver_id) {
            (OrderState::OutForDelivery, Some(driver_id)) => {
                let proof = Proof::Photo { reference: "r".into() };
                (By::Driver(driver_id), O::Complete(proof))
            }
            (OrderState::Cancelled, Some(driver_id)) if delivery == DeliveryState::Returning => {
                (By::Driver(driver_id), O::Return)
            }
            (state, _) if !state.is_final() => (OPERATOR, O::Cancel),
            _ => return,
        };
        self.run(by, Command::Order(id, command));
    }
}

/// Whether a city is what its rows say: indexes, deadlines and all.
pub(crate) fn assert_same_city(found: &mut City, expected: &mut City) {
    // The next round is no row: a start simply asks for one.
    let no_round = Changes {
        dispatch_at: Some(None),
        ..Changes::default()
    };
    found.apply(&no_round);
    expected.apply(&no_round);
    assert_eq!(format!("{found:#?}"), format!("{expected:#?}"));
}

fn walk(seed: u64) {
    let walked = catch_unwind(AssertUnwindSafe(|| {
        let mut walk = Walk::new(seed, Box::new(|_, _, _| ()));
        for _ in 0..STEPS {
            walk.step();
        }
        walk.audit.reload(&mut walk.world);
        walk.finish();
    }));
    if let Err(panic) = walked {
        let reason = panic.downcast_ref::<String>().cloned();
        let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panic!("TOMATO_WALK_SEED={seed}: {}", reason.unwrap_or_default());
    }
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn wish(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn walks(part: u64) {
    if let Some(seed) = wish("TOMATO_WALK_SEED") {
        return walk(seed);
    }
    let count = wish("TOMATO_WALKS").unwrap_or(1_000);
    (0..count).filter(|seed| seed % 2 == part).for_each(walk);
}

#[test]
fn even_walks_keep_every_invariant() {
    walks(0);
}

#[test]
fn odd_walks_keep_every_invariant() {
    walks(1);
}

#[test]
fn same_seed_walks_the_same_way() {
    let trace = |seed| {
        let mut walk = Walk::new(seed, Box::new(|_, _, _| ()));
        (0..STEPS).for_each(|_| walk.step());
        format!("{:?}", walk.world.disk)
    };
    for seed in 0..20 {
        assert!(trace(seed) == trace(seed), "TOMATO_WALK_SEED={seed}");
    }
    assert!(trace(1) != trace(2));
}

#[test]
fn walks_reach_every_state_and_every_event() {
    let (mut events, mut states) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for seed in 0..60 {
        let mut walk = Walk::new(seed, Box::new(|_, _, _| ()));
        for _ in 0..STEPS {
            walk.step();
            states.extend(walk.world.last.orders.values().map(|order| order.state));
        }
        events.extend(walk.world.disk.events.iter().map(|new| new.event.name()));
    }
    assert_eq!(states.len(), OrderState::ALL.len(), "{states:?}");
    assert_eq!(events.len(), EVENTS, "{events:?}");
}
