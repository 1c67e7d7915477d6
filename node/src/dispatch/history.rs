//! What the region's own past teaches: how long kitchens take against what they promise, how fast drivers get on, and where
//! orders come from. It follows from the rows of orders, so a restart learns it again; nothing of it is stored twice.

use std::collections::{BTreeMap, VecDeque};

use tomato_shared::cell::LatLng;
use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::{DurationMs, UnixMs};

use super::plane::Plane;
use crate::engine::matching::{Demand, LearnedSpeeds, Point, PrepModel, PrepPrior, Ready};
use crate::engine::model::Order;

/// How long after it was accepted an order teaches how long it took: taught at once, the quick ones would come first.
const TEACH_AFTER: DurationMs = DurationMs::from_mins(45);
/// Ways that are shorter, or quicker, say more about stairs than about streets.
const WAY_MIN_M: f64 = 300.0;
const WAY_MIN: DurationMs = DurationMs::from_secs(45);
/// A way that took longer was interrupted.
const WAY_MAX: DurationMs = DurationMs::from_mins(90);
/// Sides of the squares in which speeds are learned, and demand.
const SPEED_CELL_M: f64 = 2_000.0;
const DEMAND_CELL_M: f64 = 1_500.0;
/// How many trips what was configured counts as.
const PRIOR_TRIPS: f64 = 20.0;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A kitchen's work on one order.
#[derive(Debug, Clone, Copy)]
struct Cooked {
    restaurant_id: RestaurantId,
    accepted_at: UnixMs,
    promised_at: UnixMs,
    ready_at: UnixMs,
}

/// Everything that was learned.
#[derive(Debug)]
pub struct History {
    plane: Plane,
    /// From reaching a door to the hand-over, and from there on.
    dropoff: DurationMs,
    prep: PrepModel,
    speeds: LearnedSpeeds,
    /// Orders of a square and hour of the day.
    demand: BTreeMap<(i64, i64, i64), f64>,
    since: Option<UnixMs>,
    untaught: VecDeque<Cooked>,
    /// Where a driver last fetched something or handed it over, and when.
    last_stop: BTreeMap<DriverId, (UnixMs, LatLng)>,
}

impl History {
    /// Nothing learned yet. `speed_m_per_min`: of the straight line, until streets say otherwise; `dropoff`: what a hand-over at
    /// a door takes in all.
    pub fn new(plane: Plane, speed_m_per_min: f64, dropoff: DurationMs) -> Self {
        Self {
            plane,
            dropoff,
            prep: PrepModel::new(PrepPrior::default()),
            speeds: LearnedSpeeds::new(SPEED_CELL_M, speed_m_per_min, PRIOR_TRIPS),
            demand: BTreeMap::new(),
            since: None,
            untaught: VecDeque::new(),
            last_stop: BTreeMap::new(),
        }
    }

    /// Takes in orders that are over, in any order.
    pub fn recall(&mut self, mut orders: Vec<Order>, now: UnixMs) {
        orders.retain(|order| order.accepted_at.is_some());
        orders.sort_by_key(|order| (order.ended_at, order.id));
        let mut stops: Vec<(UnixMs, bool, &Order)> = Vec::new();
        for order in &orders {
            self.accepted(order);
            // Before the food was picked up nothing but `ready_at` told; an order that was never ready has none that counts.
            if let Some(at) = order.delivery.picked_up_at {
                self.cooked(order);
                stops.push((at, false, order));
            }
            if let Some(at) = order.ended_at.filter(|_| order.state == OrderState::Delivered) {
                stops.push((at, true, order));
            }
        }
        stops.sort_by_key(|(at, door, order)| (*at, *door, order.id));
        for (_, door, order) in stops {
            if door {
                self.handed_over(order);
            } else {
                self.picked_up(order);
            }
        }
        self.teach(now);
    }

    /// Takes in what has just happened to an order.
    pub fn hear(&mut self, event: &Event, order: &Order, now: UnixMs) {
        if matches!(event, Event::OrderPreparing { .. }) {
            self.accepted(order);
        } else if matches!(event, Event::OrderReady { .. }) {
            self.cooked(order);
        } else if matches!(event, Event::OrderPickedUp { .. }) {
            self.picked_up(order);
        } else if matches!(event, Event::OrderDelivered { .. }) {
            self.handed_over(order);
        }
        self.teach(now);
    }

