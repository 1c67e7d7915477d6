//! What a restaurant does with an order: take it on, refuse it, have it ready.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::id::{OrderId, RestaurantId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::DurationMs;

use super::call::Call;
use super::error;
use super::input::Input;
use super::orders::visible;
use crate::engine::command::Command;
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
    call.submit(Command::AcceptOrder { order_id, ready_in }).await
}

/// The restaurant does not take an order on.
pub async fn reject(call: Call) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    call.submit(Command::RejectOrder(id)).await
}

/// The restaurant has cooked.
pub async fn ready(call: Call) -> Result<Response, Problem> {
    let id = kitchen_order(&call).await?;
    call.submit(Command::MarkReady(id)).await
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
