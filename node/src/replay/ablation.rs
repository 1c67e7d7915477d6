//! What each idea of the dispatcher brings: the same instances with one idea left out at a time.
//!
//! Measured on the six published instances (3,935 orders; means over instances; undelivered beyond the impossible; `known` and
//! `estimated` preparation). One search differs from the next, with other numbers, by 0.04 to 0.08 min (standard deviation of
//! three; 0.12 on six made-up instances), so that a row of one search proves nothing below 0.15. The rows are of one search each,
//! at commit 6884a0d.
//!
//! | without | pCtD known | undelivered | pay per order | pCtD estimated | undelivered | pay per order |
//! |---|---|---|---|---|---|---|
//! | (nothing left out) | 32.41 (+0.00) | 1 | 11.16 | 34.69 (+0.00) | 3 | 11.12 |
//! | orders before they are ready | 41.30 (+8.89) | 10 | 11.79 | 41.30 (+6.61) | 10 | 11.79 |
//! | drivers before they are free | 33.67 (+1.26) | 7 | 10.92 | 36.42 (+1.73) | 21 | 10.87 |
//! | bundles | 33.78 (+1.38) | 31 | 11.16 | 35.96 (+1.27) | 61 | 11.11 |
//! | bundles of more than two | 32.41 (+0.01) | 0 | 11.17 | 34.69 (-0.00) | 5 | 11.10 |
//! | sets that change until pickup | 32.47 (+0.07) | 1 | 11.20 | 35.06 (+0.37) | 5 | 11.10 |
//! | a second trip ahead | 33.49 (+1.09) | 29 | 11.12 | 36.18 (+1.49) | 58 | 11.06 |
//! | sending only who must start now | 32.59 (+0.18) | 1 | 11.19 | 34.79 (+0.10) | 3 | 11.12 |
//! | improvement (ruin and recreate) | 35.77 (+3.36) | 2 | 11.13 | 39.17 (+4.48) | 27 | 11.12 |
//! | the last round's plan | 32.78 (+0.37) | 1 | 11.26 | 34.87 (+0.18) | 4 | 11.12 |
//! | the price of shift time | 32.41 (+0.00) | 0 | 11.31 | 34.64 (-0.05) | 4 | 11.11 |
//! | late rather than never | 32.47 (+0.07) | 4 | 11.17 | 34.77 (+0.08) | 6 | 11.11 |
//! | likely moments, not the mean | - | - | - | 36.31 (+1.62) | 5 | 11.07 |
//! | each restaurant's own past | - | - | - | 34.69 (-0.00) | 2 | 11.09 |
//! | the hour of the day | - | - | - | 34.72 (+0.03) | 5 | 11.10 |
//!
//! At commit e1495ae, means of three searches: nothing left out 32.39 and 34.71 (11.24 and 11.11 per order); without orders before
//! they are ready 41.29 and 41.29; without drivers before they are free 33.87 (known); without the price of shift time 32.52 (11.38 per order)
//! and 34.61 (11.10): it brings 0.13 min and 0.14 per order where ready times are known, and costs 0.10 min where they are not.
//!
//! Two ideas went because they brought nothing: taking out whole schedules of neighbouring drivers, and accepting worse plans on the
//! way. Means of three searches, known and estimated: with both 32.38 and 34.74, without whole schedules 32.40 (of four) and 34.82,
//! without both 32.39 and 34.71; on six made-up instances (two searches, known) 35.42 with both and 35.48 without. These were tried and brought nothing either: a price for drivers' time (0.15 of it: 32.71, 34.88) or
//! for the way back (32.35, 34.72), insertion that skips places by chance (32.34, 34.67), a third trip ahead (32.40), ready times within a
//! trip that are independent (34.91), leaving two minutes earlier for food that is not certain (34.80).
//!
//! A restaurant's own past and the hour show nothing here because an instance is one day, in which most restaurants have a handful of
//! orders; with every restaurant's mean given (`--prep historic-mean`, as in the published experiment) it is 34.22. A region
//! learns for longer than a day.

