//! One region and the hub, thirty orders by simulated people.

use std::sync::Arc;
use std::time::Duration;

use tomato_tests::city::Staff;
use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::city::traffic::{Quota, Traffic};
use tomato_tests::city::world::Size;
use tomato_tests::compare::settle;
use tomato_tests::stack::{Stack, StackPlan};

const ORDERS: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_orders_come_to_their_end_and_the_hub_knows_them() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(120.0)).unwrap();
    stack.start().await.unwrap();
    let tracker = Arc::new(Tracker::default());
    let size = Size {
        restaurants: 6,
        drivers: 20,
        customers: 50,
    };
    let habits = Habits {
        orders_per_min: 3.0,
        ..Habits::default()
    };
    let city = stack.city("blr", (1, size), habits, &tracker).await;
    let staff = Staff::start(&city);
    let traffic = Traffic::run(city.clone(), Quota::Orders(ORDERS));
    let counts = || tracker.counts(&city.world.ground.region);
    if tokio::time::timeout(Duration::from_secs(120), traffic).await.is_err() {
        panic!(
            "orders do not end: {:?}, complaints {:#?}",
            counts(),
            tracker.complaints()
        );
    }
    drop(staff);
    let found = settle(&stack, &tracker, Duration::from_secs(20)).await.unwrap();
    assert_eq!(found.differences, Vec::<String>::new());
    assert_eq!((counts().placed, counts().ended()), (ORDERS, ORDERS));
    assert!(counts().delivered >= ORDERS / 2, "{:?}", counts());
    assert_eq!(tracker.complaints(), Vec::<String>::new());
    stack.stop().await.unwrap();
}
