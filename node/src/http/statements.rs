//! What drivers and restaurants have earned, owe and are owed: the region's books, seen from one party.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::money::Currency;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::{DurationMs, UnixMs};

use super::call::{Call, ok};
use super::drivers::own;
use super::error;
use super::kitchen::own_restaurant;
use crate::engine::model::{Shift, Span};
use crate::store::reads::{self, StatementQuery};

/// Span of a statement that names no beginning.
const SPAN: DurationMs = DurationMs::from_mins(7 * 24 * 60);

/// What somebody has earned, owes and is owed. Amounts in minor units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatementView {
    from: UnixMs,
    to: UnixMs,
    currency: Currency,
    accounts: Vec<AccountView>,
    /// Oldest first, at most 1,000; ask for a shorter span where there are more.
    entries: Vec<EntryView>,
    /// Whether there are more.
    truncated: bool,
}

/// What an account adds up to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountView {
    /// `driver_payable`, `restaurant_payable`, `cash_in_hand`.
    account: String,
    /// In the span: what the party is owed more, or for `cash_in_hand` has more.
    change_minor: i64,
    /// At the end of the span: what the party is owed, or for `cash_in_hand` has.
    balance_minor: i64,
}

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntryView {
    at: UnixMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// Why, as `delivered`.
    cause: String,
    account: String,
    /// In favour of the party if positive, or for `cash_in_hand` taken.
    amount_minor: i64,
}

/// A driver's earnings and cash.
pub async fn of_me(call: Call) -> Result<Response, Problem> {
    let id = own(&call)?;
    statement(&call, id.to_string()).await
}

/// A driver's earnings and cash, for operators.
pub async fn of_driver(call: Call) -> Result<Response, Problem> {
    let id: DriverId = call.id("drv")?;
    statement(&call, id.to_string()).await
}

/// What a restaurant has earned.
pub async fn of_restaurant(call: Call) -> Result<Response, Problem> {
    let id = own_restaurant(&call)?;
    statement(&call, id.to_string()).await
}

async fn statement(call: &Call, party: String) -> Result<Response, Problem> {
    let query = call.query()?;
    let want = "a moment as in 2026-11-23T08:30:00Z";
    let now = call.app.clock.now();
    let to: UnixMs = query.get("to", want)?.unwrap_or(now + DurationMs(1));
    let from = query.get("from", want)?.unwrap_or(to + DurationMs(-SPAN.0));
    let asked = StatementQuery { party, from, to };
    let found = call
        .app
        .reads
        .read(move |connection| reads::statement(connection, &asked));
    let found = found.await.map_err(error::from_read)?;
    let accounts = found.sums.into_iter().map(|(account, change, balance)| AccountView {
        change_minor: favour(&account, change),
        balance_minor: favour(&account, balance),
        account,
    });
    let truncated = found.entries.len() >= reads::ENTRIES_MAX;
    let entries = found.entries.into_iter().map(|row| EntryView {
        at: row.at,
        order_id: row.order_id,
        amount_minor: favour(&row.account, row.amount_minor),
        cause: row.cause,
        account: row.account,
    });
    ok(&StatementView {
        from,
        to,
        currency: call.app.policy.currency,
        accounts: accounts.collect(),
        entries: entries.collect(),
        truncated,
    })
}

/// Debts of the region are credits, so they are turned for the reader; cash in hand is an asset as it stands.
fn favour(account: &str, amount_minor: i64) -> i64 {
    if account == "cash_in_hand" {
        amount_minor
    } else {
        -amount_minor
    }
}

/// A driver's times of work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shifts {
    /// To come.
    planned: Vec<Span>,
    /// Under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Shift>,
    /// Over, newest first, at most 200.
    past: Vec<Shift>,
}

/// The caller's times of work.
pub async fn shifts(call: Call) -> Result<Response, Problem> {
    let id = own(&call)?;
    let read = call
        .app
        .reads
        .read(move |connection| Ok((reads::driver(connection, id)?, reads::shifts(connection, id)?)));
    let (driver, past) = read.await.map_err(error::from_read)?;
    let driver = driver.ok_or_else(error::not_found)?;
    ok(&Shifts {
        planned: driver.planned,
        current: driver.shift,
        past,
    })
}
