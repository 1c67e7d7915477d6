//! One side of a comparison, and one round of it: load, what came of it, what it cost.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};
use tomato_tests::city::chance;

use crate::contender::{Backlog, Contender};
use crate::load::{self, Outcome, Plan};
use crate::market::Market;
use crate::meter::Used;
use crate::search::{Search, Verdict};

/// A sustained rate answers at least this share of the arrivals with 201,
pub(crate) const ANSWERED_MIN: f64 = 0.99;
/// and 99 % of them within this time.
pub(crate) const P99_MAX_US: u64 = 250_000;
/// What is short of [`ANSWERED_MIN`] but above this is tried again.
const NARROW_MIN: f64 = 0.9;
/// A process is at rest when it uses less than this share of one processor.
const QUIET_SHARE: f64 = 0.1;
const QUIET_LOOK: Duration = Duration::from_millis(200);
/// Quiet looks in a row; longer than the simulated provider takes to answer.
const QUIET_LOOKS: u32 = 4;
/// Longest wait for rest.
const QUIET_WITHIN: Duration = Duration::from_secs(12);

/// One side of the comparison.
pub(crate) struct Side {
    pub(crate) contender: Contender,
    /// `None` until the first load has shown where to begin.
    pub(crate) search: Option<Search>,
    pub(crate) rounds: Vec<Round>,
    /// Rounds at the rate that the table is about.
    pub(crate) finals: Vec<Round>,
    /// Orders per second of the first flood: how fast it is with as many orders waiting as there are connections.
    pub(crate) flood: Option<f64>,
    sent: u64,
}

/// A round with its rate.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) rate: f64,
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Verdict,
    /// While load was on.
    pub(crate) loaded: Used,
    /// The same, and all that the node still did until it was at rest.
    pub(crate) whole: Used,
    /// What the round added, at the end of the load.
    pub(crate) added: Backlog,
    /// Whether the side came to rest afterwards.
    pub(crate) settled: bool,
}

/// A round in the JSON file.
#[derive(Debug, Serialize)]
pub(crate) struct RoundRow {
    rate: f64,
    due: u64,
    placed: u64,
    unanswered: u64,
    broken: u64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    sustained: bool,
    loaded: Used,
    whole: Used,
    added: Backlog,
    settled: bool,
    refusal: Option<String>,
}

impl Side {
    pub(crate) fn new(contender: Contender) -> Self {
        Self {
            contender,
            search: None,
            rounds: Vec::new(),
            finals: Vec::new(),
            flood: None,
            sent: 0,
        }
    }

    /// Sends `count` orders as fast as they are answered, and returns how many that were in a second.
    pub(crate) async fn flood(
        &mut self,
        market: &Arc<Market>,
        count: usize,
        connections: usize,
    ) -> Result<f64, String> {
        let plan = self.plan(vec![Duration::ZERO; count], Duration::from_secs(20), connections);
        let outcome = load::run(plan, market).await?;
        self.settle().await;
        if outcome.placed() < outcome.due / 2 {
            let why = outcome
                .refusal
                .unwrap_or_else(|| format!("{} connections broke", outcome.broken));
            let name = self.contender.name;
            return Err(format!("{name} takes no orders: {why}\n{}", self.contender.tail()));
        }
        Ok(outcome.placed() as f64 / outcome.lasted.as_secs_f64())
    }

    /// One round of open-loop load, and the rest after it.
    pub(crate) async fn round(
        &mut self,
        market: &Arc<Market>,
        rate: f64,
        (length, connections): (Duration, usize),
    ) -> Result<Round, String> {
        let mut rng = chance::stream(self.sent, "bench arrivals", 0);
        let plan = self.plan(load::arrivals(&mut rng, rate, length), length, connections);
        let (before, first) = (self.contender.backlog().await, self.contender.meter.read());
        let outcome = load::run(plan, market).await?;
        let (loaded, after) = (self.contender.meter.read(), self.contender.backlog().await);
        let settled = self.settle().await;
        let whole = self.contender.meter.read();
        Ok(Round {
            rate,
            verdict: verdict(&outcome),
            outcome,
            loaded: first.until(&loaded),
            whole: first.until(&whole),
            added: Backlog {
                confirmed: after.confirmed.saturating_sub(before.confirmed),
                events: after.events.saturating_sub(before.events),
                published: after.published.saturating_sub(before.published),
            },
            settled,
        })
    }

    fn plan(&mut self, due: Vec<Duration>, length: Duration, connections: usize) -> Plan {
        let first = self.sent;
        self.sent += due.len() as u64;
        Plan {
            addr: self.contender.addr,
            connections,
            due,
            length,
            first,
        }
    }

    /// Waits until the side has done what its last orders left to do; false where it goes on for too long.
    async fn settle(&self) -> bool {
        let began = Instant::now();
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            let (then, busy_s) = (Instant::now(), self.contender.meter.busy_s());
            sleep(QUIET_LOOK).await;
            let share = (self.contender.meter.busy_s() - busy_s) / then.elapsed().as_secs_f64();
            quiet = if share < QUIET_SHARE { quiet + 1 } else { 0 };
            if began.elapsed() > QUIET_WITHIN {
                return false;
            }
        }
        true
    }
}

fn verdict(outcome: &Outcome) -> Verdict {
    let answered = outcome.placed() as f64 / outcome.due.max(1) as f64;
    if answered >= ANSWERED_MIN && outcome.latency_us.value_at_quantile(0.99) <= P99_MAX_US {
        Verdict::Sustained
    } else if answered >= NARROW_MIN {
        Verdict::Narrow
    } else {
        Verdict::Failed
    }
}

impl Round {
    /// A latency in milliseconds.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.outcome.latency_us.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// For the JSON file.
    pub(crate) fn row(&self) -> RoundRow {
        RoundRow {
            rate: self.rate,
            due: self.outcome.due,
            placed: self.outcome.placed(),
            unanswered: self.outcome.unanswered,
            broken: self.outcome.broken,
            p50_ms: self.latency_ms(0.5),
            p99_ms: self.latency_ms(0.99),
            p999_ms: self.latency_ms(0.999),
            sustained: self.verdict == Verdict::Sustained,
            loaded: self.loaded,
            whole: self.whole,
            added: self.added,
            settled: self.settled,
            refusal: self.outcome.refusal.clone(),
        }
    }

    /// For whoever watches.
    pub(crate) fn line(&self, name: &str) -> String {
        let answered = 100.0 * self.outcome.placed() as f64 / self.outcome.due.max(1) as f64;
        let verdict = if self.verdict == Verdict::Sustained {
            "sustained"
        } else {
            "not sustained"
        };
        let mut line = format!(
            "{name:<5} {:>7.0}/s {answered:>6.1} % answered  p50 {:>7.1} ms  p99 {:>7.1} ms  others {:>4.2} cores  {verdict}",
            self.rate,
            self.latency_ms(0.5),
            self.latency_ms(0.99),
            self.loaded.others_s / self.loaded.elapsed_s.max(0.001),
        );
        if !self.settled {
            line += ", busy long after";
        }
        if let Some(refusal) = &self.outcome.refusal {
            line += &format!(", {refusal:.120}");
        }
        line
    }
}
