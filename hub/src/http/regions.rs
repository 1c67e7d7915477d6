//! `GET /v1/regions`: what the hub has of each region, and what it knows that it lacks.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_query};
use crate::clock;
use crate::live::Now;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Regions {
    #[schemars(with = "String")]
    at: UnixMs,
    regions: Vec<View>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct View {
    #[schemars(with = "String")]
    region: RegionId,
    /// Whether it may connect.
    registered: bool,
    /// `up`: heard within 6 s; `down`: not any more; `never`: not yet.
    link: &'static str,
    heartbeat_age_ms: Option<i64>,
    incarnation: u32,
    /// Newest event of the region, as far as the hub knows.
    head_seq: u64,
    /// Newest event in the region's stream, as far as the hub knows.
    published_seq: u64,
    /// Newest event that the hub has applied: the watermark it sends back.
    applied_seq: u64,
    /// When the region decided that event.
    #[schemars(with = "Option<String>")]
    applied_at: Option<UnixMs>,
    /// Events that the region has and the hub has not.
    missing_events: u64,
    /// Age of the oldest event that the hub lacks; `null` if it lacks none or cannot know.
    oldest_unsynced_age_ms: Option<i64>,
    /// Since the hub's server heard of its source of the region's stream.
    source_silent_ms: Option<u64>,
    /// The node runs on an old copy of its file and takes no orders until a person there has decided.
    fenced: bool,
    /// While it does: the newest event on which node and hub agree.
    agreed_seq: Option<u64>,
    gap: Option<GapView>,
    /// Version of the map of the cells that the region goes by; 0 where it has none.
    map_version: Option<u64>,
    public_url: Option<String>,
    node_version: Option<String>,
    active_orders: Option<u64>,
    drivers_online: Option<u64>,
    /// Why the region takes no orders, whoever wants that; `null` while it takes them.
    paused: Option<String>,
    /// Newest version of what the hub tells the region, see `/v1/regions/{region}/control`; 0 where it tells nothing.
    control_version: u64,
    /// The version that the region goes by.
    control_applied_version: Option<u64>,
    /// Why it has not taken the last one in that it was given.
    control_fault: Option<String>,
}

/// Events that the hub asks the node for.
#[derive(Debug, Serialize, JsonSchema)]
struct GapView {
    from_seq: u64,
    to_seq: u64,
    #[schemars(with = "String")]
    since: UnixMs,
    /// Why the last attempt did not help.
    problem: Option<String>,
}

pub(super) async fn list(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Regions>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let (at, instant) = (clock::now(), Instant::now());
    let regions = app
        .live
        .snapshot()
        .into_iter()
        .filter(|(region, _)| operator.sees(region));
    let views = regions.map(|(region, now)| {
        let registered = app.registry.borrow().contains_key(&region);
        View {
            registered,
            ..view(region, now, at, instant)
        }
    });
    Ok(Json(Regions {
        at,
        regions: views.collect(),
    }))
}

fn view(region: RegionId, now: Now, at: UnixMs, instant: Instant) -> View {
    let head_seq = now.head_seq();
    let missing_events = now.missing();
    let age = |heard: &crate::live::Heard| (at - heard.received_at).0.max(0);
    let link = match &now.heard {
        None => "never",
        Some(_) if now.is_fresh(instant) => "up",
        Some(_) => "down",
    };
    // By the node's own clock up to its heartbeat, by ours from then on.
    let oldest =
        |heard: &crate::live::Heard| Some((heard.beat.at - heard.beat.oldest_unsynced_at?).0.max(0) + age(heard));
    let silent = now.source.and_then(|source| source.silent);
    let heard = now.heard.as_ref();
    View {
        region,
        registered: true,
        link,
        heartbeat_age_ms: heard.map(age),
        incarnation: heard
            .map_or(0, |heard| heard.beat.incarnation)
            .max(now.cursor.incarnation),
        head_seq,
        published_seq: heard.map_or(0, |heard| heard.beat.published_seq),
        applied_seq: now.cursor.seq,
        applied_at: (now.cursor.seq > 0).then_some(now.cursor.at),
        missing_events,
        oldest_unsynced_age_ms: heard.filter(|_| missing_events > 0).and_then(oldest),
        source_silent_ms: silent.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        fenced: heard.is_some_and(|heard| heard.beat.fenced),
        agreed_seq: now.agreed_seq,
        gap: now.gap.map(|gap| GapView {
            from_seq: now.cursor.seq + 1,
            to_seq: gap.wanted_seq,
            since: gap.since,
            problem: gap.problem,
        }),
        map_version: heard.map(|heard| heard.beat.directory.map_version),
        public_url: heard.map(|heard| heard.beat.public_url.clone()),
        node_version: heard.map(|heard| heard.beat.version.clone()),
        active_orders: heard.map(|heard| heard.beat.active_orders),
        drivers_online: heard.map(|heard| heard.beat.drivers_online),
        paused: heard.and_then(|heard| heard.beat.control.paused.clone()),
        control_version: now.edition,
        control_applied_version: heard.map(|heard| heard.beat.control.version),
        control_fault: heard.and_then(|heard| heard.beat.control.fault.clone()),
    }
}
