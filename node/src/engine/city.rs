//! The region's working set in memory: what a decision may look at.
//!
//! It mirrors rows of the file: every restaurant, driver and counted stock, and every order that is not over. The
//! writer loads it at the start and changes it only by [`City::apply`], together with the same rows on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tomato_shared::control::{Edition, Feature};
use tomato_shared::id::{DriverId, ItemId, OfferId, OrderId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::draft::{Changes, Rated};
use super::model::{
    Driver, Order, PaymentState, Promotion, Reservation, ReservationKey, ReservationState, Restaurant, Stock,
};
use super::moving::Parcel;
use super::policy::{Policy, Tariff};
use super::territory::Territory;
use super::timer::TimerKey;

/// What customers choose from. Shared with readers as a snapshot; an edit makes new maps of the same rows.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Every restaurant with its menu.
    pub restaurants: BTreeMap<RestaurantId, Arc<Restaurant>>,
    /// The region's own promotions, by code.
    pub promotions: BTreeMap<String, Arc<Promotion>>,
    /// Whether the region takes orders, as far as it is up to its own operators.
    pub region: RegionStatus,
    /// Which cells are the region's, and whose the others are.
    pub territory: Arc<Territory>,
    /// What the hub has said last.
    pub control: Arc<Edition>,
}

impl Catalogue {
    /// The fees that are in force.
    pub fn tariff(&self, policy: &Policy) -> Tariff {
        policy.fees.tariff(&self.control.control.fees)
    }

    /// The promotion that a code stands for: the hub's before the region's own.
    pub fn promotion(&self, code: &str) -> Option<&Promotion> {
        self.hubs_promotion(code)
            .or_else(|| self.promotions.get(code).map(AsRef::as_ref))
    }

    /// The same where the hub has it.
    pub fn hubs_promotion(&self, code: &str) -> Option<&Promotion> {
        self.control.control.promotions.iter().find(|row| row.code == code)
    }

    /// Whether the hub has switched something off.
    pub fn is_off(&self, feature: Feature) -> bool {
        self.control.control.off.contains(&feature)
    }

    /// Why the region takes no orders, if it takes none.
    pub fn paused(&self) -> Option<&str> {
        self.region.paused_under(&self.control)
    }
}

/// Whether the region takes orders, as far as it is up to its own operators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionStatus {
    /// True while it takes none.
    pub paused: bool,
    /// What the operator said.
    pub reason: String,
    /// True while the payment provider cannot be reached: cards are refused, or charged later.
    #[serde(default)]
    pub cards_down: bool,
}

impl RegionStatus {
    /// Why the region takes no orders, given what the hub says; its word comes first.
    pub fn paused_under<'a>(&'a self, edition: &'a Edition) -> Option<&'a str> {
        let own = self.paused.then_some(self.reason.as_str());
        edition.control.paused.as_deref().or(own)
    }
}

/// What customers gave, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stars {
    /// All stars together.
    pub sum: u64,
    /// How many gave some.
    pub count: u64,
}

impl Stars {
    /// Stars of one, on average; `None` before the first.
    pub fn average(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "sums of stars stay far below 2^53")]
        let average = |stars: &Self| (stars.sum as f64 / stars.count as f64 * 100.0).round() / 100.0;
        (self.count > 0).then(|| average(self))
    }
}

fn is_deferred(order: &Order) -> bool {
    order.payment.state == PaymentState::Deferred
}

/// The working set.
#[derive(Debug, Default)]
pub struct City {
    catalogue: Arc<Catalogue>,
    stock: BTreeMap<(RestaurantId, ItemId), Stock>,
    orders: BTreeMap<OrderId, Order>,
    reservations: BTreeMap<ReservationKey, Reservation>,
    drivers: BTreeMap<DriverId, Driver>,
    deadlines: BTreeMap<TimerKey, UnixMs>,
    due: BTreeSet<(UnixMs, TimerKey)>,
    dispatch_at: Option<UnixMs>,
    promo_uses: BTreeMap<(String, UserId), u32>,
    stars: BTreeMap<Rated, Stars>,
    /// Without the answers, which stay on disk.
    parcels: BTreeMap<u64, Parcel>,
    // Derived from the orders above.
    waiting: BTreeSet<(UnixMs, OrderId)>,
    offers: BTreeSet<(OfferId, OrderId)>,
    customers: BTreeMap<UserId, Open>,
    promo_totals: BTreeMap<String, u32>,
}

