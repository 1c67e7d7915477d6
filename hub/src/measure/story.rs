//! One order's events, money and all, as they are made up.

use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::books::{Account, Cause, Entry};
use tomato_shared::event::{Bearer, CancelReason, Event, PaymentMethod, Price, RefundReason};
use tomato_shared::id::{DriverId, Id, PaymentId, RestaurantId};
use tomato_shared::phone::{Phone, PhoneKey};
use tomato_shared::time::UnixMs;

use super::history::{Chance, DRIVERS, Plant};

/// Of the fleet that is made up.
pub const PHONE_KEY: PhoneKey = PhoneKey::from_bytes([7; 32]);

/// The restaurant of a number; every region has its own rows of them.
pub(super) fn restaurant(number: u64) -> RestaurantId {
    let mut bytes = [3; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(bytes)
}

/// The driver of a number.
pub(super) fn driver(number: u64) -> DriverId {
    let mut bytes = [6; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(bytes)
}

/// One order's events as they are made up: each with the milliseconds since the one before.
pub(super) struct Story {
    pub(super) plant: Option<Plant>,
    pub(super) price: Price,
    pub(super) method: PaymentMethod,
    pub(super) restaurant: RestaurantId,
    pub(super) driver: DriverId,
    pub(super) payment: [u8; 16],
    pub(super) rest: Vec<(i64, Event)>,
}

impl Story {
    /// Makes the events up: each with the milliseconds since the one before.
    pub(super) fn tell(&mut self, chance: &mut Chance, region: &RegionId, cell: Cell) {
        let mut customer = [2; 16];
        let number = chance.below(5_000);
        customer[8..].copy_from_slice(&number.to_be_bytes());
        let phone: Option<Phone> = format!("+9198{number:08}").parse().ok();
        self.then(
            0,
            Event::OrderCreated {
                customer_id: Id::from_bytes(customer),
                restaurant_id: self.restaurant,
                lines: Vec::new(),
                price: self.price,
                method: self.method,
                cell,
                deliver_at: None,
                promo_code: None,
                map_version: 0,
                phone_hash: phone.map(|phone| PHONE_KEY.hash(&phone)),
            },
        );
        if self.method == PaymentMethod::Card && self.plant.is_none() && chance.one_in(40) {
            let reason = "card_declined".into();
            let payment_id = Id::from_bytes(self.payment);
            return self.then(chance.span_ms(1, 20), Event::PaymentFailed { payment_id, reason });
        }
        self.pay(chance, region);
        if self.plant == Some(Plant::MissingRefund) || (self.plant.is_none() && chance.one_in(12)) {
            return self.cancel(chance);
        }
        self.cook(chance);
        self.deliver(chance);
        self.after(chance);
    }

    fn then(&mut self, wait_ms: i64, event: Event) {
        self.rest.push((wait_ms, event));
    }

    fn post(&mut self, cause: Cause, entries: &[(Account, i64)]) {
        let entry = |(account, amount_minor): &(Account, i64)| Entry {
            account: *account,
            amount_minor: *amount_minor,
        };
        let entries = entries.iter().filter(|(_, amount)| *amount != 0).map(entry).collect();
        let currency = self.price.currency;
        self.then(
            0,
            Event::LedgerPosted {
                cause,
                currency,
                entries,
            },
        );
    }

    fn pay(&mut self, chance: &mut Chance, region: &RegionId) {
        let (payment_id, amount_minor) = (Id::from_bytes(self.payment), self.price.total_minor);
        let card = self.method == PaymentMethod::Card;
        if card {
            let transaction_id = format!(
                "sim_{region}_{}",
                u64::from_be_bytes(self.payment[8..].try_into().unwrap_or_default())
            );
            self.then(
                chance.span_ms(1, 30),
                Event::PaymentCompleted {
                    payment_id,
                    transaction_id,
                    amount_minor,
                    captured: false,
                },
            );
            self.capture(payment_id, amount_minor);
            if self.plant == Some(Plant::DoubledCapture) {
                self.then(
                    5,
                    Event::PaymentCaptured {
                        payment_id,
                        amount_minor,
                    },
                );
            }
        }
        self.then(
            chance.span_ms(1, 3),
            Event::OrderConfirmed {
                estimated_delivery_at: UnixMs(0),
            },
        );
        self.then(
            0,
            Event::RestaurantAssigned {
                restaurant_id: self.restaurant,
                restaurant_name: "Kitchen".into(),
                accept_by: UnixMs(0),
            },
        );
    }

    fn capture(&mut self, payment_id: PaymentId, amount_minor: i64) {
        self.then(
            500,
            Event::PaymentCaptured {
                payment_id,
                amount_minor,
            },
        );
        let booked = amount_minor + i64::from(self.plant == Some(Plant::WrongAmount));
        let entries = [
            (Account::ProviderClearing, booked),
            (Account::CustomerPayments, -booked),
        ];
        self.post(Cause::Captured, &entries);
    }

    fn cancel(&mut self, chance: &mut Chance) {
        let reasons = [
            CancelReason::Customer,
            CancelReason::NoRestaurant,
            CancelReason::Operator,
        ];
        let reason = reasons[usize::try_from(chance.below(3)).unwrap_or(0)];
        self.then(chance.span_ms(20, 300), Event::OrderCancelled { reason, fee_minor: 0 });
        if self.method == PaymentMethod::Card && self.plant.is_none() {
            self.refund(self.price.total_minor, RefundReason::Cancelled, None);
        }
    }

    /// `bearer`: who bears it after delivery; before, it is the customer's own money.
    fn refund(&mut self, amount_minor: i64, reason: RefundReason, bearer: Option<Account>) {
        let mut refund = self.payment;
        refund[0] ^= 0x55;
        let refund_id = Id::from_bytes(refund);
        self.then(
            2_000,
            Event::RefundRequested {
                refund_id,
                amount_minor,
                reason,
                borne_by: Bearer::Platform,
            },
        );
        self.then(
            3_000,
            Event::PaymentRefunded {
                payment_id: Id::from_bytes(self.payment),
                amount_minor,
                voided: false,
                refund_id: Some(refund_id),
            },
        );
        let from = bearer.unwrap_or(Account::CustomerPayments);
        let entries = [(from, amount_minor), (Account::ProviderClearing, -amount_minor)];
        self.post(Cause::Refunded, &entries);
    }

    fn cook(&mut self, chance: &mut Chance) {
        let restaurant_id = self.restaurant;
        self.then(
            chance.span_ms(10, 120),
            Event::OrderPreparing {
                restaurant_id,
                ready_at: UnixMs(0),
            },
        );
        let delivery_id = Id::from_bytes(self.payment);
        self.then(
            chance.span_ms(20, 400),
            Event::DriverAssigned {
                delivery_id,
                driver_id: self.driver,
            },
        );
        if chance.one_in(15) {
            let driver_id = self.driver;
            self.then(
                chance.span_ms(20, 100),
                Event::DriverCancelled { driver_id, attempts: 1 },
            );
            self.driver = driver(chance.below(DRIVERS));
            let driver_id = self.driver;
            self.then(
                chance.span_ms(20, 100),
                Event::DriverAssigned { delivery_id, driver_id },
            );
        }
        self.then(chance.span_ms(120, 900), Event::OrderReady { restaurant_id });
        let driver_id = self.driver;
        self.then(chance.span_ms(5, 60), Event::DriverArrived { driver_id });
        self.then(chance.span_ms(10, 200), Event::OrderPickedUp { driver_id });
    }

    fn deliver(&mut self, chance: &mut Chance) {
        let (price, driver_id) = (self.price, self.driver);
        let cash = self.method == PaymentMethod::Cash;
        let driver_fee_minor = price.delivery_fee_minor * 8 / 10;
        self.then(
            chance.span_ms(180, 1_500),
            Event::OrderDelivered {
                delivery_id: Id::from_bytes(self.payment),
                driver_id,
                proof: "pin".into(),
                cash_minor: if cash { price.total_minor } else { 0 },
                driver_fee_minor,
            },
        );
        let total = price.total_minor + i64::from(self.plant == Some(Plant::WrongAmount));
        if cash {
            let entries = [
                (Account::CashInHand { driver_id }, total),
                (Account::CustomerPayments, -total),
            ];
            self.post(Cause::CashTaken, &entries);
        }
        let restaurant = price.items_minor - price.items_minor * 18 / 100;
        let driver = driver_fee_minor + price.tip_minor;
        let fees = total + price.discount_minor - restaurant - driver - price.tax_minor;
        let restaurant_id = self.restaurant;
        let entries = [
            (Account::CustomerPayments, total),
            (Account::Discounts, price.discount_minor),
            (Account::RestaurantPayable { restaurant_id }, -restaurant),
            (Account::DriverPayable { driver_id }, -driver),
            (Account::Taxes, -price.tax_minor),
            (Account::Fees, -fees),
        ];
        self.post(Cause::Delivered, &entries);
    }

    fn after(&mut self, chance: &mut Chance) {
        self.then(300_000, Event::RatingRequested {});
        if self.method == PaymentMethod::Card && self.plant.is_none() {
            if chance.one_in(20) {
                self.refund(
                    self.price.items_minor / 4,
                    RefundReason::Missing,
                    Some(Account::Refunds),
                );
            }
            if chance.one_in(10) {
                let mut tip = self.payment;
                tip[0] ^= 0xaa;
                let (driver_id, amount_minor) = (self.driver, 3_000);
                self.then(
                    60_000,
                    Event::OrderTipped {
                        payment_id: Id::from_bytes(tip),
                        driver_id,
                        amount_minor,
                    },
                );
                let entries = [
                    (Account::ProviderClearing, amount_minor),
                    (Account::DriverPayable { driver_id }, -amount_minor),
                ];
                self.post(Cause::Tipped, &entries);
            }
        }
    }
}
