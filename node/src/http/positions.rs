//! Where drivers are. Not commands: positions are kept in memory.

use axum::response::{IntoResponse as _, Response};
use garde::Validate;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::id::DriverId;
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::drivers::own;
use super::error;
use super::input::Input;
use crate::engine::model::By;
use crate::fleet::{Duty, Fix, Reported};

/// Positions, oldest first.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(transparent)]
#[garde(transparent)]
pub struct FixesInput(#[garde(length(min = 1, max = 100), dive)] Vec<FixInput>);

/// A position of a device.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct FixInput {
    /// Degrees north.
    #[garde(range(min = -90.0, max = 90.0))]
    lat: f64,
    /// Degrees east.
    #[garde(range(min = -180.0, max = 180.0))]
    lng: f64,
    /// When, by the device's clock.
    #[garde(skip)]
    at: UnixMs,
    /// Radius around the position in which the device is, in metres.
    #[serde(default)]
    #[garde(range(min = 0.0, max = 100_000.0))]
    accuracy_m: Option<f32>,
}

impl Input for FixesInput {}

/// Where the caller was, oldest first.
pub async fn locations(call: Call, input: FixesInput) -> Result<Response, Problem> {
    let FixesInput(fixes) = input;
    let places = fixes.iter().filter_map(|fix| {
        Some(Fix {
            place: LatLng::new(fix.lat, fix.lng).ok()?,
            at: fix.at,
            accuracy_m: fix.accuracy_m,
        })
    });
    report(&call, own(&call)?, &places.collect::<Vec<_>>())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A position.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LocationInput {
    /// Degrees north.
    #[garde(range(min = -90.0, max = 90.0))]
    latitude: f64,
    /// Degrees east.
    #[garde(range(min = -180.0, max = 180.0))]
    longitude: f64,
}

impl Input for LocationInput {}

/// What came of a position.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Updated {
    status: &'static str,
}

/// One position, as of now.
pub async fn location(call: Call, input: LocationInput) -> Result<Response, Problem> {
    let id: DriverId = call.id("drv")?;
    if matches!(call.by()?, By::Driver(own) if own != id) {
        return Err(error::not_found());
    }
    let LocationInput { latitude, longitude } = input;
    let place = LatLng::new(latitude, longitude).map_err(|fault| error::invalid_body().at("", fault.to_string()))?;
    let at = call.app.clock.now();
    report(
        &call,
        id,
        &[Fix {
            place,
            at,
            accuracy_m: None,
        }],
    )?;
    ok(&Updated { status: "updated" })
}

fn report(call: &Call, driver: DriverId, fixes: &[Fix]) -> Result<(), Problem> {
    let app = &call.app;
    let reported = app.fleet.report(driver, fixes, app.clock.now());
    app.metrics.positions_received.add(fixes.len() as u64);
    app.metrics.positions_accepted.add(reported.accepted as u64);
    let Reported { latest, duty, .. } = reported;
    if reported.appeared && app.head.borrow().orders_waiting > 0 {
        app.writer.driver_appeared();
    }
    match (duty, latest) {
        (None, _) => Err(error::of(Rejection::DriverOffline)),
        (Some(Duty::Delivering(whose)), Some(fix)) => {
            for (order_id, customer_id) in whose.iter() {
                app.feed.location(*order_id, *customer_id, &fix);
            }
            Ok(())
        }
        (Some(Duty::Delivering(_) | Duty::Free | Duty::Busy), _) => Ok(()),
    }
}
