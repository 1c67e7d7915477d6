//! Promotions: written and listed by operators.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::event::Bearer;
use tomato_shared::id::RestaurantId;
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
    #[garde(range(min = 0, max = 1_000_000_000))]
    items_min_minor: i64,
    /// How often in all.
    #[garde(range(min = 1, max = 100_000_000))]
    uses_max: u32,
    /// How often by one customer.
    #[garde(range(min = 1, max = 1_000))]
    uses_per_customer_max: u32,
    /// Only for these restaurants; for all where empty.
    #[serde(default)]
    #[garde(length(max = 1_000))]
    restaurant_ids: Vec<RestaurantId>,
}

impl Input for PromotionInput {
    fn check(&self, faults: &mut Faults) {
        if self.ends_at <= self.starts_at {
            faults.add("/ends_at", "is not after starts_at");
        }
        if self.borne_by == Bearer::Driver {
            faults.add("/borne_by", "is a driver; platform or restaurant can bear a discount");
        }
        let in_range = |minor: i64| (0..=1_000_000_000).contains(&minor);
        match self.saving {
            Saving::Percent { share_bp, max_minor } => {
                if share_bp > 10_000 {
                    faults.add("/saving/share_bp", "is more than all: 10000 are 100 %");
                }
                if !in_range(max_minor) {
                    faults.add("/saving/max_minor", "is not from 0 to 1000000000");
                }
            }
            Saving::Amount { amount_minor } if !in_range(amount_minor) => {
                faults.add("/saving/amount_minor", "is not from 0 to 1000000000");
            }
            Saving::Amount { .. } | Saving::FreeDelivery => {}
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
    let promotion = Promotion {
        code: code.to_owned(),
        version: expected_version(&call)?.unwrap_or(0),
        saving: input.saving,
        borne_by: input.borne_by,
        active: input.active,
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        items_min_minor: input.items_min_minor,
        uses_max: input.uses_max,
        uses_per_customer_max: input.uses_per_customer_max,
        restaurant_ids: input.restaurant_ids,
    };
    with_etag(call.submit(Command::PutPromotion(Box::new(promotion))).await?).await
}

/// Every promotion, by code.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let catalogue = call.app.catalogue();
    let rows = catalogue.promotions.values().map(|row| Promotion::clone(row));
    ok(&List::of(rows.collect()))
}
