//! What a restaurant does with an order: take it on, refuse it, delay or change it, have it ready.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::event::RejectWhy;
use tomato_shared::id::{ItemId, OrderId, RestaurantId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::DurationMs;

use super::call::Call;
use super::error;
use super::input::{Faults, Input};
use super::orders::visible;
use super::quotes::{ItemInput, LINES_MAX, wanted};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::model::By;

/// What a restaurant says when it takes an order on.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AcceptInput {
    /// When the order will be ready, in minutes from now.
    #[garde(range(min = 1, max = 180))]
    ready_in_min: i64,
}

impl Input for AcceptInput {}

/// The restaurant takes an order on.
pub async fn accept(call: Call, input: AcceptInput) -> Result<Response, Problem> {
    let order_id = kitchen_order(&call).await?;
    let ready_in = DurationMs::from_mins(input.ready_in_min);
    call.submit(Command::Order(order_id, OrderCommand::Accept(ready_in)))
        .await
}

/// Why a restaurant does not take an order on.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RejectInput {
    /// In a word.
    #[serde(default = "other")]
    #[garde(skip)]
    reason: RejectWhy,
    /// What has run out: off the menu until tomorrow.
    #[serde(default)]
    #[garde(length(max = LINES_MAX))]
    items_off: Vec<ItemId>,
}

const fn other() -> RejectWhy {
    RejectWhy::Other
}

impl Input for RejectInput {}

/// The restaurant does not take an order on.
pub async fn reject(call: Call, input: RejectInput) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    let command = OrderCommand::Reject {
        why: input.reason,
        off: input.items_off,
    };
    call.submit(Command::Order(id, command)).await
}

/// The restaurant will be ready at another time than it said.
pub async fn delay(call: Call, input: AcceptInput) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    let ready_in = DurationMs::from_mins(input.ready_in_min);
    call.submit(Command::Order(id, OrderCommand::Delay(ready_in))).await
}

/// What a restaurant would cook instead.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeInput {
    /// Lines of which there would be fewer.
    #[serde(default)]
    #[garde(length(max = LINES_MAX), dive)]
    lines: Vec<LineInput>,
    /// What would take their place; not dearer than what it replaces.
    #[serde(default)]
    #[garde(length(max = LINES_MAX), dive)]
    add: Vec<ItemInput>,
}

/// How many of a line.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LineInput {
    /// Its place in the order's lines, from 0.
    #[garde(range(max = 1_000))]
    line: usize,
    /// How many; 0 for none.
    #[garde(range(max = 99))]
    quantity: u32,
}

impl LineInput {
    /// As decisions want it.
    pub const fn pair(&self) -> (usize, u32) {
        (self.line, self.quantity)
    }
}

impl Input for ChangeInput {
    fn check(&self, faults: &mut Faults) {
        if self.lines.is_empty() && self.add.is_empty() {
            faults.add("/lines", "is empty, and so is add; say what changes");
        }
    }
}

/// The restaurant cannot cook all of it, and asks the customer.
pub async fn propose(call: Call, input: ChangeInput) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    let command = OrderCommand::ProposeChange {
        lines: input.lines.iter().map(LineInput::pair).collect(),
        add: wanted(input.add),
    };
    call.submit(Command::Order(id, command)).await
}

/// The restaurant has cooked.
pub async fn ready(call: Call) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    call.submit(Command::Order(id, OrderCommand::MarkReady)).await
}

/// The restaurant in the path: the caller's own, or any for an operator.
pub fn own_restaurant(call: &Call) -> Result<RestaurantId, Problem> {
    let id = call.id("rst")?;
    match call.by()? {
        By::Restaurant(own) if own == id => Ok(id),
        By::Operator(_) => Ok(id),
        By::Restaurant(_) | By::Customer(_) | By::Driver(_) | By::Provider | By::System => Err(error::not_found()),
    }
}

/// The order in the path. For a restaurant the decision itself asks whose it is; an operator could mix two up.
async fn kitchen_order(call: &Call) -> Result<OrderId, Problem> {
    let (restaurant_id, id) = (own_restaurant(call)?, call.id("ord")?);
    if let By::Operator(_) = call.by()? {
        let (row, _) = visible(call).await?;
        if row.order.restaurant_id != restaurant_id {
            return Err(error::not_found());
        }
    }
    Ok(id)
}
