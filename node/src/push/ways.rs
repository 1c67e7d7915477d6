//! What every way out has in common: an HTTP call that is bounded in time and size, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use tomato_shared::time::UnixMs;

/// Longest answer that is read; only push services say something in theirs.
const ANSWER_MAX: usize = 16 * 1024;
/// Longest pause that somebody may ask for, in seconds.
const RETRY_AFTER_MAX_S: i64 = 86_400;

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// What it means.
    pub outcome: Outcome,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// It was not, and may be later; not before so long, in real time.
    NotNow(String, Option<Duration>),
    /// It never will be.
    Never(String),
    /// There is nobody any more.
    Gone(String),
}

impl Tried {
    /// No answer came.
    pub fn nothing(reason: impl Into<String>) -> Self {
        Self {
            status: None,
            outcome: Outcome::NotNow(reason.into(), None),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Not before so long, in real time.
    pub retry_after: Option<Duration>,
    /// At most 16 KiB; empty where it was longer or broke off.
    pub body: Bytes,
}

impl Answer {
    /// A try that may be repeated.
    pub fn not_now(&self, reason: impl Into<String>) -> Tried {
        self.tried(Outcome::NotNow(reason.into(), self.retry_after))
    }

    /// A try with its status.
    pub const fn tried(&self, outcome: Outcome) -> Tried {
        Tried {
            status: Some(self.status),
            outcome,
        }
    }

    /// A text in the body, if that is JSON; by its RFC 6901 pointer.
    pub fn text(&self, pointer: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.pointer(pointer)?.as_str().map(str::to_owned)
    }
}

/// Sends a request. `trace`: a `traceparent`, of what it is about; `wall_s`: real seconds since 1970, as `Retry-After` may be
/// a date.
///
/// # Errors
/// What went wrong, where no answer came.
pub async fn send(request: reqwest::RequestBuilder, trace: Option<&str>, wall_s: i64) -> Result<Answer, String> {
    let request = match trace {
        Some(trace) => request.header("traceparent", trace),
        None => request,
    };
    let response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let after = response.headers().get(http::header::RETRY_AFTER);
    let retry_after = after
        .and_then(|value| value.to_str().ok())
        .and_then(|text| retry_after(text, wall_s));
    let read = Limited::new(reqwest::Body::from(response), ANSWER_MAX).collect().await;
    Ok(Answer {
        status,
        retry_after,
        body: read.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
    })
}

/// Never names the address: a token may stand in it.
fn broken(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(fault) = cause {
        if let Some(private) = fault.downcast_ref::<super::guard::NotPublic>() {
            return private.to_string();
        }
        cause = fault.source();
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    what.to_owned()
}

/// `Retry-After`: seconds, or a date (RFC 9110).
fn retry_after(text: &str, wall_s: i64) -> Option<Duration> {
    let seconds = match text.trim().parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
            date.timestamp().as_second() - wall_s
        }
    };
    u64::try_from(seconds.clamp(0, RETRY_AFTER_MAX_S))
        .ok()
        .map(Duration::from_secs)
}

/// Real seconds from `now` until `at`, 1 or more; `rate`: how fast region time runs.
#[expect(clippy::cast_possible_truncation, reason = "seconds of a week")]
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a week")]
pub fn seconds_until(at: UnixMs, now: UnixMs, rate: f64) -> i64 {
    (((at - now).0.max(0) as f64 / 1_000.0 / rate).ceil() as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777;
        for (text, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("-5", Some(0)),
            ("99999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), want.map(Duration::from_secs), "{text}");
        }
    }
}
