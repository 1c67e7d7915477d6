//! The invariants, looked at after every step of a walk. Each is named as in the list of invariants.

use std::collections::{BTreeMap, BTreeSet};

use tomato_shared::id::{ItemId, OfferId, OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::super::world::{World, customer, driver};
use super::assert_same_city;
use super::ledger::Ledger;
use super::money::Books;
use crate::engine::city::City;
use crate::engine::command::Command;
use crate::engine::draft::Changes;
use crate::engine::model::{
    Driver, ORDERS_MAX, Order, PaymentState, RefundState, Reservation, ReservationKey, ReservationState, TipState,
};
use crate::engine::policy::DispatchKind;
use crate::engine::task::TaskKind;
use crate::engine::timer::TimerKey;

#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Version and state of each order, from its events alone.
    folded: BTreeMap<OrderId, (u32, OrderState)>,
    reservations: BTreeMap<ReservationKey, Reservation>,
    offers: BTreeSet<OfferId>,
    books: Books,
    rows: Changes,
}

impl Audit {
    pub(super) fn step(&mut self, world: &World, command: &Command) {
        self.events(world, command);
        self.stock(world);
        for order in world.last.orders.values() {
            self.offers.extend(order.delivery.offer.map(|offer| offer.id));
            Self::order(world, order);
        }
        drivers(world, command);
        self.books.step(world, command);
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
                (None, S::Consumed) if world.order(key.order_id).state == OrderState::Preparing => {}
                (None | Some(S::Held), S::Consumed) => assert!(world.now < row.expires_at, "{key:?} consumed too late"),
                (None | Some(S::Held), S::Held) => assert!(world.now < row.expires_at),
                (Some(S::Held), S::Released | S::Expired) | (Some(S::Consumed), S::Released) => {}
                // What takes the place of something that ran out is sold at once.
                (Some(S::Consumed), S::Consumed) => {}
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

    fn order(world: &World, order: &Order) {
        let (id, payment, delivery) = (order.id, &order.payment, &order.delivery);
        calls(world, order);
        deadlines(world, order);
        assert_eq!(
            delivery.offer.is_some(),
            delivery.state == DeliveryState::Offered,
            "{id}"
        );
        assert_eq!(order.ended_at.is_some(), order.state.is_final(), "{id}");
        let settled = delivery.state.is_final() || delivery.state == DeliveryState::Returning;
        assert_eq!(settled, order.state.is_final(), "{id}");
        // I13.
        assert!(
            delivery.cancellations <= world.policy.dispatch.cancellations_max,
            "{id}"
        );
        assert!(order.declined_by.len() <= world.policy.restaurants_asked_max, "{id}");
        // I18: nobody cooks what is not paid for; what the provider refuses later is on its way already.
        let paid = [PaymentState::Capturing, PaymentState::Captured, PaymentState::CashDue];
        let late = order.state == OrderState::OutForDelivery && payment.state == PaymentState::Declined;
        let with_food = [
            OrderState::Preparing,
            OrderState::ReadyForPickup,
            OrderState::OutForDelivery,
        ];
        if with_food.contains(&order.state) {
            assert!(late || paid.contains(&payment.state), "{id}: {:?}", payment.state);
            // I12: whoever is waited for has said when.
            assert!(order.ready_at.is_some(), "{id}");
        }
        assert!(order.change.is_none() || order.state == OrderState::Preparing, "{id}");
        assert!(
            order.release_at.is_none() || order.state == OrderState::Confirmed,
            "{id}"
        );
        assert!(order.rating.is_none() || order.state == OrderState::Delivered, "{id}");
        assert!(delivery.pin_tries <= 5, "{id}");
        // Lists within a row are bounded by the drivers there are.
        let (excluded, declined) = (&delivery.excluded, &delivery.declined);
        assert!(
            excluded.len() <= 3 && declined.len() <= 5,
            "{id}: {excluded:?} {declined:?}"
        );
        let asked = delivery.offer.map(|offer| offer.driver_id);
        assert!(asked.is_none_or(|who| !excluded.contains(&who)), "{id}: asked again");
    }

    /// What the city derives from its orders.
    fn indexes(&self, world: &World, command: &Command) {
        let open = || world.disk.orders.values().filter(|order| !order.state.is_final());
        assert_eq!(
            world.city.orders_open(),
            world.disk.orders.values().filter(|order| in_memory(order)).count()
        );
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
        let plans = world.policy.dispatch.kind == DispatchKind::Matching;
        assert!(
            waiting.is_empty() || round || plans,
            "{command:?}: nobody looks for drivers"
        );
        let offers: BTreeSet<_> = open()
            .filter_map(|order| Some((order.delivery.offer?.id, order.id)))
            .collect();
        for offer in &self.offers {
            let of_it = offers.iter().filter(|(id, _)| id == offer).map(|(_, order)| *order);
            assert!(world.city.orders_of_offer(*offer).eq(of_it));
        }
        for n in 1..=4 {
            let who = customer(n);
            let unpaid = open()
                .filter(|order| order.customer_id == who && order.state == OrderState::Pending)
                .count();
            assert_eq!(world.city.pending_orders(who) as usize, unpaid);
            assert!(unpaid <= world.policy.pending_orders_max as usize);
            let all = open().filter(|order| order.customer_id == who).count();
            assert_eq!(world.city.open_orders(who) as usize, all);
            assert!(all <= world.policy.open_orders_max as usize);
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
        self.rows
            .promotions
            .extend(last.promotions.iter().map(|(code, row)| (code.clone(), row.clone())));
        self.rows
            .promo_uses
            .extend(last.promo_uses.iter().map(|(key, uses)| (key.clone(), *uses)));
        self.rows.stars.extend(&last.stars);
        if last.region.is_some() {
            self.rows.region.clone_from(&last.region);
        }
    }

    /// After everybody has finished: nothing open, nothing held, nobody bound.
    pub(super) fn quiescent(&self, world: &World, ledger: &Ledger) {
        assert!(world.disk.tasks.is_empty(), "{:?}", world.disk.tasks);
        assert!(world.disk.timers.is_empty(), "{:?}", world.disk.timers);
        let over = |order: &Order| order.state.is_final() && order.delivery.state.is_final();
        assert!(world.disk.orders.values().all(over));
        assert!(world.disk.stock.values().all(|stock| stock.reserved == 0));
        let free = |n| {
            world
                .city
                .driver(driver(n))
                .is_some_and(|row| row.offered.is_empty() && row.delivering.is_empty() && row.shift.is_none())
        };
        assert!((1..=5).all(free));
        assert_eq!(world.city.orders_open(), 0);
        self.books.quiescent(world, ledger);
    }

    /// Memory is what the rows say, read anew: indexes, deadlines and all.
    pub(super) fn reload(&self, world: &mut World) {
        let open = |id: &OrderId| self.rows.orders.get(id).is_some_and(|order| !order.state.is_final());
        let kept = |id: &OrderId| self.rows.orders.get(id).is_some_and(in_memory);
        let mut rows = Changes::default();
        rows.restaurants.clone_from(&self.rows.restaurants);
        rows.stock.clone_from(&self.rows.stock);
        rows.drivers.clone_from(&self.rows.drivers);
        rows.timers.clone_from(&self.rows.timers);
        rows.orders = self.rows.orders.clone();
        rows.orders.retain(|id, _| kept(id));
        rows.promotions.clone_from(&self.rows.promotions);
        rows.promo_uses.clone_from(&self.rows.promo_uses);
        rows.stars.clone_from(&self.rows.stars);
        rows.region.clone_from(&self.rows.region);
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

/// Whether an order stays in memory: it is not over, or its food is with a driver still.
fn in_memory(order: &Order) -> bool {
    !order.state.is_final() || order.delivery.state == DeliveryState::Returning
}

/// The open calls are those that the payment waits for.
fn calls(world: &World, order: &Order) {
    let (id, payment) = (order.id, &order.payment);
    let found: BTreeSet<_> = world
        .disk
        .tasks
        .keys()
        .filter(|key| key.order_id == id)
        .map(|key| (key.kind, key.nth))
        .collect();
    let mut asked = BTreeSet::new();
    let calls = [
        (PaymentState::Authorising, TaskKind::Authorise),
        (PaymentState::Capturing, TaskKind::Capture),
        (PaymentState::Voiding, TaskKind::Void),
    ];
    for (state, kind) in calls {
        asked.extend((payment.state == state).then_some((kind, 0)));
    }
    for (nth, refund) in (0..).zip(&payment.refunds) {
        asked.extend((refund.state == RefundState::Asked).then_some((TaskKind::Refund, nth)));
    }
    for (nth, tip) in (0..).zip(&payment.tips) {
        asked.extend((tip.state == TipState::Asked).then_some((TaskKind::Tip, nth)));
    }
    assert_eq!(found, asked, "{id}: {payment:?}");
}

/// Exactly the deadlines that the order's state calls for.
fn deadlines(world: &World, order: &Order) {
    let (id, policy) = (order.id, &world.policy);
    let found = |key| world.disk.timers.get(&key).copied();
    let exactly = |key, expected: Option<UnixMs>| assert_eq!(found(key), expected, "{key:?}");
    // A call for help comes once: its deadline may have passed.
    let once = |key, expected: Option<UnixMs>| match (found(key), expected) {
        (None, Some(at)) => assert!(at <= world.now, "{key:?} at {at} is missing"),
        (found, expected) => assert_eq!(found, expected, "{key:?}"),
    };
    let (state, driven) = (order.state, order.delivery.state.has_driver());
    let hold = found(TimerKey::HoldExpiry(id));
    assert_eq!(hold.is_some(), state == OrderState::Pending, "{id}");
    let asked = order
        .accept_by
        .filter(|_| state == OrderState::Confirmed && order.release_at.is_none());
    exactly(TimerKey::AcceptBy(id), asked);
    assert_eq!(
        asked.is_some() || order.release_at.is_some(),
        state == OrderState::Confirmed,
        "{id}: waits for nobody"
    );
    let escalate = asked.map(|by| UnixMs(by.0 - policy.accept_within.0) + policy.escalate_after);
    once(TimerKey::Escalate(id), escalate);
    exactly(TimerKey::Release(id), order.release_at);
    exactly(
        TimerKey::ChangeExpiry(id),
        order.change.as_ref().map(|change| change.expires_at),
    );
    exactly(
        TimerKey::OfferExpiry(id),
        order.delivery.offer.map(|offer| offer.expires_at),
    );
    let cooking = matches!(state, OrderState::Preparing | OrderState::ReadyForPickup);
    let on_its_way = state == OrderState::OutForDelivery;
    let ready_at = order.ready_at.filter(|_| cooking);
    let promised = ready_at.or(on_its_way.then_some(order.estimated_delivery_at));
    let returning = order.delivery.state == DeliveryState::Returning;
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let back_by = order
        .ended_at
        .filter(|_| returning)
        .map(|at| at + crate::engine::quote::way(way_m, policy));
    once(
        TimerKey::Overdue(id),
        promised.or(back_by).map(|at| at + policy.overdue_after),
    );
    assert_eq!(
        found(TimerKey::SearchEnds(id)).is_some(),
        state == OrderState::ReadyForPickup && !driven,
        "{id}"
    );
    let rated = found(TimerKey::RatingRequest(id));
    assert!(
        rated.is_none() || state == OrderState::Delivered && order.rating.is_none(),
        "{id}"
    );
}

/// Drivers and orders say the same of each other, and nobody has too many orders.
fn drivers(world: &World, command: &Command) {
    let open = || world.disk.orders.values().filter(|order| in_memory(order));
    for driver in world.city.drivers() {
        shift(world, driver);
        let bound: Vec<_> = open()
            .filter(|order| order.delivery.driver_id == Some(driver.id) && order.delivery.state.has_driver())
            .map(|order| order.id)
            .collect();
        let offered: Vec<_> = open()
            .filter(|order| order.delivery.offer.is_some_and(|offer| offer.driver_id == driver.id))
            .map(|order| order.id)
            .collect();
        let sorted = |ids: &[OrderId]| {
            let mut ids = ids.to_vec();
            ids.sort();
            ids
        };
        assert_eq!(bound, sorted(&driver.delivering), "{}", driver.id);
        assert_eq!(offered, sorted(&driver.offered), "{}", driver.id);
        assert!(bound.len() + offered.len() <= ORDERS_MAX, "{}", driver.id);
        assert!(driver.online || bound.len() + offered.len() == 0, "{}", driver.id);
        let one_offer = open().filter(|order| offered.contains(&order.id));
        let ids: BTreeSet<_> = one_offer.filter_map(|order| Some(order.delivery.offer?.id)).collect();
        assert!(ids.len() <= 1, "{}: asked twice at a time", driver.id);
    }
    let asked = |order: &Order| {
        let offer = order.delivery.offer.map(|offer| offer.driver_id);
        offer.or(order.delivery.driver_id.filter(|_| order.delivery.state.has_driver()))
    };
    if matches!(command, Command::Dispatch(_)) {
        for who in world.last.orders.values().filter_map(asked) {
            let row = world.city.driver(who).unwrap();
            assert!(row.online && !row.shift_is_over(world.now), "{who}: asked after work");
        }
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

/// A shift is on while the driver is, and ends by itself once nothing is carried.
fn shift(world: &World, driver: &Driver) {
    let id = driver.id;
    assert_eq!(driver.shift.is_some(), driver.online, "{id}");
    let ends_at = driver.shift.and_then(|shift| shift.ends_at);
    match (world.disk.timers.get(&TimerKey::ShiftEnds(id)), ends_at) {
        (None, Some(at)) => assert!(at <= world.now && !driver.delivering.is_empty(), "{id}: works on"),
        (found, expected) => assert_eq!(found.copied(), expected, "{id}"),
    }
}
