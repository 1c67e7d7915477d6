//! `GET /v1/me` and `GET /v1/anomalies`: who asks, and what the hub stumbled over.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;

use super::auth::Operator;
use super::{App, NoQuery, bad_query, failed, page};
use crate::store::anomalies::{self, Noted};

/// Anomalies of one answer.
const MOST: u32 = 500;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Me {
    subject: String,
    access: &'static str,
    /// The regions that the token is good for; `null`: all.
    #[schemars(with = "Option<Vec<String>>")]
    regions: Option<Vec<RegionId>>,
    /// Tiles for the page's map; `null`: none.
    tile_url: Option<String>,
    tile_attribution: String,
    /// Whether the hub was built with the page's map and chart libraries.
    page_libraries: bool,
}

pub(super) async fn me(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Me>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    Ok(Json(Me {
        subject: operator.subject().to_owned(),
        access: operator.access().name(),
        regions: operator.regions().map(|regions| regions.into_iter().collect()),
        tile_url: app.page.tile_url.clone(),
        tile_attribution: app.page.tile_attribution.clone(),
        page_libraries: page::has_libraries(),
    }))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Anomalies {
    anomalies: Vec<Noted>,
}

pub(super) async fn anomalies(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Anomalies>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let work = |conn: &mut rusqlite::Connection| anomalies::latest(conn, MOST);
    let mut anomalies = app.readers.run(work).await.map_err(failed)?;
    anomalies.retain(|anomaly| operator.sees(&anomaly.region));
    Ok(Json(Anomalies { anomalies }))
}
