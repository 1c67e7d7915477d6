//! `/v1/money`: where money is, what does not match, what is paid out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::{DurationMs, UnixMs};

use super::auth::Operator;
use super::csv::{self, Format};
use super::{App, NoQuery, bad_path, bad_query, failed, wrong};
use crate::clock;
use crate::config::Access;
use crate::statement::{self, Provider};
use crate::store::ledger::{self, Balance, Line, Stretch};
use crate::store::reconcile::{self, Unmatched};
use crate::store::settle::{self, Imported, Payout, Run, Statement};
use crate::store::state;

/// Rows per list.
const MOST: u32 = 500;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Money {
    #[schemars(with = "String")]
    at: UnixMs,
    balances: Vec<Balance>,
    books: Vec<Books>,
    unmatched: usize,
}

/// The books of one region.
#[derive(Debug, Serialize, JsonSchema)]
struct Books {
    #[schemars(with = "String")]
    region: RegionId,
    postings: u64,
    /// Hash of the newest posting, which covers all before it; empty before the first.
    head: String,
    /// Debits less credits over all accounts: 0.
    sum_minor: i64,
}

pub(super) async fn read(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Money>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let regions = seen(&operator, &app);
    let now = clock::now();
    let work = move |conn: &mut Connection| {
        let tx = conn.transaction()?;
        let mut balances = ledger::balances(&tx)?;
        balances.retain(|balance| regions.contains(&balance.region));
        let mut books = Vec::new();
        for region in &regions {
            let found = state::load(&tx, region)?.books;
            let own = balances.iter().filter(|balance| balance.region == *region);
            books.push(Books {
                region: region.clone(),
                postings: found.postings,
                head: found.head.iter().map(|byte| format!("{byte:02x}")).collect(),
                sum_minor: own.map(|balance| balance.balance_minor).sum(),
            });
        }
        let unmatched = reconcile::unmatched(&tx, now, MOST)?;
        let unmatched = unmatched.iter().filter(|one| regions.contains(&one.region)).count();
        Ok(Money {
            at: now,
            balances,
            books,
            unmatched,
        })
    };
    Ok(Json(app.readers.run(work).await.map_err(failed)?))
}

