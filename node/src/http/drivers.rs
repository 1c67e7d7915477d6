//! Drivers: signed on, offered and delivering.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use tomato_shared::id::{DeliveryId, DriverId, OrderId};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::input::{Faults, Input, NAME_CHARS};
use super::orders::show;
use super::{cursor, error};
use crate::engine::command::Command;
use crate::engine::model::{By, Proof};
use crate::engine::view::{self, DriverView, OrderView};
use crate::store::reads;

/// A telephone number, in characters.
pub const PHONE_CHARS: std::ops::RangeInclusive<usize> = 1..=32;
/// The reference of a picture or signature, in characters.
pub const REFERENCE_CHARS: std::ops::RangeInclusive<usize> = 1..=500;
/// The digits a customer says at the door, in characters.
pub const PIN_CHARS: std::ops::RangeInclusive<usize> = 1..=8;
/// Why a hand-over failed, in characters.
pub const REASON_CHARS: std::ops::RangeInclusive<usize> = 1..=100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DriverInput {
    name: String,
    phone: String,
}

impl Input for DriverInput {
    fn check(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, NAME_CHARS);
        faults.text("/phone", &self.phone, PHONE_CHARS);
    }
}

/// An operator writes a driver.
pub async fn write(call: Call) -> Result<Response, Problem> {
    let driver_id = call.id("drv")?;
    let DriverInput { name, phone } = call.input()?;
    call.submit(Command::PutDriver { driver_id, name, phone }).await
}

#[derive(Serialize)]
struct Drivers {
    data: Vec<DriverView>,
    next_cursor: Option<String>,
}

/// All drivers, by id.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let query = call.query(&["cursor", "limit"])?;
    let (after, limit) = (query.cursor(cursor::id)?, query.limit()?);
    let page = call
        .app
        .reads
        .read(move |connection| reads::drivers(connection, after, limit))
        .await;
    let page = page.map_err(error::from_read)?;
    ok(&Drivers {
        data: page.rows.iter().map(view::driver).collect(),
        next_cursor: page.next.as_ref().map(cursor::of_id),
    })
}

#[derive(Serialize)]
struct Me {
    driver: DriverView,
    offers: Vec<OrderView>,
    delivery: Option<OrderView>,
}

/// The caller's own state, offer and delivery, read at one moment.
pub async fn me(call: Call) -> Result<Response, Problem> {
    let id = own(&call)?;
    let by = By::Driver(id);
    let read = call.app.reads.read(move |connection| {
        let driver = reads::driver(connection, id)?;
        Ok((driver, reads::snapshot(connection, by)?.orders))
    });
    let (driver, orders) = read.await.map_err(error::from_read)?;
    let driver = driver.ok_or_else(error::not_found)?;
    let bound = |row: &reads::OrderRow| row.order.delivery.driver_id == Some(id);
    ok(&Me {
        driver: view::driver(&driver),
        offers: orders
            .iter()
            .filter(|row| !bound(row))
            .map(|row| show(row, by))
            .collect(),
        delivery: orders.iter().find(|row| bound(row)).map(|row| show(row, by)),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusInput {
    online: bool,
}

impl Input for StatusInput {
    fn check(&self, _faults: &mut Faults) {}
}

/// Signs on or off.
pub async fn status(call: Call) -> Result<Response, Problem> {
    let StatusInput { online } = call.input()?;
    let driver_id = own(&call)?;
    call.submit(Command::SetOnline { driver_id, online }).await
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
    call.submit(Command::Arrive(id)).await
}

/// On the way to the customer.
pub async fn pick_up(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::PickUp(id)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompleteInput {
    proof: Proof,
}

impl Input for CompleteInput {
    fn check(&self, faults: &mut Faults) {
        match &self.proof {
            Proof::Pin { pin } => faults.text("/proof/pin", pin, PIN_CHARS),
            Proof::Photo { reference } | Proof::Signature { reference } => {
                faults.text("/proof/reference", reference, REFERENCE_CHARS);
            }
        }
    }
}

/// Handed over.
pub async fn complete(call: Call) -> Result<Response, Problem> {
    let order_id = delivery(&call)?;
    let CompleteInput { proof } = call.input()?;
    call.submit(Command::Complete { order_id, proof }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailInput {
    reason: String,
}

impl Input for FailInput {
    fn check(&self, faults: &mut Faults) {
        faults.text("/reason", &self.reason, REASON_CHARS);
        // It becomes part of an event that leaves the region, so it is a word of a program and no room for a name.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !self.reason.bytes().all(plain) {
            faults.add("/reason", "must be a word of a-z, 0-9 and _, as in customer_absent");
        }
    }
}

/// Could not be handed over.
pub async fn fail(call: Call) -> Result<Response, Problem> {
    let order_id = delivery(&call)?;
    let FailInput { reason } = call.input()?;
    call.submit(Command::FailDelivery { order_id, reason }).await
}

/// Given back before pickup.
pub async fn give_back(call: Call) -> Result<Response, Problem> {
    let id = delivery(&call)?;
    call.submit(Command::GiveBack(id)).await
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
