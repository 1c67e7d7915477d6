//! Restaurants and menus: found by place, read, written.

use axum::response::Response;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION, RegionId};
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::input::{Faults, Input, NAME_CHARS};
use super::kitchen::own_restaurant;
use super::{cursor, error};
use crate::engine::command::{Command, PutRestaurant};
use crate::engine::model::{MenuItem, Restaurant};
use crate::engine::view;
use crate::store::reads;

/// Items of a menu.
pub const MENU_ITEMS: std::ops::RangeInclusive<usize> = 0..=2_000;
/// A heading, in characters.
pub const CATEGORY_CHARS: std::ops::RangeInclusive<usize> = 0..=100;
/// How far a restaurant delivers, in metres.
pub const DELIVERY_RADIUS_M: std::ops::RangeInclusive<u32> = 100..=50_000;
/// How long a restaurant cooks, in minutes.
pub const PREPARATION_MIN: std::ops::RangeInclusive<u32> = 1..=240;
/// The price of one item, in minor units.
pub const PRICE_MINOR: std::ops::RangeInclusive<i64> = 0..=100_000_000;
/// How many there can be of a counted item.
pub const CAPACITY: std::ops::RangeInclusive<u32> = 0..=1_000_000;

#[derive(Serialize)]
struct Located<'a> {
    region: Option<&'a RegionId>,
    public_url: Option<&'a str>,
    cell: Cell,
    served: bool,
}

/// Who serves a place. This node knows of itself only.
pub async fn locate(call: Call) -> Result<Response, Problem> {
    let place = call.query(&["lat", "lng"])?.place()?;
    let served = call.app.policy.cells.contains(&place);
    ok(&Located {
        region: served.then_some(&call.app.policy.region),
        public_url: served.then_some(call.app.public_url.as_str()),
        cell: place.cell(REGION_RESOLUTION),
        served,
    })
}

#[derive(Serialize)]
struct Nearby<'a> {
    id: RestaurantId,
    name: &'a str,
    place: LatLng,
    open: bool,
    distance_m: f64,
    delivery_radius_m: u32,
    preparation_min: u32,
}

#[derive(Serialize)]
struct NearbyPage<'a> {
    data: Vec<Nearby<'a>>,
    next_cursor: Option<String>,
}

/// Restaurants that deliver to a place, nearest first, closed ones included.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query(&["lat", "lng", "limit", "cursor"])?;
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
        name: &row.name,
        place: row.place,
        open: row.open,
        distance_m: distance_m.round(),
        delivery_radius_m: row.delivery_radius_m,
        preparation_min: row.preparation_min,
    });
    ok(&NearbyPage {
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestaurantInput {
    name: String,
    place: LatLng,
    open: bool,
    delivery_radius_m: u32,
    preparation_min: u32,
    menu: Vec<MenuItemInput>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MenuItemInput {
    id: ItemId,
    name: String,
    #[serde(default)]
    category: String,
    price_minor: i64,
    available: bool,
    #[serde(default)]
    capacity: Option<u32>,
}

impl Input for RestaurantInput {
    fn check(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, NAME_CHARS);
        faults.range("/delivery_radius_m", self.delivery_radius_m, DELIVERY_RADIUS_M);
        faults.range("/preparation_min", self.preparation_min, PREPARATION_MIN);
        faults.count("/menu", self.menu.len(), MENU_ITEMS);
        let mut ids = std::collections::BTreeSet::new();
        for (at, item) in self.menu.iter().enumerate() {
            if !ids.insert(item.id) {
                faults.add(format!("/menu/{at}/id"), "is on the menu twice");
            }
            faults.text(format!("/menu/{at}/name"), &item.name, NAME_CHARS);
            faults.text(format!("/menu/{at}/category"), &item.category, CATEGORY_CHARS);
            faults.range(format!("/menu/{at}/price_minor"), item.price_minor, PRICE_MINOR);
            faults.range(format!("/menu/{at}/capacity"), item.capacity.unwrap_or(0), CAPACITY);
        }
    }
}

/// Writes a restaurant and its menu as a whole; with `If-Match` only over the version that was read.
pub async fn write(call: Call) -> Result<Response, Problem> {
    let id = call.id("rst")?;
    let expected_version = expected_version(&call)?;
    let input: RestaurantInput = call.input()?;
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenInput {
    open: bool,
}

impl Input for OpenInput {
    fn check(&self, _faults: &mut Faults) {}
}

/// Opens or closes a restaurant.
pub async fn open(call: Call) -> Result<Response, Problem> {
    let restaurant_id = own_restaurant(&call)?;
    let OpenInput { open } = call.input()?;
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
