//! What each party gets to see: the bodies of answers and of live messages.
//!
//! One place decides who sees an address, a PIN or a telephone number, for HTTP and WebSocket alike.

mod restaurant;
mod stop;

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::{LatLng, RegionId};
use tomato_shared::control::{Edition, Feature};
use tomato_shared::event::{Bearer, CancelReason, Line, PaymentMethod, Price, RefundReason};
use tomato_shared::id::{DeliveryId, DriverId, OfferId, OrderId, PaymentId, RefundId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::city::RegionStatus;
use super::model::{
    Address, By, Decline, Dispute, Driver, Order, Payment, PaymentAction, PaymentState, Promotion, Rating, RefundState,
    Shift, Span, TipState, Vehicle,
};

pub use restaurant::{MenuItemView, RestaurantView, restaurant};
pub use stop::{StopKind, StopView, stops};

/// The body of an answer.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// An order as its reader may see it.
    Order(Box<OrderView>),
    /// A driver.
    Driver(DriverView),
    /// A restaurant with its menu.
    Restaurant(Box<RestaurantView>),
    /// A promotion.
    Promotion(Box<Promotion>),
    /// Whether the region takes orders.
    Region(RegionView),
    /// How much of a dispatch round still held.
    Round {
        /// Intents carried out.
        done: usize,
        /// Intents that lost a race.
        lost: usize,
    },
    /// Nothing to tell.
    Done {},
}

/// Whether the region takes orders, and which.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RegionView {
    /// True while it takes none.
    pub paused: bool,
    /// Why, in the words of whoever paused it.
    pub reason: String,
    /// True while it is the hub that has paused it, and the hub alone can end that.
    pub paused_by_hub: bool,
    /// True while the payment provider cannot be reached: cards are refused, or charged later.
    pub cards_down: bool,
    /// What the hub has switched off.
    pub off: Vec<Feature>,
    /// Version of the hub's document that is in force; 0 where there is none.
    pub control_version: u64,
}

/// Shows whether the region takes orders.
pub fn region(status: &RegionStatus, edition: &Edition) -> RegionView {
    let paused = status.paused_under(edition);
    RegionView {
        paused: paused.is_some(),
        reason: paused.unwrap_or(&status.reason).to_owned(),
        paused_by_hub: edition.control.paused.is_some(),
        cards_down: status.cards_down,
        off: edition.control.off.iter().copied().collect(),
        control_version: edition.version,
    }
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
    /// When the customer wants it; absent for as soon as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<UnixMs>,
    /// When the restaurant will be asked, while that is still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<UnixMs>,
    /// The code that brought the discount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
    /// What the restaurant proposes to cook instead; for customer, restaurant and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeView>,
    /// What the customer said afterwards; for customer and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
}

/// A change that waits for the customer's answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChangeView {
    /// What would be cooked.
    pub lines: Vec<Line>,
    /// What it would cost.
    pub price: Price,
    /// What would go back.
    pub refund_minor: i64,
    /// Until when the customer can agree.
    pub expires_at: UnixMs,
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
    /// What the customer has to do before the provider goes on; for the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<PaymentAction>,
    /// Why the provider said no, and until when another card can be named; for customer and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<Decline>,
    /// What went back or is to; for customer and operators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundView>,
    /// What the driver was given afterwards; for customer and operators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<TipView>,
    /// What the customer's bank took back; for operators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
}

/// Money that goes back.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RefundView {
    /// `rfd_...`
    pub id: RefundId,
    /// How much.
    pub amount_minor: i64,
    /// Why.
    pub reason: RefundReason,
    /// Who bears it.
    pub borne_by: Bearer,
    /// Where it stands.
    pub state: RefundState,
    /// When it was decided.
    pub at: UnixMs,
}

/// A tip after delivery.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TipView {
    /// `pay_...`
    pub id: PaymentId,
    /// How much.
    pub amount_minor: i64,
    /// Where it stands.
    pub state: TipState,
    /// When it was given.
    pub at: UnixMs,
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

/// An offer as its driver sees it. Orders that show the same id are one offer, taken or declined as a whole.
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
            action: order
                .payment
                .action
                .clone()
                .filter(|_| matches!(viewer, By::Customer(_))),
            disputes: match viewer {
                By::Operator(_) => order.payment.disputes.clone(),
                By::Customer(_) | By::Restaurant(_) | By::Driver(_) | By::Provider | By::System => Vec::new(),
            },
            ..payment(&order.payment, full)
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
        deliver_at: order.deliver_at,
        release_at: order.release_at,
        promo_code: order.promo.as_ref().map(|promo| promo.code.clone()),
        change: change(order).filter(|_| !matches!(viewer, By::Driver(_))),
        rating: order.rating.clone().filter(|_| full),
    }
}

fn change(order: &Order) -> Option<ChangeView> {
    let proposal = order.change.as_ref()?;
    Some(ChangeView {
        lines: proposal.lines.clone(),
        price: proposal.price,
        refund_minor: order.price.total_minor - proposal.price.total_minor,
        expires_at: proposal.expires_at,
    })
}

fn payment(payment: &Payment, full: bool) -> PaymentView {
    let refunds = payment.refunds.iter().filter(|_| full).map(|refund| RefundView {
        id: refund.id,
        amount_minor: refund.amount_minor,
        reason: refund.reason,
        borne_by: refund.borne_by,
        state: refund.state,
        at: refund.at,
    });
    let tips = payment.tips.iter().filter(|_| full).map(|tip| TipView {
        id: tip.id,
        amount_minor: tip.amount_minor,
        state: tip.state,
        at: tip.at,
    });
    PaymentView {
        method: payment.method,
        state: payment.state,
        action: None,
        declined: payment.declined.clone().filter(|_| full),
        refunds: refunds.collect(),
        tips: tips.collect(),
        disputes: Vec::new(),
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
    /// What they move with.
    pub vehicle: Vehicle,
    /// Since when and until when, while signed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// When they are expected to work.
    pub planned: Vec<Span>,
    /// Cash taken and not handed in, in minor units.
    pub cash_minor: i64,
    /// Orders of the open offer, in the order of delivery.
    pub offered_order_ids: Vec<OrderId>,
    /// Orders they are bound to, in the order of delivery.
    pub delivering_order_ids: Vec<OrderId>,
    /// The region that has them, where that is another one; it answers what they ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionId>,
}

/// Shows a driver.
pub fn driver(driver: &Driver) -> DriverView {
    DriverView {
        id: driver.id,
        version: driver.version,
        name: driver.name.clone(),
        phone: driver.phone.clone(),
        online: driver.online,
        vehicle: driver.vehicle,
        shift: driver.shift,
        planned: driver.planned.clone(),
        cash_minor: driver.cash_minor,
        offered_order_ids: driver.offered.clone(),
        delivering_order_ids: driver.delivering.clone(),
        region: driver.elsewhere().cloned(),
    }
}