use super::instance::Instance;
use super::run::{Policy, Prep, Setup, run};
use super::summary::{self, Summary};
use crate::engine::matching::{Config, Duty, Order, Problem, Ready};

/// A weight against which nothing that was seen counts.
const NOTHING_COUNTS: f64 = 1e12;
/// Longer than any trip is planned ahead.
const AHEAD_MS: i64 = 4 * 3_600_000;

/// What the dispatcher is not told, or may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Withheld {
    /// All is as it should be.
    #[default]
    Nothing,
    /// Orders whose food is not ready.
    NotReady,
    /// Drivers who are not free yet.
    NotFree,
    /// What the last round had in mind.
    LastPlan,
    /// That a pickup that nobody has made yet can still change.
    OpenPickups,
    /// How much an uncertain preparation time may be off: its mean instead.
    Spread,
}

impl Withheld {
    /// Takes it out of what a round is told.
    pub(super) fn take_from(self, problem: &mut Problem, config: &Config) {
        let now_ms = problem.now_ms;
        match self {
            Withheld::Nothing => {}
            Withheld::NotReady => {
                let is_ready = |order: &Order| matches!(order.ready, Ready::At(ms) if ms <= now_ms);
                problem.orders.retain(is_ready);
            }
            Withheld::NotFree => {
                let is_there = |free_ms: i64, duty: &Duty| free_ms <= now_ms || *duty != Duty::None;
                problem.drivers.retain(|driver| is_there(driver.free_ms, &driver.duty));
            }
            Withheld::LastPlan => problem.tentative.clear(),
            Withheld::OpenPickups => close_pickups(problem, config),
            Withheld::Spread => {
                for order in &mut problem.orders {
                    if let Ready::Likely(moments) = &order.ready {
                        let mean_ms = moments.iter().sum::<i64>() / (moments.len() as i64).max(1);
                        order.ready = Ready::Likely(vec![mean_ms]);
                    }
                }
            }
        }
    }
}

/// Drivers under way are busy until they have brought what they were sent for.
fn close_pickups(problem: &mut Problem, config: &Config) {
    let (now_ms, travel) = (problem.now_ms, &problem.travel);
    let mut gone = Vec::new();
    for driver in &mut problem.drivers {
        let Duty::Pickup { arrive_ms, orders, .. } = std::mem::replace(&mut driver.duty, Duty::None) else {
            continue;
        };
        let held = orders
            .iter()
            .filter_map(|id| problem.orders.iter().find(|order| order.id == *id));
        let held: Vec<&Order> = held.collect();
        let ready_ms = held.iter().map(|order| match &order.ready {
            Ready::At(ms) => *ms,
            Ready::Likely(moments) => moments.get(moments.len() / 2).copied().unwrap_or(now_ms),
        });
        let there_ms = (arrive_ms + config.pickup_before_ms).max(now_ms);
        driver.free_ms = there_ms.max(ready_ms.max().unwrap_or(now_ms)) + config.pickup_after_ms;
        for order in held {
            driver.free_ms += travel.ms(driver.at, order.customer_at, now_ms);
            driver.free_ms += config.dropoff_before_ms + config.dropoff_after_ms;
            driver.at = order.customer_at;
        }
        gone.extend(orders);
    }
    problem.orders.retain(|order| !gone.contains(&order.id));
}

