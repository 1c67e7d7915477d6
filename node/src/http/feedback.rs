//! What customers do besides ordering: pay with another card, answer proposed changes, follow, rate, tip, keep the receipt.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::event::{Line, PaymentMethod, Price};
use tomato_shared::id::{OrderId, PaymentId};
use tomato_shared::order::OrderState;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::input::{Input, PLAIN, TIP_MAX_MINOR};
use super::orders::{show, visible};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::model::{By, PaymentState, RefundState, TipState};
use crate::engine::view::{PaymentView, PlaceView};
use crate::fleet::Fix;

/// The customer agrees to a proposed change.
pub async fn agree(call: Call) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    call.submit(Command::Order(id, OrderCommand::AnswerChange(true))).await
}

/// The customer does not agree to a proposed change.
pub async fn disagree(call: Call) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    call.submit(Command::Order(id, OrderCommand::AnswerChange(false))).await
}

/// Another card for an order whose card was declined.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PayInput {
    /// The app's token of the card.
    #[garde(length(chars, min = 1, max = 200), pattern(PLAIN))]
    card: String,
}

impl Input for PayInput {}

/// The customer pays with another card.
pub async fn pay(call: Call, input: PayInput) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    let command = OrderCommand::Pay { card: input.card };
    call.submit(Command::Order(id, command)).await
}

/// How it was.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RatingInput {
    /// The food.
    #[garde(range(min = 1, max = 5))]
    restaurant_stars: u8,
    /// The driver.
    #[serde(default)]
    #[garde(range(min = 1, max = 5))]
    driver_stars: Option<u8>,
    /// In the customer's own words; stays in the region.
    #[serde(default)]
    #[garde(length(chars, max = 1_000), pattern(PLAIN))]
    comment: String,
}

impl Input for RatingInput {}

/// The customer rates a delivered order, once.
pub async fn rate(call: Call, input: RatingInput) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    let command = OrderCommand::Rate {
        restaurant_stars: input.restaurant_stars,
        driver_stars: input.driver_stars,
        comment: input.comment,
    };
    call.submit(Command::Order(id, command)).await
}

/// Something more for the driver.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TipInput {
    /// How much, in minor units.
    #[garde(range(min = 1, max = TIP_MAX_MINOR))]
    amount_minor: i64,
    /// The app's token of the card; the order's own where it is left out.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 200), pattern(PLAIN))]
    card: Option<String>,
}

impl Input for TipInput {}

/// The customer gives the driver something more, after delivery.
pub async fn tip(call: Call, input: TipInput) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    let command = OrderCommand::Tip {
        amount_minor: input.amount_minor,
        card: input.card,
    };
    call.submit(Command::Order(id, command)).await
}

/// Where an order is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tracking {
    /// Where it stands.
    state: OrderState,
    /// When the customer can expect it.
    estimated_delivery_at: UnixMs,
    /// Where its driver is, from the way to the restaurant until delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<Position>,
}

/// Where somebody was.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Position {
    place: LatLng,
    at: UnixMs,
}

impl Position {
    /// As somebody may see it.
    pub const fn of(fix: &Fix) -> Self {
        Self {
            place: fix.place,
            at: fix.at,
        }
    }
}

/// Where an order is, for those who cannot hold a socket.
pub async fn track(call: Call) -> Result<Response, Problem> {
    let (row, by) = visible(&call).await?;
    let order = &row.order;
    let follows = matches!(by, By::Customer(_) | By::Operator(_));
    let on_the_way = order.delivery.state.has_driver() && !order.state.is_final();
    let driver_id = order.delivery.driver_id.filter(|_| follows && on_the_way);
    let fix = driver_id.and_then(|id| call.app.fleet.position(id));
    ok(&Tracking {
        state: order.state,
        estimated_delivery_at: order.estimated_delivery_at,
        driver: fix.as_ref().map(Position::of),
    })
}

/// What was ordered, paid and given back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Receipt {
    order_id: OrderId,
    /// Who cooked.
    restaurant: PlaceView,
    placed_at: UnixMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<UnixMs>,
    lines: Vec<Line>,
    price: Price,
    payment_id: PaymentId,
    method: PaymentMethod,
    /// Refunds and tips, one by one.
    payment: PaymentView,
    /// What was taken for the order, in minor units; 0 until then.
    paid_minor: i64,
    /// What has come back of it.
    refunded_minor: i64,
    /// What the driver was given afterwards.
    tips_minor: i64,
    /// What the order has cost in all.
    net_minor: i64,
}

/// The receipt of an order, for its customer and operators.
pub async fn receipt(call: Call) -> Result<Response, Problem> {
    let (row, by) = visible(&call).await?;
    let view = show(&row, by);
    let order = &row.order;
    let payment = &order.payment;
    let taken = payment.state.is_taken() || payment.state == PaymentState::Refunded;
    let paid_minor = if taken { payment.amount_minor } else { 0 };
    let refunds = payment
        .refunds
        .iter()
        .filter(|refund| refund.state == RefundState::Done);
    let refunded_minor: i64 = refunds.map(|refund| refund.amount_minor).sum();
    let tips = payment.tips.iter().filter(|tip| tip.state == TipState::Done);
    let tips_minor: i64 = tips.map(|tip| tip.amount_minor).sum();
    ok(&Receipt {
        order_id: order.id,
        restaurant: view.restaurant,
        placed_at: order.placed_at,
        delivered_at: order.ended_at.filter(|_| order.state == OrderState::Delivered),
        lines: view.lines,
        price: view.price,
        payment_id: payment.id,
        method: payment.method,
        payment: view.payment,
        paid_minor,
        refunded_minor,
        tips_minor,
        net_minor: paid_minor - refunded_minor + tips_minor,
    })
}
