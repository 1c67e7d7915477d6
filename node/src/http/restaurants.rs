//! Restaurants: found by place and name, read.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::input::Page;
use super::menus::set_etag;
use super::query::fault;
use super::{cursor, error};
use crate::engine::model::{Restaurant, Stock};
use crate::engine::{quote, view};
use crate::store::reads;

/// A restaurant in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nearby {
    id: RestaurantId,
    name: String,
    place: LatLng,
    /// The restaurant's own switch.
    open: bool,
    /// Whether it takes orders now.
    open_now: bool,
    /// When it opens again, where its hours say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_at: Option<UnixMs>,
    /// From the place, in metres; absent where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<f64>,
    delivery_radius_m: u32,
    /// How long it cooks now.
    preparation_min: u32,
    /// What customers gave, 1 to 5 stars on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    stars: Option<f64>,
    /// How many of them.
    ratings: u64,
    /// Items whose names have the words that were searched for, at most 5.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matches: Vec<String>,
}

/// Items named with a restaurant that was found by them.
const MATCHES_MAX: usize = 5;

/// Longest words to look for, in characters.
const WORDS_MAX: usize = 100;

/// What is looked for in names.
struct Words(Vec<String>);

impl Words {
    fn read(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else {
            return Ok(Self(Vec::new()));
        };
        if !(1..=WORDS_MAX).contains(&text.chars().count()) {
            return Err(fault("q", "want 1 to 100 characters"));
        }
        Ok(Self(text.split_whitespace().map(str::to_lowercase).collect()))
    }

    fn are_in(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.iter().all(|word| name.contains(word.as_str()))
    }

    /// The items that bring a restaurant into the list; `None` where it does not belong there.
    fn matches(&self, row: &Restaurant) -> Option<Vec<String>> {
        if self.0.is_empty() || self.are_in(&row.name) {
            return Some(Vec::new());
        }
        let items = row.menu.iter().filter(|item| self.are_in(&item.name));
        let items: Vec<_> = items.take(MATCHES_MAX).map(|item| item.name.clone()).collect();
        (!items.is_empty()).then_some(items)
    }
}

/// Restaurants that deliver to a place, nearest first; without a place all of them, by id. Closed ones too, unless only
/// open ones are asked for.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(cursor::near)?);
    let place = query.place_if_given()?;
    let words = Words::read(query.text("q"))?;
    let only_open = query.get("open", "true or false")?.unwrap_or(false);
    let (app, now) = (&call.app, call.app.clock.now());
    let catalogue = app.catalogue();
    let mut found: Vec<(f64, &Restaurant, Vec<String>)> = catalogue
        .restaurants
        .values()
        .filter(|row| row.moved_to.is_none())
        .filter(|row| place.is_none_or(|place| row.delivers_to(&place)))
        .filter(|row| !only_open || quote::is_open(row, now, &app.policy))
        .map(|row| (place.map_or(0.0, |place| row.place.distance_m(&place)), row.as_ref()))
        .filter(|(distance_m, row)| {
            after.is_none_or(|(last_m, last)| distance_m.total_cmp(&last_m).then(row.id.cmp(&last)).is_gt())
        })
        .filter_map(|(distance_m, row)| Some((distance_m, row, words.matches(row)?)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
    let more = found.len() > limit;
    found.truncate(limit);
    let ids: Vec<RestaurantId> = found.iter().map(|(_, row, _)| row.id).collect();
    let stars = app
        .reads
        .read(move |connection| reads::stars_of(connection, &ids))
        .await;
    let stars = stars.map_err(error::from_read)?;
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(distance_m, row, _)| cursor::of_near(*distance_m, &row.id));
    let data = found
        .into_iter()
        .zip(stars)
        .map(|((distance_m, row, matches), stars)| Nearby {
            id: row.id,
            name: row.name.clone(),
            place: row.place,
            open: row.open,
            open_now: quote::is_open(row, now, &app.policy),
            opens_at: row.hours.opens_at(now, &app.policy.zone).filter(|at| *at > now),
            distance_m: place.map(|_| distance_m.round()),
            delivery_radius_m: row.delivery_radius_m,
            preparation_min: row.cooking_min(now),
            stars: stars.average(),
            ratings: stars.count,
            matches,
        });
    ok(&Page {
        data: data.collect(),
        next_cursor,
    })
}

/// One restaurant with its menu, and what is left of what is counted.
pub async fn read(call: Call) -> Result<Response, Problem> {
    let id: RestaurantId = call.id("rst")?;
    let restaurant = call
        .app
        .catalogue()
        .restaurants
        .get(&id)
        .cloned()
        .ok_or_else(error::not_found)?;
    if let Some(to) = &restaurant.moved_to {
        return Err(error::from_refusal(call.app.catalogue().territory.gone(to)));
    }
    let stock = stock(&call, &restaurant).await?;
    let left = |item_id: ItemId| {
        let at = stock.binary_search_by_key(&item_id, |(item_id, _)| *item_id).ok()?;
        stock.get(at).map(|(_, stock)| *stock)
    };
    let view = view::restaurant(&restaurant, &call.app.policy, call.app.clock.now(), left);
    let mut response = ok(&view)?;
    set_etag(&mut response, restaurant.version);
    Ok(response)
}

/// What there is of a restaurant's counted items, by id.
pub async fn stock(call: &Call, restaurant: &Restaurant) -> Result<Vec<(ItemId, Stock)>, Problem> {
    if !restaurant.menu.iter().any(|item| item.counted) {
        return Ok(Vec::new());
    }
    let id = restaurant.id;
    let found = call
        .app
        .reads
        .read(move |connection| reads::stock(connection, id))
        .await;
    let mut stock = found.map_err(error::from_read)?;
    stock.sort_by_key(|(item_id, _)| *item_id);
    Ok(stock)
}
