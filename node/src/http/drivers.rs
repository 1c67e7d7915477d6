//! Drivers: signed on, offered and delivering.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::id::{DeliveryId, DriverId, OrderId};
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::input::{Faults, Input, NAME_MAX, PLAIN, Page, WORD};
use super::orders::show;
use super::{cursor, error};
use crate::dispatch::board::HintView;
use crate::engine::command::{Command, DriverCommand, OrderCommand};
use crate::engine::model::{By, Proof, Span, Vehicle};
use crate::engine::view::{self, DriverView, OrderView, StopView};
use crate::store::reads;

/// A driver as an operator writes them.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DriverInput {
    /// Shown to customers.
    #[garde(length(chars, min = 1, max = NAME_MAX), pattern(PLAIN))]
    name: String,
    /// To be called by customers.
    #[garde(length(chars, min = 1, max = 32), pattern(PLAIN))]
    phone: String,
}

impl Input for DriverInput {}

/// An operator writes a driver.
pub async fn write(call: Call, input: DriverInput) -> Result<Response, Problem> {
    let driver_id = call.id("drv")?;
    let DriverInput { name, phone } = input;
    call.submit(Command::Driver(driver_id, DriverCommand::Put { name, phone }))
        .await
}

/// All drivers, by id.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query()?;
    let (after, limit) = (query.cursor(cursor::id)?, query.limit()?);
    let page = call
        .app
        .reads
        .read(move |connection| reads::drivers(connection, after, limit))
        .await;
    let page = page.map_err(error::from_read)?;
    ok(&Page {
        data: page.rows.iter().map(view::driver).collect(),
        next_cursor: page.next.as_ref().map(cursor::of_id),
    })
}

/// A driver's own state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    driver: DriverView,
    /// Orders that they are asked to deliver, in the order of delivery.
    offers: Vec<OrderView>,
    /// The orders that they are bound to, in the order of delivery.
    deliveries: Vec<OrderView>,
    /// Where they go next, and then.
    stops: Vec<StopView>,
    /// With nothing to do: where they had better wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<HintView>,
}

/// The caller's own state, offers, deliveries and stops, read at one moment.
pub async fn me(call: Call) -> Result<Response, Problem> {
    let id = own(&call)?;
    let by = By::Driver(id);
    let read = call.app.reads.read(move |connection| {
        let driver = reads::driver(connection, id)?;
        Ok((driver, reads::snapshot(connection, by)?.orders))
    });
    let (driver, orders) = read.await.map_err(error::from_read)?;
    let driver = driver.ok_or_else(error::not_found)?;
    let (bound, asked): (Vec<_>, Vec<_>) = orders.iter().partition(|row| row.order.delivery.driver_id == Some(id));
    let stops = view::stops(&bound.iter().map(|row| &row.order).collect::<Vec<_>>());
    ok(&Me {
        driver: view::driver(&driver),
        offers: asked.iter().map(|row| show(row, by)).collect(),
        deliveries: bound.iter().map(|row| show(row, by)).collect(),
        stops,
        hint: call
            .app
            .board
            .shown()
            .hints
            .get(&id)
            .cloned()
            .filter(|_| driver.is_free()),
    })
}

/// On or off.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct StatusInput {
    /// Whether the driver takes offers.
    online: bool,
    /// What they move with.
    #[serde(default)]
    vehicle: Option<Vehicle>,
    /// When they want to stop: signed off then, or after the delivery under way.
    #[serde(default)]
    until: Option<UnixMs>,
}

impl Input for StatusInput {}

/// Signs on or off.
pub async fn status(call: Call, input: StatusInput) -> Result<Response, Problem> {
    let driver_id = own(&call)?;
    sign(&call, driver_id, input).await
}

/// An operator signs a driver on or off.
pub async fn status_of(call: Call, input: StatusInput) -> Result<Response, Problem> {
    let driver_id = call.id("drv")?;
    sign(&call, driver_id, input).await
}

async fn sign(call: &Call, driver_id: DriverId, input: StatusInput) -> Result<Response, Problem> {
    let command = DriverCommand::SetOnline {
        online: input.online,
        vehicle: input.vehicle,
        until: input.until,
    };
    call.submit(Command::Driver(driver_id, command)).await
}

/// When a driver is expected to work.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PlanInput {
    /// All shifts to come.
    #[garde(length(max = 60))]
    shifts: Vec<Span>,
}

