//! Prices, estimates, and quotes that the region has signed.
//!
//! A quote is not a row: it is its own proof (HMAC-SHA256, RFC 2104, over the JSON it carries), so asking for prices
//! costs the writer nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tomato_shared::cell::LatLng;
use tomato_shared::event::{Line, Price};
use tomato_shared::id::{ItemId, RestaurantId, UserId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::city::Catalogue;
use super::command::Refusal;
use super::model::{Address, Restaurant};
use super::policy::Policy;

/// What a customer wants to know the price of.
#[derive(Debug, Clone)]
pub struct QuoteRequest {
    /// Who asks; only they can use the quote.
    pub customer_id: UserId,
    /// The chosen restaurant, or none: then the nearest open one that sells everything.
    pub restaurant_id: Option<RestaurantId>,
    /// What and how many.
    pub items: Vec<(ItemId, u32)>,
    /// Where to.
    pub deliver_to: Address,
    /// For the driver.
    pub tip_minor: i64,
}

/// The answer to a [`QuoteRequest`].
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuoteView {
    /// To be sent with the order.
    pub quote: String,
    /// Until when it is honoured.
    pub expires_at: UnixMs,
    /// Who would cook.
    pub restaurant_id: RestaurantId,
    /// What was priced.
    pub lines: Vec<Line>,
    /// What it costs.
    pub price: Price,
    /// When it would arrive if ordered now.
    pub estimated_delivery_at: UnixMs,
}

/// What a quote fixes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Who may use it.
    pub customer_id: UserId,
    /// Who cooks.
    pub restaurant_id: RestaurantId,
    /// What is ordered, priced.
    pub lines: Vec<Line>,
    /// What it costs.
    pub price: Price,
    /// Where it goes.
    pub place: LatLng,
    /// Until when it is honoured.
    pub expires_at: UnixMs,
}

/// Prices a request and signs the result. Refuses as placing the same order would, except for stock, which is not held.
pub fn quote(
    catalogue: &Catalogue,
    policy: &Policy,
    request: &QuoteRequest,
    now: UnixMs,
) -> Result<QuoteView, Refusal> {
    let place = request.deliver_to.place;
    let restaurant = choose(
        catalogue,
        policy,
        request.restaurant_id,
        &request.items,
        place,
        |_, _| true,
    )?;
    let lines = lines(restaurant, &request.items)?;
    let price = price(restaurant, &lines, place, request.tip_minor, policy)?;
    let terms = Terms {
        customer_id: request.customer_id,
        restaurant_id: restaurant.id,
        lines,
        price,
        place,
        expires_at: now + policy.quote_ttl,
    };
    Ok(QuoteView {
        quote: sign(&terms, &policy.quote_key),
        expires_at: terms.expires_at,
        restaurant_id: terms.restaurant_id,
        lines: terms.lines,
        price: terms.price,
        estimated_delivery_at: estimate(restaurant, place, policy, now),
    })
}

/// The restaurant for an order: the chosen one, or the nearest that has everything; `in_stock` has the last word.
pub fn choose<'c>(
    catalogue: &'c Catalogue,
    policy: &Policy,
    chosen: Option<RestaurantId>,
    items: &[(ItemId, u32)],
    place: LatLng,
    in_stock: impl Fn(&Restaurant, &[Line]) -> bool,
) -> Result<&'c Restaurant, Refusal> {
    if !policy.cells.contains(&place) {
        return Err(Rejection::OutOfArea.into());
    }
    if let Some(id) = chosen {
        let restaurant = catalogue.get(&id).ok_or(Rejection::NotFound)?;
        if !restaurant.open {
            return Err(Refusal::with(Rejection::RestaurantClosed, restaurant.name.clone()));
        }
        if restaurant.place.distance_m(&place) > f64::from(restaurant.delivery_radius_m) {
            return Err(Refusal::with(Rejection::TooFarFromRestaurant, restaurant.name.clone()));
        }
        return Ok(restaurant);
    }
    let serves = |restaurant: &&Restaurant| {
        within_reach(restaurant, place, policy)
            && lines(restaurant, items).is_ok_and(|lines| in_stock(restaurant, &lines))
    };
    nearest(catalogue, place)
        .find(serves)
        .ok_or_else(|| Rejection::NoRestaurant.into())
}

/// Restaurants by distance from a place, ties by id.
pub fn nearest(catalogue: &Catalogue, place: LatLng) -> impl Iterator<Item = &Restaurant> {
    let mut all: Vec<_> = catalogue
        .values()
        .map(|row| (row.place.distance_m(&place), row.as_ref()))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
    all.into_iter().map(|(_, row)| row)
}

/// Whether an open restaurant may be asked for an order that did not choose it.
pub fn within_reach(restaurant: &Restaurant, place: LatLng, policy: &Policy) -> bool {
    let reach_m = policy.restaurant_radius_m.min(f64::from(restaurant.delivery_radius_m));
    restaurant.open && restaurant.place.distance_m(&place) <= reach_m
}

