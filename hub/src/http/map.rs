//! `/v1/map`: the cells of each region, what happens in them now, the orders under way, and where the drivers are.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use h3o::LatLng;
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::OrderState;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::sync::DriverPosition;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_query, failed};
use crate::projections::analytics::{DAY_MS, HOUR_MS, Level, MINUTE_MS};
use crate::projections::tally::Span;
use crate::store::map::{self, Open};
use crate::store::rollups::{self, By, Wanted};
use crate::store::state;

const BY_CELL: By = By {
    time: false,
    region: false,
    cell: true,
};
/// Demand is counted over this long.
const DEMAND_MS: i64 = 30 * MINUTE_MS;
/// Cells without an order for this long, and without a restaurant, are not shown.
const SHOWN_MS: i64 = 7 * DAY_MS;

/// GeoJSON (RFC 7946).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cells {
    #[serde(rename = "type")]
    kind: &'static str,
    features: Vec<Feature>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Feature {
    #[serde(rename = "type")]
    kind: &'static str,
    #[schemars(with = "String")]
    id: Cell,
    properties: Properties,
    geometry: Polygon,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Properties {
    #[schemars(with = "String")]
    region: RegionId,
    /// Restaurants in the cell.
    restaurants: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Polygon {
    #[serde(rename = "type")]
    kind: &'static str,
    /// One ring; longitude and latitude in degrees.
    coordinates: [Vec<[f64; 2]>; 1],
}

fn seen(operator: &Operator, app: &App) -> Vec<RegionId> {
    let all = app.live.snapshot().into_keys();
    all.filter(|region| operator.sees(region)).collect()
}

pub(super) async fn cells(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Cells>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let regions = seen(&operator, &app);
    let work = move |conn: &mut Connection| {
        let tx = conn.transaction()?;
        let mut features = Vec::new();
        for region in regions {
            let latest = state::load(&tx, &region)?.seen_at;
            let mut shown: BTreeMap<Cell, u32> = map::restaurants(&tx, &region)?;
            for cell in map::cells(&tx, &region, latest.0 - SHOWN_MS)? {
                shown.entry(cell).or_default();
            }
            features.extend(shown.into_iter().map(|(cell, count)| feature(&region, cell, count)));
        }
        Ok(features)
    };
    Ok(Json(Cells {
        kind: "FeatureCollection",
        features: app.readers.run(work).await.map_err(failed)?,
    }))
}

fn feature(region: &RegionId, cell: Cell, restaurants: u32) -> Feature {
    let mut ring: Vec<[f64; 2]> = cell.0.boundary().iter().map(degrees).collect();
    // A ring ends where it begins.
    ring.extend(ring.first().copied());
    Feature {
        kind: "Feature",
        id: cell,
        properties: Properties {
            region: region.clone(),
            restaurants,
        },
        geometry: Polygon {
            kind: "Polygon",
            coordinates: [ring],
        },
    }
}

/// Longitude and latitude, to about ten centimetres.
fn degrees(place: &LatLng) -> [f64; 2] {
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    [round(place.lng()), round(place.lat())]
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Values {
    cells: Vec<Value>,
}

/// What happens in a cell.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Value {
    #[schemars(with = "Option<String>")]
    cell: Option<Cell>,
    #[schemars(with = "Option<String>")]
    region: Option<RegionId>,
    /// Orders placed in the last 30 minutes.
    demand: i64,
    /// Orders that are paid and not with a driver.
    waiting: i64,
    /// Orders with a driver on the way to the customer.
    moving: i64,
    /// Median from order to door of the orders delivered in the last hours; `null` without.
    door_p50_ms: Option<i64>,
}

pub(super) async fn values(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Values>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let regions = seen(&operator, &app);
    let work = move |conn: &mut Connection| {
        let tx = conn.transaction()?;
        let mut cells: BTreeMap<(RegionId, i64), Value> = BTreeMap::new();
        for region in &regions {
            // By the region's own clock, so that a region that is cut off shows what it last said.
            let latest = state::load(&tx, region)?.seen_at.0;
            let of = |level, from_ms, spans| Wanted {
                level,
                regions: vec![region.clone()],
                from_ms,
                to_ms: i64::MAX,
                spans,
            };
            let demand = of(Level::CellMinute, latest - DEMAND_MS, false);
            for (group, tally) in rollups::sum(&tx, &demand, BY_CELL)? {
                let cell = group.cell.unwrap_or(0);
                cells.entry((region.clone(), cell)).or_default().demand = tally.counts.created;
            }
            let doors = of(Level::CellHour, latest - 3 * HOUR_MS, true);
            for (group, tally) in rollups::sum(&tx, &doors, BY_CELL)? {
                let sketch = tally.spans.get(Span::ClickToDoor);
                let median = sketch.and_then(|sketch| sketch.percentile_ms(50));
                let cell = group.cell.unwrap_or(0);
                cells.entry((region.clone(), cell)).or_default().door_p50_ms = median;
            }
        }
        let seen: BTreeSet<&RegionId> = regions.iter().collect();
        for (region, cell, state, count) in map::open_by_cell(&tx)? {
            if seen.contains(&region) {
                let value = cells.entry((region, cell)).or_default();
                match state {
                    OrderState::OutForDelivery => value.moving += count,
                    OrderState::Confirmed | OrderState::Preparing | OrderState::ReadyForPickup => {
                        value.waiting += count;
                    }
                    OrderState::Pending | OrderState::PaymentFailed | OrderState::Delivered | OrderState::Cancelled => {
                    }
                }
            }
        }
        Ok(cells)
    };
    let found = app.readers.run(work).await.map_err(failed)?;
    let values = found.into_iter().map(|((region, cell), value)| Value {
        cell: Cell::from_i64(cell),
        region: Some(region),
        ..value
    });
    Ok(Json(Values {
        cells: values.collect(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionQuery {
    region: RegionId,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Orders {
    orders: Vec<OrderView>,
    drivers_online: i64,
}

/// An order under way. Places are those of cells, to about 500 m: events tell no address.
#[derive(Debug, Serialize, JsonSchema)]
struct OrderView {
    #[schemars(with = "String")]
    id: OrderId,
    #[schemars(with = "String")]
    status: OrderState,
    #[schemars(with = "String")]
    placed_at: UnixMs,
    #[schemars(with = "Option<String>")]
    driver_id: Option<DriverId>,
    to: [f64; 2],
    /// The restaurant's; `null` where the region has not told where it is.
    from: Option<[f64; 2]>,
}

pub(super) async fn orders(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<RegionQuery>, QueryRejection>,
) -> Result<Json<Orders>, Problem> {
    let Query(RegionQuery { region }) = query.map_err(|rejection| bad_query(&rejection))?;
    if !operator.sees(&region) {
        return Err(Problem::forbidden("your token is not for this region"));
    }
    let work = move |conn: &mut Connection| {
        let tx = conn.transaction()?;
        Ok((map::open_orders(&tx, &region)?, map::drivers_online(&tx, &region)?))
    };
    let (open, drivers_online) = app.readers.run(work).await.map_err(failed)?;
    let centre = |cell: Cell| degrees(&LatLng::from(cell.0));
    let view = |order: Open| OrderView {
        id: order.id,
        status: order.state,
        placed_at: order.placed_at,
        driver_id: order.driver_id,
        to: centre(order.cell),
        from: order.restaurant_cell.map(centre),
    };
    Ok(Json(Orders {
        orders: open.into_iter().map(view).collect(),
        drivers_online,
    }))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Drivers {
    /// The region's clock when it answered; `null` if it does not answer.
    #[schemars(with = "Option<String>")]
    at: Option<UnixMs>,
    /// Drivers who are signed on and tell where they are.
    known: u64,
    /// At most 2,000 of them.
    drivers: Vec<DriverPlace>,
}

/// Where a driver is, to about ten metres.
#[derive(Debug, Serialize, JsonSchema)]
struct DriverPlace {
    #[schemars(with = "String")]
    id: DriverId,
    /// Longitude and latitude in degrees.
    place: [f64; 2],
    /// The orders that the driver is bound to; empty for one who is free.
    #[schemars(with = "Vec<String>")]
    order_ids: Vec<OrderId>,
}

pub(super) async fn drivers(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<RegionQuery>, QueryRejection>,
) -> Result<Json<Drivers>, Problem> {
    let Query(RegionQuery { region }) = query.map_err(|rejection| bad_query(&rejection))?;
    if !operator.sees(&region) {
        return Err(Problem::forbidden("your token is not for this region"));
    }
    // Only regions that are let in are asked: each one takes a place in memory.
    let reply = match &app.broker {
        Some(client) if app.registry.borrow().contains_key(&region) => app.looks.at(client, &region).await,
        Some(_) | None => None,
    };
    let place = |driver: DriverPosition| DriverPlace {
        id: driver.driver_id,
        place: [driver.lng, driver.lat],
        order_ids: driver.order_ids,
    };
    Ok(Json(match reply {
        Some(reply) => Drivers {
            at: Some(reply.at),
            known: reply.known,
            drivers: reply.drivers.into_iter().map(place).collect(),
        },
        None => Drivers {
            at: None,
            known: 0,
            drivers: Vec::new(),
        },
    }))
}
