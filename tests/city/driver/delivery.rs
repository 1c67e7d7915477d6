//! From the accepted offer to the doors. Each step asks where to go next and does what comes there, so that a driver goes
//! on rightly whatever happened to the node or to the orders meanwhile.

use tomato_shared::id::OrderId;
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::time::{DurationMs, UnixMs};

use super::super::chance::{happens, seconds};
use super::super::door::Door;
use super::{Driver, Manners};
use crate::client::ApiError;
use crate::request::Proof;
use crate::view::{Order, Stop, StopKind};

/// After this many unexpected answers in a row a driver says so.
const STUMBLES_MAX: u32 = 20;

/// Where a hand-over takes place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Restaurant,
    Door,
}

/// What went wrong, and with which order.
type Stumble = (OrderId, ApiError);

impl Driver {
    /// Goes to the next stop and does what is to be done there.
    pub(super) async fn go_on(&mut self) {
        let stops = match self.api.driver_home().await {
            Ok(home) => {
                let orders = home.offers.into_iter().chain(home.deliveries);
                orders.for_each(|order| self.follower.put(order));
                home.stops
            }
            Err(error) => {
                self.complain(&format!("asks where to go: {error}"));
                self.city.clock.pause(DurationMs::from_secs(10)).await;
                return;
            }
        };
        // Nothing any more: what was known before is old.
        let Some(stop) = stops.first() else {
            let mine = self.follower.orders().into_iter().filter(|order| self.is_mine(order));
            for order in mine.collect::<Vec<_>>() {
                self.look_at(&order).await;
            }
            return;
        };
        match self.visit(stop).await {
            Ok(()) => self.stumbles = 0,
            Err((id, error)) => {
                self.stumbles += 1;
                self.stumble(id, &error).await;
                if self.stumbles == STUMBLES_MAX {
                    self.complain(&format!("is refused again and again, last on {id}: {error}"));
                }
            }
        }
    }

    async fn visit(&mut self, stop: &Stop) -> Result<(), Stumble> {
        let orders: Vec<Order> = stop.order_ids.iter().filter_map(|id| self.mine(*id)).collect();
        let Some(first) = orders.first() else { return Ok(()) };
        match stop.kind {
            StopKind::Pickup if orders.iter().any(is_ahead) => self.fetch(stop, &orders).await,
            StopKind::Pickup => self.collect(&orders).await,
            StopKind::Dropoff => self.bring(first).await,
            StopKind::Return => self.bring_back(first).await,
        }
    }

    fn mine(&self, id: OrderId) -> Option<Order> {
        self.follower.order(id).filter(|order| self.is_mine(order))
    }

    fn is_moody(&self) -> bool {
        self.shift.manners == Manners::ByHabit
    }

    /// Drives to the restaurant; or turns round on the way and gives an order back.
    async fn fetch(&mut self, stop: &Stop, orders: &[Order]) -> Result<(), Stumble> {
        self.answering_until(self.free_at).await;
        let now = self.city.clock.now();
        let arrives_at = self.motion.go(stop.place, now, &self.city.travel);
        for order in orders.iter().filter(|order| is_ahead(order)) {
            let gives_back = self.is_moody()
                && self.thought_over.insert(order.id)
                && happens(&mut self.rng, self.city.habits.driver_gives_back);
            if gives_back {
                let half_way = now + DurationMs((arrives_at - now).0 / 2);
                self.answering_until(half_way).await;
                let given = self.api.give_back(order.delivery.id).await;
                return self.take_in(order.id, given);
            }
        }
        self.answering_until(arrives_at).await;
        for order in stop.order_ids.iter().filter_map(|id| self.mine(*id)) {
            if is_ahead(&order) {
                let there = self.api.arrive(order.delivery.id).await;
                self.take_in(order.id, there)?;
            }
        }
        let span = self.serves(At::Restaurant);
        self.answering_until(self.city.clock.now() + span).await;
        Ok(())
    }

