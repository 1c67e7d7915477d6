mod audience;
mod queue;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tomato_shared::cell::LatLng;
use tomato_shared::event::{Actor, CancelReason, DeclineReason, OrderRef, PaymentMethod, Price};
use tomato_shared::id::{Id, OfferId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::UnixMs;

use super::frame::Encoding;
use super::totals::Counts;
use super::*;
use crate::engine::model::{Address, Delivery, Offer, Payment, PaymentGoal, PaymentState};

const NOW: UnixMs = UnixMs(1_763_886_600_000);

fn id<K: tomato_shared::id::Kind>(n: u8) -> Id<K> {
    Id::from_bytes([n; 16])
}

fn place() -> LatLng {
    LatLng::new(12.9716, 77.5946).unwrap()
}

/// An order of customer 1 at restaurant 2, paid for, without a driver.
fn order() -> Order {
    Order {
        id: id(9),
        version: 1,
        state: OrderState::Confirmed,
        customer_id: id(1),
        restaurant_id: id(2),
        restaurant_name: "Udupi".into(),
        restaurant_place: place(),
        lines: Vec::new(),
        price: Price {
            items_minor: 500,
            delivery_fee_minor: 0,
            service_fee_minor: 0,
            tax_minor: 0,
            discount_minor: 0,
            tip_minor: 0,
            total_minor: 500,
            currency: "INR".parse().unwrap(),
        },
        deliver_to: Address {
            place: place(),
            line: "SECRET STREET".into(),
            note: String::new(),
            phone: None,
        },
        pin: "4711".into(),
        payment: Payment {
            id: id(8),
            method: PaymentMethod::Card,
            state: PaymentState::Authorised,
            goal: PaymentGoal::Hold,
            card: String::new(),
            attempt: 1,
            transaction_id: String::new(),
            amount_minor: 500,
            keep_minor: 0,
            refunds: Vec::new(),
            tips: Vec::new(),
            action: None,
            declined: None,
            disputes: Vec::new(),
            asked_at: UnixMs(0),
            stray: false,
        },
        delivery: Delivery::searching(),
        declined_by: Vec::new(),
        placed_at: NOW,
        confirmed_at: Some(NOW),
        accept_by: None,
        ready_at: None,
        promised_at: None,
        estimated_delivery_at: NOW,
        ended_at: None,
        cancel_reason: None,
        deliver_at: None,
        release_at: None,
        accepted_at: None,
        promo: None,
        rates: crate::engine::tests::fixture::policy()
            .fees
            .tariff(&Default::default())
            .rates,
        change: None,
        rating: None,
    }
}

fn offered(to: u8) -> Order {
    let mut order = order();
    order.delivery.state = DeliveryState::Offered;
    order.delivery.offer = Some(Offer {
        id: id(7),
        driver_id: id(to),
        distance_m: 100,
        expires_at: NOW,
    });
    order
}

fn driven_by(n: u8) -> Order {
    let mut order = order();
    order.delivery.state = DeliveryState::Assigned;
    order.delivery.driver_id = Some(id(n));
    order
}

fn committed(seq: u64, event: Event, order: &Order) -> Committed {
    let version = u32::try_from(seq).unwrap();
    Committed {
        envelope: Arc::new(Envelope {
            device_at: None,
            v: 1,
            region: "blr".parse().unwrap(),
            incarnation: 1,
            seq,
            at: NOW,
            order: Some(OrderRef { id: order.id, version }),
            by: Actor::System,
            trace: None,
            event,
        }),
        order: Some(Arc::new(order.clone())),
        driver: None,
    }
}

fn feed() -> Feed {
    Feed::new(0, Totals::default())
}

/// What is in the mailbox right now.
fn now(subscription: &mut Subscription) -> Option<Item> {
    subscription.next().now_or_never()
}

/// All waiting messages as JSON.
fn told(subscription: &mut Subscription) -> Vec<Value> {
    let mut told = Vec::new();
    while let Some(item) = now(subscription) {
        told.push(match item {
            Item::Message(message) => {
                let frame = message.frame(subscription.who(), Encoding::Json).unwrap();
                serde_json::from_slice(&frame).unwrap()
            }
            Item::Location(location) => serde_json::from_slice(&location.frame(Encoding::Json)).unwrap(),
            Item::Overflow => json!({"type": "OVERFLOW"}),
        });
    }
    told
}

fn names(told: &[Value]) -> Vec<&str> {
    told.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

const CUSTOMER: By = By::Customer(Id::from_bytes([1; 16]));
const RESTAURANT: By = By::Restaurant(Id::from_bytes([2; 16]));
const DRIVER: By = By::Driver(Id::from_bytes([3; 16]));
const OPERATOR: By = By::Operator(Id::from_bytes([6; 16]));
const STRANGERS: [By; 3] = [
    By::Customer(Id::from_bytes([5; 16])),
    By::Restaurant(Id::from_bytes([5; 16])),
    By::Driver(Id::from_bytes([5; 16])),
];

fn offer_ended(driver: u8) -> Event {
    Event::DriverOfferEnded {
        offer_id: OfferId::from_bytes([7; 16]),
        driver_id: id(driver),
        declined: true,
    }
}

fn assigned_to(restaurant: u8) -> Event {
    Event::RestaurantAssigned {
        restaurant_id: id(restaurant),
        restaurant_name: "Udupi".into(),
        accept_by: NOW,
    }
}
