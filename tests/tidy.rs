//! The house rules that a machine can hold. Clippy holds the rest (function length, casts, unwraps).

mod monitoring;

use std::fs;
use std::path::{Path, PathBuf};

use tomato_shared::runtime::config;

/// Longest file of Rust or JavaScript.
const FILE_LINES_MAX: usize = 450;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the project")
        .to_owned()
}

/// Files below `folder` with one of the endings, with their paths relative to the project.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "node_modules", ".tools", ".git", "data"].contains(&name.as_str()) {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let relative = path
                    .strip_prefix(root())
                    .expect("found below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push((relative, fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    assert!(
        !found.is_empty(),
        "{folder} holds no {endings:?}: the rule checks nothing"
    );
    found
}

/// Lines of code that name a word; comments may.
fn naming<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines()
        .filter(move |line| !line.trim_start().starts_with("//") && line.contains(word))
}

fn assert_names_none(files: &[(String, String)], words: &[&str], why: &str) {
    let mut broken = Vec::new();
    for (path, text) in files {
        for word in words {
            broken.extend(naming(text, word).map(|line| format!("{path}: {}", line.trim())));
        }
    }
    assert!(broken.is_empty(), "{why}:\n{}", broken.join("\n"));
}

#[test]
fn engine_has_no_clock_no_io_and_no_hash_order() {
    let engine: Vec<_> = files("node/src/engine", &[".rs"])
        .into_iter()
        .filter(|(path, _)| !path.contains("tests"))
        .collect();
    let words = [
        "tokio",
        "rusqlite",
        "async_nats",
        "axum",
        "reqwest",
        "tracing",
        "std::time",
        "std::fs",
        "std::net",
        "std::env",
        "HashMap",
        "HashSet",
        "Instant",
        "SystemTime",
        "getrandom",
        "crate::store",
        "crate::http",
        "crate::writer",
        "crate::clock",
        "crate::feed",
        "crate::fleet",
        "runtime::",
    ];
    assert_names_none(&engine, &words, "engine/ is pure");
}

#[test]
fn contract_is_pure() {
    let contract: Vec<_> = files("shared/src", &[".rs"])
        .into_iter()
        .filter(|(path, _)| !path.contains("runtime"))
        .collect();
    let words = [
        "tokio",
        "async_nats",
        "axum",
        "std::time",
        "std::fs",
        "std::env",
        "HashMap",
        "crate::runtime",
    ];
    assert_names_none(&contract, &words, "only shared/src/runtime does I/O");
}

#[test]
fn dependencies_point_one_way() {
    assert_names_none(
        &files("shared/src", &[".rs"]),
        &["tomato_node", "tomato_hub"],
        "shared knows nobody",
    );
    assert_names_none(
        &files("node/src", &[".rs"]),
        &["tomato_hub"],
        "node does not know the hub's code",
    );
    assert_names_none(
        &files("hub/src", &[".rs"]),
        &["tomato_node"],
        "hub does not know the node's code",
    );
    assert_names_none(
        &files("node/src/store", &[".rs"]),
        &["crate::http", "crate::writer"],
        "store knows only rows",
    );
}

#[test]
fn files_stay_readable() {
    let long: Vec<_> = ["shared", "node", "hub", "tests"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]))
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
        .collect();
    assert!(
        long.is_empty(),
        "over {FILE_LINES_MAX} lines, split along what they do:\n{}",
        long.join("\n")
    );
}

#[test]
fn each_crate_opens_with_its_map() {
    for name in [
        "shared/src/lib.rs",
        "node/src/lib.rs",
        "hub/src/lib.rs",
        "tests/harness/lib.rs",
    ] {
        let text = fs::read_to_string(root().join(name)).expect("every crate has a lib.rs");
        assert!(
            text.starts_with("//! ") && text.contains("//! |"),
            "{name} must open with a table of its modules"
        );
    }
}

#[test]
fn tests_wait_for_conditions() {
    let tests: Vec<_> = ["tests/e2e", "tests/api", "hub/tests", "node/tests"]
        .iter()
        .filter(|folder| root().join(folder).is_dir())
        .flat_map(|folder| files(folder, &[".rs"]))
        .collect();
    assert_names_none(&tests, &["sleep("], "tests wait for a condition, with a deadline");
}

#[test]
fn nothing_is_left_for_later() {
    let sources: Vec<_> = ["shared", "node", "hub", "tests"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]))
        .collect();
    let others: Vec<_> = sources
        .into_iter()
        .filter(|(path, _)| path != "tests/tidy.rs")
        .collect();
    assert_names_none(&others, &["todo!(", "unimplemented!("], "finish it, or leave it out");
    // The one use of `ignore`: a process that another test starts, by name.
    let skipped = |line: &&str| !line.contains("= \"run by ");
    let ignored = others.iter().flat_map(|(path, text)| {
        naming(text, "#[ignore")
            .filter(skipped)
            .map(move |line| format!("{path}: {line}"))
    });
    assert_eq!(
        ignored.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "a test that nobody runs shows nothing"
    );
}

#[test]
fn every_shipped_configuration_loads() {
    let none = std::iter::empty;
    for (path, _) in files("config", &[".toml"]) {
        let file = root().join(&path);
        let loaded = if path.contains("hub") {
            config::load::<tomato_hub::config::HubConfig>(Some(&file), none(), "TOMATO").map(|_| ())
        } else {
            config::load::<tomato_node::config::Config>(Some(&file), none(), "TOMATO").map(|_| ())
        };
        if let Err(faults) = loaded {
            panic!("{path}: {faults}");
        }
    }
}

#[test]
fn scripts_are_executable_shell() {
    use std::os::unix::fs::PermissionsExt as _;
    for name in [
        "scripts/up",
        "scripts/test",
        "scripts/bench",
        "scripts/install-nats",
        "scripts/fuzz-api",
        "scripts/install-promtool",
        "scripts/install-webhook-check",
        ".ci/run",
    ] {
        let path = root().join(name);
        let mode = fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{name} cannot be executed");
        let checked = std::process::Command::new("bash")
            .arg("-n")
            .arg(&path)
            .status()
            .expect("bash is there");
        assert!(checked.success(), "{name} is not valid shell");
    }
}
