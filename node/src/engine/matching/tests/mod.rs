//! Properties of `plan` on small made-up problems.

mod models;

use std::collections::BTreeSet;

use tomato_shared::id::{DriverId, OrderId, RestaurantId};

use super::*;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % bound
    }

    fn point(&mut self) -> Point {
        Point {
            x_m: self.below(8_000) as f64,
            y_m: self.below(8_000) as f64,
        }
    }
}

const NOW_MS: i64 = 600 * MINUTE_MS;

/// Little improvement: properties must hold at any effort.
fn quick() -> Config {
    Config {
        improve_work: 3_000,
        ..Config::default()
    }
}

fn key(index: i64) -> [u8; 16] {
    (index as u128).to_be_bytes()
}

fn order(index: i64, restaurant: i64, dice: &mut Dice) -> Order {
    let placed_ms = NOW_MS - dice.below(20) * MINUTE_MS;
    let mut place = Dice(restaurant as u64 + 1);
    Order {
        id: OrderId::from_bytes(key(index)),
        restaurant: RestaurantId::from_bytes(key(restaurant)),
        restaurant_at: place.point(),
        customer_at: dice.point(),
        placed_ms,
        ready: Ready::At(placed_ms + dice.below(30) * MINUTE_MS),
        excluded: Vec::new(),
    }
}

fn driver(index: i64, dice: &mut Dice) -> Driver {
    Driver {
        id: DriverId::from_bytes(key(index)),
        at: dice.point(),
        free_ms: NOW_MS + (dice.below(20) - 10).max(0) * MINUTE_MS,
        shift_end_ms: NOW_MS + (30 + dice.below(120)) * MINUTE_MS,
        duty: Duty::None,
        refusal_permille: 0,
    }
}

fn problem(seed: u64, orders: i64, drivers: i64) -> Problem {
    let mut dice = Dice(seed);
    Problem {
        now_ms: NOW_MS,
        orders: (0..orders)
            .map(|index| order(index, index % (orders / 2).max(1), &mut dice))
            .collect(),
        drivers: (0..drivers).map(|index| driver(index, &mut dice)).collect(),
        travel: Travel::straight(320.0, MINUTE_MS),
        ..Problem::default()
    }
}

/// What must hold for any plan.
fn check(problem: &Problem, plan: &Plan) {
    let mut drivers = BTreeSet::new();
    let mut orders = BTreeSet::new();
    for assignment in &plan.assignments {
        assert!(drivers.insert(assignment.driver), "a driver got two trips");
        assert!(!assignment.orders.is_empty() && assignment.orders.len() <= BUNDLE_MAX);
        assert!(!assignment.why.is_empty());
        let driver = problem
            .drivers
            .iter()
            .find(|driver| driver.id == assignment.driver)
            .unwrap();
        if !assignment.changed {
            assert!(driver.free_ms <= problem.now_ms, "a busy driver was sent");
            assert!(assignment.pickup_ms <= driver.shift_end_ms, "pickup after the shift");
        }
        for id in &assignment.orders {
            assert!(orders.insert(*id), "an order went to two drivers");
            let order = problem.orders.iter().find(|order| order.id == *id).unwrap();
            assert_eq!(order.restaurant, assignment.restaurant);
            assert!(
                !order.excluded.contains(&assignment.driver),
                "an excluded driver was chosen"
            );
        }
    }
    for tentative in &plan.tentative {
        assert!(tentative.orders.len() <= BUNDLE_MAX);
    }
}

#[test]
fn empty_in_empty_out() {
    let plan = plan(&Problem::default(), &quick());
    assert!(plan.assignments.is_empty() && plan.tentative.is_empty() && plan.hints.is_empty() && !plan.degraded);
    assert!(super::plan(&problem(1, 5, 0), &quick()).assignments.is_empty());
    assert!(super::plan(&problem(1, 0, 5), &quick()).assignments.is_empty());
}

#[test]
fn plans_keep_the_rules_at_any_load() {
    for seed in 0..30 {
        for (orders, drivers) in [(3, 20), (20, 20), (60, 8)] {
            let mut problem = problem(seed, orders, drivers);
            let barred = problem.drivers[(seed % drivers as u64) as usize].id;
            for order in problem.orders.iter_mut().step_by(2) {
                order.excluded.push(barred);
            }
            check(&problem, &plan(&problem, &quick()));
            check(&problem, &nearest(&problem, &quick()));
        }
    }
}

#[test]
fn same_input_in_any_order_gives_the_same_plan() {
    for seed in 0..10 {
        let straight = problem(seed, 30, 15);
        let mut turned = straight.clone();
        turned.orders.reverse();
        turned.drivers.rotate_left(7);
        let first = plan(&straight, &quick());
        assert_eq!(first, plan(&straight, &quick()));
        assert_eq!(first, plan(&turned, &quick()));
    }
}

