//! What a region keeps: orders, restaurants and their menus, stock, reservations, drivers, promotions.
//!
//! Each of these is one row. They are plain values: a command loads them, decides, and hands new values back.

mod driver;
mod hours;
mod payment;
mod restaurant;
mod stock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::cell::LatLng;
use tomato_shared::event::{Actor, Bearer, CancelReason, DeclineReason, Line, Price};
use tomato_shared::id::{DeliveryId, DriverId, OfferId, OrderId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::phone::Phone;
use tomato_shared::time::UnixMs;

use super::policy::Rates;

pub use driver::{Custody, Driver, Loan, ORDERS_MAX, Shift, Span, Standing, Vehicle};
pub use hours::{Closure, Hours, Minute, Opening, Weekday, next_midnight};
pub use payment::{
    ActionKind, Decline, Dispute, Payment, PaymentAction, PaymentGoal, PaymentState, Refund, RefundState, Tip, TipState,
};
pub use restaurant::{Busy, MenuItem, OptionChoice, OptionGroup, Restaurant, Variant};
pub use stock::{Reservation, ReservationKey, ReservationState, Stock};
pub use tomato_shared::promotion::{Promotion, Saving};

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
    /// Under which the driver reaches the customer. Of it, a hash is part of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
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
    /// What later reckonings of it go by.
    pub rates: Rates,
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
    /// When the restaurant said last that it would be ready.
    #[serde(default)]
    pub promised_at: Option<UnixMs>,
    /// When the customer can expect it.
    pub estimated_delivery_at: UnixMs,
    /// When it became final.
    #[serde(default)]
    pub ended_at: Option<UnixMs>,
    /// Why it was given up.
    #[serde(default)]
    pub cancel_reason: Option<CancelReason>,
    /// When the customer wants it; `None` for as soon as possible.
    #[serde(default)]
    pub deliver_at: Option<UnixMs>,
    /// When the restaurant will be asked, while that is still to come.
    #[serde(default)]
    pub release_at: Option<UnixMs>,
    /// When the restaurant took it on.
    #[serde(default)]
    pub accepted_at: Option<UnixMs>,
    /// What brought the discount.
    #[serde(default)]
    pub promo: Option<Promo>,
    /// What the restaurant proposes to cook instead.
    #[serde(default)]
    pub change: Option<Proposal>,
    /// What the customer said afterwards.
    #[serde(default)]
    pub rating: Option<Rating>,
}

/// A promotion as an order used it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promo {
    /// Its code.
    pub code: String,
    /// Who bears it.
    pub borne_by: Bearer,
    /// Whether what it takes off is the delivery fee.
    pub of_delivery: bool,
    /// How often it can be used in all, as it was quoted: one that has gone since is honoured so far.
    pub uses_max: u32,
    /// How often by one customer.
    pub uses_per_customer_max: u32,
}

/// What a restaurant proposes to cook instead, until the customer answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What would be cooked.
    pub lines: Vec<Line>,
    /// Those of them that take the place of something.
    #[serde(default)]
    pub added: Vec<Line>,
    /// What it would cost; never more than before.
    pub price: Price,
    /// Until when the customer can agree.
    pub expires_at: UnixMs,
}

/// How it was, 1 to 5 stars each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// The food.
    pub restaurant_stars: u8,
    /// The driver.
    #[serde(default)]
    pub driver_stars: Option<u8>,
    /// In the customer's words. Personal: never part of an event.
    #[serde(default)]
    pub comment: String,
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
    /// Which of the driver's trips it belongs to: what is fetched together has one number.
    #[serde(default)]
    pub trip: u32,
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
    /// When the driver was at the restaurant.
    #[serde(default)]
    pub arrived_at: Option<UnixMs>,
    /// When the driver took it along.
    #[serde(default)]
    pub picked_up_at: Option<UnixMs>,
    /// What the driver showed at the door.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// Wrong PINs so far.
    #[serde(default)]
    pub pin_tries: u32,
}

impl Delivery {
    /// Remembers who would not take it, once.
    pub fn note_declined(&mut self, who: DriverId) {
        if !self.declined.contains(&who) {
            self.declined.push(who);
        }
    }

    /// Nobody was asked yet.
    pub const fn searching() -> Self {
        Self {
            state: DeliveryState::Searching,
            offer: None,
            driver_id: None,
            trip: 0,
            excluded: Vec::new(),
            declined: Vec::new(),
            cancellations: 0,
            assigned_at: None,
            arrived_at: None,
            picked_up_at: None,
            proof: None,
            pin_tries: 0,
        }
    }
}

/// A delivery shown to one driver. Orders that are fetched together share one offer: the same values in each.
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
