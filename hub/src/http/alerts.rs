//! `/v1/alerts`: what is going wrong, and who has seen it.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_path, bad_query, failed};
use crate::changes::Change;
use crate::clock;
use crate::config::Access;
use crate::store::alerts::{self, Alert};

/// Alerts of one answer.
const MOST: u32 = 500;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Alerts {
    #[schemars(with = "String")]
    at: UnixMs,
    /// Open ones first, then the newest.
    alerts: Vec<Alert>,
}

pub(super) async fn list(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Alerts>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let mut found = app.readers.run(|conn| alerts::list(conn, MOST)).await.map_err(failed)?;
    found.retain(|alert| operator.sees(&alert.region));
    Ok(Json(Alerts {
        at: clock::now(),
        alerts: found,
    }))
}

pub(super) async fn acknowledge(
    operator: Operator,
    State(app): State<App>,
    path: Result<Path<i64>, PathRejection>,
) -> Result<Json<Alert>, Problem> {
    let signed = operator.sign(Access::Operator)?;
    let Path(id) = path.map_err(bad_path)?;
    let missing = || Problem::not_found("there is no such alert, or it is not in your regions");
    let found = app
        .readers
        .run(move |conn| alerts::find(conn, id))
        .await
        .map_err(failed)?;
    if !found.is_some_and(|alert| operator.sees(&alert.region)) {
        return Err(missing());
    }
    let work = move |conn: &mut rusqlite::Connection| alerts::acknowledge(conn, id, &signed);
    let acknowledged = app.writer.run(work).await.map_err(failed)?;
    app.changes.tell(Change {
        alerts: true,
        ..Change::default()
    });
    acknowledged.map(Json).ok_or_else(missing)
}
