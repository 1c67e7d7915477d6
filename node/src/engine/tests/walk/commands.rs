//! What the parties of a walk ask for: mostly what they may, sometimes nonsense.

use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{ItemId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::DurationMs;

use super::super::world::{
    BURGER, CAKE, OPERATOR, SODA, SOUP, address, centre, customer, driver, order_of, place, put_restaurant, restaurant,
};
use super::Walk;
use crate::engine::command::{Command, PlaceOrder};
use crate::engine::model::{Address, By, Order, Proof};
use crate::engine::quote::{QuoteRequest, quote};

impl Walk {
    pub(super) fn command(&mut self) -> (By, Command) {
        match self.rng.below(100) {
            0..18 => self.placing(),
            18..24 => self.edit(),
            24..30 => self.signing(),
            30..45 => self.answering(),
            45..50 => self.nonsense(),
            _ => self.next_of_an_order(),
        }
    }

    fn placing(&mut self) -> (By, Command) {
        let who = customer(self.rng.small(4));
        let n = self.rng.small(5);
        let chosen = (n <= 3).then(|| restaurant(n));
        let lines = self.rng.below(4);
        let items: Vec<(ItemId, u32)> = (0..lines)
            .map(|_| {
                (
                    *self.rng.pick(&[BURGER, BURGER, CAKE, SODA, SODA, SOUP]),
                    u32::from(self.rng.small(5)) - 1,
                )
            })
            .collect();
        let east_m = f64::from(self.rng.below(4_000)) - 2_000.0;
        let deliver_to = Address {
            place: centre().offset_m(*self.rng.pick(&[0.0, 0.0, east_m]), 0.0),
            ..address()
        };
        let wanted = PlaceOrder {
            deliver_to,
            method: *self
                .rng
                .pick(&[PaymentMethod::Card, PaymentMethod::Card, PaymentMethod::Cash]),
            tip_minor: i64::from(self.rng.below(3)) * 1_000,
            ..order_of(chosen, &items)
        };
        match self.rng.below(8) {
            0 => self.ask_for_quote(who, &wanted),
            1 if !self.quotes.is_empty() => {
                let quote = Some(self.rng.pick(&self.quotes).clone());
                return (By::Customer(who), place(PlaceOrder { quote, ..wanted }));
            }
            _ => {}
        }
        (By::Customer(who), place(wanted))
    }

    fn ask_for_quote(&mut self, who: tomato_shared::id::UserId, wanted: &PlaceOrder) {
        let request = QuoteRequest {
            customer_id: who,
            restaurant_id: wanted.restaurant_id,
            items: wanted.items.clone(),
            deliver_to: wanted.deliver_to.clone(),
            tip_minor: wanted.tip_minor,
        };
        let world = &self.world;
        self.quotes
            .extend(quote(world.city.catalogue(), &world.policy, &request, world.now).map(|view| view.quote));
    }

    /// A new menu, or a door that opens or closes.
    fn edit(&mut self) -> (By, Command) {
        let n = self.rng.small(3);
        if self.rng.below(3) > 0 {
            let open = self.rng.below(4) > 0;
            let restaurant_id = restaurant(n);
            return (By::Restaurant(restaurant(n)), Command::SetOpen { restaurant_id, open });
        }
        let mut wanted = put_restaurant(n);
        wanted.capacities.retain(|_| self.rng.below(4) > 0);
        for (_, capacity) in &mut wanted.capacities {
            *capacity = self.rng.below(30);
        }
        let prices = wanted.restaurant.menu.iter_mut().map(|item| &mut item.price_minor);
        prices.for_each(|price| *price += i64::from(self.rng.below(2_000)));
        (OPERATOR, Command::PutRestaurant(Box::new(wanted)))
    }

    fn signing(&mut self) -> (By, Command) {
        let n = self.rng.small(5);
        let online = self.rng.below(4) > 0;
        let driver_id = driver(n);
        (By::Driver(driver(n)), Command::SetOnline { driver_id, online })
    }

    /// An answer to an offer, mostly by whom it was made to.
    fn answering(&mut self) -> (By, Command) {
        let Some(offer_id) = self.rng.recent(&self.offers) else {
            return self.signing();
        };
        let order = self.world.city.order_of_offer(offer_id).map(|id| self.world.order(id));
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
        let Some(id) = self.rng.recent(&self.orders) else {
            return self.placing();
        };
        let order = self.world.order(id).clone();
        let kitchen = By::Restaurant(order.restaurant_id);
        let ready_in = DurationMs::from_mins(10);
        match (order.state, self.rng.below(10)) {
            (OrderState::Pending, 0) | (OrderState::Confirmed, 0) => {
                (By::Customer(order.customer_id), Command::CancelOrder(id))
            }
            (OrderState::Confirmed, 1..3) => (kitchen, Command::RejectOrder(id)),
            (OrderState::Confirmed, _) => (kitchen, Command::AcceptOrder { order_id: id, ready_in }),
            (OrderState::Preparing, 1..) => (kitchen, Command::MarkReady(id)),
            (OrderState::ReadyForPickup | OrderState::OutForDelivery, 1..) => self.driving(&order),
            _ => (OPERATOR, Command::CancelOrder(id)),
        }
    }

    fn driving(&mut self, order: &Order) -> (By, Command) {
        let id = order.id;
        let who = By::Driver(order.delivery.driver_id.unwrap_or_else(|| driver(self.rng.small(5))));
        let command = match (order.delivery.state, self.rng.below(4)) {
            (DeliveryState::PickedUp, 0) => Command::FailDelivery {
                order_id: id,
                reason: "customer_absent".into(),
            },
            (DeliveryState::PickedUp, _) => self.complete(order),
            (_, 0) => Command::GiveBack(id),
            (_, 1) => Command::Arrive(id),
            _ => Command::PickUp(id),
        };
        (who, command)
    }

    fn complete(&mut self, order: &Order) -> Command {
        let reference = "r".to_owned();
        let proof = match self.rng.below(4) {
            0 => Proof::Pin { pin: "wrong".into() },
            1 => Proof::Pin { pin: order.pin.clone() },
            2 => Proof::Photo { reference },
            _ => Proof::Signature { reference },
        };
        Command::Complete {
            order_id: order.id,
            proof,
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
        let command = match self.rng.below(9) {
            0 => Command::CancelOrder(id),
            1 => Command::AcceptOrder {
                order_id: id,
                ready_in: DurationMs(i64::MAX),
            },
            2 => Command::RejectOrder(id),
            3 => Command::MarkReady(id),
            4 => Command::Arrive(id),
            5 => Command::PickUp(id),
            6 => Command::GiveBack(id),
            7 => Command::FailDelivery {
                order_id: id,
                reason: String::new(),
            },
            _ => Command::Complete {
                order_id: id,
                proof: Proof::Photo {
                    reference: String::new(),
                },
            },
        };
        (by, command)
    }
}
