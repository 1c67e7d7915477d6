//! Legal histories of a region by the thousand: orders that overlap, with payments, books, drivers and refunds.
//!
//! For tests and measurements. The same seed gives the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::{Actor, ENVELOPE_VERSION, Envelope, Event, OrderRef, PaymentMethod, Price, encode};
use tomato_shared::id::OrderId;
use tomato_shared::money::Currency;
use tomato_shared::time::UnixMs;

use super::story::{Story, driver, restaurant};

/// Orders that go on at once.
const AT_ONCE: usize = 40;
pub(super) const RESTAURANTS: u64 = 60;
pub(super) const DRIVERS: u64 = 80;

/// What shall go wrong with an order's money, for reconciliation to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// It is cancelled, and its money does not go back.
    MissingRefund,
    /// It is captured twice; the books know of one.
    DoubledCapture,
    /// Events and books differ by one minor unit.
    WrongAmount,
}

/// Writes one region's history.
#[derive(Debug)]
pub(crate) struct History {
    region: RegionId,
    currency: Currency,
    cells: Vec<Cell>,
    chance: Chance,
    seq: u64,
    orders: u64,
    now: i64,
    /// When the next order comes.
    arrival: i64,
    /// Milliseconds between orders, on average.
    pace_ms: u64,
    heap: BinaryHeap<Reverse<(i64, u64)>>,
    lives: std::collections::BTreeMap<u64, Life>,
    next_plant: Option<Plant>,
}

/// The rest of an order's events, last first.
#[derive(Debug)]
struct Life {
    id: OrderId,
    version: u32,
    rest: Vec<(i64, Event)>,
}

/// A small random number generator (SplitMix64).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn span_ms(&mut self, least_s: u64, most_s: u64) -> i64 {
        i64::try_from((least_s + self.below(most_s - least_s)) * 1_000).unwrap_or(0)
    }
}

impl History {
    /// A region that begins at `start` and gets an order every `pace_ms` on average.
    pub(crate) fn new(region: RegionId, seed: u64, start: UnixMs, pace_ms: u64) -> Option<Self> {
        let centre: Cell = "88618924d7fffff".parse().ok()?;
        let disk: Vec<h3o::CellIndex> = centre.0.grid_disk(6);
        Some(Self {
            region,
            currency: "INR".parse().ok()?,
            cells: disk.into_iter().map(Cell).collect(),
            chance: Chance(seed),
            seq: 0,
            orders: 0,
            now: start.0,
            arrival: start.0,
            pace_ms,
            heap: BinaryHeap::new(),
            lives: std::collections::BTreeMap::new(),
            next_plant: None,
        })
    }

    /// The next order that is made has this fault. It is the order with the returned id.
    pub(crate) fn plant(&mut self, plant: Plant) -> OrderId {
        self.next_plant = Some(plant);
        self.order_id(self.orders + 1)
    }

    /// The next encoded event, with its sequence. Restaurants and drivers come first.
    pub(crate) fn next(&mut self) -> (u64, Vec<u8>) {
        if self.seq < RESTAURANTS {
            let event = Event::RestaurantUpdated {
                restaurant_id: restaurant(self.seq),
                name: format!("Kitchen {}", self.seq + 1),
                cell: self.cell(),
                open: true,
            };
            return self.say(None, self.now, event);
        }
        if self.seq < RESTAURANTS + DRIVERS {
            let event = Event::DriverStatusChanged {
                driver_id: driver(self.seq - RESTAURANTS),
                online: true,
            };
            return self.say(None, self.now, event);
        }
        self.next_of_an_order()
    }

    /// The next event of the orders that are under way, without new ones; `None` when all have ended.
    pub(crate) fn drain(&mut self) -> Option<(u64, Vec<u8>)> {
        let Reverse((at, number)) = self.heap.pop()?;
        self.now = self.now.max(at);
        let (order, event, next) = {
            let life = self.lives.get_mut(&number)?;
            let (_, event) = life.rest.pop()?;
            life.version += 1;
            let order = OrderRef {
                id: life.id,
                version: life.version,
            };
            (order, event, life.rest.last().map(|(wait, _)| at + wait))
        };
        match next {
            Some(next) => self.heap.push(Reverse((next, number))),
            None => {
                self.lives.remove(&number);
            }
        }
        Some(self.say(Some(order), at, event))
    }

