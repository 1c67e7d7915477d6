//! What the run took: time and memory.

use tokio::time::Instant;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::server::Server;
use tomato_tests::stack::Stack;

/// Resident memory of every process that runs, and the time since the first was started.
pub(crate) fn resources(stack: &Stack, tracker: &Tracker, started: Instant) -> String {
    let hub = stack.hub.iter().map(|hub| ("hub".to_owned(), &hub.server));
    let nodes = stack.nodes.iter().map(|node| (node.region.to_string(), &node.server));
    let memory: Vec<String> = hub
        .chain(nodes)
        .map(|(name, server)| of_server(&name, server))
        .collect();
    let first = tracker
        .first_placed()
        .map(|first| format!("first order after {:.1} s; ", (first - started).as_secs_f64()));
    let took = started.elapsed().as_secs_f64();
    format!(
        "{}all took {took:.0} s\nresident memory: {}\n",
        first.unwrap_or_default(),
        memory.join("; ")
    )
}

fn of_server(name: &str, server: &Server) -> String {
    let mebibytes = |pid: Option<u32>| match pid.and_then(resident_kib) {
        Some(kib) => format!("{:.0} MiB", kib as f64 / 1_024.0),
        None => "not running".to_owned(),
    };
    format!(
        "{name} {} + nats-server {}",
        mebibytes(server.pid()),
        mebibytes(server.nats_pid())
    )
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
