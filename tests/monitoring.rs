//! Dashboards and alerts name only metrics that a node has, and promtool agrees with all of it where it can be had.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tomato_node::metrics::{DECLARED, Metrics};

use super::{files, root};

/// What a text asks Prometheus for.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with("tomato_"))
        .map(str::to_owned)
        .collect()
}

/// Whether the node's page has a series of the name.
fn is_told(name: &str) -> bool {
    DECLARED
        .iter()
        .any(|metric| match (name.strip_prefix(metric.name), metric.kind) {
            (Some(""), "counter" | "gauge") | (Some("_sum" | "_count"), "histogram" | "summary") => true,
            (Some(rest), "histogram") => rest == "_bucket",
            (Some(_) | None, _) => false,
        })
}

/// Every text under a key, however deep.
fn texts<'v>(value: &'v Value, key: &str, into: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => into.push(text),
            Some(_) | None => texts(value, key, into),
        }),
        Value::Array(rows) => rows.iter().for_each(|row| texts(row, key, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn dashboards_and_alerts_name_only_metrics_that_exist() {
    let mut shown = BTreeSet::new();
    for (path, text) in files("config/dashboards", &[".json"]) {
        let board: Value = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        let mut asked = Vec::new();
        texts(&board, "expr", &mut asked);
        texts(&board, "query", &mut asked);
        assert!(asked.len() > 20, "{path} asks for next to nothing");
        shown.extend(asked.into_iter().flat_map(metrics_in));
    }
    let alerts = files("config/alerts", &[".yml"]);
    // What people read may speak of a histogram by its name alone.
    let prose = |line: &&str| {
        !["summary:", "action:"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    let lines = alerts.iter().flat_map(|(_, text)| text.lines()).filter(prose);
    let watched: BTreeSet<_> = lines.flat_map(metrics_in).collect();
    assert!(watched.len() > 10, "alerts watch next to nothing");
    let unknown: Vec<_> = shown.iter().chain(&watched).filter(|name| !is_told(name)).collect();
    assert!(unknown.is_empty(), "no node tells of {unknown:?}");
    let told = |name: &str| shown.iter().any(|shown| shown.starts_with(name));
    let hidden: Vec<_> = DECLARED
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !told(name))
        .collect();
    assert!(hidden.is_empty(), "no dashboard shows {hidden:?}");
}

/// The promtool of this checkout, or of the machine.
fn promtool() -> Option<PathBuf> {
    let places = [root().join(".tools/bin/promtool"), "promtool".into()];
    let runs = |place: &PathBuf| {
        let version = Command::new(place)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    };
    let found = places.into_iter().find(runs);
    if found.is_none() {
        eprintln!("SKIPPED: promtool is not here (Debian package prometheus); rules and page were not checked with it");
    }
    found
}

fn assert_silent(mut command: Command, input: &str, wanted: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = said.concat();
    assert!(output.status.success() && said.contains(wanted), "{said}");
    assert!(!wanted.is_empty() || said.is_empty(), "{said}");
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let Some(promtool) = promtool() else { return };
    let tests: Vec<_> = files("config/alerts/tests", &[".yml"]);
    for (path, _) in tests {
        let mut command = Command::new(&promtool);
        command.args(["test", "rules"]).arg(Path::new(&root()).join(path));
        assert_silent(command, "", "SUCCESS");
    }
}

#[test]
fn the_page_is_as_prometheus_wants_it() {
    let Some(promtool) = promtool() else { return };
    let region = "blr".parse().expect("a region");
    let currency = "INR".parse().expect("a currency");
    let metrics = Metrics::new(&region, currency);
    metrics.answered(None, http::StatusCode::OK, std::time::Duration::from_millis(3));
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]);
    assert_silent(command, &metrics.page(), "");
}
