//! Starting to stop: signals, and tasks that must not end unnoticed.
//!
//! A node whose relay died silently looks healthy and is not. Every task that serves the whole process runs under a
//! [`Supervisor`]: when one ends before it was told to, the rest is stopped in order and the process exits with an
//! error, so that whatever runs it starts it afresh from the database.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A future that completes with the signal's name at the first SIGINT or SIGTERM. The handlers are in place when this
/// returns, so a signal between the call and the first poll is not lost.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn termination() -> io::Result<impl Future<Output = &'static str> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

/// Tells a task to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Returns once the process is stopping; at once when it already is.
    pub async fn stopped(&mut self) {
        // An error means that the supervisor is gone, which is a stop as well.
        self.0.wait_for(|stopping| *stopping).await.ok();
    }

    /// Whether the process is stopping.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Why [`Supervisor::run`] returned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exit {
    /// The shutdown future completed and every task ended in time.
    Clean,
    /// This task ended, failed or panicked by itself; the process should exit with an error.
    TaskEnded(&'static str),
    /// Shutdown was asked for, but these tasks did not end in time and were dropped.
    Stuck(Vec<&'static str>),
}

/// The long-lived tasks of the process.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    names: Vec<(tokio::task::Id, &'static str)>,
    stop: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            names: Vec::new(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Supervisor {
    /// The signal that [`Supervisor::run`] gives; for tasks and for `serve`.
    pub fn stop_signal(&self) -> StopSignal {
        StopSignal(self.stop.subscribe())
    }

    /// Runs `task` until it is told to stop. It may end, with `Ok`, only after its [`StopSignal`]; an error is logged.
    pub fn spawn<E: Display + Send + 'static>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(async move {
            if let Err(error) = task.await {
                tracing::error!(task = name, %error, "task failed");
            }
        });
        self.names.push((handle.id(), name));
    }

    /// Waits for `shutdown` or for the first task to end, then stops all tasks and gives them `drain` to end.
    pub async fn run(mut self, shutdown: impl Future<Output = &'static str>, drain: Duration) -> Exit {
        let early = tokio::select! {
            cause = shutdown => {
                tracing::info!(cause, "stopping");
                None
            }
            Some(name) = next_ended(&mut self.tasks, &mut self.names) => {
                tracing::error!(task = name, "task ended unexpectedly; stopping the process");
                Some(name)
            }
        };
        self.stop.send_replace(true);
        let rest = async { while next_ended(&mut self.tasks, &mut self.names).await.is_some() {} };
        let in_time = tokio::time::timeout(drain, rest).await.is_ok();
        let left: Vec<&'static str> = self.names.iter().map(|(_, name)| *name).collect();
        if !in_time {
            tracing::error!(tasks = ?left, "tasks did not stop in time and are dropped");
        }
        match early {
            Some(name) => Exit::TaskEnded(name),
            None if in_time => Exit::Clean,
            None => Exit::Stuck(left),
        }
    }
}

/// The name of the next task to end; `None` when there is none left.
async fn next_ended(tasks: &mut JoinSet<()>, names: &mut Vec<(tokio::task::Id, &'static str)>) -> Option<&'static str> {
    let (id, panicked) = match tasks.join_next_with_id().await? {
        Ok((id, ())) => (id, false),
        Err(error) => (error.id(), error.is_panic()),
    };
    let index = names.iter().position(|(known, _)| *known == id)?;
    let (_, name) = names.swap_remove(index);
    if panicked {
        tracing::error!(task = name, "task panicked");
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn obedient(supervisor: &mut Supervisor) {
        let mut stop = supervisor.stop_signal();
        supervisor.spawn("obedient", async move {
            stop.stopped().await;
            Ok::<(), io::Error>(())
        });
    }

    #[tokio::test]
    async fn shutdown_stops_every_task() {
        let mut supervisor = Supervisor::default();
        obedient(&mut supervisor);
        obedient(&mut supervisor);
        let signal = supervisor.stop_signal();
        assert!(!signal.is_stopped());
        assert_eq!(
            supervisor.run(async { "SIGTERM" }, Duration::from_secs(10)).await,
            Exit::Clean
        );
        assert!(signal.is_stopped());
    }

    #[tokio::test]
    async fn a_task_that_ends_fails_or_panics_takes_the_process_down() {
        let mut supervisor = Supervisor::default();
        obedient(&mut supervisor);
        supervisor.spawn("relay", async { Err(io::Error::other("lost")) });
        assert_eq!(supervisor.run(pending(), SHORT).await, Exit::TaskEnded("relay"));
        let mut supervisor = Supervisor::default();
        supervisor.spawn("quiet", async { Ok::<(), io::Error>(()) });
        assert_eq!(supervisor.run(pending(), SHORT).await, Exit::TaskEnded("quiet"));
        let mut supervisor = Supervisor::default();
        supervisor.spawn("broken", async {
            assert!(!SHORT.is_zero() && SHORT.is_zero(), "on purpose");
            Ok::<(), io::Error>(())
        });
        assert_eq!(supervisor.run(pending(), SHORT).await, Exit::TaskEnded("broken"));
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_named() {
        let mut supervisor = Supervisor::default();
        obedient(&mut supervisor);
        supervisor.spawn("stubborn", pending::<Result<(), io::Error>>());
        assert_eq!(
            supervisor.run(async { "SIGINT" }, SHORT).await,
            Exit::Stuck(vec!["stubborn"])
        );
    }

    #[tokio::test]
    async fn sigterm_completes_the_future() {
        let signalled = termination().unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        assert_eq!(signalled.await, "SIGTERM");
    }
}
