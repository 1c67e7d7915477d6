//! Razorpay's side: orders, payments, refunds. Shapes and rules from <https://razorpay.com/docs/api>.

use std::sync::Arc;

use serde_json::{Value, json};

use super::faults::Fault;
use super::hooks::Of;
use super::ledger::{Bill, Charge, Ledger, Refund, Status, now_s};
use super::{Call, RAZORPAY_KEY, Reply, Shared};

/// `Basic` with user and password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let text = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

/// Whether a call comes with Razorpay's key.
pub(crate) fn is_key(header: &str) -> bool {
    header == basic(RAZORPAY_KEY.0, RAZORPAY_KEY.1)
}

fn problem(code: &str, reason: &str) -> Value {
    json!({"error": {"code": code, "description": reason, "reason": reason, "source": "business"}})
}

/// Answers a call.
pub(crate) fn answer(shared: &Arc<Shared>, call: &Call, fault: Option<Fault>) -> Reply {
    let broken = || (500, problem("SERVER_ERROR", "server_error"));
    if fault == Some(Fault::FaultBefore) {
        return broken();
    }
    let mut ledger = shared.ledger();
    let mut news = None;
    let reply = route(&mut ledger, call, &mut news);
    if let Some((kind, id)) = news
        && let Some(charge) = ledger.charge(&id).cloned()
    {
        let refund = charge.refunds.last().filter(|_| kind == "refund.processed");
        shared.hooks.tell(kind, &charge, refund.map_or(Of::Charge, Of::Refund));
    }
    if fault == Some(Fault::FaultAfter) {
        broken()
    } else {
        reply
    }
}

fn route(ledger: &mut Ledger, call: &Call, news: &mut Option<(&'static str, String)>) -> Reply {
    let post = call.method == http::Method::POST;
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let steps: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let missing = || (400, problem("BAD_REQUEST_ERROR", "The id provided does not exist"));
    match (post, steps.as_slice()) {
        (true, ["v1", "orders"]) => open(ledger, &body),
        (false, ["v1", "orders"]) => {
            let receipt = call.asked("receipt").unwrap_or_default();
            let rows = ledger.bills.iter().filter(|bill| bill.receipt == receipt);
            (200, collection(rows.map(show).collect()))
        }
        (false, ["v1", "orders", id]) => ledger
            .bills
            .iter()
            .find(|bill| bill.id == *id)
            .map_or_else(missing, |bill| (200, show(bill))),
        (false, ["v1", "disputes"]) => (200, collection(page(call, disputes(ledger).into_iter()))),
        (false, ["v1", "disputes", id]) => {
            let found = disputes(ledger).into_iter().find(|row| row["id"] == **id);
            found.map_or_else(missing, |row| (200, row))
        }
        (false, ["v1", "orders", id, "payments"]) => {
            let rows = ledger.charges.iter().filter(|charge| charge.bill == *id);
            (200, collection(rows.map(Charge::payment).collect()))
        }
        (false, ["v1", "payments"]) => (200, collection(page(call, ledger.charges.iter().map(Charge::payment)))),
        (false, ["v1", "refunds"]) => {
            let of = |charge: &Charge| {
                charge
                    .refunds
                    .iter()
                    .map(|row| row.razorpay(charge))
                    .collect::<Vec<_>>()
            };
            (200, collection(page(call, ledger.charges.iter().flat_map(of))))
        }
        (false, ["v1", "payments", id]) => ledger.charge(id).map_or_else(missing, |charge| (200, charge.payment())),
        (true, ["v1", "payments", id, "capture"]) => {
            let Some(charge) = ledger.charge(id) else {
                return missing();
            };
            let taken = capture(charge, &body);
            *news = taken.is_ok().then(|| ("payment.captured", (*id).to_owned()));
            let refused = |reason| (400, problem("BAD_REQUEST_ERROR", reason));
            taken.map_or_else(refused, |()| (200, charge.payment()))
        }
        (false, ["v1", "payments", id, "refunds"]) => {
            let Some(charge) = ledger.charge(id) else {
                return missing();
            };
            let rows = charge.refunds.iter().map(|refund| refund.razorpay(charge));
            (200, collection(rows.collect()))
        }
        (true, ["v1", "payments", id, "refund"]) => refund(ledger, call, (*id, &body), news),
        _ => (
            404,
            problem("BAD_REQUEST_ERROR", "The requested URL was not found on the server."),
        ),
    }
}

fn capture(charge: &mut Charge, body: &Value) -> Result<(), &'static str> {
    if charge.status != Status::Held {
        return Err("This payment has already been captured");
    }
    if body["amount"] != charge.amount_minor || body["currency"] != *charge.currency {
        return Err("Capture amount must be equal to the amount authorized");
    }
    charge.take();
    Ok(())
}

