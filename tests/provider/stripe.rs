//! Stripe's side: payment intents, refunds, idempotency keys. Shapes and rules from <https://docs.stripe.com/api>.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::faults::Fault;
use super::hooks::Of;
use super::ledger::{Charge, HELD, Kept, Ledger, Refund, Side, Status, now_s};
use super::{Call, Reply, STRIPE_KEY, Shared, fields};

/// What is told afterwards.
type News = Vec<(&'static str, String, Option<String>)>;

/// Answers a call; the last of the answer says whether it is a stored one.
pub(crate) fn answer(shared: &Arc<Shared>, call: &Call, fault: Option<Fault>) -> (u16, Value, bool) {
    if !is_key(call.header("authorization")) {
        return (
            401,
            problem("invalid_request_error", "api_key_invalid", "no such key"),
            false,
        );
    }
    let mut ledger = shared.ledger();
    if call.header("stripe-version") != Some(fields::API_VERSION) {
        ledger.violations.push(format!("{} for another API version", call.path));
    }
    let key = call.header("idempotency-key").map(str::to_owned);
    let request = format!("{} {}", call.path, String::from_utf8_lossy(&call.body));
    if let Some(kept) = key.as_ref().and_then(|key| ledger.keys.get(key)) {
        if kept.request != request {
            let text = "Keys for idempotent requests can only be used with the same parameters";
            let complaint = format!("key {key:?} with other parameters: {request}");
            ledger.violations.push(complaint);
            return (400, problem("idempotency_error", "idempotency_key_in_use", text), false);
        }
        return (kept.status, kept.body.clone(), true);
    }
    let mut news = News::new();
    let (status, body) = if fault == Some(Fault::FaultBefore) {
        (500, problem("api_error", "", "An unknown error occurred"))
    } else {
        route(&mut ledger, call, &mut news)
    };
    let (status, body) = if fault == Some(Fault::FaultAfter) {
        (500, problem("api_error", "", "An unknown error occurred"))
    } else {
        (status, body)
    };
    if let Some(key) = key {
        let body = body.clone();
        ledger.keys.insert(key, Kept { request, status, body });
    }
    for (kind, id, refund) in news {
        if let Some(charge) = ledger.charge(&id).cloned() {
            let refund = charge.refunds.iter().find(|row| Some(&row.id) == refund.as_ref());
            shared.hooks.tell(kind, &charge, refund.map_or(Of::Charge, Of::Refund));
        }
    }
    (status, body, false)
}

fn is_key(header: Option<&str>) -> bool {
    header.is_some_and(|header| header == super::razorpay::basic(STRIPE_KEY, ""))
}

fn problem(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": message}})
}

fn refused(code: &str, message: &str) -> Reply {
    (400, problem("invalid_request_error", code, message))
}

fn route(ledger: &mut Ledger, call: &Call, news: &mut News) -> Reply {
    let post = call.method == http::Method::POST;
    let form = unform(&String::from_utf8_lossy(&call.body));
    let steps: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let given = if post { &form } else { &call.query };
    if let Some((name, _)) = fields::call(post, &steps) {
        for (field, value) in given {
            ledger.sent.insert((name.clone(), field.clone()), value.clone());
        }
    }
    let unknown = fields::unknown(post, &steps, given);
    if let Some(name) = unknown {
        ledger
            .violations
            .push(format!("{} {} has no field {name}", call.method, call.path));
        return refused("parameter_unknown", &format!("Received unknown parameter: {name}"));
    }
    match (post, steps.as_slice()) {
        (true, ["v1", "payment_intents"]) => create(ledger, &form, news),
        (false, ["v1", "payment_intents"]) => list(ledger, call),
        (false, ["v1", "payment_intents", id]) => match ledger.charge(id) {
            Some(charge) => (200, charge.intent()),
            None => (
                404,
                problem("invalid_request_error", "resource_missing", "No such payment_intent"),
            ),
        },
        (true, ["v1", "payment_intents", id, "capture"]) => capture(ledger, id, &form, news),
        (true, ["v1", "payment_intents", id, "cancel"]) => cancel(ledger, id, news),
        (true, ["v1", "refunds"]) => refund(ledger, &form, news),
        (false, ["v1", "refunds"]) => refunds(ledger, call),
        (false, ["v1", "disputes"]) => disputes(ledger, call),
        (false, ["v1", "disputes", id]) => {
            let row = ledger.disputes.iter().find(|row| row.id == *id);
            let charge = row.and_then(|row| ledger.charges.iter().find(|charge| charge.id == row.charge));
            match row.zip(charge) {
                Some((row, charge)) => (200, row.stripe(charge)),
                None => (
                    404,
                    problem("invalid_request_error", "resource_missing", "No such dispute"),
                ),
            }
        }
        (false, ["v1", "balance"]) => (200, json!({"object": "balance", "livemode": false})),
        _ => (404, problem("invalid_request_error", "", "Unrecognized request URL")),
    }
}

fn of<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    let found = form.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value.as_str())
}

