//! A restaurant: answers orders, cooks, marks them ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tomato_shared::id::{OrderId, RestaurantId};
use tomato_shared::order::OrderState;
use tomato_shared::time::{DurationMs, UnixMs};

use super::City;
use super::chance::{happens, seconds, stream};
use crate::client::{Api, ApiError};
use crate::live::Follower;
use crate::request::{Change, LineLeft};
use crate::view::Order;

/// Codes that mean that the order went another way meanwhile.
const GONE: [&str; 3] = ["wrong_state", "too_late", "not_found"];

/// How many orders a kitchen's screen remembers.
const REMEMBERED: usize = 1_000;

/// How restaurants cook.
#[derive(Debug, Clone)]
pub enum Cooking {
    /// As the habits say.
    ByHabit,
    /// Accepted at once and ready at a given time.
    ByTimetable(Timetable),
}

/// When orders will be ready; those who order write it.
#[derive(Debug, Clone)]
pub struct Timetable {
    entries: Arc<Mutex<BTreeMap<OrderId, UnixMs>>>,
    bell: watch::Sender<u64>,
}

impl Default for Timetable {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            bell: watch::Sender::new(0),
        }
    }
}

impl Timetable {
    /// The order will be ready then.
    pub fn set(&self, order: OrderId, ready_at: UnixMs) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(order, ready_at);
        self.bell.send_modify(|count| *count += 1);
    }

    /// When the order will be ready; waits until that is known.
    pub async fn ready_at(&self, order: OrderId) -> UnixMs {
        let mut changes = self.bell.subscribe();
        loop {
            let known = self
                .entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&order)
                .copied();
            match known {
                Some(ready_at) => return ready_at,
                // `self` holds a sender, so this waits and does not fail.
                None => drop(changes.changed().await),
            }
        }
    }
}

/// Works without end.
pub(super) async fn run(city: Arc<City>, number: usize, cooking: Cooking) {
    let restaurant = &city.world.restaurants[number];
    let token = city.issuer.restaurant(restaurant.staff, restaurant.id);
    let api = city.api.with_token(&token);
    let mut follower = Follower::start(api.base(), &token);
    let mut tickets = Tickets {
        seen: BTreeSet::new(),
        cooks: JoinSet::new(),
    };
    loop {
        if !follower.changed(city.poll()).await {
            look_up(&city, &api, &follower, restaurant.id).await;
        }
        for order in follower.orders() {
            let ours = order.restaurant.id == restaurant.id;
            // What is scheduled for later is asked for in time.
            let asked = order.release_at.is_none();
            if ours && asked && matches!(order.state, OrderState::Confirmed | OrderState::Preparing) {
                let ticket = Ticket {
                    city: city.clone(),
                    api: api.clone(),
                    restaurant: restaurant.id,
                    cooking: cooking.clone(),
                };
                tickets.open(ticket, &order);
            }
        }
        tidy_up(&follower);
    }
}

/// Ended orders are remembered for a while, so that a message that comes late is known to be old.
fn tidy_up(follower: &Follower) {
    let known = follower.orders();
    if known.len() > REMEMBERED {
        let done = known
            .iter()
            .filter(|order| !matches!(order.state, OrderState::Confirmed | OrderState::Preparing));
        done.for_each(|order| follower.forget(order.id));
    }
}

/// Asks over HTTP what the WebSocket may have missed.
async fn look_up(city: &City, api: &Api, follower: &Follower, id: RestaurantId) {
    for state in [OrderState::Confirmed, OrderState::Preparing] {
        match api.restaurant_orders(id, state).await {
            Ok(page) => page.data.into_iter().for_each(|order| follower.put(order)),
            Err(error) => city
                .tracker
                .complain(format!("restaurant {id} lists {}: {error}", state.name())),
        }
    }
}

/// Orders that somebody in the kitchen has taken in hand.
#[derive(Debug)]
struct Tickets {
    seen: BTreeSet<OrderId>,
    /// Give back the order if it has to be taken in hand again.
    cooks: JoinSet<Option<OrderId>>,
}

impl Tickets {
    fn open(&mut self, ticket: Ticket, order: &Order) {
        while let Some(done) = self.cooks.try_join_next() {
            if let Ok(Some(id)) = done {
                self.seen.remove(&id);
            }
        }
        if self.seen.insert(order.id) {
            self.cooks.spawn(ticket.run(order.clone()));
        }
    }
}