fn disputes(ledger: &Ledger) -> Vec<Value> {
    let shown = ledger.disputes.iter().filter_map(|row| {
        let charge = ledger.charges.iter().find(|charge| charge.id == row.charge)?;
        Some(row.razorpay(charge))
    });
    shown.collect()
}

fn collection(items: Vec<Value>) -> Value {
    json!({"entity": "collection", "count": items.len(), "items": items})
}

fn page(call: &Call, rows: impl Iterator<Item = Value>) -> Vec<Value> {
    let number = |name: &str| call.asked(name).and_then(|text| text.parse().ok());
    let (skip, count) = (number("skip").unwrap_or(0), number("count").unwrap_or(10));
    rows.skip(skip).take(count).collect()
}

fn show(bill: &Bill) -> Value {
    json!({
        "id": bill.id, "entity": "order", "amount": bill.amount_minor, "currency": bill.currency,
        "receipt": bill.receipt, "status": "created", "notes": bill.notes, "created_at": bill.created_s,
    })
}

fn open(ledger: &mut Ledger, body: &Value) -> Reply {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let Some(amount_minor) = body["amount"].as_i64().filter(|minor| *minor >= 100) else {
        return (
            400,
            problem("BAD_REQUEST_ERROR", "Order amount less than minimum amount allowed"),
        );
    };
    if text("receipt").len() > 40 {
        return (
            400,
            problem(
                "BAD_REQUEST_ERROR",
                "The receipt may not be greater than 40 characters.",
            ),
        );
    }
    let bill = Bill {
        id: ledger.id("order"),
        receipt: text("receipt"),
        amount_minor,
        currency: text("currency"),
        notes: body["notes"].clone(),
        created_s: now_s(),
    };
    let shown = show(&bill);
    ledger.bills.push(bill);
    (200, shown)
}

fn refund(
    ledger: &mut Ledger,
    call: &Call,
    (id, body): (&str, &Value),
    news: &mut Option<(&'static str, String)>,
) -> Reply {
    let Some(key) = call.header("x-refund-idempotency") else {
        return (
            400,
            problem("BAD_REQUEST_ERROR", "this test wants a key with every refund"),
        );
    };
    let (key, refund_id) = (key.to_owned(), ledger.id("rfnd"));
    let Some(charge) = ledger.charge(id) else {
        return (400, problem("BAD_REQUEST_ERROR", "The id provided does not exist"));
    };
    if let Some(made) = charge.refunds.iter().find(|refund| refund.metadata["refund"] == *key) {
        return (200, made.razorpay(charge));
    }
    let minor = body["amount"].as_i64().unwrap_or(0);
    let left = charge.captured_minor - charge.refunded_minor();
    if charge.status != Status::Captured || minor <= 0 || minor > left {
        return (
            400,
            problem(
                "BAD_REQUEST_ERROR",
                "The total refund amount is greater than the refund payment amount",
            ),
        );
    }
    let refund = Refund {
        id: refund_id,
        minor,
        status: "succeeded",
        metadata: body["notes"].clone(),
        created_s: now_s(),
    };
    let shown = refund.razorpay(charge);
    charge.refunds.push(refund);
    *news = Some(("refund.processed", id.to_owned()));
    (200, shown)
}
