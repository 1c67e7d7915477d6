//! Everything that a region tells the world, in one versioned envelope.
//!
//! Encoding: MessagePack with named fields, so that a reader skips fields it does not know and fills absent ones with
//! their default. Rules for change: add optional fields freely (`#[serde(default)]`), never rename or retype one;
//! anything else is a new event type. Events carry opaque ids and coarse cells, never a name, address or telephone number.

mod bodies;
pub mod books;
mod envelope;
mod meaning;
mod parts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::id::{DeliveryId, DriverId, ItemId, OfferId, PaymentId, RefundId, RestaurantId, UserId};
use crate::money::Currency;
use crate::phone::PhoneHash;
use crate::time::UnixMs;
pub use bodies::{Declined, Disputed, Rated, Retried, Short};
use books::{Cause, Entry};
pub use envelope::*;
pub use parts::*;

/// What happened. The serialised `type` is the name in the catalogue of the design, `order.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        /// When the customer wants it; absent for as soon as possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deliver_at: Option<UnixMs>,
        /// The code that brought the discount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        promo_code: Option<String>,
        /// Version of the map by which the region took it.
        #[serde(default, skip_serializing_if = "parts::is_zero")]
        map_version: u64,
        /// Of the number under which the customer is reached; absent where none was given, or the region has no key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone_hash: Option<PhoneHash>,
    },
    /// A paid order waits until it is time to cook.
    #[serde(rename = "order.scheduled")]
    OrderScheduled {
        /// When the restaurant will be asked.
        release_at: UnixMs,
        /// When the customer wants it.
        deliver_at: UnixMs,
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
    InventoryReservationFailed(Short),
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
        /// The refund; absent where nothing had been taken.
        #[serde(default)]
        refund_id: Option<RefundId>,
    },
    /// Money is to go back.
    #[serde(rename = "payment.refund.requested")]
    RefundRequested {
        /// The refund.
        refund_id: RefundId,
        /// How much.
        amount_minor: i64,
        /// Why.
        reason: RefundReason,
        /// Who bears it.
        borne_by: Bearer,
    },
    /// The provider will not send the money back; a person has to look.
    #[serde(rename = "payment.refund.failed")]
    RefundFailed {
        /// The refund.
        refund_id: RefundId,
        /// How much.
        amount_minor: i64,
        /// The provider's code.
        code: String,
    },
    /// The provider declined this attempt; the customer may pay with another card for a while.
    #[serde(rename = "payment.declined")]
    PaymentDeclined(Declined),
    /// The customer pays with another card.
    #[serde(rename = "payment.retried")]
    PaymentRetried(Retried),
    /// The provider wants the customer to do something first: to confirm the card, or to pay on its page.
    #[serde(rename = "payment.action_required")]
    PaymentActionRequired {
        /// The payment.
        payment_id: PaymentId,
    },
    /// The provider will not take the money that it had promised.
    #[serde(rename = "payment.capture.failed")]
    CaptureFailed {
        /// The payment.
        payment_id: PaymentId,
        /// The provider's code.
        code: String,
    },
    /// A customer's bank took money back through the provider, or the dispute about that was decided.
    #[serde(rename = "payment.disputed")]
    PaymentDisputed(Disputed),
    /// Entries of the region's books; they sum to zero.
    #[serde(rename = "ledger.posted")]
    LedgerPosted {
        /// Why.
        cause: Cause,
        /// Of all amounts.
        currency: Currency,
        /// Debits and credits.
        entries: Vec<Entry>,
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
        /// What the restaurant said.
        #[serde(default)]
        why: Option<RejectWhy>,
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
    /// Somebody should look: an order is late with something.
    #[serde(rename = "order.overdue")]
    OrderOverdue {
        /// With what.
        stage: Stage,
        /// When it should have happened.
        due_at: UnixMs,
    },
    /// The restaurant needs longer, or less long, than it said.
    #[serde(rename = "order.delayed")]
    OrderDelayed {
        /// Which one.
        restaurant_id: RestaurantId,
        /// When it wants to be ready now.
        ready_at: UnixMs,
    },
    /// The restaurant cannot cook all of it and proposes something else.
    #[serde(rename = "order.change.proposed")]
    ChangeProposed {
        /// What would be cooked.
        lines: Vec<Line>,
        /// What would go back.
        refund_minor: i64,
        /// Until when the customer can answer.
        expires_at: UnixMs,
    },
    /// The customer agreed to the change.
    #[serde(rename = "order.changed")]
    OrderChanged {
        /// What is cooked now.
        lines: Vec<Line>,
        /// What it costs now.
        price: Price,
    },
    /// The proposed change came to nothing.
    #[serde(rename = "order.change.ended")]
    ChangeEnded {
        /// True where the customer said no, false where nobody answered or the order moved on.
        declined: bool,
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
    /// An operator took the delivery from a driver.
    #[serde(rename = "driver.unassigned")]
    DriverUnassigned {
        /// From whom.
        driver_id: DriverId,
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
        /// What the driver earns by it, without the tip, in minor units.
        #[serde(default)]
        driver_fee_minor: i64,
    },
    /// The driver showed a wrong PIN.
    #[serde(rename = "delivery.proof.refused")]
    ProofRefused {
        /// Who.
        driver_id: DriverId,
        /// How many there were for this order.
        tries: u32,
    },
    /// The driver could not hand the order over.
    #[serde(rename = "delivery.failed")]
    DeliveryFailed {
        /// Who tried.
        driver_id: DriverId,
        /// Why, as `customer_absent`.
        reason: String,
        /// What the driver earns by it, in minor units.
        #[serde(default)]
        driver_fee_minor: i64,
    },
    /// What could not be handed over is back at the restaurant.
    #[serde(rename = "delivery.returned")]
    DeliveryReturned {
        /// Who brought it back.
        driver_id: DriverId,
    },
    /// The order was given up.
    #[serde(rename = "order.cancelled")]
    OrderCancelled {
        /// Why.
        reason: CancelReason,
        /// What is kept of the money, in minor units.
        #[serde(default)]
        fee_minor: i64,
    },
    /// The customer is asked for a rating.
    #[serde(rename = "order.rating.requested")]
    RatingRequested {},
    /// The customer rated: 1 to 5 stars each.
    #[serde(rename = "order.rated")]
    OrderRated(Rated),
    /// The customer gave the driver something more, after delivery.
    #[serde(rename = "order.tipped")]
    OrderTipped {
        /// The payment of the tip.
        payment_id: PaymentId,
        /// Whom.
        driver_id: DriverId,
        /// How much.
        amount_minor: i64,
    },
    /// A tip after delivery could not be taken.
    #[serde(rename = "order.tip.failed")]
    TipFailed {
        /// The payment of the tip.
        payment_id: PaymentId,
        /// The provider's code.
        reason: String,
    },
    /// A driver started or ended work.
    #[serde(rename = "driver.status.changed")]
    DriverStatusChanged {
        /// Who.
        driver_id: DriverId,
        /// True from sign-on to sign-off.
        online: bool,
    },
    /// A driver goes to another region, and is nobody's until that region says so.
    #[serde(rename = "driver.handed_over")]
    DriverHandedOver(Crossing),
    /// A driver of another region is this one's.
    #[serde(rename = "driver.taken_over")]
    DriverTakenOver(Crossing),
    /// A driver handed cash in.
    #[serde(rename = "driver.cash.deposited")]
    CashDeposited(CashDeposited),
    /// The first event of a region that goes on from a restored copy: what the hub has beyond `follows_seq` is void.
    #[serde(rename = "region.incarnation.started")]
    IncarnationStarted {
        /// Newest sequence of the older incarnations that still counts.
        follows_seq: u64,
        /// Newest sequence that the hub had been told by then.
        forgets_to_seq: u64,
    },
    /// The region stopped taking orders, or takes them again.
    #[serde(rename = "region.status.changed")]
    RegionStatusChanged(RegionStatusChanged),
    /// Cells change hands, and this region has done its part.
    #[serde(rename = "region.cells.moved")]
    CellsMoved(CellsMoved),
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

#[cfg(test)]
mod tests;
