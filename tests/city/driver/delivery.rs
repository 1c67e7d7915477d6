//! One delivery, from the accepted offer to the door. Each step looks at the newest view and does what comes next, so
//! that a driver goes on rightly whatever happened to the node or to the order meanwhile.

use tomato_shared::id::OrderId;
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::DurationMs;

use super::super::chance::{happens, seconds};
use super::super::door::Door;
use super::{Driver, Manners};
use crate::client::ApiError;
use crate::request::Proof;
use crate::view::Order;

/// After this many unexpected answers a driver lets an order be.
const STUMBLES_MAX: u32 = 20;

/// Where a hand-over takes place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Restaurant,
    Door,
}

impl Driver {
    pub(super) async fn deliver(&mut self, id: OrderId) {
        let gives_back = self.is_moody() && happens(&mut self.rng, self.city.habits.driver_gives_back);
        let mut stumbles = 0;
        while let Some(order) = self.follower.order(id).filter(|order| self.is_mine(order)) {
            let step = match order.delivery.state {
                DeliveryState::Assigned => self.fetch(&order, gives_back).await,
                DeliveryState::AtRestaurant => self.collect(&order).await,
                DeliveryState::Returning => self.bring_back(&order).await,
                _ => self.bring(&order).await,
            };
            match step {
                Ok(order) => self.follower.put(order),
                Err(error) => {
                    stumbles += 1;
                    self.stumble(&order, &error).await;
                    if stumbles == STUMBLES_MAX {
                        self.complain(&format!("gives up on {id} after {stumbles} refusals, last: {error}"));
                        break;
                    }
                }
            }
        }
    }

    fn is_moody(&self) -> bool {
        self.shift.manners == Manners::ByHabit
    }

    /// Drives to the restaurant; or turns round on the way and gives the order back.
    async fn fetch(&mut self, order: &Order, gives_back: bool) -> Result<Order, ApiError> {
        self.city.clock.pause_until(self.free_at).await;
        let now = self.city.clock.now();
        let arrives_at = self.motion.go(order.restaurant.place, now, &self.city.travel);
        if gives_back {
            self.city.clock.pause(DurationMs((arrives_at - now).0 / 2)).await;
            return self.api.give_back(order.delivery.id).await;
        }
        self.city.clock.pause_until(arrives_at).await;
        self.api.arrive(order.delivery.id).await
    }

    /// Waits for the food and takes it along.
    async fn collect(&mut self, order: &Order) -> Result<Order, ApiError> {
        let span = self.serves(At::Restaurant);
        self.city.clock.pause(span).await;
        while self
            .follower
            .order(order.id)
            .is_some_and(|order| order.state == OrderState::Preparing)
        {
            if self.shift_is_over() {
                return self.api.give_back(order.delivery.id).await;
            }
            if !self.follower.changed(self.city.poll()).await {
                self.follower.put(self.api.order(order.id).await?);
            }
        }
        let taken = self.api.pick_up(order.delivery.id).await?;
        self.free_at = self.city.clock.now() + self.leaves(At::Restaurant);
        Ok(taken)
    }

    /// Drives to the customer and rings.
    async fn bring(&mut self, order: &Order) -> Result<Order, ApiError> {
        self.city.clock.pause_until(self.free_at).await;
        let Some(address) = &order.deliver_to else {
            return Err(ApiError::Unreadable(format!(
                "the driver of {} is not told where it goes",
                order.id
            )));
        };
        let arrives_at = self.motion.go(address.place, self.city.clock.now(), &self.city.travel);
        self.city.clock.pause_until(arrives_at).await;
        let span = self.serves(At::Door);
        self.city.clock.pause(span).await;
        let proof = match self.city.doors.ring(order.id) {
            Door::Absent => {
                return self.api.fail_delivery(order.delivery.id, "customer_absent").await;
            }
            Door::Pin(pin) => Proof::Pin { pin },
            Door::LeaveIt => Proof::Photo {
                reference: format!("photos/{}.jpg", order.delivery.id),
            },
        };
        let brought = self.api.complete(order.delivery.id, &proof).await?;
        self.free_at = self.city.clock.now() + self.leaves(At::Door);
        Ok(brought)
    }

    /// Nobody opened: back to the restaurant with it.
    async fn bring_back(&mut self, order: &Order) -> Result<Order, ApiError> {
        let now = self.city.clock.now();
        let arrives_at = self.motion.go(order.restaurant.place, now, &self.city.travel);
        self.city.clock.pause_until(arrives_at).await;
        self.api.bring_back(order.delivery.id).await
    }

    fn serves(&mut self, at: At) -> DurationMs {
        match (self.shift.manners, at) {
            (Manners::ByHabit, _) => seconds(&mut self.rng, self.city.habits.handover_s),
            (Manners::Dutiful { pickup, .. }, At::Restaurant) => DurationMs(pickup.0 / 2),
            (Manners::Dutiful { dropoff, .. }, At::Door) => DurationMs(dropoff.0 / 2),
        }
    }

    fn leaves(&self, at: At) -> DurationMs {
        match (self.shift.manners, at) {
            (Manners::ByHabit, _) => DurationMs(0),
            (Manners::Dutiful { pickup, .. }, At::Restaurant) => DurationMs(pickup.0 - pickup.0 / 2),
            (Manners::Dutiful { dropoff, .. }, At::Door) => DurationMs(dropoff.0 - dropoff.0 / 2),
        }
    }

    /// After a refusal: looks where things stand. Cancelled orders are normal, everything else is told.
    async fn stumble(&self, before: &Order, error: &ApiError) {
        let now = self.api.order(before.id).await;
        match now {
            Ok(now) => {
                if now.version == before.version {
                    self.complain(&format!("refused, though nothing changed on {}: {error}", before.id));
                }
                self.follower.put(now);
            }
            Err(gone) if gone.status() == Some(404) => self.follower.forget(before.id),
            Err(error) => self.complain(&format!("reads {}: {error}", before.id)),
        }
        self.city.clock.pause(DurationMs::from_secs(10)).await;
    }
}
