//! The writer's loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tomato_shared::order::DeliveryState;
use tomato_shared::runtime::otlp::Side;
use tomato_shared::time::DurationMs;

use super::batch::{Batch, News, stopped};
use super::inbox::Inbox;
use super::{Entry, Failure, Head, Start, Tick, Watermark, WriterStopped, sweep};
use crate::dispatch::{self, News as Lesson};
use crate::engine::city::City;
use crate::engine::command::{Command, Waiting};
use crate::engine::draft::Changes;
use crate::engine::model::{Driver, Order};
use crate::engine::policy::DispatchKind;
use crate::engine::snapshot::Snapshot;
use crate::fleet::{Duty, Fleet, Near};
use crate::steps;
use crate::store::{extras, meta, push};

/// Longest time without a look at the clock.
const IDLE: Duration = Duration::from_millis(500);
/// Deadlines taken into one batch.
const TIMERS_MAX: usize = 512;
/// How often spent rows are swept, in real time; and how soon again where there were more than go at once.
const SWEEP_EVERY: Duration = Duration::from_secs(7);
const SWEEP_AGAIN: Duration = Duration::from_millis(100);

struct Loop {
    start: Start,
    head: Head,
    sweep_at: Instant,
    /// Where the next dispatch round begins, so that each waiting order gets its turn.
    dispatch_skip: usize,
}

pub(super) fn run(start: Start, inbox: &Inbox<Entry>) -> Result<(), WriterStopped> {
    let head = Head {
        incarnation: start.incarnation,
        seq: start.loaded.head_seq,
        watermark_seq: start.watermark_seq,
        heard: None,
        fence: start.fence,
        orders_open: 0,
        orders_waiting: 0,
    };
    let mut this = Loop {
        start,
        head,
        sweep_at: Instant::now() + SWEEP_EVERY,
        dispatch_skip: 0,
    };
    this.begin();
    let result = this.turn_until_closed(inbox);
    if result.is_err() {
        // Closing the connection could still write to a disk that has just failed.
        std::mem::forget(this.start.store);
    }
    result
}

impl Loop {
    /// Tells readers and fleet what was loaded.
    fn begin(&mut self) {
        let city = &self.start.loaded.city;
        self.start.outlets.catalogue.send_replace(city.catalogue().clone());
        for driver in city.drivers().filter(|driver| driver.online) {
            set_duty(&self.start.outlets.fleet, city, driver);
        }
        if self.plans() {
            self.start.loaded.city.apply(&Changes {
                dispatch_at: Some(None),
                ..Changes::default()
            });
        }
        self.tell_head();
    }

    fn turn_until_closed(&mut self, inbox: &Inbox<Entry>) -> Result<(), WriterStopped> {
        while let Some(entries) = inbox.take(self.start.limits.batch_max, self.wait()) {
            if let Some(fence) = self.fence_of(&entries) {
                self.fence(fence)?;
            }
            if self.head.fence.is_some() {
                refuse(entries);
                continue;
            }
            let now = self.start.clock.now();
            let due = self.start.loaded.city.next_due().is_some_and(|at| at <= now);
            if !entries.is_empty() || due {
                self.turn(entries, Tick { now })?;
            }
            if Instant::now() >= self.sweep_at {
                self.sweep()?;
            }
        }
        Ok(())
    }

    /// Whether rounds come from outside, as commands.
    fn plans(&self) -> bool {
        self.start.policy.dispatch.kind == DispatchKind::Matching
    }

    fn wait(&self) -> Duration {
        let due_at = self.start.loaded.city.next_due().filter(|_| self.head.fence.is_none());
        let Some(due_at) = due_at else {
            return IDLE;
        };
        self.start.clock.real(due_at - self.start.clock.now()).min(IDLE)
    }

    /// What these entries say of the file: that it is an old copy, or more about that. An own newest event, an own
    /// incarnation and own rows are the node's evidence; the hub's word alone counts only where it compared rows.
    fn fence_of(&mut self, entries: &[Entry]) -> Option<Watermark> {
        let mut fence = self.head.fence;
        for entry in entries {
            let (told, proven) = match entry {
                Entry::Watermark(told) => {
                    self.head.heard = Some(*told);
                    (told, contradicts(self.head, *told))
                }
                Entry::Fence(seen) => (seen, true),
                Entry::Command(_) | Entry::Errand(_) | Entry::DriverAppeared | Entry::Snapshot(_) => continue,
            };
            if proven || (fence.is_some() && told.incarnation >= self.head.incarnation) {
                let known = fence.unwrap_or(*told);
                fence = Some(Watermark {
                    incarnation: told.incarnation.max(known.incarnation),
                    seq: told.seq.max(known.seq),
                    agreed_seq: told.agreed_seq.or(known.agreed_seq),
                });
            }
        }
        fence.filter(|_| fence != self.head.fence)
    }

