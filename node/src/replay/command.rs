//! `tomato-node dispatch-replay`: one instance or many, one policy or both, with a table.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::instance::Instance;
use super::run::{Policy, Prep, Setup, run};
use super::{ReplayError, ablation, output, summary, synth};

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of one instance; its solution goes straight into OUT.
    #[arg(long, required_unless_present_any = ["instances", "made_up"], conflicts_with = "instances")]
    instance: Option<PathBuf>,
    /// Directory of instance directories; solutions go to OUT/POLICY/INSTANCE.
    #[arg(long)]
    instances: Option<PathBuf>,
    /// Made-up instances of the same shape to play besides; the same ones each time.
    #[arg(long, value_name = "COUNT", conflicts_with = "instance", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    made_up: Option<u16>,
    /// Where the solution files and summary.json go; made if missing.
    #[arg(long, required_unless_present = "ablation")]
    out: Option<PathBuf>,
    /// Who dispatches. Default: matching for one instance, both for many.
    #[arg(long)]
    policy: Option<Policy>,
    /// What is known of ready times before they come.
    #[arg(long, default_value = "known")]
    prep: Prep,
    /// Instead of solutions, a table of what each idea of `matching` brings: the means without it.
    #[arg(long, conflicts_with_all = ["out", "policy"])]
    ablation: bool,
    #[command(flatten)]
    scope: ablation::Scope,
}

/// Replays, checks, writes, and hands each line of the tables to `say`.
pub fn execute(args: &Args, say: &mut dyn FnMut(&str)) -> Result<(), ReplayError> {
    let instances = instances(args)?;
    let many = args.instance.is_none();
    // clap has asked for it where there is no ablation.
    let Some(out) = &args.out else {
        return match ablation::table(&instances, args.prep, &args.scope, say) {
            0 => Ok(()),
            count => Err(ReplayError::BrokenRules { count }),
        };
    };
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
                out.join(name(policy)).join(&instance.name)
            } else {
                out.clone()
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
    let (outcome, row, faults) = run(instance, &Setup::of(policy, prep), &clock_ms);
    output::write(folder, instance, &outcome, &row)?;
    Ok((row, faults))
}

/// Everything that is to be played. All is read before the first is played: a bad file shows at once, not after minutes.
fn instances(args: &Args) -> Result<Vec<Instance>, ReplayError> {
    let dirs = match (&args.instance, &args.instances) {
        (Some(dir), _) => vec![dir.clone()],
        (None, Some(dir)) => below(dir)?,
        (None, None) => Vec::new(),
    };
    let mut instances = dirs
        .iter()
        .map(|dir| Instance::read(dir))
        .collect::<Result<Vec<_>, _>>()?;
    let made_up = synth::suite(usize::from(args.made_up.unwrap_or(0)));
    instances.extend(made_up.iter().map(synth::generate));
    Ok(instances)
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
