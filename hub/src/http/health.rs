//! For those who run the hub: is it alive, can it serve, which version is it.

use std::time::Duration;

use async_nats::connection::State as Link;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tomato_shared::runtime::problem::Problem;

use super::{App, NoQuery, bad_query};

/// How long a read may take before the hub counts as not ready.
const READ: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verbose {
    /// Present, with or without a value: list the checks.
    verbose: Option<String>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// Whether the hub is ready only if this is.
    needed: bool,
}

pub(super) async fn livez(query: Result<Query<NoQuery>, QueryRejection>) -> Result<Json<Value>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    Ok(Json(json!({ "status": "alive" })))
}

pub(super) async fn readyz(
    State(app): State<App>,
    query: Result<Query<Verbose>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let read = app.readers.run(|conn| Ok(conn.query_row("SELECT 1", [], |_| Ok(()))?));
    let database = matches!(tokio::time::timeout(READ, read).await, Ok(Ok(())));
    if !database {
        return Err(Problem::unavailable("not_ready", "the database cannot be read", 5));
    }
    let broker = app
        .broker
        .is_some_and(|client| client.connection_state() == Link::Connected);
    let checks = [
        Check {
            name: "database",
            ok: database,
            needed: true,
        },
        Check {
            name: "broker",
            ok: broker,
            needed: false,
        },
    ];
    Ok(Json(match query.verbose {
        Some(_) => json!({ "status": "ready", "checks": checks }),
        None => json!({ "status": "ready" }),
    }))
}

pub(super) async fn version(query: Result<Query<NoQuery>, QueryRejection>) -> Result<Json<Value>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    Ok(Json(json!({
        "name": "tomato-hub",
        "version": env!("CARGO_PKG_VERSION"),
        "sqlite": rusqlite::version(),
    })))
}
