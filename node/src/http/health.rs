//! Whether the node is alive and ready, what it is, and whose tokens it takes.

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, json, ok};
use super::error;
use crate::store::reads;

/// How a node is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok` or `unready`.
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

/// The process answers; nothing else is looked at.
pub async fn live(_call: Call) -> Result<Response, Problem> {
    ok(&Health {
        status: "ok",
        checks: Vec::new(),
    })
}

/// Whether orders can be taken: the writer runs and the file can be read. `verbose` lists what was looked at.
pub async fn ready(call: Call) -> Result<Response, Problem> {
    let verbose = call.query()?.text("verbose").is_some();
    let file = call.app.reads.read(reads::head_seq).await;
    let published = call.app.published.load(std::sync::atomic::Ordering::Relaxed);
    let head = call.app.head.borrow().seq;
    let checks = vec![
        Check {
            name: "writer",
            ok: call.app.writer.is_open(),
            needed: true,
            detail: None,
        },
        Check {
            name: "file",
            ok: file.is_ok(),
            needed: true,
            detail: None,
        },
        Check {
            name: "relay",
            ok: published >= head,
            needed: false,
            detail: Some(format!("{} of {head} events are in the stream", published.min(head))),
        },
    ];
    let fit = checks.iter().all(|check| check.ok || !check.needed);
    let (code, status) = if fit {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unready")
    };
    let health = Health {
        status,
        checks: if verbose { checks } else { Vec::new() },
    };
    let body = serde_json::to_vec(&health).map_err(|fault| error::internal("health does not serialise", &fault))?;
    Ok(json(code, Bytes::from(body)))
}

/// What runs here, and what time it is in the region.
pub async fn version(call: Call) -> Result<Response, Problem> {
    ok(&Version {
        version: env!("CARGO_PKG_VERSION"),
        region: call.app.policy.region.clone(),
        now: call.app.clock.now(),
        clock_rate: call.app.clock.rate(),
    })
}

/// The issuer's public keys.
pub async fn jwks(call: Call) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, Bytes::from(call.app.jwks.clone())))
}
