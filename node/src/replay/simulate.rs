//! Plays an instance minute by minute by the MDRP's rules. The dispatcher sees only what has been revealed.

use crate::engine::matching::{Assignment, Driver, Duty, Order, Point, Problem, Ready, Travel};
use tomato_shared::id::{DriverId, OrderId, RestaurantId};

use super::instance::Instance;
use super::outcome::{Outcome, Stop, Trip};

pub(super) const MINUTE_MS: i64 = 60_000;

/// A pickup under way.
#[derive(Clone, Debug)]
struct Heading {
    restaurant: usize,
    depart_min: i64,
    arrive_min: i64,
    assigned_min: i64,
    orders: Vec<usize>,
}

/// Where a courier will be free next, and when.
#[derive(Clone, Debug)]
struct Courier {
    at: Point,
    free_min: i64,
    heading: Option<Heading>,
}

/// How the replay decides and what it reveals.
pub struct Rules<'a> {
    /// Called once per minute; returns what to commit.
    pub decide: &'a mut dyn FnMut(&mut Problem) -> Vec<Assignment>,
    /// Ready time as the dispatcher may see it: (order index, minute) -> belief. Only asked for placed orders.
    pub reveal: &'a mut dyn FnMut(usize, i64) -> Ready,
    /// Wall clock in ms, for the cycle times only.
    pub clock_ms: &'a dyn Fn() -> f64,
}

/// The id that stands for an order's index in the files.
pub(super) fn order_id(index: usize) -> OrderId {
    OrderId::from_bytes((index as u128).to_be_bytes())
}

/// The same for a courier.
pub(super) fn driver_id(index: usize) -> DriverId {
    DriverId::from_bytes((index as u128).to_be_bytes())
}

/// The same for a restaurant.
pub(super) fn restaurant_id(index: usize) -> RestaurantId {
    RestaurantId::from_bytes((index as u128).to_be_bytes())
}

fn index_of(bytes: [u8; 16]) -> usize {
    u128::from_be_bytes(bytes) as usize
}

struct Replay<'a> {
    instance: &'a Instance,
    couriers: Vec<Courier>,
    /// Picked up orders never come back.
    gone: Vec<bool>,
    /// Indices of orders by placement; those before `revealed` are known.
    by_placement: Vec<usize>,
    revealed: usize,
    open: Vec<usize>,
    outcome: Outcome,
}

/// Plays `instance` to its end.
pub fn simulate(instance: &Instance, rules: &mut Rules) -> Outcome {
    let mut by_placement: Vec<usize> = (0..instance.orders.len()).collect();
    by_placement.sort_by_key(|&order| (instance.orders[order].placed_min, order));
    let mut replay = Replay {
        instance,
        couriers: instance
            .couriers
            .iter()
            .map(|row| Courier {
                at: row.at,
                free_min: row.on_min,
                heading: None,
            })
            .collect(),
        gone: vec![false; instance.orders.len()],
        by_placement,
        revealed: 0,
        open: Vec::new(),
        outcome: Outcome::default(),
    };
    let start = instance.orders.iter().map(|order| order.placed_min).min().unwrap_or(0);
    let end = instance
        .couriers
        .iter()
        .map(|courier| courier.off_min)
        .max()
        .unwrap_or(0);
    for now in start..=end {
        replay.minute(now, rules);
    }
    replay.outcome
}

