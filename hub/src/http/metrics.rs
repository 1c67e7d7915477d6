//! `GET /metrics`: the hub and, labelled by region, the fleet, for Prometheus.

use std::fmt::Write as _;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use rusqlite::Connection;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;

use super::{App, failed};
use crate::clock;
use crate::projections::analytics::Level;
use crate::projections::tally::{Span, Tally};
use crate::store::rollups::{self, Wanted};
use crate::store::{alerts, map};

/// Alerts that are counted.
const ALERTS: u32 = 10_000;

/// The text format of Prometheus, metric by metric.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    /// Opens a metric; `kind`: gauge or counter.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{text}\"")).collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        writeln!(self.0, "{name}{labels} {value}").ok();
    }

    /// A span in seconds, given in milliseconds.
    fn seconds(&mut self, name: &str, labels: &[(&str, &str)], ms: i64) {
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{text}\"")).collect();
        let sign = if ms < 0 { "-" } else { "" };
        let (whole, rest) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
        writeln!(self.0, "{name}{{{}}} {sign}{whole}.{rest:03}", labels.join(",")).ok();
    }
}

/// What is read from the database.
struct Stored {
    ever: Vec<(RegionId, Tally)>,
    drivers: Vec<(RegionId, i64)>,
    open_alerts: usize,
    bytes: i64,
    quarantined: i64,
}

pub(super) async fn read(State(app): State<App>) -> Result<Response, Problem> {
    let regions: Vec<RegionId> = app.live.snapshot().into_keys().collect();
    let stored = app
        .readers
        .run(move |conn| stored(conn, regions))
        .await
        .map_err(failed)?;
    let mut page = Page::default();
    page.metric("tomato_hub_database_bytes", "gauge", "Size of the hub's database.");
    page.value("tomato_hub_database_bytes", &[], stored.bytes);
    page.metric(
        "tomato_hub_quarantined_messages",
        "gauge",
        "Messages that cannot be what they claim.",
    );
    page.value("tomato_hub_quarantined_messages", &[], stored.quarantined);
    page.metric("tomato_hub_open_alerts", "gauge", "Alerts whose condition holds.");
    page.value(
        "tomato_hub_open_alerts",
        &[],
        i64::try_from(stored.open_alerts).unwrap_or(i64::MAX),
    );
    fleet(&mut page, &app);
    counts(&mut page, &stored);
    spans(&mut page, &stored);
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, page.0).into_response())
}

fn stored(conn: &mut Connection, regions: Vec<RegionId>) -> Result<Stored, crate::store::StoreFault> {
    let tx = conn.transaction()?;
    let drivers = regions
        .iter()
        .map(|region| Ok((region.clone(), map::drivers_online(&tx, region)?)));
    let drivers = drivers.collect::<Result<_, crate::store::StoreFault>>()?;
    let wanted = Wanted {
        level: Level::Ever,
        regions,
        from_ms: 0,
        to_ms: 1,
        spans: true,
    };
    Ok(Stored {
        ever: rollups::by_region(&tx, &wanted)?.into_iter().collect(),
        drivers,
        open_alerts: alerts::list(&tx, ALERTS)?
            .iter()
            .filter(|alert| alert.closed_at.is_none())
            .count(),
        bytes: tx.query_row(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            [],
            |row| row.get(0),
        )?,
        quarantined: tx.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0))?,
    })
}

/// What memory knows of each region.
fn fleet(page: &mut Page, app: &App) {
    let (snapshot, now, instant) = (app.live.snapshot(), clock::now(), Instant::now());
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    page.metric("tomato_region_up", "gauge", "Whether the region was heard within 6 s.");
    for (region, found) in &snapshot {
        let up = i64::from(found.is_fresh(instant));
        page.value("tomato_region_up", &[("region", region.as_str())], up);
    }
    page.metric(
        "tomato_region_applied_events",
        "counter",
        "Sequence of the newest applied event.",
    );
    for (region, found) in &snapshot {
        let labels = [("region", region.as_str())];
        page.value("tomato_region_applied_events", &labels, number(found.cursor.seq));
    }
    page.metric(
        "tomato_region_missing_events",
        "gauge",
        "Events that the hub knows it lacks.",
    );
    for (region, found) in &snapshot {
        let missing = number(found.missing());
        page.value("tomato_region_missing_events", &[("region", region.as_str())], missing);
    }
    page.metric(
        "tomato_region_heartbeat_age_seconds",
        "gauge",
        "Since the last sign of life.",
    );
    for (region, found) in &snapshot {
        if let Some(heard) = &found.heard {
            let age = (now - heard.received_at).0;
            page.seconds(
                "tomato_region_heartbeat_age_seconds",
                &[("region", region.as_str())],
                age,
            );
        }
    }
}

fn counts(page: &mut Page, stored: &Stored) {
    page.metric("tomato_drivers_online", "gauge", "Drivers who are signed on.");
    for (region, drivers) in &stored.drivers {
        page.value("tomato_drivers_online", &[("region", region.as_str())], *drivers);
    }
    page.metric("tomato_orders_total", "counter", "Orders by how far they came.");
    for (region, tally) in &stored.ever {
        let counts = &tally.counts;
        for (step, value) in [
            ("created", counts.created),
            ("paid", counts.paid),
            ("accepted", counts.accepted),
            ("ready", counts.ready),
            ("picked_up", counts.picked_up),
            ("delivered", counts.delivered),
            ("cancelled", counts.cancelled()),
            ("payment_failed", counts.payment_failed),
        ] {
            page.value(
                "tomato_orders_total",
                &[("region", region.as_str()), ("step", step)],
                value,
            );
        }
    }
    page.metric("tomato_orders_active", "gauge", "Orders that are not final.");
    for (region, tally) in &stored.ever {
        page.value(
            "tomato_orders_active",
            &[("region", region.as_str())],
            tally.counts.active(),
        );
    }
    page.metric(
        "tomato_revenue_minor_total",
        "counter",
        "Totals of delivered orders, in minor units.",
    );
    for (region, tally) in &stored.ever {
        for (currency, money) in &tally.counts.money {
            let labels = [("region", region.as_str()), ("currency", currency.code())];
            page.value("tomato_revenue_minor_total", &labels, money.revenue_minor);
        }
    }
}

fn spans(page: &mut Page, stored: &Stored) {
    let name = "tomato_order_span_seconds";
    page.metric(
        name,
        "gauge",
        "How long parts of an order's life took, over all time, by quantile.",
    );
    for (region, tally) in &stored.ever {
        for span in Span::ALL {
            let Some(sketch) = tally.spans.get(span) else { continue };
            for (quantile, percent) in [("0.5", 50), ("0.9", 90), ("0.99", 99)] {
                if let Some(ms) = sketch.percentile_ms(percent) {
                    let labels = [
                        ("region", region.as_str()),
                        ("span", span.name()),
                        ("quantile", quantile),
                    ];
                    page.seconds(name, &labels, ms);
                }
            }
        }
    }
}
