//! `./scripts/bench hub`: how fast the hub takes events in, how large they become, how fast it answers.

mod page;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;
use tomato_hub::measure::{ASKED, Plan, run};

/// Measures the hub's database on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench hub")]
struct Arguments {
    /// Events of all regions together.
    #[arg(long, default_value_t = 500_000)]
    events: u64,
    /// Simulated regions.
    #[arg(long, default_value_t = 50)]
    regions: u64,
    /// Days over which the history is spread. The simulated drivers never sign off, so few orders over many days are
    /// mostly hours of waiting drivers.
    #[arg(long, default_value_t = 2)]
    days: i64,
    /// Where to keep the database; without, it is made in a temporary directory and goes away.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Then starts the hub on that database, and a browser that measures the page; wants ./scripts/install-browser-test.
    #[arg(long)]
    page: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let directory = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let plan = Plan {
        events: arguments.events,
        regions: arguments.regions,
        days: arguments.days,
    };
    let report = run(&directory, plan)?;
    let mut out = std::io::stdout().lock();
    let rate = u128::from(report.events) * 1_000 / report.ingest.as_millis().max(1);
    let per_million = report.bytes * 1_000_000 / report.orders.max(1) / 1_000_000;
    writeln!(
        out,
        "{} events, {} orders, {} regions over {} days",
        report.events, report.orders, arguments.regions, arguments.days
    )?;
    writeln!(out, "ingest      {rate} events/s, in {:.1?}", report.ingest)?;
    let most = report.tenths.iter().map(|tenth| tenth.rate).max().unwrap_or(1);
    for tenth in &report.tenths {
        let share = tenth.rate * 100 / most.max(1);
        writeln!(
            out,
            "            {:>9} events/s up to {} events ({share} % of the fastest)",
            tenth.rate, tenth.events
        )?;
    }
    writeln!(
        out,
        "database    {} MB, {per_million} MB per million orders",
        report.bytes / 1_000_000
    )?;
    let (lines, took) = report.statements;
    writeln!(out, "statements  {lines} lines imported in {took:.1?}")?;
    writeln!(out, "   median   slowest   of {ASKED}")?;
    for asked in &report.asked {
        writeln!(
            out,
            "{:>9.2?} {:>9.2?}   {}, {} rows",
            asked.took, asked.slowest, asked.what, asked.rows
        )?;
    }
    drop(out);
    if arguments.page {
        page::look(&directory)?;
    }
    Ok(())
}
