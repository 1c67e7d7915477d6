//! What a round costs: processor time, commits, bytes to the disk. Read from `/proc` and from SQLite's own counters, so
//! that nothing has to be built into what is measured.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

/// Ticks per second of the times in `/proc`: 100 on every Linux of today, whatever the kernel's own tick.
const TICKS_PER_S: f64 = 100.0;

/// Whom to watch.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) server: u32,
    pub(crate) broker: Option<u32>,
    pub(crate) database: PathBuf,
}

/// Everything since the processes began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    at: Instant,
    server_s: f64,
    writer_s: f64,
    broker_s: f64,
    generator_s: f64,
    machine_s: f64,
    commits: u32,
    disk_bytes: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Used {
    /// Real time.
    pub(crate) elapsed_s: f64,
    /// Processor time of the server, its writer's thread included.
    pub(crate) server_s: f64,
    /// Of the writer's thread alone.
    pub(crate) writer_s: f64,
    /// Of the server's nats-server.
    pub(crate) broker_s: f64,
    /// Of the load generator.
    pub(crate) generator_s: f64,
    /// Of everybody else on the machine.
    pub(crate) others_s: f64,
    /// Transactions.
    pub(crate) commits: u64,
    /// Bytes that the server has sent to the disk.
    pub(crate) disk_bytes: u64,
}

impl Meter {
    pub(crate) fn read(&self) -> Reading {
        Reading {
            at: Instant::now(),
            server_s: process_s(self.server),
            writer_s: writer_s(self.server),
            broker_s: self.broker.map_or(0.0, process_s),
            generator_s: process_s(std::process::id()),
            machine_s: machine_s(),
            commits: commits(&self.database),
            disk_bytes: disk_bytes(self.server),
        }
    }

    /// Processor time of server and broker so far: to see whether they are still busy.
    pub(crate) fn busy_s(&self) -> f64 {
        process_s(self.server) + self.broker.map_or(0.0, process_s)
    }
}

impl Reading {
    pub(crate) fn until(&self, later: &Self) -> Used {
        let ours = |r: &Self| r.server_s + r.broker_s + r.generator_s;
        Used {
            elapsed_s: (later.at - self.at).as_secs_f64(),
            server_s: later.server_s - self.server_s,
            writer_s: later.writer_s - self.writer_s,
            broker_s: later.broker_s - self.broker_s,
            generator_s: later.generator_s - self.generator_s,
            others_s: (later.machine_s - self.machine_s - ours(later) + ours(self)).max(0.0),
            commits: u64::from(later.commits.wrapping_sub(self.commits)),
            disk_bytes: later.disk_bytes.saturating_sub(self.disk_bytes),
        }
    }
}

impl Used {
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            elapsed_s: self.elapsed_s + other.elapsed_s,
            server_s: self.server_s + other.server_s,
            writer_s: self.writer_s + other.writer_s,
            broker_s: self.broker_s + other.broker_s,
            generator_s: self.generator_s + other.generator_s,
            others_s: self.others_s + other.others_s,
            commits: self.commits + other.commits,
            disk_bytes: self.disk_bytes + other.disk_bytes,
        }
    }
}

fn process_s(pid: u32) -> f64 {
    stat_s(Path::new(&format!("/proc/{pid}/stat")))
}

/// The times of a process or thread; zero where it is gone.
fn stat_s(path: &Path) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The name, in brackets, may hold anything; user and system time are fields 14 and 15 of the whole.
    let Some((_, rest)) = text.rsplit_once(')') else {
        return 0.0;
    };
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
}

fn writer_s(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let is_writer = |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "writer");
    threads
        .map(|thread| thread.path())
        .filter(is_writer)
        .map(|path| stat_s(&path.join("stat")))
        .sum()
}

/// Time that all processors together were not idle.
fn machine_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest times are part of user and nice.
    let busy = ticks
        .iter()
        .enumerate()
        .filter(|(field, _)| ![3, 4].contains(field) && *field < 8);
    busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS_PER_S
}

/// Transactions so far: `iChange` of the header of the WAL's index, which counts them.
fn commits(database: &Path) -> u32 {
    let mut index = database.as_os_str().to_owned();
    index.push("-shm");
    let mut header = [0; 12];
    let read = fs::File::open(index).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header));
    let [.., a, b, c, d] = header;
    read.map_or(0, |()| u32::from_ne_bytes([a, b, c, d]))
}

fn disk_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_of_a_database_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            .unwrap();
        let before = commits(&database);
        for _ in 0..5 {
            connection
                .execute_batch("BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT")
                .unwrap();
        }
        assert_eq!(commits(&database) - before, 5);
    }

    #[test]
    fn own_processor_time_is_seen() {
        let pid = std::process::id();
        let started = Instant::now();
        while process_s(pid) < 0.05 {
            assert!(started.elapsed().as_secs() < 20, "this loop takes processor time");
        }
        assert!(machine_s() > 0.0);
    }
}
