//! What happens around every handler, in this order: load, length of the URI, token, region, role, the caller's budget,
//! body, then the handler under a deadline. Whatever comes of it leaves with the same headers, a panic included.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tomato_shared::id::{Id, Kind};
use tomato_shared::runtime::otlp::Side;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::{DurationMs, UnixMs};
use tracing::Instrument as _;

use super::auth::{self, Caller};
use super::rate::Standing;
use super::table::{self, Access, Key, Route};
use super::{App, elsewhere, error, idempotency, origin, trace};
use crate::engine::command::Command;
use crate::engine::model::By;
use crate::metrics::Metrics;
use crate::store::push::Errand;
use crate::writer::{Context, IdempotencyKey};

/// Longest path with its query; a WebSocket's token may stand in it.
pub const URI_MAX: usize = 10 * 1024;
/// Time for the body to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Time for a handler to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// When a command happened, by the clock of a device that sends it later.
pub const DEVICE_TIME: &str = "x-device-time";
/// How old that may be.
const DEVICE_AGE_MAX: DurationMs = DurationMs::from_mins(7 * 24 * 60);
/// How far a device's clock may be ahead.
const DEVICE_AHEAD_MAX: DurationMs = DurationMs::from_mins(5);

/// One request on its way to its handler, its caller known and its body read.
pub struct Call {
    /// Everything a handler can use.
    pub app: Arc<App>,
    /// Which route.
    pub route: &'static Route,
    /// Who calls; `None` on public routes only.
    pub caller: Option<Caller>,
    /// Line and headers of the request.
    pub parts: Parts,
    /// The body; empty where the route takes none.
    pub body: Bytes,
    /// W3C trace context to continue.
    pub trace: Option<String>,
    /// When the request's head had arrived.
    pub began: Instant,
    params: Vec<(String, String)>,
}

impl Call {
    /// Who calls.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(auth::missing)
    }

    /// Who calls, as decisions see them.
    pub fn by(&self) -> Result<By, Problem> {
        self.caller().map(|caller| caller.by)
    }

    /// A part of the path, as it stands there.
    pub fn text(&self, name: &'static str) -> &str {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, text)| text.as_str())
    }

    /// An id in the path.
    pub fn id<K: Kind>(&self, name: &'static str) -> Result<Id<K>, Problem> {
        self.text(name)
            .parse()
            .map_err(|fault: tomato_shared::id::IdError| error::invalid_path(name, fault.to_string()))
    }

    /// Has the writer carry a command out, once per `Idempotency-Key`, and passes its answer on unchanged.
    pub async fn submit(&self, command: Command) -> Result<Response, Problem> {
        let by = self.by()?;
        let context = Context {
            key: self.key()?,
            trace: self.trace.clone(),
            device_at: self.device_at()?,
        };
        let is_new = matches!(command, Command::PlaceOrder(_));
        let submitted = self.app.writer.submit(by, command, context).await;
        let answer = submitted.map_err(error::from_failure)?;
        if is_new {
            self.app.metrics.order_creation.took(self.began.elapsed());
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        Ok(json(status, answer.body))
    }

    /// Has the writer run an errand, once per `Idempotency-Key`, and passes its answer on unchanged.
    pub async fn errand(&self, errand: Errand) -> Result<Response, Problem> {
        let context = Context {
            key: self.key()?,
            trace: self.trace.clone(),
            device_at: None,
        };
        let run = self.app.writer.errand(self.by()?, errand, context).await;
        let answer = run.map_err(error::from_failure)?;
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        if status == StatusCode::NO_CONTENT {
            return Ok(status.into_response());
        }
        Ok(json(status, answer.body))
    }

    /// When it happened by the clock of the caller's device, which may have been cut off since.
    fn device_at(&self) -> Result<Option<UnixMs>, Problem> {
        let Some(value) = self.parts.headers.get(DEVICE_TIME) else {
            return Ok(None);
        };
        let read = value.to_str().ok().and_then(|text| text.parse().ok());
        let now = self.app.clock.now();
        let near = now + DurationMs(-DEVICE_AGE_MAX.0)..=now + DEVICE_AHEAD_MAX;
        let fits = read.filter(|at: &UnixMs| near.contains(at));
        let wrong = || {
            error::invalid_header(
                DEVICE_TIME,
                "want a moment of the last 7 days, as in 2026-11-23T12:00:00Z",
            )
        };
        fits.map(|at| Some(at.min(now))).ok_or_else(wrong)
    }

    /// The key under which an answer would be stored, where the call has one.
    pub fn stored_key(&self) -> Option<IdempotencyKey> {
        self.key().ok().flatten()
    }

    fn key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        let given = idempotency::client_key(&self.parts.headers)?;
        match (self.route.key, given) {
            (Key::Required, None) => Err(idempotency::missing()),
            (Key::None, _) | (Key::Accepted, None) => Ok(None),
            (Key::Accepted | Key::Required, Some(given)) => {
                let scope = idempotency::Scope {
                    principal: self.caller()?.principal(),
                    method: self.route.method.names()[0],
                    template: self.route.path,
                    params: &self.params,
                };
                let condition = self.parts.headers.get(header::IF_MATCH).map(HeaderValue::as_bytes);
                Ok(Some(scope.key(given, condition, &self.body)))
            }
        }
    }
}

