//! `tomato-money`: many orders through the fake provider, with something wrong with every call now and then and the node killed
//! (-9) at random. In the end the provider's ledger, the region's books and its orders have to say the same, with nothing left
//! over; anything else ends with an error.

mod order;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use order::{Fate, Outcome};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tomato_tests::city::world::Size;
use tomato_tests::provider::hooks::Habit;
use tomato_tests::till::Till;

#[derive(Debug, Parser)]
#[command(about = "Orders, a provider that fails, kills; then three accounts of the same money are compared")]
struct Args {
    /// How many orders.
    #[arg(long, default_value_t = 500)]
    orders: u64,
    /// Share of the provider's calls with which something goes wrong.
    #[arg(long, default_value_t = 0.15)]
    faults: f64,
    /// Orders between two kills of the node, about; 0 for none.
    #[arg(long, default_value_t = 100)]
    kill_every: u64,
    /// Orders under way at a time.
    #[arg(long, default_value_t = 24)]
    at_once: usize,
    /// Which orders, faults and kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Razorpay's shapes instead of Stripe's.
    #[arg(long)]
    razorpay: bool,
    /// How fast the region's clock runs.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
}

/// What is counted on the way.
#[derive(Debug, Default)]
struct Tally {
    next: AtomicU64,
    kills: AtomicU64,
    outcomes: std::sync::Mutex<BTreeMap<Outcome, u64>>,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let size = Size {
        restaurants: 6,
        drivers: args.at_once,
        customers: 400,
    };
    let till = Till::open(size, args.rate, args.razorpay, |file| file).await;
    till.fake.faults().share(args.faults);
    till.fake.hooks().habit(Habit {
        lost: 0.2,
        doubled: 0.2,
        forged: 0.1,
        delay: Duration::from_millis(800),
    });
    let (began, tally) = (Instant::now(), Tally::default());
    let workers = (0..args.at_once).map(|driver| work(&till, &tally, (driver, args.orders, args.seed)));
    let working = futures_util::future::join_all(workers);
    let killing = kill(&till, &tally, &args);
    tokio::join!(working, killing);
    till.fake.faults().share(0.0);
    order::end_all(&till).await;
    let report = till.settle().await;
    show(&args, &till, &tally, began.elapsed());
    let (provider, books, rows) = (report.provider, report.books, report.rows);
    for (name, sums) in [("provider", provider), ("books", books), ("orders", rows)] {
        println!(
            "{name:<10} charged {:>12}  refunded {:>12}",
            sums.charged, sums.refunded
        );
    }
    println!(
        "cash       orders  {:>12}  books    {:>12}",
        report.cash.0, report.cash.1
    );
    let held = till.fake.ledger().total().held_minor;
    println!(
        "{} orders agree, {} do not, {held} still held",
        report.matched,
        report.mismatches.len()
    );
    order::check_final(&till).await;
    till.close().await;
}

async fn work(till: &Till, tally: &Tally, (driver, orders, seed): (usize, u64, u64)) {
    loop {
        let nth = tally.next.fetch_add(1, Ordering::Relaxed);
        if nth >= orders {
            return;
        }
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ nth);
        let fate = Fate::draw(&mut rng);
        let outcome = order::live(till, usize::try_from(nth).expect("small"), (driver, fate)).await;
        *tally.outcomes.lock().expect("unpoisoned").entry(outcome).or_default() += 1;
    }
}

/// Kills the node each time so many more orders were begun.
async fn kill(till: &Till, tally: &Tally, args: &Args) {
    let mut rng = StdRng::seed_from_u64(args.seed);
    if args.kill_every == 0 {
        return;
    }
    let mut next = args.kill_every;
    while next < args.orders {
        let reached = async || (tally.next.load(Ordering::Relaxed) >= next).then_some(());
        tomato_tests::wait::wait_until("more orders", Duration::from_secs(600), reached).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
        till.kill().await;
        tally.kills.fetch_add(1, Ordering::Relaxed);
        next += args.kill_every;
    }
}

fn show(args: &Args, till: &Till, tally: &Tally, took: Duration) {
    let kills = tally.kills.load(Ordering::Relaxed);
    println!(
        "{} orders (seed {}) in {:.0} s, {kills} kills of the node",
        args.orders,
        args.seed,
        took.as_secs_f64()
    );
    for (outcome, count) in tally.outcomes.lock().expect("unpoisoned").iter() {
        println!("  {outcome:?}: {count}");
    }
    println!("faults injected:");
    let (counts, calls) = (till.fake.faults().counts(), till.fake.faults().calls());
    let mut total = 0;
    for (call, made) in &calls {
        let row: Vec<String> = counts
            .iter()
            .filter(|((of, _), _)| of == call)
            .map(|((_, fault), count)| format!("{fault:?} {count}"))
            .collect();
        total += counts
            .iter()
            .filter(|((of, _), _)| of == call)
            .map(|(_, count)| count)
            .sum::<u64>();
        println!("  {call:<13} {made:>6} calls: {}", row.join(", "));
    }
    let hooks = till.fake.hooks().counts();
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "  {total} in all; webhooks: {} sent, {} taken, {} lost, {} doubled, {} forged of which {} believed",
        count(&hooks.sent),
        count(&hooks.taken),
        count(&hooks.lost),
        count(&hooks.doubled),
        count(&hooks.forged),
        count(&hooks.forged_taken)
    );
}