#[test]
fn committed_pickup_keeps_its_restaurant_and_its_reason() {
    for seed in 0..20 {
        let mut problem = problem(seed, 24, 6);
        let held = problem.orders[0].clone();
        problem.drivers[0].duty = Duty::Pickup {
            restaurant: held.restaurant,
            sent_ms: NOW_MS - MINUTE_MS,
            arrive_ms: NOW_MS + MINUTE_MS,
            orders: vec![held.id],
        };
        problem.drivers[0].at = held.restaurant_at;
        problem.orders[0].placed_ms = NOW_MS - 5 * MINUTE_MS;
        let plan = plan(&problem, &quick());
        check(&problem, &plan);
        for assignment in plan
            .assignments
            .iter()
            .filter(|found| found.driver == problem.drivers[0].id)
        {
            assert!(assignment.changed && assignment.restaurant == held.restaurant);
            let known = |id: &OrderId| {
                problem
                    .orders
                    .iter()
                    .any(|order| order.id == *id && order.placed_ms < NOW_MS)
            };
            assert!(assignment.orders.iter().any(known));
        }
    }
}

#[test]
fn nobody_leaves_early_for_food_that_takes_long() {
    let mut problem = problem(3, 1, 4);
    problem.orders[0].placed_ms = NOW_MS;
    problem.orders[0].ready = Ready::At(NOW_MS + 45 * MINUTE_MS);
    for driver in &mut problem.drivers {
        driver.shift_end_ms = NOW_MS + 240 * MINUTE_MS;
    }
    let plan = plan(&problem, &quick());
    assert!(plan.assignments.is_empty());
    assert_eq!(plan.tentative.len(), 1);
}

#[test]
fn two_ready_orders_of_one_restaurant_share_the_only_driver() {
    let mut dice = Dice(5);
    let mut problem = problem(5, 0, 1);
    problem.drivers[0].free_ms = NOW_MS;
    for index in 0..2 {
        let mut order = order(index, 1, &mut dice);
        order.ready = Ready::At(NOW_MS);
        order.placed_ms = NOW_MS - 10 * MINUTE_MS;
        order.customer_at = Point {
            x_m: order.restaurant_at.x_m + 900.0,
            y_m: order.restaurant_at.y_m,
        };
        problem.orders.push(order);
    }
    let plan = plan(&problem, &quick());
    assert_eq!(plan.assignments.len(), 1);
    assert_eq!(plan.assignments[0].orders.len(), 2);
}

/// One driver, and beside them two restaurants 640 m apart with an order each, both for doors 3 km to the east.
fn two_kitchens() -> Problem {
    let mut problem = problem(5, 2, 1);
    let at = problem.drivers[0].at;
    let east = |x_m: f64, y_m: f64| Point {
        x_m: at.x_m + x_m,
        y_m: at.y_m + y_m,
    };
    problem.drivers[0].free_ms = NOW_MS;
    for (nth, order) in problem.orders.iter_mut().enumerate() {
        order.restaurant = RestaurantId::from_bytes(key(nth as i64));
        order.restaurant_at = east(0.0, 640.0 * nth as f64);
        order.customer_at = east(3_000.0, 640.0 * nth as f64);
        (order.placed_ms, order.ready) = (NOW_MS - 15 * MINUTE_MS, Ready::At(NOW_MS - 5 * MINUTE_MS));
    }
    problem
}

#[test]
fn two_restaurants_share_a_trip_where_that_is_allowed_near_and_pays() {
    let sharing = Config {
        second_restaurant_ms: 4 * MINUTE_MS,
        ..quick()
    };
    let together = |problem: &Problem, config: &Config| {
        let plan = plan(problem, config);
        (plan.assignments[0].orders.len(), plan.planned_cost_ms)
    };
    let near = two_kitchens();
    let (count, cost_ms) = together(&near, &sharing);
    assert_eq!((count, together(&near, &quick()).0), (2, 1));
    assert!(cost_ms < together(&near, &quick()).1);
    let assignment = &plan(&near, &sharing).assignments[0];
    assert_eq!(
        assignment.restaurant,
        near.orders
            .iter()
            .find(|order| order.id == assignment.orders[0])
            .unwrap()
            .restaurant
    );
    assert!(assignment.why.contains("second restaurant"), "{}", assignment.why);
    // Both are fetched before the first door: 2 min there, 2 to leave, 2 on the way, 2 and 2 again, 10 to the door.
    let doors: Vec<i64> = plan(&near, &sharing)
        .orders
        .iter()
        .map(|row| (row.door_ms - NOW_MS) / MINUTE_MS)
        .collect();
    assert_eq!(*doors.iter().min().unwrap(), 2 + 2 + 2 + 2 + 2 + 10 + 2);

    let mut slow = two_kitchens();
    slow.orders[1].ready = Ready::At(NOW_MS + 40 * MINUTE_MS);
    assert_eq!(together(&slow, &sharing).0, 1, "one is not made to wait for the other");
    let mut far = two_kitchens();
    far.orders[1].restaurant_at.y_m += 2_000.0;
    assert_eq!(together(&far, &sharing).0, 1);
}