struct Ticket {
    city: Arc<City>,
    api: Api,
    restaurant: RestaurantId,
    cooking: Cooking,
}

impl Ticket {
    async fn run(self, order: Order) -> Option<OrderId> {
        let id = order.id;
        // The draw hangs on the order's bytes: a ticket that is opened twice decides the same.
        let bytes = u64::from_le_bytes(id.bytes()[8..].try_into().unwrap_or_default());
        let mut rng = stream(self.city.seed, "ticket", bytes);
        let outcome = match order.state {
            OrderState::Confirmed => self.answer(&mut rng, order).await,
            _ => Ok(Some(order)),
        };
        let outcome = match outcome {
            Ok(Some(order)) => self.cook(&mut rng, &order).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => None,
            Err(error) if GONE.contains(&error.code()) => None,
            Err(error) => {
                self.city
                    .tracker
                    .complain(format!("restaurant {} with {id}: {error}", self.restaurant));
                self.city.clock.pause(DurationMs::from_mins(1)).await;
                Some(id)
            }
        }
    }

    async fn answer(&self, rng: &mut StdRng, order: Order) -> Result<Option<Order>, ApiError> {
        let habits = &self.city.habits;
        let ready_in_min = match &self.cooking {
            Cooking::ByTimetable(timetable) => {
                let span = timetable.ready_at(order.id).await - self.city.clock.now();
                u32::try_from((span.0 + 59_999) / 60_000).unwrap_or(1).clamp(1, 180)
            }
            Cooking::ByHabit => {
                if happens(rng, habits.restaurant_silent) {
                    self.stay_silent(&order).await;
                    return Ok(None);
                }
                self.city.clock.pause(seconds(rng, habits.answer_s)).await;
                if happens(rng, habits.restaurant_rejects) {
                    let reasons = ["too_busy", "closing", "other"];
                    let reason = reasons[rng.random_range(0..reasons.len())];
                    self.api.reject(self.restaurant, order.id, reason).await?;
                    return Ok(None);
                }
                rng.random_range(habits.cook_min.0..=habits.cook_min.1)
            }
        };
        self.api.accept(self.restaurant, order.id, ready_in_min).await.map(Some)
    }

    /// Nobody looks at the order until the region has given up on this restaurant.
    async fn stay_silent(&self, order: &Order) {
        let until = order.accept_by.unwrap_or(self.city.clock.now()) + DurationMs::from_mins(2);
        self.city.clock.pause_until(until).await;
    }

    /// Something goes wrong in the kitchen; false where the order is given up.
    async fn mishap(&self, rng: &mut StdRng, order: &Order) -> Result<bool, ApiError> {
        let habits = &self.city.habits;
        if happens(rng, habits.restaurant_gives_up) {
            self.api.cancel(order.id).await?;
            return Ok(false);
        }
        if order.lines.len() > 1 && happens(rng, habits.restaurant_changes) {
            let change = Change {
                lines: vec![LineLeft { line: 0, quantity: 0 }],
                add: Vec::new(),
            };
            self.api.propose(self.restaurant, order.id, &change).await?;
        }
        if happens(rng, habits.restaurant_delays) {
            self.api.delay(self.restaurant, order.id, habits.cook_min.1).await?;
        }
        Ok(true)
    }

    async fn cook(&self, rng: &mut StdRng, order: &Order) -> Result<(), ApiError> {
        let ready_at = match &self.cooking {
            Cooking::ByTimetable(timetable) => timetable.ready_at(order.id).await,
            Cooking::ByHabit => {
                if !self.mishap(rng, order).await? {
                    return Ok(());
                }
                let promised = order.ready_at.unwrap_or(self.city.clock.now());
                promised + seconds(rng, self.city.habits.late_s)
            }
        };
        self.city.clock.pause_until(ready_at).await;
        self.api.ready(self.restaurant, order.id).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timetable_is_awaited() {
        let (timetable, order) = (Timetable::default(), OrderId::from_bytes([1; 16]));
        let asked = tokio::spawn({
            let timetable = timetable.clone();
            async move { timetable.ready_at(order).await }
        });
        timetable.set(OrderId::from_bytes([2; 16]), UnixMs(5));
        timetable.set(order, UnixMs(9));
        assert_eq!(asked.await.unwrap(), UnixMs(9));
    }
}
