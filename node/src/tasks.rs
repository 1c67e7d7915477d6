//! Makes the calls to the outside that were committed, and brings their outcomes back as commands.
//!
//! A task is a row until its outcome is committed, so a crash at any point repeats the call with the same key. A call
//! without an answer is repeated with growing pauses, without end: time alone decides nothing about money. Before each
//! repetition the row is read again, as it may have changed or gone; a message of the provider rings for it at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tomato_shared::runtime::otlp::{Side, Tracer};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::DurationMs;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::engine::command::{Command, PaymentOutcome};
use crate::engine::model::By;
use crate::engine::task::{Task, TaskKey};
use crate::metrics::Metrics;
use crate::payments::wire::TRACE;
use crate::payments::{NoAnswer, Provider};
use crate::store::pool::Pool;
use crate::store::{StoreError, load};
use crate::writer::{Context, Failure, Head, Writer};

/// Calls under way at a time; further ones wait in their table.
const CALLS_MAX: usize = 8_192;
/// Committed tasks on their way from the writer; beyond that they wait in their table.
pub const QUEUE_MAX: usize = 16_384;
/// How often the table is looked through for tasks that found no room, in real time.
const RESCAN: Duration = Duration::from_secs(5);
/// Pauses between repetitions of a call without an answer, in region time.
const PAUSE_FIRST: DurationMs = DurationMs::from_secs(1);
const PAUSE_MAX: DurationMs = DurationMs::from_secs(60);
/// Shortest pause in real time, so that a fast clock does not run a provider over.
const PAUSE_LEAST: Duration = Duration::from_millis(20);

/// What the runner works with.
#[derive(Debug)]
pub struct Tasks {
    /// Takes the outcomes.
    pub writer: Writer,
    /// Moves the money.
    pub provider: Arc<Provider>,
    /// For pauses.
    pub clock: Clock,
    /// The region's file, to find tasks that wait in their table.
    pub path: PathBuf,
    /// Tasks as they are committed.
    pub queue: mpsc::Receiver<Task>,
    /// Counts how long calls take.
    pub metrics: Arc<Metrics>,
    /// Tells when the region's file turns out to be an old copy: from then on nobody is called.
    pub head: watch::Receiver<Head>,
    /// Traces.
    pub tracer: Tracer,
}

/// What one call works with.
#[derive(Debug, Clone)]
struct Line {
    writer: Writer,
    provider: Arc<Provider>,
    clock: Clock,
    reads: Pool,
    metrics: Arc<Metrics>,
    head: watch::Receiver<Head>,
    tracer: Tracer,
}

