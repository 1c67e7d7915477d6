//! Orders: placed, read, listed, given up.

use std::borrow::Cow;

use axum::response::Response;
use garde::Validate;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tomato_shared::event::{Actor, Event, PaymentMethod};
use tomato_shared::id::{OrderId, RestaurantId};
use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::input::{AddressInput, CODE, Faults, Input, PLAIN, Page, TIP_MAX_MINOR};
use super::kitchen::own_restaurant;
use super::query::fault;
use super::quotes::{ItemInput, LINES_MAX, wanted};
use super::{cursor, error};
use crate::engine::command::{Basket, Command, OrderCommand, PlaceOrder};
use crate::engine::model::By;
use crate::engine::order::late_fee;
use crate::engine::view::{self, OrderView};
use crate::feed::audience;
use crate::store::reads::{self, OrderQuery, OrderRow, Scope};

/// The card of a client that names none.
const CARD_DEFAULT: &str = "card_ok";

/// An order as a customer asks for it: with a quote, or with items.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PlaceInput {
    /// A quote of this region; restaurant, items, time, promotion and tip are in it. 50 lines with long names fit.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 60_000))]
    quote: Option<String>,
    /// The restaurant; without it the nearest that has everything.
    #[serde(default)]
    #[garde(skip)]
    restaurant_id: Option<RestaurantId>,
    /// What and how many.
    #[serde(default)]
    #[garde(length(min = 1, max = LINES_MAX), dive)]
    items: Option<Vec<ItemInput>>,
    /// Where to.
    #[garde(dive)]
    deliver_to: AddressInput,
    /// How it is paid.
    #[garde(dive)]
    payment: PaymentInput,
    /// When; without it as soon as possible.
    #[serde(default)]
    #[garde(skip)]
    deliver_at: Option<UnixMs>,
    /// A promotion's code.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 40), pattern(CODE))]
    promo_code: Option<String>,
    /// For the driver, in minor units.
    #[serde(default)]
    #[garde(range(min = 0, max = TIP_MAX_MINOR))]
    tip_minor: Option<i64>,
}

/// How an order is paid.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PaymentInput {
    /// Card or cash.
    #[garde(skip)]
    method: PaymentMethod,
    /// The app's token of the card; not for cash.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 200), pattern(PLAIN))]
    card: Option<String>,
}

impl Input for PlaceInput {
    fn check(&self, faults: &mut Faults) {
        if self.quote.is_some() {
            let reason = "beside a quote, which says it";
            faults.absent("/restaurant_id", self.restaurant_id.as_ref(), reason);
            faults.absent("/items", self.items.as_ref(), reason);
            faults.absent("/tip_minor", self.tip_minor.as_ref(), reason);
            faults.absent("/deliver_at", self.deliver_at.as_ref(), reason);
            faults.absent("/promo_code", self.promo_code.as_ref(), reason);
        } else if self.items.is_none() {
            faults.add("/items", "is missing; give items, or a quote");
        }
        if self.payment.method == PaymentMethod::Cash {
            faults.absent("/payment/card", self.payment.card.as_ref(), "for cash");
        }
    }
}

impl From<PlaceInput> for PlaceOrder {
    fn from(input: PlaceInput) -> Self {
        let card = match input.payment.method {
            PaymentMethod::Card => input.payment.card.unwrap_or_else(|| CARD_DEFAULT.to_owned()),
            PaymentMethod::Cash => String::new(),
        };
        Self {
            basket: Basket {
                restaurant_id: input.restaurant_id,
                items: wanted(input.items.unwrap_or_default()),
                deliver_to: input.deliver_to.into(),
                deliver_at: input.deliver_at,
                promo_code: input.promo_code,
                tip_minor: input.tip_minor.unwrap_or(0),
            },
            quote: input.quote,
            method: input.payment.method,
            card,
        }
    }
}

/// Places an order; the same key again gives the same order and the same bytes.
pub async fn place(call: Call, input: PlaceInput) -> Result<Response, Problem> {
    let mut response = call.submit(Command::PlaceOrder(Box::new(input.into()))).await?;
    if response.status() == StatusCode::CREATED {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let location = serde_json::from_slice(&body)
            .ok()
            .and_then(|Named { id }| HeaderValue::from_str(&format!("/v1/orders/{id}")).ok());
        response = Response::from_parts(parts, body.into());
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Named {
    id: OrderId,
}

/// Gives an order up.
pub async fn cancel(call: Call) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    call.submit(Command::Order(id, OrderCommand::Cancel)).await
}

/// What giving an order up would cost now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cancellation {
    /// Whether the customer can still give it up.
    allowed: bool,
    /// What would be kept of the money, in minor units.
    fee_minor: i64,
    currency: Currency,
}

/// What giving an order up would cost now; asked before it is done.
pub async fn cancellation(call: Call) -> Result<Response, Problem> {
    let (row, _) = visible(&call).await?;
    let fee_minor = late_fee(&call.app.policy, &row.order, call.app.clock.now());
    ok(&Cancellation {
        allowed: fee_minor.is_some(),
        fee_minor: fee_minor.unwrap_or(0),
        currency: row.order.price.currency,
    })
}

