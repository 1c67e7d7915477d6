//! Keeps customers coming until enough of their orders were placed. A wish that is refused (sold out, closed) is
//! followed by one more customer, so that a run of N orders places exactly N.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tomato_shared::time::UnixMs;

use super::City;
use super::customer;
use super::plan::Plans;

/// Customers of one region.
#[derive(Debug)]
pub struct Traffic {
    customers: JoinSet<()>,
}

/// How many orders to place.
#[derive(Debug, Clone)]
pub enum Quota {
    /// So many, then no more.
    Orders(u64),
    /// Until this turns true.
    Until(watch::Receiver<bool>),
    /// Without end.
    Endless,
}

impl Traffic {
    /// Lets customers come from now on, as the city's seed plans, and returns when the quota is placed and each of
    /// their orders is final. Never returns when endless.
    pub async fn run(city: Arc<City>, quota: Quota) {
        let mut traffic = Self {
            customers: JoinSet::new(),
        };
        let region = &city.world.ground.region;
        let before = city.tracker.counts(region).placed;
        let mut plans = Plans::new(city.seed, &city.world, &city.habits);
        let starts_at = city.clock.now();
        let mut changes = city.tracker.changes();
        // A quota that is used up by refusals only, as everything is sold out, must not wait for gaps of the plan.
        let mut latest = UnixMs(i64::MIN);
        loop {
            while traffic.customers.try_join_next().is_some() {}
            let counts = city.tracker.counts(region);
            let placed = counts.placed - before;
            let (wanted, done) = match &quota {
                Quota::Endless => (true, false),
                Quota::Orders(orders) => (placed + counts.asking < *orders, placed == *orders),
                Quota::Until(closing) => (!*closing.borrow(), counts.asking == 0),
            };
            if wanted {
                let Some(plan) = plans.next() else { return };
                latest = latest.max(starts_at + plan.opens_after);
                city.clock.pause_until(latest).await;
                city.tracker.asks(region, plan.number);
                traffic.customers.spawn(customer::run(city.clone(), plan));
            } else if done {
                while traffic.customers.join_next().await.is_some() {}
                return;
            } else if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
