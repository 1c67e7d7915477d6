//! From a snapshot of the region to what the planner is told.
//!
//! What cannot change any more is laid down as time that a driver is busy: food in the bag, an offer that is open, a pickup
//! of which a part is in the bag. What can change goes in as an order, with its driver's duty.

use std::collections::BTreeMap;

use tomato_shared::id::OrderId;
use tomato_shared::order::DeliveryState;
use tomato_shared::time::{DurationMs, UnixMs};

use super::Positions;
use super::history::History;
use super::plane::Plane;
use crate::engine::matching::{Config, Demand, Driver, Duty, Order, Point, Problem, Ready, Tentative, Travel};
use crate::engine::snapshot::{DriverSeen, OrderSeen, Snapshot};

/// What a customer has waited longer than this counts no more: it cannot be helped, and must not make leaving an order out
/// look cheap.
const WAITED_MAX: DurationMs = DurationMs::from_mins(90);
/// A shift without an end ends then.
const SHIFT_OPEN: DurationMs = DurationMs::from_mins(24 * 60);

/// What a problem is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The region as of one commit.
    pub snapshot: &'a Snapshot,
    /// Where drivers were last seen, and when.
    pub positions: &'a Positions,
    /// How old a position of somebody with nothing to do may be.
    pub position_age_max: DurationMs,
    /// What was learned.
    pub history: &'a History,
    /// The map.
    pub plane: Plane,
    /// Ways.
    pub travel: Travel,
    /// Who has so much cash takes no more cash orders; 0 for no limit.
    pub cash_max_minor: i64,
    /// The planner's settings.
    pub config: &'a Config,
    /// The region's time.
    pub now: UnixMs,
}

