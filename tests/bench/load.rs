//! Open-loop load: requests leave when they are due, whether or not earlier ones were answered, and latency counts from
//! when a request was due. A slow server therefore cannot slow the measurement down (no coordinated omission).
//!
//! Every connection is one task: it takes the next arrival, waits until that is due, sends it, reads the answer. When
//! all connections are busy, arrivals wait for one, and that waiting is part of their latency. Timers tick in
//! milliseconds, so up to one of them is the generator's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::market::Market;

/// How long answers to the last arrivals are awaited; what comes later than that counts as unanswered.
const GRACE: Duration = Duration::from_millis(250);
/// Then connections get this long to finish what they have begun.
const DRAIN: Duration = Duration::from_secs(5);
/// Highest latency that the histogram tells apart, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
/// How much of a refusal's text is kept.
const REFUSAL_CHARS: usize = 300;

/// One round of load.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: usize,
    /// When each request is due, from the start; ascending.
    pub(crate) due: Vec<Duration>,
    /// When the round ends.
    pub(crate) length: Duration,
    /// Number of the first request.
    pub(crate) first: u64,
}

/// Arrivals at random (Poisson) moments: the gaps are exponential, as with people who do not know of each other.
pub(crate) fn arrivals(rng: &mut StdRng, rate: f64, length: Duration) -> Vec<Duration> {
    let (mut due, mut at) = (Vec::new(), 0.0);
    loop {
        at -= (1.0 - rng.random::<f64>()).ln() / rate;
        if at >= length.as_secs_f64() {
            return due;
        }
        due.push(Duration::from_secs_f64(at));
    }
}

/// What came of a round.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// How many requests were due.
    pub(crate) due: u64,
    /// Answers in time, by status.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// Arrivals without an answer in time, never sent ones included.
    pub(crate) unanswered: u64,
    /// Requests whose connection failed; part of `unanswered`.
    pub(crate) broken: u64,
    /// Latencies of all 201, in microseconds. Arrivals without an answer count with their age at the end.
    pub(crate) latency_us: Histogram<u64>,
    /// The first answer other than 201.
    pub(crate) refusal: Option<String>,
    /// Until the last answer in time.
    pub(crate) lasted: Duration,
}

impl Outcome {
    /// Orders placed.
    pub(crate) fn placed(&self) -> u64 {
        self.answers.get(&StatusCode::CREATED.as_u16()).copied().unwrap_or(0)
    }
}

struct Run {
    plan: Plan,
    market: Arc<Market>,
    next: AtomicUsize,
    start: Instant,
}

impl Run {
    fn end(&self) -> Instant {
        self.start + self.plan.length + GRACE
    }
}

/// What one connection saw.
#[derive(Default)]
struct Tally {
    answers: BTreeMap<u16, u64>,
    latencies_us: Vec<u32>,
    broken: u64,
    refusal: Option<String>,
    last: Duration,
}

/// Runs one round.
pub(crate) async fn run(plan: Plan, market: &Arc<Market>) -> Result<Outcome, String> {
    let mut senders = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        senders.push(connect(plan.addr).await?);
    }
    let run = Arc::new(Run {
        plan,
        market: market.clone(),
        next: AtomicUsize::new(0),
        start: Instant::now() + Duration::from_millis(20),
    });
    let mut tasks: JoinSet<Tally> = JoinSet::new();
    for sender in senders {
        tasks.spawn(connection(run.clone(), sender));
    }
    let tallies = tasks.join_all().await;
    outcome(&run.plan, tallies)
}

async fn connect(addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot connect to {addr}: {error}");
    let stream = TcpStream::connect(addr).await.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // It ends with its sender; an error shows up there as well.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn connection(run: Arc<Run>, mut sender: SendRequest<Full<Bytes>>) -> Tally {
    let mut tally = Tally::default();
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let Some(offset) = run.plan.due.get(number) else {
            return tally;
        };
        let due = run.start + *offset;
        sleep_until(due).await;
        if Instant::now() >= run.end() {
            return tally;
        }
        let request = run.market.request(run.plan.first + number as u64);
        match timeout_at(run.end() + DRAIN, exchange(&mut sender, request)).await {
            Ok(Ok((status, body))) => tally.take(&run, due, status, &body),
            Ok(Err(_)) => {
                tally.broken += 1;
                match connect(run.plan.addr).await {
                    Ok(fresh) => sender = fresh,
                    Err(_) => return tally,
                }
            }
            Err(_) => return tally,
        }
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), hyper::Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

impl Tally {
    fn take(&mut self, run: &Run, due: Instant, status: StatusCode, body: &[u8]) {
        let now = Instant::now();
        if now >= run.end() {
            return;
        }
        *self.answers.entry(status.as_u16()).or_default() += 1;
        if status == StatusCode::CREATED {
            self.latencies_us
                .push(u32::try_from((now - due).as_micros()).unwrap_or(u32::MAX));
        } else if self.refusal.is_none() {
            let text: String = String::from_utf8_lossy(body).chars().take(REFUSAL_CHARS).collect();
            self.refusal = Some(format!("{status}: {text}"));
        }
        self.last = now - run.start;
    }
}

fn outcome(plan: &Plan, tallies: Vec<Tally>) -> Result<Outcome, String> {
    let histogram = Histogram::new_with_max(LATENCY_MAX_US, 3);
    let mut latency_us = histogram.map_err(|error| format!("no histogram: {error}"))?;
    let mut answers = BTreeMap::new();
    let (mut broken, mut refusal, mut lasted) = (0, None, Duration::ZERO);
    for tally in tallies {
        for (status, count) in tally.answers {
            *answers.entry(status).or_default() += count;
        }
        for latency in tally.latencies_us {
            latency_us.saturating_record(u64::from(latency));
        }
        broken += tally.broken;
        refusal = refusal.or(tally.refusal);
        lasted = lasted.max(tally.last);
    }
    let due = plan.due.len() as u64;
    let unanswered = due - answers.values().sum::<u64>();
    // Who is served in order of arrival leaves the last ones waiting: those are the ages that the round left behind.
    let end = plan.length + GRACE;
    for at in plan.due.iter().rev().take(usize::try_from(unanswered).unwrap_or(0)) {
        latency_us.saturating_record(u64::try_from((end - *at).as_micros()).unwrap_or(LATENCY_MAX_US));
    }
    Ok(Outcome {
        due,
        answers,
        unanswered,
        broken,
        latency_us,
        refusal,
        lasted,
    })
}

#[cfg(test)]
mod tests;
