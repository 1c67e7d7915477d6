//! What each idea of the dispatcher brings: the same instances with one idea left out at a time.
//!
//! Measured on the six published instances (3,935 orders; means over instances; undelivered beyond the impossible; `known` and
//! `estimated` preparation) with the default settings. Single runs differ by 0.1 min with known and by 0.2 with estimated
//! preparation when anything at all changes, so smaller differences prove nothing.
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
//! | accepting worse on the way | 32.37 (-0.04) | 1 | 11.24 | 34.80 (+0.11) | 5 | 11.13 |
//! | taking out whole schedules | 32.24 (-0.17) | 0 | 11.16 | 34.86 (+0.17) | 4 | 11.14 |
//! | the last round's plan | 32.78 (+0.37) | 1 | 11.26 | 34.87 (+0.18) | 4 | 11.12 |
//! | the price of shift time | 32.41 (+0.00) | 0 | 11.31 | 34.64 (-0.05) | 4 | 11.11 |
//! | late rather than never | 32.47 (+0.07) | 4 | 11.17 | 34.77 (+0.08) | 6 | 11.11 |
//! | likely moments, not the mean | - | - | - | 36.31 (+1.62) | 5 | 11.07 |
//! | each restaurant's own past | - | - | - | 34.69 (-0.00) | 2 | 11.09 |
//! | the hour of the day | - | - | - | 34.72 (+0.03) | 5 | 11.10 |

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
const IDEAS: [Idea; 13] = [
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
    ("accepting worse on the way", |setup| setup.config.heat_ms = 0),
    ("taking out whole schedules", |setup| setup.config.whole_percent = 0),
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

/// Replays all instances once with everything and once without each idea; hands each line of the table to `say`. Returns how
/// many rules were broken: none counts.
pub fn table(instances: &[Instance], prep: Prep, say: &mut dyn FnMut(&str)) -> usize {
    let whole = Setup::of(Policy::Matching, prep);
    say(&format!(
        "{:34}{:>7}{:>7}{:>7}{:>5}{:>6}{:>7}{:>7}",
        "without", "pCtD", "worse", "p90", "und", "late", "cost", "RtP"
    ));
    let mut broken = 0;
    let mut all = |setup: &Setup| {
        let rows = instances.iter().map(|instance| {
            let (_, row, faults) = run(instance, setup, &|| 0.0);
            broken += faults.len();
            row
        });
        summary::suite(&rows.collect::<Vec<_>>())
    };
    let full = all(&whole);
    say(&line("(nothing left out)", &full, &full));
    let unsure: &[Idea] = if prep == Prep::Known { &[] } else { &UNSURE };
    for (name, without) in IDEAS.iter().chain(unsure) {
        let mut setup = whole.clone();
        without(&mut setup);
        say(&line(name, &all(&setup), &full));
    }
    broken
}

fn line(name: &str, row: &Summary, full: &Summary) -> String {
    format!(
        "{name:34}{:7.2}{:+7.2}{:7.1}{:5}{:6}{:7.2}{:7.2}",
        row.pctd,
        row.pctd - full.pctd,
        row.ctd_p90,
        row.undelivered_beyond,
        row.over_limit,
        row.cost_per_order,
        row.rtp_mean
    )
}
