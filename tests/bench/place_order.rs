//! The bench of placing an order: a node with its relay on against the yardstick, in turns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use tomato_tests::tokens::Issuer;

use crate::contender::{self, Contender};
use crate::load::{self, Plan};
use crate::machine::{self, Machine};
use crate::market::{CUSTOMERS, Market};
use crate::report::{Report, Result as SideResult};
use crate::round::Side;
use crate::search::{Search, Verdict};
use crate::sizes::Sizes;

/// Share of the sustained rate at which latency and costs are told.
const SHARE: f64 = 0.7;
/// Rounds at that rate.
const FINALS: u32 = 2;
/// Rounds at a given rate.
const FIXED: u32 = 3;
/// The search begins at this share of what the first flood reached.
const BEGIN: f64 = 0.5;
/// A search that is not over by then is cut short, so that the whole stays under three minutes.
const SEARCH_WITHIN: Duration = Duration::from_secs(115);
/// Both databases together, with room to spare.
const DISK_MIN: u64 = 12 << 30;

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Seconds of load in each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Orders per second; instead of a search.
    #[arg(long, conflicts_with = "search", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Search for the highest sustained rate of each side (this is what happens without --rate).
    #[arg(long)]
    search: bool,
    /// Connections to each side.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Only one side.
    #[arg(long)]
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Node,
    Bare,
}

impl Options {
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn load(&self) -> (Duration, usize) {
        (self.length(), self.connections as usize)
    }
}

/// Runs the bench and prints what it found.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let began = Instant::now();
    let folder = folder(&options)?;
    let machine = Machine::look(folder.path());
    let issuer = Issuer::open(folder.path())?;
    let market = Arc::new(Market::open(&issuer, contender::centre())?);
    let (mut sides, mut sizes) = (Vec::new(), Sizes::USUAL);
    if options.only != Some(Only::Bare) {
        println!("starting a node");
        let node = Contender::node(folder.path()).await?;
        sizes = measure_sizes(&node, &market).await?;
        sides.push(Side::new(node));
    }
    if options.only != Some(Only::Node) {
        let bare = Contender::bare(folder.path(), &sizes).await?;
        sides.insert(0, Side::new(bare));
    }
    for side in &mut sides {
        // Each customer once: tokens are checked for the first time, files and caches get warm.
        let rate = side.flood(&market, CUSTOMERS, options.connections as usize).await?;
        println!(
            "{:<5} {rate:>7.0}/s in a first flood of one order per customer",
            side.contender.name
        );
        side.flood = Some(rate);
        side.search = options.rate.is_none().then(|| Search::from(rate * BEGIN));
    }
    search(&mut sides, &market, &options, began).await?;
    finals(&mut sides, &market, &options).await?;
    let mut results = Vec::new();
    for mut side in sides {
        let stored = side.contender.finish().await?;
        results.push(SideResult { side, stored });
    }
    let report = Report {
        seconds: options.seconds,
        connections: options.connections,
        fixed_rate: options.rate,
        machine,
        sizes,
        results,
        took: began.elapsed(),
    };
    println!("\n{}", report.table());
    report.save()
}

/// A directory for this run, on the disk of the build: a temporary file system would not show what a commit costs.
fn folder(options: &Options) -> Result<TempDir, String> {
    let parent = machine::root().join("target/bench");
    std::fs::create_dir_all(&parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    let free = machine::free_bytes(&parent);
    if free < DISK_MIN {
        let (free, min) = (free >> 30, DISK_MIN >> 30);
        return Err(format!("{}: {free} GiB free, this bench needs {min}", parent.display()));
    }
    if options.only != Some(Only::Bare) {
        tomato_tests::process::workspace_program("tomato-node")?;
        if machine::nats_server_version().is_empty() {
            return Err("no nats-server; ./scripts/install-nats installs one into the checkout".into());
        }
    }
    TempDir::with_prefix_in("run-", &parent).map_err(|error| format!("{}: {error}", parent.display()))
}

/// Places a few orders of each kind and looks at their rows before they are paid.
async fn measure_sizes(node: &Contender, market: &Arc<Market>) -> Result<Sizes, String> {
    let mut found = Err(String::new());
    for attempt in 0..3 {
        let plan = Plan {
            addr: node.addr,
            connections: 8,
            due: (0..80).map(|number| Duration::from_millis(3 * number)).collect(),
            length: Duration::from_secs(10),
            // Far from the numbers of the rounds: a key is used once.
            first: (1 << 40) + attempt * 80,
        };
        let outcome = load::run(plan, market).await?;
        if outcome.placed() == 0 {
            return Err(format!(
                "the node takes no orders: {}",
                outcome.refusal.unwrap_or_default()
            ));
        }
        found = Sizes::measure(&node.meter.database);
        if found.is_ok() {
            break;
        }
    }
    found
}

/// The searches of all sides, one round of each in turn, so that what else goes on here hits all of them.
async fn search(sides: &mut [Side], market: &Arc<Market>, options: &Options, began: Instant) -> Result<(), String> {
    let open = |side: &Side| side.search.as_ref().and_then(Search::next);
    while sides.iter().any(|side| open(side).is_some()) {
        for side in &mut *sides {
            let Some(rate) = open(side) else { continue };
            if began.elapsed() > SEARCH_WITHIN {
                println!("the search is cut short: it takes too long");
                return Ok(());
            }
            let round = side.round(market, rate, options.load()).await?;
            println!("{}", round.line(side.contender.name));
            if let Some(search) = &mut side.search {
                search.learn(round.verdict);
            }
            side.rounds.push(round);
        }
    }
    Ok(())
}

/// The rounds that the table is about.
async fn finals(sides: &mut [Side], market: &Arc<Market>, options: &Options) -> Result<(), String> {
    for _ in 0..if options.rate.is_some() { FIXED } else { FINALS } {
        for side in &mut *sides {
            let sustained = side.search.as_ref().and_then(Search::sustained);
            let rate = options.rate.map(f64::from).or(sustained.map(|rate| rate * SHARE));
            let Some(rate) = rate else { continue };
            let round = side.round(market, rate, options.load()).await?;
            println!("{}", round.line(side.contender.name));
            side.finals.push(round);
        }
    }
    for side in sides
        .iter()
        .filter(|side| side.finals.iter().any(|round| round.verdict != Verdict::Sustained))
    {
        println!(
            "{:<5} did not sustain a rate that it should: the machine is busy otherwise, or it slows down as it fills",
            side.contender.name
        );
    }
    Ok(())
}

/// Where the JSON goes.
pub(crate) fn json_file() -> PathBuf {
    machine::root().join("target/bench/place-order.json")
}