    fn next_of_an_order(&mut self) -> (u64, Vec<u8>) {
        let due = self.heap.peek().map(|Reverse((at, _))| *at);
        if self.lives.len() < AT_ONCE && due.is_none_or(|due| self.arrival <= due) {
            self.now = self.now.max(self.arrival);
            self.arrival = self.now + i64::try_from(self.chance.below(2 * self.pace_ms)).unwrap_or(0);
            self.orders += 1;
            let life = self.life();
            self.heap.push(Reverse((self.now, self.orders)));
            self.lives.insert(self.orders, life);
        }
        match self.drain() {
            Some(said) => said,
            // Not reached: an order is always under way here.
            None => self.say(None, self.now, Event::RatingRequested {}),
        }
    }

    fn say(&mut self, order: Option<OrderRef>, at: i64, event: Event) -> (u64, Vec<u8>) {
        self.seq += 1;
        let envelope = Envelope {
            v: ENVELOPE_VERSION,
            region: self.region.clone(),
            incarnation: 1,
            seq: self.seq,
            at: UnixMs(at),
            device_at: None,
            order,
            by: Actor::System,
            trace: None,
            event,
        };
        // Encoding fails only for texts of more than 4 GiB.
        (self.seq, encode(&envelope).unwrap_or_default())
    }

    fn order_id(&self, number: u64) -> OrderId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&number.to_be_bytes());
        for (slot, letter) in random[8..].iter_mut().zip(self.region.as_str().bytes().rev()) {
            *slot = letter;
        }
        // The place of an id in time is told by its number, so that it is known beforehand.
        OrderId::v7(UnixMs(i64::try_from(number).unwrap_or(0)), random)
    }

    fn cell(&mut self) -> Cell {
        // Squared: some places are busier than others.
        let (one, two) = (self.chance.below(1_000), self.chance.below(1_000));
        let place = usize::try_from(one * two).unwrap_or(0) * self.cells.len() / 1_000_000;
        self.cells[place.min(self.cells.len() - 1)]
    }

    fn life(&mut self) -> Life {
        let id = self.order_id(self.orders);
        let mut story = Story {
            plant: self.next_plant.take(),
            price: self.price(),
            method: PaymentMethod::Card,
            restaurant: restaurant(self.chance.below(RESTAURANTS)),
            driver: driver(self.chance.below(DRIVERS)),
            payment: *id.bytes(),
            rest: Vec::new(),
        };
        if self.chance.one_in(5) && story.plant.is_none() {
            story.method = PaymentMethod::Cash;
        }
        story.tell(&mut self.chance, &self.region, self.cells[0]);
        let cell = self.cell();
        if let Some((_, Event::OrderCreated { cell: place, .. })) = story.rest.first_mut() {
            *place = cell;
        }
        story.rest.reverse();
        Life {
            id,
            version: 0,
            rest: story.rest,
        }
    }

    fn price(&mut self) -> Price {
        let items_minor = i64::try_from(15_000 + self.chance.below(60_000)).unwrap_or(0);
        let tip_minor = if self.chance.one_in(4) { 2_000 } else { 0 };
        let discount_minor = if self.chance.one_in(6) { 1_500 } else { 0 };
        let (delivery_fee_minor, service_fee_minor) = (3_000, 500);
        let tax_minor = (items_minor - discount_minor) / 20;
        Price {
            items_minor,
            delivery_fee_minor,
            service_fee_minor,
            tax_minor,
            discount_minor,
            tip_minor,
            total_minor: items_minor + delivery_fee_minor + service_fee_minor + tax_minor + tip_minor - discount_minor,
            currency: self.currency,
        }
    }
}
