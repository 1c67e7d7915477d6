//! `GET /v1/locate`: who serves a place. For anybody, as at every node.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION};
use tomato_shared::directory::Owner;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::{App, bad_query, wrong};
use crate::clock;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Located {
    /// The region, where its apps reach it, and the version of the map that says so.
    #[serde(flatten)]
    owner: Owner,
    /// The cell that was asked for, or the place's.
    cell: Cell,
    /// Of when this is.
    #[schemars(with = "String")]
    as_of: UnixMs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    lat: Option<f64>,
    lng: Option<f64>,
    cell: Option<String>,
}

pub(super) async fn read(
    State(app): State<App>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Located>, Problem> {
    let Query(wanted) = query.map_err(|rejection| bad_query(&rejection))?;
    let cell = match (wanted.cell, wanted.lat, wanted.lng) {
        (Some(cell), None, None) => cell
            .parse::<Cell>()
            .map_err(|fault| wrong("cell", &fault.to_string()))?,
        (None, Some(lat), Some(lng)) => LatLng::new(lat, lng)
            .map_err(|fault| wrong("lat", &fault.to_string()))?
            .cell(REGION_RESOLUTION),
        _ => return Err(wrong("cell", "give either a cell, or lat and lng")),
    };
    let directory = app.directory.borrow().clone();
    let Some(owner) = directory.owner(cell) else {
        let title = "Nobody serves this place.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "nobody_serves", title).detail(format!("cell {cell}")));
    };
    Ok(Json(Located {
        owner,
        cell,
        as_of: clock::now(),
    }))
}
