//! Where drivers are. Not commands: positions are kept in memory.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::id::DriverId;
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::drivers::own;
use super::error;
use super::input::{Faults, Input};
use crate::engine::model::By;
use crate::fleet::{Duty, Fix, Reported};

/// Positions of one request.
pub const FIXES: std::ops::RangeInclusive<usize> = 1..=100;

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct FixesInput(Vec<FixInput>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FixInput {
    lat: f64,
    lng: f64,
    at: UnixMs,
    #[serde(default)]
    accuracy_m: Option<f32>,
}

impl Input for FixesInput {
    const LIST: bool = true;

    fn check(&self, faults: &mut Faults) {
        faults.count("", self.0.len(), FIXES);
        for (at, fix) in self.0.iter().take(*FIXES.end()).enumerate() {
            faults.range(format!("/{at}/lat"), fix.lat, -90.0..=90.0);
            faults.range(format!("/{at}/lng"), fix.lng, -180.0..=180.0);
            faults.range(
                format!("/{at}/accuracy_m"),
                fix.accuracy_m.unwrap_or(0.0),
                0.0..=100_000.0,
            );
        }
    }
}

/// Where the caller was, oldest first.
pub async fn locations(call: Call) -> Result<Response, Problem> {
    let FixesInput(fixes) = call.input()?;
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationInput {
    latitude: f64,
    longitude: f64,
}

impl Input for LocationInput {
    fn check(&self, faults: &mut Faults) {
        faults.range("/latitude", self.latitude, -90.0..=90.0);
        faults.range("/longitude", self.longitude, -180.0..=180.0);
    }
}

#[derive(Serialize)]
struct Updated {
    status: &'static str,
}

/// One position, as of now.
pub async fn location(call: Call) -> Result<Response, Problem> {
    let id: DriverId = call.id("drv")?;
    if matches!(call.by()?, By::Driver(own) if own != id) {
        return Err(error::not_found());
    }
    let LocationInput { latitude, longitude } = call.input()?;
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
    let Reported { latest, duty, .. } = reported;
    if reported.appeared && app.head.borrow().orders_waiting > 0 {
        app.writer.driver_appeared();
    }
    match (duty, latest) {
        (None, _) => Err(error::of(Rejection::DriverOffline)),
        (Some(Duty::Delivering { order_id, customer_id }), Some(fix)) => {
            app.feed.location(order_id, customer_id, &fix);
            Ok(())
        }
        (Some(Duty::Delivering { .. } | Duty::Free | Duty::Offered), _) => Ok(()),
    }
}