/// An idea: what it is called, and a setup without it.
type Idea = (&'static str, fn(&mut Setup));

/// Ideas that make a difference whatever is known of preparation.
const IDEAS: [Idea; 11] = [
    ("orders before they are ready", |setup| {
        setup.withheld = Withheld::NotReady
    }),
    ("drivers before they are free", |setup| {
        setup.withheld = Withheld::NotFree
    }),
    ("bundles", |setup| setup.config.bundle_max = 1),
    ("bundles of more than two", |setup| setup.config.bundle_max = 2),
    ("sets that change until pickup", |setup| {
        setup.withheld = Withheld::OpenPickups
    }),
    ("a second trip ahead", |setup| setup.config.trips_max = 1),
    ("sending only who must start now", |setup| {
        setup.config.cycle_ms = AHEAD_MS
    }),
    ("improvement (ruin and recreate)", |setup| setup.config.improve_work = 0),
    ("the last round's plan", |setup| setup.withheld = Withheld::LastPlan),
    ("the price of shift time", |setup| setup.config.shift_price_permille = 0),
    ("late rather than never", |setup| {
        setup.config.late_if_unavoidable = false
    }),
];

/// Ideas about preparation times that are not known.
const UNSURE: [Idea; 3] = [
    ("likely moments, not the mean", |setup| {
        setup.withheld = Withheld::Spread
    }),
    ("each restaurant's own past", |setup| {
        setup.prior.restaurant_orders = NOTHING_COUNTS
    }),
    ("the hour of the day", |setup| setup.prior.hour_orders = NOTHING_COUNTS),
];

/// Which ideas are left out, and how often.
#[derive(Debug, clap::Args)]
pub struct Scope {
    /// Only ideas whose name holds this, in the table of `--ablation`; may be repeated.
    #[arg(long, value_name = "TEXT", requires = "ablation")]
    idea: Vec<String>,
    /// Searches per row of that table, each with another sequence of numbers: means, and how far single ones differ.
    #[arg(long, value_name = "COUNT", requires = "ablation", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
}

/// Replays all instances with everything and without each idea; hands each line of the table to `say`. Returns how many rules
/// were broken: none counts.
pub fn table(instances: &[Instance], prep: Prep, scope: &Scope, say: &mut dyn FnMut(&str)) -> usize {
    let whole = Setup::of(Policy::Matching, prep);
    say(&format!(
        "{:34}{:>7}{:>7}{:>7}{:>7}{:>6}{:>6}{:>7}{:>7}",
        "without", "pCtD", "worse", "+-", "p90", "und", "late", "cost", "RtP"
    ));
    let mut broken = 0;
    let mut all = |setup: &Setup| {
        let mut played = setup.clone();
        let mut suites = Vec::new();
        for seed in 0..scope.seeds {
            played.config.seed = seed;
            let rows = instances.iter().map(|instance| {
                let (_, row, faults) = run(instance, &played, &|| 0.0);
                broken += faults.len();
                row
            });
            suites.push(summary::suite(&rows.collect::<Vec<_>>()));
        }
        suites
    };
    let full = all(&whole);
    say(&line("(nothing left out)", &full, &full));
    let unsure: &[Idea] = if prep == Prep::Known { &[] } else { &UNSURE };
    let asked_for = |name: &str| scope.idea.is_empty() || scope.idea.iter().any(|text| name.contains(text));
    for (name, without) in IDEAS.iter().chain(unsure).filter(|(name, _)| asked_for(name)) {
        let mut setup = whole.clone();
        without(&mut setup);
        say(&line(name, &all(&setup), &full));
    }
    broken
}

/// Means over searches; of the click to door also the standard deviation of a single one.
fn line(name: &str, rows: &[Summary], full: &[Summary]) -> String {
    let mean = |rows: &[Summary], of: fn(&Summary) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    let of = |field| mean(rows, field);
    let pctd = of(|row| row.pctd);
    let squares = rows.iter().map(|row| (row.pctd - pctd).powi(2)).sum::<f64>();
    format!(
        "{name:34}{pctd:7.2}{:+7.2}{:7.2}{:7.1}{:6.1}{:6.1}{:7.2}{:7.2}",
        pctd - mean(full, |row| row.pctd),
        (squares / (rows.len() as f64 - 1.0).max(1.0)).sqrt(),
        of(|row| row.ctd_p90),
        of(|row| row.undelivered_beyond as f64),
        of(|row| row.over_limit as f64),
        of(|row| row.cost_per_order),
        of(|row| row.rtp_mean)
    )
}
