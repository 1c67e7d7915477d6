//! Everything that can be asked of a region, and what comes back.

use tomato_shared::control::Edition;
use tomato_shared::directory::{Map, Owner};
use tomato_shared::event::{Bearer, PaymentMethod, RefundReason, RejectWhy};
use tomato_shared::id::{DriverId, ItemId, OfferId, OrderId, PaymentId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::custody::Step;
use super::model::{Address, Hours, MenuItem, PaymentAction, Promotion, Proof, Restaurant, Span, Vehicle};
use super::moving::Parcel;
use super::timer::TimerKey;
use super::view::Reply;

pub use super::dispute::DisputeNews;
pub use super::provider::ProviderEvent;

/// Something to decide. Who asks stands beside it.
#[derive(Debug, Clone)]
pub enum Command {
    /// A customer orders.
    PlaceOrder(Box<PlaceOrder>),
    /// Something is done with an order.
    Order(OrderId, OrderCommand),
    /// A driver takes an offer.
    AcceptOffer(OfferId),
    /// A driver refuses an offer.
    DeclineOffer(OfferId),
    /// Something is done with a restaurant.
    Restaurant(RestaurantId, RestaurantCommand),
    /// Something is done with a driver.
    Driver(DriverId, DriverCommand),
    /// An operator writes a promotion; its version is the one that the edit was made from, or 0 to write over any.
    PutPromotion(Box<Promotion>),
    /// An operator stops or resumes the taking of orders.
    PauseRegion {
        /// Whether to take none.
        paused: bool,
        /// Shown to customers.
        reason: String,
    },
    /// The provider has answered.
    PaymentOutcome {
        /// For which order.
        order_id: OrderId,
        /// Of which payment; an answer for another one changes nothing.
        payment_id: PaymentId,
        /// Of which refund or tip, counted from 0; else 0.
        nth: u32,
        /// Which attempt it answers: a refusal of an earlier one says nothing about the one that is under way.
        attempt: u32,
        /// What it said.
        outcome: PaymentOutcome,
    },
    /// The provider has told something on its own.
    ProviderEvent(Box<ProviderEvent>),
    /// The provider cannot be reached any more, or can be again.
    CardsDown(bool),
    /// The hub has a new document for the region.
    TakeControl(Box<Edition>),
    /// The hub has a new map of who owns which cells.
    TakeMap(Box<Map>),
    /// What goes along with the cells of a move is here.
    TakeIn(u64, Box<Parcel>),
    /// The other region of a move asks for what goes along.
    HandOut(u64),
    /// A deadline has come.
    TimerDue(TimerKey),
    /// Time to find drivers for the orders that wait.
    Dispatch(Vec<Waiting>),
    /// What was planned is to be carried out, as far as it still holds.
    Round(Round),
}

/// What can be done with an order.
#[derive(Debug, Clone)]
pub enum OrderCommand {
    /// A customer whose card was declined names another.
    Pay {
        /// The app's token of it.
        card: String,
    },
    /// A customer, a restaurant or an operator gives it up.
    Cancel,
    /// The restaurant takes it on, ready so long from now.
    Accept(DurationMs),
    /// The restaurant does not take it on.
    Reject {
        /// Why.
        why: RejectWhy,
        /// What has run out, and is off the menu until tomorrow.
        off: Vec<ItemId>,
    },
    /// The restaurant will be ready so long from now, other than it said.
    Delay(DurationMs),
    /// The restaurant has cooked.
    MarkReady,
    /// The restaurant cannot cook all of it.
    ProposeChange {
        /// Place of a line and how many of it are left; 0 takes it off.
        lines: Vec<(usize, u32)>,
        /// What would be cooked instead.
        add: Vec<WantedItem>,
    },
    /// The customer agrees to the proposed change, or not.
    AnswerChange(bool),
    /// The customer rates.
    Rate {
        /// The food, 1 to 5.
        restaurant_stars: u8,
        /// The driver, 1 to 5.
        driver_stars: Option<u8>,
        /// In their own words.
        comment: String,
    },
    /// The customer gives the driver something more.
    Tip {
        /// How much.
        amount_minor: i64,
        /// From which card; the order's own where `None`.
        card: Option<String>,
    },
    /// An operator sends money back.
    Refund {
        /// How much.
        amount: RefundAmount,
        /// Why.
        reason: RefundReason,
        /// Who bears it.
        borne_by: Bearer,
    },
    /// An operator gives the delivery to a driver.
    Assign(DriverId),
    /// An operator takes the delivery from its driver.
    Unassign,
    /// The driver is at the restaurant.
    Arrive,
    /// The driver has it.
    PickUp,
    /// The driver has handed it over.
    Complete(Proof),
    /// The driver could not hand it over, for a reason such as `customer_absent`.
    FailDelivery(String),
    /// The driver brought back what could not be handed over.
    Return,
    /// The driver gives the delivery back before pickup.
    GiveBack,
}

/// How much goes back.
#[derive(Debug, Clone)]
pub enum RefundAmount {
    /// What is left.
    Rest,
    /// So much.
    Minor(i64),
    /// So many of each of these lines, with their share of the tax.
    Lines(Vec<(usize, u32)>),
}

/// What can be done with a restaurant.
#[derive(Debug, Clone)]
pub enum RestaurantCommand {
    /// An operator writes it as a whole.
    Put(Box<PutRestaurant>),
    /// The restaurant writes its menu.
    PutMenu {
        /// All of it.
        menu: Vec<MenuItem>,
        /// How many there are of each counted item.
        capacities: Vec<(ItemId, u32)>,
        /// Version that the edit was made from; `None` to write whatever is there.
        expected_version: Option<u32>,
    },
    /// The restaurant writes its hours.
    PutHours {
        /// All of them.
        hours: Hours,
        /// As above.
        expected_version: Option<u32>,
    },
    /// The restaurant opens, closes, pauses or says that it is busy. What is `None` stays as it is.
    SetStatus {
        /// Its switch.
        open: Option<bool>,
        /// Takes no orders for so long; zero ends a pause.
        pause: Option<DurationMs>,
        /// Cooks so many minutes longer, for so long; zero ends it.
        busy: Option<(u32, DurationMs)>,
    },
    /// An operator closes it, whatever it says itself, or lets it open again.
    Suspend(bool),
    /// The restaurant takes an item off or puts it on again, or counts it anew.
    SetItem {
        /// Which.
        item_id: ItemId,
        /// Whether it can be ordered.
        available: bool,
        /// Off for so long; `available` then.
        off: Option<DurationMs>,
        /// How many are left; only of counted items.
        left: Option<u32>,
    },
}

/// What can be done with a driver.
#[derive(Debug, Clone)]
pub enum DriverCommand {
    /// An operator writes who it is.
    Put {
        /// Shown to customers.
        name: String,
        /// To be called by customers.
        phone: String,
    },
    /// An operator plans shifts.
    Plan(Vec<Span>),
    /// Signs on or off.
    SetOnline {
        /// On or off.
        online: bool,
        /// What they move with today.
        vehicle: Option<Vehicle>,
        /// When they want to stop.
        until: Option<UnixMs>,
    },
    /// An operator takes in cash, in minor units.
    DepositCash(i64),
    /// The driver goes from one region to another.
    Cross(Step),
}

impl Command {
    /// The order that has to be at hand to decide; offers name theirs by the working set.
    pub const fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::Order(id, _) | Self::PaymentOutcome { order_id: id, .. } => Some(*id),
            Self::TimerDue(key) => key.order_id(),
            Self::ProviderEvent(event) => event.order_id,
            Self::PlaceOrder(_)
            | Self::AcceptOffer(_)
            | Self::DeclineOffer(_)
            | Self::Restaurant(..)
            | Self::Driver(..)
            | Self::PutPromotion(_)
            | Self::PauseRegion { .. }
            | Self::CardsDown(_)
            | Self::TakeControl(_)
            | Self::TakeMap(_)
            | Self::TakeIn(..)
            | Self::HandOut(_)
            | Self::Dispatch(_)
            | Self::Round(_) => None,
        }
    }
}