    fn accepted(&mut self, order: &Order) {
        let Some(at) = order.accepted_at else { return };
        let place = self.plane.point(order.restaurant_place);
        *self.demand.entry(square(place, at)).or_insert(0.0) += 1.0;
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }

    fn cooked(&mut self, order: &Order) {
        if let (Some(accepted_at), Some(promised_at), Some(ready_at)) =
            (order.accepted_at, order.promised_at, order.ready_at)
        {
            self.untaught.push_back(Cooked {
                restaurant_id: order.restaurant_id,
                accepted_at,
                promised_at,
                ready_at,
            });
        }
    }

    fn teach(&mut self, now: UnixMs) {
        while let Some(cooked) = self.untaught.front().copied()
            && cooked.accepted_at + TEACH_AFTER <= now
        {
            self.untaught.pop_front();
            let promised_ms = (cooked.promised_at - cooked.accepted_at).0;
            self.prep.observe(
                cooked.restaurant_id,
                cooked.accepted_at.0,
                promised_ms,
                cooked.ready_at.0,
            );
        }
    }

    fn picked_up(&mut self, order: &Order) {
        if let (Some(driver_id), Some(at)) = (order.delivery.driver_id, order.delivery.picked_up_at) {
            self.last_stop.insert(driver_id, (at, order.restaurant_place));
        }
    }

    /// The way to this door: from the restaurant, or from where the driver was after that, another restaurant or door.
    fn handed_over(&mut self, order: &Order) {
        let (Some(driver_id), Some(left_at), Some(ended_at)) =
            (order.delivery.driver_id, order.delivery.picked_up_at, order.ended_at)
        else {
            return;
        };
        let door = order.deliver_to.place;
        let before = self.last_stop.insert(driver_id, (ended_at, door));
        let later = before.filter(|(at, _)| *at > left_at);
        let (left_at, from) = later.unwrap_or((left_at, order.restaurant_place));
        let took = DurationMs((ended_at - left_at).0 - self.dropoff.0);
        let way_m = from.distance_m(&door);
        if order.delivery.state == DeliveryState::Completed && way_m >= WAY_MIN_M && took >= WAY_MIN && took <= WAY_MAX
        {
            let (from, to) = (self.plane.point(from), self.plane.point(door));
            self.speeds.observe(from, to, left_at.0, took.0);
        }
    }

    /// When an order that is being cooked will be ready, as far as its restaurant's promise and past tell.
    pub fn ready(&self, restaurant: RestaurantId, accepted_at: UnixMs, promised_at: UnixMs, now: UnixMs) -> Ready {
        let promised_ms = (promised_at - accepted_at).0;
        Ready::Likely(self.prep.remaining(restaurant, accepted_at.0, promised_ms, now.0))
    }

    /// How fast drivers get on.
    pub fn speeds(&self) -> &LearnedSpeeds {
        &self.speeds
    }

    /// Orders expected within `horizon` of now, by square.
    pub fn demand(&self, now: UnixMs, horizon: DurationMs) -> Vec<Demand> {
        let Some(since) = self.since else { return Vec::new() };
        let days = whole(now.0 - since.0) / whole(DAY_MS);
        let hour = now.0.div_euclid(HOUR_MS).rem_euclid(24);
        let of_now = self.demand.iter().filter(|((_, _, at), _)| *at == hour);
        let expected = of_now.map(|((x, y, _), orders)| Demand {
            at: Point {
                x_m: (whole(*x) + 0.5) * DEMAND_CELL_M,
                y_m: (whole(*y) + 0.5) * DEMAND_CELL_M,
            },
            orders_permille: permille(orders / days.max(1.0) * whole(horizon.0) / whole(HOUR_MS)),
        });
        expected.filter(|demand| demand.orders_permille > 0).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "squares of one region")]
fn square(place: Point, at: UnixMs) -> (i64, i64, i64) {
    (
        (place.x_m / DEMAND_CELL_M).floor() as i64,
        (place.y_m / DEMAND_CELL_M).floor() as i64,
        at.0.div_euclid(HOUR_MS).rem_euclid(24),
    )
}

#[expect(clippy::cast_precision_loss, reason = "spans of days in ms are far below 2^53")]
fn whole(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "orders of one square and half an hour")]
fn permille(orders: f64) -> i64 {
    (orders * 1_000.0) as i64
}
