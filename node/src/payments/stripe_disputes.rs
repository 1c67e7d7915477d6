//! Disputes at Stripe. A message about one names neither order nor region: they stand with its intent. Stripe takes the money when
//! a bank disputes it, and returns it when the dispute is won (<https://docs.stripe.com/api/disputes/object>). An inquiry takes
//! nothing yet; people have to answer it, so it is kept for them.

use serde_json::Value;
use tomato_shared::event::DisputeState;

use super::NoAnswer;
use super::stripe::movement;
use super::stripe_calls::Calls;
use crate::engine::command::{DisputeNews, ProviderEvent};
use crate::reconcile::Movement;

/// Asks how the dispute of a message stands, and whose it is.
pub(super) async fn look_into(calls: &Calls<'_>, event: &mut ProviderEvent) -> Result<(), NoAnswer> {
    let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
    let Some(id) = body["data"]["object"]["id"].as_str() else {
        return Ok(());
    };
    let Some(row) = calls.object(&format!("disputes/{id}"), "dispute").await? else {
        return Ok(());
    };
    let told = told(calls, &row).await?;
    if told["region"] == *calls.region {
        event.order_id = told["order"].as_str().and_then(|id| id.parse().ok());
        event.dispute = news(&row, &told);
    }
    Ok(())
}

/// What we had Stripe keep with the intent that is disputed; nothing where it was not made by us.
async fn told(calls: &Calls<'_>, row: &Value) -> Result<Value, NoAnswer> {
    let Some(intent) = row["payment_intent"].as_str() else {
        return Ok(Value::Null);
    };
    let intent = calls
        .object(&format!("payment_intents/{intent}"), "payment_intent")
        .await?;
    Ok(intent.map(|intent| intent["metadata"].clone()).unwrap_or_default())
}

fn state(row: &Value) -> Option<DisputeState> {
    match row["status"].as_str()? {
        "needs_response" | "under_review" => Some(DisputeState::Open),
        "won" => Some(DisputeState::Won),
        "lost" => Some(DisputeState::Lost),
        _ => None,
    }
}

fn withdrawn_minor(row: &Value) -> i64 {
    match state(row) {
        Some(DisputeState::Open | DisputeState::Lost) => row["amount"].as_i64().unwrap_or(0),
        Some(DisputeState::Won) | None => 0,
    }
}

fn news(row: &Value, told: &Value) -> Option<DisputeNews> {
    Some(DisputeNews {
        id: row["id"].as_str()?.to_owned(),
        payment_id: told["payment"].as_str().and_then(|id| id.parse().ok()),
        amount_minor: row["amount"].as_i64().filter(|minor| *minor > 0)?,
        withdrawn_minor: withdrawn_minor(row),
        reason: row["reason"].as_str().unwrap_or("unknown").to_owned(),
        state: state(row)?,
    })
}

/// What banks have taken of this region's money.
pub(super) async fn movements(calls: &Calls<'_>, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
    let mut rows = Vec::new();
    for row in calls.all("disputes", since_s).await? {
        let minor = withdrawn_minor(&row);
        if minor == 0 {
            continue;
        }
        let told = told(calls, &row).await?;
        if told["region"] == *calls.region {
            rows.push(movement(&row, &told, -minor));
        }
    }
    Ok(rows)
}
