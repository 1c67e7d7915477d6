//! Restaurants and their menus, as anybody may see them.

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::{CellSet, LatLng};
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::time::UnixMs;

use super::super::model::{Busy, Hours, OptionGroup, Restaurant, Stock, Variant};
use super::super::policy::Policy;
use super::super::quote;

/// A restaurant with its menu.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RestaurantView {
    /// `rst_...`
    pub id: RestaurantId,
    /// Rises with each edit.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: LatLng,
    /// The restaurant's own switch.
    pub open: bool,
    /// Whether it takes orders now: by its switches, its hours and the operator.
    pub open_now: bool,
    /// Until when, if it is open by its hours and they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<UnixMs>,
    /// When its hours begin next, if it is closed by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<UnixMs>,
    /// Closed by an operator.
    pub suspended: bool,
    /// Takes no orders until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<UnixMs>,
    /// Cooks longer than usual for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    /// When it is open.
    pub hours: Hours,
    /// How far it delivers.
    pub delivery_radius_m: u32,
    /// Where it delivers within that; everywhere, where empty.
    pub delivery_cells: CellSet,
    /// How long it cooks now.
    pub preparation_min: u32,
    /// What it sells.
    pub menu: Vec<MenuItemView>,
}

/// A menu item.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MenuItemView {
    /// `itm_...`
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Heading.
    pub category: String,
    /// What the customer should know.
    pub description: String,
    /// Price of one.
    pub price_minor: i64,
    /// Whether it can be ordered now.
    pub available: bool,
    /// Cannot be ordered until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off_until: Option<UnixMs>,
    /// Where there are any, one has to be chosen, and its price counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// What can be added or has to be chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionGroup>,
    /// How many are left, where that is counted and at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
}

/// Shows a restaurant; `stock` gives what is left of an item where it is counted.
pub fn restaurant(
    row: &Restaurant,
    policy: &Policy,
    now: UnixMs,
    stock: impl Fn(ItemId) -> Option<Stock>,
) -> RestaurantView {
    let closes_at = row.hours.closes_at(now, &policy.zone);
    let opens_at = match closes_at {
        Some(_) => None,
        None => row.hours.opens_at(now, &policy.zone),
    };
    let menu = row.menu.iter().map(|item| MenuItemView {
        id: item.id,
        name: item.name.clone(),
        category: item.category.clone(),
        description: item.description.clone(),
        price_minor: item.price_minor,
        available: item.is_available(now),
        off_until: item.off_until.filter(|until| *until > now),
        variants: item.variants.clone(),
        options: item.options.clone(),
        left: stock(item.id).filter(|_| item.counted).map(|stock| stock.left()),
    });
    RestaurantView {
        id: row.id,
        version: row.version,
        name: row.name.clone(),
        place: row.place,
        open: row.open,
        open_now: quote::is_open(row, now, policy),
        closes_at: closes_at.filter(|at| at.0 != i64::MAX),
        opens_at,
        suspended: row.suspended,
        paused_until: row.paused_until.filter(|until| *until > now),
        busy: row.busy.filter(|busy| busy.until > now),
        hours: row.hours.clone(),
        delivery_radius_m: row.delivery_radius_m,
        delivery_cells: row.delivery_cells.clone(),
        preparation_min: row.cooking_min(now),
        menu: menu.collect(),
    }
}
