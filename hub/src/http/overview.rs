//! `GET /v1/overview`: counts, money and delivery times, per region and in sum.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::money::Currency;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_query, failed};
use crate::clock;
use crate::projections::totals::{Totals, percentile_ms};
use crate::store::totals;

#[derive(Debug, Serialize)]
pub(super) struct Overview {
    at: UnixMs,
    sum: View,
    regions: Vec<RegionView>,
}

#[derive(Debug, Serialize)]
struct RegionView {
    region: RegionId,
    #[serde(flatten)]
    totals: View,
}

#[derive(Debug, Serialize)]
struct View {
    placed: i64,
    delivered: i64,
    cancelled: i64,
    payment_failed: i64,
    active: i64,
    money: Vec<MoneyView>,
    click_to_door: ClickToDoor,
}

#[derive(Debug, Serialize)]
struct MoneyView {
    currency: Currency,
    revenue_minor: i64,
    refunded_minor: i64,
}

/// `null` before the first delivery.
#[derive(Debug, Serialize)]
struct ClickToDoor {
    p50_ms: Option<i64>,
    p90_ms: Option<i64>,
}

impl From<&Totals> for View {
    fn from(totals: &Totals) -> Self {
        let money = totals.money.iter().map(|(currency, money)| MoneyView {
            currency: *currency,
            revenue_minor: money.revenue_minor,
            refunded_minor: money.refunded_minor,
        });
        Self {
            placed: totals.placed,
            delivered: totals.delivered,
            cancelled: totals.cancelled,
            payment_failed: totals.payment_failed,
            active: totals.active,
            money: money.collect(),
            click_to_door: ClickToDoor {
                p50_ms: percentile_ms(&totals.click_to_door, 50),
                p90_ms: percentile_ms(&totals.click_to_door, 90),
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
    let mut stored = app.readers.run(totals::all).await.map_err(failed)?;
    let mut sum = Totals::default();
    let mut regions = Vec::new();
    for region in app.live.snapshot().into_keys().filter(|region| operator.sees(region)) {
        let totals = stored.remove(&region).unwrap_or_default();
        sum.add(&totals);
        regions.push(RegionView {
            region,
            totals: View::from(&totals),
        });
    }
    Ok(Json(Overview {
        at: clock::now(),
        sum: View::from(&sum),
        regions,
    }))
}