#[test]
fn shared_trips_keep_the_rules_and_never_mix_three_restaurants() {
    let config = Config {
        second_restaurant_ms: 10 * MINUTE_MS,
        ..quick()
    };
    let mut shared = 0;
    for seed in 0..30 {
        let mut problem = problem(seed, 60, 8);
        let mut rounds = 0;
        while rounds < 3 {
            let plan = plan(&problem, &config);
            for (driver, orders) in plan
                .assignments
                .iter()
                .map(|row| (row.driver, &row.orders))
                .chain(plan.tentative.iter().map(|row| (row.driver, &row.orders)))
            {
                let of = |id: &OrderId| problem.orders.iter().find(|order| order.id == *id).unwrap().restaurant;
                let restaurants: BTreeSet<RestaurantId> = orders.iter().map(of).collect();
                assert!(restaurants.len() <= 2, "{driver} goes to {restaurants:?}");
                shared += restaurants.len() - 1;
            }
            problem.tentative = plan.tentative;
            problem.now_ms += MINUTE_MS;
            rounds += 1;
        }
    }
    assert!(shared > 100, "{shared}");
}

#[test]
fn likely_refusers_are_second_choice() {
    let mut problem = problem(9, 1, 2);
    problem.orders[0].ready = Ready::At(NOW_MS);
    let at = Dice(9).point();
    for driver in &mut problem.drivers {
        (driver.at, driver.free_ms) = (at, NOW_MS);
    }
    for (likely, other) in [(0, 1), (1, 0)] {
        problem.drivers[likely].refusal_permille = 900;
        problem.drivers[other].refusal_permille = 0;
        assert_eq!(
            plan(&problem, &quick()).assignments[0].driver,
            problem.drivers[other].id
        );
    }
}

#[test]
fn work_stays_bounded_and_says_so() {
    let problem = problem(2, 400, 60);
    let config = Config {
        work_max: 2_000,
        ..quick()
    };
    let plan = plan(&problem, &config);
    check(&problem, &plan);
    assert!(plan.degraded);
    // Beyond the budget an order costs at most a few drivers times a few places.
    assert!(plan.evaluations < 2_000 + 400 * 200, "{}", plan.evaluations);
}

#[test]
fn idle_driver_is_sent_hints_where_demand_exceeds_supply() {
    let mut problem = problem(4, 0, 2);
    for driver in &mut problem.drivers {
        (driver.at, driver.free_ms) = (Point { x_m: 0.0, y_m: 0.0 }, NOW_MS);
    }
    let there = Point { x_m: 2_000.0, y_m: 0.0 };
    problem.demand = vec![
        Demand {
            at: Point { x_m: 0.0, y_m: 0.0 },
            orders_permille: 500,
        },
        Demand {
            at: there,
            orders_permille: 1_500,
        },
    ];
    let hints = plan(&problem, &quick()).hints;
    assert_eq!(hints.len(), 1);
    assert_eq!((hints[0].driver, hints[0].to), (problem.drivers[0].id, there));
}

#[test]
fn what_nobody_could_bring_in_time_is_brought_late() {
    let mut problem = problem(3, 1, 4);
    problem.orders[0].placed_ms = NOW_MS - 80 * MINUTE_MS;
    problem.orders[0].ready = Ready::At(NOW_MS + 10 * MINUTE_MS);
    for driver in &mut problem.drivers {
        driver.shift_end_ms = NOW_MS + 240 * MINUTE_MS;
    }
    let planned = |late_if_unavoidable| {
        let config = Config {
            late_if_unavoidable,
            ..quick()
        };
        plan(&problem, &config).tentative.len()
    };
    assert_eq!((planned(true), planned(false)), (1, 0));
    // Ready in time, only the drivers are late: the limit holds.
    problem.orders[0].ready = Ready::At(NOW_MS - 60 * MINUTE_MS);
    for driver in &mut problem.drivers {
        driver.free_ms = NOW_MS + 30 * MINUTE_MS;
    }
    assert_eq!(plan(&problem, &quick()).tentative.len(), 0);
}
