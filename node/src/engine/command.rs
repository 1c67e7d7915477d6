//! Everything that can be asked of a region, and what comes back.

use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{DriverId, ItemId, OfferId, OrderId, PaymentId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::model::{Address, Proof};
use super::timer::TimerKey;
use super::view::Reply;

/// Something to decide. Who asks stands beside it.
#[derive(Debug, Clone)]
pub enum Command {
    /// A customer orders.
    PlaceOrder(Box<PlaceOrder>),
    /// A customer or operator gives an order up.
    CancelOrder(OrderId),
    /// A restaurant takes an order on.
    AcceptOrder {
        /// Which.
        order_id: OrderId,
        /// When it will be ready, from now.
        ready_in: DurationMs,
    },
    /// A restaurant does not take an order on.
    RejectOrder(OrderId),
    /// A restaurant has cooked.
    MarkReady(OrderId),
    /// A driver signs on or off.
    SetOnline {
        /// Who.
        driver_id: DriverId,
        /// On or off.
        online: bool,
    },
    /// A driver takes an offer.
    AcceptOffer(OfferId),
    /// A driver refuses an offer.
    DeclineOffer(OfferId),
    /// A driver is at the restaurant.
    Arrive(OrderId),
    /// A driver has the order.
    PickUp(OrderId),
    /// A driver has handed the order over.
    Complete {
        /// Which.
        order_id: OrderId,
        /// What shows it.
        proof: Proof,
    },
    /// A driver could not hand the order over.
    FailDelivery {
        /// Which.
        order_id: OrderId,
        /// A word such as `customer_absent`.
        reason: String,
    },
    /// A driver gives a delivery back before pickup.
    GiveBack(OrderId),
    /// An operator or restaurant writes a restaurant.
    PutRestaurant(Box<PutRestaurant>),
    /// A restaurant opens or closes.
    SetOpen {
        /// Which.
        restaurant_id: RestaurantId,
        /// Whether it takes orders.
        open: bool,
    },
    /// An operator writes a driver.
    PutDriver {
        /// Who.
        driver_id: DriverId,
        /// Shown to customers.
        name: String,
        /// To be called by customers.
        phone: String,
    },
    /// The provider has answered.
    PaymentOutcome {
        /// For which order.
        order_id: OrderId,
        /// Of which payment; an answer for another one changes nothing.
        payment_id: PaymentId,
        /// What it said.
        outcome: PaymentOutcome,
    },
    /// A deadline has come.
    TimerDue(TimerKey),
    /// Time to find drivers for the orders that wait.
    Dispatch(Vec<Waiting>),
}

impl Command {
    /// The order that has to be at hand to decide; offers name theirs by the working set.
    pub const fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::CancelOrder(id)
            | Self::AcceptOrder { order_id: id, .. }
            | Self::RejectOrder(id)
            | Self::MarkReady(id)
            | Self::Arrive(id)
            | Self::PickUp(id)
            | Self::Complete { order_id: id, .. }
            | Self::FailDelivery { order_id: id, .. }
            | Self::GiveBack(id)
            | Self::PaymentOutcome { order_id: id, .. } => Some(*id),
            Self::TimerDue(key) => Some(key.order_id()),
            Self::PlaceOrder(_)
            | Self::SetOnline { .. }
            | Self::AcceptOffer(_)
            | Self::DeclineOffer(_)
            | Self::PutRestaurant(_)
            | Self::SetOpen { .. }
            | Self::PutDriver { .. }
            | Self::Dispatch(_) => None,
        }
    }
}

/// An order as a customer asks for it.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// The chosen restaurant, or none: then the nearest that has everything.
    pub restaurant_id: Option<RestaurantId>,
    /// What and how many; empty with a quote.
    pub items: Vec<(ItemId, u32)>,
    /// A signed quote that fixes restaurant, items and price.
    pub quote: Option<String>,
    /// Where to.
    pub deliver_to: Address,
    /// Card or cash.
    pub method: PaymentMethod,
    /// The app's token of the card.
    pub card: String,
    /// For the driver, in minor units.
    pub tip_minor: i64,
}

/// A restaurant as an operator writes it.
#[derive(Debug, Clone)]
pub struct PutRestaurant {
    /// All but the version.
    pub restaurant: super::model::Restaurant,
    /// How many there are of each counted item.
    pub capacities: Vec<(ItemId, u32)>,
    /// Version that the edit was made from; `None` to write whatever is there.
    pub expected_version: Option<u32>,
}

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// It holds the money.
    Authorised {
        /// Its id.
        transaction_id: String,
    },
    /// It will not, for good.
    Declined {
        /// Its code.
        code: String,
    },
    /// It has taken the money.
    Captured,
    /// It has let go of money that it held.
    Voided,
    /// It has sent money back.
    Refunded,
}

/// A waiting order and the drivers near its restaurant, nearest first.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The order.
    pub order_id: OrderId,
    /// Drivers with a fresh position.
    pub candidates: Vec<Candidate>,
}

/// A driver near a restaurant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Who.
    pub driver_id: DriverId,
    /// How far from the restaurant.
    pub distance_m: f64,
}

/// A rejection and what more there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub rejection: Rejection,
    /// Which item, which place; for people.
    pub detail: Option<String>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            detail: None,
        }
    }
}

impl Refusal {
    /// A rejection with something more to say.
    pub fn with(rejection: Rejection, detail: impl Into<String>) -> Self {
        Self {
            rejection,
            detail: Some(detail.into()),
        }
    }
}

/// What a command that was carried out answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub reply: Reply,
}
