//! What an order would cost.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::error;
use super::input::{AddressInput, CODE, Input, KEY, TIP_MAX_MINOR};
use crate::engine::command::{Basket, WantedItem};
use crate::engine::model::By;
use crate::engine::quote;

/// Most lines of an order.
pub const LINES_MAX: usize = 50;

/// One line.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ItemInput {
    /// Which.
    #[garde(skip)]
    item_id: ItemId,
    /// How many.
    #[garde(range(min = 1, max = 99))]
    quantity: u32,
    /// Key of the variant, where the item has any.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    variant: Option<String>,
    /// What is chosen of the item's options.
    #[serde(default)]
    #[garde(length(max = 40), dive)]
    options: Vec<OptionInput>,
}

/// One chosen option.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OptionInput {
    /// Key of the option's group.
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    group: String,
    /// Its own key.
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    key: String,
}

impl From<ItemInput> for WantedItem {
    fn from(input: ItemInput) -> Self {
        Self {
            item_id: input.item_id,
            quantity: input.quantity,
            variant: input.variant,
            options: input
                .options
                .into_iter()
                .map(|option| (option.group, option.key))
                .collect(),
        }
    }
}

/// Items as decisions want them.
pub fn wanted(items: Vec<ItemInput>) -> Vec<WantedItem> {
    items.into_iter().map(WantedItem::from).collect()
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
    tip_minor: i64,
}

impl Input for QuoteInput {}

/// Prices and signs; holds nothing and writes nothing.
pub async fn make(call: Call, input: QuoteInput) -> Result<Response, Problem> {
    let By::Customer(customer_id) = call.by()? else {
        return Err(error::forbidden());
    };
    let basket = Basket {
        restaurant_id: input.restaurant_id,
        items: wanted(input.items),
        deliver_to: input.deliver_to.into(),
        deliver_at: input.deliver_at,
        promo_code: input.promo_code,
        tip_minor: input.tip_minor,
    };
    let (catalogue, policy, now) = (call.app.catalogue(), &call.app.policy, call.app.clock.now());
    let view = quote::quote(&catalogue, policy, customer_id, &basket, now);
    ok(&view.map_err(error::from_refusal)?)
}
