//! `tomato-node dispatch-replay`: one instance or many, one policy or both, with a table.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::instance::Instance;
use super::run::{Policy, Prep, run};
use super::{ReplayError, output, summary};
use crate::engine::matching::Config;

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of one instance; its solution goes straight into OUT.
    #[arg(long, required_unless_present = "instances", conflicts_with = "instances")]
    instance: Option<PathBuf>,
    /// Directory of instance directories; solutions go to OUT/POLICY/INSTANCE.
    #[arg(long)]
    instances: Option<PathBuf>,
    /// Where the solution files and summary.json go; made if missing.
    #[arg(long)]
    out: PathBuf,
    /// Who dispatches. Default: matching for one instance, both for many.
    #[arg(long)]
    policy: Option<Policy>,
    /// What is known of ready times before they come.
    #[arg(long, default_value = "known")]
    prep: Prep,
}

/// Replays, checks, writes, and hands each line of the tables to `say`.
pub fn execute(args: &Args, say: &mut dyn FnMut(&str)) -> Result<(), ReplayError> {
    let (dirs, many) = match (&args.instance, &args.instances) {
        (Some(dir), _) => (vec![dir.clone()], false),
        (None, Some(dir)) => (below(dir)?, true),
        // clap has asked for one of the two.
        (None, None) => (Vec::new(), false),
    };
    // All are read before the first is played: a bad file shows at once, not after minutes.
    let instances = dirs
        .iter()
        .map(|dir| Instance::read(dir))
        .collect::<Result<Vec<_>, _>>()?;
    let policies = match args.policy {
        Some(policy) => vec![policy],
        None if many => vec![Policy::Nearest, Policy::Matching],
        None => vec![Policy::Matching],
    };
    let mut broken = 0;
    let mut means = Vec::new();
    for policy in policies {
        say(&format!("policy {}, preparation {}", name(policy), name(args.prep)));
        say(summary::HEAD);
        let mut rows = Vec::new();
        for instance in &instances {
            let folder = if many {
                args.out.join(name(policy)).join(&instance.name)
            } else {
                args.out.clone()
            };
            let (row, faults) = replay(instance, policy, args.prep, &folder)?;
            say(&summary::line(&row));
            for fault in &faults {
                say(&format!("  BROKEN RULE: {fault}"));
            }
            broken += faults.len();
            rows.push(row);
        }
        means.push((policy, summary::suite(&rows)));
    }
    if many {
        say("means over instances (counts summed, largest max and p99)");
        say(&format!("{:9}{}", "policy", summary::HEAD));
        for (policy, row) in &means {
            say(&format!("{:9}{}", name(*policy), summary::line(row)));
        }
    }
    match broken {
        0 => Ok(()),
        count => Err(ReplayError::BrokenRules { count }),
    }
}

fn replay(
    instance: &Instance,
    policy: Policy,
    prep: Prep,
    folder: &Path,
) -> Result<(summary::Summary, Vec<String>), ReplayError> {
    let began = Instant::now();
    let clock_ms = move || began.elapsed().as_secs_f64() * 1e3;
    let (outcome, row, faults) = run(instance, &Config::default(), policy, prep, &clock_ms);
    output::write(folder, instance, &outcome, &row)?;
    Ok((row, faults))
}

/// Instance directories right below `dir`, by name.
fn below(dir: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let fault = |source| ReplayError::File {
        path: dir.to_owned(),
        source,
    };
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.join("orders.txt").is_file() {
            dirs.push(path);
        }
    }
    dirs.sort();
    if dirs.is_empty() {
        return Err(ReplayError::NoInstance { path: dir.to_owned() });
    }
    Ok(dirs)
}

/// A choice as it is written on the command line.
fn name(choice: impl clap::ValueEnum) -> String {
    choice
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}
