//! How long one dispatch round takes, beside the Hungarian method on the same orders and drivers, in one run.

use std::time::Instant;

use clap::Args;
use tomato_node::engine::matching::{Config, Driver, Duty, Order, Plan, Point, Problem, Ready, Travel, nearest, plan};
use tomato_shared::id::{Id, Kind};

use crate::hungarian::{hungarian, matrix};
use crate::machine::{Machine, root};

/// Waiting orders and drivers of each size, and one round in so many of those asked for.
const SIZES: [(usize, usize, usize); 4] = [(100, 200, 1), (500, 1_000, 1), (1_000, 2_000, 2), (5_000, 10_000, 5)];
/// The dense matrix of a larger round takes minutes.
const DENSE_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds of each size; fewer of the largest.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// Also run the Hungarian on 5,000 orders and 10,000 drivers, which takes minutes.
    #[arg(long)]
    big: bool,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) {
    let machine = Machine::look(root());
    println!(
        "{}, {} cores, {}, commit {}",
        machine.cpu, machine.cores, machine.rustc, machine.commit
    );
    println!(
        "{:>6} {:>7} {:>11} {:>11} {:>14} {:>13}  note",
        "orders", "drivers", "plan p50 ms", "plan p99 ms", "nearest p99 ms", "hungarian ms"
    );
    for (orders, drivers, fewer) in SIZES {
        let row = measure((orders, drivers), (options.rounds / fewer).max(3), options.big);
        println!("{orders:>6} {drivers:>7} {row}");
    }
}

fn measure((orders, drivers): (usize, usize), rounds: usize, big: bool) -> String {
    let config = Config::default();
    let (mut planned, mut classic, mut degraded) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        let problem = problem(orders, drivers, round as u64 + 1);
        let (ms, plan) = timed(|| plan(&problem, &config));
        planned.push(ms);
        degraded += usize::from(plan.degraded);
        classic.push(timed(|| nearest(&problem, &config)).0);
    }
    let problem = problem(orders, drivers, 1);
    let (dense, note) = if orders <= DENSE_MAX || big {
        let (ms, optimum_ms) = timed(|| {
            let cost = matrix(&problem);
            let columns = hungarian(&cost);
            columns.iter().enumerate().map(|(row, column)| cost[row][*column]).sum()
        });
        (format!("{ms:.0}"), compare(&problem, optimum_ms))
    } else {
        ("not run".to_owned(), String::new())
    };
    format!(
        "{:>11.2} {:>11.2} {:>14.2} {dense:>13}  {note}{degraded} of {rounds} rounds degraded",
        rank(&mut planned, 0.5),
        rank(&mut planned, 0.99),
        rank(&mut classic, 0.99)
    )
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let done = std::hint::black_box(work());
    (began.elapsed().as_secs_f64() * 1e3, done)
}

fn rank(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).ceil() as usize]
}

/// A small generator of its own (SplitMix64, Steele et al. 2014), so that every run measures the same cities.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
    fn point(&mut self, side_m: u64) -> Point {
        Point {
            x_m: self.below(side_m) as f64,
            y_m: self.below(side_m) as f64,
        }
    }
}

fn id<K: Kind>(index: usize) -> Id<K> {
    Id::from_bytes((index as u128).to_be_bytes())
}

fn place<K: Kind>(id: Id<K>) -> usize {
    u128::from_be_bytes(*id.bytes()) as usize
}

/// A city whose area grows with its drivers; `orders` waiting at about one restaurant for three orders.
fn problem(orders: usize, drivers: usize, seed: u64) -> Problem {
    let mut dice = Dice(seed);
    let now_ms = 1_000 * 60_000;
    let side_m = (10_000.0 * (drivers as f64 / 300.0).sqrt()) as u64;
    let restaurants: Vec<Point> = (0..(orders / 3).max(1)).map(|_| dice.point(side_m)).collect();
    let orders = (0..orders)
        .map(|index| {
            let restaurant = dice.below(restaurants.len() as u64) as usize;
            let at = restaurants[restaurant];
            let near = dice.point(6_000);
            let placed_ms = now_ms - dice.below(25) as i64 * 60_000;
            Order {
                id: id(index),
                restaurant: id(restaurant),
                restaurant_at: at,
                customer_at: Point {
                    x_m: at.x_m + near.x_m - 3_000.0,
                    y_m: at.y_m + near.y_m - 3_000.0,
                },
                placed_ms,
                ready: Ready::At(placed_ms + (5 + dice.below(25)) as i64 * 60_000),
                excluded: Vec::new(),
            }
        })
        .collect();
    let drivers = (0..drivers)
        .map(|index| Driver {
            id: id(index),
            at: dice.point(side_m),
            free_ms: now_ms + (dice.below(40) as i64 - 20).max(0) * 60_000,
            shift_end_ms: now_ms + (60 + dice.below(180)) as i64 * 60_000,
            duty: Duty::None,
            refusal_permille: 0,
        })
        .collect();
    Problem {
        now_ms,
        orders,
        drivers,
        tentative: Vec::new(),
        travel: Travel::straight(320.0, 60_000),
        ..Problem::default()
    }
}

/// How long orders wait for their pickup, where the plan may do no more than the Hungarian: one order per driver.
fn compare(problem: &Problem, optimum_ms: i64) -> String {
    let config = Config {
        bundle_max: 1,
        trips_max: 1,
        shift_price_permille: 0,
        ..Config::default()
    };
    let cost = matrix(problem);
    let Plan { tentative, .. } = plan(problem, &config);
    let pairs = tentative
        .iter()
        .map(|trip| cost[place(trip.orders[0])][place(trip.driver)]);
    let (served, total_ms) = pairs.fold((0_usize, 0), |(served, total_ms), ms| (served + 1, total_ms + ms));
    let minutes = |ms: i64, orders: usize| ms as f64 / orders.max(1) as f64 / 60_000.0;
    format!(
        "wait per order {:.3} min ({} left out), optimum {:.3} min; ",
        minutes(total_ms, served),
        problem.orders.len() - served,
        minutes(optimum_ms, problem.orders.len())
    )
}
