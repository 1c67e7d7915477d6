//! Prices, estimates, and quotes that the region has signed.
//!
//! A quote is not a row: it is its own proof (HMAC-SHA256, RFC 2104, over the JSON it carries), so asking for prices
//! costs the writer nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tomato_shared::cell::LatLng;
use tomato_shared::control::Feature;
use tomato_shared::event::{Line, Price};
use tomato_shared::id::{RestaurantId, UserId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::city::Catalogue;
use super::command::{Basket, Refusal};
use super::menu;
use super::model::{Promo, Restaurant, Saving};
use super::policy::{Policy, Rates, Tariff, Zone};

/// The answer to a question for a price.
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
    /// When it would arrive if ordered now, or the wanted time.
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
    /// What later reckonings of the order go by.
    pub rates: Rates,
    /// Where it goes.
    pub place: LatLng,
    /// When it is wanted.
    pub deliver_at: Option<UnixMs>,
    /// What brought the discount.
    pub promo: Option<Promo>,
    /// Until when it is honoured.
    pub expires_at: UnixMs,
}

/// Prices a basket and signs the result. Refuses as placing the same order would, except for what only the writer counts:
/// stock, and how often a promotion was used.
pub fn quote(
    catalogue: &Catalogue,
    policy: &Policy,
    customer_id: UserId,
    basket: &Basket,
    now: UnixMs,
) -> Result<QuoteView, Refusal> {
    let restaurant = choose(catalogue, policy, basket, now, |_, _| true)?;
    let (lines, price, promo) = priced(catalogue, policy, restaurant, basket, now)?;
    let place = basket.deliver_to.place;
    let terms = Terms {
        customer_id,
        restaurant_id: restaurant.id,
        lines,
        price,
        rates: catalogue.tariff(policy).rates,
        place,
        deliver_at: basket.deliver_at,
        promo,
        expires_at: now + policy.quote_ttl,
    };
    let soonest = estimate(restaurant, place, policy, now);
    Ok(QuoteView {
        quote: sign(&terms, &policy.quote_key),
        expires_at: terms.expires_at,
        restaurant_id: terms.restaurant_id,
        lines: terms.lines,
        price: terms.price,
        estimated_delivery_at: basket.deliver_at.unwrap_or(soonest),
    })
}

/// The lines and the price of a basket at a restaurant.
pub fn priced(
    catalogue: &Catalogue,
    policy: &Policy,
    restaurant: &Restaurant,
    basket: &Basket,
    now: UnixMs,
) -> Result<(Vec<Line>, Price, Option<Promo>), Refusal> {
    let lines = menu::lines(restaurant, &basket.items, cooking_at(restaurant, basket, policy, now))?;
    let tariff = catalogue.tariff(policy);
    let mut sums = Sums::of(
        restaurant,
        &lines,
        basket.deliver_to.place,
        (&tariff, &policy.fees.zones),
    )?;
    sums.tip_minor = basket.tip_minor;
    let mut promo = None;
    if let Some(code) = &basket.promo_code {
        let found = catalogue.promotion(code).ok_or(Rejection::PromoInvalid)?;
        if !found.applies(restaurant.id, sums.items_minor, now) {
            return Err(Rejection::PromoInvalid.into());
        }
        sums.discount_minor = found.discount_minor(sums.items_minor, sums.delivery_fee_minor);
        promo = Some(Promo {
            code: code.clone(),
            borne_by: found.borne_by,
            of_delivery: found.saving == Saving::FreeDelivery,
            uses_max: found.uses_max,
            uses_per_customer_max: found.uses_per_customer_max,
        });
    }
    Ok((lines, sums.price(&tariff.rates, policy)?, promo))
}

