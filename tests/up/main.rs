//! `tomato-up`: a hub and some regions on this machine, full of simulated people. `./scripts/up` builds and runs it.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the command line |
//! | `run` | start, traffic, watching, conclusion, stop |
//! | `chaos` | what breaks on purpose |
//! | `calm` | notices when orders are stuck |
//! | `replay` | the same for an MDRP instance |
//! | `status` `table` `events` `report` | what is shown: meanwhile, and at the end |
//! | `money` | what provider, books and orders say about it |
//! | `tokens` | tokens to try the API by hand |

mod args;
mod calm;
mod chaos;
mod events;
mod money;
mod replay;
mod report;
mod run;
mod status;
mod table;
mod tokens;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::run::Verdict;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run::run(args)) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::FAILURE,
        Err(problem) => fail(&problem),
    }
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("up: {problem}");
    ExitCode::FAILURE
}
