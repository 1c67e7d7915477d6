//! Who hears of an event. The one place that decides it, for live messages, snapshots and reads.

use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, RestaurantId};
use tomato_shared::order::DeliveryState;

use crate::engine::model::{By, Order};

/// What a live message is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewsName")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Name {
    /// Placed; the payment is awaited.
    OrderCreated,
    /// Paid for.
    OrderConfirmed,
    /// For the customer: confirm the card, or pay on the provider's page.
    PaymentActionRequired,
    /// The provider declined; pay with another card.
    PaymentDeclined,
    /// The provider declined; the end.
    PaymentFailed,
    /// For the restaurant: cook this, or say no.
    NewOrder,
    /// For the customer: this restaurant is asked.
    RestaurantAssigned,
    /// For a restaurant: the order went to another one.
    OrderWithdrawn,
    /// It is being cooked.
    OrderPreparing,
    /// It waits for its driver.
    OrderReady,
    /// For a driver: take this, or say no.
    NewOffer,
    /// For a driver: the offer is over.
    OfferEnded,
    /// A driver is on the way to the restaurant.
    DriverAssigned,
    /// The driver is at the restaurant.
    DriverArrived,
    /// The driver gave it back.
    DriverCancelled,
    /// The driver has it.
    OrderPickedUp,
    /// The customer has it; the end.
    OrderDelivered,
    /// Given up; the end.
    OrderCancelled,
    /// Money went back.
    PaymentRefunded,
    /// How was it?
    RatingRequested,
    /// Paid for, and cooked later.
    OrderScheduled,
    /// Somebody should look: it is late.
    OrderOverdue,
    /// It will be ready at another time than was said.
    OrderDelayed,
    /// The restaurant cannot cook all of it: agree, or not.
    ChangeProposed,
    /// The customer agreed.
    OrderChanged,
    /// The proposal is over.
    ChangeEnded,
    /// An operator gave the delivery to somebody else.
    DriverUnassigned,
    /// What could not be handed over is back.
    DeliveryReturned,
    /// The customer rated.
    OrderRated,
    /// The customer gave the driver something more.
    OrderTipped,
    /// The tip could not be taken.
    TipFailed,
    /// For operators: money could not be sent back.
    RefundFailed,
    /// For operators: a customer's bank took money back, or a dispute about that was decided.
    PaymentDisputed,
}

impl Name {
    /// As it is told, `ORDER_CREATED`.
    pub fn text(self) -> String {
        let told = serde_json::to_value(self).unwrap_or_default();
        told.as_str().unwrap_or_default().to_owned()
    }

    /// Whether a device should make itself heard.
    pub const fn is_urgent(self) -> bool {
        matches!(
            self,
            Self::NewOrder
                | Self::NewOffer
                | Self::PaymentFailed
                | Self::PaymentActionRequired
                | Self::PaymentDeclined
                | Self::OrderOverdue
                | Self::ChangeProposed
                | Self::RefundFailed
                | Self::PaymentDisputed
        )
    }
}

/// Whether somebody may read an order.
pub fn may_read(order: &Order, viewer: By) -> bool {
    match viewer {
        By::Customer(id) => order.customer_id == id,
        // An order that is not paid for is none of the restaurant's business yet.
        By::Restaurant(id) => order.restaurant_id == id && order.confirmed_at.is_some(),
        By::Driver(id) => order.delivery.driver_id == Some(id) || offered_to(order, id),
        By::Operator(_) => true,
        By::Provider | By::System => false,
    }
}

/// Whether an order that is not over belongs into the viewer's snapshot.
pub fn in_snapshot(order: &Order, viewer: By) -> bool {
    // Who still has the food of an order that is over has something to do.
    let bringing_back = order.delivery.state == DeliveryState::Returning && matches!(viewer, By::Driver(_));
    (order.ended_at.is_none() || bringing_back) && may_read(order, viewer)
}

