//! Everything that a region tells the world, in one versioned envelope.
//!
//! Encoding: MessagePack with named fields, so that a reader skips fields it does not know and fills absent ones with
//! their default. Rules for change: add optional fields freely (`#[serde(default)]`), never rename or retype one;
//! anything else is a new event type. Events carry opaque ids and coarse cells, never a name, address or telephone number.

mod envelope;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::id::{DeliveryId, DriverId, ItemId, OfferId, PaymentId, RestaurantId, UserId};
use crate::money::Currency;
use crate::order::OrderStep;
use crate::time::UnixMs;

pub use envelope::{Actor, Decoded, ENVELOPE_VERSION, Envelope, EventType, Header, OrderRef, decode, encode};

/// One line of an order as it was priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The menu item.
    pub item_id: ItemId,
    /// Its name when ordered.
    pub name: String,
    /// 1 or more.
    pub quantity: u32,
    /// Price of one, options included, in minor units.
    pub unit_minor: i64,
}

/// What an order costs, in minor units: `total = items + delivery_fee + service_fee + tax + tip - discount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Sum over the lines.
    pub items_minor: i64,
    /// For the way from restaurant to customer.
    pub delivery_fee_minor: i64,
    /// The platform's own fee.
    pub service_fee_minor: i64,
    /// Taxes on items and fees.
    pub tax_minor: i64,
    /// Taken off by a promotion; not negative.
    #[serde(default)]
    pub discount_minor: i64,
    /// For the driver.
    #[serde(default)]
    pub tip_minor: i64,
    /// What the customer pays.
    pub total_minor: i64,
    /// Of all amounts above.
    pub currency: Currency,
}

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// Through the region's payment provider.
    Card,
    /// To the driver.
    Cash,
}

/// Why an order was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The customer changed their mind in time.
    Customer,
    /// No restaurant took it.
    NoRestaurant,
    /// No driver took it, or three gave it back.
    NoDriver,
    /// An operator decided.
    Operator,
    /// The stock hold ran out before the payment's outcome was known.
    HoldExpired,
    /// The driver could not hand it over.
    DeliveryFailed,
}

/// Why a restaurant does not take an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The restaurant said no.
    Rejected,
    /// It did not answer in time.
    TimedOut,
}

