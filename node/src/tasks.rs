//! Makes the calls to the outside that were committed, and brings their outcomes back as commands.
//!
//! A task is a row until its outcome is committed, so a crash at any point repeats the call with the same key. A call
//! without an answer is repeated with growing pauses, without end: time alone decides nothing about money.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tomato_shared::runtime::otlp::{Side, Tracer};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::DurationMs;

use crate::clock::Clock;
use crate::engine::command::{Command, PaymentOutcome};
use crate::engine::model::By;
use crate::engine::task::{Task, TaskKey};
use crate::metrics::Metrics;
use crate::payments::simulated::Simulated;
use crate::store::{StoreError, load};
use crate::writer::{Context, Failure, Writer};

/// Calls under way at a time; further ones wait in their table.
const CALLS_MAX: usize = 8_192;
/// Committed tasks on their way from the writer; beyond that they wait in their table.
pub const QUEUE_MAX: usize = 16_384;
/// How often the table is looked through for tasks that found no room, in real time.
const RESCAN: Duration = Duration::from_secs(5);
/// Pauses between repetitions of a call without an answer, in region time.
const PAUSE_FIRST: DurationMs = DurationMs::from_secs(1);
const PAUSE_MAX: DurationMs = DurationMs::from_secs(60);

/// What the runner works with.
#[derive(Debug)]
pub struct Tasks {
    /// Takes the outcomes.
    pub writer: Writer,
    /// Moves the money.
    pub provider: Arc<Simulated>,
    /// For pauses.
    pub clock: Clock,
    /// The region's file, to find tasks that wait in their table.
    pub path: PathBuf,
    /// Tasks as they are committed.
    pub queue: mpsc::Receiver<Task>,
    /// Counts how long calls take.
    pub metrics: Arc<Metrics>,
    /// Traces.
    pub tracer: Tracer,
}

impl Tasks {
    /// Runs until told to stop. `pending` are the tasks that a start found.
    pub async fn run(mut self, pending: Vec<Task>, mut stop: StopSignal) -> Result<(), StoreError> {
        let mut calls: JoinSet<TaskKey> = JoinSet::new();
        let mut open: BTreeSet<TaskKey> = BTreeSet::new();
        for task in pending {
            self.begin(task, &mut calls, &mut open);
        }
        let mut rescan = tokio::time::interval(RESCAN);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(ended) = calls.join_next(), if !calls.is_empty() => match ended {
                    Ok(key) => { open.remove(&key); }
                    // The call's row is still there; the next look through the table begins it again.
                    Err(error) => { tracing::error!(%error, "a call to the outside broke off"); open.clear(); }
                },
                Some(task) = self.queue.recv(), if calls.len() < CALLS_MAX => {
                    self.begin(task, &mut calls, &mut open);
                }
                _ = rescan.tick(), if calls.len() < CALLS_MAX => {
                    for task in self.waiting().await? {
                        self.begin(task, &mut calls, &mut open);
                    }
                }
            }
        }
    }

    async fn waiting(&self) -> Result<Vec<Task>, StoreError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let connection = crate::store::pool::connect(&path)?;
            load::tasks(&connection, CALLS_MAX)
        });
        read.await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    fn begin(&self, task: Task, calls: &mut JoinSet<TaskKey>, open: &mut BTreeSet<TaskKey>) {
        let key = task.key();
        if calls.len() >= CALLS_MAX || !open.insert(key) {
            return;
        }
        let (writer, provider, clock) = (self.writer.clone(), self.provider.clone(), self.clock);
        let (metrics, tracer) = (self.metrics.clone(), self.tracer.clone());
        calls.spawn(async move {
            let began = Instant::now();
            let span = tracer.child(task.trace.as_deref());
            let outcome = call(&provider, clock, &task).await;
            metrics.paid(task.kind, began.elapsed());
            if let Some(span) = span {
                let kind = ("tomato.task.kind", task.kind.name().to_owned());
                tracer.end(span, ("provider.call", Side::Client), vec![kind], false);
            }
            report(&writer, clock, &task, outcome).await;
            key
        });
    }
}

async fn call(provider: &Simulated, clock: Clock, task: &Task) -> PaymentOutcome {
    let mut pause = PAUSE_FIRST;
    loop {
        match provider.call(task).await {
            Ok(outcome) => return outcome,
            Err(error) => {
                tracing::warn!(payment_id = %task.payment_id, trace_id = crate::http::trace::id_of(task.trace.as_deref()), kind = ?task.kind, %error, "asking again")
            }
        }
        tokio::time::sleep(clock.real(pause)).await;
        pause = DurationMs(pause.0.saturating_mul(2).min(PAUSE_MAX.0));
    }
}

async fn report(writer: &Writer, clock: Clock, task: &Task, outcome: PaymentOutcome) {
    loop {
        let command = Command::PaymentOutcome {
            order_id: task.order_id,
            payment_id: task.payment_id,
            nth: task.nth,
            outcome: outcome.clone(),
        };
        let context = Context {
            trace: task.trace.clone(),
            ..Context::default()
        };
        match writer.submit(By::Provider, command, context).await {
            Err(Failure::Overloaded) => tokio::time::sleep(clock.real(PAUSE_FIRST)).await,
            Ok(_) => return,
            // The row stays; the next start, or the next look through the table, takes it up again.
            Err(failure) => return tracing::error!(payment_id = %task.payment_id, ?failure, "outcome not taken in"),
        }
    }
}

#[cfg(test)]
mod tests;
