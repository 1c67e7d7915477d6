//! Works off messages, each lane for itself: a push service that is slow, or a partner that is away, keeps nobody else waiting.
//!
//! A message is a row until its outcome is committed, so a crash at any point sends it again under the same id, and never loses it.
//! A receiver that fails again and again is left alone for a while, and then tried with one message.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tomato_shared::runtime::otlp::Side;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::{DurationMs, UnixMs};
use tracing::Instrument as _;

use super::model::{Attempt, Content, Lane, Message, Notice, Webhook};
use super::ways::{Outcome, Tried, seconds_until};
use super::webhook::Outgoing;
use super::{Letter, Push, texts};
use crate::engine::model::By;
use crate::store::pool::ReadError;
use crate::store::push::{Errand, Gone, Scope, Settled, Verdict};
use crate::store::reads::push as reads;
use crate::writer::{Context, Failure};

/// Calls of one lane under way at a time.
const CALLS_MAX: usize = 16;
/// Longest pause between two tries to reach a device, in region time.
const PAUSE_MAX: DurationMs = DurationMs::from_mins(10);
/// Longest time without a look at the rows, and pause after a fault, in real time.
const IDLE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
/// Longest text that is kept of what went wrong.
const REASON_MAX: usize = 200;
/// How long calls that are under way may take when the node stops.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Keeps one task per lane running: the push services', and one per webhook.
pub(super) async fn run(push: Push, mut stop: StopSignal) {
    let mut tasks: JoinSet<Lane> = JoinSet::new();
    let mut running: HashSet<Lane> = HashSet::new();
    loop {
        let mut wanted = vec![Lane::Fcm, Lane::Apns, Lane::Log];
        match push.reads.read(reads::webhooks).await {
            Ok(found) => {
                let active = found.into_iter().filter(|(webhook, _)| webhook.active);
                wanted.extend(active.map(|(webhook, _)| Lane::Webhook(webhook.id)));
            }
            Err(error) => tracing::warn!(%error, "webhooks cannot be read; trying again"),
        }
        for lane in wanted {
            if running.insert(lane) {
                let worker = Worker::new(push.clone(), lane);
                tasks.spawn(worker.run(stop.clone()));
            }
        }
        tokio::select! {
            () = stop.stopped() => break,
            () = push.bells.webhooks.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
            Some(Ok(lane)) = tasks.join_next() => {
                running.remove(&lane);
                push.bells.forget(lane);
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// When a receiver is left alone.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

/// One lane at work.
struct Worker {
    push: Push,
    lane: Lane,
    bell: Arc<Notify>,
    calls: JoinSet<Done>,
    under_way: HashSet<i64>,
    breaker: Breaker,
}

/// A call that is over.
struct Done {
    message: Message,
    /// `None` where nobody was called.
    attempt: Option<Attempt>,
    took: Option<Duration>,
    tried: Tried,
    /// Who it was for, if they are there no more.
    gone: Gone,
}

/// What a look at the rows brought.
struct Look {
    /// `None` for a webhook that is not there or switched off.
    webhook: Option<Webhook>,
    due: Vec<Message>,
}

impl Worker {
    fn new(push: Push, lane: Lane) -> Self {
        Self {
            bell: push.bells.of(lane),
            push,
            lane,
            calls: JoinSet::new(),
            under_way: HashSet::new(),
            breaker: Breaker::default(),
        }
    }

    async fn run(mut self, mut stop: StopSignal) -> Lane {
        loop {
            let wait = match self.look().await {
                Ok(None) => break,
                Ok(Some(wait)) => wait,
                Err(error) => {
                    tracing::warn!(%error, "messages cannot be read; trying again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.stopped() => break,
                Some(done) = self.calls.join_next(), if !self.calls.is_empty() => self.settle(done).await,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let rest = async {
            while let Some(done) = self.calls.join_next().await {
                self.settle(done).await;
            }
        };
        // What takes longer is sent again under the same id.
        tokio::time::timeout(STOP_WITHIN, rest).await.ok();
        self.lane
    }

    /// Begins what is due. Says how long there is nothing to do; `None` where the lane is no more.
    async fn look(&mut self) -> Result<Option<Duration>, ReadError> {
        let now = self.push.clock.now();
        let room = self.room();
        let (lane, limit) = (self.lane, CALLS_MAX + self.under_way.len() + 1);
        let read = self.push.reads.read(move |connection| {
            let webhook = match lane {
                Lane::Webhook(id) => reads::webhook(
                    connection,
                    Scope {
                        id,
                        restaurant_id: None,
                    },
                )?,
                Lane::Fcm | Lane::Apns | Lane::Log => None,
            };
            Ok(Look {
                webhook: webhook.map(|(webhook, _)| webhook).filter(|webhook| webhook.active),
                due: reads::due(connection, lane, now, limit)?,
            })
        });
        let look = read.await?;
        if matches!(lane, Lane::Webhook(_)) && look.webhook.is_none() {
            return Ok(None);
        }
        let webhook = look.webhook.map(Arc::new);
        let mut wait = IDLE;
        let fresh = look
            .due
            .into_iter()
            .filter(|message| !self.under_way.contains(&message.nth));
        let (due, later): (Vec<_>, Vec<_>) = fresh
            .collect::<Vec<_>>()
            .into_iter()
            .partition(|message| message.due_at <= now);
        if let Some(next) = later.first() {
            wait = wait.min(self.push.clock.real(next.due_at - now) + Duration::from_millis(1));
        }
        // Where its one try is under way already, the end of that is waited for.
        let left_alone = self
            .breaker
            .open_until
            .map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(left) = left_alone.filter(|left| !left.is_zero()) {
            wait = wait.min(left);
        }
        for message in due.into_iter().take(room) {
            self.begin(message, webhook.clone());
        }
        Ok(Some(wait.max(Duration::from_millis(1))))
    }

    /// How many calls may begin now: none while the receiver is left alone, then one to see whether it is there.
    fn room(&self) -> usize {
        // An old copy of the region's file has forgotten what was delivered.
        if self.push.head.borrow().fence.is_some() {
            return 0;
        }
        let free = CALLS_MAX.saturating_sub(self.calls.len());
        match self.breaker.open_until {
            Some(until) if Instant::now() < until => 0,
            Some(_) => free.min(usize::from(self.calls.is_empty())),
            None => free,
        }
    }

    fn begin(&mut self, message: Message, webhook: Option<Arc<Webhook>>) {
        self.under_way.insert(message.nth);
        let trace_id = crate::http::trace::id_of(message.content.trace());
        let lines = tracing::info_span!("notification", trace_id, message_id = %message.id);
        self.calls
            .spawn(call(self.push.clone(), message, webhook).instrument(lines));
    }

    /// Writes what became of a call, and of others that are over by now.
    async fn settle(&mut self, first: Result<Done, tokio::task::JoinError>) {
        let mut ended = vec![first];
        while let Some(done) = self.calls.try_join_next() {
            ended.push(done);
        }
        let mut all = Vec::new();
        for done in ended {
            match done {
                Ok(done) => all.push(self.judge(done)),
                Err(error) => {
                    tracing::error!(%error, "a notification broke off; it is sent again");
                    self.under_way.clear();
                }
            }
        }
        let numbers: Vec<i64> = all.iter().map(|settled| settled.nth).collect();
        let switched_off = all
            .iter()
            .any(|settled| matches!(settled.verdict, Verdict::Gone(Gone::Webhook(_))));
        self.write(all).await;
        for nth in numbers {
            self.under_way.remove(&nth);
        }
        if switched_off {
            self.push.bells.webhooks_changed();
        }
    }

    /// Until it is written the message counts as under way, so that it is not sent again meanwhile.
    async fn write(&self, all: Vec<Settled>) {
        loop {
            let errand = Errand::Settle(all.clone());
            match self.push.writer.errand(By::System, errand, Context::default()).await {
                Ok(_) => return,
                Err(Failure::Overloaded) => tokio::time::sleep(PAUSE).await,
                // The rows still wait, here or after the next start.
                Err(failure) => {
                    tracing::error!(?failure, "outcomes of notifications were not written");
                    return;
                }
            }
        }
    }

    fn judge(&mut self, done: Done) -> Settled {
        let message = done.message;
        let tries = message.attempts.len();
        let (verdict, failed, word) = match done.tried.outcome {
            Outcome::Delivered => (Verdict::Delivered, false, "delivered"),
            Outcome::Never(_) => (Verdict::Dead, false, "dead"),
            Outcome::Gone(_) => (Verdict::Gone(done.gone), false, "gone"),
            Outcome::NotNow(_, after) => match self.again(&message, after) {
                Some(at) => (Verdict::Again(at), true, "retried"),
                None => (Verdict::Dead, true, "dead"),
            },
        };
        let channel = self.lane.channel();
        self.push.metrics.notified(channel, word, done.took);
        if done.attempt.is_some() {
            self.note(failed);
        }
        if word == "dead" {
            let error = done.attempt.as_ref().and_then(|attempt| attempt.error.as_deref());
            let trace_id = crate::http::trace::id_of(message.content.trace());
            let (message_id, channel) = (message.id, channel.name());
            tracing::warn!(%message_id, trace_id, channel, tries = tries + 1, error, "a notification was given up");
        }
        Settled {
            nth: message.nth,
            tries,
            attempt: done.attempt,
            verdict,
        }
    }

    /// When a message is tried again after a failure; `None` where it is not.
    fn again(&self, message: &Message, after: Option<Duration>) -> Option<UnixMs> {
        let (now, config) = (self.push.clock.now(), &self.push.config);
        let tries = message.attempts.len() + 1;
        let pause = match message.content {
            Content::Event { .. } => {
                let seconds = config.webhooks.retry_s.get(tries - 1)?;
                DurationMs::from_secs(*seconds)
            }
            Content::Notice(_) if tries >= config.tries_max => return None,
            Content::Notice(_) => {
                let doubled = config.retry_first_ms.saturating_mul(1 << (tries - 1).min(20));
                DurationMs(doubled.min(PAUSE_MAX.0))
            }
        };
        let asked = after.map_or(DurationMs(0), |after| self.push.clock.region(after));
        // Up to a tenth later, so that what failed together does not come together again.
        let jitter = rand::rng().random_range(0..=pause.0 / 10);
        let at = now + DurationMs(pause.0.saturating_add(jitter).max(asked.0));
        (at < message.ends_at).then_some(at)
    }

    fn note(&mut self, failed: bool) {
        if !failed {
            self.breaker = Breaker::default();
            return;
        }
        let config = &self.push.config;
        self.breaker.failures = self.breaker.failures.saturating_add(1);
        if self.breaker.failures >= config.breaker_failures {
            let pause = self.push.clock.real(DurationMs(config.breaker_pause_ms));
            self.breaker.open_until = Some(Instant::now() + pause);
        }
    }
}

/// Sends one message, timed and traced.
async fn call(push: Push, message: Message, webhook: Option<Arc<Webhook>>) -> Done {
    let (at, began) = (push.clock.now(), Instant::now());
    let span = push.tracer.child(message.content.trace());
    let trace = span.map(|span| span.context.to_string());
    let trace = trace.as_deref().or(message.content.trace());
    let uncalled = |outcome| Tried { status: None, outcome };
    let nobody = || uncalled(Outcome::Gone(String::new()));
    // Where nobody is called there is no attempt.
    let (tried, gone, called) = match (&message.content, &webhook) {
        _ if at >= message.ends_at => (uncalled(Outcome::Never("too late".to_owned())), Gone::Before, false),
        (Content::Event { body, .. }, Some(webhook)) => {
            let outgoing = Outgoing {
                id: message.id,
                body,
                trace,
                now: at,
                wall_s: push.clock.wall_seconds(),
            };
            let tried = push.ways.webhooks.send(webhook, &outgoing).await;
            (tried, Gone::Webhook(webhook.id), true)
        }
        (Content::Event { .. }, None) => (nobody(), Gone::Before, false),
        (Content::Notice(notice), _) => match tell(&push, &message, notice, trace).await {
            Some((tried, gone)) => (tried, gone, true),
            None => (nobody(), Gone::Before, false),
        },
    };
    let took = began.elapsed();
    let attempt = called.then(|| Attempt {
        at,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        status: tried.status,
        error: match &tried.outcome {
            Outcome::Delivered => None,
            Outcome::NotNow(reason, _) | Outcome::Never(reason) | Outcome::Gone(reason) => {
                Some(reason.chars().take(REASON_MAX).collect())
            }
        },
    });
    if let Some(span) = span {
        let failed = attempt.as_ref().is_none_or(|attempt| attempt.error.is_some());
        let channel = ("tomato.channel", message.lane.channel().name().to_owned());
        push.tracer
            .end(span, ("notification.send", Side::Client), vec![channel], failed);
    }
    Done {
        took: called.then_some(took),
        message,
        attempt,
        tried,
        gone,
    }
}

/// Sends a notice to its device; `None` where that was taken away.
async fn tell(push: &Push, message: &Message, notice: &Notice, trace: Option<&str>) -> Option<(Tried, Gone)> {
    let (owner, name) = (notice.owner.clone(), notice.device.clone());
    let read = push
        .reads
        .read(move |connection| reads::device(connection, &owner, &name))
        .await;
    let device = match read {
        Ok(Some(device)) => device,
        Ok(None) => return None,
        Err(error) => return Some((Tried::nothing(error.to_string()), Gone::Before)),
    };
    let text = push.ways.texts.of((notice.app, notice.name), &device.locale);
    let (now, wall_s) = (push.clock.now(), push.clock.wall_seconds());
    let letter = Letter {
        id: message.id,
        notice,
        token: &device.token,
        put_ms: device.put_ms,
        text: &text,
        text_key: &texts::key(notice.app, notice.name),
        urgent: texts::style(notice.app, notice.name).is_some_and(|style| style.urgent),
        lasts_s: seconds_until(message.ends_at, now, push.clock.rate()),
        wall_s,
        trace,
    };
    let tried = match (message.lane, &push.ways.fcm, &push.ways.apns) {
        (Lane::Fcm, Some(fcm), _) => fcm.send(&letter).await,
        (Lane::Apns, _, Some(apns)) => apns.send(&letter).await,
        // Where the service is not set up, or not any more.
        (Lane::Fcm | Lane::Apns | Lane::Log | Lane::Webhook(_), ..) => log(&letter),
    };
    let gone = Gone::Device {
        owner: device.owner,
        name: device.name,
        token: device.token,
    };
    Some((tried, gone))
}

/// Neither words nor tokens: nobody's business.
fn log(letter: &Letter<'_>) -> Tried {
    let trace_id = crate::http::trace::id_of(letter.trace);
    let (message_id, order_id, key) = (letter.id, letter.notice.order_id, letter.text_key);
    tracing::info!(%message_id, trace_id, %order_id, key, "a device would be told");
    Tried {
        status: None,
        outcome: Outcome::Delivered,
    }
}
