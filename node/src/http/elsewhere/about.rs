//! What a request is about: a place, or something with an id.

use serde::Deserialize;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DeliveryId, OrderId, RestaurantId};

use crate::http::call::Call;
use crate::http::table::Access;
use crate::region::peers::wire::Thing;

/// The place that a request is about, where it decides whose the request is.
pub(super) fn place(call: &Call) -> Option<LatLng> {
    #[derive(Deserialize)]
    struct About {
        #[serde(default)]
        restaurant_id: Option<RestaurantId>,
        deliver_to: To,
    }
    #[derive(Deserialize)]
    struct To {
        place: LatLng,
    }
    match call.route.name {
        "orders::place" | "quotes::make" => {
            // What cannot be read is refused by the handler, which says what is wrong with it.
            let about: About = serde_json::from_slice(&call.body).ok()?;
            let chosen = about.restaurant_id;
            // Also of one that has gone: what was answered about it here is found, and the rest is followed.
            let ours = chosen.is_some_and(|id| call.app.catalogue().restaurants.contains_key(&id));
            (!ours).then_some(about.deliver_to.place)
        }
        "restaurants::list" => call.query().ok()?.place_if_given().ok()?,
        _ => None,
    }
}

/// What the path names, or the query of a socket.
pub(super) fn thing(call: &Call) -> Option<Thing> {
    let followed = || call.query().ok()?.get("order", "an order").ok()?;
    let order = match call.route.access {
        Access::Socket(_) => followed().map(Thing::Order),
        Access::Public | Access::Roles(_) => call.id("ord").ok().map(Thing::Order),
    };
    let delivery = || {
        let id: DeliveryId = call.id("del").ok()?;
        Some(Thing::Order(OrderId::from_bytes(*id.bytes())))
    };
    let restaurant = || call.id("rst").ok().map(Thing::Restaurant);
    order.or_else(delivery).or_else(restaurant)
}
