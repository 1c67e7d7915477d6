//! What a region keeps: orders, restaurants and their menus, stock, reservations, drivers.
//!
//! Each of these is one row. They are plain values: a command loads them, decides, and hands new values back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::event::{Actor, CancelReason, DeclineReason, Line, PaymentMethod, Price};
use tomato_shared::id::{DeliveryId, DriverId, ItemId, OfferId, OrderId, PaymentId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

/// Who asks for something; checked against what it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A customer, for their own orders.
    Customer(UserId),
    /// Somebody of a restaurant, for its own orders.
    Restaurant(RestaurantId),
    /// A driver, for their own offers and deliveries.
    Driver(DriverId),
    /// A person who operates the region.
    Operator(UserId),
    /// A payment provider's answer.
    Provider,
    /// The region itself: timers and dispatch.
    System,
}

impl By {
    /// The kind of party, as events name it.
    pub const fn actor(self) -> Actor {
        match self {
            Self::Customer(_) => Actor::Customer,
            Self::Restaurant(_) => Actor::Restaurant,
            Self::Driver(_) => Actor::Driver,
            Self::Operator(_) => Actor::Operator,
            Self::Provider => Actor::Provider,
            Self::System => Actor::System,
        }
    }
}

/// Where an order goes. Personal: never part of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// The door.
    pub place: LatLng,
    /// Street, house, floor as the customer wrote it.
    pub line: String,
    /// What the driver should know.
    #[serde(default)]
    pub note: String,
}

/// The whole of an order: one row, written anew at each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Who it is.
    pub id: OrderId,
    /// Counts its events from 1.
    pub version: u32,
    /// Where it stands.
    pub state: OrderState,
    /// Who ordered.
    pub customer_id: UserId,
    /// Who cooks, or is asked to.
    pub restaurant_id: RestaurantId,
    /// Its name when asked, for display.
    pub restaurant_name: String,
    /// Where the driver fetches it.
    pub restaurant_place: LatLng,
    /// What was ordered, as priced.
    pub lines: Vec<Line>,
    /// What it costs.
    pub price: Price,
    /// Where it goes.
    pub deliver_to: Address,
    /// Four digits by which the customer proves to be there.
    pub pin: String,
    /// The money.
    pub payment: Payment,
    /// The driver's side.
    pub delivery: Delivery,
    /// Restaurants that said no or stayed silent, in order.
    #[serde(default)]
    pub declined_by: Vec<(RestaurantId, DeclineReason)>,
    /// When it was placed.
    pub placed_at: UnixMs,
    /// When the payment was settled.
    #[serde(default)]
    pub confirmed_at: Option<UnixMs>,
    /// Until when the restaurant has to answer.
    #[serde(default)]
    pub accept_by: Option<UnixMs>,
    /// When the restaurant expects to be ready; from readiness on, when it was.
    #[serde(default)]
    pub ready_at: Option<UnixMs>,
    /// When the customer can expect it.
    pub estimated_delivery_at: UnixMs,
    /// When it became final.
    #[serde(default)]
    pub ended_at: Option<UnixMs>,
    /// Why it was given up.
    #[serde(default)]
    pub cancel_reason: Option<CancelReason>,
}

/// Where the money of an order stands. The provider is called by tasks only; see `engine/payment.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentState {
    /// The provider is being asked; its answer is not known.
    Authorising,
    /// The provider holds the money for us.
    Authorised,
    /// The provider is being asked to take it.
    Capturing,
    /// Taken.
    Captured,
    /// The provider is being asked to let go of it.
    Voiding,
    /// Never taken. Final.
    Voided,
    /// The provider is being asked to send it back.
    Refunding,
    /// Sent back. Final.
    Refunded,
    /// The provider said no. Final.
    Declined,
    /// Cash, to be taken at the door.
    CashDue,
    /// Cash, with the driver. Final.
    CashTaken,
    /// Cash that nobody will take, as the order was given up. Final.
    CashWaived,
}

/// What the order wants of its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentGoal {
    /// Promise the money.
    Hold,
    /// Take it.
    Take,
    /// Give it back.
    Return,
}

/// The one payment of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Who it is.
    pub id: PaymentId,
    /// Card or cash.
    pub method: PaymentMethod,
    /// Where it stands.
    pub state: PaymentState,
    /// Where it should get.
    pub goal: PaymentGoal,
    /// The app's token for the card; empty for cash.
    #[serde(default)]
    pub card: String,
    /// Counts attempts; part of the provider's idempotency key.
    pub attempt: u32,
    /// The provider's id, once known.
    #[serde(default)]
    pub transaction_id: String,
}

