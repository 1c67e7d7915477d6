//! One replay from start to checked summary.

use crate::engine::matching::{self, Assignment, Config, PrepModel, PrepPrior, Problem, Ready};

use super::ablation::Withheld;
use super::check;
use super::instance::Instance;
use super::outcome::Outcome;
use super::simulate::{MINUTE_MS, Rules, restaurant_id, simulate};
use super::summary::{Summary, summarise};

/// Which dispatcher decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// The classic: ready food, nearest idle courier.
    Nearest,
    /// The rolling plan.
    Matching,
}

/// What the dispatcher may know of preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Prep {
    /// An order's ready time is known from its placement on.
    Known,
    /// It is seen when it comes; until then there is only what this replay's earlier orders taught.
    Estimated,
    /// The same, but every restaurant's mean over the whole instance is given, as in the published experiment.
    HistoricMean,
}

/// An order teaches this long after its placement, or as it gets ready if that is later: earlier, quick ones would be
/// over-represented.
const LEARN_AFTER_MIN: i64 = 45;

/// What a restaurant's mean over the instance weighs in `HistoricMean`, in orders.
const HISTORY_ORDERS: usize = 60;

/// How an instance is replayed.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The dispatcher's settings; what the instance prescribes goes before.
    pub config: Config,
    /// Which dispatcher.
    pub policy: Policy,
    /// What is known of preparation,
    pub prep: Prep,
    /// and what is believed before anything is.
    pub prior: PrepPrior,
    /// What is kept from the dispatcher.
    pub withheld: Withheld,
}

impl Setup {
    /// The dispatcher as it is.
    pub fn of(policy: Policy, prep: Prep) -> Self {
        Self {
            config: Config::default(),
            policy,
            prep,
            prior: PrepPrior::default(),
            withheld: Withheld::Nothing,
        }
    }
}

/// Replays `instance`; returns the solution, its measures and every rule it breaks. `clock_ms` times the rounds and
/// decides nothing. Cost: one plan per minute in which an order waits.
pub fn run(instance: &Instance, setup: &Setup, clock_ms: &dyn Fn() -> f64) -> (Outcome, Summary, Vec<String>) {
    let config = &by_the_rules(instance, &setup.config);
    let mut tentative = Vec::new();
    let mut decide = |problem: &mut Problem| -> Vec<Assignment> {
        if setup.policy == Policy::Nearest {
            return matching::nearest(problem, config).assignments;
        }
        problem.tentative = std::mem::take(&mut tentative);
        setup.withheld.take_from(problem, config);
        let plan = matching::plan(problem, config);
        tentative = plan.tentative;
        plan.assignments
    };
    let mut kitchen = Kitchen::new(instance, setup);
    let mut reveal = |order: usize, now: i64| kitchen.reveal(order, now);
    let outcome = simulate(
        instance,
        &mut Rules {
            decide: &mut decide,
            reveal: &mut reveal,
            clock_ms,
        },
    );
    let summary = summarise(instance, &outcome);
    let faults = check::check(instance, &outcome);
    (outcome, summary, faults)
}

/// `config` with what the instance prescribes.
fn by_the_rules(instance: &Instance, config: &Config) -> Config {
    let (pickup_ms, dropoff_ms) = (
        instance.half_pickup_min() * MINUTE_MS,
        instance.half_dropoff_min() * MINUTE_MS,
    );
    Config {
        pickup_before_ms: pickup_ms,
        pickup_after_ms: pickup_ms,
        dropoff_before_ms: dropoff_ms,
        dropoff_after_ms: dropoff_ms,
        click_to_door_ms_max: (instance.max_ctd_min * MINUTE_MS as f64) as i64,
        ..config.clone()
    }
}

/// Nobody promises anything in an instance: the same for every order.
const PROMISED_MS: i64 = 17 * MINUTE_MS;

/// What has been learned of preparation so far, and what may be shown of it.
struct Kitchen<'a> {
    instance: &'a Instance,
    prep: Prep,
    model: PrepModel,
    learned: Vec<bool>,
    learned_until_min: i64,
}

impl Kitchen<'_> {
    fn new<'a>(instance: &'a Instance, setup: &Setup) -> Kitchen<'a> {
        let mut model = PrepModel::new(setup.prior.clone());
        if setup.prep == Prep::HistoricMean {
            let mut sums = vec![(0, 0); instance.restaurants.len()];
            for order in &instance.orders {
                sums[order.restaurant].0 += 1;
                sums[order.restaurant].1 += (order.ready_min - order.placed_min) * MINUTE_MS;
            }
            for (restaurant, &(count, sum_ms)) in sums.iter().enumerate().filter(|(_, sum)| sum.0 > 0) {
                for _ in 0..HISTORY_ORDERS {
                    model.observe(restaurant_id(restaurant), 0, PROMISED_MS, sum_ms / count);
                }
            }
            // Means say nothing about the spread around them.
            model.reset_shape();
        }
        Kitchen {
            instance,
            prep: setup.prep,
            model,
            learned: vec![false; instance.orders.len()],
            learned_until_min: i64::MIN,
        }
    }

    fn reveal(&mut self, order: usize, now: i64) -> Ready {
        let row = &self.instance.orders[order];
        if self.prep == Prep::Known || row.ready_min <= now {
            return Ready::At(row.ready_min * MINUTE_MS);
        }
        if self.prep == Prep::Estimated && self.learned_until_min < now {
            self.learn(now);
        }
        Ready::Likely(self.model.remaining(
            restaurant_id(row.restaurant),
            row.placed_min * MINUTE_MS,
            PROMISED_MS,
            now * MINUTE_MS,
        ))
    }

    fn learn(&mut self, now: i64) {
        self.learned_until_min = now;
        for (index, row) in self.instance.orders.iter().enumerate() {
            if !self.learned[index] && row.placed_min + LEARN_AFTER_MIN <= now && row.ready_min <= now {
                self.learned[index] = true;
                let restaurant = restaurant_id(row.restaurant);
                self.model.observe(
                    restaurant,
                    row.placed_min * MINUTE_MS,
                    PROMISED_MS,
                    row.ready_min * MINUTE_MS,
                );
            }
        }
    }
}
