//! The operator's desk: orders moved by hand, refunds, the dispatch board, the region's switch, the audit log.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::event::{Bearer, RefundReason};
use tomato_shared::id::{DriverId, UserId};
use tomato_shared::order::OrderState;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::feedback::Position;
use super::input::{Faults, Input, PLAIN, Page};
use super::kitchen::LineInput;
use super::orders::show;
use super::quotes::LINES_MAX;
use super::{cursor, error};
use crate::dispatch::board::{AssignedView, HintView, PlanView, RoundView};
use crate::engine::command::{Command, OrderCommand, RefundAmount};
use crate::engine::view::{self, DriverView, OrderView};
use crate::fleet::Near;
use crate::store::reads::{self, OrderQuery, Scope};

/// Waiting orders on the board.
const WAITING_MAX: usize = 200;
/// Assignments on the board.
const ASSIGNED_MAX: usize = 2_000;
/// Drivers shown beside a waiting order.
const NEAREST: usize = 5;

/// Who is to deliver.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct AssignInput {
    /// Signed on, and without an order.
    driver_id: DriverId,
}

impl Input for AssignInput {}

/// Gives a delivery to a driver by hand.
pub async fn assign(call: Call, input: AssignInput) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    call.submit(Command::Order(id, OrderCommand::Assign(input.driver_id)))
        .await
}

/// Takes a delivery from its driver by hand.
pub async fn unassign(call: Call) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    call.submit(Command::Order(id, OrderCommand::Unassign)).await
}

/// Money that goes back: an amount, some lines, or what is left.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RefundInput {
    /// So much, in minor units.
    #[serde(default)]
    #[garde(range(min = 1, max = 1_000_000_000_000_i64))]
    amount_minor: Option<i64>,
    /// So many of these lines, with their share of the tax.
    #[serde(default)]
    #[garde(length(min = 1, max = LINES_MAX), dive)]
    lines: Option<Vec<LineInput>>,
    /// Why.
    #[garde(skip)]
    reason: RefundReason,
    /// Who bears it.
    #[garde(skip)]
    borne_by: Bearer,
}

impl Input for RefundInput {
    fn check(&self, faults: &mut Faults) {
        if self.amount_minor.is_some() {
            faults.absent("/lines", self.lines.as_ref(), "beside an amount");
        }
    }
}

/// Sends money of an order back that is over.
pub async fn refund(call: Call, input: RefundInput) -> Result<Response, Problem> {
    let id = call.id("ord")?;
    let amount = match (input.amount_minor, input.lines) {
        (Some(minor), _) => RefundAmount::Minor(minor),
        (None, Some(lines)) => RefundAmount::Lines(lines.iter().map(LineInput::pair).collect()),
        (None, None) => RefundAmount::Rest,
    };
    let command = OrderCommand::Refund {
        amount,
        reason: input.reason,
        borne_by: input.borne_by,
    };
    call.submit(Command::Order(id, command)).await
}

/// Who waits for whom.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Board {
    now: UnixMs,
    /// The newest plan; absent where the region asks the nearest driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<RoundView>,
    /// Orders that are ready, or are being cooked where the region plans, and have no driver; at most 200.
    waiting: Vec<WaitingView>,
    /// Why drivers were asked for what they have to fetch or to bring, where a plan did so; at most 2,000.
    assigned: Vec<AssignedView>,
    /// Drivers who are signed on, at most 2,000.
    drivers: Vec<DriverOnBoard>,
}

/// An order that waits for a driver.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WaitingView {
    order: OrderView,
    /// For so long, in milliseconds.
    waiting_ms: i64,
    /// What is planned for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanView>,
    /// The nearest free drivers.
    nearest: Vec<NearestView>,
}

/// A free driver near a waiting order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NearestView {
    driver_id: DriverId,
    /// From the restaurant, in metres.
    distance_m: f64,
}

/// A driver at work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DriverOnBoard {
    driver: DriverView,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    /// Where they had better wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<HintView>,
}

/// The dispatch board.
pub async fn board(call: Call) -> Result<Response, Problem> {
    let (app, by, now) = (&call.app, call.by()?, call.app.clock.now());
    let plan = app.board.shown();
    let mut states = vec![OrderState::ReadyForPickup];
    states.extend(plan.round.as_ref().map(|_| OrderState::Preparing));
    let query = OrderQuery {
        scope: Scope::All,
        states,
        before: None,
        limit: WAITING_MAX,
    };
    let read = app.reads.read(move |connection| {
        let orders = reads::orders(connection, &query)?;
        Ok((orders.rows, reads::drivers_online(connection)?))
    });
    let (orders, drivers) = read.await.map_err(error::from_read)?;
    let radius_m = app.policy.dispatch.radius_m;
    let waiting = orders.iter().filter(|row| !row.order.delivery.state.has_driver());
    let waiting = waiting.map(|row| {
        let near = Near {
            place: row.order.restaurant_place,
            radius_m,
            limit: NEAREST,
        };
        let nearest = app.fleet.near(&near, now, |_| true).into_iter();
        WaitingView {
            order: show(row, by),
            waiting_ms: (now - row.order.ready_at.unwrap_or(now)).0.max(0),
            plan: plan.orders.get(&row.order.id).cloned(),
            nearest: nearest
                .map(|candidate| NearestView {
                    driver_id: candidate.driver_id,
                    distance_m: candidate.distance_m.round(),
                })
                .collect(),
        }
    });
    let drivers = drivers.iter().map(|driver| DriverOnBoard {
        driver: view::driver(driver),
        position: app.fleet.position(driver.id).map(|fix| Position::of(&fix)),
        hint: plan.hints.get(&driver.id).cloned(),
    });
    ok(&Board {
        now,
        round: plan.round.clone(),
        waiting: waiting.collect(),
        assigned: plan.assigned.values().take(ASSIGNED_MAX).cloned().collect(),
        drivers: drivers.collect(),
    })
}

/// Whether the region takes orders.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PauseInput {
    /// Take none.
    #[garde(skip)]
    paused: bool,
    /// Shown to customers.
    #[serde(default)]
    #[garde(length(chars, max = 200), pattern(PLAIN))]
    reason: String,
}

impl Input for PauseInput {}

/// Stops or resumes the taking of orders; what is under way goes on.
pub async fn pause(call: Call, input: PauseInput) -> Result<Response, Problem> {
    let command = Command::PauseRegion {
        paused: input.paused,
        reason: input.reason,
    };
    call.submit(command).await
}

/// Whether the region takes orders.
pub async fn region(call: Call) -> Result<Response, Problem> {
    let catalogue = call.app.catalogue();
    ok(&view::region(&catalogue.region, &catalogue.control))
}

/// One act of an operator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeedView {
    id: i64,
    at: UnixMs,
    operator_id: UserId,
    /// `order.refund`
    action: String,
    /// Id of what it was done to; empty for the region.
    subject: String,
    /// What more there is to know.
    detail: serde_json::Map<String, serde_json::Value>,
}

/// The audit log, newest first.
pub async fn audit(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let (before, limit) = (query.cursor(cursor::deed)?, query.limit()?);
    let page = call
        .app
        .reads
        .read(move |connection| reads::deeds(connection, before, limit))
        .await;
    let page = page.map_err(error::from_read)?;
    let data = page.rows.into_iter().map(|row| DeedView {
        id: row.id,
        at: row.at,
        operator_id: row.operator_id,
        action: row.action,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
    });
    ok(&Page {
        data: data.collect(),
        next_cursor: page.next.map(cursor::of_deed),
    })
}