/// Everybody who may have to hear of an event, operators aside. Each kind of party occurs at most once: one event has one
/// customer, one restaurant and one driver who hear of it.
pub fn parties(event: &Event, order: &Order) -> [Option<By>; 3] {
    let driver = driver_of(event).or(order.delivery.driver_id);
    [
        Some(By::Customer(order.customer_id)),
        Some(By::Restaurant(restaurant_of(event).unwrap_or(order.restaurant_id))),
        driver.map(By::Driver),
    ]
}

/// What the event is called for a viewer; `None` where they do not hear of it.
pub fn name_for(event: &Event, order: &Order, viewer: By) -> Option<Name> {
    match viewer {
        By::Customer(id) if id == order.customer_id => for_customer(event),
        By::Restaurant(id) => for_restaurant(event, order, id),
        By::Driver(id) => for_driver(event, order, id),
        By::Operator(_) => plain(event),
        By::Customer(_) | By::Provider | By::System => None,
    }
}

/// Whether the customer may not follow the driver from here on.
pub fn ends_delivery(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderDelivered { .. }
            | Event::OrderCancelled { .. }
            | Event::DriverCancelled { .. }
            | Event::DriverUnassigned { .. }
    )
}

/// What the event is called for those who may hear of everything about an order.
fn plain(event: &Event) -> Option<Name> {
    match event {
        Event::OrderCreated { .. } => Some(Name::OrderCreated),
        Event::OrderConfirmed { .. } => Some(Name::OrderConfirmed),
        Event::PaymentFailed { .. } => Some(Name::PaymentFailed),
        Event::PaymentActionRequired { .. } => Some(Name::PaymentActionRequired),
        Event::PaymentDeclined { .. } => Some(Name::PaymentDeclined),
        Event::PaymentRefunded { .. } => Some(Name::PaymentRefunded),
        Event::RestaurantAssigned { .. } => Some(Name::RestaurantAssigned),
        Event::OrderPreparing { .. } => Some(Name::OrderPreparing),
        Event::OrderReady { .. } => Some(Name::OrderReady),
        Event::DriverOffered { .. } => Some(Name::NewOffer),
        Event::DriverOfferEnded { .. } => Some(Name::OfferEnded),
        Event::DriverAssigned { .. } => Some(Name::DriverAssigned),
        Event::DriverArrived { .. } => Some(Name::DriverArrived),
        Event::DriverCancelled { .. } => Some(Name::DriverCancelled),
        Event::OrderPickedUp { .. } => Some(Name::OrderPickedUp),
        Event::OrderDelivered { .. } => Some(Name::OrderDelivered),
        Event::OrderCancelled { .. } => Some(Name::OrderCancelled),
        Event::RatingRequested {} => Some(Name::RatingRequested),
        Event::OrderScheduled { .. } => Some(Name::OrderScheduled),
        Event::OrderOverdue { .. } => Some(Name::OrderOverdue),
        Event::OrderDelayed { .. } => Some(Name::OrderDelayed),
        Event::ChangeProposed { .. } => Some(Name::ChangeProposed),
        Event::OrderChanged { .. } => Some(Name::OrderChanged),
        Event::ChangeEnded { .. } => Some(Name::ChangeEnded),
        Event::DriverUnassigned { .. } => Some(Name::DriverUnassigned),
        Event::DeliveryReturned { .. } => Some(Name::DeliveryReturned),
        Event::OrderRated { .. } => Some(Name::OrderRated),
        Event::OrderTipped { .. } => Some(Name::OrderTipped),
        Event::TipFailed { .. } => Some(Name::TipFailed),
        Event::RefundFailed { .. } => Some(Name::RefundFailed),
        Event::PaymentDisputed { .. } => Some(Name::PaymentDisputed),
        // Told by the message that follows it in the same breath, or by none.
        Event::InventoryReserved { .. }
        | Event::InventoryReservationFailed { .. }
        | Event::InventoryReleased { .. }
        | Event::PaymentCompleted { .. }
        | Event::PaymentCaptured { .. }
        | Event::RestaurantDeclined { .. }
        | Event::RestaurantAssignmentFailed { .. }
        | Event::DeliveryFailed { .. }
        | Event::RefundRequested { .. }
        | Event::CaptureFailed { .. }
        | Event::PaymentRetried { .. }
        | Event::ProofRefused { .. }
        | Event::LedgerPosted { .. }
        | Event::CashDeposited(_)
        | Event::DriverHandedOver(_)
        | Event::DriverTakenOver(_)
        | Event::RegionStatusChanged(_)
        | Event::IncarnationStarted { .. }
        | Event::DriverStatusChanged { .. }
        | Event::CellsMoved(_)
        | Event::RestaurantUpdated { .. } => None,
    }
}

