//! Policies `nearest` and `matching`, live: a real node with the same simulated city under each, one after the other.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tomato_shared::order::OrderState;
use tomato_tests::city::Staff;
use tomato_tests::city::habits::Habits;
use tomato_tests::city::mdrp::{Spread, tally};
use tomato_tests::city::tracker::{Record, Tracker};
use tomato_tests::city::traffic::{Quota, Traffic};
use tomato_tests::city::world::{Size, World};
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};

use crate::machine::{Machine, root};

/// Orders per simulated minute that the drivers below have time to spare for, have just time for, and have not.
const LOADS: [(&str, f64); 3] = [("slack", 0.6), ("tight", 1.3), ("overloaded", 2.2)];
const SIZE: Size = Size {
    restaurants: 15,
    drivers: 24,
    customers: 500,
};
const POLICIES: [&str; 2] = ["nearest", "matching"];
/// How often it is looked at who is busy, in real time.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Orders of each policy at each load.
    #[arg(long, default_value_t = 150)]
    orders: u64,
    /// How fast the cities' time runs.
    #[arg(long, default_value_t = 30.0)]
    rate: f64,
    /// Of the cities: the same people want the same things at the same times under both policies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this load: slack, tight or overloaded.
    #[arg(long)]
    load: Option<String>,
    /// Only this policy: nearest or matching.
    #[arg(long)]
    policy: Option<String>,
    /// No trip of `matching` fetches from two restaurants.
    #[arg(long)]
    one_restaurant: bool,
}

/// Runs all and prints the table.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let machine = Machine::look(root());
    println!(
        "{}, {} cores, commit {}; {} drivers, {} orders each, time runs {} times as fast; refusals, ignored offers, given back \
         and cancelled orders by habit",
        machine.cpu, machine.cores, machine.commit, SIZE.drivers, options.orders, options.rate
    );
    println!(
        "{:<11} {:<9} {:>9} {:>9} {:>10} {:>10} {:>8} {:>9} {:>9}  by",
        "load", "policy", "ctd mean", "ctd p90", "food waits", "wait p90", "busy %", "delivered", "cancelled"
    );
    let wanted = |only: &Option<String>, name: &str| only.as_ref().is_none_or(|only| only == name);
    for load in LOADS.into_iter().filter(|(name, _)| wanted(&options.load, name)) {
        for policy in POLICIES.into_iter().filter(|name| wanted(&options.policy, name)) {
            println!("{}", city(&options, policy, load).await?);
        }
    }
    Ok(())
}

async fn city(options: &Options, policy: &str, (load, orders_per_min): (&str, f64)) -> Result<String, String> {
    let file = RegionFile::named("blr")
        .set("dispatch.policy", policy)
        .set("dispatch.two_restaurants", !options.one_restaurant);
    let mut stack = Stack::prepare(StackPlan::default().region_file(file).rate(options.rate).without_hub())?;
    stack.start().await?;
    let habits = Habits {
        orders_per_min,
        // Ordered now for later says nothing about how long it took.
        scheduled: 0.0,
        ..Habits::default()
    };
    let tracker: Arc<Tracker> = Arc::default();
    let node = &stack.nodes[0];
    let world = World::generate(options.seed, node.ground.clone(), SIZE);
    world.write(&node.api).await.map_err(|error| error.to_string())?;
    let city = stack.city_of(node, world, (options.seed, habits, false), &tracker);
    let staff = Staff::start(&city);
    let api = node.api.clone();
    let mut busy = Vec::new();
    let look = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Ok(board) = api.get("/v1/dispatch").await {
                busy.extend(utilisation(&board));
            }
        }
    };
    tokio::select! {
        () = Traffic::run(city.clone(), Quota::Orders(options.orders)) => {}
        () = look => {}
    }
    drop(staff);
    let records: Vec<Record> = tracker.records(&node.region).into_values().collect();
    let line = line(load, policy, &records, &busy);
    stack.stop().await?;
    Ok(line)
}

/// Share of signed-on drivers with something to do.
fn utilisation(board: &Value) -> Option<f64> {
    let drivers = board["drivers"].as_array()?;
    let has = |row: &Value, list: &str| row["driver"][list].as_array().is_some_and(|ids| !ids.is_empty());
    let busy = drivers
        .iter()
        .filter(|row| has(row, "delivering_order_ids") || has(row, "offered_order_ids"));
    (!drivers.is_empty()).then(|| busy.count() as f64 / drivers.len() as f64)
}

fn line(load: &str, policy: &str, records: &[Record], busy: &[f64]) -> String {
    let minutes = |ms: i64| ms as f64 / 60_000.0;
    let doors = records
        .iter()
        .filter_map(|record| Some(minutes(record.click_to_door()?.0)));
    let waits = records
        .iter()
        .filter_map(|record| Some(minutes((record.picked_up_at? - record.ready_at?).0)));
    let (doors, waits) = (Spread::of(doors.collect()), Spread::of(waits.collect()));
    let count = |state: OrderState| records.iter().filter(|record| record.state == state).count();
    let cancelled = |record: &&Record| record.state == OrderState::Cancelled;
    let reasons = records
        .iter()
        .filter(cancelled)
        .map(|record| record.reason.clone().unwrap_or_default());
    let reasons: Vec<String> = tally(reasons)
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    let figure = |spread: &Option<Spread>, of: fn(&Spread) -> f64| spread.as_ref().map_or(f64::NAN, of);
    format!(
        "{load:<11} {policy:<9} {:>9.1} {:>9.1} {:>10.1} {:>10.1} {:>8.0} {:>9} {:>9}  {}",
        figure(&doors, |spread| spread.mean),
        figure(&doors, |spread| spread.p90),
        figure(&waits, |spread| spread.mean),
        figure(&waits, |spread| spread.p90),
        100.0 * busy.iter().sum::<f64>() / busy.len().max(1) as f64,
        count(OrderState::Delivered),
        count(OrderState::Cancelled),
        reasons.join(", "),
    )
}