/// What happened. The serialised `type` is the name in the catalogue of the design, `order.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// An order is placed and priced.
    #[serde(rename = "order.created")]
    OrderCreated {
        /// Who ordered.
        customer_id: UserId,
        /// Whose stock is held.
        restaurant_id: RestaurantId,
        /// What was ordered.
        lines: Vec<Line>,
        /// What it costs.
        price: Price,
        /// How it is paid.
        method: PaymentMethod,
        /// Where it goes, at [`crate::cell::EVENT_RESOLUTION`].
        cell: Cell,
    },
    /// Stock is held for an order.
    #[serde(rename = "inventory.reserved")]
    InventoryReserved {
        /// Held items and quantities; only those whose stock is counted.
        items: Vec<(ItemId, u32)>,
        /// When the hold ends by itself.
        expires_at: UnixMs,
    },
    /// An order was refused because stock was short; nothing was held.
    #[serde(rename = "inventory.reservation.failed")]
    InventoryReservationFailed {
        /// Where.
        restaurant_id: RestaurantId,
        /// The item that was short.
        item_id: ItemId,
        /// How many were asked for.
        wanted: u32,
        /// How many were left.
        left: u32,
    },
    /// Held stock is free again.
    #[serde(rename = "inventory.released")]
    InventoryReleased {
        /// Items and quantities.
        items: Vec<(ItemId, u32)>,
    },
    /// The money is authorised (or cash is promised).
    #[serde(rename = "payment.completed")]
    PaymentCompleted {
        /// The payment.
        payment_id: PaymentId,
        /// The provider's own id; empty for cash.
        transaction_id: String,
        /// Amount in the order's currency.
        amount_minor: i64,
        /// Whether the money has moved already, or is only promised.
        captured: bool,
    },
    /// An authorised payment was taken.
    #[serde(rename = "payment.captured")]
    PaymentCaptured {
        /// The payment.
        payment_id: PaymentId,
        /// Amount taken.
        amount_minor: i64,
    },
    /// The provider declined for good.
    #[serde(rename = "payment.failed")]
    PaymentFailed {
        /// The payment.
        payment_id: PaymentId,
        /// The provider's code, as `card_declined`.
        reason: String,
    },
    /// Money went back, or an authorisation was given up.
    #[serde(rename = "payment.refunded")]
    PaymentRefunded {
        /// The payment.
        payment_id: PaymentId,
        /// Amount that went back to the customer.
        amount_minor: i64,
        /// True where the money had only been authorised.
        voided: bool,
    },
    /// The order is paid for.
    #[serde(rename = "order.confirmed")]
    OrderConfirmed {
        /// When the customer can expect it.
        estimated_delivery_at: UnixMs,
    },
    /// A restaurant is asked to cook.
    #[serde(rename = "restaurant.assigned")]
    RestaurantAssigned {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Its name.
        restaurant_name: String,
        /// Until when it has to answer.
        accept_by: UnixMs,
    },
    /// A restaurant did not take the order.
    #[serde(rename = "restaurant.declined")]
    RestaurantDeclined {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Said no, or silent.
        reason: DeclineReason,
    },
    /// No restaurant takes the order.
    #[serde(rename = "restaurant.assignment.failed")]
    RestaurantAssignmentFailed {
        /// How many were asked.
        asked: u32,
    },
    /// The restaurant cooks.
    #[serde(rename = "order.preparing")]
    OrderPreparing {
        /// Which one.
        restaurant_id: RestaurantId,
        /// When it wants to be ready.
        ready_at: UnixMs,
    },
    /// The order waits at the restaurant.
    #[serde(rename = "order.ready")]
    OrderReady {
        /// Which one.
        restaurant_id: RestaurantId,
    },
    /// A delivery is shown to a driver.
    #[serde(rename = "driver.offered")]
    DriverOffered {
        /// The offer.
        offer_id: OfferId,
        /// To whom.
        driver_id: DriverId,
        /// Metres from driver to restaurant.
        distance_m: u32,
        /// Until when the driver can accept.
        expires_at: UnixMs,
    },
    /// An offer came to nothing.
    #[serde(rename = "driver.offer.ended")]
    DriverOfferEnded {
        /// The offer.
        offer_id: OfferId,
        /// Whose.
        driver_id: DriverId,
        /// True where the driver said no, false where time ran out or the order went.
        declined: bool,
    },
    /// A driver takes the delivery.
    #[serde(rename = "driver.assigned")]
    DriverAssigned {
        /// The delivery.
        delivery_id: DeliveryId,
        /// Who.
        driver_id: DriverId,
    },
    /// The driver waits at the restaurant.
    #[serde(rename = "driver.arrived")]
    DriverArrived {
        /// Who.
        driver_id: DriverId,
    },
    /// A driver gave the delivery back.
    #[serde(rename = "driver.cancelled")]
    DriverCancelled {
        /// Who.
        driver_id: DriverId,
        /// How many drivers have given this order back, this one included.
        attempts: u32,
    },
    /// The driver has the order.
    #[serde(rename = "order.picked_up")]
    OrderPickedUp {
        /// Who.
        driver_id: DriverId,
    },
    /// The customer has the order.
    #[serde(rename = "order.delivered")]
    OrderDelivered {
        /// The delivery.
        delivery_id: DeliveryId,
        /// Who brought it.
        driver_id: DriverId,
        /// What kind of proof was given: `photo`, `pin` or `signature`.
        proof: String,
        /// Cash the driver took, in minor units; 0 for card orders.
        #[serde(default)]
        cash_minor: i64,
    },
    /// The driver could not hand the order over.
    #[serde(rename = "delivery.failed")]
    DeliveryFailed {
        /// Who tried.
        driver_id: DriverId,
        /// Why, as `customer_absent`.
        reason: String,
    },
    /// The order was given up.
    #[serde(rename = "order.cancelled")]
    OrderCancelled {
        /// Why.
        reason: CancelReason,
    },
    /// The customer is asked for a rating.
    #[serde(rename = "order.rating.requested")]
    RatingRequested {},
    /// A driver started or ended work.
    #[serde(rename = "driver.status.changed")]
    DriverStatusChanged {
        /// Who.
        driver_id: DriverId,
        /// True from sign-on to sign-off.
        online: bool,
    },
    /// A restaurant was added or changed.
    #[serde(rename = "restaurant.updated")]
    RestaurantUpdated {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Its name.
        name: String,
        /// Its cell at [`crate::cell::EVENT_RESOLUTION`].
        cell: Cell,
        /// Whether it takes orders.
        open: bool,
    },
}