/// The restaurant for a basket: the chosen one, or the nearest that has everything; `in_stock` has the last word.
pub fn choose<'c>(
    catalogue: &'c Catalogue,
    policy: &Policy,
    basket: &Basket,
    now: UnixMs,
    in_stock: impl Fn(&Restaurant, &[Line]) -> bool,
) -> Result<&'c Restaurant, Refusal> {
    if let Some(reason) = catalogue.paused() {
        return Err(Refusal::with(Rejection::RegionPaused, reason));
    }
    if basket.deliver_at.is_some() && catalogue.is_off(Feature::Scheduled) {
        return Err(Refusal::with(Rejection::FeatureOff, "orders for later"));
    }
    let place = basket.deliver_to.place;
    catalogue.territory.check(policy, &place)?;
    if let Some(id) = basket.restaurant_id {
        let restaurant = catalogue.restaurants.get(&id).ok_or(Rejection::NotFound)?;
        if let Some(to) = &restaurant.moved_to {
            return Err(catalogue.territory.gone(to));
        }
        takes_orders(restaurant, basket, policy, now)?;
        if !restaurant.delivers_to(&place) {
            return Err(Refusal::with(Rejection::TooFarFromRestaurant, restaurant.name.clone()));
        }
        return Ok(restaurant);
    }
    let serves = |restaurant: &&Restaurant| {
        within_reach(restaurant, place, policy)
            && takes_orders(restaurant, basket, policy, now).is_ok()
            && menu::lines(restaurant, &basket.items, cooking_at(restaurant, basket, policy, now))
                .is_ok_and(|lines| in_stock(restaurant, &lines))
    };
    nearest(catalogue, place)
        .find(serves)
        .ok_or_else(|| Rejection::NoRestaurant.into())
}

/// Whether a restaurant takes an order for now, or for the time that is wanted.
fn takes_orders(restaurant: &Restaurant, basket: &Basket, policy: &Policy, now: UnixMs) -> Result<(), Refusal> {
    let closed = |detail: String| Err(Refusal::with(Rejection::RestaurantClosed, detail));
    let Some(deliver_at) = basket.deliver_at else {
        return if is_open(restaurant, now, policy) {
            Ok(())
        } else {
            closed(opens_again(restaurant, now, policy))
        };
    };
    let soonest = estimate(restaurant, basket.deliver_to.place, policy, now);
    if deliver_at < soonest {
        let detail = format!("the earliest is {soonest}; leave deliver_at out to have it as soon as possible");
        return Err(Refusal::with(Rejection::ScheduleInvalid, detail));
    }
    if deliver_at > now + policy.schedule_max {
        let detail = format!("the latest is {}", now + policy.schedule_max);
        return Err(Refusal::with(Rejection::ScheduleInvalid, detail));
    }
    let cook_at = cooking_at(restaurant, basket, policy, now);
    // What the switches say now says little about later; whether the operator has closed it does.
    if restaurant.suspended || restaurant.moved_to.is_some() || !has_hours(restaurant, cook_at, policy) {
        return closed(format!(
            "{} would have to cook at {cook_at} and is closed then",
            restaurant.name
        ));
    }
    Ok(())
}

/// Whether a restaurant can be asked to cook at a moment.
pub fn is_open(restaurant: &Restaurant, at: UnixMs, policy: &Policy) -> bool {
    restaurant.is_willing(at) && has_hours(restaurant, at, policy)
}

/// Whether its hours let it take an order at a moment: open, and not just about to close.
fn has_hours(restaurant: &Restaurant, at: UnixMs, policy: &Policy) -> bool {
    let closes_at = restaurant.hours.closes_at(at, &policy.zone);
    closes_at.is_some_and(|closes_at| closes_at.0.saturating_sub(policy.last_order_before.0) > at.0)
}

fn opens_again(restaurant: &Restaurant, now: UnixMs, policy: &Policy) -> String {
    let name = &restaurant.name;
    let after = restaurant.paused_until.unwrap_or(now).max(now);
    if !restaurant.open || restaurant.suspended {
        return name.clone();
    }
    match restaurant.hours.opens_at(after, &policy.zone) {
        Some(at) if at > now => format!("{name} opens at {at}"),
        Some(_) | None => name.clone(),
    }
}

/// When the restaurant would have to begin to cook: now, or in time for the wanted moment.
pub fn cooking_at(restaurant: &Restaurant, basket: &Basket, policy: &Policy, now: UnixMs) -> UnixMs {
    match basket.deliver_at {
        Some(deliver_at) => {
            let lead = estimate(restaurant, basket.deliver_to.place, policy, deliver_at) - deliver_at;
            UnixMs(deliver_at.0.saturating_sub(lead.0)).max(now)
        }
        None => now,
    }
}

