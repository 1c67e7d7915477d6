//! The invariants, looked at after every step of a walk. Each is named as in the list of invariants.

use std::collections::{BTreeMap, BTreeSet};

use tomato_shared::id::{ItemId, OfferId, OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};

use super::super::world::{World, customer, driver};
use super::assert_same_city;
use crate::engine::city::City;
use crate::engine::command::Command;
use crate::engine::draft::Changes;
use crate::engine::model::{Order, PaymentState, Reservation, ReservationKey, ReservationState};
use crate::engine::payment::TaskKind;
use crate::engine::timer::TimerKey;

#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Version and state of each order, from its events alone.
    folded: BTreeMap<OrderId, (u32, OrderState)>,
    reservations: BTreeMap<ReservationKey, Reservation>,
    offers: BTreeSet<OfferId>,
    rows: Changes,
}

impl Audit {
    pub(super) fn step(&mut self, world: &World, command: &Command) {
        self.events(world, command);
        self.stock(world);
        for order in world.last.orders.values() {
            self.offers.extend(order.delivery.offer.map(|offer| offer.id));
            self.order(world, order);
        }
        drivers(world);
        self.indexes(world, command);
        self.remember(&world.last);
    }

    /// I9: versions 1 to n without gaps, a path of the table, and the fold of the events is the row.
    fn events(&mut self, world: &World, command: &Command) {
        for new in &world.last.events {
            let Some((id, version)) = new.order else { continue };
            let folded = self.folded.entry(id).or_insert((0, OrderState::Pending));
            assert_eq!(version, folded.0 + 1, "{command:?}: {:?}", new.event);
            folded.0 = version;
            if let Some(step) = new.event.step() {
                let next = folded.1.step(step);
                folded.1 = next.unwrap_or_else(|| panic!("{command:?}: {:?} in {:?}", new.event, folded.1));
            }
        }
        for order in world.last.orders.values() {
            assert_eq!(
                self.folded.get(&order.id),
                Some(&(order.version, order.state)),
                "{command:?}"
            );
        }
    }

    /// I10 and I11.
    fn stock(&mut self, world: &World) {
        if world.last.stock.is_empty() && world.last.reservations.is_empty() {
            return;
        }
        for (key, row) in &world.last.reservations {
            use ReservationState as S;
            let before = self.reservations.insert(*key, *row).map(|row| row.state);
            match (before, row.state) {
                (None | Some(S::Held), S::Consumed) => assert!(world.now < row.expires_at, "{key:?} consumed too late"),
                (None | Some(S::Held), S::Held) => assert!(world.now < row.expires_at),
                (Some(S::Held), S::Released | S::Expired) | (Some(S::Consumed), S::Released) => {}
                other => panic!("{key:?}: {other:?}"),
            }
        }
        let mut sums: BTreeMap<(RestaurantId, ItemId), (u32, u32)> = BTreeMap::new();
        for (key, row) in &world.disk.reservations {
            let sum = sums.entry((key.restaurant_id, key.item_id)).or_default();
            match row.state {
                ReservationState::Held => {
                    assert_eq!(world.order(key.order_id).state, OrderState::Pending, "{key:?} is held");
                    sum.0 += row.quantity;
                }
                ReservationState::Consumed => sum.1 += row.quantity,
                ReservationState::Released | ReservationState::Expired => {}
            }
        }
        for (key, stock) in &world.disk.stock {
            assert_eq!(
                (stock.reserved, stock.sold),
                sums.get(key).copied().unwrap_or_default(),
                "{key:?}"
            );
            assert!(stock.reserved + stock.sold <= stock.capacity, "{key:?}: {stock:?}");
        }
    }