    /// From here on nothing is decided, also not by the next process on this file.
    fn fence(&mut self, fence: Watermark) -> Result<(), WriterStopped> {
        if self.head.fence.is_none() {
            tracing::error!(
                hub_seq = fence.seq,
                file_seq = self.head.seq,
                "the hub has events of this region that this file does not have: it is an old copy. No orders are taken; \
                 restore the newest copy, or stop the node and run: tomato-node incarnation new"
            );
        }
        meta::set_fence(&self.start.store.connection, Some(&fence))
            .map_err(|error| stopped("writing the fence", &error))?;
        self.head.fence = Some(fence);
        self.tell_head();
        Ok(())
    }

    /// One transaction, and what follows its commit.
    fn turn(&mut self, entries: Vec<Entry>, tick: Tick) -> Result<(), WriterStopped> {
        let plans = self.plans();
        let (connection, size) = (&self.start.store.connection, entries.len());
        sql(connection, "BEGIN IMMEDIATE", "beginning a transaction")?;
        let mut batch = Batch {
            connection,
            city: &mut self.start.loaded.city,
            policy: &self.start.policy,
            incarnation: self.head.incarnation,
            head_seq: self.head.seq,
            tick,
            tracer: &self.start.outlets.tracer,
            news: News::default(),
        };
        // First of all, while memory and fleet say the same of every driver: the fleet hears of changes after the commit.
        if batch.city.dispatch_at().is_some_and(|at| at <= tick.now) {
            let began = Instant::now();
            let waiting = candidates(&self.start.outlets.fleet, &batch, self.dispatch_skip);
            self.dispatch_skip = match batch.city.waiting_len() {
                all if all > waiting.len() => (self.dispatch_skip + waiting.len()) % all,
                _ => 0,
            };
            batch.own(&Command::Dispatch(waiting))?;
            self.start.outlets.metrics.dispatch_cycle.took(began.elapsed());
        }
        for _ in 0..TIMERS_MAX {
            let Some(key) = batch.city.due(tick.now) else { break };
            batch.own(&Command::TimerDue(key))?;
        }
        let mut asked = Vec::new();
        for entry in entries {
            match entry {
                Entry::Snapshot(reply) => asked.push(reply),
                Entry::Command(submission) => batch.submission(*submission)?,
                Entry::Errand(chore) => batch.errand(*chore)?,
                Entry::Watermark(watermark) if watermark.incarnation == self.head.incarnation => {
                    if watermark.seq > self.head.watermark_seq {
                        self.head.watermark_seq = watermark.seq;
                        meta::set_watermark(connection, i64::try_from(watermark.seq).unwrap_or(i64::MAX))
                            .map_err(|error| stopped("writing the watermark", &error))?;
                    }
                }
                Entry::Watermark(_) | Entry::Fence(_) => {}
                Entry::DriverAppeared if plans => {}
                Entry::DriverAppeared => batch.city.dispatch_waiting(tick.now),
            }
        }
        let (head_seq, news) = (batch.head_seq, batch.news);
        self.write_totals(head_seq, &news)?;
        let began = Instant::now();
        steps::pass("before commit");
        sql(&self.start.store.connection, "COMMIT", "committing")?;
        steps::pass("after commit");
        let metrics = &self.start.outlets.metrics;
        metrics.writer_commit.took(began.elapsed());
        metrics.writer_batch.observe(size as u64);
        metrics.committed(&news.committed);
        self.head.seq = head_seq;
        self.tell(news);
        for reply in asked {
            // Whoever asked may have gone.
            drop(reply.send(Snapshot::of(&self.start.loaded.city)));
        }
        Ok(())
    }

    /// Counts go with the events that they count.
    fn write_totals(&mut self, head_seq: u64, news: &News) -> Result<(), WriterStopped> {
        if !news.committed.is_empty() {
            let totals = &mut self.start.loaded.totals;
            news.committed.iter().for_each(|committed| totals.take(committed));
            extras::put_totals(&self.start.store.connection, head_seq, &totals.counts()).map_err(|error| {
                WriterStopped {
                    doing: "writing the counts",
                    reason: error.to_string(),
                }
            })?;
        }
        Ok(())
    }

    /// Lets everybody know. Readers first: whoever has an answer must find what it says.
    fn tell(&mut self, news: News) {
        self.tell_head();
        let (outlets, city) = (&self.start.outlets, &self.start.loaded.city);
        for span in news.spans {
            let batch = ("tomato.batch.commands", news.held.len().to_string());
            let event = ("tomato.event.head", self.head.seq.to_string());
            outlets
                .tracer
                .end(span, ("writer.commit", Side::Internal), vec![batch, event], false);
        }
        if news.catalogue_changed {
            outlets.catalogue.send_replace(city.catalogue().clone());
        }
        for driver in news.drivers.iter().filter_map(|id| city.driver(*id)) {
            set_duty(&outlets.fleet, city, driver);
        }
        for held in news.held {
            // Whoever asked may have gone; the command is committed all the same.
            drop(held.reply.send(held.result));
        }
        for task in news.tasks {
            if outlets.tasks.try_send(task).is_err() {
                tracing::debug!("the task queue is full; the call waits in its table");
            }
        }
        for (committed, order) in news.committed.iter().filter_map(|row| Some((row, row.order.as_ref()?))) {
            if dispatch::teaches(&committed.envelope.event) {
                let (event, order) = (committed.envelope.event.clone(), order.clone());
                // Where nobody plans nobody listens.
                drop(outlets.news.try_send(Lesson { event, order }));
            }
        }
        if !news.committed.is_empty() {
            outlets.feed.publish(news.committed);
        }
    }