fn metadata(form: &[(String, String)]) -> Value {
    let inner = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
    let pairs = form
        .iter()
        .filter_map(|(name, value)| Some((inner(name)?, json!(value))));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// The test cards: Stripe's own payment methods where it has one, and a few more.
fn create(ledger: &mut Ledger, form: &[(String, String)], news: &mut News) -> Reply {
    let (card, at_once) = (of(form, "payment_method"), of(form, "capture_method") == "automatic");
    let Some(amount_minor) = of(form, "amount").parse().ok().filter(|minor| *minor > 0) else {
        return refused("parameter_invalid_integer", "Invalid positive integer");
    };
    if card.is_empty() || !card.starts_with("pm_") {
        return refused("resource_missing", "No such PaymentMethod");
    }
    let declined = match card {
        "pm_card_visa_chargeDeclined" => Some("generic_decline"),
        "pm_card_visa_chargeDeclinedInsufficientFunds" => Some("insufficient_funds"),
        _ => None,
    };
    let status = match card {
        _ if declined.is_some() => Status::Failed,
        "pm_card_authenticationRequired" => Status::Waiting,
        _ => Status::Held,
    };
    let mut charge = Charge {
        side: Side::Stripe,
        id: ledger.id("pi"),
        bill: String::new(),
        metadata: metadata(form),
        amount_minor,
        currency: of(form, "currency").to_owned(),
        card: card.to_owned(),
        at_once,
        status,
        error: declined.map(str::to_owned),
        captured_minor: 0,
        refunds: Vec::new(),
        created_s: now_s(),
    };
    if at_once && status == Status::Held {
        charge.take();
    }
    let (id, shown) = (charge.id.clone(), charge.intent());
    ledger.charges.push(charge);
    news.push(match status {
        Status::Failed => ("payment_intent.payment_failed", id, None),
        Status::Waiting => ("payment_intent.requires_action", id, None),
        Status::Held | Status::Captured | Status::Ended if at_once => ("payment_intent.succeeded", id, None),
        Status::Held | Status::Captured | Status::Ended => (HELD, id, None),
    });
    match declined {
        None => (200, shown),
        Some(code) => {
            let mut body = problem("card_error", "card_declined", "Your card was declined.");
            body["error"]["decline_code"] = json!(code);
            body["error"]["payment_intent"] = shown;
            (402, body)
        }
    }
}

fn list(ledger: &Ledger, call: &Call) -> Reply {
    let since: i64 = call
        .asked("created[gte]")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let limit: usize = call.asked("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
    let newest = ledger.charges.iter().rev();
    let mut rows = newest
        .filter(|charge| charge.side == Side::Stripe && charge.created_s >= since)
        .skip_while(|charge| call.asked("starting_after").is_some_and(|id| charge.id != id))
        .skip(usize::from(call.asked("starting_after").is_some()));
    let page: Vec<Value> = rows.by_ref().take(limit).map(Charge::intent).collect();
    (
        200,
        json!({"object": "list", "has_more": rows.next().is_some(), "url": call.path, "data": page}),
    )
}

fn capture(ledger: &mut Ledger, id: &str, form: &[(String, String)], news: &mut News) -> Reply {
    let minor = of(form, "amount_to_capture").parse().ok();
    let Some(charge) = ledger.charge(id) else {
        return refused("resource_missing", "No such payment_intent");
    };
    if charge.status != Status::Held {
        return refused(
            "payment_intent_unexpected_state",
            "This PaymentIntent could not be captured",
        );
    }
    if charge.card == "pm_card_captureFails" {
        return (
            402,
            problem("card_error", "charge_expired_for_capture", "The hold is gone"),
        );
    }
    if minor != Some(charge.amount_minor) {
        let complaint = format!("{id}: capture of {minor:?} from {}", charge.amount_minor);
        ledger.violations.push(complaint);
        return refused("amount_too_large", "another amount than was authorised");
    }
    charge.take();
    news.push(("payment_intent.succeeded", id.to_owned(), None));
    (200, charge.intent())
}

fn cancel(ledger: &mut Ledger, id: &str, news: &mut News) -> Reply {
    let Some(charge) = ledger.charge(id) else {
        return refused("resource_missing", "No such payment_intent");
    };
    match charge.status {
        Status::Waiting | Status::Held | Status::Failed => {
            charge.status = Status::Ended;
            news.push(("payment_intent.canceled", id.to_owned(), None));
            (200, charge.intent())
        }
        Status::Captured | Status::Ended => refused(
            "payment_intent_unexpected_state",
            "You cannot cancel this PaymentIntent",
        ),
    }
}

fn refund(ledger: &mut Ledger, form: &[(String, String)], news: &mut News) -> Reply {
    let (minor, metadata): (i64, _) = (of(form, "amount").parse().unwrap_or(0), metadata(form));
    let (intent, refund_id) = (of(form, "payment_intent").to_owned(), ledger.id("re"));
    let disputed = ledger.is_disputed(&intent);
    let Some(charge) = ledger.charge(&intent) else {
        return refused("resource_missing", "No such payment_intent");
    };
    let left = charge.captured_minor - charge.refunded_minor();
    if disputed {
        return refused("charge_disputed", "This charge has been charged back");
    }
    if charge.status != Status::Captured || minor <= 0 || minor > left {
        return refused("charge_already_refunded", "more than what is left of the charge");
    }
    let tried = charge.refunds.len();
    let status = match charge.card.as_str() {
        // Accepted, and found impossible: the first time only, so that a second can be tried.
        "pm_card_refundFail" if tried == 0 => "failed",
        "pm_card_pendingRefund" => "pending",
        _ => "succeeded",
    };
    let refund = Refund {
        id: refund_id.clone(),
        minor,
        status,
        metadata,
        created_s: now_s(),
    };
    let shown = refund.stripe(charge);
    charge.refunds.push(refund);
    news.push(("refund.created", intent, Some(refund_id)));
    (200, shown)
}

fn disputes(ledger: &Ledger, call: &Call) -> Reply {
    let since: i64 = call
        .asked("created[gte]")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let rows = ledger
        .disputes
        .iter()
        .filter(|row| row.created_s >= since)
        .filter_map(|row| {
            let charge = ledger.charges.iter().find(|charge| charge.id == row.charge)?;
            (charge.side == Side::Stripe).then(|| row.stripe(charge))
        });
    let rows: Vec<Value> = rows.collect();
    (
        200,
        json!({"object": "list", "has_more": false, "url": call.path, "data": rows}),
    )
}

/// Lists those of one intent. What was pending when it was listed has arrived when it is listed again.
fn refunds(ledger: &mut Ledger, call: &Call) -> Reply {
    let of_intent = call.asked("payment_intent").unwrap_or_default().to_owned();
    let mut rows = Vec::new();
    for charge in &mut ledger.charges {
        if charge.side != Side::Stripe || !(of_intent.is_empty() || charge.id == of_intent) {
            continue;
        }
        let shown: Vec<Value> = charge
            .refunds
            .iter()
            .rev()
            .map(|refund| refund.stripe(charge))
            .collect();
        rows.extend(shown);
        let pending = charge.refunds.iter_mut().filter(|refund| refund.status == "pending");
        pending.for_each(|refund| refund.status = "succeeded");
    }
    (
        200,
        json!({"object": "list", "has_more": false, "url": call.path, "data": rows}),
    )
}

/// The pairs of a form or a query.
pub(crate) fn unform(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (unescape(name), unescape(value))).collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || {
            rest.next()
                .and_then(|digit| char::from(digit).to_digit(16))
                .unwrap_or(0)
        };
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit() * 16 + digit()).unwrap_or(b'?'),
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