    /// Exactly the deadlines that the order's state calls for.
    fn deadlines(world: &World, order: &Order) {
        let id = order.id;
        let timer = |key| world.disk.timers.contains_key(&key);
        assert_eq!(
            timer(TimerKey::HoldExpiry(id)),
            order.state == OrderState::Pending,
            "{id}"
        );
        assert_eq!(
            timer(TimerKey::AcceptBy(id)),
            order.state == OrderState::Confirmed,
            "{id}"
        );
        assert_eq!(
            timer(TimerKey::SearchEnds(id)),
            order.state == OrderState::ReadyForPickup && !order.delivery.state.has_driver(),
            "{id}"
        );
        assert_eq!(timer(TimerKey::OfferExpiry(id)), order.delivery.offer.is_some(), "{id}");
        assert!(
            !timer(TimerKey::RatingRequest(id)) || order.state == OrderState::Delivered,
            "{id}"
        );
    }

    fn order(&self, world: &World, order: &Order) {
        let id = order.id;
        let tasks: Vec<_> = world
            .disk
            .tasks
            .keys()
            .filter(|key| key.order_id == id)
            .map(|key| key.kind)
            .collect();
        let asked = match order.payment.state {
            PaymentState::Authorising => vec![TaskKind::Authorise],
            PaymentState::Capturing => vec![TaskKind::Capture],
            PaymentState::Voiding => vec![TaskKind::Void],
            PaymentState::Refunding => vec![TaskKind::Refund],
            PaymentState::Authorised
            | PaymentState::Captured
            | PaymentState::Voided
            | PaymentState::Refunded
            | PaymentState::Declined
            | PaymentState::CashDue
            | PaymentState::CashTaken
            | PaymentState::CashWaived => vec![],
        };
        assert_eq!(tasks, asked, "{id}: one open call, the one that its payment waits for");
        Self::deadlines(world, order);
        assert_eq!(
            order.delivery.offer.is_some(),
            order.delivery.state == DeliveryState::Offered,
            "{id}"
        );
        assert_eq!(order.ended_at.is_some(), order.state.is_final(), "{id}");
        assert_eq!(order.delivery.state.is_final(), order.state.is_final(), "{id}");
        // I13.
        assert!(
            order.delivery.cancellations <= world.policy.dispatch.cancellations_max,
            "{id}"
        );
        assert!(order.declined_by.len() <= world.policy.restaurants_asked_max, "{id}");
        // I18: nobody cooks what is not paid for.
        if matches!(
            order.state,
            OrderState::Preparing | OrderState::ReadyForPickup | OrderState::OutForDelivery
        ) {
            let paid = [PaymentState::Capturing, PaymentState::Captured, PaymentState::CashDue];
            assert!(paid.contains(&order.payment.state), "{id}: {:?}", order.payment.state);
            // I12: whoever is waited for has said when.
            assert!(order.ready_at.is_some(), "{id}");
        }
        // Lists within a row are bounded by the drivers there are.
        let (excluded, declined) = (&order.delivery.excluded, &order.delivery.declined);
        assert!(
            excluded.len() <= 3 && declined.len() <= 5,
            "{id}: {excluded:?} {declined:?}"
        );
        assert!(
            order.delivery.driver_id.is_none_or(|who| !excluded.contains(&who)),
            "{id}: asked again"
        );
    }

    /// What the city derives from its orders.
    fn indexes(&self, world: &World, command: &Command) {
        let open = || world.disk.orders.values().filter(|order| !order.state.is_final());
        assert_eq!(world.city.orders_open(), open().count());
        let mut waiting: Vec<_> = open()
            .filter(|order| {
                order.state == OrderState::ReadyForPickup && order.delivery.state == DeliveryState::Searching
            })
            .map(|order| (order.ready_at, order.id))
            .collect();
        waiting.sort();
        assert!(world.city.waiting().eq(waiting.iter().map(|(_, id)| *id)));
        // I12: what waits is looked at again.
        let soon = world.now + world.policy.dispatch.retry;
        let round = world.city.dispatch_at().is_some_and(|at| at <= soon);
        assert!(waiting.is_empty() || round, "{command:?}: nobody looks for drivers");
        let offers: BTreeMap<_, _> = open()
            .filter_map(|order| Some((order.delivery.offer?.id, order.id)))
            .collect();
        for offer in &self.offers {
            assert_eq!(world.city.order_of_offer(*offer), offers.get(offer).copied());
        }
        for n in 1..=4 {
            let who = customer(n);
            let unpaid = open()
                .filter(|order| order.customer_id == who && order.state == OrderState::Pending)
                .count();
            assert_eq!(world.city.pending_orders(who) as usize, unpaid);
            assert!(unpaid <= world.policy.pending_orders_max as usize);
        }
    }