/// How many orders of a customer are under way.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    unpaid: u32,
    all: u32,
}

impl City {
    /// What customers choose from.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Counted stock; `None` for an item that is not counted.
    pub fn stock(&self, restaurant_id: RestaurantId, item_id: ItemId) -> Option<&Stock> {
        self.stock.get(&(restaurant_id, item_id))
    }

    /// An open order, or one that was loaded for the command at hand.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// All orders in memory, by id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// How many orders are in memory.
    pub fn orders_open(&self) -> usize {
        self.orders.len()
    }

    /// What one order holds or has taken.
    pub fn reservations(&self, order_id: OrderId) -> impl Iterator<Item = (ReservationKey, Reservation)> + '_ {
        let first = ReservationKey {
            order_id,
            restaurant_id: RestaurantId::from_bytes([0; 16]),
            item_id: ItemId::from_bytes([0; 16]),
        };
        self.reservations
            .range(first..)
            .take_while(move |(key, _)| key.order_id == order_id)
            .map(|(key, reservation)| (*key, *reservation))
    }

    /// A driver.
    pub fn driver(&self, id: DriverId) -> Option<&Driver> {
        self.drivers.get(&id)
    }

    /// All drivers, by id.
    pub fn drivers(&self) -> impl Iterator<Item = &Driver> {
        self.drivers.values()
    }

    /// The orders of an open offer, by id.
    pub fn orders_of_offer(&self, id: OfferId) -> impl Iterator<Item = OrderId> + '_ {
        let first = (id, OrderId::from_bytes([0; 16]));
        let same = move |(offer, _): &&(OfferId, OrderId)| *offer == id;
        self.offers.range(first..).take_while(same).map(|(_, order)| *order)
    }

    /// Orders that are ready and have neither driver nor offer, longest waiting first.
    pub fn waiting(&self) -> impl Iterator<Item = OrderId> + '_ {
        self.waiting.iter().map(|(_, id)| *id)
    }

    /// How many wait for a driver.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// Unpaid orders of a customer.
    pub fn pending_orders(&self, customer_id: UserId) -> u32 {
        self.customers.get(&customer_id).map_or(0, |open| open.unpaid)
    }

    /// Orders of a customer that are not over.
    pub fn open_orders(&self, customer_id: UserId) -> u32 {
        self.customers.get(&customer_id).map_or(0, |open| open.all)
    }

    /// What a customer was let go without having been charged yet, in minor units.
    pub fn deferred_minor(&self, customer_id: UserId) -> i64 {
        let deferred = |order: &&Order| is_deferred(order) && order.customer_id == customer_id;
        let orders = self.orders.values().filter(deferred);
        orders.map(|order| order.payment.amount_minor).sum()
    }

    /// How often a customer has used a promotion.
    pub fn promo_uses(&self, key: &(String, UserId)) -> u32 {
        self.promo_uses.get(key).copied().unwrap_or(0)
    }

    /// How often a promotion was used in all.
    pub fn promo_total(&self, code: &str) -> u32 {
        self.promo_totals.get(code).copied().unwrap_or(0)
    }

    /// What customers gave.
    pub fn stars(&self, whom: Rated) -> Stars {
        self.stars.get(&whom).copied().unwrap_or_default()
    }

    /// What goes along with cells that have left, by the number of the move.
    pub fn parcel(&self, move_id: u64) -> Option<&Parcel> {
        self.parcels.get(&move_id)
    }

    /// When a deadline comes, where it is set.
    pub fn deadline(&self, key: TimerKey) -> Option<UnixMs> {
        self.deadlines.get(&key).copied()
    }

    /// The next deadline that has come.
    pub fn due(&self, now: UnixMs) -> Option<TimerKey> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// When the next deadline or dispatch round comes.
    pub fn next_due(&self) -> Option<UnixMs> {
        let timer = self.due.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.dispatch_at).min()
    }

    /// When the next dispatch round comes.
    pub fn dispatch_at(&self) -> Option<UnixMs> {
        self.dispatch_at
    }

    /// Has the next dispatch round come now if any order waits.
    pub fn dispatch_waiting(&mut self, now: UnixMs) {
        if !self.waiting.is_empty() {
            self.dispatch_at = Some(now);
        }
    }

    /// Takes in rows, whether read at the start or just decided.
    pub fn apply(&mut self, changes: &Changes) {
        if !changes.restaurants.is_empty() {
            let rows = changes.restaurants.iter().map(|(id, row)| (*id, row.clone()));
            Arc::make_mut(&mut self.catalogue).restaurants.extend(rows);
        }
        if !changes.promotions.is_empty() {
            let rows = changes.promotions.iter().map(|(code, row)| (code.clone(), row.clone()));
            Arc::make_mut(&mut self.catalogue).promotions.extend(rows);
        }
        if let Some(region) = &changes.region {
            Arc::make_mut(&mut self.catalogue).region.clone_from(region);
        }
        if let Some(territory) = &changes.territory {
            Arc::make_mut(&mut self.catalogue).territory.clone_from(territory);
        }
        if let Some(control) = &changes.control {
            Arc::make_mut(&mut self.catalogue).control.clone_from(control);
        }
        for (id, parcel) in &changes.parcels {
            match parcel {
                Some(parcel) => self.parcels.insert(*id, parcel.clone()),
                None => self.parcels.remove(id),
            };
        }
        for (key, uses) in &changes.promo_uses {
            let before = match uses {
                0 => self.promo_uses.remove(key),
                _ => self.promo_uses.insert(key.clone(), *uses),
            }
            .unwrap_or(0);
            let total = self.promo_totals.entry(key.0.clone()).or_insert(0);
            *total = total.saturating_sub(before).saturating_add(*uses);
            if *total == 0 {
                self.promo_totals.remove(&key.0);
            }
        }
        self.stars
            .extend(changes.stars.iter().map(|(whom, stars)| (*whom, *stars)));
        self.stock.extend(changes.stock.iter().map(|(key, row)| (*key, *row)));
        self.drivers
            .extend(changes.drivers.iter().map(|(id, row)| (*id, row.clone())));
        for (key, reservation) in &changes.reservations {
            match reservation.state {
                ReservationState::Held | ReservationState::Consumed => self.reservations.insert(*key, *reservation),
                ReservationState::Released | ReservationState::Expired => self.reservations.remove(key),
            };
        }
        for order in changes.orders.values() {
            self.put_order(order.clone());
        }
        for (key, due_at) in &changes.timers {
            self.set_timer(*key, *due_at);
        }
        if let Some(dispatch_at) = changes.dispatch_at {
            self.dispatch_at = dispatch_at;
        }
    }

    /// Takes an order in for the next command only; [`City::forget_final`] drops it again if it is over.
    pub fn put_order(&mut self, order: Order) {
        self.unlink(order.id);
        if !order.state.is_final() {
            let open = self.customers.entry(order.customer_id).or_default();
            open.all += 1;
            open.unpaid += u32::from(order.state == OrderState::Pending);
        }
        if let Some(offer) = &order.delivery.offer {
            self.offers.insert((offer.id, order.id));
        }
        if order.state == OrderState::ReadyForPickup && order.delivery.state == DeliveryState::Searching {
            self.waiting
                .insert((order.ready_at.unwrap_or(order.placed_at), order.id));
        }
        self.orders.insert(order.id, order);
    }

    /// Drops an order that is over from memory; its row stays on disk. One whose food is on its way back stays.
    pub fn forget_final(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(&id).filter(|order| order.state.is_final()) else {
            return;
        };
        if order.delivery.state != DeliveryState::Returning && !is_deferred(order) {
            self.unlink(id);
            self.orders.remove(&id);
        }
        let spent: Vec<_> = self.reservations(id).map(|(key, _)| key).collect();
        for key in spent {
            self.reservations.remove(&key);
        }
    }

    fn unlink(&mut self, id: OrderId) {
        let Some(old) = self.orders.get(&id) else { return };
        if !old.state.is_final()
            && let Some(open) = self.customers.get_mut(&old.customer_id)
        {
            open.all -= 1;
            open.unpaid -= u32::from(old.state == OrderState::Pending);
            if open.all == 0 {
                self.customers.remove(&old.customer_id);
            }
        }
        if let Some(offer) = &old.delivery.offer {
            self.offers.remove(&(offer.id, id));
        }
        self.waiting.remove(&(old.ready_at.unwrap_or(old.placed_at), id));
    }

    fn set_timer(&mut self, key: TimerKey, due_at: Option<UnixMs>) {
        if let Some(old) = self.deadlines.remove(&key) {
            self.due.remove(&(old, key));
        }
        if let Some(at) = due_at {
            self.deadlines.insert(key, at);
            self.due.insert((at, key));
        }
    }
}
