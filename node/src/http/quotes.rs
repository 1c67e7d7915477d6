//! What an order would cost.

use axum::response::Response;
use serde::Deserialize;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::error;
use super::input::{AddressInput, Faults, Input, TIP_MINOR};
use crate::engine::model::By;
use crate::engine::quote::{self, QuoteRequest};

/// Lines of an order.
pub const LINES: std::ops::RangeInclusive<usize> = 1..=50;
/// How many of one item.
pub const QUANTITY: std::ops::RangeInclusive<u32> = 1..=99;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemInput {
    /// Which.
    pub item_id: ItemId,
    /// How many.
    pub quantity: u32,
}

/// Adds the faults of a list of lines under `/items`.
pub fn check_items(items: &[ItemInput], faults: &mut Faults) {
    faults.count("/items", items.len(), LINES);
    for (at, item) in items.iter().enumerate() {
        faults.range(format!("/items/{at}/quantity"), item.quantity, QUANTITY);
    }
}

/// Items as decisions want them.
pub fn pairs(items: &[ItemInput]) -> Vec<(ItemId, u32)> {
    items.iter().map(|item| (item.item_id, item.quantity)).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuoteInput {
    #[serde(default)]
    restaurant_id: Option<RestaurantId>,
    items: Vec<ItemInput>,
    deliver_to: AddressInput,
    #[serde(default)]
    tip_minor: i64,
}

impl Input for QuoteInput {
    fn check(&self, faults: &mut Faults) {
        check_items(&self.items, faults);
        self.deliver_to.check(faults);
        faults.range("/tip_minor", self.tip_minor, TIP_MINOR);
    }
}

/// Prices and signs; holds nothing and writes nothing.
pub async fn make(call: Call) -> Result<Response, Problem> {
    let input: QuoteInput = call.input()?;
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
