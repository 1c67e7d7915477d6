//! Calls over HTTPS to a provider: bounded in time and size, fewer of them when they do not help.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tomato_shared::time::DurationMs;

use super::NoAnswer;
use crate::clock::Clock;
use crate::config::PaymentsConfig;
use crate::steps;

/// Longest answer that is read.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Repetitions that may come at once, and how many more there may be per second of real time: a provider that is just
/// back is not run over by everything that waited for it.
const REPEATS_MAX: f64 = 200.0;
const REPEATS_PER_S: f64 = 50.0;

tokio::task_local! {
    /// W3C trace context of the task for which calls are made, which may be several.
    pub static TRACE: Option<String>;
}

/// What is sent with a call.
#[derive(Debug)]
pub enum Payload {
    /// Nothing.
    None,
    /// `application/x-www-form-urlencoded`, as Stripe wants it.
    Form(Vec<(String, String)>),
    /// JSON, as Razorpay wants it.
    Json(Value),
}

/// How calls say who we are.
#[derive(Debug)]
pub struct Login {
    /// The key's name, or the key itself.
    pub user: String,
    /// The key's secret half; empty where there is none.
    pub password: crate::config::Secret,
}

/// An answer of the provider, good or bad.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null where it is not JSON.
    pub body: Value,
    /// Whether the provider gave a stored answer to a repeated key.
    pub replayed: bool,
}

impl Answer {
    /// Whether the provider did as it was asked.
    pub const fn is_ok(&self) -> bool {
        self.status < 300
    }

    /// Whether it was the provider that failed.
    pub const fn is_fault(&self) -> bool {
        self.status >= 500
    }

    /// Whether calls are served at all: no fault, no key that is not accepted, no refusal for being too many.
    const fn is_service(&self) -> bool {
        !self.is_fault() && !matches!(self.status, 401 | 403 | 429)
    }

    /// The answer, unless it leaves open what happened: a fault, a conflict of two calls, too many calls, a key that is
    /// not accepted.
    ///
    /// # Errors
    /// [`NoAnswer`] with the status.
    pub fn settled(self) -> Result<Self, NoAnswer> {
        match self.status {
            0..=499 if !matches!(self.status, 401 | 403 | 408 | 409 | 425 | 429) => Ok(self),
            _ => Err(NoAnswer(format!("status {}: {}", self.status, self.message()))),
        }
    }

    /// What the provider says is wrong, without the rest of its answer.
    pub fn message(&self) -> &str {
        let error = &self.body["error"];
        let text = error["message"].as_str().or(error["description"].as_str());
        text.unwrap_or("no message")
    }
}

/// The line to one provider.
#[derive(Debug)]
pub struct Wire {
    client: reqwest::Client,
    base: String,
    login: Login,
    headers: Vec<(&'static str, &'static str)>,
    breaker: Breaker,
    budget: Mutex<Budget>,
}

