//! Restaurants and menus: found by place, read, written.

use axum::response::Response;
use garde::Validate;
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION, RegionId};
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::input::{Faults, Input, NAME_MAX, PLAIN, Page};
use super::kitchen::own_restaurant;
use super::table::MENU_BODY_MAX;
use super::{cursor, error};
use crate::engine::command::{Command, PutRestaurant};
use crate::engine::model::{MenuItem, Restaurant};
use crate::engine::view;
use crate::store::reads;

/// Who serves a place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Located {
    /// This region, where it serves the place.
    region: Option<RegionId>,
    /// Where its apps reach it.
    public_url: Option<String>,
    /// The place's cell.
    cell: Cell,
    /// Whether this region serves the place.
    served: bool,
}

/// Who serves a place. This node knows of itself only.
pub async fn locate(call: Call) -> Result<Response, Problem> {
    let place = call.query()?.place()?;
    let served = call.app.policy.cells.contains(&place);
    ok(&Located {
        region: served.then(|| call.app.policy.region.clone()),
        public_url: served.then(|| call.app.public_url.clone()),
        cell: place.cell(REGION_RESOLUTION),
        served,
    })
}

/// A restaurant that delivers to a place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nearby {
    id: RestaurantId,
    name: String,
    place: LatLng,
    /// Whether it takes orders.
    open: bool,
    /// From the place, in metres.
    distance_m: f64,
    delivery_radius_m: u32,
    /// How long it usually cooks.
    preparation_min: u32,
}

/// Restaurants that deliver to a place, nearest first, closed ones included.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let (place, limit, after) = (query.place()?, query.limit()?, query.cursor(cursor::near)?);
    let catalogue = call.app.catalogue();
    let measured = catalogue
        .values()
        .map(|row| (row.place.distance_m(&place), row.as_ref()));
    let mut near: Vec<(f64, &Restaurant)> = measured
        .filter(|(distance_m, row)| *distance_m <= f64::from(row.delivery_radius_m))
        .filter(|(distance_m, row)| {
            after.is_none_or(|(last_m, last)| distance_m.total_cmp(&last_m).then(row.id.cmp(&last)).is_gt())
        })
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
    let more = near.len() > limit;
    near.truncate(limit);
    let last = near.last().filter(|_| more);
    let data = near.iter().map(|(distance_m, row)| Nearby {
        id: row.id,
        name: row.name.clone(),
        place: row.place,
        open: row.open,
        distance_m: distance_m.round(),
        delivery_radius_m: row.delivery_radius_m,
        preparation_min: row.preparation_min,
    });
    ok(&Page {
        next_cursor: last.map(|(distance_m, row)| cursor::of_near(*distance_m, &row.id)),
        data: data.collect(),
    })
}

/// One restaurant with its menu, and what is left of what is counted.
pub async fn read(call: Call) -> Result<Response, Problem> {
    let id: RestaurantId = call.id("rst")?;
    let restaurant = call.app.catalogue().get(&id).cloned().ok_or_else(error::not_found)?;
    let mut stock = Vec::new();
    if restaurant.menu.iter().any(|item| item.counted) {
        let found = call
            .app
            .reads
            .read(move |connection| reads::stock(connection, id))
            .await;
        stock = found.map_err(error::from_read)?;
        stock.sort_by_key(|(item_id, _)| *item_id);
    }
    let left = |item_id: ItemId| {
        let at = stock.binary_search_by_key(&item_id, |(item_id, _)| *item_id).ok()?;
        stock.get(at).map(|(_, stock)| *stock)
    };
    let mut response = ok(&view::restaurant(&restaurant, left))?;
    set_etag(&mut response, restaurant.version);
    Ok(response)
}

/// A restaurant as an operator writes it.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RestaurantInput {
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    name: String,
    /// Where drivers fetch.
    #[garde(skip)]
    place: LatLng,
    /// Whether it takes orders now.
    #[garde(skip)]
    open: bool,
    /// How far it delivers, in metres.
    #[garde(range(min = 100, max = 50_000))]
    delivery_radius_m: u32,
    /// How long it usually cooks, in minutes.
    #[garde(range(min = 1, max = 240))]
    preparation_min: u32,
    /// What it sells.
    #[garde(length(max = 2_000), dive)]
    menu: Vec<MenuItemInput>,
}

/// A menu item as an operator writes it.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MenuItemInput {
    /// Chosen by the operator; branches of a chain share it.
    #[garde(skip)]
    id: ItemId,
    /// Its name.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    name: String,
    /// Heading under which it stands.
    #[serde(default)]
    #[garde(length(chars, max = 100), pattern(PLAIN))]
    category: String,
    /// Price of one, in minor units.
    #[garde(range(min = 0, max = 100_000_000))]
    price_minor: i64,
    /// Whether it can be ordered now.
    #[garde(skip)]
    available: bool,
    /// How many there are in all; without it nobody counts them.
    #[serde(default)]
    #[garde(range(min = 0, max = 1_000_000))]
    capacity: Option<u32>,
}

impl Input for RestaurantInput {
    const BYTES_MAX: usize = MENU_BODY_MAX;

    fn check(&self, faults: &mut Faults) {
        let mut ids = std::collections::BTreeSet::new();
        for (at, item) in self.menu.iter().enumerate() {
            if !ids.insert(item.id) {
                faults.add(format!("/menu/{at}/id"), "is on the menu twice");
            }
        }
    }
}

/// Writes a restaurant and its menu as a whole; with `If-Match` only over the version that was read.
pub async fn write(call: Call, input: RestaurantInput) -> Result<Response, Problem> {
    let id = call.id("rst")?;
    let expected_version = expected_version(&call)?;
    let counted = input.menu.iter().filter_map(|item| Some((item.id, item.capacity?)));
    let command = PutRestaurant {
        capacities: counted.collect(),
        expected_version,
        restaurant: Restaurant {
            id,
            version: 0,
            name: input.name,
            place: input.place,
            open: input.open,
            delivery_radius_m: input.delivery_radius_m,
            preparation_min: input.preparation_min,
            menu: input.menu.into_iter().map(menu_item).collect(),
        },
    };
    with_etag(call.submit(Command::PutRestaurant(Box::new(command))).await?).await
}

fn menu_item(input: MenuItemInput) -> MenuItem {
    MenuItem {
        id: input.id,
        name: input.name,
        category: input.category,
        price_minor: input.price_minor,
        available: input.available,
        counted: input.capacity.is_some(),
    }
}

/// Open or closed.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct OpenInput {
    /// Whether the restaurant takes orders.
    open: bool,
}

impl Input for OpenInput {}

/// Opens or closes a restaurant.
pub async fn open(call: Call, input: OpenInput) -> Result<Response, Problem> {
    let restaurant_id = own_restaurant(&call)?;
    let OpenInput { open } = input;
    with_etag(call.submit(Command::SetOpen { restaurant_id, open }).await?).await
}

fn expected_version(call: &Call) -> Result<Option<u32>, Problem> {
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
        .map_err(|_| error::invalid_header("if-match", "want the ETag of a restaurant, or *"))
}

async fn with_etag(response: Response) -> Result<Response, Problem> {
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

fn set_etag(response: &mut Response, version: u32) {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
}