/// Restaurants by distance from a place, ties by id.
pub fn nearest(catalogue: &Catalogue, place: LatLng) -> impl Iterator<Item = &Restaurant> {
    let rows = catalogue.restaurants.values();
    let mut all: Vec<_> = rows.map(|row| (row.place.distance_m(&place), row.as_ref())).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
    all.into_iter().map(|(_, row)| row)
}

/// Whether a restaurant may be asked for an order that did not choose it.
pub fn within_reach(restaurant: &Restaurant, place: LatLng, policy: &Policy) -> bool {
    restaurant.delivers_to(&place) && restaurant.place.distance_m(&place) <= policy.restaurant_radius_m
}

/// The parts of a price, before tax and total.
#[derive(Debug, Clone, Copy)]
pub struct Sums {
    /// As in [`Price`].
    pub items_minor: i64,
    /// As in [`Price`].
    pub delivery_fee_minor: i64,
    /// As in [`Price`].
    pub discount_minor: i64,
    /// As in [`Price`].
    pub tip_minor: i64,
}

impl Sums {
    /// What lines and way cost, before anything is taken off.
    pub fn of(
        restaurant: &Restaurant,
        lines: &[Line],
        place: LatLng,
        (tariff, zones): (&Tariff, &[Zone]),
    ) -> Result<Self, Refusal> {
        let zone = zones.iter().find(|zone| zone.cells.contains(&place));
        let way = tariff
            .delivery_per_km_minor
            .saturating_mul(started_km(restaurant.place.distance_m(&place)));
        let fee = tariff.delivery_base_minor.saturating_add(way);
        Ok(Self {
            items_minor: items_minor(lines)?,
            delivery_fee_minor: fee.saturating_add(zone.map_or(0, |zone| zone.extra_minor)).max(0),
            discount_minor: 0,
            tip_minor: 0,
        })
    }

    /// What it costs at the door. Taxes are on items and fees less the discount, not on the tip.
    pub fn price(self, rates: &Rates, policy: &Policy) -> Result<Price, Refusal> {
        let fees = &policy.fees;
        let service_fee_minor = rates.service.of(self.items_minor);
        let net = self
            .items_minor
            .saturating_add(self.delivery_fee_minor)
            .saturating_add(service_fee_minor);
        let discount_minor = self.discount_minor.clamp(0, net);
        let taxed = net - discount_minor;
        let tax_minor = fees.tax.of(taxed);
        let total_minor = taxed.saturating_add(tax_minor).saturating_add(self.tip_minor);
        if self.items_minor < rates.items_min_minor || total_minor > fees.total_max_minor || self.tip_minor < 0 {
            return Err(Rejection::OrderValue.into());
        }
        Ok(Price {
            items_minor: self.items_minor,
            delivery_fee_minor: self.delivery_fee_minor,
            service_fee_minor,
            tax_minor,
            discount_minor,
            tip_minor: self.tip_minor,
            total_minor,
            currency: policy.currency,
        })
    }
}

/// What lines cost.
pub fn items_minor(lines: &[Line]) -> Result<i64, Refusal> {
    let each = |line: &Line| i128::from(line.unit_minor) * i128::from(line.quantity);
    let sum: i128 = lines.iter().map(each).sum();
    i64::try_from(sum).map_err(|_| Rejection::OrderValue.into())
}

/// Kilometres that have been begun.
#[expect(clippy::cast_possible_truncation, reason = "a distance on earth is below 20,100 km")]
pub fn started_km(distance_m: f64) -> i64 {
    (distance_m / 1_000.0).ceil() as i64
}

/// When an order confirmed now would arrive: cooking, then the way, then two minutes at each door.
pub fn estimate(restaurant: &Restaurant, place: LatLng, policy: &Policy, now: UnixMs) -> UnixMs {
    let cooking = DurationMs::from_mins(i64::from(restaurant.cooking_min(now)));
    now + cooking + way(restaurant.place.distance_m(&place), policy)
}

/// How long it takes from the restaurant's counter to the customer's hand: the way and two minutes at each door.
pub fn way(distance_m: f64, policy: &Policy) -> DurationMs {
    DurationMs(travel(distance_m, policy).0 + DurationMs::from_mins(4).0)
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
