//! An external router, where one is configured: travel times by street from the table service of anything that speaks as OSRM does.
//!
//! What it has answered is remembered for a while by places a hundred metres apart. It is asked about the pairs that matter
//! most, a bounded number at a time; for all others, and while it is away, the plan goes by the straight line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;
use tomato_shared::time::{DurationMs, UnixMs};

use super::plane::Plane;
use crate::engine::matching::{Point, Problem, Table, TablePoint};

/// How long an answer holds, in region time.
const HOLDS: DurationMs = DurationMs::from_mins(15);
/// Answers remembered.
const CACHE_MAX: usize = 100_000;
/// Questions asked before one round, and places in one question: public routers refuse more than a hundred.
const QUESTIONS_MAX: usize = 16;
const PLACES_MAX: usize = 100;
/// Drivers near a restaurant who are asked about.
const DRIVERS_MAX: usize = 24;
/// Longest wait for all answers of a round, in real time.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a router that failed is left alone, in region time.
const REST: DurationMs = DurationMs::from_secs(30);
/// Bytes of an answer: a hundred by a hundred numbers.
const ANSWER_MAX: usize = 1 << 20;

/// Asks and remembers.
#[derive(Debug)]
pub struct Router {
    client: reqwest::Client,
    url: String,
    plane: Plane,
    known: BTreeMap<(TablePoint, TablePoint), (i64, UnixMs)>,
    rests_until: Option<UnixMs>,
    table: Arc<Table>,
}

/// From each of these to each of those.
#[derive(Debug, Clone, Default)]
struct Question {
    from: Vec<Point>,
    to: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    code: String,
    /// Seconds, by source and destination; null where there is no way.
    #[serde(default)]
    durations: Vec<Vec<Option<f64>>>,
}

/// Why a router gave no times.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("it cannot be reached: {0}")]
    Call(#[from] reqwest::Error),
    #[error("its answer is longer than {ANSWER_MAX} bytes")]
    TooLong,
    #[error("its answer is none of a table service: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("it answered {0}")]
    Refused(String),
}

impl Router {
    /// `url`: up to the profile, such as `http://127.0.0.1:5000/table/v1/driving`.
    ///
    /// # Errors
    /// Where the system has no TLS roots to begin with.
    pub fn new(url: &str, plane: Plane) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: reqwest::Client::builder().timeout(WAIT_MAX).build()?,
            url: url.trim_end_matches('/').to_owned(),
            plane,
            known: BTreeMap::new(),
            rests_until: None,
            table: Arc::default(),
        })
    }

    /// Whether the router answered when it was last asked.
    pub fn is_there(&self) -> bool {
        self.rests_until.is_none()
    }

    /// All ways that are known, after asking for those of a problem; takes at most `WAIT_MAX`.
    pub async fn table(&mut self, problem: &Problem, now: UnixMs) -> Arc<Table> {
        let before = self.known.len();
        self.known.retain(|_, (_, at)| *at + HOLDS > now);
        let mut changed = self.known.len() < before;
        if self.rests_until.is_none_or(|until| until <= now) && self.known.len() < CACHE_MAX {
            let questions = questions(problem, &self.known);
            changed |= !questions.is_empty();
            self.ask(questions, now).await;
        }
        if changed {
            self.table = Arc::new(self.known.iter().map(|(pair, (ms, _))| (*pair, *ms)).collect());
        }
        self.table.clone()
    }

    async fn ask(&mut self, questions: Vec<Question>, now: UnixMs) {
        let mut calls = JoinSet::new();
        for question in questions {
            let request = self.client.get(self.address(&question));
            calls.spawn(async move { (answer(request).await, question) });
        }
        while let Some(ended) = calls.join_next().await {
            match ended {
                Ok((Ok(answer), question)) => {
                    self.rests_until = None;
                    self.keep(&question, &answer, now);
                }
                Ok((Err(failed), _)) => {
                    if self.is_there() {
                        tracing::warn!(error = %failed, "the router gave no times; the plan goes by the straight line");
                    }
                    self.rests_until = Some(now + REST);
                }
                Err(error) => tracing::error!(%error, "a question to the router broke off"),
            }
        }
    }

    fn keep(&mut self, question: &Question, answer: &Answer, now: UnixMs) {
        for (from, row) in question.from.iter().zip(&answer.durations) {
            for (to, seconds) in question.to.iter().zip(row) {
                if let Some(ms) = seconds.and_then(ms) {
                    self.known.insert(((*from).into(), (*to).into()), (ms, now));
                }
            }
        }
    }

    fn address(&self, question: &Question) -> String {
        let mut address = format!("{}/", self.url);
        let places = question.from.iter().chain(&question.to);
        for (nth, place) in places.filter_map(|point| self.plane.place(*point)).enumerate() {
            let separator = if nth == 0 { "" } else { ";" };
            // Writing to a text does not fail.
            write!(address, "{separator}{:.6},{:.6}", place.lng(), place.lat()).unwrap_or_default();
        }
        let list = |range: std::ops::Range<usize>| range.map(|nth| nth.to_string()).collect::<Vec<_>>().join(";");
        let (from, all) = (question.from.len(), question.from.len() + question.to.len());
        address
            + &format!(
                "?annotations=duration&sources={}&destinations={}",
                list(0..from),
                list(from..all)
            )
    }
}

/// What is not known yet: for each restaurant the ways from the nearest drivers to it, and from it to its doors.
fn questions(problem: &Problem, known: &BTreeMap<(TablePoint, TablePoint), (i64, UnixMs)>) -> Vec<Question> {
    let is_new = |from: Point, to: Point| !known.contains_key(&(from.into(), to.into()));
    let mut restaurants: BTreeMap<TablePoint, (Point, Vec<Point>)> = BTreeMap::new();
    for order in &problem.orders {
        let at = order.restaurant_at;
        restaurants
            .entry(at.into())
            .or_insert((at, Vec::new()))
            .1
            .push(order.customer_at);
    }
    let mut questions = Vec::new();
    for (at, doors) in restaurants.into_values() {
        let mut drivers: Vec<Point> = problem.drivers.iter().map(|driver| driver.at).collect();
        drivers.sort_by(|a, b| a.distance_m(at).total_cmp(&b.distance_m(at)));
        drivers.truncate(DRIVERS_MAX);
        let from = distinct(drivers.into_iter().filter(|from| is_new(*from, at)));
        let to = distinct(doors.into_iter().filter(|to| is_new(at, *to)));
        if !from.is_empty() {
            questions.push(Question { from, to: vec![at] });
        }
        for to in to.chunks(PLACES_MAX - 1) {
            questions.push(Question {
                from: vec![at],
                to: to.to_vec(),
            });
        }
    }
    questions.truncate(QUESTIONS_MAX);
    questions
}

fn distinct(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut seen = BTreeSet::new();
    points.filter(|point| seen.insert(TablePoint::from(*point))).collect()
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, Failed> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            return Err(Failed::TooLong);
        }
    }
    let answer: Answer = serde_json::from_slice(&body)?;
    if answer.code == "Ok" {
        Ok(answer)
    } else {
        Err(Failed::Refused(answer.code))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a day of seconds at most")]
fn ms(seconds: f64) -> Option<i64> {
    (0.0..86_400.0).contains(&seconds).then_some((seconds * 1_000.0) as i64)
}
