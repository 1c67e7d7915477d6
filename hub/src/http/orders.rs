//! `GET /v1/orders` and `GET /v1/orders/{id}`.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::{self, Actor, CancelReason, Decoded, PaymentMethod};
use tomato_shared::id::{DriverId, Id, IdError, Kind, OrderId, PaymentId, RestaurantId, UserId};
use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;
use tomato_shared::phone::{PhoneHash, PhoneHashError};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::auth::Operator;
use super::{App, NoQuery, bad_path, bad_query, failed, wrong};
use crate::projections::orders::{OrderMoney, OrderRow, Times};
use crate::projections::payments::PaymentRow;
use crate::store::ledger::Line;
use crate::store::orders::{Filter, Place};
use crate::store::{StoreFault, archive, ledger, orders, payments};

/// Orders on a page where the caller does not say, and the most there can be.
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    region: Option<String>,
    status: Option<String>,
    customer: Option<String>,
    phone_hash: Option<String>,
    restaurant: Option<String>,
    driver: Option<String>,
    from: Option<UnixMs>,
    to: Option<UnixMs>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page {
    orders: Vec<View>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct View {
    #[schemars(with = "String")]
    id: OrderId,
    #[schemars(with = "String")]
    region: RegionId,
    #[schemars(with = "String")]
    status: OrderState,
    version: u32,
    #[schemars(with = "String")]
    customer_id: UserId,
    /// Of the telephone number that the customer gave; `null` where there was none. See `/v1/phone-hashes`.
    phone_hash: Option<PhoneHash>,
    #[schemars(with = "String")]
    restaurant_id: RestaurantId,
    #[schemars(with = "Option<String>")]
    driver_id: Option<DriverId>,
    #[schemars(with = "String")]
    payment_method: PaymentMethod,
    total_minor: i64,
    refunded_minor: i64,
    #[schemars(with = "String")]
    currency: Currency,
    #[schemars(with = "String")]
    cell: Cell,
    #[schemars(with = "String")]
    placed_at: UnixMs,
    #[schemars(with = "String")]
    updated_at: UnixMs,
    #[schemars(with = "Option<String>")]
    final_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    cancel_reason: Option<CancelReason>,
}

impl From<OrderRow> for View {
    fn from(row: OrderRow) -> Self {
        Self {
            id: row.id,
            region: row.region,
            status: row.state,
            version: row.version,
            customer_id: row.customer_id,
            phone_hash: row.phone_hash,
            restaurant_id: row.restaurant_id,
            driver_id: row.driver_id,
            payment_method: row.method,
            total_minor: row.total_minor,
            refunded_minor: row.money.refunded,
            currency: row.currency,
            cell: row.cell,
            placed_at: row.times.placed,
            updated_at: row.times.updated,
            final_at: row.times.ended,
            cancel_reason: row.cancel_reason,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Order {
    #[serde(flatten)]
    order: View,
    times: TimesView,
    money: MoneyView,
    payments: Vec<PaymentView>,
    /// What the region's books say of it.
    entries: Vec<Line>,
    timeline: Vec<Moment>,
}

/// When the order came where; `null` where it did not, or not yet.
#[derive(Debug, Serialize, JsonSchema)]
struct TimesView {
    #[schemars(with = "Option<String>")]
    deliver_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    confirmed_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    asked_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    preparing_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    ready_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    assigned_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    picked_up_at: Option<UnixMs>,
}

impl From<Times> for TimesView {
    fn from(times: Times) -> Self {
        Self {
            deliver_at: times.deliver,
            confirmed_at: times.confirmed,
            asked_at: times.asked,
            preparing_at: times.preparing,
            ready_at: times.ready,
            assigned_at: times.assigned,
            picked_up_at: times.picked_up,
        }
    }
}

/// What the order's events say of its money, in minor units.
#[derive(Debug, Serialize, JsonSchema)]
struct MoneyView {
    taken_minor: i64,
    tipped_minor: i64,
    cash_minor: i64,
    kept_minor: i64,
    /// Why events and books do not agree; `null` if they do.
    mismatch: Option<&'static str>,
}

impl MoneyView {
    fn of(money: &OrderMoney, mismatch: Option<&'static str>) -> Self {
        Self {
            taken_minor: money.taken,
            tipped_minor: money.tipped,
            cash_minor: money.cash,
            kept_minor: money.kept,
            mismatch,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct PaymentView {
    #[schemars(with = "String")]
    payment_id: PaymentId,
    transaction_id: String,
    tip: bool,
    state: &'static str,
    authorised_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    #[schemars(with = "String")]
    created_at: UnixMs,
    #[schemars(with = "String")]
    updated_at: UnixMs,
}

impl From<PaymentRow> for PaymentView {
    fn from(row: PaymentRow) -> Self {
        Self {
            payment_id: row.id,
            transaction_id: row.transaction_id,
            tip: row.tip,
            state: row.state.name(),
            authorised_minor: row.authorised_minor,
            captured_minor: row.captured_minor,
            refunded_minor: row.refunded_minor,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// One event of an order.
#[derive(Debug, Serialize, JsonSchema)]
struct Moment {
    seq: u64,
    version: Option<u32>,
    #[schemars(with = "String")]
    at: UnixMs,
    /// `null` for events of a node newer than the hub.
    #[schemars(with = "Option<String>")]
    by: Option<Actor>,
    #[serde(rename = "type")]
    name: String,
    data: Value,
}

pub(super) async fn list(
    operator: Operator,
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let limit = query.limit.unwrap_or(PAGE);
    let filter = filter(&operator, &query)?;
    // One more than wanted tells whether there is a next page.
    let work = move |conn: &mut rusqlite::Connection| orders::page(conn, &filter, limit + 1);
    let mut rows = app.readers.run(work).await.map_err(failed)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor = rows.last().filter(|_| more).map(|row| {
        write_cursor(Place {
            placed_at: row.times.placed,
            id: row.id,
        })
    });
    Ok(Json(Page {
        orders: rows.into_iter().map(View::from).collect(),
        next_cursor,
    }))
}

fn filter(operator: &Operator, query: &ListQuery) -> Result<Filter, Problem> {
    let mut filter = Filter {
        regions: operator.regions(),
        ..Filter::default()
    };
    if let Some(name) = &query.region {
        let Ok(region) = name.parse::<RegionId>() else {
            return Err(wrong("region", "not a region name"));
        };
        if !operator.sees(&region) {
            return Err(Problem::forbidden("your token is not for this region"));
        }
        filter.regions = Some([region].into());
    }
    if let Some(name) = &query.status {
        filter.state = OrderState::from_name(name);
        if filter.state.is_none() {
            let names: Vec<&str> = OrderState::ALL.iter().map(|state| state.name()).collect();
            return Err(wrong("status", &format!("want one of {}", names.join(", "))));
        }
    }
    filter.customer = id("customer", query.customer.as_deref())?;
    if let Some(text) = &query.phone_hash {
        let hash = text
            .parse()
            .map_err(|fault: PhoneHashError| wrong("phone_hash", &fault.to_string()))?;
        filter.phone_hash = Some(hash);
    }
    filter.restaurant = id("restaurant", query.restaurant.as_deref())?;
    filter.driver = id("driver", query.driver.as_deref())?;
    (filter.from, filter.to) = (query.from, query.to);
    if let Some(text) = &query.cursor {
        filter.after = read_cursor(text);
        if filter.after.is_none() {
            return Err(wrong("cursor", "not a cursor of this list; start again without one"));
        }
    }
    if query.limit.is_some_and(|limit| !(1..=MAX_PAGE).contains(&limit)) {
        return Err(wrong("limit", "want 1 to 100"));
    }
    Ok(filter)
}

fn id<K: Kind>(field: &'static str, text: Option<&str>) -> Result<Option<Id<K>>, Problem> {
    let parse = |text: &str| text.parse().map_err(|fault: IdError| wrong(field, &fault.to_string()));
    text.map(parse).transpose()
}

fn write_cursor(place: Place) -> String {
    let mut bytes = place.placed_at.0.to_be_bytes().to_vec();
    bytes.extend(place.id.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(text: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (placed_at, id) = bytes.split_first_chunk()?;
    Some(Place {
        placed_at: UnixMs(i64::from_be_bytes(*placed_at)),
        id: OrderId::from_bytes(id.try_into().ok()?),
    })
}

pub(super) async fn read(
    operator: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Order>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    let Path(text) = path.map_err(bad_path)?;
    let missing = || Problem::not_found("there is no such order, or it is not in your regions");
    // What is not an id cannot be an order's.
    let id: OrderId = text.parse().map_err(|_| missing())?;
    let regions = operator.regions();
    let work = move |conn: &mut rusqlite::Connection| -> Result<_, StoreFault> {
        let tx = conn.transaction()?;
        let seen = |row: &OrderRow| regions.as_ref().is_none_or(|regions| regions.contains(&row.region));
        let Some(row) = orders::find(&tx, id)?.into_iter().find(seen) else {
            return Ok(None);
        };
        let payloads = archive::some(&tx, &row.region, &row.seqs.0)?;
        let payments = payments::of_order(&tx, &row.region, id)?;
        let entries = ledger::of_order(&tx, &row)?;
        Ok(Some((row, payloads, payments, entries)))
    };
    let found = app.readers.run(work).await.map_err(failed)?;
    let (row, payloads, payments, entries) = found.ok_or_else(missing)?;
    Ok(Json(Order {
        times: TimesView::from(row.times),
        money: MoneyView::of(&row.money, row.mismatch()),
        payments: payments.into_iter().map(PaymentView::from).collect(),
        entries,
        order: View::from(row),
        timeline: payloads.iter().filter_map(|payload| moment(payload)).collect(),
    }))
}

/// An event as the timeline shows it. What is stored was decoded before, so nothing is left out.
fn moment(payload: &[u8]) -> Option<Moment> {
    Some(match event::decode(payload).ok()? {
        Decoded::Known(envelope) => Moment {
            seq: envelope.seq,
            version: envelope.order.map(|order| order.version),
            at: envelope.at,
            by: Some(envelope.by),
            name: envelope.event.name().to_owned(),
            data: serde_json::to_value(&envelope.event)
                .ok()?
                .get_mut("data")
                .map_or(Value::Null, Value::take),
        },
        Decoded::Unknown(header) => Moment {
            seq: header.seq,
            version: header.order.map(|order| order.version),
            at: header.at,
            by: None,
            name: header.event.name,
            data: Value::Null,
        },
    })
}
