//! One region and the hub, thirty orders by simulated people.

use tomato_tests::stack::{Stack, StackPlan};

use crate::Town;

const ORDERS: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_orders_come_to_their_end_and_the_hub_knows_them() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(120.0)).unwrap();
    stack.start().await.unwrap();
    let town = Town::open(&stack, "blr", 1).await;
    town.serve(ORDERS, async {}).await;
    let tracker = town.tracker.clone();
    town.close(&stack, ORDERS).await;
    assert_eq!(tracker.complaints(), Vec::<String>::new());
    stack.stop().await.unwrap();
}