    fn tell_head(&mut self) {
        let city = &self.start.loaded.city;
        self.head.orders_open = city.orders_open();
        self.head.orders_waiting = city.waiting_len();
        self.start.outlets.head.send_replace(self.head);
    }

    /// Removes what nobody needs any more. Where that was more than goes at once, the rest follows soon.
    fn sweep(&mut self) -> Result<(), WriterStopped> {
        let (now, limits) = (self.start.clock.now(), &self.start.limits);
        let connection = &self.start.store.connection;
        // 0: events are kept for ever.
        let kept_since = (limits.outbox_ms > 0).then(|| now + DurationMs(-limits.outbox_ms));
        let answers = sweep::answers(connection, now + DurationMs(-limits.idempotency_ms));
        let messages = push::sweep(connection, now + DurationMs(-limits.messages_ms), sweep::ROWS);
        // The newest row of the outbox always stays: it is where the sequence goes on from.
        let upto = self.head.watermark_seq.min(self.head.seq.saturating_sub(1));
        let events = kept_since.map_or(Ok(false), |before| {
            sweep::notified(connection).and_then(|told| sweep::events(connection, upto.min(told), before))
        });
        let more = answers
            .and_then(|full| Ok(full | events? | messages?))
            .map_err(|error| stopped("sweeping", &error))?;
        self.sweep_at = Instant::now() + if more { SWEEP_AGAIN } else { SWEEP_EVERY };
        Ok(())
    }
}

/// Whether the hub has what a file with this head cannot have told it.
fn contradicts(head: Head, told: Watermark) -> bool {
    if told.incarnation != head.incarnation {
        return told.incarnation > head.incarnation;
    }
    let apart = told.agreed_seq.is_some_and(|agreed| agreed < told.seq.min(head.seq));
    told.seq > head.seq || apart
}

/// Nothing was done, and whoever asked can know it.
fn refuse(entries: Vec<Entry>) {
    for entry in entries {
        let reply = match entry {
            Entry::Command(submission) => submission.reply,
            Entry::Errand(chore) => chore.reply,
            Entry::Watermark(_) | Entry::Fence(_) | Entry::DriverAppeared | Entry::Snapshot(_) => continue,
        };
        // Whoever asked may have gone.
        drop(reply.send(Err(Failure::Fenced)));
    }
}

/// The orders that wait, each with the free drivers near its restaurant: those behind the ones that the last round looked
/// at, then round to the first.
fn candidates(fleet: &Fleet, batch: &Batch<'_>, skip: usize) -> Vec<Waiting> {
    let limits = &batch.policy.dispatch;
    let waiting = batch.city.waiting().skip(skip).chain(batch.city.waiting().take(skip));
    let waiting = waiting.take(limits.orders_per_round);
    let places = waiting.filter_map(|id| Some((id, batch.city.order(id)?.restaurant_place)));
    places
        .map(|(order_id, place)| Waiting {
            order_id,
            candidates: {
                let asked = |driver_id| {
                    let delivery = batch.city.order(order_id).map(|order| &order.delivery);
                    delivery.is_some_and(|row| row.excluded.contains(&driver_id) || row.declined.contains(&driver_id))
                };
                let near = Near {
                    place,
                    radius_m: limits.radius_m,
                    limit: limits.candidates_max,
                };
                fleet.near(&near, batch.tick.now, |driver_id| !asked(driver_id))
            },
        })
        .collect()
}

/// Customers may follow the trip under way: of several, those whose food is in the bag, or all while nothing is.
fn set_duty(fleet: &Fleet, city: &City, driver: &Driver) {
    let bound = || driver.delivering.iter().filter_map(|id| city.order(*id));
    let in_bag = |order: &&Order| order.delivery.state == DeliveryState::PickedUp;
    let loaded = bound().any(|order| in_bag(&order));
    // Who brings food back is busy, and nobody's to follow.
    let followed = bound().filter(|order| !order.state.is_final() && (!loaded || in_bag(order)));
    let whose: Arc<[_]> = followed.map(|order| (order.id, order.customer_id)).collect();
    let duty = if driver.is_free() {
        Duty::Free
    } else if whose.is_empty() {
        Duty::Busy
    } else {
        Duty::Delivering(whose)
    };
    fleet.set_duty(driver.id, driver.online.then_some(duty));
}

fn sql(connection: &Connection, text: &'static str, doing: &'static str) -> Result<(), WriterStopped> {
    let run = connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.execute([]));
    run.map(|_| ()).map_err(|error| stopped(doing, &error))
}
