//! The runs of `./scripts/chaos`, short.

use tomato_tests::chaos::cut;
use tomato_tests::chaos::power::{self, Machine};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_cut_off_in_every_way_loses_nothing() {
    cut::run(cut::Plan::SHORT).await.assert_fine();
}

async fn power_cuts(machine: Machine) {
    match power::unavailable() {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => power::run(machine, 3).await.assert_fine(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_of_a_region_lose_nothing_it_answered() {
    power_cuts(Machine::Region).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_of_the_hub_lose_nothing_it_has_told_a_region() {
    power_cuts(Machine::Hub).await;
}
