//! The newest plan as operators and drivers see it. In memory: the next round brings another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::time::{DurationMs, UnixMs};

use super::plane::Plane;
use crate::engine::matching::{Plan, Planned};

/// An older plan says nothing any more: no round has come to its end since.
const AGE_MAX: DurationMs = DurationMs::from_secs(60);

/// Holds the newest plan.
#[derive(Debug, Default)]
pub struct Board(Mutex<Arc<Shown>>);

/// A plan.
#[derive(Debug, Default)]
pub struct Shown {
    /// About the round; absent before the first, and where the region plans nothing.
    pub round: Option<RoundView>,
    /// What is planned, by order.
    pub orders: BTreeMap<OrderId, PlanView>,
    /// What was carried out and is not over.
    pub assigned: BTreeMap<OrderId, AssignedView>,
    /// Where drivers had better wait.
    pub hints: BTreeMap<DriverId, HintView>,
}

/// A dispatch round.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RoundView {
    /// When it was planned.
    pub at: UnixMs,
    /// Whether the time ran out before the plan could be improved: it is only the first one found.
    pub degraded: bool,
    /// Driver time that is needed over driver time that there is, in the next half hour; 1000 is all of it.
    pub load_permille: i64,
    /// How long ways take, by what.
    pub ways: Ways,
    /// Schedules that were weighed.
    pub evaluations: u64,
}

/// By what a plan knows how long ways take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ways {
    /// The straight line, and the speeds of finished trips.
    StraightLine,
    /// A router.
    Streets,
    /// A router that does not answer just now; so the straight line.
    RouterAway,
}

/// What is planned for an order. It may change with every round until the driver is asked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanView {
    /// Who is to fetch it; absent while nobody can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_id: Option<DriverId>,
    /// Expected pickup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup_at: Option<UnixMs>,
    /// Expected hand-over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_at: Option<UnixMs>,
    /// Who else could be at the restaurant first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_up_id: Option<DriverId>,
    /// And when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_up_at: Option<UnixMs>,
    /// Why so, in words.
    pub why: String,
}

/// An order that a driver was asked to fetch by a plan.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AssignedView {
    /// Which.
    pub order_id: OrderId,
    /// Who.
    pub driver_id: DriverId,
    /// When that was decided.
    pub at: UnixMs,
    /// Why so, in words.
    pub why: String,
}

/// Where a driver with nothing to do had better wait.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HintView {
    /// Around here.
    pub place: LatLng,
    /// Why, in words.
    pub why: String,
}

impl Board {
    /// Shows a plan from now on.
    /// `streets`: whether the router answers, where there is one; `bound`: who was asked for what, or bound to it, as it was made.
    pub fn show(
        &self,
        plan: &Plan,
        plane: &Plane,
        (now, streets): (UnixMs, Option<bool>),
        bound: &BTreeMap<OrderId, DriverId>,
    ) {
        let mut assigned = self.shown().assigned.clone();
        assigned.retain(|id, row| bound.get(id) == Some(&row.driver_id));
        for assignment in &plan.assignments {
            let rows = assignment.orders.iter().map(|id| AssignedView {
                order_id: *id,
                driver_id: assignment.driver,
                at: now,
                why: assignment.why.clone(),
            });
            assigned.extend(rows.map(|row| (row.order_id, row)));
        }
        let reasons = plan.assignments.iter();
        let reasons: BTreeMap<OrderId, &str> = reasons
            .flat_map(|assignment| assignment.orders.iter().map(|id| (*id, assignment.why.as_str())))
            .collect();
        let hints = plan.hints.iter().filter_map(|hint| {
            let place = plane.place(hint.to)?;
            let why = hint.why.clone();
            Some((hint.driver, HintView { place, why }))
        });
        let orders = plan.orders.iter();
        let shown = Shown {
            round: Some(RoundView {
                at: now,
                ways: match streets {
                    None => Ways::StraightLine,
                    Some(true) => Ways::Streets,
                    Some(false) => Ways::RouterAway,
                },
                degraded: plan.degraded,
                load_permille: plan.load_permille,
                evaluations: plan.evaluations,
            }),
            orders: orders
                .map(|row| (row.order, view(row, reasons.get(&row.order).copied())))
                .collect(),
            assigned,
            hints: hints.collect(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    /// The newest plan.
    pub fn shown(&self) -> Arc<Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest plan, if it still says something.
    pub fn current(&self, now: UnixMs) -> Option<Arc<Shown>> {
        let shown = self.shown();
        let fresh = shown.round.as_ref().is_some_and(|round| now - round.at <= AGE_MAX);
        fresh.then_some(shown)
    }
}

impl Shown {
    /// Whether a driver of this region is to fetch the order by then.
    pub fn fetches(&self, id: OrderId, by: UnixMs) -> bool {
        let row = self.orders.get(&id);
        row.and_then(|row| row.pickup_at).is_some_and(|at| at <= by)
    }

    /// Whether the driver is to fetch something.
    pub fn needs(&self, id: DriverId) -> bool {
        self.orders.values().any(|row| row.driver_id == Some(id))
    }

    /// Whether there are orders that no driver of this region can fetch.
    pub fn falls_short(&self) -> bool {
        self.orders.values().any(|row| row.driver_id.is_none())
    }
}

fn view(row: &Planned, reason: Option<&str>) -> PlanView {
    let why = match (row.driver, reason) {
        (_, Some(reason)) => reason,
        (Some(_), None) => "planned; the driver is asked when it is time to start, until then better may come",
        (None, None) => "every driver who could fetch it is worth more elsewhere, or may not be asked",
    };
    PlanView {
        driver_id: row.driver,
        pickup_at: row.driver.map(|_| UnixMs(row.pickup_ms)),
        delivery_at: row.driver.map(|_| UnixMs(row.door_ms)),
        runner_up_id: row.runner_up.map(|(who, _)| who),
        runner_up_at: row.runner_up.map(|(_, at_ms)| UnixMs(at_ms)),
        why: why.to_owned(),
    }
}
