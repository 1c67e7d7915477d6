//! Restaurants and their menus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{CellSet, LatLng, RegionId};
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::time::UnixMs;

use super::hours::Hours;

/// A restaurant and its menu: one row, edited as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restaurant {
    /// Who it is.
    pub id: RestaurantId,
    /// Rises with each edit; the ETag.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Where drivers fetch.
    pub place: LatLng,
    /// The restaurant's own switch: whether it takes orders within its hours.
    pub open: bool,
    /// The operator's switch: takes no orders whatever the restaurant says.
    #[serde(default)]
    pub suspended: bool,
    /// Takes no orders until then.
    #[serde(default)]
    pub paused_until: Option<UnixMs>,
    /// Cooks longer than usual for a while.
    #[serde(default)]
    pub busy: Option<Busy>,
    /// When it is open; always, where empty.
    #[serde(default)]
    pub hours: Hours,
    /// How far it delivers, in metres.
    pub delivery_radius_m: u32,
    /// Where it delivers, within that radius; everywhere, where empty.
    #[serde(default)]
    pub delivery_cells: CellSet,
    /// How long it usually cooks, in minutes.
    pub preparation_min: u32,
    /// What it sells.
    pub menu: Vec<MenuItem>,
    /// The region that has it now. The row stays for the orders that were placed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<RegionId>,
}

/// A kitchen that has more to do than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Busy {
    /// Until when.
    pub until: UnixMs,
    /// How much longer it cooks, in minutes.
    pub extra_min: u32,
}

impl Restaurant {
    /// Whether the switches let it take orders at a moment; its hours are asked apart.
    pub fn is_willing(&self, at: UnixMs) -> bool {
        self.open && !self.suspended && self.moved_to.is_none() && self.paused_until.is_none_or(|until| until <= at)
    }

    /// How long it cooks what is ordered at a moment, in minutes.
    pub fn cooking_min(&self, at: UnixMs) -> u32 {
        let extra = self
            .busy
            .filter(|busy| at < busy.until)
            .map_or(0, |busy| busy.extra_min);
        self.preparation_min.saturating_add(extra)
    }

    /// Whether it delivers to a place.
    pub fn delivers_to(&self, place: &LatLng) -> bool {
        self.place.distance_m(place) <= f64::from(self.delivery_radius_m)
            && (self.delivery_cells.is_empty() || self.delivery_cells.contains(place))
    }

    /// An item of the menu.
    pub fn item(&self, id: ItemId) -> Option<&MenuItem> {
        self.menu.iter().find(|item| item.id == id)
    }
}

/// Something a restaurant sells. Branches of a chain share item ids, so that one can take over another's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuItem {
    /// Who it is.
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Heading under which it stands.
    #[serde(default)]
    pub category: String,
    /// What the customer should know.
    #[serde(default)]
    pub description: String,
    /// Price of one, in minor units of the region's currency; a variant's own price takes its place.
    pub price_minor: i64,
    /// Whether it can be ordered.
    pub available: bool,
    /// Cannot be ordered until then.
    #[serde(default)]
    pub off_until: Option<UnixMs>,
    /// Whether its stock is counted; see [`super::Stock`].
    #[serde(default)]
    pub counted: bool,
    /// Sizes and the like: where there are any, one has to be chosen.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// What can be added or has to be chosen.
    #[serde(default)]
    pub options: Vec<OptionGroup>,
}

impl MenuItem {
    /// Whether it can be ordered at a moment.
    pub fn is_available(&self, at: UnixMs) -> bool {
        self.available && self.off_until.is_none_or(|until| until <= at)
    }
}

/// A size or kind of an item, with a price of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variant {
    /// Unique within the item.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Price of one.
    pub price_minor: i64,
    /// Whether it can be chosen.
    pub available: bool,
}

/// Options of an item of which so many are to be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OptionGroup {
    /// Unique within the item.
    pub key: String,
    /// Its name.
    pub name: String,
    /// At least so many.
    pub min: u32,
    /// At most so many.
    pub max: u32,
    /// What can be chosen, each once.
    pub choices: Vec<OptionChoice>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OptionChoice {
    /// Unique within the group.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it adds to the price of one.
    pub price_minor: i64,
    /// Whether it can be chosen.
    pub available: bool,
}
