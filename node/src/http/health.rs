//! Whether the node is alive and ready, what it is, and whose tokens it takes.

use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::sync::{Obeyed, Watermark};
use tomato_shared::time::UnixMs;

use super::call::{Call, json, ok};
use super::{App, error};
use crate::store::reads;

/// An event that the hub has not confirmed after so much real time: it is away, or far behind.
const HUB_WITHIN: Duration = Duration::from_secs(30);

/// What is wrong with a link that the hub does not take, and what to do.
const REFUSED: &str = "authorisation refused: the hub does not know this region's key (it was revoked or replaced); the region \
    sells on alone. To come back: `tomato-hub region add` at the hub, its seed file in [broker.leaf], and a restart";

/// How a node is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`; `degraded` without broker or hub, which is ready all the same; or `unready`.
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// Something that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Check {
    name: &'static str,
    ok: bool,
    /// Whether the node is unready without it; the hub and the broker never are, as a city works without them.
    needed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What runs here.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    version: &'static str,
    region: RegionId,
    /// Region time.
    now: UnixMs,
    /// How much faster than real time it runs; 1 but in simulations.
    clock_rate: f64,
}

/// Public keys: RFC 7517.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
pub struct Jwks {
    #[expect(dead_code, reason = "only its schema is used; the keys are kept as text")]
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}

impl Health {
    /// The process answers.
    pub const fn alive() -> Self {
        Self {
            status: "ok",
            checks: Vec::new(),
        }
    }
}

impl Version {
    /// What runs here.
    pub fn of(app: &App) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            region: app.policy.region.clone(),
            now: app.clock.now(),
            clock_rate: app.clock.rate(),
        }
    }
}

/// The process answers; nothing else is looked at.
pub async fn live(_call: Call) -> Result<Response, Problem> {
    ok(&Health::alive())
}

/// Whether orders can be taken: the writer runs and the file can be read. `verbose` lists what was looked at.
pub async fn ready(call: Call) -> Result<Response, Problem> {
    let verbose = call.query()?.text("verbose").is_some();
    readiness(&call.app, verbose).await
}

/// Without broker or hub a city is ready, though degraded; without its file or its writer it is not.
pub async fn readiness(app: &App, verbose: bool) -> Result<Response, Problem> {
    let checks = checks(app).await;
    let fit = checks.iter().all(|check| check.ok || !check.needed);
    let (code, status) = match (fit, checks.iter().all(|check| check.ok)) {
        (true, true) => (StatusCode::OK, "ok"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    let health = Health {
        status,
        checks: if verbose { checks } else { Vec::new() },
    };
    let body = serde_json::to_vec(&health).map_err(|fault| error::internal("health does not serialise", &fault))?;
    Ok(json(code, Bytes::from(body)))
}

async fn checks(app: &App) -> Vec<Check> {
    let head = *app.head.borrow();
    let oldest = move |connection: &rusqlite::Connection| reads::oldest_after(connection, head.watermark_seq);
    let oldest = app.reads.read(oldest).await;
    let file = oldest.is_ok();
    let waited = oldest.ok().flatten().map(|at| app.clock.real(app.clock.now() - at));
    let log = app.link_log.clone();
    let refused = tokio::task::spawn_blocking(move || log.is_refused()).await;
    let refused = refused.unwrap_or(false).then(|| REFUSED.to_owned());
    let published = app.published.load(std::sync::atomic::Ordering::Relaxed);
    let missing = head.seq.saturating_sub(head.watermark_seq);
    let check = |name, ok, needed, detail| Check {
        name,
        ok,
        needed,
        detail,
    };
    let control = app.control.now();
    vec![
        check("writer", app.writer.is_open(), true, app.writer.failure()),
        check("history", head.fence.is_none(), true, head.fence.map(fenced)),
        check("file", file, true, None),
        check(
            "broker",
            app.broker_is_there(),
            false,
            Some(format!(
                "{} of {} events are in the stream",
                published.min(head.seq),
                head.seq
            )),
        ),
        check("link", refused.is_none(), false, refused),
        check(
            "hub",
            waited.is_none_or(|waited| waited < HUB_WITHIN),
            false,
            Some(format!(
                "{missing} events not confirmed, the oldest for {} s",
                waited.unwrap_or_default().as_secs()
            )),
        ),
        check("control", control.fault.is_none(), false, Some(told(control))),
    ]
}

/// How far what the hub tells is in force.
fn told(control: Obeyed) -> String {
    let in_force = match control.version {
        0 => "the hub has told nothing, the configuration is in force".to_owned(),
        version => format!("version {version} of the hub's document is in force"),
    };
    match control.fault {
        Some(fault) => format!("{in_force}; the last one it gave is not taken in: {fault}"),
        None => in_force,
    }
}

/// What is wrong, and what to do.
fn fenced(fence: Watermark) -> String {
    let remedy = match fence.agreed_seq {
        Some(agreed) => format!(
            "restore the newest copy of the file, or stop the node and run `tomato-node incarnation new`, which goes on behind event {agreed}"
        ),
        None => "restore the newest copy of the file; once the hub is reached it finds out up to where the two agree"
            .to_owned(),
    };
    format!(
        "the hub has events up to {} that this file does not have, so it is an old copy: {remedy}",
        fence.seq
    )
}

/// What runs here, and what time it is in the region.
pub async fn version(call: Call) -> Result<Response, Problem> {
    ok(&Version::of(&call.app))
}

/// The issuer's public keys.
pub async fn jwks(call: Call) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, Bytes::from(call.app.jwks.clone())))
}