/// What a driver's trip ahead means for the plan.
enum Ahead<'a> {
    /// Nothing to fetch.
    Nothing,
    /// Can be changed.
    Open(Vec<&'a OrderSeen>),
    /// As it is.
    Fixed(Vec<&'a OrderSeen>),
}

impl Facts<'_> {
    /// The whole problem.
    pub fn problem(&self, tentative: Vec<Tentative>, demand: Vec<Demand>) -> Problem {
        let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
        for seen in &self.snapshot.orders {
            if seen.delivery == DeliveryState::Searching {
                orders.insert(seen.id, self.order(seen));
            }
        }
        let mut drivers = Vec::new();
        for seen in &self.snapshot.drivers {
            let Some(driver) = self.driver(seen) else { continue };
            if let Duty::Pickup {
                orders: held, sent_ms, ..
            } = &driver.duty
            {
                for order in held.iter().filter_map(|id| self.snapshot.order(*id)) {
                    let mut order = self.order(order);
                    // What was placed before the driver was sent has to count as that.
                    order.placed_ms = order.placed_ms.min(*sent_ms);
                    orders.insert(order.id, order);
                }
            }
            drivers.push(driver);
        }
        Problem {
            now_ms: self.now.0,
            orders: orders.into_values().collect(),
            drivers,
            tentative,
            demand,
            travel: self.travel.clone(),
        }
    }

    fn order(&self, seen: &OrderSeen) -> Order {
        let mut excluded = seen.excluded.clone();
        if seen.cash_minor > 0 && self.cash_max_minor > 0 {
            let full = |row: &&DriverSeen| row.cash_minor.saturating_add(seen.cash_minor) > self.cash_max_minor;
            excluded.extend(self.snapshot.drivers.iter().filter(full).map(|row| row.id));
        }
        Order {
            id: seen.id,
            restaurant: seen.restaurant_id,
            restaurant_at: self.plane.point(seen.restaurant_place),
            customer_at: self.plane.point(seen.door),
            placed_ms: seen.accepted_at.0.max(self.now.0 - WAITED_MAX.0),
            ready: self.ready(seen),
            excluded,
        }
    }

    fn ready(&self, seen: &OrderSeen) -> Ready {
        if seen.ready {
            Ready::At(seen.ready_at.0.min(self.now.0))
        } else {
            self.history
                .ready(seen.restaurant_id, seen.accepted_at, seen.ready_at, self.now)
        }
    }

    /// `None` for somebody of whom nobody knows where they are and who has nothing to do.
    fn driver(&self, seen: &DriverSeen) -> Option<Driver> {
        let bound: Vec<&OrderSeen> = seen
            .delivering
            .iter()
            .filter_map(|id| self.snapshot.order(*id))
            .collect();
        let idle = seen.delivering.is_empty() && seen.offered.is_empty();
        let since = self.now + DurationMs(-self.position_age_max.0);
        let known = self.positions.get(&seen.id).filter(|(_, at)| !idle || *at >= since);
        // Who is bound and silent is taken to be where they are to be next.
        let next = bound.first().map(|order| order.restaurant_place);
        let mut at = self.plane.point(known.map(|(place, _)| *place).or(next)?);
        let mut free_ms = self.now.0;
        let ahead = self.ahead(seen, &bound);
        for order in bound.iter().filter(|order| is_in_bag(order) && !ahead.has(order)) {
            free_ms = self.after_door(free_ms, &mut at, order);
        }
        let duty = match ahead {
            Ahead::Nothing => Duty::None,
            Ahead::Fixed(orders) => {
                free_ms = self.after_trip(free_ms, &mut at, &orders);
                Duty::None
            }
            Ahead::Open(orders) => {
                let arrive_ms = self.arrival(free_ms, at, &orders);
                at = orders
                    .first()
                    .map_or(at, |order| self.plane.point(order.restaurant_place));
                free_ms = arrive_ms;
                self.pickup(&orders, arrive_ms)
            }
        };
        Some(Driver {
            id: seen.id,
            at,
            free_ms,
            shift_end_ms: seen.shift_ends_at.unwrap_or(self.now + SHIFT_OPEN).0,
            duty,
            refusal_permille: seen.refusal_permille,
        })
    }

    fn pickup(&self, orders: &[&OrderSeen], arrive_ms: i64) -> Duty {
        let Some(first) = orders.first() else { return Duty::None };
        Duty::Pickup {
            restaurant: first.restaurant_id,
            sent_ms: orders
                .iter()
                .map(|order| order.assigned_at.0)
                .min()
                .unwrap_or(self.now.0),
            arrive_ms,
            orders: orders.iter().map(|order| order.id).collect(),
        }
    }

    fn ahead<'a>(&'a self, seen: &DriverSeen, bound: &[&'a OrderSeen]) -> Ahead<'a> {
        // What is still to be fetched always is of the newest trip.
        let trip = bound.iter().find(|order| is_ahead(order)).map(|order| order.trip);
        let of_it = bound.iter().filter(|order| Some(order.trip) == trip);
        let mut ahead: Vec<&OrderSeen> = of_it.copied().collect();
        let kitchen = ahead.first().map(|order| order.restaurant_id);
        let two = ahead.iter().any(|order| Some(order.restaurant_id) != kitchen);
        let begun = ahead.iter().any(|order| is_in_bag(order));
        let fixed = two || begun || !seen.offered.is_empty();
        ahead.extend(seen.offered.iter().filter_map(|id| self.snapshot.order(*id)));
        match (ahead.is_empty(), fixed) {
            (true, _) => Ahead::Nothing,
            (false, true) => Ahead::Fixed(ahead),
            (false, false) => Ahead::Open(ahead),
        }
    }

    /// At the restaurant of the first of `orders`.
    fn arrival(&self, leave_ms: i64, at: Point, orders: &[&OrderSeen]) -> i64 {
        let there = |order: &&OrderSeen| order.delivery == DeliveryState::AtRestaurant;
        if orders.iter().any(there) {
            return self.now.0 - self.config.pickup_before_ms;
        }
        let restaurant = orders
            .first()
            .map_or(at, |order| self.plane.point(order.restaurant_place));
        leave_ms + self.travel.ms(at, restaurant, self.now.0)
    }

    /// When a trip that stays as it is will be over, leaving the driver at its last door.
    fn after_trip(&self, leave_ms: i64, at: &mut Point, orders: &[&OrderSeen]) -> i64 {
        let mut to_fetch: Vec<&OrderSeen> = orders.iter().filter(|order| !is_in_bag(order)).copied().collect();
        let mut free_ms = leave_ms;
        while let Some(first) = to_fetch.first().copied() {
            let here = |order: &&OrderSeen| order.restaurant_id == first.restaurant_id;
            let (of_it, others) = to_fetch.into_iter().partition::<Vec<_>, _>(here);
            free_ms = self.after_pickup(free_ms, at, &of_it);
            to_fetch = others;
        }
        for order in orders {
            free_ms = self.after_door(free_ms, at, order);
        }
        free_ms
    }

    /// When all of one restaurant will be fetched, leaving the driver there.
    fn after_pickup(&self, leave_ms: i64, at: &mut Point, orders: &[&OrderSeen]) -> i64 {
        let arrive_ms = self.arrival(leave_ms, *at, orders);
        let ready_ms = orders.iter().map(|order| match self.ready(order) {
            Ready::At(ms) => ms,
            Ready::Likely(moments) => moments.get(moments.len() / 2).copied().unwrap_or(self.now.0),
        });
        let picked_up_ms = ready_ms.fold(arrive_ms + self.config.pickup_before_ms, i64::max);
        *at = orders
            .first()
            .map_or(*at, |order| self.plane.point(order.restaurant_place));
        picked_up_ms.max(self.now.0) + self.config.pickup_after_ms
    }

    /// When the order will be handed over, or back.
    fn after_door(&self, leave_ms: i64, at: &mut Point, order: &OrderSeen) -> i64 {
        let to = if order.delivery == DeliveryState::Returning {
            order.restaurant_place
        } else {
            order.door
        };
        let from = std::mem::replace(at, self.plane.point(to));
        let service_ms = self.config.dropoff_before_ms + self.config.dropoff_after_ms;
        leave_ms + self.travel.ms(from, *at, self.now.0) + service_ms
    }
}

impl Ahead<'_> {
    fn has(&self, order: &OrderSeen) -> bool {
        match self {
            Ahead::Nothing => false,
            Ahead::Open(orders) | Ahead::Fixed(orders) => orders.iter().any(|other| other.id == order.id),
        }
    }
}

fn is_ahead(order: &OrderSeen) -> bool {
    matches!(order.delivery, DeliveryState::Assigned | DeliveryState::AtRestaurant)
}

fn is_in_bag(order: &OrderSeen) -> bool {
    matches!(order.delivery, DeliveryState::PickedUp | DeliveryState::Returning)
}
