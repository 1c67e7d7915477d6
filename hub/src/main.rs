//! `tomato-hub`: runs the hub, and lets regions in and out.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tomato_hub::cells::{self, Wanted};
use tomato_hub::config::HubConfig;
use tomato_hub::enrol::{self, Added, Site};
use tomato_hub::fault::Chain;
use tomato_hub::{FileFault, Hub, StartFault};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::runtime::serve::raise_open_files;
use tomato_shared::runtime::shutdown::{Exit, termination};
use tomato_shared::runtime::telemetry;

/// Adds the regions of Tomato up.
#[derive(Debug, Parser)]
#[command(name = "tomato-hub", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the hub until SIGINT or SIGTERM. Ends with status 74 where its file cannot be written or read (disk full, I/O error):
    /// start it again when there is room, the regions keep what it lacks. With 1 where anything else is wrong.
    Run {
        /// The configuration, see config/hub.toml.
        #[arg(long)]
        config: PathBuf,
    },
    /// Makes orders, ledger and analytics again from the stored events, while the hub does not run; prints their hash
    /// before and after, and fails if they differ.
    Rebuild {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Compares what the hub has of each region with what the region's node has, by hash, while both are at work; prints what
    /// differs, and fails if anything does.
    Verify {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
        /// Only this one; otherwise all that are registered.
        #[arg(long)]
        region: Option<RegionId>,
        /// How long to wait for a node to answer, and for the hub to catch up with it.
        #[arg(long, default_value_t = 30)]
        patience_s: u64,
    },
    /// Lets regions in and out; a running hub notices within a second.
    #[command(subcommand)]
    Region(RegionCommand),
    /// Moves cells between regions; a running hub begins within a second. Each command may be repeated.
    #[command(subcommand)]
    Cells(CellsCommand),
}

