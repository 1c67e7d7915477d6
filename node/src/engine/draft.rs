//! A decision in the making: reads through to the [`City`], keeps every change beside it.
//!
//! Nothing outside sees a draft before it is complete; a rejection drops it. An order's state changes only by
//! [`Draft::tell`], so no state can change without its event.

use std::collections::BTreeMap;
use std::sync::Arc;

use tomato_shared::control::Edition;
use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, Id, ItemId, OrderId, RestaurantId, UserId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::city::{City, RegionStatus, Stars};
use super::command::{ProviderEvent, Refusal};
use super::model::{By, Driver, Order, Promotion, Reservation, ReservationKey, Restaurant, Shift, Stock};
use super::moving::{KeptAnswer, Parcel};
use super::policy::{DispatchKind, Policy};
use super::task::{Task, TaskKey};
use super::territory::Territory;
use super::timer::TimerKey;

/// Every row that a decision writes, and the events that say so. The same value changes memory and disk.
#[derive(Debug, Default)]
pub struct Changes {
    /// Orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// Restaurants.
    pub restaurants: BTreeMap<RestaurantId, Arc<Restaurant>>,
    /// Counted stock.
    pub stock: BTreeMap<(RestaurantId, ItemId), Stock>,
    /// Reservations.
    pub reservations: BTreeMap<ReservationKey, Reservation>,
    /// Drivers.
    pub drivers: BTreeMap<DriverId, Driver>,
    /// Shifts that ended: of whom, and when.
    pub shifts: Vec<(DriverId, Shift, UnixMs)>,
    /// Promotions.
    pub promotions: BTreeMap<String, Arc<Promotion>>,
    /// How often a customer has used a promotion.
    pub promo_uses: BTreeMap<(String, UserId), u32>,
    /// What customers gave.
    pub stars: BTreeMap<Rated, Stars>,
    /// Whether the region takes orders.
    pub region: Option<RegionStatus>,
    /// Which cells are the region's.
    pub territory: Option<Arc<Territory>>,
    /// What the hub says.
    pub control: Option<Arc<Edition>>,
    /// What goes along with cells that have left (`Some`), or is not needed any more.
    pub parcels: BTreeMap<u64, Option<Parcel>>,
    /// Answers that clients had from another region.
    pub answers: Vec<KeptAnswer>,
    /// Deadlines set (`Some`) or dropped.
    pub timers: BTreeMap<TimerKey, Option<UnixMs>>,
    /// Calls to be made (`Some`) or done with.
    pub tasks: BTreeMap<TaskKey, Option<Task>>,
    /// Messages of a provider about orders that are not here.
    pub quarantine: Vec<ProviderEvent>,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// Next dispatch round, if it was set or dropped. Not a row: it follows from orders that wait.
    pub dispatch_at: Option<Option<UnixMs>>,
}

/// Who is rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rated {
    /// A restaurant.
    Restaurant(RestaurantId),
    /// A driver.
    Driver(DriverId),
}

/// An event that has no sequence yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its order, and the order's version after it.
    pub order: Option<(OrderId, u32)>,
    /// What happened.
    pub event: Event,
}

/// Ids and digits that look random outside and are a function of the seed inside.
#[derive(Debug, Clone)]
pub struct IdSource {
    state: u128,
}

impl IdSource {
    /// A source; the writer draws a new seed from the operating system for each command.
    pub const fn new(seed: u128) -> Self {
        Self { state: seed }
    }

    /// The next id.
    pub fn id<K: tomato_shared::id::Kind>(&mut self, at: UnixMs) -> Id<K> {
        let bytes = self.next().to_be_bytes();
        let mut random = [0; 10];
        random.copy_from_slice(&bytes[..10]);
        Id::v7(at, random)
    }

    /// Four decimal digits.
    pub fn pin(&mut self) -> String {
        format!("{:04}", self.next() % 10_000)
    }

    /// The seed's own bits come first, so that they reach the id unmixed; later ones by a 128-bit Weyl sequence.
    fn next(&mut self) -> u128 {
        let value = self.state;
        self.state = self
            .state
            .wrapping_mul(0xda94_2042_e4dd_58b5)
            .wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        value
    }
}

