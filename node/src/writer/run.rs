//! The writer's loop.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tomato_shared::time::DurationMs;

use super::batch::{Batch, News, stopped};
use super::inbox::Inbox;
use super::{Entry, Head, Start, Tick, WriterStopped};
use crate::engine::city::City;
use crate::engine::command::{Command, Waiting};
use crate::engine::model::Driver;
use crate::fleet::{Duty, Fleet};
use crate::store::meta;

/// Longest time without a look at the clock.
const IDLE: Duration = Duration::from_millis(500);
/// Deadlines taken into one batch.
const TIMERS_MAX: usize = 512;
/// How often spent rows are swept, in real time, and how many go at once.
const SWEEP_EVERY: Duration = Duration::from_secs(7);
const SWEEP_ROWS: i64 = 2_000;

struct Loop {
    start: Start,
    head: Head,
    swept: Instant,
    /// How many waiting orders the last dispatch round skipped, so that each gets its turn.
    dispatch_skip: usize,
}

pub(super) fn run(start: Start, inbox: &Inbox<Entry>) -> Result<(), WriterStopped> {
    let head = Head {
        incarnation: start.incarnation,
        seq: start.loaded.head_seq,
        watermark_seq: start.watermark_seq,
        orders_open: 0,
        orders_waiting: 0,
    };
    let mut this = Loop {
        start,
        head,
        swept: Instant::now(),
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
        self.tell_head();
    }

    fn turn_until_closed(&mut self, inbox: &Inbox<Entry>) -> Result<(), WriterStopped> {
        while let Some(entries) = inbox.take(self.start.limits.batch_max, self.wait()) {
            let now = self.start.clock.now();
            let due = self.start.loaded.city.next_due().is_some_and(|at| at <= now);
            if !entries.is_empty() || due {
                self.turn(entries, Tick { now })?;
            }
            if self.swept.elapsed() >= SWEEP_EVERY {
                self.sweep()?;
            }
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        let Some(due_at) = self.start.loaded.city.next_due() else {
            return IDLE;
        };
        self.start.clock.real(due_at - self.start.clock.now()).min(IDLE)
    }

    /// One transaction, and what follows its commit.
    fn turn(&mut self, entries: Vec<Entry>, tick: Tick) -> Result<(), WriterStopped> {
        let connection = &self.start.store.connection;
        sql(connection, "BEGIN IMMEDIATE", "beginning a transaction")?;
        let mut batch = Batch {
            connection,
            city: &mut self.start.loaded.city,
            policy: &self.start.policy,
            incarnation: self.head.incarnation,
            head_seq: self.head.seq,
            tick,
            news: News::default(),
        };
        for _ in 0..TIMERS_MAX {
            let Some(key) = batch.city.due(tick.now) else { break };
            batch.own(&Command::TimerDue(key))?;
        }
        for entry in entries {
            match entry {
                Entry::Command(submission) => batch.submission(*submission)?,
                Entry::Watermark(watermark) => {
                    if watermark.incarnation == self.head.incarnation && watermark.seq > self.head.watermark_seq {
                        self.head.watermark_seq = watermark.seq;
                        meta::set_watermark(connection, i64::try_from(watermark.seq).unwrap_or(i64::MAX))
                            .map_err(|error| stopped("writing the watermark", &error))?;
                    }
                }
            }
        }
        if batch.city.dispatch_at().is_some_and(|at| at <= tick.now) {
            let limits = &self.start.policy.dispatch;
            let waiting = candidates(&self.start.outlets.fleet, &batch, self.dispatch_skip);
            self.dispatch_skip = if waiting.len() < limits.orders_per_round {
                0
            } else {
                self.dispatch_skip + waiting.len()
            };
            batch.own(&Command::Dispatch(waiting))?;
        }
        let (head_seq, news) = (batch.head_seq, batch.news);
        sql(connection, "COMMIT", "committing")?;
        self.head.seq = head_seq;
        self.tell(news);
        Ok(())
    }

    fn tell(&mut self, news: News) {
        for held in news.held {
            // Whoever asked may have gone; the command is committed all the same.
            drop(held.reply.send(held.result));
        }
        let (outlets, city) = (&self.start.outlets, &self.start.loaded.city);
        if news.catalogue_changed {
            outlets.catalogue.send_replace(city.catalogue().clone());
        }
        for driver in news.drivers.iter().filter_map(|id| city.driver(*id)) {
            set_duty(&outlets.fleet, city, driver);
        }
        for task in news.tasks {
            if outlets.tasks.try_send(task).is_err() {
                tracing::debug!("the task queue is full; the call waits in its table");
            }
        }
        if !news.committed.is_empty() {
            outlets.feed.publish(news.committed);
        }
        self.tell_head();
    }

    fn tell_head(&mut self) {
        let city = &self.start.loaded.city;
        self.head.orders_open = city.orders_open();
        self.head.orders_waiting = city.waiting_len();
        self.start.outlets.head.send_replace(self.head);
    }

    /// Removes what nobody needs any more, a bounded number at a time: answers past their time, and rows that the hub has.
    /// The newest row of the outbox always stays: it is where the sequence goes on from.
    fn sweep(&mut self) -> Result<(), WriterStopped> {
        self.swept = Instant::now();
        let (now, limits) = (self.start.clock.now(), &self.start.limits);
        let connection = &self.start.store.connection;
        let failed = |error| stopped("sweeping", &error);
        let answers = "DELETE FROM idempotency WHERE key IN
                       (SELECT key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
        let before = now + DurationMs(-limits.idempotency_ms);
        connection
            .prepare_cached(answers)
            .and_then(|mut sql| sql.execute(params![before.0, SWEEP_ROWS]))
            .map_err(failed)?;
        let rows = "DELETE FROM outbox WHERE seq IN
                    (SELECT seq FROM outbox WHERE seq <= ?1 AND at < ?2 ORDER BY seq LIMIT ?3)";
        let below = self.head.watermark_seq.min(self.head.seq.saturating_sub(1));
        let before = now + DurationMs(-limits.outbox_ms);
        let below = i64::try_from(below).unwrap_or(0);
        connection
            .prepare_cached(rows)
            .and_then(|mut sql| sql.execute(params![below, before.0, SWEEP_ROWS]))
            .map_err(failed)?;
        Ok(())
    }
}

/// The orders that wait, each with the free drivers near its restaurant.
fn candidates(fleet: &Fleet, batch: &Batch<'_>, skip: usize) -> Vec<Waiting> {
    let limits = &batch.policy.dispatch;
    let waiting = batch.city.waiting().skip(skip).take(limits.orders_per_round);
    let places = waiting.filter_map(|id| Some((id, batch.city.order(id)?.restaurant_place)));
    places
        .map(|(order_id, place)| Waiting {
            order_id,
            candidates: fleet.near(place, limits.radius_m, limits.candidates_max, batch.tick.now),
        })
        .collect()
}

fn set_duty(fleet: &Fleet, city: &City, driver: &Driver) {
    let bound = driver.delivering.and_then(|id| city.order(id));
    let duty = match (bound, driver.offered) {
        (Some(order), _) => Duty::Delivering {
            order_id: order.id,
            customer_id: order.customer_id,
        },
        (None, Some(_)) => Duty::Offered,
        (None, None) => Duty::Free,
    };
    fleet.set_duty(driver.id, driver.online.then_some(duty));
}

fn sql(connection: &Connection, text: &'static str, doing: &'static str) -> Result<(), WriterStopped> {
    let run = connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.execute([]));
    run.map(|_| ()).map_err(|error| stopped(doing, &error))
}
