//! `tomato-chaos`: the long runs, see `tests/chaos/mod.rs`. `./scripts/chaos NAME` builds and runs it.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use tomato_tests::chaos::kills::{self, Victim};
use tomato_tests::chaos::power::{self, Machine};
use tomato_tests::chaos::report::Report;
use tomato_tests::chaos::{cut, disks, keys, stores};
use tomato_tests::network::Network;

/// Breaks things on purpose, and says what became of it.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Args {
    /// Which runs.
    #[arg(required = true)]
    runs: Vec<Run>,
    /// The short versions, as CI has them.
    #[arg(long)]
    short: bool,
    /// How many times power is cut or a process killed; without, 50 and 100.
    #[arg(long)]
    times: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Run {
    /// A region is cut off from the hub for ten minutes, and in every other way for one.
    Cut,
    /// The same cuts, with hub and regions each in a network namespace.
    CutApart,
    /// The power of a region's machine is cut fifty times.
    PowerRegion,
    /// The power of the hub's machine is cut fifty times.
    PowerHub,
    /// Streams deleted, a store full, the hub lost.
    Stores,
    /// The disk below a node is full.
    DiskFull,
    /// The disk below a node fails at commit.
    DiskFails,
    /// The disk below a region's broker is full.
    BrokerDisk,
    /// Node, hub and both brokers are killed a hundred times each.
    Kills,
    /// A region's key against the subjects of others.
    Keys,
    /// All of them.
    All,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut failed = 0;
    for run in all(&args.runs) {
        failed += one(run, &args).await;
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn all(asked: &[Run]) -> Vec<Run> {
    let every = Run::value_variants().iter().copied().filter(|run| *run != Run::All);
    if asked.contains(&Run::All) {
        every.collect()
    } else {
        asked.to_vec()
    }
}

/// How many reports of a run say that something was wrong.
async fn one(run: Run, args: &Args) -> u32 {
    let cuts = if args.short { cut::Plan::SHORT } else { cut::Plan::LONG };
    let times = |long| args.times.unwrap_or(if args.short { 3 } else { long });
    match run {
        Run::Cut => shown(cut::run(cuts)).await,
        Run::CutApart => match Network::unavailable() {
            Some(reason) => skipped(&reason),
            None => shown(cut::run_apart(cuts)).await,
        },
        Run::PowerRegion => on_disk(power::run(Machine::Region, times(50))).await,
        Run::PowerHub => on_disk(power::run(Machine::Hub, times(50))).await,
        Run::Stores => shown(stores::run()).await,
        Run::DiskFull => on_disk(disks::full()).await,
        Run::DiskFails => shown(disks::failing()).await,
        Run::BrokerDisk => on_disk(disks::full_below_broker()).await,
        Run::Kills => {
            let mut failed = 0;
            for victim in Victim::ALL {
                failed += shown(kills::run(victim, times(100))).await;
            }
            failed
        }
        Run::Keys => shown(keys::run()).await,
        Run::All => unreachable!("taken apart before"),
    }
}

async fn shown(run: impl Future<Output = Report>) -> u32 {
    let started = Instant::now();
    let report = run.await;
    println!("{report}  {:.0} s\n", started.elapsed().as_secs_f64());
    u32::from(!report.faults().is_empty())
}

async fn on_disk(run: impl Future<Output = Report>) -> u32 {
    match power::unavailable() {
        Some(reason) => skipped(&reason),
        None => shown(run).await,
    }
}

fn skipped(reason: &str) -> u32 {
    println!("skipped: {reason}\n");
    0
}
