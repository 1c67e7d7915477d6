//! Policy `matching`, live: every few seconds a snapshot of the region is planned as a whole, outside the writer, and what has to
//! begin now goes back as one command.
//!
//! ```text
//! writer -> Snapshot (as of a commit) + fleet (positions) + history (learned) -> problem -> matching::plan (own thread)
//!        <- Command::Round: compare-and-set per driver; what lost a race is planned anew in the next round
//! ```
//! | module | does |
//! |---|---|
//! | [`problem`] | what the planner is told |
//! | [`history`] | what finished orders teach |
//! | [`plane`] | the region laid flat |
//! | [`router`] | travel times by street, where a router is configured |
//! | [`board`] | what operators and drivers see of the newest plan |

pub mod board;
pub mod history;
pub mod plane;
pub mod problem;
pub mod router;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::mpsc;
use tomato_shared::cell::{Cell, LatLng};
use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::DeliveryState;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::clock::Clock;
use crate::engine::command::{Command, Intent, Round};
use crate::engine::matching::{self, Config, Plan, Problem, Table, Tentative, Travel};
use crate::engine::model::{By, Order};
use crate::engine::policy::Policy;
use crate::engine::snapshot::Snapshot;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::store::pool::{Pool, ReadError};
use crate::store::{StoreError, reads};
use crate::writer::{Context, Writer};
use board::Board;
use history::History;
use plane::Plane;
use problem::Facts;
use router::Router;

/// Shortest pause between rounds, in real time, however fast the region's clock runs.
const PAUSE_LEAST: Duration = Duration::from_millis(50);
/// Orders that a start learns from, newest first.
const RECALLED: usize = 10_000;
/// News on their way from the writer. What finds no room is not learned from, no more.
pub const NEWS_MAX: usize = 4_096;
/// Improvement for each order that is planned; a large region's budget is bounded by the planner's own.
const WORK_PER_ORDER: u64 = 1_000;
/// How much earlier than needed drivers are asked, so that there is time to answer.
const LEAD_MAX: DurationMs = DurationMs::from_secs(30);
/// Two restaurants share a trip when one is no farther from the other than this.
const SECOND_RESTAURANT_MS: i64 = 4 * 60_000;
/// Late is better than never.
const CLICK_TO_DOOR_MAX_MS: i64 = 24 * 3_600_000;

/// Where drivers were last seen, and when.
pub type Positions = BTreeMap<DriverId, (LatLng, UnixMs)>;

/// Something that happened to an order, told after its commit.
#[derive(Debug, Clone)]
pub struct News {
    /// What.
    pub event: Event,
    /// The order after it.
    pub order: Arc<Order>,
}

/// Whether there is something to learn from it.
pub const fn teaches(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderPreparing { .. }
            | Event::OrderReady { .. }
            | Event::OrderPickedUp { .. }
            | Event::OrderDelivered { .. }
    )
}

