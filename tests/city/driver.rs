//! A driver: signs on, takes offers, fetches and brings, signs off at the end of the shift.

mod delivery;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::AbortHandle;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DriverId, OfferId, OrderId};
use tomato_shared::time::{DurationMs, UnixMs};

use super::City;
use super::chance::{happens, seconds, stream};
use super::motion::{Motion, send_positions};
use super::world::SeededDriver;
use crate::client::Api;
use crate::live::Follower;
use crate::view::Order;

/// Codes that mean that an offer went another way meanwhile.
const OFFER_GONE: [&str; 5] = ["offer_gone", "not_found", "wrong_state", "too_late", "driver_busy"];

/// How many orders a driver's phone remembers.
const REMEMBERED: usize = 200;

/// Who drives, from where, from when to when.
#[derive(Debug, Clone)]
pub struct Shift {
    pub driver: DriverId,
    pub start: LatLng,
    pub on_at: Option<UnixMs>,
    pub off_at: Option<UnixMs>,
    pub manners: Manners,
}

/// How long things take a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// As the habits say, moods included.
    ByHabit,
    /// Never refuses what can be picked up within the shift; serves in fixed times, half of each before the hand-over.
    Dutiful { pickup: DurationMs, dropoff: DurationMs },
}

impl Shift {
    /// Works from now on.
    pub fn endless(driver: &SeededDriver) -> Self {
        Self {
            driver: driver.id,
            start: driver.start,
            on_at: None,
            off_at: None,
            manners: Manners::ByHabit,
        }
    }
}

/// Works one shift.
pub(super) async fn run(city: Arc<City>, number: usize, shift: Shift) {
    if let Some(on_at) = shift.on_at {
        city.clock.pause_until(on_at).await;
    }
    let token = city.issuer.driver(shift.driver);
    let api = city.api.with_token(&token);
    let mut driver = Driver {
        follower: Follower::start(api.base(), &token),
        motion: Motion::standing(shift.start),
        rng: stream(
            city.seed,
            &format!("driver {}", city.world.ground.region),
            number as u64,
        ),
        passed_over: BTreeSet::new(),
        thought_over: BTreeSet::new(),
        stumbles: 0,
        free_at: UnixMs(0),
        phone: None,
        api,
        city,
        shift,
    };
    driver.work().await;
}

struct Driver {
    city: Arc<City>,
    api: Api,
    shift: Shift,
    follower: Follower,
    motion: Motion,
    rng: StdRng,
    /// Offers that are not for this driver.
    passed_over: BTreeSet<OfferId>,
    /// Orders of which it is decided whether they are given back.
    thought_over: BTreeSet<OrderId>,
    /// Unexpected answers in a row.
    stumbles: u32,
    /// When the last customer has their food in their hands.
    free_at: UnixMs,
    phone: Option<AbortHandle>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(phone) = &self.phone {
            phone.abort();
        }
    }
}

impl Driver {
    async fn work(&mut self) {
        while !self.set_online(true).await {
            self.city.clock.pause(DurationMs::from_secs(60)).await;
        }
        let phone = send_positions(
            self.api.clone(),
            self.city.clock,
            self.motion.clone(),
            self.city.position_pace(),
        );
        self.phone = Some(tokio::spawn(phone).abort_handle());
        loop {
            self.consider_offers().await;
            if self.follower.orders().iter().any(|order| self.is_mine(order)) {
                self.go_on().await;
            } else if self.shift_is_over() {
                if self.set_online(false).await {
                    return;
                }
                self.look_up().await;
            } else {
                self.wait().await;
            }
        }
    }

    fn shift_is_over(&self) -> bool {
        self.shift.off_at.is_some_and(|off_at| off_at <= self.city.clock.now())
    }

    fn is_mine(&self, order: &Order) -> bool {
        let bound = order
            .delivery
            .driver
            .as_ref()
            .is_some_and(|driver| driver.id == self.shift.driver);
        bound && order.delivery.state.has_driver()
    }

    fn is_offered(&self, order: &Order) -> bool {
        let open = |offer: &crate::view::Offer| !self.passed_over.contains(&offer.id);
        order.delivery.offer.as_ref().is_some_and(open)
    }

    /// Waits for news; asks over HTTP when there were none for a while.
    async fn wait(&mut self) {
        self.tidy_up();
        let poll = self.city.poll();
        let limit = match self.shift.off_at {
            Some(off_at) => poll
                .min(self.city.clock.real(off_at - self.city.clock.now()))
                .max(Duration::from_millis(1)),
            None => poll,
        };
        if !self.follower.changed(limit).await && limit == poll {
            self.look_up().await;
        }
    }

    /// Ended orders are remembered for a while, so that a message that comes late is known to be old.
    fn tidy_up(&self) {
        let known = self.follower.orders();
        if known.len() > REMEMBERED {
            known
                .iter()
                .filter(|order| !self.is_mine(order))
                .for_each(|order| self.follower.forget(order.id));
        }
    }

    async fn look_up(&self) {
        match self.api.driver_home().await {
            Ok(home) => {
                if !home.driver.online && !self.shift_is_over() {
                    self.complain("was signed off by itself");
                    self.set_online(true).await;
                }
                home.offers
                    .into_iter()
                    .chain(home.deliveries)
                    .for_each(|order| self.follower.put(order));
            }
            Err(error) => self.complain(&format!("asks for offers: {error}")),
        }
    }

    async fn set_online(&self, online: bool) -> bool {
        match self.api.set_online(online).await {
            Ok(_) => true,
            // An order came at the last moment: it is brought first.
            Err(error) if !online && error.code() == "driver_busy" => false,
            Err(error) => {
                self.complain(&format!("signs {}: {error}", if online { "on" } else { "off" }));
                false
            }
        }
    }

    fn complain(&self, text: &str) {
        self.city
            .tracker
            .complain(format!("driver {}: {text}", self.shift.driver));
    }

    async fn consider_offers(&mut self) {
        while let Some(order) = self.follower.orders().into_iter().find(|order| self.is_offered(order)) {
            self.consider(order).await;
        }
    }

    /// Accepts, declines or ignores an offer.
    async fn consider(&mut self, order: Order) {
        let Some(offer) = order.delivery.offer.clone() else {
            return;
        };
        self.passed_over.insert(offer.id);
        let accepts = match self.shift.manners {
            Manners::Dutiful { pickup, .. } => self.makes_it(&order, pickup),
            Manners::ByHabit => {
                let habits = &self.city.habits;
                if happens(&mut self.rng, habits.driver_ignores) {
                    return;
                }
                let (accepts, decide_s) = (!happens(&mut self.rng, habits.driver_declines), habits.decide_s);
                self.city.clock.pause(seconds(&mut self.rng, decide_s)).await;
                accepts
            }
        };
        let outcome = if accepts {
            self.api.accept_offer(offer.id).await
        } else {
            self.api.decline_offer(offer.id).await
        };
        match outcome {
            Ok(order) => self.follower.put(order),
            Err(error) if OFFER_GONE.contains(&error.code()) => {}
            Err(error) => self.complain(&format!("answers offer {}: {error}", offer.id)),
        }
    }

    /// Whether the order can be in this driver's hands before the shift ends.
    fn makes_it(&self, order: &Order, pickup: DurationMs) -> bool {
        let leaves_at = self.city.clock.now().max(self.free_at);
        let here = self.motion.position(leaves_at);
        let arrives_at = leaves_at + self.city.travel.time(here, order.restaurant.place);
        let picked_up_at = arrives_at + DurationMs(pickup.0 / 2);
        self.shift.off_at.is_none_or(|off_at| picked_up_at <= off_at)
    }
}
