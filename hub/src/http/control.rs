//! `/v1/regions/{region}/control`: what the hub tells a region, as a document with versions.
//!
//! Who wants to change it sends back the whole document with the version that it was made from, so that two operators never
//! write over each other. Pauses and switches are for whoever has the access of operator, fees and promotions for finance.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use rusqlite::{Connection, TransactionBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::RegionId;
use tomato_shared::control::{BYTES_MAX, Control, Edition};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_path, bad_query, failed};
use crate::config::Access;
use crate::store::StoreFault;
use crate::store::editions::{self, Made};
use crate::store::settle::Signed;

/// Versions shown.
const HISTORY: u32 = 20;
/// Longest reason, in characters.
const NOTE_MAX: usize = 500;

/// What a region is told, and how far it goes by it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct View {
    #[schemars(with = "String")]
    region: RegionId,
    /// 0 where nothing was ever told.
    version: u64,
    control: Control,
    /// The version that the region goes by, as far as the hub has heard.
    applied_version: Option<u64>,
    /// Why it has not taken the last one in that it was given.
    fault: Option<String>,
    /// The newest versions, newest first.
    history: Vec<Entry>,
}

/// One version.
#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    version: u64,
    #[schemars(with = "String")]
    made_at: UnixMs,
    made_by: String,
    note: String,
    control: Control,
}

/// What a region is to be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Why; 1 to 500 characters.
    note: String,
    /// All of it: what is left out is as the region itself has it.
    control: Control,
}

pub(super) async fn read(
    operator: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let region = region(&operator, &app, path)?;
    show(&app, region).await
}

pub(super) async fn write(
    operator: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<NoQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let region = region(&operator, &app, path)?;
    let expected = expected_version(&headers)?;
    let wanted = wanted(&body)?;
    let heard = app.live.snapshot().remove(&region).and_then(|now| now.heard);
    let obeyed = heard.map_or(0, |heard| heard.beat.control.version);
    let of = region.clone();
    let work = move |conn: &mut Connection| put(conn, (&operator, &of), &wanted, (expected, obeyed));
    app.writer.run(work).await.map_err(failed)??;
    app.editions.notify_one();
    show(&app, region).await
}

/// The region of the path, where the operator may know of it.
fn region(operator: &Operator, app: &App, path: Result<Path<String>, PathRejection>) -> Result<RegionId, Problem> {
    let Path(name) = path.map_err(bad_path)?;
    let region = name.parse().ok();
    let known = |region: &RegionId| operator.sees(region) && app.live.snapshot().contains_key(region);
    region
        .filter(known)
        .ok_or_else(|| Problem::not_found("there is no such region, or it is not yours"))
}

/// The version that the document was made from.
fn expected_version(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else {
        let title = "Say which version the change was made from";
        let problem = Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", title);
        return Err(problem.detail("send If-Match with the ETag that was read"));
    };
    let number = given
        .to_str()
        .ok()
        .and_then(|text| text.trim().trim_matches('"').parse().ok());
    number.ok_or_else(|| Problem::bad_request("If-Match: is no ETag of this path").field("If-Match", "is no ETag"))
}

fn wanted(body: &Bytes) -> Result<Wanted, Problem> {
    if body.len() > BYTES_MAX {
        return Err(Problem::payload_too_large(BYTES_MAX as u64));
    }
    let wanted: Wanted = serde_json::from_slice(body)
        .map_err(|fault| Problem::bad_request(format!("the body cannot be read: {fault}")))?;
    let mut faults = Vec::new();
    let length = wanted.note.chars().count();
    if !(1..=NOTE_MAX).contains(&length) || wanted.note.chars().any(|letter| letter.is_control() && letter != '\n') {
        faults.push((
            "/note".to_owned(),
            format!("is not a text of 1 to {NOTE_MAX} characters"),
        ));
    }
    let of_control = wanted.control.faults().into_iter();
    faults.extend(of_control.map(|(pointer, message)| (format!("/control{pointer}"), message)));
    if faults.is_empty() {
        return Ok(wanted);
    }
    let problem = Problem::unprocessable("control_invalid", format!("{} parts of it are wrong", faults.len()));
    Err(faults
        .into_iter()
        .fold(problem, |problem, (pointer, message)| problem.at(pointer, message)))
}

/// Adds a version in one transaction with the look at the one before; what is so already is not written again.
fn put(
    conn: &mut Connection,
    (operator, region): (&Operator, &RegionId),
    wanted: &Wanted,
    (expected, obeyed): (u64, u64),
) -> Result<Result<(), Problem>, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let current = editions::current(&tx, region)?;
    let signed = match sign(operator, &current.edition.control, &wanted.control) {
        Ok(signed) => signed,
        Err(problem) => return Ok(Err(problem)),
    };
    let version = current.edition.version;
    if version != expected {
        let title = "It has changed since you read it; read it again and repeat your edit.";
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", title);
        return Ok(Err(problem.detail(format!("it is at version {version} now"))));
    }
    if current.edition.control == wanted.control {
        return Ok(Ok(()));
    }
    // A region that goes by a newer one had it from this hub before its file was restored from an old copy.
    let clock = u64::try_from(signed.at.0).unwrap_or_default();
    let edition = Edition {
        version: clock.max(version + 1).max(obeyed + 1),
        made_at: signed.at,
        control: wanted.control.clone(),
    };
    editions::add(&tx, region, &edition, (&signed, &wanted.note))?;
    tx.commit()?;
    tracing::info!(%region, version = edition.version, by = signed.by, note = wanted.note, "a region is told something new");
    Ok(Ok(()))
}

/// The operator's signature, where the access reaches for all that changes.
fn sign(operator: &Operator, now: &Control, wanted: &Control) -> Result<Signed, Problem> {
    let of_money = now.fees != wanted.fees || now.promotions != wanted.promotions;
    let of_operation = now.off != wanted.off || now.paused != wanted.paused;
    if of_money {
        operator.sign(Access::Finance)?;
    }
    operator.sign(match (of_operation, of_money) {
        (true, _) => Access::Operator,
        (false, true) => Access::Finance,
        (false, false) => Access::Viewer,
    })
}

async fn show(app: &App, region: RegionId) -> Result<Response, Problem> {
    let of = region.clone();
    let history = app.readers.run(move |conn| editions::newest(conn, &of, HISTORY));
    let history = history.await.map_err(failed)?;
    let current = history.first().map(|made| made.edition.clone()).unwrap_or_default();
    let heard = app.live.snapshot().remove(&region).and_then(|now| now.heard);
    let obeyed = heard.map(|heard| heard.beat.control);
    let view = View {
        region,
        version: current.version,
        control: current.control,
        applied_version: obeyed.as_ref().map(|obeyed| obeyed.version),
        fault: obeyed.and_then(|obeyed| obeyed.fault),
        history: history.into_iter().map(entry).collect(),
    };
    Ok(([(header::ETAG, format!("\"{}\"", view.version))], Json(view)).into_response())
}

fn entry(made: Made) -> Entry {
    Entry {
        version: made.edition.version,
        made_at: made.edition.made_at,
        made_by: made.by,
        note: made.note,
        control: made.edition.control,
    }
}
