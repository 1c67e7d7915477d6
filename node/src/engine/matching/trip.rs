//! What a driver's schedule costs: expected waiting of its customers, and what beginning a trip costs.

use super::problem::Point;
use super::work::{BUNDLE_MAX, MOMENTS, TRIPS_MAX, Work};

/// Price of leaving a pickup under way without what the driver was sent for: more than any plan can save.
const POINTLESS_MS: i64 = 1_000_000_000;

/// One trip: orders in the order of delivery, all of one restaurant or of two. Restaurants are gone to in the order in which
/// they first come up among the orders, and all is fetched before the first door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trip {
    /// The first, where there are two.
    pub(super) restaurant: u32,
    len: u32,
    orders: [u32; BUNDLE_MAX],
}

impl Trip {
    pub(super) fn new(restaurant: u32, orders: &[u32]) -> Trip {
        let mut trip = Trip {
            restaurant,
            ..Trip::default()
        };
        for &order in orders.iter().take(BUNDLE_MAX) {
            trip.insert(trip.orders().len(), order);
        }
        trip
    }

    pub(super) fn orders(&self) -> &[u32] {
        &self.orders[..self.len as usize]
    }

    pub(super) fn insert(&mut self, at: usize, order: u32) {
        self.orders.copy_within(at..self.len as usize, at + 1);
        self.orders[at] = order;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, order: u32) {
        if let Some(at) = self.orders().iter().position(|&other| other == order) {
            self.orders.copy_within(at + 1..self.len as usize, at);
            self.len -= 1;
        }
    }
}

/// A driver's trips in order. When the driver is bound, the first one is the pickup under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    len: usize,
    trips: [Trip; TRIPS_MAX],
}

impl Schedule {
    pub(super) fn trips(&self) -> &[Trip] {
        &self.trips[..self.len]
    }

    pub(super) fn trip_mut(&mut self, at: usize) -> &mut Trip {
        &mut self.trips[at]
    }

    pub(super) fn insert(&mut self, at: usize, trip: Trip) {
        self.trips.copy_within(at..self.len, at + 1);
        self.trips[at] = trip;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.trips.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }
}

/// When a trip starts and all of it is fetched, expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) depart_ms: i64,
    pub(super) arrive_ms: i64,
    pub(super) pickup_ms: i64,
    /// The restaurant where the last of it is fetched, and when.
    last: u32,
    last_ms: i64,
}

