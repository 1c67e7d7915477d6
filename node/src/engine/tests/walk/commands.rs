//! What customers, kitchens and drivers of a walk ask for about orders: mostly what they may, sometimes nonsense.

use tomato_shared::event::{Bearer, PaymentMethod, RefundReason, RejectWhy};
use tomato_shared::id::{ItemId, OrderId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::DurationMs;

use super::super::world::{
    BURGER, CAKE, OPERATOR, SODA, SOUP, address, basket_of, centre, customer, driver, order_of, pizza_of, place,
    reject, restaurant,
};
use super::Walk;
use crate::engine::command::{Basket, Command, OrderCommand as O, PlaceOrder, RefundAmount, WantedItem};
use crate::engine::model::{Address, By, Order, Proof};
use crate::engine::quote::quote;

impl Walk {
    pub(super) fn command(&mut self) -> (By, Command) {
        match self.rng.below(100) {
            0..14 => self.placing(),
            14..19 => self.edit(),
            19..23 => self.signing(),
            23..36 => self.answering(),
            36..39 => self.nonsense(),
            _ => self.next_of_an_order(),
        }
    }

    fn items(&mut self) -> Vec<WantedItem> {
        let lines = *self.rng.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 3, 3]);
        let plain = |walk: &mut Self| {
            let burgers = [BURGER; 6];
            let others = [CAKE, SODA, SODA, SODA, SOUP];
            let item: ItemId = *walk.rng.pick(&[&burgers[..], &others[..]].concat());
            let quantity = *walk.rng.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 3, 4]);
            basket_of(None, &[(item, quantity)]).items.remove(0)
        };
        let item = |walk: &mut Self| {
            if walk.rng.below(3) > 0 {
                return plain(walk);
            }
            let size = *walk.rng.pick(&["small", "large", "small", "large", "huge"]);
            let extras: &[&[&str]] = &[&[], &[], &["cheese"], &["cheese", "olives"], &["truffle"], &["gold"]];
            let extras = *walk.rng.pick(extras);
            pizza_of(1 + walk.rng.below(2), size, extras)
        };
        (0..lines).map(|_| item(self)).collect()
    }

    fn placing(&mut self) -> (By, Command) {
        let who = customer(self.rng.small(4));
        let n = self.rng.small(5);
        let east_m = f64::from(self.rng.below(4_000)) - 2_000.0;
        let deliver_to = Address {
            place: centre().offset_m(*self.rng.pick(&[0.0, 0.0, east_m]), 0.0),
            ..address()
        };
        let later = DurationMs::from_mins(15 + i64::from(self.rng.below(150)));
        let codes = [
            None,
            None,
            None,
            None,
            Some("TEN"),
            Some("WAY"),
            Some("OFF"),
            Some("NONE"),
        ];
        let basket = Basket {
            restaurant_id: (n <= 3).then(|| restaurant(n)),
            items: self.items(),
            deliver_to,
            deliver_at: (self.rng.below(5) == 0).then(|| self.world.now + later),
            promo_code: (*self.rng.pick(&codes)).map(str::to_owned),
            tip_minor: i64::from(self.rng.below(3)) * 1_000,
        };
        let wanted = PlaceOrder {
            basket,
            method: *self
                .rng
                .pick(&[PaymentMethod::Card, PaymentMethod::Card, PaymentMethod::Cash]),
            ..order_of(None, &[])
        };
        match self.rng.below(8) {
            0 => self.ask_for_quote(who, &wanted.basket),
            1 if !self.quotes.is_empty() => {
                let quote = Some(self.rng.pick(&self.quotes).clone());
                return (By::Customer(who), place(PlaceOrder { quote, ..wanted }));
            }
            _ => {}
        }
        (By::Customer(who), place(wanted))
    }

    fn ask_for_quote(&mut self, who: UserId, wanted: &Basket) {
        let world = &self.world;
        let found = quote(world.city.catalogue(), &world.policy, who, wanted, world.now);
        self.quotes.extend(found.map(|view| view.quote));
    }

    /// An answer to an offer, mostly by whom it was made to.
    fn answering(&mut self) -> (By, Command) {
        let Some(offer_id) = self.rng.recent(&self.offers) else {
            return self.signing();
        };
        let order = self
            .world
            .city
            .orders_of_offer(offer_id)
            .next()
            .map(|id| self.world.order(id));
        let offered = order
            .and_then(|order| order.delivery.offer)
            .map(|offer| offer.driver_id);
        let who = offered
            .filter(|_| self.rng.below(10) > 0)
            .unwrap_or_else(|| driver(self.rng.small(5)));
        let command = if self.rng.below(4) > 0 {
            Command::AcceptOffer(offer_id)
        } else {
            Command::DeclineOffer(offer_id)
        };
        (By::Driver(who), command)
    }

    fn next_of_an_order(&mut self) -> (By, Command) {
        // Rather one that is under way.
        let mut open = self.orders.clone();
        if self.rng.below(5) > 0 {
            open.retain(|id| self.world.city.order(*id).is_some());
        }
        let Some(id) = self.rng.recent(&open) else {
            return self.placing();
        };
        let order = self.world.order(id).clone();
        let kitchen = By::Restaurant(order.restaurant_id);
        let who = By::Customer(order.customer_id);
        let ready_in = DurationMs::from_mins(10);
        let (by, command) = match (order.state, self.rng.below(10)) {
            (OrderState::Pending | OrderState::Confirmed, 0) => (who, O::Cancel),
            (OrderState::Pending, 1) => (OPERATOR, O::Cancel),
            (OrderState::Pending, 2..6) if order.payment.declined.is_some() => (who, another_card()),
            (OrderState::Confirmed, 1..3) => (kitchen, self.rejection(&order)),
            (OrderState::Pending | OrderState::Confirmed, _) => (kitchen, O::Accept(ready_in)),
            (OrderState::Preparing, _) => return self.cooking(&order),
            (OrderState::ReadyForPickup | OrderState::OutForDelivery, 0) => (OPERATOR, O::Cancel),
            (OrderState::ReadyForPickup | OrderState::OutForDelivery, _) => return self.driving(&order),
            (OrderState::Delivered | OrderState::Cancelled | OrderState::PaymentFailed, _) => {
                return self.afterwards(&order);
            }
        };
        (by, Command::Order(id, command))
    }

    fn rejection(&mut self, order: &Order) -> O {
        let off = (self.rng.below(3) == 0).then(|| order.lines[0].item_id);
        O::Reject {
            why: RejectWhy::ItemUnavailable,
            off: off.into_iter().collect(),
        }
    }

    fn cooking(&mut self, order: &Order) -> (By, Command) {
        let kitchen = By::Restaurant(order.restaurant_id);
        let who = By::Customer(order.customer_id);
        let (by, command) = match self.rng.below(30) {
            0 => (OPERATOR, O::Cancel),
            1 => (kitchen, O::Cancel),
            2 => (who, O::Cancel),
            3..5 => (kitchen, O::Delay(DurationMs::from_mins(i64::from(self.rng.below(40))))),
            5..9 => (kitchen, self.proposal(order)),
            9..11 => (OPERATOR, O::Assign(driver(self.rng.small(6)))),
            11 => (OPERATOR, O::Unassign),
            12 => {
                let who = order.delivery.driver_id.unwrap_or_else(|| driver(1));
                (By::Driver(who), self.on_the_way())
            }
            13..17 if order.change.is_some() => (who, O::AnswerChange(self.rng.below(4) > 0)),
            _ => (kitchen, O::MarkReady),
        };
        (by, Command::Order(order.id, command))
    }

    fn on_the_way(&mut self) -> O {
        match self.rng.below(3) {
            0 => O::GiveBack,
            1 => O::PickUp,
            _ => O::Arrive,
        }
    }

    fn proposal(&mut self, order: &Order) -> O {
        let at = self.rng.below(u32::try_from(order.lines.len()).unwrap()) as usize;
        let left = self.rng.below(order.lines[at].quantity);
        O::ProposeChange {
            lines: vec![(at, left)],
            add: if self.rng.below(2) == 0 {
                self.items()
            } else {
                Vec::new()
            },
        }
    }

    fn driving(&mut self, order: &Order) -> (By, Command) {
        let id = order.id;
        if self.rng.below(12) == 0 {
            let command = match self.rng.below(3) {
                0 => O::Unassign,
                _ => O::Assign(driver(self.rng.small(6))),
            };
            return (OPERATOR, Command::Order(id, command));
        }
        let who = By::Driver(order.delivery.driver_id.unwrap_or_else(|| driver(self.rng.small(5))));
        let command = match (order.delivery.state, self.rng.below(4)) {
            (DeliveryState::PickedUp, 0) => O::FailDelivery((*self.rng.pick(&["customer_absent", "fell"])).to_owned()),
            (DeliveryState::PickedUp, _) => self.complete(order),
            (_, 0) => O::GiveBack,
            (_, 1) => O::Arrive,
            _ => O::PickUp,
        };
        (who, Command::Order(id, command))
    }

    fn complete(&mut self, order: &Order) -> O {
        let reference = "r".to_owned();
        let proof = match self.rng.below(4) {
            0 => Proof::Pin { pin: "wrong".into() },
            1 => Proof::Pin { pin: order.pin.clone() },
            2 => Proof::Photo { reference },
            _ => Proof::Signature { reference },
        };
        O::Complete(proof)
    }

    fn afterwards(&mut self, order: &Order) -> (By, Command) {
        let who = By::Customer(order.customer_id);
        let driver_id = order.delivery.driver_id;
        let (by, command) = match self.rng.below(10) {
            0..2 => (who, rate(self.rng.small(5), self.rng.below(2) == 0)),
            2..5 => (
                who,
                O::Tip {
                    amount_minor: i64::from(self.rng.below(3)) * 500,
                    card: (self.rng.below(2) == 0).then(|| "card_other".into()),
                },
            ),
            5..7 => (OPERATOR, self.refund(order)),
            7 => (By::Restaurant(order.restaurant_id), O::Return),
            _ => (driver_id.map_or(OPERATOR, By::Driver), O::Return),
        };
        (by, Command::Order(order.id, command))
    }

    fn refund(&mut self, order: &Order) -> O {
        let minor = i64::from(self.rng.below(30_000));
        let amount = match self.rng.below(4) {
            0 => RefundAmount::Rest,
            1 => RefundAmount::Lines(order.lines.iter().map(|line| line.quantity).enumerate().collect()),
            _ => RefundAmount::Minor(minor),
        };
        O::Refund {
            amount,
            reason: *self.rng.pick(RefundReason::ALL),
            borne_by: *self.rng.pick(Bearer::ALL),
        }
    }

    /// Anybody asks for anything.
    fn nonsense(&mut self) -> (By, Command) {
        let id = self.rng.recent(&self.orders).unwrap_or(OrderId::from_bytes([200; 16]));
        let parties = [
            By::Customer(customer(self.rng.small(4))),
            By::Restaurant(restaurant(self.rng.small(3))),
            By::Driver(driver(self.rng.small(6))),
            OPERATOR,
        ];
        let by = *self.rng.pick(&parties);
        let reference = String::new();
        let command = match self.rng.below(20) {
            0 => O::Cancel,
            1 => O::Accept(DurationMs(i64::MAX)),
            2 => return (by, reject(id)),
            3 => O::MarkReady,
            4 => O::Arrive,
            5 => O::PickUp,
            6 => O::GiveBack,
            7 => O::FailDelivery(String::new()),
            8 => O::Delay(DurationMs(i64::MIN)),
            9 => O::AnswerChange(true),
            10 => rate(1, true),
            11 => O::Tip {
                amount_minor: 1,
                card: None,
            },
            12 => O::Assign(driver(self.rng.small(6))),
            13 => O::Unassign,
            14 => O::Return,
            15 => O::ProposeChange {
                lines: vec![(0, 1)],
                add: Vec::new(),
            },
            16 => O::Refund {
                amount: RefundAmount::Rest,
                reason: RefundReason::Goodwill,
                borne_by: Bearer::Driver,
            },
            17 => another_card(),
            _ => O::Complete(Proof::Photo { reference }),
        };
        (by, Command::Order(id, command))
    }
}

fn another_card() -> O {
    O::Pay {
        card: "card_other".into(),
    }
}

fn rate(stars: u8, driver: bool) -> O {
    O::Rate {
        restaurant_stars: stars,
        driver_stars: driver.then_some(stars),
        comment: String::new(),
    }
}
