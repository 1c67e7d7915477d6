//! Dispatch: which driver fetches which order, when. A pure function, shared by the live node and the replay harness.
//!
//! One round: compile the problem to indices sorted by id (`work`), take over pickups under way and the last round's
//! plan (`search`), insert what is left greedily, improve by ruin and recreate within a work budget (`improve`), commit
//! only what must start before the next round (`commit`). It knows no clock, no store and no network.
//!
//! A live region fills [`Problem`] each round from the writer's committed state: orders that are accepted and not picked up
//! (`Ready::At` once the restaurant says so, else [`PrepModel::remaining`]); drivers who are signed on, each at the last
//! drop-off and free when that is done, an open offer or an accepted pickup as [`Duty::Pickup`]. It keeps [`Plan::tentative`] in
//! memory for the next round, sets `cycle_ms` to the time between rounds and `click_to_door_ms_max` far away (late is better
//! than never), and carries assignments out as compare-and-set commands; two that swap orders belong in one batch.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "indices count the orders and drivers of one region, far below 2^32; times are ms of days and places metres of \
              one region, far below 2^53; a float that is neither saturates"
)]

mod commit;
mod config;
mod grid;
mod hints;

mod improve;
mod nearest;
mod prep;
mod problem;
mod search;
#[cfg(test)]
mod tests;
mod travel;
mod trip;
mod work;

pub use config::Config;
pub use hints::{Demand, Hint};
pub use nearest::nearest;
pub use prep::{PrepModel, PrepPrior};
pub use problem::{Driver, Duty, Order, Point, Problem, Ready, Tentative};
pub use travel::{LearnedSpeeds, Table, TablePoint, Travel};
pub use work::{BUNDLE_MAX, TRIPS_MAX};

use search::Search;
use tomato_shared::id::{DriverId, OrderId, RestaurantId};
use work::Work;

const MINUTE_MS: i64 = 60_000;

/// Send this driver to this restaurant now, for these orders in this order of delivery. For a driver who is already on
/// the way (`changed`), the set replaces the former one. Times are expected ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Who goes.
    pub driver: DriverId,
    /// Where to; the first, where two restaurants share a trip.
    pub restaurant: RestaurantId,
    /// What for, in the order of delivery; at least one, at most [`BUNDLE_MAX`]. Of two restaurants the one that comes up first
    /// is gone to first, and both before the first door.
    pub orders: Vec<OrderId>,
    /// The driver is on the way there already; only the set is new.
    pub changed: bool,
    /// Expected arrival, ms since the epoch.
    pub arrive_ms: i64,
    /// Expected pickup, ms since the epoch.
    pub pickup_ms: i64,
    /// One line for the dispatch board.
    pub why: String,
}

/// What a round has in mind for one order.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Which.
    pub order: OrderId,
    /// Who would fetch it; nobody where it is left out.
    pub driver: Option<DriverId>,
    /// Expected pickup, ms since the epoch.
    pub pickup_ms: i64,
    /// Expected hand-over, ms since the epoch.
    pub door_ms: i64,
    /// Who else could be at the restaurant first, and when.
    pub runner_up: Option<(DriverId, i64)>,
}

/// What a round decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To be carried out now, by driver id; no order and no driver twice.
    pub assignments: Vec<Assignment>,
    /// Planned beyond that; give it back as `Problem::tentative` next time.
    pub tentative: Vec<Tentative>,
    /// What is planned for every order, by id.
    pub orders: Vec<Planned>,
    /// Where idle drivers had better wait; never binding.
    pub hints: Vec<Hint>,
    /// The work budget ran out before the improvement began: the plan is greedy.
    pub degraded: bool,
    /// Schedule evaluations spent.
    pub evaluations: u64,
    /// Expected waiting of all customers and the prices of `Config`, ms.
    pub planned_cost_ms: i64,
    /// Needed over available driver time, per mille.
    pub load_permille: i64,
}

/// Plans one round. Any number of orders and drivers; duplicates by id are ignored; the order of the input does not
/// matter. Empty in, empty out; never fails. Source: rolling horizon after Reyes et al. 2018; ruin and recreate after
/// Schrimpf et al. 2000 and Christiaens and Vanden Berghe 2020.
pub fn plan(problem: &Problem, config: &Config) -> Plan {
    let work = Work::new(problem, config);
    let mut search = Search::new(&work);
    search.resume();
    search.construct();
    let degraded = search.spent >= config.work_max;
    search.improve();
    Plan {
        assignments: commit::commit(&search),
        tentative: commit::tentative(&search),
        orders: commit::planned(&search),
        hints: hints::hints(&search),
        degraded,
        evaluations: search.spent,
        planned_cost_ms: search.total_ms(),
        load_permille: work.load_permille,
    }
}
