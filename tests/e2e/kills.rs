//! kill -9 under traffic, of each process in turn. A kill comes whenever a few more orders were placed, so it meets
//! orders in every state. Afterwards every order that was answered 2xx is there, and the hub has the same.

use std::time::Duration;

use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::Town;

const ORDERS: u64 = 36;
/// Orders placed between two kills.
const STRIDE: u64 = 5;
const RATE: f64 = 120.0;

#[derive(Clone, Copy)]
enum Victim {
    Node,
    Hub,
    RegionBroker,
    HubBroker,
}

async fn strike(stack: &mut Stack, victim: Victim) {
    let server = match victim {
        Victim::Node | Victim::RegionBroker => &mut stack.node("blr").server,
        Victim::Hub | Victim::HubBroker => &mut stack.hub().server,
    };
    match victim {
        Victim::Node | Victim::Hub => {
            server.kill9();
            server.start().await.unwrap();
        }
        Victim::RegionBroker | Victim::HubBroker => {
            let old = server.kill_nats().expect("the broker runs");
            let limit = Duration::from_secs(20);
            let started = async || server.nats_pid().filter(|pid| *pid != old);
            poll_until("a new broker in place of the killed one", limit, started)
                .await
                .unwrap();
        }
    }
}

async fn survives(victim: Victim, seed: u64) {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(RATE)).unwrap();
    stack.start().await.unwrap();
    let town = Town::open(&stack, "blr", seed).await;
    let mut kills = 0;
    let strikes = async {
        for placed in (STRIDE..ORDERS).step_by(usize::try_from(STRIDE).unwrap()) {
            let reached = async || (town.counts().placed >= placed).then_some(());
            poll_until("more orders", Duration::from_secs(120), reached)
                .await
                .unwrap();
            strike(&mut stack, victim).await;
            kills += 1;
        }
    };
    town.serve(ORDERS, strikes).await;
    assert_eq!(kills, 7);
    town.close(&stack, ORDERS).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_node_loses_nothing_it_answered() {
    survives(Victim::Node, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hub_learns_everything() {
    survives(Victim::Hub, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_region_broker_is_started_again_and_catches_up() {
    survives(Victim::RegionBroker, 13).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hub_broker_is_started_again_and_catches_up() {
    survives(Victim::HubBroker, 14).await;
}
