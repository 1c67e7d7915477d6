//! Runs of the tool.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::Args;
use crate::seed::Town;

/// Cases of one operation, role and round, beside the systematic ones.
const CASES: u64 = 56;
/// More rounds would only repeat themselves.
const ROUNDS_MAX: u64 = 100;

/// Fuzzes until there were calls enough, or something was found. Returns what was.
pub(crate) async fn run(args: &Args, town: &Town, work: &Path) -> Result<Vec<String>, String> {
    let mut calls = 0;
    for round in 0..ROUNDS_MAX {
        let mut found = Vec::new();
        for (role, token) in &town.callers {
            let (fine, shown) = once(args, town, work, token.as_deref(), args.seed + round).await?;
            let made = count(&shown);
            calls += made;
            println!("round {}: {role}: {made} calls, {calls} in all", round + 1);
            if !fine {
                found.push(format!("as {role}, seed {}:\n{shown}", args.seed + round));
            }
            if calls >= args.calls {
                return Ok(found);
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(format!("{ROUNDS_MAX} rounds made {calls} calls only"))
}

/// One run as one caller: whether it found nothing, and what it said.
async fn once(args: &Args, town: &Town, work: &Path, token: Option<&str>, seed: u64) -> Result<(bool, String), String> {
    let mut tool = Command::new(&args.tool);
    tool.arg("run")
        .arg(format!("{}/openapi.json", town.url))
        .args(["--checks", &args.checks, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", &CASES.to_string(), "--seed", &seed.to_string()])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--continue-on-failure",
        ])
        .args(["--request-timeout", "30", "--workers", "1"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", work)
        .env("TOMATO_FUZZ", work)
        .current_dir(work)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(token) = token {
        tool.arg("--header").arg(format!("Authorization: Bearer {token}"));
    }
    let ended = tool
        .output()
        .await
        .map_err(|error| format!("{}: {error}", args.tool.display()))?;
    let shown = [ended.stdout, ended.stderr].concat();
    Ok((ended.status.success(), String::from_utf8_lossy(&shown).into_owned()))
}

/// `  4044 generated, 4044 passed` in the tool's summary; nothing where it did not get that far.
fn count(shown: &str) -> u64 {
    let line = shown.lines().find(|line| line.contains(" generated"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
