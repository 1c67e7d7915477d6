//! kill -9 under traffic, seven times of each process; a hundred times by `./scripts/chaos kills`.

use tomato_tests::chaos::kills::{self, Victim};

const KILLS: u32 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_node_loses_nothing_it_answered() {
    kills::run(Victim::Node, KILLS).await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hub_learns_everything() {
    kills::run(Victim::Hub, KILLS).await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_region_broker_is_started_again_and_catches_up() {
    kills::run(Victim::RegionBroker, KILLS).await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hub_broker_is_started_again_and_catches_up() {
    kills::run(Victim::HubBroker, KILLS).await.assert_fine();
}