/// The driver's side of an order. Its id has the order's bytes: one order, one delivery, whoever drives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// The open offer.
    #[serde(default)]
    pub offer: Option<Offer>,
    /// Who drives.
    #[serde(default)]
    pub driver_id: Option<DriverId>,
    /// Drivers who are never asked again for this order: they gave it back after accepting.
    #[serde(default)]
    pub excluded: Vec<DriverId>,
    /// Drivers who declined or let an offer lapse; asked again only when nobody else is near.
    #[serde(default)]
    pub declined: Vec<DriverId>,
    /// How many drivers gave it back after accepting.
    #[serde(default)]
    pub cancellations: u32,
    /// When a driver accepted.
    #[serde(default)]
    pub assigned_at: Option<UnixMs>,
    /// When the driver took it along.
    #[serde(default)]
    pub picked_up_at: Option<UnixMs>,
    /// What the driver showed at the door.
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// A delivery shown to one driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who it is.
    pub id: OfferId,
    /// To whom.
    pub driver_id: DriverId,
    /// Metres from driver to restaurant.
    pub distance_m: u32,
    /// Until when it can be accepted.
    pub expires_at: UnixMs,
}

/// What proves that an order was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// A picture, by reference; never fetched by the node.
    Photo {
        /// Where the app has put it.
        reference: String,
    },
    /// The four digits that the customer was shown.
    Pin {
        /// Compared with the order's.
        pin: String,
    },
    /// A signature, by reference.
    Signature {
        /// Where the app has put it.
        reference: String,
    },
}

impl Proof {
    /// `photo`, `pin` or `signature`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Photo { .. } => "photo",
            Self::Pin { .. } => "pin",
            Self::Signature { .. } => "signature",
        }
    }
}

impl Order {
    /// Id of the order's delivery.
    pub const fn delivery_id(&self) -> DeliveryId {
        DeliveryId::from_bytes(*self.id.bytes())
    }
}

/// A restaurant and its menu: one row, edited as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restaurant {
    /// Who it is.
    pub id: RestaurantId,
    /// Rises with each edit; the ETag.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Where drivers fetch.
    pub place: LatLng,
    /// Whether it takes orders now.
    pub open: bool,
    /// How far it delivers, in metres.
    pub delivery_radius_m: u32,
    /// How long it usually cooks, in minutes.
    pub preparation_min: u32,
    /// What it sells.
    pub menu: Vec<MenuItem>,
}

/// Something a restaurant sells. Branches of a chain share item ids, so that one can take over another's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuItem {
    /// Who it is.
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Heading under which it stands.
    #[serde(default)]
    pub category: String,
    /// Price of one, in minor units of the region's currency.
    pub price_minor: i64,
    /// Whether it can be ordered now.
    pub available: bool,
    /// Whether its stock is counted; see [`Stock`].
    #[serde(default)]
    pub counted: bool,
}

/// Counted stock of one item at one restaurant. Always `reserved + sold <= capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// How many there are in all.
    pub capacity: u32,
    /// Held for orders whose payment is awaited.
    pub reserved: u32,
    /// Gone with confirmed orders.
    pub sold: u32,
}

impl Stock {
    /// How many can still be ordered.
    pub const fn left(&self) -> u32 {
        self.capacity.saturating_sub(self.reserved).saturating_sub(self.sold)
    }
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Counts as reserved.
    Held,
    /// Counts as sold.
    Consumed,
    /// Free again, as the order ended or went to another restaurant.
    Released,
    /// Free again, as the payment took too long.
    Expired,
}

impl ReservationState {
    /// The name as it stands in SQLite.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Held, Self::Consumed, Self::Released, Self::Expired]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// Stock of one item at one restaurant, held or taken by one order. A take-over by another restaurant is another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// How many.
    pub quantity: u32,
    /// Where it stands.
    pub state: ReservationState,
    /// When a hold ends by itself.
    pub expires_at: UnixMs,
}

/// Names a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservationKey {
    /// For which order.
    pub order_id: OrderId,
    /// At which restaurant.
    pub restaurant_id: RestaurantId,
    /// Of which item.
    pub item_id: ItemId,
}

/// Somebody who drives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Who it is.
    pub id: DriverId,
    /// Rises with each change.
    pub version: u32,
    /// Shown to the customer. Personal: never part of an event.
    pub name: String,
    /// To be called by the customer while delivering. Personal.
    pub phone: String,
    /// Signed on and willing.
    pub online: bool,
    /// The open offer to this driver, and its order.
    #[serde(default)]
    pub offered: Option<OrderId>,
    /// The order this driver is bound to.
    #[serde(default)]
    pub delivering: Option<OrderId>,
}

impl Driver {
    /// Whether an offer can be made.
    pub const fn is_free(&self) -> bool {
        self.online && self.offered.is_none() && self.delivering.is_none()
    }
}