/// A JSON answer of ready bytes.
pub fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = (status, body).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A 200 with a value as JSON.
pub fn ok<T: serde::Serialize>(value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|fault| error::internal("an answer does not serialise", &fault))?;
    Ok(json(StatusCode::OK, Bytes::from(body)))
}

/// Runs a route's handler.
pub async fn run(app: Arc<App>, route: &'static Route, params: Option<RawPathParams>, request: Request) -> Response {
    let mut stamp = Stamp::of(&app, &request);
    stamp.route = Some(route);
    let work = AssertUnwindSafe(handle(app, route, params, request, &mut stamp)).catch_unwind();
    let result = Box::pin(work).await.unwrap_or_else(|_| {
        tracing::error!(request_id = stamp.request_id, path = route.path, "a handler panicked");
        Err(Problem::internal())
    });
    stamp.finish(result, route.access == Access::Public)
}

/// The answer where no route has the path.
pub async fn no_route(app: Arc<App>, request: Request) -> Response {
    Stamp::of(&app, &request).finish(Err(error::not_found()), false)
}

/// The answer where the path has other methods.
pub async fn wrong_method(app: Arc<App>, request: Request, allow: &'static str) -> Response {
    let stamp = Stamp::of(&app, &request);
    let (parts, _) = request.into_parts();
    let result = match origin::preflight(&parts, &app.http, allow) {
        Some(headers) => Ok((StatusCode::NO_CONTENT, HeaderMap::from_iter(headers)).into_response()),
        None => Err(Problem::method_not_allowed(allow)),
    };
    stamp.finish(result, false)
}

async fn handle(
    app: Arc<App>,
    route: &'static Route,
    params: Option<RawPathParams>,
    request: Request,
    stamp: &mut Stamp,
) -> Result<Response, Problem> {
    // Held until there is an answer.
    let place = app.shed.enter(route.class);
    if place.is_none() && !route.is_probe() {
        if let Some(count) = app.metrics.http_shed.get(route.class as usize) {
            count.one();
        }
        return Err(error::overloaded());
    }
    let (mut parts, body) = request.into_parts();
    if app.peers.is_some()
        && let Ok(id) = HeaderValue::from_str(&stamp.request_id)
    {
        // Where another region answers, its log has the same id.
        parts.headers.insert(REQUEST_ID, id);
    }
    let length = parts.uri.path_and_query().map_or(0, |text| text.as_str().len());
    if length > URI_MAX {
        return Err(error::uri_too_long(URI_MAX));
    }
    let caller = auth::check(&app, route.access, &parts);
    let payer = match &caller {
        Ok(Some(caller)) => Some(caller.clone()),
        Ok(None) => auth::known(&app, &parts),
        Err(_) => None,
    };
    let address = origin::address(&parts, &app.http.trusted_proxies);
    let paid = app.rates.pay(route, payer.as_ref(), address);
    stamp.standing = paid.clone().unwrap_or_else(Some);
    paid.map_err(|standing| {
        app.metrics.http_rate_limited.one();
        error::rate_limited(standing.reset_s)
    })?;
    let caller = caller?;
    let params = params.ok_or_else(|| error::invalid_path("path", "not UTF-8".into()))?;
    let params = params
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = read_body(route.body, &parts.headers, body).await?;
    let trace = trace::of(&parts.headers);
    let span = app.tracer.root(trace.as_deref()).filter(|_| !route.is_probe());
    let trace = span.map(|span| span.context.to_string()).or(trace);
    let tracer = app.tracer.clone();
    let trace = stamp.belongs_to(trace.or_else(|| (!route.is_probe()).then(trace::fresh)));
    let lines = stamp.lines();
    let call = Call {
        app,
        route,
        caller,
        parts,
        body,
        trace,
        began: stamp.began,
        params,
    };
    let work = elsewhere::run(call).instrument(lines);
    let answered = tokio::time::timeout(ANSWER_WITHIN, work).await;
    let result = answered.unwrap_or_else(|_| Err(error::timeout()));
    if let Some(span) = span {
        let status = result.as_ref().map_or_else(Problem::status, Response::status);
        let attributes = vec![
            ("http.request.method", route.method.names()[0].to_owned()),
            ("http.route", route.path.to_owned()),
            ("http.response.status_code", status.as_u16().to_string()),
        ];
        tracer.end(span, (route.name, Side::Server), attributes, status.is_server_error());
    }
    result
}

