//! The problem compiled to indices: sorted by id (so that the order of the input does not matter), with what every
//! evaluation needs worked out once.

use super::config::Config;
use super::problem::{Driver, Duty, Order, Point, Problem, Ready};
use tomato_shared::id::{DriverId, OrderId, RestaurantId};

/// Most moments kept of an uncertain ready time.
pub(super) const MOMENTS: usize = 5;
/// Most orders in one trip.
pub const BUNDLE_MAX: usize = 4;
/// Most trips planned ahead for one driver.
pub const TRIPS_MAX: usize = 3;

/// A shift that lasts longer than this is worth no more.
const SHIFT_COUNTED_MS: i64 = 2 * 3_600_000;

/// An order, compiled.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: OrderId,
    pub(super) restaurant: u32,
    pub(super) customer_at: Point,
    pub(super) placed_ms: i64,
    /// Equally likely moments, ascending; all equal when known. Only the first `Work::moments` count.
    pub(super) ready_ms: [i64; MOMENTS],
    pub(super) excluded: Vec<u32>,
    /// From its restaurant to its customer.
    pub(super) leg_ms: i64,
    /// Latest delivery that may be planned, after placement.
    pub(super) limit_ms: i64,
}

/// A driver, compiled.
#[derive(Clone, Debug)]
pub(super) struct Cab {
    pub(super) id: DriverId,
    pub(super) at: Point,
    pub(super) free_ms: i64,
    pub(super) shift_end_ms: i64,
    /// Restaurant and arrival of a pickup under way.
    pub(super) bound: Option<(u32, i64)>,
    /// An order placed by then stays with the pickup under way.
    pub(super) sent_ms: i64,
    pub(super) bound_orders: Vec<u32>,
    /// Added to each trip not yet begun; the second per order of it.
    pub(super) begin_ms: i64,
    pub(super) refusal_ms: i64,
}

/// A restaurant that has orders waiting.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) id: RestaurantId,
    pub(super) at: Point,
    pub(super) orders: Vec<u32>,
}

/// The compiled problem.
#[derive(Clone, Debug)]
pub(super) struct Work<'a> {
    pub(super) problem: &'a Problem,
    pub(super) config: &'a Config,
    pub(super) now_ms: i64,
    pub(super) moments: usize,
    pub(super) jobs: Vec<Job>,
    pub(super) cabs: Vec<Cab>,
    pub(super) stops: Vec<Stop>,
    /// Needed over available driver time until the horizon, for the board.
    pub(super) load_permille: i64,
}