impl Wire {
    /// A line to `base`; `headers` go with every call.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(
        config: &PaymentsConfig,
        base: &str,
        login: Login,
        headers: Vec<(&'static str, &'static str)>,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            .connect_timeout(Duration::from_millis(config.timeout_ms.min(5_000)))
            // A key must not follow wherever an answer points.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            login,
            headers,
            breaker: Breaker {
                failures_max: config.breaker_failures,
                pause: clock.real(DurationMs(config.breaker_pause_ms)),
                state: Mutex::default(),
                down: watch::Sender::new(false),
            },
            budget: Mutex::new(Budget {
                left: REPEATS_MAX,
                at: Instant::now(),
            }),
        })
    }

    /// Whether calls find nobody.
    pub fn down(&self) -> watch::Receiver<bool> {
        self.breaker.down.subscribe()
    }

    /// Takes one repetition from the budget.
    ///
    /// # Errors
    /// [`NoAnswer`] where it is used up: the call was not made, and comes again later.
    pub fn afford(&self, again: bool) -> Result<(), NoAnswer> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if !again || budget.take(Instant::now()) {
            Ok(())
        } else {
            Err("the budget of repetitions is used up".into())
        }
    }

    /// Makes one call. `key` is the idempotency header with its value.
    ///
    /// # Errors
    /// [`NoAnswer`] where nothing came back, or nobody is asked at the moment.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<(&'static str, &str)>,
        payload: Payload,
    ) -> Result<Answer, NoAnswer> {
        self.breaker.enter()?;
        let changes = method == Method::POST;
        if changes {
            steps::pass(&format!("before POST {path}"));
        }
        let sent = self.exchange(method, path, key, payload).await;
        if changes {
            steps::pass(&format!("after POST {path}"));
        }
        let well = sent.as_ref().is_ok_and(Answer::is_service);
        self.breaker.leave(well);
        sent
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        key: Option<(&'static str, &str)>,
        payload: Payload,
    ) -> Result<Answer, NoAnswer> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(&self.login.user, Some(self.login.password.reveal()));
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if let Some((name, value)) = key {
            request = request.header(name, value);
        }
        if let Ok(Some(trace)) = TRACE.try_with(Clone::clone) {
            request = request.header("traceparent", trace);
        }
        request = match payload {
            Payload::None => request,
            Payload::Form(fields) => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&fields)),
            Payload::Json(value) => request.json(&value),
        };
        let response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed");
        let replayed = replayed.is_some_and(|value| value == "true");
        let body = reqwest::Body::from(response);
        let bytes = Limited::new(body, ANSWER_MAX).collect().await;
        let bytes = bytes.map_err(|error| NoAnswer(format!("the answer broke off: {error}")))?;
        Ok(Answer {
            status,
            body: serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default(),
            replayed,
        })
    }
}

fn broken(error: &reqwest::Error) -> NoAnswer {
    let what = if error.is_timeout() {
        "nothing came in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    what.into()
}

/// `a=b&c=d` with everything but unreserved characters (RFC 3986) as `%XX`.
pub fn form(fields: &[(String, String)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A part of a URL or form.
pub fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut escaped, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                escaped.push(char::from(byte));
            } else if write!(escaped, "%{byte:02X}").is_err() {
                // Writing to a String does not fail.
            }
            escaped
        })
}

/// Stops calls to somebody who does not answer, and tries one now and then.
#[derive(Debug)]
struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: Mutex<Tripped>,
    down: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Tripped {
    failures: u32,
    next_try: Option<Instant>,
}

impl Breaker {
    fn enter(&self) -> Result<(), NoAnswer> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.next_try {
            Some(at) if at > now => Err("it has not answered for a while and is left alone".into()),
            Some(_) => {
                state.next_try = Some(now + self.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn leave(&self, well: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if well {
            *state = Tripped::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            if state.failures >= self.failures_max {
                state.next_try = Some(Instant::now() + self.pause);
            }
        }
        let down = state.next_try.is_some();
        self.down
            .send_if_modified(|before| std::mem::replace(before, down) != down);
    }
}

#[derive(Debug)]
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        let more = (now - self.at).as_secs_f64() * REPEATS_PER_S;
        self.at = now;
        self.left = (self.left + more).min(REPEATS_MAX);
        let afforded = self.left >= 1.0;
        if afforded {
            self.left -= 1.0;
        }
        afforded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_escape_what_is_reserved() {
        let fields = [("metadata[order]".to_owned(), "a b&c=ä~".to_owned())];
        assert_eq!(form(&fields), "metadata%5Border%5D=a%20b%26c%3D%C3%A4~");
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_opens_after_failures_lets_one_try_and_closes_after_a_success() {
        let breaker = Breaker {
            failures_max: 2,
            pause: Duration::from_secs(10),
            state: Mutex::default(),
            down: watch::Sender::new(false),
        };
        let down = breaker.down.subscribe();
        for _ in 0..2 {
            assert!(breaker.enter().is_ok());
            assert!(!*down.borrow());
            breaker.leave(false);
        }
        assert!(*down.borrow() && breaker.enter().is_err());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(breaker.enter().is_ok(), "one may try");
        assert!(breaker.enter().is_err(), "and only one");
        breaker.leave(true);
        assert!(!*down.borrow() && breaker.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn repetitions_have_a_budget_that_fills_up_again() {
        let mut budget = Budget {
            left: 1.0,
            at: Instant::now(),
        };
        assert!(budget.take(Instant::now()));
        assert!(!budget.take(Instant::now()));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(budget.take(Instant::now()));
    }
}
