//! Keeps one nats-server running, on a thread of its own.
//!
//! The thread lives as long as the server: the kernel signals a child with a parent-death signal when the *thread* that
//! started it ends, not the process, so a worker of a runtime must not be the one that starts it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);

/// First and longest pause before a restart.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A server that ran this long was healthy: the pauses start over.
const HEALTHY: Duration = Duration::from_secs(10);

/// The child's own output (panics) beyond this is moved aside at a start.
const MAX_OUTPUT_BYTES: u64 = 16 << 20;

/// What to run.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) binary: PathBuf,
    pub(super) conf: PathBuf,
    pub(super) pid_file: PathBuf,
    pub(super) log: PathBuf,
    pub(super) output: PathBuf,
    /// Start under `setpriv --pdeathsig`, so that the server ends even when this process is killed.
    pub(super) setpriv: bool,
}

/// What the thread is told; it stops when the sender is gone.
pub(super) enum Order {
    /// Read the configuration again.
    Reload,
    /// Stop and start.
    Restart,
}

/// Why a running server is no longer watched.
enum End {
    Exited(io::Result<ExitStatus>),
    Restart,
    Stop,
}

/// Runs until `orders` closes. `pid` shows the running child.
pub(super) async fn supervise(plan: Plan, mut orders: mpsc::UnboundedReceiver<Order>, pid: watch::Sender<Option<u32>>) {
    end_stale(&plan).await;
    let mut failures: u32 = 0;
    loop {
        let started = Instant::now();
        let end = match spawn(&plan) {
            Ok(mut child) => {
                pid.send_replace(child.id());
                tracing::info!(server = plan.name, pid = child.id(), "nats-server started");
                let end = watch_child(&mut child, &mut orders).await;
                if !matches!(end, End::Exited(_)) {
                    end_child(&plan, &mut child).await;
                }
                pid.send_replace(None);
                end
            }
            Err(error) => End::Exited(Err(error)),
        };
        match end {
            End::Stop => break,
            End::Restart => failures = 0,
            End::Exited(status) => {
                if started.elapsed() >= HEALTHY {
                    failures = 0;
                }
                let pause = BACKOFF.0.saturating_mul(1 << failures.min(10)).min(BACKOFF.1);
                failures += 1;
                report_exit(&plan, &status, pause);
                if !rest(pause, &mut orders).await {
                    break;
                }
            }
        }
    }
    std::fs::remove_file(&plan.pid_file).ok();
}

/// Starts the child and notes its pid.
fn spawn(plan: &Plan) -> io::Result<Child> {
    if std::fs::metadata(&plan.output).is_ok_and(|meta| meta.len() > MAX_OUTPUT_BYTES) {
        std::fs::rename(&plan.output, plan.output.with_extension("out.old"))?;
    }
    let output = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&plan.output)?;
    let mut command = if plan.setpriv {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(&plan.binary);
        command
    } else {
        Command::new(&plan.binary)
    };
    command.arg("-c").arg(&plan.conf);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // A Ctrl-C in the terminal goes to the whole process group; the server is to stop after its clients, not with them.
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn()?;
    // On a full disk the file stays empty; the server may run all the same.
    if let Some(pid) = child.id()
        && let Err(error) = std::fs::write(&plan.pid_file, format!("{pid}\n"))
    {
        tracing::warn!(server = plan.name, %error, "the pid of nats-server cannot be noted");
    }
    Ok(child)
}

/// Follows orders until the child exits or is to be stopped.
async fn watch_child(child: &mut Child, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
    loop {
        tokio::select! {
            status = child.wait() => return End::Exited(status),
            order = orders.recv() => match order {
                // A server that is just exiting reads the new configuration when it is started again.
                Some(Order::Reload) => signal(child.id().and_then(as_pid), Signal::HUP),
                Some(Order::Restart) => return End::Restart,
                None => return End::Stop,
            },
        }
    }
}

/// TERM, then KILL.
async fn end_child(plan: &Plan, child: &mut Child) {
    signal(child.id().and_then(as_pid), Signal::TERM);
    if tokio::time::timeout(STOP, child.wait()).await.is_err() {
        tracing::warn!(server = plan.name, "nats-server did not stop on SIGTERM and is killed");
        child.kill().await.ok();
    }
}

/// Pauses; false when the orders closed meanwhile. A reload or restart is what comes after the pause anyway.
async fn rest(pause: Duration, orders: &mut mpsc::UnboundedReceiver<Order>) -> bool {
    let until = Instant::now() + pause;
    loop {
        match tokio::time::timeout_at(until, orders.recv()).await {
            Ok(Some(Order::Reload | Order::Restart)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn report_exit(plan: &Plan, status: &io::Result<ExitStatus>, pause: Duration) {
    let status = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(
        server = plan.name,
        status,
        restart_in_ms = pause.as_millis(),
        log = %plan.log.display(),
        last_lines = last_lines(&plan.log),
        output = last_lines(&plan.output),
        "nats-server ended; it will be restarted"
    );
}

/// Ends a server that an earlier, killed process of ours left on this directory: it holds the ports and the store.
async fn end_stale(plan: &Plan) {
    let Some(pid) = stale(plan) else { return };
    tracing::warn!(
        server = plan.name,
        pid = pid.as_raw_nonzero().get(),
        "ending the nats-server of a killed process"
    );
    for (kind, patience) in [(Signal::TERM, STOP), (Signal::KILL, STOP)] {
        signal(Some(pid), kind);
        let until = Instant::now() + patience;
        // Not our child, so there is nothing to wait on but its absence.
        while Instant::now() < until {
            if test_kill_process(pid).is_err() || stale(plan).is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A living process that runs our configuration. All processes are looked at, not only that of the pid file: a parent
/// that is killed between starting a server and noting its pid leaves one that nobody has written down.
fn stale(plan: &Plan) -> Option<Pid> {
    let conf = plan.conf.as_os_str().as_encoded_bytes();
    let runs_ours = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).skip(1).any(|argument| argument == conf))
    };
    let processes = std::fs::read_dir("/proc").ok()?;
    let pids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id())
        .find(runs_ours)
        .and_then(as_pid)
}

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn signal(pid: Option<Pid>, kind: Signal) {
    if let Some(pid) = pid {
        // It may have ended by itself a moment ago, which is as good.
        kill_process(pid, kind).ok();
    }
}

/// The last lines of a file.
fn last_lines(path: &Path) -> String {
    let text = tail(path, 1_024);
    let lines: Vec<&str> = text.lines().rev().take(4).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The last bytes of a file; nothing where it cannot be read.
pub(super) fn tail(path: &Path, bytes_max: u64) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
