//! kill -9 of each process under traffic: everything that was answered is there, the run completes, the hub agrees.

use std::sync::Arc;
use std::time::Duration;

use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::{Counts, Tracker};
use tomato_tests::city::traffic::{Quota, Traffic};
use tomato_tests::city::world::Size;
use tomato_tests::city::{City, Staff};
use tomato_tests::compare::settle;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::wait_until;

const ORDERS: u64 = 40;
const LIMIT: Duration = Duration::from_secs(150);

/// A region and the hub, with people.
struct Run {
    stack: Stack,
    tracker: Arc<Tracker>,
    city: Arc<City>,
    staff: Staff,
    traffic: tokio::task::JoinHandle<()>,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(90.0)).unwrap();
        stack.start().await.unwrap();
        Self::with(stack, seed).await
    }

    async fn with(stack: Stack, seed: u64) -> Self {
        let tracker = Arc::new(Tracker::default());
        let size = Size {
            restaurants: 6,
            drivers: 20,
            customers: 50,
        };
        let habits = Habits {
            orders_per_min: 2.0,
            ..Habits::default()
        };
        let city = stack.city("blr", (seed, size), habits, &tracker).await;
        let staff = Staff::start(&city);
        let traffic = tokio::spawn(Traffic::run(city.clone(), Quota::Orders(ORDERS)));
        Self {
            stack,
            tracker,
            city,
            staff,
            traffic,
        }
    }

    fn counts(&self) -> Counts {
        self.tracker.counts(&self.city.world.ground.region)
    }

    /// Waits until so many orders are placed, so that some of them are at every stage.
    async fn placed(&self, orders: u64) {
        wait_until("orders to be placed", LIMIT, async || {
            (self.counts().placed >= orders).then_some(())
        })
        .await;
    }

    async fn finish(self) {
        let Self {
            mut stack,
            tracker,
            city,
            staff,
            traffic,
        } = self;
        if tokio::time::timeout(LIMIT, traffic).await.is_err() {
            let counts = tracker.counts(&city.world.ground.region);
            panic!("orders do not end: {counts:?}, complaints {:#?}", tracker.complaints());
        }
        drop(staff);
        let found = settle(&stack, &tracker, Duration::from_secs(60)).await.unwrap();
        assert_eq!(found.differences, Vec::<String>::new());
        let counts = tracker.counts(&city.world.ground.region);
        assert_eq!((counts.placed, counts.ended()), (ORDERS, ORDERS));
        assert_eq!(tracker.complaints(), Vec::<String>::new());
        stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_goes_on_where_it_was() {
    let mut run = Run::start(11).await;
    for orders in [8, 16, 24] {
        run.placed(orders).await;
        let node = run.stack.node("blr");
        node.server.kill9();
        node.server.start().await.unwrap();
    }
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_hub_catches_up() {
    let mut run = Run::start(12).await;
    for orders in [8, 20] {
        run.placed(orders).await;
        run.stack.hub().server.kill9();
        run.placed(orders + 6).await;
        run.stack.hub().server.start().await.unwrap();
    }
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_brokers_are_replaced() {
    let mut run = Run::start(13).await;
    for orders in [8, 20] {
        run.placed(orders).await;
        let node = run.stack.node("blr");
        let old = node.server.kill_nats().unwrap();
        let replaced = async || node.server.nats_pid().filter(|pid| *pid != old);
        wait_until("another nats-server of the region", LIMIT, replaced).await;
        run.placed(orders + 6).await;
        let hub = &run.stack.hub().server;
        let old = hub.kill_nats().unwrap();
        wait_until("another nats-server of the hub", LIMIT, async || {
            hub.nats_pid().filter(|pid| *pid != old)
        })
        .await;
    }
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_sells_before_the_hub_is_there() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(90.0)).unwrap();
    stack.start_nodes().await.unwrap();
    let mut run = Run::with(stack, 14).await;
    let delivered = async || (run.counts().delivered >= 10).then_some(());
    wait_until("ten deliveries without a hub", LIMIT, delivered).await;
    run.stack.hub().server.start().await.unwrap();
    run.finish().await;
}
