//! Events of whole orders, for the unit tests and for tests with a real server.

use tomato_shared::cell::RegionId;
use tomato_shared::event::{
    Actor, CancelReason, ENVELOPE_VERSION, Envelope, Event, OrderRef, PaymentMethod, Price, encode,
};
use tomato_shared::id::{Id, OrderId};
use tomato_shared::time::UnixMs;

/// When the first order of every region is placed.
pub(crate) const START: UnixMs = UnixMs(1_763_886_600_000);

/// A region that only talks: it numbers events as a node does.
#[derive(Debug)]
pub(crate) struct Talker {
    pub(crate) region: RegionId,
    pub(crate) incarnation: u32,
    pub(crate) seq: u64,
    pub(crate) orders: u64,
}

impl Talker {
    pub(crate) fn new(region: &str) -> Self {
        Self {
            region: region.parse().unwrap(),
            incarnation: 1,
            seq: 0,
            orders: 0,
        }
    }

    /// The next event, encoded.
    pub(crate) fn say(&mut self, order: Option<OrderRef>, at: UnixMs, event: Event) -> Vec<u8> {
        self.seq += 1;
        encode(&Envelope {
            device_at: None,
            v: ENVELOPE_VERSION,
            region: self.region.clone(),
            incarnation: self.incarnation,
            seq: self.seq,
            at,
            order,
            by: Actor::System,
            trace: None,
            event,
        })
        .unwrap()
    }

    /// The id of the next order.
    pub(crate) fn next_order(&mut self) -> OrderId {
        self.orders += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.orders.to_be_bytes());
        for (slot, letter) in bytes[8..].iter_mut().zip(self.region.as_str().bytes()) {
            *slot = letter;
        }
        OrderId::from_bytes(bytes)
    }

    /// The seven events of an order that is delivered `door_ms` after it was placed, or of one that is cancelled.
    pub(crate) fn order(&mut self, delivered: bool, door_ms: i64) -> Vec<Vec<u8>> {
        let id = self.next_order();
        let mut version = 0;
        events(delivered)
            .into_iter()
            .map(|event| {
                version += 1;
                let at = if version == 1 { START } else { UnixMs(START.0 + door_ms) };
                self.say(Some(OrderRef { id, version }), at, event)
            })
            .collect()
    }
}

/// Total of every order, in paise.
pub(crate) const TOTAL_MINOR: i64 = 24_465;

pub(crate) fn created() -> Event {
    Event::OrderCreated {
        deliver_at: None,
        promo_code: None,
        map_version: 0,
        phone_hash: None,
        customer_id: Id::from_bytes([2; 16]),
        restaurant_id: Id::from_bytes([3; 16]),
        lines: Vec::new(),
        price: Price {
            items_minor: 19_800,
            delivery_fee_minor: 3_000,
            service_fee_minor: 500,
            tax_minor: 1_165,
            discount_minor: 0,
            tip_minor: 0,
            total_minor: TOTAL_MINOR,
            currency: "INR".parse().unwrap(),
        },
        method: PaymentMethod::Card,
        cell: "88618924d7fffff".parse().unwrap(),
    }
}

fn events(delivered: bool) -> Vec<Event> {
    let (payment_id, restaurant_id) = (Id::from_bytes([5; 16]), Id::from_bytes([3; 16]));
    let (driver_id, delivery_id) = (Id::from_bytes([6; 16]), Id::from_bytes([7; 16]));
    let mut events = vec![
        created(),
        Event::OrderConfirmed {
            estimated_delivery_at: START,
        },
        Event::OrderPreparing {
            restaurant_id,
            ready_at: START,
        },
    ];
    if delivered {
        events.extend([
            Event::OrderReady { restaurant_id },
            Event::DriverAssigned { delivery_id, driver_id },
            Event::OrderPickedUp { driver_id },
            Event::OrderDelivered {
                driver_fee_minor: 0,
                delivery_id,
                driver_id,
                proof: "pin".into(),
                cash_minor: 0,
            },
        ]);
    } else {
        events.extend([
            Event::PaymentCaptured {
                payment_id,
                amount_minor: TOTAL_MINOR,
            },
            Event::DriverCancelled { driver_id, attempts: 3 },
            Event::OrderCancelled {
                fee_minor: 0,
                reason: CancelReason::NoDriver,
            },
            Event::PaymentRefunded {
                refund_id: None,
                payment_id,
                amount_minor: TOTAL_MINOR,
                voided: false,
            },
        ]);
    }
    events
}