fn seen(operator: &Operator, app: &App) -> Vec<RegionId> {
    let all = app.live.snapshot().into_keys();
    all.filter(|region| operator.sees(region)).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatQuery {
    format: Option<Format>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnmatchedList {
    #[schemars(with = "String")]
    at: UnixMs,
    unmatched: Vec<UnmatchedView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct UnmatchedView {
    #[serde(flatten)]
    unmatched: Unmatched,
    age_ms: i64,
}

pub(super) async fn unmatched(
    operator: Operator,
    State(app): State<App>,
    headers: HeaderMap,
    query: Result<Query<FormatQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let at = clock::now();
    let work = move |conn: &mut Connection| reconcile::unmatched(conn, at, MOST);
    let found = app.readers.run(work).await.map_err(failed)?;
    let views = found.into_iter().filter(|one| operator.sees(&one.region));
    let unmatched = views.map(|unmatched| UnmatchedView {
        age_ms: (at - unmatched.at).0,
        unmatched,
    });
    let list = UnmatchedList {
        at,
        unmatched: unmatched.collect(),
    };
    let format = Format::wanted(query.format, &headers);
    Ok(csv::answer(format, &list, &list.unmatched, "unmatched"))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Statements {
    statements: Vec<Imported>,
}

pub(super) async fn statements(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Statements>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let work = |conn: &mut Connection| settle::statements(conn, MOST);
    let mut statements = app.readers.run(work).await.map_err(failed)?;
    statements.retain(|statement| operator.sees(&statement.region));
    Ok(Json(Statements { statements }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    provider: Provider,
    region: RegionId,
    /// What the statement covers; without, from its first to its last line.
    from: Option<UnixMs>,
    to: Option<UnixMs>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ImportResult {
    lines: usize,
    /// Lines that had not been imported before.
    new: u64,
}

pub(super) async fn import(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<ImportQuery>, QueryRejection>,
    body: Bytes,
) -> Result<(StatusCode, Json<ImportResult>), Problem> {
    let signed = operator.sign(Access::Finance)?;
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    known(&operator, &app, &query.region)?;
    let lines = statement::read(query.provider, &body)
        .map_err(|fault| Problem::bad_request(format!("not a statement of {}: {fault}", query.provider.name())))?;
    let (first, last) = (
        lines.iter().map(|line| line.at).min(),
        lines.iter().map(|line| line.at).max(),
    );
    let covered = query.from.or(first).zip(query.to.or(last.map(|at| at + DurationMs(1))));
    let Some((from, to)) = covered else {
        return Err(wrong("from", "a statement without lines needs from and to"));
    };
    let statement = Statement {
        provider: query.provider.name(),
        region: query.region,
        from,
        to,
        lines,
    };
    let lines = statement.lines.len();
    let work = move |conn: &mut Connection| settle::import(conn, &statement, &signed);
    let new = app.writer.run(work).await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(ImportResult { lines, new })))
}

fn known(operator: &Operator, app: &App, region: &RegionId) -> Result<(), Problem> {
    if operator.sees(region) && app.live.snapshot().contains_key(region) {
        Ok(())
    } else {
        Err(wrong("region", "there is no such region, or it is not yours"))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Runs {
    settlements: Vec<Run>,
}

pub(super) async fn runs(
    _: Operator,
    State(app): State<App>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Runs>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let settlements = app.readers.run(|conn| settle::runs(conn, MOST)).await.map_err(failed)?;
    Ok(Json(Runs { settlements }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettleBody {
    /// Entries of before this are settled.
    until: UnixMs,
    /// Which regions; without, all that the operator may see.
    #[serde(default)]
    regions: Option<Vec<RegionId>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Payouts {
    payouts: Vec<Payout>,
}

pub(super) async fn settle(
    operator: Operator,
    State(app): State<App>,
    body: Result<Json<SettleBody>, JsonRejection>,
) -> Result<Json<Payouts>, Problem> {
    let signed = operator.sign(Access::Finance)?;
    let Json(body) = body.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    if body.until > signed.at {
        return Err(Problem::bad_request("until: is in the future"));
    }
    let mut regions = body.regions.unwrap_or_else(|| seen(&operator, &app));
    for region in &regions {
        known(&operator, &app, region)?;
    }
    regions.sort();
    regions.dedup();
    let work = move |conn: &mut Connection| settle::run(conn, &regions, body.until, &signed);
    let payouts = app.writer.run(work).await.map_err(failed)?;
    Ok(Json(Payouts { payouts }))
}

pub(super) async fn run(
    operator: Operator,
    State(app): State<App>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<FormatQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let Path(run_id) = path.map_err(bad_path)?;
    let name = run_id.clone();
    let work = move |conn: &mut Connection| settle::payouts_of(conn, &run_id);
    let mut payouts = app.readers.run(work).await.map_err(failed)?;
    payouts.retain(|payout| operator.sees(&payout.region));
    if payouts.is_empty() {
        return Err(Problem::not_found("there is no such settlement"));
    }
    let whole = Payouts { payouts };
    let format = Format::wanted(query.format, &headers);
    Ok(csv::answer(format, &whole, &whole.payouts, &name))
}

/// What a restaurant or driver gets with a payout: the entries that it settles.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PayoutStatement {
    #[serde(flatten)]
    payout: Payout,
    entries: Vec<Line>,
}

pub(super) async fn payout(
    operator: Operator,
    State(app): State<App>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<FormatQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let Path(id) = path.map_err(bad_path)?;
    let work = move |conn: &mut Connection| {
        let Some(payout) = settle::find(conn, &id)? else {
            return Ok(None);
        };
        let stretch = Stretch {
            region: payout.region.clone(),
            account: payout.account.clone(),
            party: payout.party.clone(),
            currency: payout.currency.clone(),
            from_seq: payout.from_seq,
            to_seq: payout.to_seq,
        };
        let entries = ledger::of_stretch(conn, &stretch)?;
        Ok(Some(PayoutStatement { payout, entries }))
    };
    let found = app.readers.run(work).await.map_err(failed)?;
    let statement = found
        .filter(|found| operator.sees(&found.payout.region))
        .ok_or_else(|| Problem::not_found("there is no such payout"))?;
    let format = Format::wanted(query.format, &headers);
    let name = statement.payout.payout_id.clone();
    Ok(csv::answer(format, &statement, &statement.entries, &name))
}
