//! Restaurants and menus, written: by operators as a whole, by restaurants as far as it is their business.

mod csv;
mod shape;

use axum::response::Response;
use garde::Validate;
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::cell::CellSet;
use tomato_shared::id::RestaurantId;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::DurationMs;

use super::call::{Call, ok};
use super::error;
use super::input::Input;
use super::kitchen::own_restaurant;
use super::restaurants::stock;
use crate::engine::command::{Command, PutRestaurant, RestaurantCommand};
use crate::engine::model::Restaurant;
use shape::{MenuItemInput, capacities, exported, menu_item};

pub use csv::{CsvText, read_csv, write_csv};
pub use shape::{HoursInput, MenuExport, MenuInput, RestaurantInput};

/// Writes a restaurant and its menu as a whole; with `If-Match` only over the version that was read.
pub async fn write(call: Call, input: RestaurantInput) -> Result<Response, Problem> {
    let id = call.id("rst")?;
    let expected_version = expected_version(&call)?;
    let before = call.app.catalogue().restaurants.get(&id).cloned();
    let command = PutRestaurant {
        capacities: capacities(&input.menu),
        expected_version,
        restaurant: Restaurant {
            id,
            version: 0,
            name: input.name,
            place: input.place,
            open: input.open,
            suspended: before.as_ref().is_some_and(|row| row.suspended),
            paused_until: before.as_ref().and_then(|row| row.paused_until),
            busy: before.as_ref().and_then(|row| row.busy),
            hours: input.hours.into(),
            delivery_radius_m: input.delivery_radius_m,
            delivery_cells: CellSet::new(input.delivery_cells),
            preparation_min: input.preparation_min,
            menu: input.menu.into_iter().map(menu_item).collect(),
            moved_to: None,
        },
    };
    submit(&call, id, RestaurantCommand::Put(Box::new(command))).await
}

async fn submit(call: &Call, id: RestaurantId, command: RestaurantCommand) -> Result<Response, Problem> {
    with_etag(call.submit(Command::Restaurant(id, command)).await?).await
}

/// The menu as it can be written again.
pub async fn read_menu(call: Call) -> Result<Response, Problem> {
    let (version, menu) = menu_of(&call).await?;
    let mut response = ok(&MenuInput { menu })?;
    set_etag(&mut response, version);
    Ok(response)
}

/// The version and menu of the restaurant in the path.
async fn menu_of(call: &Call) -> Result<(u32, Vec<MenuItemInput>), Problem> {
    let id: RestaurantId = own_restaurant(call)?;
    let restaurant = call.app.catalogue().restaurants.get(&id).cloned();
    let restaurant = restaurant.ok_or_else(error::not_found)?;
    let stock = stock(call, &restaurant).await?;
    let menu = restaurant.menu.iter().map(|item| exported(item, &stock));
    Ok((restaurant.version, menu.collect()))
}

/// The restaurant writes its menu; with `If-Match` only over the version that was read.
pub async fn write_menu(call: Call, input: MenuInput) -> Result<Response, Problem> {
    put_menu(&call, input.menu).await
}

async fn put_menu(call: &Call, menu: Vec<MenuItemInput>) -> Result<Response, Problem> {
    let id = own_restaurant(call)?;
    let command = RestaurantCommand::PutMenu {
        capacities: capacities(&menu),
        expected_version: expected_version(call)?,
        menu: menu.into_iter().map(menu_item).collect(),
    };
    submit(call, id, command).await
}

/// The restaurant writes its hours; with `If-Match` only over the version that was read.
pub async fn write_hours(call: Call, input: HoursInput) -> Result<Response, Problem> {
    let id = own_restaurant(&call)?;
    let command = RestaurantCommand::PutHours {
        hours: input.into(),
        expected_version: expected_version(&call)?,
    };
    submit(&call, id, command).await
}

/// Open, paused, busy. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct KitchenStatusInput {
    /// Whether the restaurant takes orders within its hours.
    #[serde(default)]
    #[garde(skip)]
    open: Option<bool>,
    /// Takes no orders for so many minutes; 0 ends a pause.
    #[serde(default)]
    #[garde(range(min = 0, max = 1_440))]
    pause_min: Option<i64>,
    /// Has more to do than usual.
    #[serde(default)]
    #[garde(dive)]
    busy: Option<BusyInput>,
}

/// A kitchen that has more to do than usual.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BusyInput {
    /// Cooks so many minutes longer; 0 ends it.
    #[garde(range(max = 120))]
    extra_min: u32,
    /// For so many minutes.
    #[garde(range(min = 1, max = 1_440))]
    for_min: i64,
}

impl Input for KitchenStatusInput {}

/// The restaurant opens, closes, pauses or says that it is busy.
pub async fn status(call: Call, input: KitchenStatusInput) -> Result<Response, Problem> {
    let id = own_restaurant(&call)?;
    let command = RestaurantCommand::SetStatus {
        open: input.open,
        pause: input.pause_min.map(DurationMs::from_mins),
        busy: input
            .busy
            .map(|busy| (busy.extra_min, DurationMs::from_mins(busy.for_min))),
    };
    submit(&call, id, command).await
}

/// Whether an operator closes a restaurant.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct SuspensionInput {
    /// Takes no orders, whatever it says itself.
    suspended: bool,
}

impl Input for SuspensionInput {}

/// An operator closes a restaurant, or lets it open again.
pub async fn suspend(call: Call, input: SuspensionInput) -> Result<Response, Problem> {
    let id = call.id("rst")?;
    submit(&call, id, RestaurantCommand::Suspend(input.suspended)).await
}

/// On or off, and how many are left.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ItemStatusInput {
    /// Whether it can be ordered.
    #[garde(skip)]
    available: bool,
    /// Off for so many minutes, then on again.
    #[serde(default)]
    #[garde(range(min = 1, max = 43_200))]
    off_min: Option<i64>,
    /// How many are left; only of counted items.
    #[serde(default)]
    #[garde(range(max = 1_000_000))]
    left: Option<u32>,
}

impl Input for ItemStatusInput {}

/// The restaurant takes an item off or puts it on again, or counts it anew.
pub async fn item_status(call: Call, input: ItemStatusInput) -> Result<Response, Problem> {
    let id = own_restaurant(&call)?;
    let command = RestaurantCommand::SetItem {
        item_id: call.id("itm")?,
        available: input.available,
        off: input.off_min.map(DurationMs::from_mins),
        left: input.left,
    };
    submit(&call, id, command).await
}

/// The version in `If-Match`; `None` for any.
pub(super) fn expected_version(call: &Call) -> Result<Option<u32>, Problem> {
    let Some(value) = call.parts.headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_matches('"').parse();
    version
        .map(Some)
        .map_err(|_| error::invalid_header("if-match", "want the ETag of what is edited, or *"))
}

/// Adds the ETag of a body that has a version.
pub(super) async fn with_etag(response: Response) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let version = serde_json::from_slice(&body).map(|Versioned { version }| version);
    let mut response = Response::from_parts(parts, body.into());
    if let Ok(version) = version {
        set_etag(&mut response, version);
    }
    Ok(response)
}

/// Adds an ETag.
pub(super) fn set_etag(response: &mut Response, version: u32) {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
}