impl Event {
    /// The name under which the event is published and serialised.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrderCreated { .. } => "order.created",
            Self::InventoryReserved { .. } => "inventory.reserved",
            Self::InventoryReservationFailed { .. } => "inventory.reservation.failed",
            Self::InventoryReleased { .. } => "inventory.released",
            Self::PaymentCompleted { .. } => "payment.completed",
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentFailed { .. } => "payment.failed",
            Self::PaymentRefunded { .. } => "payment.refunded",
            Self::OrderConfirmed { .. } => "order.confirmed",
            Self::RestaurantAssigned { .. } => "restaurant.assigned",
            Self::RestaurantDeclined { .. } => "restaurant.declined",
            Self::RestaurantAssignmentFailed { .. } => "restaurant.assignment.failed",
            Self::OrderPreparing { .. } => "order.preparing",
            Self::OrderReady { .. } => "order.ready",
            Self::DriverOffered { .. } => "driver.offered",
            Self::DriverOfferEnded { .. } => "driver.offer.ended",
            Self::DriverAssigned { .. } => "driver.assigned",
            Self::DriverArrived { .. } => "driver.arrived",
            Self::DriverCancelled { .. } => "driver.cancelled",
            Self::OrderPickedUp { .. } => "order.picked_up",
            Self::OrderDelivered { .. } => "order.delivered",
            Self::DeliveryFailed { .. } => "delivery.failed",
            Self::OrderCancelled { .. } => "order.cancelled",
            Self::RatingRequested { .. } => "order.rating.requested",
            Self::DriverStatusChanged { .. } => "driver.status.changed",
            Self::RestaurantUpdated { .. } => "restaurant.updated",
        }
    }

    /// What the event does to its order's state; `None` where the state stays.
    pub const fn step(&self) -> Option<OrderStep> {
        match self {
            Self::OrderConfirmed { .. } => Some(OrderStep::Confirm),
            Self::PaymentFailed { .. } => Some(OrderStep::FailPayment),
            Self::OrderPreparing { .. } => Some(OrderStep::Accept),
            Self::OrderReady { .. } => Some(OrderStep::MakeReady),
            Self::OrderPickedUp { .. } => Some(OrderStep::PickUp),
            Self::OrderDelivered { .. } => Some(OrderStep::Deliver),
            // A failed hand-over is always told together with the cancellation that ends the order.
            Self::DeliveryFailed { .. } => Some(OrderStep::FailDelivery),
            Self::OrderCancelled {
                reason: CancelReason::DeliveryFailed,
            } => None,
            Self::OrderCancelled { .. } => Some(OrderStep::Cancel),
            Self::OrderCreated { .. }
            | Self::InventoryReserved { .. }
            | Self::InventoryReservationFailed { .. }
            | Self::InventoryReleased { .. }
            | Self::PaymentCompleted { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentRefunded { .. }
            | Self::RestaurantAssigned { .. }
            | Self::RestaurantDeclined { .. }
            | Self::RestaurantAssignmentFailed { .. }
            | Self::DriverOffered { .. }
            | Self::DriverOfferEnded { .. }
            | Self::DriverAssigned { .. }
            | Self::DriverArrived { .. }
            | Self::DriverCancelled { .. }
            | Self::RatingRequested { .. }
            | Self::DriverStatusChanged { .. }
            | Self::RestaurantUpdated { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