impl<'a> Work<'a> {
    pub(super) fn new(problem: &'a Problem, config: &'a Config) -> Work<'a> {
        let mut orders: Vec<&Order> = problem.orders.iter().collect();
        orders.sort_by_key(|order| order.id);
        orders.dedup_by_key(|order| order.id);
        let mut drivers: Vec<&Driver> = problem.drivers.iter().collect();
        drivers.sort_by_key(|driver| driver.id);
        drivers.dedup_by_key(|driver| driver.id);
        let uncertain = orders.iter().any(|order| matches!(order.ready, Ready::Likely(_)));
        let mut work = Work {
            problem,
            config,
            now_ms: problem.now_ms,
            moments: if uncertain { MOMENTS } else { 1 },
            jobs: Vec::with_capacity(orders.len()),
            cabs: Vec::with_capacity(drivers.len()),
            stops: stops(&orders),
            load_permille: 0,
        };
        for order in &orders {
            work.add_job(order, &drivers);
        }
        for driver in &drivers {
            work.add_cab(driver, &orders);
        }
        work.load_permille = work.load();
        work
    }

    /// Driver minutes that the known orders need over the driver minutes there are until the horizon, per mille.
    fn load(&self) -> i64 {
        let config = self.config;
        let end_ms = self.now_ms + config.horizon_ms;
        let service_ms =
            config.pickup_before_ms + config.pickup_after_ms + config.dropoff_before_ms + config.dropoff_after_ms;
        let need_ms: i64 = self
            .jobs
            .iter()
            .filter(|job| job.ready_ms[self.moments / 2] < end_ms)
            .map(|job| service_ms + 2 * job.leg_ms)
            .sum();
        let have_ms: i64 = self
            .cabs
            .iter()
            .map(|cab| (cab.shift_end_ms.min(end_ms) - cab.free_ms).max(0))
            .sum();
        need_ms * 1000 / have_ms.max(1)
    }

    fn add_job(&mut self, order: &Order, drivers: &[&Driver]) {
        let Some(stop) = self.stop_of(order.restaurant) else {
            return;
        };
        let index = self.jobs.len() as u32;
        self.stops[stop as usize].orders.push(index);
        let mut excluded: Vec<u32> = order
            .excluded
            .iter()
            .filter_map(|id| drivers.binary_search_by_key(id, |driver| driver.id).ok())
            .map(|at| at as u32)
            .collect();
        excluded.sort_unstable();
        let leg_ms = self.travel_ms(order.restaurant_at, order.customer_at);
        let ready_ms = moments(&order.ready, self.now_ms);
        self.jobs.push(Job {
            id: order.id,
            restaurant: stop,
            customer_at: order.customer_at,
            placed_ms: order.placed_ms,
            ready_ms,
            excluded,
            leg_ms,
            limit_ms: self.limit_ms(ready_ms[0] - order.placed_ms, leg_ms),
        });
    }

    /// The limit holds for orders that can keep it. One that no driver could deliver in time, however near, may come as
    /// late as it must: its cost still bounds the harm to others, and late is better than never.
    fn limit_ms(&self, prepared_ms: i64, leg_ms: i64) -> i64 {
        let config = self.config;
        let floor_ms = prepared_ms + config.pickup_after_ms + leg_ms + config.dropoff_before_ms;
        if config.late_if_unavoidable && floor_ms > config.click_to_door_ms_max {
            i64::MAX
        } else {
            config.click_to_door_ms_max
        }
    }

    fn add_cab(&mut self, driver: &Driver, orders: &[&Order]) {
        let mut cab = Cab {
            id: driver.id,
            at: driver.at,
            free_ms: driver.free_ms.max(self.now_ms),
            shift_end_ms: driver.shift_end_ms,
            bound: None,
            sent_ms: self.now_ms,
            bound_orders: Vec::new(),
            begin_ms: (driver.shift_end_ms - self.now_ms).clamp(0, SHIFT_COUNTED_MS) * self.config.shift_price_permille
                / 1000,
            refusal_ms: driver.refusal_permille.clamp(0, 1000) * self.config.refusal_ms / 1000,
        };
        if let Duty::Pickup {
            restaurant,
            sent_ms,
            arrive_ms,
            orders: held,
        } = &driver.duty
        {
            // A pickup whose orders have all gone (cancelled, taken by someone) no longer binds the driver.
            let held: Vec<u32> = held
                .iter()
                .filter_map(|id| orders.binary_search_by_key(id, |order| order.id).ok())
                .map(|at| at as u32)
                .take(BUNDLE_MAX)
                .collect();
            if let (Some(stop), false) = (self.stop_of(*restaurant), held.is_empty()) {
                cab.bound = Some((stop, *arrive_ms));
                cab.sent_ms = *sent_ms;
                cab.bound_orders = held;
            }
        }
        self.cabs.push(cab);
    }

    /// Index of an order by its id.
    pub(super) fn job_of(&self, id: OrderId) -> Option<u32> {
        self.jobs
            .binary_search_by_key(&id, |job| job.id)
            .ok()
            .map(|at| at as u32)
    }

    fn stop_of(&self, restaurant: RestaurantId) -> Option<u32> {
        self.stops
            .binary_search_by_key(&restaurant, |stop| stop.id)
            .ok()
            .map(|at| at as u32)
    }

    /// Ms of travel for a departure about now.
    pub(super) fn travel_ms(&self, from: Point, to: Point) -> i64 {
        self.problem.travel.ms(from, to, self.now_ms)
    }

    pub(super) fn bundle_max(&self) -> usize {
        self.config.bundle_max.clamp(1, BUNDLE_MAX)
    }

    pub(super) fn trips_max(&self) -> usize {
        self.config.trips_max.clamp(1, TRIPS_MAX)
    }

    pub(super) fn excluded(&self, job: u32, cab: u32) -> bool {
        self.jobs[job as usize].excluded.binary_search(&cab).is_ok()
    }
}

fn stops(orders: &[&Order]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = orders
        .iter()
        .map(|order| Stop {
            id: order.restaurant,
            at: order.restaurant_at,
            orders: Vec::new(),
        })
        .collect();
    stops.sort_by_key(|stop| stop.id);
    stops.dedup_by_key(|stop| stop.id);
    stops
}

/// Spreads what is known of the ready time over exactly `MOMENTS` equally likely moments.
fn moments(ready: &Ready, now_ms: i64) -> [i64; MOMENTS] {
    match ready {
        Ready::At(ms) => [*ms; MOMENTS],
        Ready::Likely(list) if list.is_empty() => [now_ms; MOMENTS],
        Ready::Likely(list) => {
            let mut out = [now_ms; MOMENTS];
            for (at, slot) in out.iter_mut().enumerate() {
                // Midpoints of MOMENTS equal slices of the list.
                let index = (2 * at + 1) * list.len() / (2 * MOMENTS);
                *slot = list[index.min(list.len() - 1)].max(now_ms);
            }
            out
        }
    }
}