/// A decision in the making.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What was there before.
    pub city: &'a City,
    /// The region's numbers.
    pub policy: &'a Policy,
    /// Who asks.
    pub by: By,
    /// The region's time.
    pub now: UnixMs,
    /// For new rows.
    pub ids: IdSource,
    /// What was changed so far.
    pub changes: Changes,
    /// Whether the changes stand although the answer is a refusal.
    pub kept: bool,
}

impl<'a> Draft<'a> {
    /// Starts with nothing changed.
    pub fn new(city: &'a City, policy: &'a Policy, by: By, now: UnixMs, seed: u128) -> Self {
        Self {
            city,
            policy,
            by,
            now,
            ids: IdSource::new(seed),
            changes: Changes::default(),
            kept: false,
        }
    }

    /// Has the changes written although the answer is a refusal: for what must not be tried without end.
    pub fn keep_on_refusal(&mut self) {
        self.kept = true;
    }

    /// The order as it stands in this draft.
    pub fn order(&self, id: OrderId) -> Result<&Order, Refusal> {
        self.changes
            .orders
            .get(&id)
            .or_else(|| self.city.order(id))
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// The order, to be changed; not its state, for which there is [`Draft::tell`].
    pub fn order_mut(&mut self, id: OrderId) -> Result<&mut Order, Refusal> {
        if !self.changes.orders.contains_key(&id) {
            let row = self.order(id)?.clone();
            self.changes.orders.insert(id, row);
        }
        self.changes
            .orders
            .get_mut(&id)
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// Records that something happened to an order, and moves its state as the transition table says.
    /// Fails with `wrong_state` where the table has no such step.
    pub fn tell(&mut self, id: OrderId, event: Event) -> Result<(), Refusal> {
        let order = self.order_mut(id)?;
        if let Some(step) = event.step() {
            order.state = order.state.step(step).ok_or(Rejection::WrongState)?;
        }
        order.version += 1;
        let version = order.version;
        self.changes.events.push(NewEvent {
            order: Some((id, version)),
            event,
        });
        Ok(())
    }

    /// Records something that is not about an order.
    pub fn tell_region(&mut self, event: Event) {
        self.changes.events.push(NewEvent { order: None, event });
    }

    /// The driver as they stand in this draft.
    pub fn driver(&self, id: DriverId) -> Result<&Driver, Refusal> {
        self.changes
            .drivers
            .get(&id)
            .or_else(|| self.city.driver(id))
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// The driver, to be changed.
    pub fn driver_mut(&mut self, id: DriverId) -> Result<&mut Driver, Refusal> {
        if !self.changes.drivers.contains_key(&id) {
            let mut row = self.driver(id)?.clone();
            row.version += 1;
            self.changes.drivers.insert(id, row);
        }
        self.changes
            .drivers
            .get_mut(&id)
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// The restaurant as it stands in this draft.
    pub fn restaurant(&self, id: RestaurantId) -> Result<&Arc<Restaurant>, Refusal> {
        self.changes
            .restaurants
            .get(&id)
            .or_else(|| self.city.catalogue().restaurants.get(&id))
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// Counted stock as it stands in this draft.
    pub fn stock(&self, restaurant_id: RestaurantId, item_id: ItemId) -> Option<Stock> {
        let changed = self.changes.stock.get(&(restaurant_id, item_id));
        changed.or_else(|| self.city.stock(restaurant_id, item_id)).copied()
    }

    /// How often a customer has used a promotion, as of this draft.
    pub fn promo_uses(&self, code: &str, customer_id: UserId) -> u32 {
        let key = (code.to_owned(), customer_id);
        let changed = self.changes.promo_uses.get(&key).copied();
        changed.unwrap_or_else(|| self.city.promo_uses(&key))
    }

    /// Sets a deadline, or moves it.
    pub fn set_timer(&mut self, key: TimerKey, due_at: UnixMs) {
        self.changes.timers.insert(key, Some(due_at));
    }

    /// Drops a deadline.
    pub fn clear_timer(&mut self, key: TimerKey) {
        self.changes.timers.insert(key, None);
    }

    /// Asks for a dispatch round, now; where the region plans, the next round comes by itself.
    pub fn dispatch_now(&mut self) {
        if self.policy.dispatch.kind == DispatchKind::Nearest {
            self.changes.dispatch_at = Some(Some(self.now));
        }
    }
}