/// The lines of an order as this restaurant sells them, each item once, in the order of first mention.
pub fn lines(restaurant: &Restaurant, items: &[(ItemId, u32)]) -> Result<Vec<Line>, Refusal> {
    let mut at: BTreeMap<ItemId, usize> = BTreeMap::new();
    let mut lines: Vec<Line> = Vec::with_capacity(items.len());
    for (item_id, quantity) in items {
        if *quantity == 0 {
            return Err(Refusal::with(Rejection::OrderValue, format!("0 of {item_id}")));
        }
        if let Some(place) = at.get(item_id) {
            lines[*place].quantity = lines[*place].quantity.saturating_add(*quantity);
            continue;
        }
        let item = restaurant.menu.iter().find(|item| item.id == *item_id);
        let item = item.ok_or_else(|| Refusal::with(Rejection::ItemUnknown, item_id.to_string()))?;
        if !item.available {
            return Err(Refusal::with(Rejection::ItemUnavailable, item.name.clone()));
        }
        at.insert(*item_id, lines.len());
        lines.push(Line {
            item_id: *item_id,
            name: item.name.clone(),
            quantity: *quantity,
            unit_minor: item.price_minor,
            choices: Vec::new(),
        });
    }
    if lines.is_empty() {
        Err(Rejection::ItemUnknown.into())
    } else {
        Ok(lines)
    }
}

/// What the lines cost at the door. Taxes are on items and fees, not on the tip.
pub fn price(
    restaurant: &Restaurant,
    lines: &[Line],
    place: LatLng,
    tip_minor: i64,
    policy: &Policy,
) -> Result<Price, Refusal> {
    let fees = &policy.fees;
    let items = lines
        .iter()
        .map(|line| i128::from(line.unit_minor) * i128::from(line.quantity))
        .sum::<i128>();
    let items_minor = i64::try_from(items).map_err(|_| Rejection::OrderValue)?;
    let delivery_fee_minor = fees
        .delivery_base_minor
        .saturating_add(fees.delivery_per_km_minor.saturating_mul(started_km(restaurant, place)));
    let service_fee_minor = fees.service.of(items_minor);
    let taxed = items_minor
        .saturating_add(delivery_fee_minor)
        .saturating_add(service_fee_minor);
    let tax_minor = fees.tax.of(taxed);
    let total_minor = taxed.saturating_add(tax_minor).saturating_add(tip_minor);
    if items_minor < fees.items_min_minor || total_minor > fees.total_max_minor || tip_minor < 0 {
        return Err(Rejection::OrderValue.into());
    }
    Ok(Price {
        items_minor,
        delivery_fee_minor,
        service_fee_minor,
        tax_minor,
        discount_minor: 0,
        tip_minor,
        total_minor,
        currency: policy.currency,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a distance on earth is below 20,100 km")]
fn started_km(restaurant: &Restaurant, place: LatLng) -> i64 {
    (restaurant.place.distance_m(&place) / 1_000.0).ceil() as i64
}

/// When an order confirmed now would arrive: cooking, then the way, then two minutes at each door.
pub fn estimate(restaurant: &Restaurant, place: LatLng, policy: &Policy, now: UnixMs) -> UnixMs {
    let cooking = DurationMs::from_mins(i64::from(restaurant.preparation_min));
    now + cooking + travel(restaurant.place.distance_m(&place), policy) + DurationMs::from_mins(4)
}

/// How long a driver needs for a straight line.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most earth's circumference at walking speed: far below 2^53 ms"
)]
pub fn travel(distance_m: f64, policy: &Policy) -> DurationMs {
    DurationMs((distance_m / policy.dispatch.speed_m_per_min.max(1.0) * 60_000.0) as i64)
}

/// Reads a quote that this region has signed. Fails with `quote_invalid` for anything else.
pub fn verify(quote: &str, key: &[u8]) -> Result<Terms, Refusal> {
    let invalid = || Refusal::from(Rejection::QuoteInvalid);
    let (terms, signature) = quote.split_once('.').ok_or_else(invalid)?;
    let terms = URL_SAFE_NO_PAD.decode(terms).map_err(|_| invalid())?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    mac(key, &terms).verify_slice(&signature).map_err(|_| invalid())?;
    serde_json::from_slice(&terms).map_err(|_| invalid())
}

fn sign(terms: &Terms, key: &[u8]) -> String {
    // Serialising numbers, ids and strings to memory cannot fail.
    let terms = serde_json::to_vec(terms).unwrap_or_default();
    let signature = mac(key, &terms).finalize().into_bytes();
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(&terms),
        URL_SAFE_NO_PAD.encode(signature)
    )
}

fn mac(key: &[u8], terms: &[u8]) -> Hmac<Sha256> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(terms),
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}