/// Why there is no more planning.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The region's past cannot be read.
    #[error("reading the region's past: {0}")]
    Read(#[from] ReadError),
    /// Nobody to ask for streets.
    #[error("making ready to ask the router: {0}")]
    Router(#[from] reqwest::Error),
}

impl From<StoreError> for DispatchError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

/// What the dispatcher works with.
#[derive(Debug)]
pub struct Dispatcher {
    /// Gives snapshots and takes rounds.
    pub writer: Writer,
    /// Where drivers are.
    pub fleet: Arc<Fleet>,
    /// Region time.
    pub clock: Clock,
    /// The region's numbers.
    pub policy: Arc<Policy>,
    /// The region's file, to learn from.
    pub path: PathBuf,
    /// Of a table service; none for the straight line.
    pub router_url: Option<String>,
    /// What happens meanwhile.
    pub news: mpsc::Receiver<News>,
    /// Shows the newest plan.
    pub board: Arc<Board>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// What one round leaves for the next.
struct Memory {
    policy: Arc<Policy>,
    history: History,
    plane: Plane,
    tentative: Vec<Tentative>,
    /// What a router has answered.
    table: Arc<Table>,
}

/// What a round works on.
struct Input {
    snapshot: Snapshot,
    positions: Positions,
    now: UnixMs,
    /// Since the round before.
    cycle: DurationMs,
}

/// The writer's answer to a round.
#[derive(Debug, Deserialize)]
struct Outcome {
    done: u64,
    lost: u64,
}

impl Dispatcher {
    /// Plans until told to stop.
    ///
    /// # Errors
    /// [`DispatchError`]
    pub async fn run(mut self, mut stop: StopSignal) -> Result<(), DispatchError> {
        let mut memory = self.remember().await?;
        let mut router = self
            .router_url
            .as_deref()
            .map(|url| Router::new(url, memory.plane))
            .transpose()?;
        let cycle = self.policy.dispatch.cycle;
        let mut last = self.clock.now();
        loop {
            let pause = self.clock.real(cycle).max(PAUSE_LEAST);
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            let now = self.clock.now();
            while let Ok(news) = self.news.try_recv() {
                memory.history.hear(&news.event, &news.order, now);
            }
            // No room for the question is overload: money and orders under way come first.
            let Some(snapshot) = self.writer.snapshot().await else {
                continue;
            };
            let input = Input {
                positions: self.positions(&snapshot),
                snapshot,
                now,
                cycle: (now - last).max(cycle),
            };
            last = now;
            let began = Instant::now();
            let prepared = tokio::task::spawn_blocking(move || memory.prepare(input)).await;
            let Ok((mut kept, prepared)) = prepared else {
                memory = self.begin_anew().await?;
                continue;
            };
            if let Some(router) = &mut router {
                kept.table = router.table(&prepared.problem, now).await;
                self.metrics.router_there.set(usize::from(router.is_there()));
            }
            let table = kept.table.clone();
            let planned = tokio::task::spawn_blocking(move || prepared.plan(table)).await;
            let Ok(planned) = planned else {
                memory = self.begin_anew().await?;
                continue;
            };
            memory = kept;
            memory.tentative.clone_from(&planned.plan.tentative);
            self.metrics.dispatch_cycle.took(began.elapsed());
            self.metrics.dispatch_degraded.add(u64::from(planned.plan.degraded));
            let streets = router.as_ref().map(Router::is_there);
            self.board
                .show(&planned.plan, &memory.plane, (now, streets), &planned.bound);
            self.carry_out(planned.round).await;
        }
    }

    async fn begin_anew(&self) -> Result<Memory, DispatchError> {
        tracing::error!("a dispatch round broke off; the next begins from the rows alone");
        self.remember().await
    }

    async fn remember(&self) -> Result<Memory, DispatchError> {
        let pool = Pool::open(&self.path, 1)?;
        let orders = pool.read(|connection| reads::last_orders(connection, RECALLED)).await?;
        let plane = Plane::around(self.policy.cells.iter().next().map(Cell::centre));
        let policy = self.policy.clone();
        let mut history = History::new(plane, policy.dispatch.speed_m_per_min, policy.dispatch.handover);
        history.recall(orders, self.clock.now());
        Ok(Memory {
            policy,
            history,
            plane,
            tentative: Vec::new(),
            table: Arc::default(),
        })
    }

    fn positions(&self, snapshot: &Snapshot) -> Positions {
        let known = snapshot.drivers.iter().filter_map(|row| {
            let fix = self.fleet.position(row.id)?;
            Some((row.id, (fix.place, fix.at)))
        });
        known.collect()
    }

    async fn carry_out(&self, round: Round) {
        if round.intents.is_empty() && round.left.is_empty() {
            return;
        }
        let answer = self
            .writer
            .submit(By::System, Command::Round(round), Context::default())
            .await;
        match answer.map(|response| serde_json::from_slice::<Outcome>(&response.body)) {
            Ok(Ok(outcome)) => {
                self.metrics.dispatch_done.add(outcome.done);
                self.metrics.dispatch_lost.add(outcome.lost);
            }
            other => tracing::warn!(?other, "a dispatch round was not carried out; the next plans anew"),
        }
    }
}

/// A plan and what follows from it now.
struct Planned {
    plan: Plan,
    round: Round,
    /// Who was asked for what, or bound to it.
    bound: BTreeMap<OrderId, DriverId>,
}

/// Everything that a plan is made from.
struct Prepared {
    problem: Problem,
    config: Config,
    snapshot: Snapshot,
    positions: Positions,
}

impl Prepared {
    fn plan(mut self, table: Arc<Table>) -> Planned {
        self.problem.travel.table = table;
        let plan = matching::plan(&self.problem, &self.config);
        let round = round(&plan, &self.snapshot, &self.positions);
        let drivers = self.snapshot.drivers.iter();
        let bound = drivers.flat_map(|row| row.offered.iter().chain(&row.delivering).map(|id| (*id, row.id)));
        let bound = bound.collect();
        Planned { plan, round, bound }
    }
}

impl Memory {
    fn prepare(mut self, input: Input) -> (Self, Prepared) {
        let Input {
            snapshot,
            positions,
            now,
            cycle,
        } = input;
        let config = self.config(&snapshot, cycle);
        let facts = Facts {
            snapshot: &snapshot,
            positions: &positions,
            position_age_max: self.policy.dispatch.position_age_max,
            history: &self.history,
            plane: self.plane,
            travel: Travel {
                learned: self.history.speeds().clone(),
                table: self.table.clone(),
                ..Travel::straight(self.policy.dispatch.speed_m_per_min, 1)
            },
            cash_max_minor: self.policy.driver_pay.cash_max_minor,
            config: &config,
            now,
        };
        let demand = self.history.demand(now, DurationMs(config.horizon_ms));
        let problem = facts.problem(std::mem::take(&mut self.tentative), demand);
        let prepared = Prepared {
            problem,
            config,
            snapshot,
            positions,
        };
        (self, prepared)
    }

    fn config(&self, snapshot: &Snapshot, cycle: DurationMs) -> Config {
        let dispatch = &self.policy.dispatch;
        let half = |span: DurationMs| span.0 / 2;
        let defaults = Config::default();
        let orders = u64::try_from(snapshot.orders.len()).unwrap_or(u64::MAX);
        Config {
            pickup_before_ms: half(dispatch.handover),
            pickup_after_ms: dispatch.handover.0 - half(dispatch.handover),
            dropoff_before_ms: half(dispatch.handover),
            dropoff_after_ms: dispatch.handover.0 - half(dispatch.handover),
            cycle_ms: cycle.0,
            lead_ms: dispatch.offer_ttl.min(LEAD_MAX).0,
            click_to_door_ms_max: CLICK_TO_DOOR_MAX_MS,
            bundle_max: dispatch.bundle_max,
            second_restaurant_ms: if dispatch.two_restaurants {
                SECOND_RESTAURANT_MS
            } else {
                0
            },
            improve_work: defaults.improve_work.min(WORK_PER_ORDER.saturating_mul(orders)),
            ..defaults
        }
    }
}

/// The command that a plan comes to.
fn round(plan: &Plan, snapshot: &Snapshot, positions: &Positions) -> Round {
    let intents = plan.assignments.iter().filter_map(|assignment| {
        let at = snapshot
            .drivers
            .binary_search_by_key(&assignment.driver, |row| row.id)
            .ok()?;
        let first = snapshot.order(*assignment.orders.first()?)?;
        let here = positions.get(&assignment.driver).map(|(place, _)| *place);
        Some(Intent {
            driver_id: assignment.driver,
            driver_version: snapshot.drivers.get(at)?.version,
            order_ids: assignment.orders.clone(),
            changed: assignment.changed,
            distance_m: here.map_or(0, |here| whole_m(here.distance_m(&first.restaurant_place))),
        })
    });
    let unplanned = |id: OrderId| plan.orders.iter().any(|row| row.order == id && row.driver.is_none());
    let waits = snapshot
        .orders
        .iter()
        .filter(|order| order.ready && order.delivery == DeliveryState::Searching);
    let left = waits.filter(|order| !order.excluded.is_empty() && unplanned(order.id));
    Round {
        intents: intents.collect(),
        left: left.map(|order| order.id).collect(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "metres within one region"
)]
fn whole_m(distance_m: f64) -> u32 {
    distance_m.min(f64::from(u32::MAX)) as u32
}
