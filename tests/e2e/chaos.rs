//! The runs of `./scripts/chaos`, short.

use tomato_tests::chaos::power::{self, Machine};
use tomato_tests::chaos::report::Report;
use tomato_tests::chaos::{cut, disks, keys, stores};
use tomato_tests::network::Network;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_cut_off_in_every_way_loses_nothing() {
    cut::run(cut::Plan::SHORT).await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_whose_packets_the_kernel_loses_loses_nothing() {
    match Network::unavailable() {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => cut::run_apart(cut::Plan::SHORT).await.assert_fine(),
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_streams_a_full_store_and_a_lost_hub_heal() {
    stores::run().await.assert_fine();
}

async fn with_disk(run: impl Future<Output = Report>) {
    match power::unavailable() {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => run.await.assert_fine(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_loses_nothing_that_was_answered() {
    with_disk(disks::full()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_below_the_broker_stops_no_orders() {
    with_disk(disks::full_below_broker()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_of_unknown_outcome_is_never_told_as_failed() {
    disks::failing().await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hub_whose_disk_fails_ends_and_knows_everything_after_its_next_start() {
    disks::failing_below_hub().await.assert_fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regions_key_opens_nothing_of_others() {
    keys::run().await.assert_fine();
}