impl Tasks {
    /// Runs until told to stop. `pending` are the tasks that a start found.
    pub async fn run(mut self, pending: Vec<Task>, mut stop: StopSignal) -> Result<(), StoreError> {
        let line = Line {
            writer: self.writer.clone(),
            provider: self.provider.clone(),
            clock: self.clock,
            reads: Pool::open(&self.path, 1)?,
            metrics: self.metrics.clone(),
            head: self.head.clone(),
            tracer: self.tracer.clone(),
        };
        let mut calls: JoinSet<TaskKey> = JoinSet::new();
        let mut open: BTreeMap<TaskKey, Arc<Notify>> = BTreeMap::new();
        let mut watch = JoinSet::new();
        watch.spawn(line.clone().watch(self.provider.down()));
        for task in pending {
            line.begin(task, &mut calls, &mut open);
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
                    match open.get(&task.key()) {
                        Some(bell) => bell.notify_one(),
                        None => line.begin(task, &mut calls, &mut open),
                    }
                }
                _ = rescan.tick(), if calls.len() < CALLS_MAX => {
                    for task in self.waiting().await? {
                        line.begin(task, &mut calls, &mut open);
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
}

impl Line {
    fn begin(&self, task: Task, calls: &mut JoinSet<TaskKey>, open: &mut BTreeMap<TaskKey, Arc<Notify>>) {
        let key = task.key();
        if calls.len() >= CALLS_MAX || open.contains_key(&key) {
            return;
        }
        let bell = Arc::new(Notify::new());
        open.insert(key, bell.clone());
        // Every line that is logged for the task says whose it is.
        let trace_id = crate::http::trace::id_of(task.trace.as_deref());
        let lines = tracing::info_span!("task", trace_id, kind = task.kind.name());
        calls.spawn(self.clone().settle(task, bell).instrument(lines));
    }

    /// One call, timed and traced.
    async fn asked(&self, task: &Task, again: bool) -> Result<PaymentOutcome, NoAnswer> {
        let began = Instant::now();
        let span = self.tracer.child(task.trace.as_deref());
        let trace = span.map(|span| span.context.to_string()).or_else(|| task.trace.clone());
        let answer = TRACE.scope(trace, self.provider.call(task, again)).await;
        self.metrics.paid(task.kind, began.elapsed());
        if let Some(span) = span {
            let kind = ("tomato.task.kind", task.kind.name().to_owned());
            self.tracer
                .end(span, ("provider.call", Side::Client), vec![kind], answer.is_err());
        }
        answer
    }

    /// Calls until the task's row is gone.
    async fn settle(mut self, mut task: Task, bell: Arc<Notify>) -> TaskKey {
        let key = task.key();
        let mut pause = PAUSE_FIRST;
        let mut again = false;
        loop {
            let wait = task.not_before - self.clock.now();
            if wait > DurationMs(0) {
                tokio::time::sleep(self.clock.real(wait)).await;
            }
            // An old copy has forgotten what was answered. A fence ends only with the process.
            if self.head.wait_for(|head| head.fence.is_none()).await.is_err() {
                return key;
            }
            match self.asked(&task, again).await {
                Ok(outcome) => {
                    again = false;
                    // Of what the customer has to do, the order is told once.
                    let told = matches!(&outcome, PaymentOutcome::ActionRequired { transaction_id, .. }
                        if *transaction_id == task.transaction_id);
                    let open = match &outcome {
                        PaymentOutcome::ActionRequired { .. }
                        | PaymentOutcome::NotMade { .. }
                        | PaymentOutcome::RefundRefused { .. } => true,
                        PaymentOutcome::Authorised { .. }
                        | PaymentOutcome::Declined { .. }
                        | PaymentOutcome::Captured
                        | PaymentOutcome::CaptureRefused { .. }
                        | PaymentOutcome::Voided
                        | PaymentOutcome::Refunded
                        | PaymentOutcome::TipTaken
                        | PaymentOutcome::TipDeclined { .. } => false,
                    };
                    if !told && (!self.report(&task, outcome).await || !open) {
                        return key;
                    }
                }
                Err(error) => {
                    again = true;
                    tracing::warn!(payment_id = %task.payment_id, kind = ?task.kind, %error, "asking again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.clock.real(pause).max(PAUSE_LEAST)) => {
                    pause = DurationMs(pause.0.saturating_mul(2).min(PAUSE_MAX.0));
                }
                () = bell.notified() => pause = PAUSE_FIRST,
            }
            match self.reads.read(move |connection| load::task(connection, key)).await {
                Ok(Some(row)) => task = row,
                Ok(None) => return key,
                // The same call again does no harm.
                Err(error) => tracing::warn!(%error, "a task cannot be read again"),
            }
        }
    }

    /// Brings an outcome in; `false` where it was not taken in.
    async fn report(&self, task: &Task, outcome: PaymentOutcome) -> bool {
        let context = || Context {
            trace: task.trace.clone(),
            ..Context::default()
        };
        loop {
            let command = Command::PaymentOutcome {
                order_id: task.order_id,
                payment_id: task.payment_id,
                nth: task.nth,
                attempt: task.attempt,
                outcome: outcome.clone(),
            };
            match self.writer.submit(By::Provider, command, context()).await {
                Err(Failure::Overloaded) => tokio::time::sleep(self.clock.real(PAUSE_FIRST).max(PAUSE_LEAST)).await,
                Ok(_) => return true,
                // The row stays; the next start, or the next look through the table, takes it up again.
                Err(failure) => {
                    tracing::error!(payment_id = %task.payment_id, ?failure, "outcome not taken in");
                    return false;
                }
            }
        }
    }

    /// Tells the region when the provider cannot be reached any more, and when it can be again. While it cannot, nobody may
    /// order by card, so that no call finds out: it is probed.
    async fn watch(self, mut down: watch::Receiver<bool>) {
        let mut told = None;
        loop {
            let is_down = *down.borrow_and_update();
            if told != Some(is_down) {
                if is_down {
                    tracing::warn!(provider = self.provider.name(), "the provider cannot be reached");
                } else {
                    tracing::info!(provider = self.provider.name(), "cards can be charged");
                }
                let command = Command::CardsDown(is_down);
                let taken = self.writer.submit(By::Provider, command, Context::default()).await;
                told = taken.is_ok().then_some(is_down);
            }
            let pause = self.clock.real(PAUSE_FIRST).max(PAUSE_LEAST);
            tokio::select! {
                changed = down.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause), if is_down || told.is_none() => {
                    if let Err(error) = self.provider.probe().await {
                        tracing::debug!(%error, "the provider is still away");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
