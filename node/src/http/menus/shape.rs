//! What a restaurant and its menu look like when they are written, and when they are exported.

use garde::Validate;
use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, LatLng};
use tomato_shared::id::ItemId;

use crate::engine::menu::VARIANT;
use crate::engine::model::{Closure, Hours, MenuItem, Opening, OptionChoice, OptionGroup, Stock, Variant};
use crate::http::input::{Faults, Input, KEY, NAME_MAX, PLAIN};
use crate::http::table::MENU_BODY_MAX;

/// A restaurant as an operator writes it.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RestaurantInput {
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    pub name: String,
    /// Where drivers fetch.
    #[garde(skip)]
    pub place: LatLng,
    /// Whether it takes orders within its hours.
    #[garde(skip)]
    pub open: bool,
    /// How far it delivers, in metres.
    #[garde(range(min = 100, max = 50_000))]
    pub delivery_radius_m: u32,
    /// Where it delivers within that: H3 cells; everywhere, where empty.
    #[serde(default)]
    #[garde(length(max = 5_000))]
    pub delivery_cells: Vec<Cell>,
    /// How long it usually cooks, in minutes.
    #[garde(range(min = 1, max = 240))]
    pub preparation_min: u32,
    /// When it is open; always, where empty.
    #[serde(default)]
    #[garde(dive)]
    pub hours: HoursInput,
    /// What it sells.
    #[garde(length(max = 2_000), dive)]
    pub menu: Vec<MenuItemInput>,
}

/// When a place is open, by the region's clocks.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct HoursInput {
    /// The week; always, where empty. A day may have several spans; one that ends at or before its start goes on into the
    /// next day.
    #[serde(default)]
    #[garde(length(max = 70))]
    pub week: Vec<Opening>,
    /// Exceptions.
    #[serde(default)]
    #[garde(length(max = 100), dive)]
    pub closures: Vec<ClosureInput>,
}

/// A time in which the place is closed whatever the week says, by the clock on the wall.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ClosureInput {
    /// From, as in `2026-12-24T18:00:00`.
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$"))]
    #[garde(skip)]
    from: DateTime,
    /// Until.
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$"))]
    #[garde(skip)]
    to: DateTime,
    /// Shown to customers.
    #[serde(default)]
    #[garde(length(chars, max = 200), pattern(PLAIN))]
    reason: String,
}

impl Input for HoursInput {
    fn check(&self, faults: &mut Faults) {
        self.check_under("", faults);
    }
}

impl HoursInput {
    fn check_under(&self, here: &str, faults: &mut Faults) {
        for (at, closure) in self.closures.iter().enumerate() {
            if closure.to <= closure.from {
                faults.add(format!("{here}/closures/{at}/to"), "is not after from");
            }
        }
    }
}

impl From<HoursInput> for Hours {
    fn from(input: HoursInput) -> Self {
        Self {
            week: input.week,
            closures: input.closures.into_iter().map(Closure::from).collect(),
        }
    }
}

/// A menu item as it is written.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MenuItemInput {
    /// Chosen by the operator; branches of a chain share it.
    #[garde(skip)]
    pub id: ItemId,
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    pub name: String,
    /// Heading under which it stands.
    #[serde(default)]
    #[garde(length(chars, max = 100), pattern(PLAIN))]
    pub category: String,
    /// What the customer should know.
    #[serde(default)]
    #[garde(length(chars, max = 1_000), pattern(PLAIN))]
    pub description: String,
    /// Price of one, in minor units; a variant's own price takes its place.
    #[garde(range(min = 0, max = 100_000_000))]
    pub price_minor: i64,
    /// Whether it can be ordered.
    #[garde(skip)]
    pub available: bool,
    /// How many there are in all; without it nobody counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(range(min = 0, max = 1_000_000))]
    pub capacity: Option<u32>,
    /// Where there are any, one has to be chosen.
    #[serde(default)]
    #[garde(length(max = 20), dive)]
    pub variants: Vec<VariantInput>,
    /// What can be added or has to be chosen.
    #[serde(default)]
    #[garde(length(max = 20), dive)]
    pub options: Vec<OptionGroupInput>,
}

/// A size or kind of an item, with a price of its own.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct VariantInput {
    /// Unique within the item.
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    pub key: String,
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    pub name: String,
    /// Price of one, in minor units.
    #[garde(range(min = 0, max = 100_000_000))]
    pub price_minor: i64,
    /// Whether it can be chosen.
    #[garde(skip)]
    pub available: bool,
}

/// Options of an item of which so many are to be chosen.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OptionGroupInput {
    /// Unique within the item, and not `variant`.
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    pub key: String,
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    pub name: String,
    /// At least so many.
    #[garde(range(max = 40))]
    pub min: u32,
    /// At most so many.
    #[garde(range(min = 1, max = 40))]
    pub max: u32,
    /// What can be chosen, each once.
    #[garde(length(min = 1, max = 40), dive)]
    pub choices: Vec<OptionChoiceInput>,
}

/// One option.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OptionChoiceInput {
    /// Unique within the group.
    #[garde(length(chars, min = 1, max = 40), pattern(KEY))]
    pub key: String,
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    pub name: String,
    /// What it adds to the price of one, in minor units.
    #[garde(range(min = 0, max = 100_000_000))]
    pub price_minor: i64,
    /// Whether it can be chosen.
    #[garde(skip)]
    pub available: bool,
}

