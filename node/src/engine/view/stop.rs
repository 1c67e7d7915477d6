//! Where a driver goes next, and for what.

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::id::OrderId;
use tomato_shared::order::DeliveryState;

use crate::engine::model::Order;

/// What is done at a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// The orders are fetched.
    Pickup,
    /// The order is handed over.
    Dropoff,
    /// What could not be handed over is brought back.
    Return,
}

/// A place that a driver goes to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StopView {
    /// What for.
    pub kind: StopKind,
    /// Restaurant or door.
    pub place: LatLng,
    /// Which orders; of a drop-off one.
    pub order_ids: Vec<OrderId>,
}

/// The stops of a driver who is bound to `orders`, given in the order of delivery: trip by trip, first what is fetched, then
/// each door. What has to be brought back goes last in its trip.
pub fn stops(orders: &[&Order]) -> Vec<StopView> {
    let mut stops: Vec<StopView> = Vec::new();
    let mut trips: Vec<u32> = orders.iter().map(|order| order.delivery.trip).collect();
    trips.dedup();
    for trip in trips {
        let trip = || orders.iter().filter(move |order| order.delivery.trip == trip);
        let first = stops.len();
        for order in trip().filter(|order| is_to_fetch(order)) {
            let place = order.restaurant_place;
            match stops[first..].iter_mut().find(|stop| stop.place == place) {
                Some(stop) => stop.order_ids.push(order.id),
                None => stops.push(stop(StopKind::Pickup, place, order.id)),
            }
        }
        let returning = |order: &&&Order| order.delivery.state == DeliveryState::Returning;
        for order in trip().filter(|order| !returning(order)) {
            stops.push(stop(StopKind::Dropoff, order.deliver_to.place, order.id));
        }
        for order in trip().filter(returning) {
            stops.push(stop(StopKind::Return, order.restaurant_place, order.id));
        }
    }
    stops
}

fn is_to_fetch(order: &Order) -> bool {
    matches!(
        order.delivery.state,
        DeliveryState::Assigned | DeliveryState::AtRestaurant
    )
}

fn stop(kind: StopKind, place: LatLng, id: OrderId) -> StopView {
    StopView {
        kind,
        place,
        order_ids: vec![id],
    }
}