impl Replay<'_> {
    fn minute(&mut self, now: i64, rules: &mut Rules) {
        while let Some(&order) = self.by_placement.get(self.revealed)
            && self.instance.orders[order].placed_min <= now
        {
            self.open.push(order);
            self.revealed += 1;
        }
        self.release_after_shift(now);
        if !self.open.is_empty() {
            let mut problem = self.problem(now, rules);
            let started = (rules.clock_ms)();
            let assignments = (rules.decide)(&mut problem);
            self.outcome.cycle_ms.push((rules.clock_ms)() - started);
            self.outcome.cycles += 1;
            self.commit(now, &assignments);
        }
        self.pick_up(now);
    }

    /// A courier still waiting for food when the shift ends goes home; the orders are free again.
    fn release_after_shift(&mut self, now: i64) {
        for (index, courier) in self.couriers.iter_mut().enumerate() {
            if now > self.instance.couriers[index].off_min
                && let Some(heading) = courier.heading.take()
            {
                courier.at = self.instance.restaurants[heading.restaurant].at;
                courier.free_min = now;
            }
        }
    }

    fn problem(&self, now: i64, rules: &mut Rules) -> Problem {
        let instance = self.instance;
        let orders = self
            .open
            .iter()
            .map(|&order| {
                let row = &instance.orders[order];
                Order {
                    id: order_id(order),
                    restaurant: restaurant_id(row.restaurant),
                    restaurant_at: instance.restaurants[row.restaurant].at,
                    customer_at: row.at,
                    placed_ms: row.placed_min * MINUTE_MS,
                    ready: (rules.reveal)(order, now),
                    excluded: Vec::new(),
                }
            })
            .collect();
        let drivers = (0..self.couriers.len())
            .filter(|&index| self.instance.couriers[index].off_min >= now.max(self.couriers[index].free_min))
            .filter(|&index| self.instance.couriers[index].on_min <= now + 60)
            .map(|index| self.driver(index))
            .collect();
        Problem {
            tentative: Vec::new(),
            now_ms: now * MINUTE_MS,
            orders,
            demand: Vec::new(),
            drivers,
            travel: Travel::straight(instance.m_per_min, MINUTE_MS),
        }
    }

    fn driver(&self, index: usize) -> Driver {
        let courier = &self.couriers[index];
        let (at, duty) = match &courier.heading {
            None => (courier.at, Duty::None),
            Some(heading) => (
                self.instance.restaurants[heading.restaurant].at,
                Duty::Pickup {
                    restaurant: restaurant_id(heading.restaurant),
                    sent_ms: heading.depart_min * MINUTE_MS,
                    arrive_ms: heading.arrive_min * MINUTE_MS,
                    orders: heading.orders.iter().map(|&order| order_id(order)).collect(),
                },
            ),
        };
        Driver {
            id: driver_id(index),
            at,
            free_ms: courier.free_min * MINUTE_MS,
            shift_end_ms: self.instance.couriers[index].off_min * MINUTE_MS,
            duty,
            refusal_permille: 0,
        }
    }

    /// Does what the dispatcher says, wrong or not: `check` finds a driver sent while busy, diverted, or sent for what
    /// another has fetched.
    fn commit(&mut self, now: i64, assignments: &[Assignment]) {
        for assignment in assignments {
            let index = index_of(*assignment.driver.bytes());
            let restaurant = index_of(*assignment.restaurant.bytes());
            let orders: Vec<usize> = assignment.orders.iter().map(|id| index_of(*id.bytes())).collect();
            let courier = &mut self.couriers[index];
            match &mut courier.heading {
                Some(heading) => {
                    heading.orders = orders;
                    heading.assigned_min = now;
                }
                None => {
                    let travel = self
                        .instance
                        .travel_min(courier.at, self.instance.restaurants[restaurant].at);
                    courier.heading = Some(Heading {
                        restaurant,
                        depart_min: now,
                        arrive_min: now + travel,
                        assigned_min: now,
                        orders,
                    });
                }
            }
        }
    }

    /// Everyone whose food is ready and who has been there long enough picks up.
    fn pick_up(&mut self, now: i64) {
        let instance = self.instance;
        let before = instance.half_pickup_min();
        for (index, courier) in self.couriers.iter_mut().enumerate() {
            let Some(heading) = &courier.heading else { continue };
            let ready = heading
                .orders
                .iter()
                .map(|&order| instance.orders[order].ready_min)
                .max()
                .unwrap_or(0);
            if heading.arrive_min + before > now || ready > now {
                continue;
            }
            let trip = deliver(instance, index, heading, now);
            if let Some(last) = trip.stops.last() {
                courier.at = instance.orders[last.order].at;
                courier.free_min = last.dropoff_min + instance.half_dropoff_min();
            }
            for &order in &heading.orders {
                self.gone[order] = true;
            }
            courier.heading = None;
            self.outcome.trips.push(trip);
        }
        let gone = &self.gone;
        self.open.retain(|&order| !gone[order]);
    }
}

fn deliver(instance: &Instance, courier: usize, heading: &Heading, now: i64) -> Trip {
    let mut depart = now + instance.half_pickup_min();
    let half = instance.half_dropoff_min();
    let mut at = instance.restaurants[heading.restaurant].at;
    let mut stops = Vec::new();
    for &order in &heading.orders {
        let dropoff = depart + instance.travel_min(at, instance.orders[order].at) + half;
        stops.push(Stop {
            order,
            depart_min: depart,
            dropoff_min: dropoff,
        });
        depart = dropoff + half;
        at = instance.orders[order].at;
    }
    Trip {
        courier,
        assigned_min: heading.assigned_min,
        depart_min: heading.depart_min,
        arrive_min: heading.arrive_min,
        pickup_min: now,
        stops,
    }
}
