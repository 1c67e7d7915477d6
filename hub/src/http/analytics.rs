//! `GET /v1/analytics`: what happened where and when, grouped by time, region and cell, as JSON or CSV.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::HeaderMap;
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::csv::{self, Format};
use super::{App, bad_query, failed, wrong};
use crate::clock;
use crate::projections::analytics::{DAY_MS, HOUR_MS, Level};
use crate::projections::tally::{Money, Span, Tally};
use crate::store::rollups::{self, By, Wanted};

/// Groups of one answer; who wants more asks for less time, or coarser.
const MOST: usize = 20_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Default: a day before `to`.
    from: Option<UnixMs>,
    /// Default: now.
    to: Option<UnixMs>,
    /// Length of a stretch: minute, hour or day; without, one that fits the range.
    step: Option<Step>,
    /// Any of time, region and cell, separated by commas. Default: time.
    by: Option<String>,
    region: Option<RegionId>,
    /// Whether to tell how long things took. Default: true.
    spans: Option<bool>,
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    Minute,
    Hour,
    Day,
}

impl Step {
    const fn level(self, by_cell: bool) -> Level {
        match (self, by_cell) {
            (Self::Minute, false) => Level::RegionMinute,
            (Self::Hour, false) => Level::RegionHour,
            (Self::Day, false) => Level::RegionDay,
            (Self::Minute, true) => Level::CellMinute,
            (Self::Hour, true) => Level::CellHour,
            (Self::Day, true) => Level::CellDay,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Analytics {
    /// Whole stretches: the first begins at `from`.
    #[schemars(with = "String")]
    from: UnixMs,
    #[schemars(with = "String")]
    to: UnixMs,
    step: Step,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Group {
    /// When the stretch begins.
    #[schemars(with = "Option<String>")]
    start: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    region: Option<RegionId>,
    #[schemars(with = "Option<String>")]
    cell: Option<Cell>,
    #[serde(flatten)]
    counted: Counted,
    money: BTreeMap<String, Money>,
    spans: BTreeMap<&'static str, SpanView>,
    cancelled_by: BTreeMap<&'static str, i64>,
}

/// How many orders came how far in the stretch, each at the time that it did.
#[derive(Debug, Serialize, JsonSchema)]
struct Counted {
    created: i64,
    paid: i64,
    accepted: i64,
    ready: i64,
    picked_up: i64,
    delivered: i64,
    cancelled: i64,
    payment_failed: i64,
    declined: i64,
    given_back: i64,
    online_ms: i64,
    busy_ms: i64,
}

/// How long something took.
#[derive(Debug, Serialize, JsonSchema)]
struct SpanView {
    count: i64,
    p50_ms: Option<i64>,
    p90_ms: Option<i64>,
    p99_ms: Option<i64>,
}

/// A group as a line of a table.
#[derive(Debug, Serialize)]
struct Flat<'a> {
    start: Option<UnixMs>,
    region: Option<&'a RegionId>,
    cell: Option<Cell>,
    currency: Option<&'a String>,
    revenue_minor: i64,
    refunded_minor: i64,
    tips_minor: i64,
    click_to_door_p50_ms: Option<i64>,
    click_to_door_p90_ms: Option<i64>,
    #[serde(flatten)]
    counted: &'a Counted,
}

pub(super) async fn read(
    operator: Operator,
    State(app): State<App>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = query.map_err(|rejection| bad_query(&rejection))?;
    let by = grouping(asked.by.as_deref())?;
    let to = asked.to.unwrap_or_else(clock::now);
    let from = asked.from.unwrap_or(UnixMs(to.0 - DAY_MS));
    if from >= to {
        return Err(wrong("from", "is not before to"));
    }
    let step = asked.step.unwrap_or(fitting((to - from).0));
    let mut regions: Vec<RegionId> = app.live.snapshot().into_keys().collect();
    regions.retain(|region| operator.sees(region) && asked.region.as_ref().is_none_or(|wanted| wanted == region));
    let level = step.level(by.cell);
    let wanted = Wanted {
        level,
        regions,
        from_ms: level.start(from),
        to_ms: to.0,
        spans: asked.spans.unwrap_or(true),
    };
    let begin = UnixMs(wanted.from_ms);
    let work = move |conn: &mut Connection| rollups::sum(conn, &wanted, by);
    let found = app.readers.run(work).await.map_err(failed)?;
    if found.len() > MOST {
        return Err(Problem::bad_request(format!(
            "{} groups are more than {MOST}: ask for less time, or a longer step",
            found.len()
        )));
    }
    let whole = Analytics {
        from: begin,
        to,
        step,
        groups: found.into_iter().map(group).collect(),
    };
    let rows: Vec<Flat<'_>> = whole.groups.iter().flat_map(flat).collect();
    let format = Format::wanted(asked.format, &headers);
    Ok(csv::answer(format, &whole, &rows, "analytics"))
}

/// A step that makes some hundred stretches at most.
fn fitting(range_ms: i64) -> Step {
    if range_ms <= 6 * HOUR_MS {
        Step::Minute
    } else if range_ms <= 8 * DAY_MS {
        Step::Hour
    } else {
        Step::Day
    }
}

fn grouping(by: Option<&str>) -> Result<By, Problem> {
    let mut found = By::default();
    for word in by.unwrap_or("time").split(',').filter(|word| !word.is_empty()) {
        match word {
            "time" => found.time = true,
            "region" => found.region = true,
            "cell" => found.cell = true,
            _ => {
                return Err(wrong(
                    "by",
                    "want time, region, cell, or some of them separated by commas",
                ));
            }
        }
    }
    Ok(found)
}

fn group((key, tally): (rollups::Group, Tally)) -> Group {
    let counts = &tally.counts;
    let span = |span: Span| {
        let sketch = tally.spans.get(span)?;
        let view = SpanView {
            count: sketch.len(),
            p50_ms: sketch.percentile_ms(50),
            p90_ms: sketch.percentile_ms(90),
            p99_ms: sketch.percentile_ms(99),
        };
        Some((span.name(), view))
    };
    Group {
        start: key.start_ms.map(UnixMs),
        region: key.region,
        cell: key.cell.and_then(Cell::from_i64),
        counted: Counted {
            created: counts.created,
            paid: counts.paid,
            accepted: counts.accepted,
            ready: counts.ready,
            picked_up: counts.picked_up,
            delivered: counts.delivered,
            cancelled: counts.cancelled(),
            payment_failed: counts.payment_failed,
            declined: counts.declined,
            given_back: counts.given_back,
            online_ms: counts.online_ms,
            busy_ms: counts.busy_ms,
        },
        money: counts
            .money
            .iter()
            .map(|(currency, money)| (currency.code().to_owned(), *money))
            .collect(),
        spans: Span::ALL.into_iter().filter_map(span).collect(),
        cancelled_by: counts
            .cancelled
            .iter()
            .map(|(reason, count)| (reason.0.name(), *count))
            .collect(),
    }
}

/// One line per currency, or one without.
fn flat(group: &Group) -> Vec<Flat<'_>> {
    let door = group.spans.get(Span::ClickToDoor.name());
    let line = |currency: Option<&'_ String>, money: Money| Flat {
        start: group.start,
        region: group.region.as_ref(),
        cell: group.cell,
        currency: currency
            .and_then(|code| group.money.get_key_value(code))
            .map(|(code, _)| code),
        revenue_minor: money.revenue_minor,
        refunded_minor: money.refunded_minor,
        tips_minor: money.tips_minor,
        click_to_door_p50_ms: door.and_then(|door| door.p50_ms),
        click_to_door_p90_ms: door.and_then(|door| door.p90_ms),
        counted: &group.counted,
    };
    if group.money.is_empty() {
        return vec![line(None, Money::default())];
    }
    group
        .money
        .iter()
        .map(|(code, money)| line(Some(code), *money))
        .collect()
}
