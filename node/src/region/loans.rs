//! Orders that no driver of this region takes: a neighbour is asked for one of its own, for that one delivery.
//!
//! A region that plans borrows for what its plan leaves, or would fetch no sooner than a loan is worth, and lends whom its plan
//! has no use for.
//!
//! The lender chooses whom it lends and lets go of them in the same transaction (`engine/custody.rs`), so no position and
//! no name leaves a region but those of a driver who goes. An answer that is lost is no harm: the driver comes anyway, and
//! goes home at once where nobody needs them any more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tomato_shared::cell::{LatLng, REGION_RESOLUTION, RegionId};
use tomato_shared::control::Feature;
use tomato_shared::id::OrderId;
use tomato_shared::subject::PeerVerb;
use tomato_shared::time::{DurationMs, UnixMs};

use super::peers::Peers;
use super::peers::wire::{Borrow, Lent};
use crate::engine::command::{Command, DriverCommand};
use crate::engine::custody::Step;
use crate::engine::model::{By, Order};
use crate::fleet::Near;
use crate::http::App;
use crate::store::reads;
use crate::writer::Context;

/// How long a neighbour may take to let go of a driver.
const LEND_WITHIN: Duration = Duration::from_secs(3);
/// Orders looked at in one round.
const ORDERS_MAX: usize = 32;
/// After how long a neighbour is asked again for the same order.
const ASK_AGAIN: DurationMs = DurationMs::from_secs(60);
/// Rings of cells around a restaurant whose owners are asked: beyond, a driver is farther away than any radius of dispatch.
const RINGS: u32 = 2;
/// Drivers looked at before one is lent.
const LENT_FROM: usize = 8;

/// Asks for drivers of others.
pub struct Loans {
    app: Arc<App>,
    peers: Arc<Peers>,
    after: DurationMs,
    asked: HashMap<OrderId, UnixMs>,
}

impl Loans {
    /// `after`: how long an order waits for this region's own drivers first; 0 asks nobody.
    pub fn new(app: Arc<App>, peers: Arc<Peers>, after: DurationMs) -> Self {
        Self {
            app,
            peers,
            after,
            asked: HashMap::new(),
        }
    }

    /// Asks for those that have waited for long enough.
    pub async fn look(&mut self) {
        let off = self.after.0 == 0 || self.app.catalogue().is_off(Feature::Loans);
        if off || self.app.head.borrow().orders_waiting == 0 {
            return self.asked.clear();
        }
        let read = self
            .app
            .reads
            .read(|connection| reads::waiting(connection, ORDERS_MAX))
            .await;
        let waiting = match read {
            Ok(waiting) => waiting,
            Err(error) => return tracing::warn!(%error, "orders that wait cannot be read"),
        };
        let now = self.app.clock.now();
        let plan = self.app.board.current(now);
        self.asked.retain(|id, _| waiting.iter().any(|order| order.id == *id));
        for order in waiting {
            let waited = now - order.ready_at.unwrap_or(order.placed_at);
            let again = self.asked.get(&order.id).is_none_or(|at| now - *at >= ASK_AGAIN);
            let ours = plan
                .as_ref()
                .is_some_and(|plan| plan.fetches(order.id, now + self.after));
            if waited >= self.after && again && !ours {
                self.asked.insert(order.id, now);
                self.borrow(&order).await;
            }
        }
    }

    async fn borrow(&self, order: &Order) {
        let delivery = &order.delivery;
        let question = Borrow {
            order_id: order.id,
            place: order.restaurant_place,
            radius_m: self.app.policy.dispatch.radius_m,
            not: delivery.excluded.iter().chain(&delivery.declined).copied().collect(),
        };
        for region in self.neighbours(&order.restaurant_place) {
            let answer = self
                .peers
                .ask::<_, Lent>(&region, PeerVerb::Loan, &question, LEND_WITHIN)
                .await;
            match answer {
                Ok(Lent { driver_id: Some(id) }) => {
                    return tracing::info!(order_id = %order.id, driver_id = %id, %region, "a driver is borrowed");
                }
                Ok(Lent { driver_id: None }) => {}
                // It may have lent one all the same: nobody else is asked in this round.
                Err(reason) => return tracing::debug!(order_id = %order.id, %region, ?reason, "no answer to a loan"),
            }
        }
    }

    /// Who owns cells around a place, besides this region.
    fn neighbours(&self, place: &LatLng) -> BTreeSet<RegionId> {
        let directory = self.peers.locator.directory();
        let around = place.cell(REGION_RESOLUTION).0.grid_disk::<Vec<_>>(RINGS);
        let owners = around
            .into_iter()
            .filter_map(|cell| directory.owner(tomato_shared::cell::Cell(cell)));
        owners
            .map(|owner| owner.region)
            .filter(|region| *region != self.peers.region)
            .collect()
    }
}

/// Lends the nearest idle driver to another region, unless orders wait here, too, for which there is nobody, or the hub has
/// switched that off.
pub async fn lend(app: &App, asked: Borrow, to: &RegionId) -> Lent {
    let nobody = Lent { driver_id: None };
    let plan = app.board.current(app.clock.now());
    let short = match &plan {
        Some(plan) => plan.falls_short(),
        None => app.head.borrow().orders_waiting > 0,
    };
    if short || app.catalogue().is_off(Feature::Loans) {
        return nobody;
    }
    let needed = |id| plan.as_ref().is_some_and(|plan| plan.needs(id));
    let near = Near {
        place: asked.place,
        radius_m: asked.radius_m.min(app.policy.dispatch.radius_m),
        limit: LENT_FROM,
    };
    let spare = |id| !asked.not.contains(&id) && !needed(id);
    let found = app.fleet.near(&near, app.clock.now(), spare);
    for candidate in found {
        let step = Step::HandOver {
            to: to.clone(),
            loan: Some(asked.order_id),
        };
        let command = Command::Driver(candidate.driver_id, DriverCommand::Cross(step));
        // Somebody may have found something for the driver meanwhile: then the next is asked for.
        if app.writer.submit(By::System, command, Context::default()).await.is_ok() {
            return Lent {
                driver_id: Some(candidate.driver_id),
            };
        }
    }
    nobody
}
