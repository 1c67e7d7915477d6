//! The classic policy: once the food is ready, the nearest idle driver within the radius fetches it; first come, first
//! served; who finds nobody is tried again next round (every 30 s in the benchmark).

use std::collections::BTreeSet;

use super::config::Config;
use super::problem::{Driver, Duty, Order, Problem, Ready};
use super::{Assignment, Plan};
use tomato_shared::id::OrderId;

/// Plans one round of `nearest`. Same interface as `plan`; looks at ready orders and idle drivers only.
/// Ties by driver id. Cost: orders x drivers.
pub fn nearest(problem: &Problem, config: &Config) -> Plan {
    let held = held(problem);
    let mut ready: Vec<&Order> = problem
        .orders
        .iter()
        .filter(|order| matches!(order.ready, Ready::At(ms) if ms <= problem.now_ms))
        .filter(|order| !held.contains(&order.id))
        .collect();
    ready.sort_by_key(|order| (ready_ms(order), order.id));
    let mut idle: Vec<&Driver> = problem
        .drivers
        .iter()
        .filter(|driver| driver.duty == Duty::None && driver.free_ms <= problem.now_ms)
        .collect();
    idle.sort_by_key(|driver| driver.id);
    let mut assignments = Vec::new();
    for order in ready {
        let best = idle
            .iter()
            .enumerate()
            .filter(|(_, driver)| !order.excluded.contains(&driver.id))
            .map(|(at, driver)| (driver.at.distance_m(order.restaurant_at), at))
            .filter(|&(distance_m, at)| {
                distance_m <= config.nearest_radius_m && in_shift(problem, config, idle[at], order)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        if let Some((distance_m, at)) = best {
            let driver = idle.remove(at);
            let arrive_ms = problem.now_ms + problem.travel.ms(driver.at, order.restaurant_at, problem.now_ms);
            assignments.push(Assignment {
                driver: driver.id,
                restaurant: order.restaurant,
                orders: vec![order.id],
                changed: false,
                arrive_ms,
                pickup_ms: arrive_ms + config.pickup_before_ms,
                why: format!("nearest idle driver, {distance_m:.0} m from the restaurant; food is ready"),
            });
        }
    }
    Plan {
        assignments,
        ..Plan::default()
    }
}

fn ready_ms(order: &Order) -> i64 {
    match order.ready {
        Ready::At(ms) => ms,
        Ready::Likely(_) => i64::MAX,
    }
}

/// Orders somebody is fetching already.
fn held(problem: &Problem) -> BTreeSet<OrderId> {
    let held = problem.drivers.iter().filter_map(|driver| match &driver.duty {
        Duty::Pickup { orders, .. } => Some(orders),
        Duty::None => None,
    });
    held.flatten().copied().collect()
}

fn in_shift(problem: &Problem, config: &Config, driver: &Driver, order: &Order) -> bool {
    let travel_ms = problem.travel.ms(driver.at, order.restaurant_at, problem.now_ms);
    problem.now_ms + travel_ms + config.pickup_before_ms <= driver.shift_end_ms
}
