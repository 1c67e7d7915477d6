//! A city at work in a stack that runs, whose orders are counted, and compared at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinError;

use crate::city::habits::Habits;
use crate::city::tracker::{Counts, Tracker};
use crate::city::traffic::{Quota, Traffic};
use crate::city::world::Size;
use crate::city::{City, Staff};
use crate::compare::settle;
use crate::stack::Stack;
use crate::wait::poll_until;

/// How long a quota may take.
const SERVE_LIMIT: Duration = Duration::from_secs(600);
/// How long the hub may take to catch up after the last order.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);

/// A city at work.
#[derive(Debug)]
pub struct Town {
    pub city: Arc<City>,
    pub tracker: Arc<Tracker>,
    staff: Staff,
}

impl Town {
    /// People in a region that runs, who order four times in a simulated minute.
    pub async fn open(stack: &Stack, region: &str, seed: u64) -> Self {
        Self::of_pace(stack, (region, seed), 4.0).await
    }

    /// The same with another pace; as many more drivers as it needs.
    pub async fn of_pace(stack: &Stack, (region, seed): (&str, u64), orders_per_min: f64) -> Self {
        let tracker = Arc::new(Tracker::default());
        let more = (orders_per_min / 4.0).max(1.0);
        let size = Size {
            restaurants: (6.0 * more) as usize,
            drivers: (20.0 * more) as usize,
            customers: (60.0 * more) as usize,
        };
        let habits = Habits {
            orders_per_min,
            // Nobody waits for an hour in a test; scheduled orders have tests of their own.
            scheduled: 0.0,
            ..Habits::default()
        };
        let city = stack.city(region, (seed, size), habits, &tracker).await;
        let staff = Staff::start(&city);
        Self { city, tracker, staff }
    }

    /// Orders by state so far.
    pub fn counts(&self) -> Counts {
        self.tracker.counts(&self.city.world.ground.region)
    }

    /// Runs until `orders` are final, while `meanwhile` happens.
    pub async fn serve(&self, orders: u64, meanwhile: impl Future<Output = ()>) {
        let traffic = Traffic::run(self.city.clone(), Quota::Orders(orders));
        let both = async { tokio::join!(traffic, meanwhile) };
        if tokio::time::timeout(SERVE_LIMIT, both).await.is_err() {
            panic!(
                "orders do not end: {:?}, complaints {:#?}",
                self.counts(),
                self.tracker.complaints()
            );
        }
    }

    /// Customers come while `meanwhile` goes on; then no more, and those who have ordered are served. An error names the
    /// orders that did not end.
    pub async fn serve_while<T>(&self, meanwhile: impl Future<Output = T>) -> Result<T, String> {
        Self::serve_all_while(&[self], meanwhile).await
    }

    /// The same in several towns, which close at the same time.
    pub async fn serve_all_while<T>(towns: &[&Self], meanwhile: impl Future<Output = T>) -> Result<T, String> {
        let (closing, closed) = watch::channel(false);
        let serve = |town: &&Self| tokio::spawn(Traffic::run(town.city.clone(), Quota::Until(closed.clone())));
        let traffic: Vec<_> = towns.iter().map(serve).collect();
        let value = meanwhile.await;
        closing.send_replace(true);
        let ended = async {
            for town in traffic {
                town.await?;
            }
            Ok::<_, JoinError>(value)
        };
        match tokio::time::timeout(SERVE_LIMIT, ended).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => {
                let counts: Vec<_> = towns.iter().map(|town| town.counts()).collect();
                Err(format!("orders do not end: {counts:?}"))
            }
        }
    }

    /// Waits until so many orders were placed.
    pub async fn until_placed(&self, orders: u64) -> Result<(), String> {
        let reached = async || (self.counts().placed >= orders).then_some(());
        poll_until("more orders", Duration::from_secs(300), reached).await
    }

    /// Everybody goes home; hub and region have to agree, order by order, and every placed order has to be final.
    pub async fn close(self, stack: &Stack, orders: u64) {
        let (counts, differences) = self.differences(stack).await;
        assert_eq!(differences, Vec::<String>::new());
        assert_eq!((counts.placed, counts.ended()), (orders, orders));
        assert!(counts.delivered >= orders / 2, "{counts:?}");
    }

    /// Everybody goes home. What they had, and everything in which hub and region differ, complaints included.
    pub async fn differences(self, stack: &Stack) -> (Counts, Vec<String>) {
        let (counts, tracker) = (self.counts(), self.tracker);
        drop(self.staff);
        let found = settle(stack, &tracker, SETTLE_LIMIT).await;
        (
            counts,
            found.map_or_else(|error| vec![error], |found| found.differences),
        )
    }
}
