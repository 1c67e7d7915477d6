//! A real program as a child process: started, stopped gently or with kill -9, started again; its output in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::wait::poll_until;

/// How long a program may take to end after SIGTERM before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How much of a log is shown when something failed.
const TAIL_BYTES: u64 = 6_000;

/// A program with its arguments; runs zero or one time at once.
#[derive(Debug)]
pub struct Program {
    name: String,
    executable: PathBuf,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// A program that is not running yet. `log` collects stdout and stderr of every run.
    pub fn new(name: impl Into<String>, executable: PathBuf, args: Vec<String>, log: PathBuf) -> Self {
        Self {
            name: name.into(),
            executable,
            args,
            environment: Vec::new(),
            log,
            child: None,
        }
    }

    /// Sets an environment variable for the runs to come.
    pub fn env(&mut self, key: &str, value: impl Into<String>) {
        self.environment.push((key.to_owned(), value.into()));
    }

    /// Has the runs to come in a network namespace.
    pub fn within(&mut self, namespace: &str) {
        let [enter, which] = in_namespace(namespace);
        let program = std::mem::replace(&mut self.executable, enter.into());
        self.args.splice(..0, [which, program.display().to_string()]);
    }

    /// Starts it. In a process group of its own, so that Ctrl-C in a terminal reaches only the parent, which then
    /// stops the programs in order.
    pub fn start(&mut self) -> Result<(), String> {
        let explain = |error: io::Error| format!("cannot start {} ({}): {error}", self.name, self.executable.display());
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(explain)?;
        let child = Command::new(&self.executable)
            .args(&self.args)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(explain)?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(explain)?;
        self.child = Some(child);
        Ok(())
    }

    /// Process id of the running program.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended, if it was started and runs no more.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself a moment ago; then there is nothing to kill, only to reap.
            drop(child.kill());
            child.wait().ok();
        }
    }

    /// Asks it to end with SIGTERM, without waiting.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            signal(child.id(), Signal::TERM);
        }
    }

    /// SIGTERM, then waits; kills it when it does not end in time. The status says which it was.
    pub async fn stop(&mut self) -> Option<ExitStatus> {
        self.terminate();
        let name = self.name.clone();
        let child = self.child.as_mut()?;
        let ended = poll_until(&name, STOP_LIMIT, async || child.try_wait().ok().flatten()).await;
        if ended.is_err() {
            self.kill9();
            return Some(ExitStatus::from_raw(9));
        }
        self.child = None;
        ended.ok()
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        tail_of(&self.name, &self.log)
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// What stands before a program that is to run in a network namespace. Not `ip netns exec`: that makes a namespace of mounts
/// as well, in which every disk that is unmounted meanwhile stays mounted.
pub fn in_namespace(name: &str) -> [String; 2] {
    ["nsenter".to_owned(), format!("--net=/run/netns/{name}")]
}

/// The end of a log file under a headline.
pub fn tail_of(name: &str, log: &Path) -> String {
    format!("--- {name} ({})\n{}", log.display(), tail(log))
}

fn tail(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("(no log: {error})"),
    }
}

/// Sends a signal to a process that this program started itself, or that one of its children did; false when there
/// is no such process.
pub fn signal(pid: u32, signal: Signal) -> bool {
    pid_of(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether the process exists (a zombie counts).
pub fn exists(pid: u32) -> bool {
    pid_of(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Runs a command to its end. What it has written to stdout, or both streams with its name where it failed.
pub fn said_by(command: &mut Command) -> Result<String, String> {
    let output = command.output();
    let name = command_line(command);
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{name}: {}{}", text(&output.stdout), text(&output.stderr))),
    }
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Runs `tomato-hub` as an operator does, with the hub's configuration in `folder`.
pub fn ask_hub(folder: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(workspace_program("tomato-hub")?);
    said_by(command.args(args).arg("--config").arg(folder.join("hub.toml")))
}

/// The number in a pid file.
pub fn read_pid(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// A program of this workspace: beside the running executable, or one directory up for tests (`target/debug/deps`).
pub fn workspace_program(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| format!("cannot find the running executable: {error}"))?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "{name} is not beside {}; build it with: cargo build -p {name}",
                here.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Program {
        Program::new(
            "shell",
            PathBuf::from("/bin/sh"),
            vec!["-c".into(), script.into()],
            log.to_owned(),
        )
    }

    #[tokio::test]
    async fn a_program_is_stopped_killed_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut program = shell(
            "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done",
            &log,
        );
        program.start().unwrap();
        poll_until("up", Duration::from_secs(10), async || {
            program.tail().contains("up\n").then_some(())
        })
        .await
        .unwrap();
        assert_eq!(program.stop().await.unwrap().code(), Some(3));
        assert!(program.tail().contains("bye"));
        program.start().unwrap();
        let pid = program.pid().unwrap();
        assert!(exists(pid));
        program.kill9();
        assert!(!exists(pid));
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::new("ghost", "/no/such/program".into(), vec![], folder.path().join("log"));
        assert!(program.start().unwrap_err().contains("/no/such/program"));
    }
}