/// One order, for its customer, its restaurant, its driver and operators.
pub async fn read(call: Call) -> Result<Response, Problem> {
    let (row, by) = visible(&call).await?;
    ok(&show(&row, by))
}

/// Something that happened to an order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventView {
    /// The order's version after it.
    version: u32,
    /// `order.created`
    #[serde(rename = "type")]
    kind: &'static str,
    /// When.
    at: UnixMs,
    /// When it happened by the clock of a device that told of it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_at: Option<UnixMs>,
    /// Whose doing it was.
    by: Actor,
    /// What the event says; see the event of that type in /asyncapi.json.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    data: Box<RawValue>,
}

/// What happened to an order after a version, as far as the caller hears of it.
pub async fn events(call: Call) -> Result<Response, Problem> {
    let after = call.query()?.get("after", "a version as in 3")?.unwrap_or(0);
    let (row, by) = visible(&call).await?;
    let id = row.order.id;
    let found = call
        .app
        .reads
        .read(move |connection| reads::events(connection, id, after))
        .await;
    let heard = |event: &Event| matches!(by, By::Operator(_)) || audience::name_for(event, &row.order, by).is_some();
    let mut data = Vec::new();
    for envelope in found.map_err(error::from_read)? {
        if let Some(about) = envelope.order.filter(|_| heard(&envelope.event)) {
            data.push(EventView {
                version: about.version,
                kind: envelope.event.name(),
                at: envelope.at,
                device_at: envelope.device_at,
                by: envelope.by,
                data: event_data(&envelope.event)?,
            });
        }
    }
    ok(&List { data })
}

/// A list that is told as a whole.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    data: Vec<T>,
}

impl<T> List<T> {
    /// All of it.
    pub const fn of(data: Vec<T>) -> Self {
        Self { data }
    }
}

/// A customer's own orders, or all of them for an operator, newest first.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let by = call.by()?;
    let scope = match by {
        By::Customer(id) => Scope::Customer(id),
        By::Operator(_) => Scope::All,
        By::Restaurant(_) | By::Driver(_) | By::Provider | By::System => return Err(error::forbidden()),
    };
    page(&call, scope, by).await
}

/// A restaurant's orders, newest first.
pub async fn of_restaurant(call: Call) -> Result<Response, Problem> {
    let id = own_restaurant(&call)?;
    page(&call, Scope::Restaurant(id), call.by()?).await
}

async fn page(call: &Call, scope: Scope, by: By) -> Result<Response, Problem> {
    let query = call.query()?;
    let query = OrderQuery {
        scope,
        states: states(query.text("state"))?,
        before: query.cursor(cursor::id)?,
        limit: query.limit()?,
    };
    let page = call
        .app
        .reads
        .read(move |connection| reads::orders(connection, &query))
        .await;
    let page = page.map_err(error::from_read)?;
    ok(&Page {
        data: page.rows.iter().map(|row| show(row, by)).collect(),
        next_cursor: page.next.as_ref().map(cursor::of_id),
    })
}

/// `state=CONFIRMED,PREPARING`
fn states(text: Option<&str>) -> Result<Vec<OrderState>, Problem> {
    let names = text.into_iter().flat_map(|text| text.split(','));
    let read =
        |name| OrderState::from_name(name).ok_or_else(|| fault("state", "want states as in CONFIRMED,PREPARING"));
    names.map(read).collect()
}

/// The order in the path, if the caller may read it.
pub async fn visible(call: &Call) -> Result<(OrderRow, By), Problem> {
    let (id, by) = (call.id("ord")?, call.by()?);
    let found = call
        .app
        .reads
        .read(move |connection| reads::order(connection, id))
        .await;
    let row = found
        .map_err(error::from_read)?
        .filter(|row| audience::may_read(&row.order, by));
    row.map(|row| (row, by)).ok_or_else(error::not_found)
}

/// An order as somebody may see it.
pub fn show(row: &OrderRow, by: By) -> OrderView {
    view::order(&row.order, row.driver.as_ref(), by)
}

/// What an event says, without its type, and without what is for the hub alone.
pub fn event_data(event: &Event) -> Result<Box<RawValue>, Problem> {
    let mut event = Cow::Borrowed(event);
    if let Event::OrderCreated {
        phone_hash: Some(_), ..
    } = *event
        && let Event::OrderCreated { phone_hash, .. } = event.to_mut()
    {
        *phone_hash = None;
    }
    #[derive(Deserialize)]
    struct Tagged {
        data: Box<RawValue>,
    }
    let text =
        serde_json::to_string(&*event).map_err(|cause| error::internal("an event does not serialise", &cause))?;
    let tagged: Tagged =
        serde_json::from_str(&text).map_err(|cause| error::internal("an event does not serialise", &cause))?;
    Ok(tagged.data)
}
