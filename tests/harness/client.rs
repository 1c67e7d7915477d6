//! HTTP as a careful app speaks it: every command carries an idempotency key, and is sent again with the same key and
//! body when the connection breaks or the node is busy. A node may die and come back below it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rand::Rng as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::view::Problem;

const REQUEST_LIMIT: Duration = Duration::from_secs(15);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How long an app goes on trying.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why a request has no useful answer.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// The node said no (4xx).
    Problem(Box<Problem>),
    /// No answer within the caller's patience.
    Unreachable(String),
    /// An answer that is not in the contract.
    Unreadable(String),
}

impl ApiError {
    /// The code of the problem, or a word for the rest.
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable(_) => "unreachable",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The HTTP status of the problem.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Unreachable(_) | Self::Unreadable(_) => None,
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(problem) => {
                let detail = problem.detail.as_deref().unwrap_or(&problem.title);
                write!(f, "{} {}: {detail}", problem.status, problem.code)?;
                problem.errors.iter().try_for_each(|error| write!(f, " {error}"))
            }
            Self::Unreachable(text) | Self::Unreadable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ApiError {}

/// One answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One request, to be sent as it is.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Request {
    /// Without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).expect("a request serialises").into();
        self.header("content-type", "application/json")
    }
}

/// One caller's view of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Arc<str>,
    token: Option<Arc<str>>,
    patience: Duration,
    retries: Arc<AtomicU64>,
}

/// A connection pool to be shared by many [`Api`]s.
pub fn connections() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(REQUEST_LIMIT)
        .connect_timeout(Duration::from_secs(3))
        .build()
        .expect("an HTTP client can be made")
}

/// A new idempotency key.
pub fn new_key() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

impl Api {
    /// `base`: scheme, host and port. Without a token until [`Api::with_token`].
    pub fn new(http: &reqwest::Client, base: &str) -> Self {
        Self {
            http: http.clone(),
            base: base.trim_end_matches('/').into(),
            token: None,
            patience: PATIENCE,
            retries: Arc::default(),
        }
    }

    /// The same server for the bearer of `token`.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// The same, giving up after `patience` of failed attempts.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// Scheme, host and port.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The bearer's token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// How often a request was sent again, over all clones.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Sends once, exactly as given (plus the bearer's token), and returns whatever comes.
    pub async fn send(&self, request: &Request) -> Result<Answer, ApiError> {
        let unreachable = |error: reqwest::Error| {
            ApiError::Unreachable(format!(
                "{} {}{}: {}",
                request.method,
                self.base,
                request.path,
                chain(&error)
            ))
        };
        let url = format!("{}{}", self.base, request.path);
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        let response = builder.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(unreachable)?;
        Ok(Answer { status, headers, body })
    }

    /// Sends until there is an answer other than "not now" (connection lost, 429, 5xx), or patience ends.
    pub async fn send_patiently(&self, request: &Request) -> Result<Answer, ApiError> {
        let deadline = Instant::now() + self.patience;
        let mut pause = RETRY_FIRST;
        loop {
            let outcome = self.send(request).await;
            match &outcome {
                Ok(answer) if !is_not_now(answer.status) => return outcome,
                Ok(_) | Err(_) if Instant::now() >= deadline => return outcome,
                Ok(answer) => pause = pause.max(retry_after(answer)).min(RETRY_MAX),
                Err(_) => {}
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(&Request::new(Method::GET, path)).await
    }

    /// A command with a key of its own.
    pub async fn command<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.call(
            &Request::new(method, path)
                .json(body)
                .header("idempotency-key", new_key()),
        )
        .await
    }

    /// Sends patiently and reads the body; an answer of 204 reads as JSON null.
    pub async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ApiError> {
        let answer = self.send_patiently(request).await?;
        let unreadable = |error: serde_json::Error| {
            let body = String::from_utf8_lossy(&answer.body);
            ApiError::Unreadable(format!(
                "{} {}: {} {error}: {body:.400}",
                request.method, request.path, answer.status
            ))
        };
        if answer.status.is_success() {
            let body: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
            return serde_json::from_slice(body).map_err(unreadable);
        }
        let mut problem: Problem = serde_json::from_slice(&answer.body).map_err(unreadable)?;
        problem.status = answer.status.as_u16();
        Err(ApiError::Problem(Box::new(problem)))
    }
}

fn is_not_now(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn retry_after(answer: &Answer) -> Duration {
    let header = answer.headers.get("retry-after").and_then(|value| value.to_str().ok());
    Duration::from_secs(header.and_then(|value| value.parse().ok()).unwrap_or(0))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
