//! `tomato-fuzz`: one region with people and orders in every state, and schemathesis sending it whatever the documented
//! interface allows, and much that it does not. `./scripts/fuzz-api` installs the tool, builds and runs this.
//!
//! | module | owns |
//! |---|---|
//! | `seed` | the region's people and orders, told to the tool |
//! | `rounds` | runs of the tool, one role after the other, until there were calls enough |

mod rounds;
mod seed;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tomato_tests::client::Request;
use tomato_tests::stack::{Stack, StackPlan};

/// What must never be seen: a failing server, an answer that the document does not have, bad input taken for good, a
/// path that forgets its methods or its token.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
    response_headers_conformance,negative_data_rejection,missing_required_header,unsupported_method,\
    allow_header_conformance,ignored_auth";

/// Starts a region, fuzzes it by its own OpenAPI document with tokens of every role, and fails on any finding.
#[derive(Debug, Parser)]
#[command(name = "fuzz-api", version)]
struct Args {
    /// How many calls at least: about 4,000 for each role, customers first.
    #[arg(long, default_value_t = 20_000)]
    calls: u64,
    /// Seed of the first round; later rounds count on from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What counts as a finding, by the names of schemathesis.
    #[arg(long, default_value = CHECKS)]
    checks: String,
    /// The schemathesis program.
    #[arg(long, default_value = "st")]
    tool: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => fail(&problem),
    }
}

/// `true` where nothing was found.
async fn run(args: &Args) -> Result<bool, String> {
    let plan = StackPlan::default().region("blr").without_hub().log_filter("warn");
    let mut stack = Stack::prepare(plan)?;
    stack.start().await?;
    let town = seed::town(&stack).await?;
    let work = stack.folder().join("fuzz");
    std::fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    seed::write(&town, &work)?;
    let mut found = rounds::run(args, &town, &work).await?;
    let alive = Request::new(http::Method::GET, "/readyz");
    let answer = stack.node("blr").server.public().send(&alive).await;
    if !answer.as_ref().is_ok_and(|answer| answer.status == 200) {
        found.push(format!("the node is not ready any more: {answer:?}"));
    }
    found.extend(stack.stop().await.err());
    for finding in &found {
        println!("\n{finding}");
    }
    println!(
        "{}",
        if found.is_empty() {
            "nothing was found"
        } else {
            "see above"
        }
    );
    Ok(found.is_empty())
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("fuzz-api: {problem}");
    ExitCode::FAILURE
}