fn for_customer(event: &Event) -> Option<Name> {
    let inside = |name: &Name| {
        matches!(
            name,
            Name::NewOffer
                | Name::OfferEnded
                | Name::OrderOverdue
                | Name::OrderRated
                | Name::RefundFailed
                | Name::PaymentDisputed
        )
    };
    plain(event).filter(|name| !inside(name))
}

fn for_restaurant(event: &Event, order: &Order, id: RestaurantId) -> Option<Name> {
    if let Event::RestaurantAssigned { restaurant_id, .. } = event {
        return (*restaurant_id == id).then_some(Name::NewOrder);
    }
    // Where nobody else takes it, the cancellation that follows says so.
    if let Event::RestaurantDeclined { restaurant_id, .. } = event {
        return (*restaurant_id == id && order.restaurant_id != id).then_some(Name::OrderWithdrawn);
    }
    plain(event)
        .filter(|name| is_kitchens(*name) || is_way(*name))
        .filter(|_| may_read(order, By::Restaurant(id)))
}

fn for_driver(event: &Event, order: &Order, id: DriverId) -> Option<Name> {
    let concerned = driver_of(event).or(order.delivery.driver_id);
    // Cooking is not the driver's; readiness is.
    let theirs = |name: &Name| matches!(name, Name::NewOffer | Name::OfferEnded | Name::OrderTipped) || is_way(*name);
    plain(event).filter(theirs).filter(|_| concerned == Some(id))
}

/// What the restaurant hears of besides the way.
fn is_kitchens(name: Name) -> bool {
    matches!(
        name,
        Name::OrderPreparing
            | Name::OrderScheduled
            | Name::OrderOverdue
            | Name::ChangeProposed
            | Name::OrderChanged
            | Name::ChangeEnded
    )
}

/// What restaurant and driver both hear of.
fn is_way(name: Name) -> bool {
    matches!(
        name,
        Name::OrderReady
            | Name::DriverAssigned
            | Name::DriverArrived
            | Name::DriverCancelled
            | Name::OrderPickedUp
            | Name::OrderDelivered
            | Name::OrderCancelled
            | Name::OrderDelayed
            | Name::DriverUnassigned
            | Name::DeliveryReturned
    )
}

/// The driver an event names.
fn driver_of(event: &Event) -> Option<DriverId> {
    if let Event::DriverOffered { driver_id, .. }
    | Event::DriverOfferEnded { driver_id, .. }
    | Event::DriverAssigned { driver_id, .. }
    | Event::DriverArrived { driver_id }
    | Event::DriverCancelled { driver_id, .. }
    | Event::OrderPickedUp { driver_id }
    | Event::OrderDelivered { driver_id, .. }
    | Event::DriverUnassigned { driver_id }
    | Event::DeliveryReturned { driver_id }
    | Event::OrderTipped { driver_id, .. }
    | Event::DeliveryFailed { driver_id, .. } = event
    {
        Some(*driver_id)
    } else {
        None
    }
}

/// The restaurant an event is addressed to, where that may not be the order's any more.
fn restaurant_of(event: &Event) -> Option<RestaurantId> {
    if let Event::RestaurantAssigned { restaurant_id, .. } | Event::RestaurantDeclined { restaurant_id, .. } = event {
        Some(*restaurant_id)
    } else {
        None
    }
}

fn offered_to(order: &Order, id: DriverId) -> bool {
    order.delivery.offer.as_ref().is_some_and(|offer| offer.driver_id == id)
}
