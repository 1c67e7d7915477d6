//! Who serves a place, whichever region that is.

use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::{Cell, REGION_RESOLUTION};
use tomato_shared::directory::Owner;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::query::fault;

/// Who serves a place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Located {
    /// The region, where its apps reach it, and the version of the map that says so; 0 before there is a map.
    #[serde(flatten)]
    owner: Owner,
    /// The cell that was asked for, or the place's.
    cell: Cell,
    /// Of when this is, by the hub's clock: a node that is cut off goes by its last map. Absent before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<UnixMs>,
}

/// Who serves a place or a cell; 404 where nobody does.
pub async fn locate(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let cell = match (query.get::<Cell>("cell", "an H3 cell")?, query.place_if_given()?) {
        (Some(cell), None) => cell,
        (None, Some(place)) => place.cell(REGION_RESOLUTION),
        (Some(_), Some(_)) => return Err(fault("cell", "give either a cell, or lat and lng")),
        (None, None) => query.place()?.cell(REGION_RESOLUTION),
    };
    let locator = &call.app.locator;
    let Some(owner) = locator.owner(cell) else {
        let title = "Nobody serves this place.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "nobody_serves", title).detail(format!("cell {cell}")));
    };
    ok(&Located {
        owner,
        cell,
        as_of: locator.as_of(),
    })
}
