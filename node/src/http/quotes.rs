//! What an order would cost.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::error;
use super::input::{AddressInput, Input, TIP_MAX_MINOR};
use crate::engine::model::By;
use crate::engine::quote::{self, QuoteRequest};

/// Most lines of an order.
pub const LINES_MAX: usize = 50;

/// One line.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ItemInput {
    /// Which.
    #[garde(skip)]
    pub item_id: ItemId,
    /// How many.
    #[garde(range(min = 1, max = 99))]
    pub quantity: u32,
}

/// Items as decisions want them.
pub fn pairs(items: &[ItemInput]) -> Vec<(ItemId, u32)> {
    items.iter().map(|item| (item.item_id, item.quantity)).collect()
}

/// What to price.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct QuoteInput {
    /// The restaurant; without it the nearest that has everything.
    #[serde(default)]
    #[garde(skip)]
    restaurant_id: Option<RestaurantId>,
    /// What and how many.
    #[garde(length(min = 1, max = LINES_MAX), dive)]
    items: Vec<ItemInput>,
    /// Where to.
    #[garde(dive)]
    deliver_to: AddressInput,
    /// For the driver, in minor units.
    #[serde(default)]
    #[garde(range(min = 0, max = TIP_MAX_MINOR))]
    tip_minor: i64,
}

impl Input for QuoteInput {}

/// Prices and signs; holds nothing and writes nothing.
pub async fn make(call: Call, input: QuoteInput) -> Result<Response, Problem> {
    let By::Customer(customer_id) = call.by()? else {
        return Err(error::forbidden());
    };
    let request = QuoteRequest {
        customer_id,
        restaurant_id: input.restaurant_id,
        items: pairs(&input.items),
        deliver_to: input.deliver_to.into(),
        tip_minor: input.tip_minor,
    };
    let now = call.app.clock.now();
    let view = quote::quote(&call.app.catalogue(), &call.app.policy, &request, now).map_err(error::from_refusal)?;
    ok(&view)
}