    fn remember(&mut self, last: &Changes) {
        self.rows
            .orders
            .extend(last.orders.iter().map(|(id, row)| (*id, row.clone())));
        self.rows
            .restaurants
            .extend(last.restaurants.iter().map(|(id, row)| (*id, row.clone())));
        self.rows.stock.extend(&last.stock);
        self.rows.reservations.extend(&last.reservations);
        self.rows
            .drivers
            .extend(last.drivers.iter().map(|(id, row)| (*id, row.clone())));
        self.rows.timers.extend(&last.timers);
    }

    /// After everybody has finished: nothing open, nothing held, nobody bound.
    pub(super) fn quiescent(&self, world: &World) {
        assert!(
            world.disk.tasks.is_empty() && world.disk.timers.is_empty(),
            "{:?}",
            world.disk.timers
        );
        assert!(world.disk.orders.values().all(|order| order.state.is_final()));
        assert!(world.disk.stock.values().all(|stock| stock.reserved == 0));
        let free = |n| {
            world
                .city
                .driver(driver(n))
                .is_some_and(|row| row.offered.is_none() && row.delivering.is_none())
        };
        assert!((1..=5).all(free));
    }

    /// Memory is what the rows say, read anew: indexes, deadlines and all.
    pub(super) fn reload(&self, world: &mut World) {
        let open = |id: &OrderId| self.rows.orders.get(id).is_some_and(|order| !order.state.is_final());
        let mut rows = Changes::default();
        rows.restaurants.clone_from(&self.rows.restaurants);
        rows.stock.clone_from(&self.rows.stock);
        rows.drivers.clone_from(&self.rows.drivers);
        rows.timers.clone_from(&self.rows.timers);
        rows.orders = self.rows.orders.clone();
        rows.orders.retain(|id, _| open(id));
        rows.reservations = self.rows.reservations.clone();
        rows.reservations.retain(|key, _| open(&key.order_id));
        let mut rebuilt = City::default();
        rebuilt.apply(&rows);
        let round = world.city.dispatch_at();
        assert_same_city(&mut world.city, &mut rebuilt);
        world.city.apply(&Changes {
            dispatch_at: Some(round),
            ..Changes::default()
        });
    }
}

/// Drivers and orders say the same of each other, and nobody has two orders.
fn drivers(world: &World) {
    let open = || world.disk.orders.values().filter(|order| !order.state.is_final());
    for driver in world.city.drivers() {
        let bound: Vec<_> = open()
            .filter(|order| order.delivery.driver_id == Some(driver.id) && order.delivery.state.has_driver())
            .map(|order| order.id)
            .collect();
        let offered: Vec<_> = open()
            .filter(|order| order.delivery.offer.is_some_and(|offer| offer.driver_id == driver.id))
            .map(|order| order.id)
            .collect();
        assert_eq!(
            bound,
            driver.delivering.into_iter().collect::<Vec<_>>(),
            "{}",
            driver.id
        );
        assert_eq!(offered, driver.offered.into_iter().collect::<Vec<_>>(), "{}", driver.id);
        assert!(bound.len() + offered.len() <= 1, "{}", driver.id);
        assert!(
            driver.online || driver.is_free() || bound.len() + offered.len() == 0,
            "{}",
            driver.id
        );
    }
    for order in open().filter(|order| order.delivery.state.has_driver()) {
        assert!(
            order
                .delivery
                .driver_id
                .is_some_and(|id| world.city.driver(id).is_some()),
            "{}",
            order.id
        );
    }
}