    /// Waits until all of it is cooked and takes it along. What is asked of the driver may change meanwhile.
    async fn collect(&mut self, orders: &[Order]) -> Result<(), Stumble> {
        if let Some(order) = orders.iter().find(|order| order.state == OrderState::Preparing) {
            if self.shift_is_over() {
                let given = self.api.give_back(order.delivery.id).await;
                return self.take_in(order.id, given);
            }
            self.consider_offers().await;
            if !self.follower.changed(self.city.poll()).await {
                let now = self.api.order(order.id).await;
                self.take_in(order.id, now)?;
            }
            return Ok(());
        }
        for order in orders {
            let taken = self.api.pick_up(order.delivery.id).await;
            self.take_in(order.id, taken)?;
        }
        self.free_at = self.city.clock.now() + self.leaves(At::Restaurant);
        Ok(())
    }

    /// Drives to the customer and rings.
    async fn bring(&mut self, order: &Order) -> Result<(), Stumble> {
        self.answering_until(self.free_at).await;
        let Some(address) = &order.deliver_to else {
            let untold = ApiError::Unreadable("the driver is not told where it goes".into());
            return Err((order.id, untold));
        };
        let arrives_at = self.motion.go(address.place, self.city.clock.now(), &self.city.travel);
        self.answering_until(arrives_at).await;
        let span = self.serves(At::Door);
        self.city.clock.pause(span).await;
        let proof = match self.city.doors.ring(order.id) {
            Door::Absent => {
                let failed = self.api.fail_delivery(order.delivery.id, "customer_absent").await;
                return self.take_in(order.id, failed);
            }
            Door::Pin(pin) => Proof::Pin { pin },
            Door::LeaveIt => Proof::Photo {
                reference: format!("photos/{}.jpg", order.delivery.id),
            },
        };
        let brought = self.api.complete(order.delivery.id, &proof).await;
        self.take_in(order.id, brought)?;
        self.free_at = self.city.clock.now() + self.leaves(At::Door);
        Ok(())
    }

    /// Nobody opened: back to the restaurant with it.
    async fn bring_back(&mut self, order: &Order) -> Result<(), Stumble> {
        let now = self.city.clock.now();
        let arrives_at = self.motion.go(order.restaurant.place, now, &self.city.travel);
        self.answering_until(arrives_at).await;
        let back = self.api.bring_back(order.delivery.id).await;
        self.take_in(order.id, back)
    }

    fn take_in(&self, id: OrderId, answer: Result<Order, ApiError>) -> Result<(), Stumble> {
        answer
            .map(|order| self.follower.put(order))
            .map_err(|error| (id, error))
    }

    /// Lets time go by and looks at the phone when it rings.
    async fn answering_until(&mut self, until: UnixMs) {
        loop {
            self.consider_offers().await;
            let left = until - self.city.clock.now();
            if left.0 <= 0 {
                return;
            }
            self.follower.changed(self.city.clock.real(left)).await;
        }
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
    async fn stumble(&self, id: OrderId, error: &ApiError) {
        let before = self.follower.order(id).map(|order| order.version);
        if let Some(now) = self.api_order(id).await {
            if Some(now.version) == before {
                self.complain(&format!("refused, though nothing changed on {id}: {error}"));
            }
            self.follower.put(now);
        }
        self.city.clock.pause(DurationMs::from_secs(10)).await;
    }

    async fn look_at(&self, order: &Order) {
        if let Some(now) = self.api_order(order.id).await {
            self.follower.put(now);
        }
    }

    /// The order as it is now; forgotten where it is none of the driver's business any more.
    async fn api_order(&self, id: OrderId) -> Option<Order> {
        match self.api.order(id).await {
            Ok(now) => return Some(now),
            Err(gone) if gone.status() == Some(404) => self.follower.forget(id),
            Err(error) => self.complain(&format!("reads {id}: {error}")),
        }
        None
    }
}

/// Whether the way to the restaurant is still ahead.
fn is_ahead(order: &Order) -> bool {
    order.delivery.state == DeliveryState::Assigned
}