impl From<ClosureInput> for Closure {
    fn from(input: ClosureInput) -> Self {
        Self {
            from: input.from,
            to: input.to,
            reason: input.reason,
        }
    }
}

impl Input for RestaurantInput {
    const BYTES_MAX: usize = MENU_BODY_MAX;

    fn check(&self, faults: &mut Faults) {
        self.hours.check_under("/hours", faults);
        check_menu(&self.menu, faults);
    }
}

/// A menu as it is written, and as it is exported.
#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MenuInput {
    /// All of it.
    #[garde(length(max = 2_000), dive)]
    pub menu: Vec<MenuItemInput>,
}

impl Input for MenuInput {
    const BYTES_MAX: usize = MENU_BODY_MAX;

    fn check(&self, faults: &mut Faults) {
        check_menu(&self.menu, faults);
    }
}

/// A menu as it is exported: what can be written again.
#[derive(Debug)]
pub struct MenuExport;

impl JsonSchema for MenuExport {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MenuExport".into()
    }

    fn inline_schema() -> bool {
        true
    }

    // What goes in has the same shape, and its definition stands in the document.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"$ref": "#/components/schemas/MenuInput"})
    }
}

/// Adds the faults that no single part of a menu shows: keys that are there twice, choices that cannot be made.
fn check_menu(menu: &[MenuItemInput], faults: &mut Faults) {
    unique("/menu", "id", menu.iter().map(|item| item.id), faults);
    for (at, item) in menu.iter().enumerate() {
        let here = format!("/menu/{at}");
        unique(
            &format!("{here}/variants"),
            "key",
            item.variants.iter().map(|row| &row.key),
            faults,
        );
        unique(
            &format!("{here}/options"),
            "key",
            item.options.iter().map(|row| &row.key),
            faults,
        );
        for (nth, group) in item.options.iter().enumerate() {
            let here = format!("{here}/options/{nth}");
            unique(
                &format!("{here}/choices"),
                "key",
                group.choices.iter().map(|row| &row.key),
                faults,
            );
            if group.key == VARIANT {
                faults.add(format!("{here}/key"), "is the word for variants; take another");
            }
            if group.min > group.max || group.min as usize > group.choices.len() {
                faults.add(format!("{here}/min"), "is more than can be chosen");
            }
        }
    }
}

fn unique<K: Ord>(list: &str, name: &str, keys: impl Iterator<Item = K>, faults: &mut Faults) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, key) in keys.enumerate() {
        if !seen.insert(key) {
            faults.add(format!("{list}/{at}/{name}"), "is there twice");
        }
    }
}

/// An item as the region keeps it.
pub(super) fn menu_item(input: MenuItemInput) -> MenuItem {
    let variant = |row: VariantInput| Variant {
        key: row.key,
        name: row.name,
        price_minor: row.price_minor,
        available: row.available,
    };
    let choice = |row: OptionChoiceInput| OptionChoice {
        key: row.key,
        name: row.name,
        price_minor: row.price_minor,
        available: row.available,
    };
    let group = |row: OptionGroupInput| OptionGroup {
        key: row.key,
        name: row.name,
        min: row.min,
        max: row.max,
        choices: row.choices.into_iter().map(choice).collect(),
    };
    MenuItem {
        id: input.id,
        name: input.name,
        category: input.category,
        description: input.description,
        price_minor: input.price_minor,
        available: input.available,
        off_until: None,
        counted: input.capacity.is_some(),
        variants: input.variants.into_iter().map(variant).collect(),
        options: input.options.into_iter().map(group).collect(),
    }
}

/// An item as it can be written again.
pub(super) fn exported(item: &MenuItem, stock: &[(ItemId, Stock)]) -> MenuItemInput {
    let counted = stock.iter().find(|(id, _)| *id == item.id).filter(|_| item.counted);
    let variant = |row: &Variant| VariantInput {
        key: row.key.clone(),
        name: row.name.clone(),
        price_minor: row.price_minor,
        available: row.available,
    };
    let choice = |row: &OptionChoice| OptionChoiceInput {
        key: row.key.clone(),
        name: row.name.clone(),
        price_minor: row.price_minor,
        available: row.available,
    };
    let group = |row: &OptionGroup| OptionGroupInput {
        key: row.key.clone(),
        name: row.name.clone(),
        min: row.min,
        max: row.max,
        choices: row.choices.iter().map(choice).collect(),
    };
    MenuItemInput {
        id: item.id,
        name: item.name.clone(),
        category: item.category.clone(),
        description: item.description.clone(),
        price_minor: item.price_minor,
        available: item.available,
        capacity: counted.map(|(_, stock)| stock.capacity),
        variants: item.variants.iter().map(variant).collect(),
        options: item.options.iter().map(group).collect(),
    }
}

/// How many there are of each counted item.
pub(super) fn capacities(menu: &[MenuItemInput]) -> Vec<(ItemId, u32)> {
    menu.iter().filter_map(|item| Some((item.id, item.capacity?))).collect()
}
