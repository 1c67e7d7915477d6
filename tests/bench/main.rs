//! `tomato-bench`: measures the system from outside, as its users see it.
//!
//! | module | does |
//! |---|---|
//! | [`mod@place_order`] [`round`] [`search`] | the bench of placing an order: sides in turns, one round, which rate next |
//! | [`contender`] [`bare`] [`sizes`] | a node as a real process; the yardstick; how large its rows have to be |
//! | [`market`] [`load`] | who orders what; open-loop load over HTTP |
//! | [`mod@dispatch`] [`mod@hungarian`] | the bench of a dispatch round; its yardstick |
//! | [`live`] | both policies at work |
//! | [`meter`] [`machine`] [`report`] | what it cost; where it was measured; table and JSON |

mod bare;
mod contender;
mod dispatch;
mod hungarian;
mod live;
mod load;
mod machine;
mod market;
mod meter;
mod place_order;
mod report;
mod round;
mod search;
mod sizes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tomato_shared::runtime::{serve, shutdown};

#[derive(Debug, Parser)]
#[command(
    name = "bench",
    version,
    about = "Measures Tomato on this machine",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// POST /v1/orders at a region's node, against a bare handler that writes the same rows.
    PlaceOrder(place_order::Options),
    /// One dispatch round, against the Hungarian method on the dense matrix.
    Dispatch(dispatch::Options),
    /// Both dispatch policies live, on a real node with the same simulated city under each.
    DispatchLive(live::Options),
    /// Serves the bare handler; place-order starts it.
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().bench {
        Bench::PlaceOrder(options) => until_signal(place_order::run(options)),
        Bench::DispatchLive(options) => until_signal(live::run(options)),
        Bench::Dispatch(options) => {
            dispatch::run(&options);
            Ok(())
        }
        Bench::Bare { listen, dir } => bare::serve(&dir, listen),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// On one thread: the load generator must leave the machine to what it measures. A signal ends the bench, and with it
/// every process that it has started.
fn until_signal(bench: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    serve::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| format!("no runtime: {error}"))?
        .block_on(async {
            let stop = shutdown::termination().map_err(|error| error.to_string())?;
            tokio::select! {
                done = bench => done,
                signal = stop => Err(format!("ended by {signal}")),
            }
        })
}