async fn read_body(rule: table::Body, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let (limit, optional) = match rule {
        table::Body::Ignored => return Ok(Bytes::new()),
        table::Body::Empty => (table::BODY_MAX, true),
        table::Body::Json { limit, .. } | table::Body::Csv { limit } => (limit, false),
    };
    let media = if matches!(rule, table::Body::Csv { .. }) {
        "text/csv"
    } else {
        "application/json"
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(Problem::payload_too_large(limit as u64));
    }
    if !optional && !is(headers, media) {
        return Err(Problem::unsupported_media_type(media));
    }
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, limit).collect()).await;
    let read = read.map_err(|_| error::body_timeout())?;
    let bytes = read.map(http_body_util::Collected::to_bytes).map_err(|fault| {
        if fault.is::<LengthLimitError>() {
            Problem::payload_too_large(limit as u64)
        } else {
            error::body_broken()
        }
    })?;
    if optional && !bytes.is_empty() {
        if !is(headers, media) {
            return Err(Problem::unsupported_media_type(media));
        }
        super::input::empty(&bytes)?;
    }
    Ok(bytes)
}

fn is(headers: &HeaderMap, media: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media)
}

/// What an answer needs of its request.
struct Stamp {
    began: Instant,
    metrics: Arc<Metrics>,
    /// `None` where no path fitted.
    route: Option<&'static Route>,
    request_id: String,
    path: String,
    /// W3C trace context, once it is known.
    trace: Option<String>,
    /// The site whose page may see the answer.
    origin: Option<HeaderValue>,
    /// What is left of the caller's budget.
    standing: Option<Standing>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

impl Stamp {
    fn of(app: &App, request: &Request) -> Self {
        Self {
            began: Instant::now(),
            metrics: app.metrics.clone(),
            route: None,
            request_id: trace::request_id(request.headers()),
            path: request.uri().path().to_owned(),
            trace: None,
            origin: origin::allowed(request.headers(), &app.http).cloned(),
            standing: None,
        }
    }

    /// Notes the trace of which the request is a part.
    fn belongs_to(&mut self, trace: Option<String>) -> Option<String> {
        self.trace.clone_from(&trace);
        trace
    }

    /// Every line that is logged within says whose it is.
    fn lines(&self) -> tracing::Span {
        let trace_id = trace::id_of(self.trace.as_deref());
        tracing::info_span!("request", trace_id, request_id = self.request_id)
    }

    fn finish(self, result: Result<Response, Problem>, public: bool) -> Response {
        let mut response = result.unwrap_or_else(|problem| {
            if problem.status().is_server_error() {
                tracing::warn!(
                    request_id = self.request_id,
                    trace_id = trace::id_of(self.trace.as_deref()),
                    path = self.path,
                    %problem,
                    "request failed"
                );
            }
            problem
                .instance(self.path)
                .request_id(self.request_id.clone())
                .into_response()
        });
        tracing::debug!(
            request_id = self.request_id,
            trace_id = trace::id_of(self.trace.as_deref()),
            route = self.route.map(|route| route.path),
            status = response.status().as_u16(),
            "answered"
        );
        self.metrics
            .answered(self.route, response.status(), self.began.elapsed());
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let trace_id = trace::id_of(self.trace.as_deref()).and_then(|id| HeaderValue::from_str(id).ok());
        if let Some(id) = trace_id {
            headers.insert(TRACE_ID, id);
        }
        if let Some(standing) = &self.standing {
            standing.write(headers);
        }
        origin::open(self.origin.as_ref(), headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        // A page says itself what it needs.
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
        let cache = if public { "no-cache" } else { "no-store" };
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static(cache));
        response
    }
}