/// An item as a customer wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedItem {
    /// Which.
    pub item_id: ItemId,
    /// How many.
    pub quantity: u32,
    /// Key of the variant, where the item has any.
    pub variant: Option<String>,
    /// Key of an option's group, and its own.
    pub options: Vec<(String, String)>,
}

/// What a customer wants, for a price or for real.
#[derive(Debug, Clone)]
pub struct Basket {
    /// The chosen restaurant, or none: then the nearest that has everything.
    pub restaurant_id: Option<RestaurantId>,
    /// What and how many.
    pub items: Vec<WantedItem>,
    /// Where to.
    pub deliver_to: Address,
    /// When; `None` for as soon as possible.
    pub deliver_at: Option<UnixMs>,
    /// A promotion's code.
    pub promo_code: Option<String>,
    /// For the driver, in minor units.
    pub tip_minor: i64,
}

/// An order as a customer asks for it.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// What is wanted; with a quote only where to.
    pub basket: Basket,
    /// A signed quote that fixes restaurant, items, time and price.
    pub quote: Option<String>,
    /// Card or cash.
    pub method: PaymentMethod,
    /// The app's token of the card.
    pub card: String,
}

/// A restaurant as an operator writes it.
#[derive(Debug, Clone)]
pub struct PutRestaurant {
    /// All but the version.
    pub restaurant: Restaurant,
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
    /// It has begun, and wants the customer to do something first. The question stays open.
    ActionRequired {
        /// Its id.
        transaction_id: String,
        /// What the customer has to do.
        action: PaymentAction,
    },
    /// It knows for certain that this attempt was never made, and its key is spent.
    NotMade {
        /// Its code.
        code: String,
    },
    /// It will not, for good.
    Declined {
        /// Its code.
        code: String,
    },
    /// It has taken the money.
    Captured,
    /// It will not take what it held, for good.
    CaptureRefused {
        /// Its code.
        code: String,
    },
    /// It has let go of money that it held.
    Voided,
    /// It has sent money back.
    Refunded,
    /// It will not send it back, for good.
    RefundRefused {
        /// Its code.
        code: String,
    },
    /// It has taken a tip.
    TipTaken,
    /// It will not, for good.
    TipDeclined {
        /// Its code.
        code: String,
    },
}

/// What a plan comes to now.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Who goes where; no order and no driver twice.
    pub intents: Vec<Intent>,
    /// Orders that found nobody: who declined them may be asked again.
    pub left: Vec<OrderId>,
}

/// A driver is to fetch these orders together.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Who.
    pub driver_id: DriverId,
    /// Of the driver's row when it was planned; for another one the intent does not hold.
    pub driver_version: u32,
    /// What, in the order of delivery.
    pub order_ids: Vec<OrderId>,
    /// They take the place of what the driver was to fetch already; else it is a new trip.
    pub changed: bool,
    /// Metres from the driver to the restaurant.
    pub distance_m: u32,
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
    /// Whose affair it is, where that is another region.
    pub owner: Option<Box<Owner>>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            detail: None,
            owner: None,
        }
    }
}

impl Refusal {
    /// A rejection with something more to say.
    pub fn with(rejection: Rejection, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..rejection.into()
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
