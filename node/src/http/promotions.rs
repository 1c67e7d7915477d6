//! Promotions: written and listed by operators.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::event::Bearer;
use tomato_shared::id::RestaurantId;
use tomato_shared::promotion::{MINOR_MAX, RESTAURANTS_MAX, USES_MAX, USES_PER_CUSTOMER_MAX};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::error;
use super::input::{CODE, Faults, Input};
use super::menus::{expected_version, with_etag};
use super::orders::List;
use crate::engine::command::Command;
use crate::engine::model::{Promotion, Saving};

/// A promotion as an operator writes it.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PromotionInput {
    /// What it takes off.
    #[garde(skip)]
    saving: Saving,
    /// Who bears it; a driver cannot.
    #[garde(skip)]
    borne_by: Bearer,
    /// Whether it can be used.
    #[garde(skip)]
    active: bool,
    /// From when on.
    #[garde(skip)]
    starts_at: UnixMs,
    /// Until when.
    #[garde(skip)]
    ends_at: UnixMs,
    /// Smallest sum of items it is for, in minor units.
    #[serde(default)]
    #[garde(range(min = 0, max = MINOR_MAX))]
    items_min_minor: i64,
    /// How often in all.
    #[garde(range(min = 1, max = USES_MAX))]
    uses_max: u32,
    /// How often by one customer.
    #[garde(range(min = 1, max = USES_PER_CUSTOMER_MAX))]
    uses_per_customer_max: u32,
    /// Only for these restaurants; for all where empty.
    #[serde(default)]
    #[garde(length(max = RESTAURANTS_MAX))]
    restaurant_ids: Vec<RestaurantId>,
}

impl Input for PromotionInput {
    fn check(&self, faults: &mut Faults) {
        for (pointer, message) in self.promotion(String::new(), 0).contradictions() {
            faults.add(pointer, message);
        }
    }
}

impl PromotionInput {
    fn promotion(&self, code: String, version: u32) -> Promotion {
        Promotion {
            code,
            version,
            saving: self.saving,
            borne_by: self.borne_by,
            active: self.active,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            items_min_minor: self.items_min_minor,
            uses_max: self.uses_max,
            uses_per_customer_max: self.uses_per_customer_max,
            restaurant_ids: self.restaurant_ids.clone(),
        }
    }
}

/// An operator writes a promotion; with `If-Match` only over the version that was read.
pub async fn write(call: Call, input: PromotionInput) -> Result<Response, Problem> {
    let code = call.text("code");
    let fits = (1..=40).contains(&code.len()) && garde::rules::pattern::Matcher::is_match(&CODE, code);
    if !fits {
        return Err(error::invalid_path("code", "want 1 to 40 of A-Z, 0-9 and -".to_owned()));
    }
    let promotion = input.promotion(code.to_owned(), expected_version(&call)?.unwrap_or(0));
    with_etag(call.submit(Command::PutPromotion(Box::new(promotion))).await?).await
}

/// Every promotion that counts, the hub's first, then the region's own by code.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let catalogue = call.app.catalogue();
    let hubs = catalogue.control.control.promotions.iter();
    let own = catalogue.promotions.values().map(AsRef::as_ref);
    let own = own.filter(|row| catalogue.hubs_promotion(&row.code).is_none());
    ok(&List::of(hubs.chain(own).cloned().collect()))
}
