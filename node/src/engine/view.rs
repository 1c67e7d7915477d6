//! What each party gets to see: the bodies of answers and of live messages.
//!
//! One place decides who sees an address, a PIN or a telephone number, for HTTP and WebSocket alike.

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::event::{CancelReason, Line, PaymentMethod, Price};
use tomato_shared::id::{DeliveryId, DriverId, ItemId, OfferId, OrderId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::model::{Address, By, Driver, Order, PaymentState, Restaurant, Stock};

/// The body of an answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Reply {
    /// An order as its reader may see it.
    Order(Box<OrderView>),
    /// A driver.
    Driver(DriverView),
    /// A restaurant with its menu.
    Restaurant(Box<RestaurantView>),
    /// Nothing to tell.
    Done {},
}

/// An order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderView {
    /// `ord_...`
    pub id: OrderId,
    /// Where it stands.
    pub state: OrderState,
    /// Counts its events; only rises.
    pub version: u32,
    /// Who ordered.
    pub customer_id: UserId,
    /// Who cooks.
    pub restaurant: PlaceView,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// What it costs.
    pub price: Price,
    /// How it is paid.
    pub payment: PaymentView,
    /// The driver's side.
    pub delivery: DeliveryView,
    /// Where it goes; left out for those who need not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_to: Option<Address>,
    /// What the customer tells the driver at the door; the customer alone sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// When it was placed.
    pub placed_at: UnixMs,
    /// When it was paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<UnixMs>,
    /// Until when the restaurant has to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_by: Option<UnixMs>,
    /// When it is or will be ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<UnixMs>,
    /// When the customer can expect it.
    pub estimated_delivery_at: UnixMs,
    /// When it became final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMs>,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<CancelReason>,
}

/// A restaurant within an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlaceView {
    /// `rst_...`
    pub id: RestaurantId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: LatLng,
}

/// The money within an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentView {
    /// Card or cash.
    pub method: PaymentMethod,
    /// Where it stands.
    pub state: PaymentState,
}

/// The driver's side within an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeliveryView {
    /// `del_...`
    pub id: DeliveryId,
    /// Where it stands.
    pub state: DeliveryState,
    /// The open offer, for the driver it is made to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferView>,
    /// Who drives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverCard>,
    /// When the driver took it along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picked_up_at: Option<UnixMs>,
}

/// An offer as its driver sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OfferView {
    /// `ofr_...`
    pub id: OfferId,
    /// Metres to the restaurant.
    pub distance_m: u32,
    /// Until when it can be accepted.
    pub expires_at: UnixMs,
}

/// A driver as others see them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DriverCard {
    /// `drv_...`
    pub id: DriverId,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their telephone, while they are bound to the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Shows an order to somebody. `driver` is the order's driver where its row is at hand.
pub fn order(order: &Order, driver: Option<&Driver>, viewer: By) -> OrderView {
    let full = matches!(viewer, By::Customer(_) | By::Operator(_) | By::System | By::Provider);
    let assigned = matches!(viewer, By::Driver(id) if order.delivery.driver_id == Some(id));
    let bound = order.delivery.state.has_driver();
    OrderView {
        id: order.id,
        state: order.state,
        version: order.version,
        customer_id: order.customer_id,
        restaurant: PlaceView {
            id: order.restaurant_id,
            name: order.restaurant_name.clone(),
            place: order.restaurant_place,
        },
        lines: order.lines.clone(),
        price: order.price,
        payment: PaymentView {
            method: order.payment.method,
            state: order.payment.state,
        },
        delivery: DeliveryView {
            id: order.delivery_id(),
            state: order.delivery.state,
            offer: offer(order, viewer),
            driver: order.delivery.driver_id.map(|id| DriverCard {
                id,
                name: driver.map(|driver| driver.name.clone()),
                phone: driver.filter(|_| bound && full).map(|driver| driver.phone.clone()),
            }),
            picked_up_at: order.delivery.picked_up_at,
        },
        deliver_to: (full || (assigned && bound)).then(|| order.deliver_to.clone()),
        pin: matches!(viewer, By::Customer(_)).then(|| order.pin.clone()),
        placed_at: order.placed_at,
        confirmed_at: order.confirmed_at,
        accept_by: order.accept_by,
        ready_at: order.ready_at,
        estimated_delivery_at: order.estimated_delivery_at,
        ended_at: order.ended_at,
        cancel_reason: order.cancel_reason,
    }
}

fn offer(order: &Order, viewer: By) -> Option<OfferView> {
    let open = order.delivery.offer.as_ref()?;
    let sees = match viewer {
        By::Driver(id) => id == open.driver_id,
        By::Operator(_) => true,
        By::Customer(_) | By::Restaurant(_) | By::Provider | By::System => false,
    };
    sees.then_some(OfferView {
        id: open.id,
        distance_m: open.distance_m,
        expires_at: open.expires_at,
    })
}

/// A driver as they and operators see them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DriverView {
    /// `drv_...`
    pub id: DriverId,
    /// Rises with each change.
    pub version: u32,
    /// Their name.
    pub name: String,
    /// Their telephone.
    pub phone: String,
    /// Signed on.
    pub online: bool,
    /// Order of the open offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_order_id: Option<OrderId>,
    /// Order they are bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivering_order_id: Option<OrderId>,
}

/// Shows a driver.
pub fn driver(driver: &Driver) -> DriverView {
    DriverView {
        id: driver.id,
        version: driver.version,
        name: driver.name.clone(),
        phone: driver.phone.clone(),
        online: driver.online,
        offered_order_id: driver.offered,
        delivering_order_id: driver.delivering,
    }
}

/// A restaurant with its menu.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RestaurantView {
    /// `rst_...`
    pub id: RestaurantId,
    /// Rises with each edit.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: LatLng,
    /// Whether it takes orders.
    pub open: bool,
    /// How far it delivers.
    pub delivery_radius_m: u32,
    /// How long it usually cooks.
    pub preparation_min: u32,
    /// What it sells.
    pub menu: Vec<MenuItemView>,
}

/// A menu item.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MenuItemView {
    /// `itm_...`
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Heading.
    pub category: String,
    /// Price of one.
    pub price_minor: i64,
    /// Whether it can be ordered.
    pub available: bool,
    /// How many are left, where that is counted and at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
}

/// Shows a restaurant; `stock` gives what is left of an item where it is counted.
pub fn restaurant(restaurant: &Restaurant, stock: impl Fn(ItemId) -> Option<Stock>) -> RestaurantView {
    RestaurantView {
        id: restaurant.id,
        version: restaurant.version,
        name: restaurant.name.clone(),
        place: restaurant.place,
        open: restaurant.open,
        delivery_radius_m: restaurant.delivery_radius_m,
        preparation_min: restaurant.preparation_min,
        menu: restaurant
            .menu
            .iter()
            .map(|item| MenuItemView {
                id: item.id,
                name: item.name.clone(),
                category: item.category.clone(),
                price_minor: item.price_minor,
                available: item.available,
                left: stock(item.id).filter(|_| item.counted).map(|stock| stock.left()),
            })
            .collect(),
    }
}
