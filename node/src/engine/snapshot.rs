//! What a planner outside the writer gets to see: the facts of the working set that bear on who drives where.

use tomato_shared::cell::LatLng;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{DriverId, OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::city::City;
use super::model::{Driver, Order};

/// The region as of one commit.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Accepted orders that are not handed over, by id.
    pub orders: Vec<OrderSeen>,
    /// Drivers who are signed on, by id; without those who are borrowed for one order.
    pub drivers: Vec<DriverSeen>,
}

/// An order that has to be fetched, or is on its way.
#[derive(Debug, Clone)]
pub struct OrderSeen {
    /// Which.
    pub id: OrderId,
    /// Who cooks.
    pub restaurant_id: RestaurantId,
    /// Where.
    pub restaurant_place: LatLng,
    /// Where it goes.
    pub door: LatLng,
    /// When the restaurant took it on.
    pub accepted_at: UnixMs,
    /// When it is promised; from readiness on, when it was ready.
    pub ready_at: UnixMs,
    /// Whether it is cooked.
    pub ready: bool,
    /// Where the delivery stands.
    pub delivery: DeliveryState,
    /// Which of the driver's trips it belongs to.
    pub trip: u32,
    /// When its driver was bound to it.
    pub assigned_at: UnixMs,
    /// Who must not be asked: gave it back or declined it.
    pub excluded: Vec<DriverId>,
    /// What the driver takes at the door, in minor units.
    pub cash_minor: i64,
}

/// A driver at work.
#[derive(Debug, Clone)]
pub struct DriverSeen {
    /// Who.
    pub id: DriverId,
    /// Of the row; an intent holds only for this one.
    pub version: u32,
    /// When they want to stop.
    pub shift_ends_at: Option<UnixMs>,
    /// Asked to fetch.
    pub offered: Vec<OrderId>,
    /// Bound to.
    pub delivering: Vec<OrderId>,
    /// How often they refuse, per mille.
    pub refusal_permille: i64,
    /// Cash in hand, in minor units.
    pub cash_minor: i64,
}

impl Snapshot {
    /// Takes one of the working set.
    pub fn of(city: &City) -> Self {
        Self {
            orders: city.orders().filter_map(order).collect(),
            drivers: city.drivers().filter(|row| is_planned(row)).map(driver).collect(),
        }
    }

    /// An order by id.
    pub fn order(&self, id: OrderId) -> Option<&OrderSeen> {
        let at = self.orders.binary_search_by_key(&id, |order| order.id).ok()?;
        self.orders.get(at)
    }
}

/// Who is borrowed is here for one order, and knows it.
fn is_planned(row: &Driver) -> bool {
    row.online && row.borrowed().is_none()
}

fn order(order: &Order) -> Option<OrderSeen> {
    let cooking = matches!(
        order.state,
        OrderState::Preparing | OrderState::ReadyForPickup | OrderState::OutForDelivery
    );
    if !cooking && order.delivery.state != DeliveryState::Returning {
        return None;
    }
    let delivery = &order.delivery;
    let accepted_at = order.accepted_at.unwrap_or(order.placed_at);
    Some(OrderSeen {
        id: order.id,
        restaurant_id: order.restaurant_id,
        restaurant_place: order.restaurant_place,
        door: order.deliver_to.place,
        accepted_at,
        ready_at: order.ready_at.unwrap_or(accepted_at),
        ready: order.state != OrderState::Preparing,
        delivery: delivery.state,
        trip: delivery.trip,
        assigned_at: delivery.assigned_at.unwrap_or(accepted_at),
        excluded: delivery.excluded.iter().chain(&delivery.declined).copied().collect(),
        cash_minor: match order.payment.method {
            PaymentMethod::Cash => order.price.total_minor,
            PaymentMethod::Card => 0,
        },
    })
}

fn driver(row: &Driver) -> DriverSeen {
    DriverSeen {
        id: row.id,
        version: row.version,
        shift_ends_at: row.shift.and_then(|shift| shift.ends_at),
        offered: row.offered.clone(),
        delivering: row.delivering.clone(),
        refusal_permille: row.refusal_permille(),
        cash_minor: row.cash_minor,
    }
}