#[derive(Debug, Subcommand)]
enum RegionCommand {
    /// Makes a key for a region, and writes <out>/<region>.seed, <out>/phone.key and <out>/<region>.toml: with --public-url and what goes with it
    /// a configuration that is ready to run, else the lines to add to one.
    Add {
        /// 2 to 16 characters of a-z and 0-9, a letter first.
        #[arg(long)]
        region: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
        /// Directory for the files.
        #[arg(long)]
        out: PathBuf,
        /// Replaces the key of a region that has one; a running hub ends the link with the old key.
        #[arg(long)]
        rotate: bool,
        #[command(flatten)]
        site: Option<Site>,
    },
    /// Lists all regions that were ever registered.
    List {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Lists the orders of which regions have forgotten events, because they went on from older copies of their files.
    Forgotten {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Takes a region's key from it: a running hub ends its link within seconds, and it cannot connect any more. Its events
    /// stay, and it sells on alone.
    #[command(visible_alias = "remove")]
    Revoke {
        /// Which one.
        #[arg(long)]
        region: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum CellsCommand {
    /// Moves cells, with their restaurants, from one region to another.
    Move {
        /// Who has them.
        #[arg(long)]
        from: RegionId,
        /// Who gets them.
        #[arg(long)]
        to: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
        /// H3 cells of resolution 7 or coarser.
        cells: Vec<Cell>,
    },
    /// Gives cells of a region to one that has none yet.
    Split {
        /// Who has them.
        from: RegionId,
        /// Who gets them.
        #[arg(long)]
        into: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
        /// H3 cells of resolution 7 or coarser.
        cells: Vec<Cell>,
    },
    /// Gives all cells of a region to another.
    Merge {
        /// Who has them.
        from: RegionId,
        /// Who gets them.
        #[arg(long)]
        into: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Who has how many cells, and how far moves are.
    Status {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Calls a move off, unless the new owner has the cells already.
    Cancel {
        /// Its number.
        id: u64,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Takes a revoked region off the map: its cells are free for others, and nobody waits for it any more.
    Release {
        /// Which one.
        region: RegionId,
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Makes the map again from what the regions say, after the hub's file was restored from an old copy.
    Rebuild {
        /// The hub's configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { config } => run(config),
        Command::Rebuild { config } => rebuild(config),
        Command::Verify {
            config,
            region,
            patience_s,
        } => verify(config, region.as_ref(), patience_s),
        Command::Region(command) => region(command),
        Command::Cells(command) => cells(command),
    };
    let Err(fault) = done else {
        return ExitCode::SUCCESS;
    };
    // Nothing can be done if even standard error is closed.
    writeln!(std::io::stderr(), "tomato-hub: {}", Chain(&*fault)).ok();
    status(&*fault)
}

/// `EX_IOERR` of sysexits.h: whoever starts the hub again can tell a disk from a mistake.
const DISK_FAILED: u8 = 74;

fn status(fault: &(dyn Error + 'static)) -> ExitCode {
    let starting = fault.downcast_ref::<StartFault>().is_some_and(StartFault::is_of_file);
    if starting || fault.is::<FileFault>() {
        ExitCode::from(DISK_FAILED)
    } else {
        ExitCode::FAILURE
    }
}

fn load(file: PathBuf) -> Result<HubConfig, Box<dyn Error>> {
    Ok(HubConfig::load(&file, std::env::vars())?)
}

fn run(file: PathBuf) -> Result<(), Box<dyn Error>> {
    let config = load(file)?;
    telemetry::init(&config.log)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let terminated = termination()?;
        let mut hub = Hub::start(config).await?;
        tracing::info!(api = %hub.http_addr(), version = env!("CARGO_PKG_VERSION"), "the hub runs");
        let early = tokio::select! {
            signal = terminated => {
                tracing::info!(signal, "stopping");
                None
            }
            exit = hub.ended() => Some(exit),
        };
        let file_failed = hub.file_has_failed();
        let exit = hub.shutdown().await;
        match early.unwrap_or(exit) {
            Exit::Clean => Ok(()),
            Exit::TaskEnded(_) if file_failed => Err(FileFault.into()),
            Exit::TaskEnded(task) => Err(format!("task {task} ended; see the log").into()),
            Exit::Stuck(tasks) => Err(format!("tasks {tasks:?} did not stop").into()),
        }
    })
}

fn rebuild(file: PathBuf) -> Result<(), Box<dyn Error>> {
    let done = tomato_hub::rebuild::rebuild(&load(file)?.database())?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "events  {}\nbefore  {}\nafter   {}",
        done.events, done.before, done.after
    )?;
    if done.before == done.after {
        return Ok(());
    }
    Err("the projections had not been what the events say; they are now".into())
}

fn verify(file: PathBuf, only: Option<&RegionId>, patience_s: u64) -> Result<(), Box<dyn Error>> {
    let config = load(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let patience = Duration::from_secs(patience_s);
    let verified = runtime.block_on(tomato_hub::verify::verify(&config, only, patience))?;
    let mut out = std::io::stdout().lock();
    let mut apart = false;
    for (region, outcome) in &verified {
        match outcome {
            Ok(found) => {
                apart |= !found.differences.is_empty();
                let (upto, orders, many) = (found.upto_seq, found.orders, found.differences.len());
                writeln!(
                    out,
                    "{region}  events up to {upto}, {orders} orders, {many} differences"
                )?;
                for difference in &found.differences {
                    writeln!(out, "  {difference}")?;
                }
            }
            Err(fault) => {
                apart = true;
                writeln!(out, "{region}  {}", Chain(fault))?;
            }
        }
    }
    if apart {
        return Err("hub and regions are not known to be equal".into());
    }
    Ok(())
}

fn region(command: RegionCommand) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    match command {
        RegionCommand::Add {
            region,
            config,
            out: directory,
            rotate,
            site,
        } => match enrol::add(&load(config)?, &region, (&directory, site.as_ref()), rotate)? {
            Added::Enrolled(made) => write!(out, "{}", made.snippet)?,
            Added::Exists => writeln!(
                out,
                "# Region {region} is registered already, with the key it was given then. --rotate replaces it."
            )?,
        },
        RegionCommand::List { config } => {
            for found in enrol::list(&load(config)?)? {
                let state = match found.removed_at {
                    None => String::from("registered"),
                    Some(at) => format!("removed {at}"),
                };
                let (region, added, key, seq) = (found.region, found.added_at, found.public_key, found.applied_seq);
                writeln!(out, "{region}\t{state}\tadded {added}\t{key}\tapplied {seq}")?;
            }
        }
        RegionCommand::Forgotten { config } => {
            for found in enrol::forgotten(&load(config)?)? {
                let (region, order, events, last) = (found.region, found.order_id, found.events, found.last_type);
                let known = if found.known {
                    "known to the region as it was before"
                } else {
                    "unknown to the region"
                };
                writeln!(
                    out,
                    "{region}\t{order}\t{events} events\tthe last {last} at {}\tgiven up by incarnation {}\t{known}",
                    found.last_at, found.incarnation
                )?;
            }
        }
        RegionCommand::Revoke { region, config } => {
            let removed = enrol::remove(&load(config)?, &region)?;
            let told = if removed { "revoked" } else { "was not registered" };
            writeln!(out, "{region} {told}")?;
        }
    }
    Ok(())
}

fn cells(command: CellsCommand) -> Result<(), Box<dyn Error>> {
    let said = match command {
        CellsCommand::Move {
            from,
            to,
            config,
            cells,
        } => cells::hand_over(&load(config)?, (&from, &to), Wanted::Move(cells))?,
        CellsCommand::Split {
            from,
            into,
            config,
            cells,
        } => cells::hand_over(&load(config)?, (&from, &into), Wanted::Split(cells))?,
        CellsCommand::Merge { from, into, config } => cells::hand_over(&load(config)?, (&from, &into), Wanted::Merge)?,
        CellsCommand::Status { config } => cells::status(&load(config)?)?,
        CellsCommand::Cancel { id, config } => cells::cancel(&load(config)?, id)?,
        CellsCommand::Release { region, config } => cells::release(&load(config)?, &region)?,
        CellsCommand::Rebuild { config } => cells::rebuild(&load(config)?)?,
    };
    Ok(write!(std::io::stdout().lock(), "{said}")?)
}