impl Work<'_> {
    /// Cost of `schedule` for `cab` in ms, `None` when it breaks a rule (shift end, latest delivery).
    pub(super) fn cost(&self, cab: usize, schedule: &Schedule) -> Option<i64> {
        let (cost_ms, broken) = self.cost_anyway(cab, schedule);
        (!broken).then_some(cost_ms)
    }

    /// Cost of `schedule` for `cab` in ms, and whether it breaks a rule. What is under way may do that through no fault
    /// of the plan; every order that comes too late is then priced as one not served.
    pub(super) fn cost_anyway(&self, cab: usize, schedule: &Schedule) -> (i64, bool) {
        let driver = &self.cabs[cab];
        let mut at = driver.at;
        let mut free_ms = driver.free_ms;
        let mut cost = 0;
        let mut broken = false;
        for (index, trip) in schedule.trips().iter().enumerate() {
            let bound = if index == 0 { driver.bound } else { None };
            if bound.is_some()
                && !trip
                    .orders()
                    .iter()
                    .any(|&job| self.jobs[job as usize].placed_ms <= driver.sent_ms)
            {
                broken = true;
                cost += POINTLESS_MS;
            }
            let arrive_ms = bound.map(|(_, arrive_ms)| arrive_ms);
            let (timing, late) = self.timing(trip, at, free_ms, arrive_ms, driver.shift_end_ms);
            broken |= late == self.moments;
            cost += late as i64 * trip.orders().len() as i64 * self.config.unserved_ms / self.moments as i64;
            let mut leave_ms = timing.last_ms + self.config.pickup_after_ms;
            at = self.stops[timing.last as usize].at;
            for (place, &order) in trip.orders().iter().enumerate() {
                let job = &self.jobs[order as usize];
                let leg_ms = if place == 0 && job.restaurant == timing.last {
                    job.leg_ms
                } else {
                    self.travel_ms(at, job.customer_at)
                };
                let door_ms = leave_ms + leg_ms + self.config.dropoff_before_ms;
                let waited_ms = door_ms - job.placed_ms;
                if waited_ms > job.limit_ms {
                    broken = true;
                    cost += self.config.unserved_ms;
                }
                cost += waited_ms;
                leave_ms = door_ms + self.config.dropoff_after_ms;
                at = job.customer_at;
            }
            free_ms = leave_ms;
            if bound.is_none() {
                cost += driver.begin_ms + driver.refusal_ms * trip.orders().len() as i64;
            }
        }
        (cost, broken)
    }

    /// Departure, arrival and expected pickup of a trip, and in how many of the likely cases the shift is over by then.
    /// A driver leaves as late as serves: so as to be there at the first moment at which the food is likely to be ready.
    /// Later moments were tried and lose at every load: food that waits costs more than a driver who does.
    fn timing(&self, trip: &Trip, at: Point, free_ms: i64, bound: Option<i64>, shift_end_ms: i64) -> (Timing, usize) {
        let mut ready = [[i64::MIN; MOMENTS]; 2];
        let mut last = trip.restaurant;
        for &order in trip.orders() {
            let job = &self.jobs[order as usize];
            let second = job.restaurant != trip.restaurant;
            if second {
                last = job.restaurant;
            }
            let slots = ready[usize::from(second)].iter_mut();
            for (slot, &ms) in slots.zip(&job.ready_ms).take(self.moments) {
                *slot = (*slot).max(ms);
            }
        }
        let before_ms = self.config.pickup_before_ms;
        let (depart_ms, arrive_ms) = match bound {
            Some(arrive_ms) => (self.now_ms, arrive_ms),
            None => {
                let travel_ms = self.travel_ms(at, self.stops[trip.restaurant as usize].at);
                let wanted_ms = ready[0][0] - before_ms;
                let arrive_ms = (free_ms + travel_ms).max(wanted_ms);
                (arrive_ms - travel_ms, arrive_ms)
            }
        };
        let between_ms = if last == trip.restaurant {
            0
        } else {
            let [first, second] = [trip.restaurant, last].map(|stop| self.stops[stop as usize].at);
            self.config.pickup_after_ms + self.travel_ms(first, second) + before_ms
        };
        let (mut first_sum_ms, mut last_sum_ms) = (0, 0);
        let mut late = 0;
        for (&first_ms, &second_ms) in ready[0].iter().zip(&ready[1]).take(self.moments) {
            let first_ms = first_ms.max(arrive_ms + before_ms).max(self.now_ms);
            let last_ms = (first_ms + between_ms).max(second_ms);
            first_sum_ms += first_ms;
            last_sum_ms += last_ms;
            late += usize::from(last_ms > shift_end_ms);
        }
        (
            Timing {
                depart_ms,
                arrive_ms,
                pickup_ms: first_sum_ms / self.moments as i64,
                last,
                last_ms: last_sum_ms / self.moments as i64,
            },
            late,
        )
    }

    /// Whether an order of `restaurant` can come along on a trip: all of it is of that one, or, where two may share a trip, the
    /// rest is of one near it.
    pub(super) fn fits(&self, trip: &Trip, restaurant: u32) -> bool {
        if self.config.second_restaurant_ms == 0 {
            return trip.restaurant == restaurant;
        }
        let others = trip.orders().iter().map(|&job| self.jobs[job as usize].restaurant);
        let mut others = others.filter(|&other| other != restaurant);
        let Some(other) = others.next() else { return true };
        let [one, two] = [other, restaurant].map(|stop| self.stops[stop as usize].at);
        others.all(|third| third == other) && self.travel_ms(one, two) <= self.config.second_restaurant_ms
    }

    /// Timing of the first trip of `schedule`; `None` when there is none.
    pub(super) fn first_timing(&self, cab: usize, schedule: &Schedule) -> Option<Timing> {
        let driver = &self.cabs[cab];
        let trip = schedule.trips().first()?;
        let bound = driver.bound.map(|(_, arrive_ms)| arrive_ms);
        Some(
            self.timing(trip, driver.at, driver.free_ms, bound, driver.shift_end_ms)
                .0,
        )
    }

    /// Tells of every order of `schedule` when it is picked up and handed over, expected.
    pub(super) fn visit(&self, cab: usize, schedule: &Schedule, mut tell: impl FnMut(u32, i64, i64)) {
        let driver = &self.cabs[cab];
        let (mut free_ms, mut at) = (driver.free_ms, driver.at);
        for (index, trip) in schedule.trips().iter().enumerate() {
            let bound = driver.bound.filter(|_| index == 0).map(|(_, arrive_ms)| arrive_ms);
            let timing = self.timing(trip, at, free_ms, bound, driver.shift_end_ms).0;
            free_ms = timing.last_ms + self.config.pickup_after_ms;
            at = self.stops[timing.last as usize].at;
            for &order in trip.orders() {
                let job = &self.jobs[order as usize];
                let first = job.restaurant == trip.restaurant;
                let pickup_ms = if first { timing.pickup_ms } else { timing.last_ms };
                let to = job.customer_at;
                let door_ms = free_ms + self.travel_ms(at, to) + self.config.dropoff_before_ms;
                tell(order, pickup_ms, door_ms);
                free_ms = door_ms + self.config.dropoff_after_ms;
                at = to;
            }
        }
    }

    /// When and where the driver is free once `schedule` is done, expected.
    pub(super) fn end(&self, cab: usize, schedule: &Schedule) -> (i64, Point) {
        let driver = &self.cabs[cab];
        let (mut free_ms, mut at) = (driver.free_ms, driver.at);
        for (index, trip) in schedule.trips().iter().enumerate() {
            let bound = if index == 0 {
                driver.bound.map(|(_, arrive_ms)| arrive_ms)
            } else {
                None
            };
            let timing = self.timing(trip, at, free_ms, bound, driver.shift_end_ms).0;
            free_ms = timing.last_ms + self.config.pickup_after_ms;
            at = self.stops[timing.last as usize].at;
            for &order in trip.orders() {
                let to = self.jobs[order as usize].customer_at;
                free_ms += self.travel_ms(at, to) + self.config.dropoff_before_ms + self.config.dropoff_after_ms;
                at = to;
            }
        }
        (free_ms, at)
    }
}
