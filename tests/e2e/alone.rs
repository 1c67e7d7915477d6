//! A region without its hub.

use std::time::Duration;

use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::Town;

const ORDERS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_delivers_without_a_hub_which_catches_up_when_it_appears() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(120.0)).unwrap();
    stack.start_nodes().await.unwrap();
    let town = Town::open(&stack, "blr", 21).await;
    town.serve(ORDERS, async {}).await;
    let outbox = stack.node("blr").api.overview().await.unwrap().outbox;
    assert_eq!(
        outbox.watermark_seq, 0,
        "nobody has told the region that its events are safe"
    );
    assert!(outbox.head_seq > 8 * ORDERS);
    stack.hub().server.start().await.unwrap();
    town.close(&stack, ORDERS).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_is_ready_while_its_broker_is_killed_again_and_again() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(120.0).without_hub()).unwrap();
    stack.start().await.unwrap();
    let node = stack.node("blr");
    let ready = tomato_tests::client::Request::new(http::Method::GET, "/readyz");
    for _ in 0..5 {
        let limit = Duration::from_secs(60);
        let killed = async || node.server.kill_nats();
        let old = poll_until("a broker to kill", limit, killed).await.unwrap();
        let answer = node.server.public().send(&ready).await.unwrap();
        assert_eq!(answer.status, 200, "ready, though degraded: {}", answer.json());
        let new = async || node.server.nats_pid().filter(|pid| *pid != old);
        poll_until("a new broker", limit, new).await.unwrap();
    }
    stack.stop().await.unwrap();
}
