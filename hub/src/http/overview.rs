//! `GET /v1/overview`: counts, money and delivery times, per region and in sum.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::money::Currency;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_query, failed};
use crate::clock;
use crate::projections::analytics::Level;
use crate::projections::tally::{Span, Tally};
use crate::store::rollups::{self, Wanted};

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Overview {
    #[schemars(with = "String")]
    at: UnixMs,
    sum: View,
    regions: Vec<RegionView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RegionView {
    #[schemars(with = "String")]
    region: RegionId,
    #[serde(flatten)]
    totals: View,
}

#[derive(Debug, Serialize, JsonSchema)]
struct View {
    placed: i64,
    delivered: i64,
    cancelled: i64,
    payment_failed: i64,
    active: i64,
    money: Vec<MoneyView>,
    click_to_door: ClickToDoor,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MoneyView {
    #[schemars(with = "String")]
    currency: Currency,
    revenue_minor: i64,
    refunded_minor: i64,
}

/// `null` before the first delivery.
#[derive(Debug, Serialize, JsonSchema)]
struct ClickToDoor {
    p50_ms: Option<i64>,
    p90_ms: Option<i64>,
}

impl From<&Tally> for View {
    fn from(tally: &Tally) -> Self {
        let counts = &tally.counts;
        let money = counts.money.iter().map(|(currency, money)| MoneyView {
            currency: *currency,
            revenue_minor: money.revenue_minor,
            refunded_minor: money.refunded_minor,
        });
        let door = |percent| {
            let sketch = tally.spans.get(Span::ClickToDoor);
            sketch.and_then(|sketch| sketch.percentile_ms(percent))
        };
        Self {
            placed: counts.created,
            delivered: counts.delivered,
            cancelled: counts.cancelled(),
            payment_failed: counts.payment_failed,
            active: counts.active(),
            money: money.collect(),
            click_to_door: ClickToDoor {
                p50_ms: door(50),
                p90_ms: door(90),
            },
        }
    }
}

pub(super) async fn read(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Overview>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let seen = app.live.snapshot().into_keys().filter(|region| operator.sees(region));
    let wanted = Wanted {
        level: Level::Ever,
        regions: seen.collect(),
        from_ms: 0,
        to_ms: 1,
        spans: true,
    };
    let names = wanted.regions.clone();
    let work = move |conn: &mut rusqlite::Connection| rollups::by_region(conn, &wanted);
    let mut stored = app.readers.run(work).await.map_err(failed)?;
    let mut sum = Tally::default();
    let mut regions = Vec::new();
    for region in names {
        let tally = stored.remove(&region).unwrap_or_default();
        sum.add(&tally);
        regions.push(RegionView {
            region,
            totals: View::from(&tally),
        });
    }
    Ok(Json(Overview {
        at: clock::now(),
        sum: View::from(&sum),
        regions,
    }))
}