impl Input for PlanInput {
    fn check(&self, faults: &mut Faults) {
        for (at, span) in self.shifts.iter().enumerate() {
            if span.ends_at <= span.starts_at {
                faults.add(format!("/shifts/{at}/ends_at"), "is not after starts_at");
            }
        }
    }
}

/// An operator plans a driver's shifts.
pub async fn plan(call: Call, input: PlanInput) -> Result<Response, Problem> {
    let driver_id = call.id("drv")?;
    call.submit(Command::Driver(driver_id, DriverCommand::Plan(input.shifts)))
        .await
}

/// Cash that a driver hands in.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DepositInput {
    /// How much, in minor units.
    #[garde(range(min = 1, max = 1_000_000_000))]
    amount_minor: i64,
}

impl Input for DepositInput {}

/// An operator takes in cash.
pub async fn deposit(call: Call, input: DepositInput) -> Result<Response, Problem> {
    let driver_id = call.id("drv")?;
    call.submit(Command::Driver(
        driver_id,
        DriverCommand::DepositCash(input.amount_minor),
    ))
    .await
}

/// Takes an offer.
pub async fn accept(call: Call) -> Result<Response, Problem> {
    let id = call.id("ofr")?;
    call.submit(Command::AcceptOffer(id)).await
}

/// Refuses an offer.
pub async fn decline(call: Call) -> Result<Response, Problem> {
    let id = call.id("ofr")?;
    call.submit(Command::DeclineOffer(id)).await
}

/// At the restaurant.
pub async fn arrive(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::Order(id, OrderCommand::Arrive)).await
}

/// On the way to the customer.
pub async fn pick_up(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::Order(id, OrderCommand::PickUp)).await
}

/// What shows that an order was handed over.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CompleteInput {
    /// A PIN, a picture or a signature.
    #[garde(dive)]
    proof: ProofInput,
}

impl Input for CompleteInput {}

/// What a driver shows.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProofInput {
    /// The digits that the customer says at the door.
    Pin {
        /// Compared with the order's.
        #[garde(length(chars, min = 1, max = 8), pattern(PLAIN))]
        pin: String,
    },
    /// A picture, by reference; never fetched.
    Photo {
        /// Where the app has put it.
        #[garde(length(chars, min = 1, max = 500), pattern(PLAIN))]
        reference: String,
    },
    /// A signature, by reference; never fetched.
    Signature {
        /// Where the app has put it.
        #[garde(length(chars, min = 1, max = 500), pattern(PLAIN))]
        reference: String,
    },
}

impl From<ProofInput> for Proof {
    fn from(input: ProofInput) -> Self {
        match input {
            ProofInput::Pin { pin } => Self::Pin { pin },
            ProofInput::Photo { reference } => Self::Photo { reference },
            ProofInput::Signature { reference } => Self::Signature { reference },
        }
    }
}

/// Handed over.
pub async fn complete(call: Call, input: CompleteInput) -> Result<Response, Problem> {
    let order_id = delivery(&call)?;
    let proof = input.proof.into();
    call.submit(Command::Order(order_id, OrderCommand::Complete(proof)))
        .await
}

/// Why an order could not be handed over.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct FailInput {
    /// Such as `customer_absent`. It becomes part of an event that leaves the region.
    #[garde(length(chars, min = 1, max = 100), pattern(WORD))]
    reason: String,
}

impl Input for FailInput {}

/// Could not be handed over.
pub async fn fail(call: Call, input: FailInput) -> Result<Response, Problem> {
    let order_id = delivery(&call)?;
    let FailInput { reason } = input;
    call.submit(Command::Order(order_id, OrderCommand::FailDelivery(reason)))
        .await
}

/// Brought back to the restaurant.
pub async fn bring_back(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::Order(id, OrderCommand::Return)).await
}

/// Given back before pickup.
pub async fn give_back(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::Order(id, OrderCommand::GiveBack)).await
}

/// The order of the delivery in the path: both share their bytes.
fn delivery(call: &Call) -> Result<OrderId, Problem> {
    let id: DeliveryId = call.id("del")?;
    Ok(OrderId::from_bytes(*id.bytes()))
}

/// The caller, who is a driver.
pub fn own(call: &Call) -> Result<DriverId, Problem> {
    match call.by()? {
        By::Driver(id) => Ok(id),
        By::Customer(_) | By::Restaurant(_) | By::Operator(_) | By::Provider | By::System => Err(error::forbidden()),
    }
}
