//! Razorpay: one of its orders per payment, paid by the customer in its checkout, captured when the restaurant accepts.
//!
//! What Razorpay does and how it is met (<https://razorpay.com/docs/api/orders>, <https://razorpay.com/docs/payments/payments>,
//! <https://razorpay.com/docs/api/refunds/normal-refunds-idempotent>):
//! - A server cannot charge a card. The order is made here; the customer pays it in the app, so every payment asks for an
//!   action first.
//! - There is no key for orders. An order is looked for by its receipt, the payment's id, before one is made; of two that a
//!   lost answer left, the customer only ever sees one.
//! - A payment that failed may be authorised up to 72 h later. Nothing is captured but by us, and what is never captured goes
//!   back by itself when `CAPTURE_WITHIN_MIN` is over; an order of ours that was given up captures nothing.
//! - Refunds have a key, `X-Refund-Idempotency`, and are looked for all the same.
//! - A tip would need the customer's checkout again; it is declined.

use reqwest::Method;
use serde_json::{Value, json};
use tomato_shared::event::DisputeState;

use super::NoAnswer;
use super::signature::{self, Unsigned};
use super::stripe::movement;
use super::wire::{Answer, Login, Payload, Wire, escape};
use crate::clock::Clock;
use crate::config::{PaymentsConfig, Secret};
use crate::engine::command::{DisputeNews, PaymentOutcome, ProviderEvent};
use crate::engine::model::{ActionKind, PaymentAction};
use crate::engine::task::{Task, TaskKind};
use crate::reconcile::Movement;

/// Until when an authorised payment can be captured, in minutes; after that Razorpay gives it back. Its most, five days.
const CAPTURE_WITHIN_MIN: u32 = 7_200;
/// The code of tips, and of orders that Razorpay refuses without one.
const NOT_SUPPORTED: &str = "not_supported";

/// Razorpay.
#[derive(Debug)]
pub struct Razorpay {
    pub(super) wire: Wire,
    key_id: String,
    region: String,
    webhook_secrets: Vec<Secret>,
}

impl Razorpay {
    /// Reads the keys and makes the line.
    ///
    /// # Errors
    /// [`super::ProviderError`] where a key or TLS is missing.
    pub fn new(payments: &PaymentsConfig, region: String, clock: Clock) -> Result<Self, super::ProviderError> {
        let config = &payments.razorpay;
        let keys = config.key_secret.or_file(&config.key_secret_file)?;
        let login = Login {
            user: config.key_id.clone(),
            password: keys.into_iter().next().unwrap_or_default(),
        };
        Ok(Self {
            wire: Wire::new(payments, &config.base_url, login, Vec::new(), clock)?,
            key_id: config.key_id.clone(),
            region,
            webhook_secrets: config.webhook_secret.or_file(&config.webhook_secret_file)?,
        })
    }

    /// Something harmless.
    pub(super) async fn probe(&self) -> Result<(), NoAnswer> {
        self.get("/v1/payments?count=1").await.map(|_| ())
    }

    async fn get(&self, path: &str) -> Result<Answer, NoAnswer> {
        self.wire.send(Method::GET, path, None, Payload::None).await?.settled()
    }

    async fn post(&self, path: &str, key: Option<&str>, body: Value) -> Result<Answer, NoAnswer> {
        let key = key.map(|key| ("x-refund-idempotency", key));
        let sent = self.wire.send(Method::POST, path, key, Payload::Json(body)).await?;
        sent.settled()
    }

    /// The rows of a collection.
    async fn list(&self, path: &str) -> Result<Vec<Value>, NoAnswer> {
        let answer = self.get(path).await?;
        match answer.body["items"].as_array() {
            Some(rows) if answer.is_ok() => Ok(rows.clone()),
            _ => Err(NoAnswer(format!("a list cannot be read: status {}", answer.status))),
        }
    }

    fn notes(&self, task: &Task) -> Value {
        json!({"region": self.region, "order": task.order_id, "payment": task.payment_id})
    }

    /// Makes the call of a task, or finds out what became of it.
    pub(super) async fn call(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        match task.kind {
            TaskKind::Authorise => self.authorise(task).await,
            TaskKind::Capture => self.capture(task).await,
            TaskKind::Void => self.void(task).await,
            TaskKind::Refund => {
                let refund = task.refund_id.map(|id| id.to_string()).unwrap_or_default();
                let key = format!("refund_{refund}_{}", task.attempt);
                self.send_back(task, &task.transaction_id, &key, task.amount_minor)
                    .await
            }
            TaskKind::Tip => Ok(PaymentOutcome::TipDeclined {
                code: NOT_SUPPORTED.to_owned(),
            }),
        }
    }

    async fn authorise(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        if task.transaction_id.is_empty() {
            return self.open_order(task).await;
        }
        let payments = self.payments_of(&task.transaction_id).await?;
        let good = payments.iter().find(|payment| is_good(payment));
        let Some(payment) = good else {
            return Ok(self.checkout(&task.transaction_id));
        };
        let fits = payment["amount"] == task.amount_minor && payment["currency"] == *task.currency.code();
        match payment["id"].as_str().filter(|_| fits) {
            Some(id) => Ok(PaymentOutcome::Authorised {
                transaction_id: id.to_owned(),
            }),
            None => Err("a payment over another amount: a person has to look".into()),
        }
    }

    /// Finds or makes the order that the customer pays.
    async fn open_order(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let receipt = task.payment_id.to_string();
        let made = self.list(&format!("/v1/orders?receipt={}", escape(&receipt))).await?;
        let first = made.iter().min_by_key(|order| order["created_at"].as_i64());
        if let Some(id) = first.and_then(|order| order["id"].as_str()) {
            return Ok(self.checkout(id));
        }
        let body = json!({
            "amount": task.amount_minor,
            "currency": task.currency,
            "receipt": receipt,
            "notes": self.notes(task),
            "payment": {
                "capture": "manual",
                "capture_options": {"manual_expiry_period": CAPTURE_WITHIN_MIN, "refund_speed": "normal"},
            },
        });
        let answer = self.post("/v1/orders", None, body).await?;
        match answer.body["id"].as_str().filter(|_| answer.is_ok()) {
            Some(id) => Ok(self.checkout(id)),
            None => Ok(PaymentOutcome::Declined { code: code(&answer) }),
        }
    }

    fn checkout(&self, order: &str) -> PaymentOutcome {
        PaymentOutcome::ActionRequired {
            transaction_id: order.to_owned(),
            action: PaymentAction {
                kind: ActionKind::Checkout,
                url: None,
                token: order.to_owned(),
                key: self.key_id.clone(),
            },
        }
    }

    async fn payments_of(&self, order: &str) -> Result<Vec<Value>, NoAnswer> {
        self.list(&format!("/v1/orders/{}/payments", escape(order))).await
    }

    async fn payment(&self, id: &str) -> Result<Value, NoAnswer> {
        let answer = self.get(&format!("/v1/payments/{}", escape(id))).await?;
        if answer.is_ok() {
            Ok(answer.body)
        } else {
            Err(NoAnswer(format!("a payment cannot be read: status {}", answer.status)))
        }
    }

    async fn capture(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let id = &task.transaction_id;
        let body = json!({"amount": task.amount_minor, "currency": task.currency});
        let answer = self
            .post(&format!("/v1/payments/{}/capture", escape(id)), None, body)
            .await?;
        let payment = self.payment(id).await?;
        match payment["status"].as_str() {
            Some("captured") if payment["amount"] == task.amount_minor => Ok(PaymentOutcome::Captured),
            Some("refunded" | "failed") => Ok(PaymentOutcome::CaptureRefused { code: code(&answer) }),
            _ => Err("the payment is not captured yet".into()),
        }
    }

    /// What was captured goes back; what was only authorised does so by itself, as nobody captures it.
    async fn void(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let transaction = &task.transaction_id;
        let order = if transaction.starts_with("pay_") {
            let payment = self.payment(transaction).await?;
            payment["order_id"].as_str().unwrap_or_default().to_owned()
        } else {
            transaction.clone()
        };
        let payments = if order.is_empty() {
            Vec::new()
        } else {
            self.payments_of(&order).await?
        };
        for payment in payments.iter().filter(|payment| payment["status"] == "captured") {
            let (Some(id), Some(minor)) = (payment["id"].as_str(), payment["amount"].as_i64()) else {
                return Err("a payment cannot be read".into());
            };
            let key = format!("refund_stray_{}", task.payment_id);
            let sent = self.send_back(task, id, &key, minor).await?;
            if sent != PaymentOutcome::Refunded {
                return Err(NoAnswer(format!("a capture too late does not go back: {sent:?}")));
            }
        }
        Ok(PaymentOutcome::Voided)
    }

    /// Sends money back under a key, once: first looks whether it has gone.
    async fn send_back(&self, task: &Task, id: &str, key: &str, minor: i64) -> Result<PaymentOutcome, NoAnswer> {
        let path = format!("/v1/payments/{}/refunds", escape(id));
        let made = self.list(&format!("{path}?count=100")).await?;
        if let Some(row) = made.iter().find(|row| row["notes"]["refund"] == *key) {
            return refund_state(row);
        }
        let mut notes = self.notes(task);
        notes["refund"] = json!(key);
        let body = json!({"amount": minor, "speed": "normal", "notes": notes});
        let path = format!("/v1/payments/{}/refund", escape(id));
        let answer = self.post(&path, Some(key), body).await?;
        if answer.is_ok() {
            return refund_state(&answer.body);
        }
        Ok(PaymentOutcome::RefundRefused { code: code(&answer) })
    }

    /// What was captured and sent back for this region.
    pub(super) async fn movements(&self, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
        let mut rows = Vec::new();
        for (list, sign) in [("payments", 1), ("refunds", -1)] {
            for page in 0.. {
                let path = format!("/v1/{list}?from={since_s}&count=100&skip={}", page * 100);
                let found = self.list(&path).await?;
                let moved = |row: &&Value| row["captured"] == true || row["status"] == "processed";
                let ours = found
                    .iter()
                    .filter(|row| row["notes"]["region"] == *self.region)
                    .filter(moved);
                rows.extend(ours.map(|row| {
                    let minor = row["amount"].as_i64().unwrap_or(0);
                    movement(row, &row["notes"], sign * minor)
                }));
                if found.len() < 100 {
                    break;
                }
            }
        }
        rows.extend(self.disputed(since_s).await?);
        Ok(rows)
    }

    /// What we had Razorpay keep with a payment, or with its order where the payment has nothing of it.
    async fn told(&self, payment: &Value) -> Result<Value, NoAnswer> {
        if !payment["notes"]["region"].is_null() {
            return Ok(payment["notes"].clone());
        }
        let Some(order) = payment["order_id"].as_str() else {
            return Ok(Value::Null);
        };
        let answer = self.get(&format!("/v1/orders/{}", escape(order))).await?;
        Ok(answer.body["notes"].clone())
    }

    /// Asks what a message leaves open: whose it is, where its payment does not say, and how a dispute stands.
    pub(super) async fn look_into(&self, event: &mut ProviderEvent) -> Result<(), NoAnswer> {
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let dispute = event.kind.starts_with("payment.dispute.");
        let payment = &body["payload"]["payment"]["entity"];
        if event.order_id.is_some() && !dispute {
            return Ok(());
        }
        let told = self.told(payment).await?;
        if told["region"] != *self.region {
            return Ok(());
        }
        event.order_id = told["order"].as_str().and_then(|id| id.parse().ok());
        if let Some(id) = body["payload"]["dispute"]["entity"]["id"].as_str().filter(|_| dispute) {
            let answer = self.get(&format!("/v1/disputes/{}", escape(id))).await?;
            event.dispute = dispute_news(&answer.body, &told);
        }
        Ok(())
    }

    /// What banks have taken of this region's money: Razorpay takes it when a dispute is lost.
    async fn disputed(&self, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
        let mut rows = Vec::new();
        for page in 0.. {
            let found = self
                .list(&format!("/v1/disputes?count=100&skip={}", page * 100))
                .await?;
            for row in &found {
                let told = match row["payment_id"].as_str().filter(|_| withdrawn_minor(row) != 0) {
                    Some(payment) => self.told(&self.payment(payment).await?).await?,
                    None => continue,
                };
                if told["region"] == *self.region && row["created_at"].as_i64().unwrap_or(0) >= since_s {
                    rows.push(movement(row, &told, -withdrawn_minor(row)));
                }
            }
            if found.len() < 100 {
                break;
            }
        }
        Ok(rows)
    }

    /// Checks and reads a webhook. Its id comes in a header, which the signature does not cover: it can keep a message from being
    /// taken in twice, and one that was changed only has us ask once more.
    pub(super) fn read_webhook(
        &self,
        signature: Option<&str>,
        id: Option<&str>,
        body: &[u8],
    ) -> Result<ProviderEvent, Unsigned> {
        signature::razorpay(&self.webhook_secrets, signature, body)?;
        let event: Value = serde_json::from_slice(body).map_err(|_| Unsigned::Unreadable)?;
        let (Some(id), Some(kind)) = (id, event["event"].as_str()) else {
            return Err(Unsigned::Unreadable);
        };
        let payload = &event["payload"];
        let notes = ["payment", "refund", "order"].map(|part| &payload[part]["entity"]["notes"]);
        let ours = notes.into_iter().find(|notes| notes["region"] == *self.region);
        let order = ours.and_then(|notes| notes["order"].as_str());
        Ok(ProviderEvent {
            provider: "razorpay",
            event_id: id.to_owned(),
            kind: kind.to_owned(),
            order_id: order.and_then(|id| id.parse().ok()),
            alarm: kind == "refund.failed" || kind.starts_with("payment.dispute."),
            money: ["payment.captured", "order.paid"].contains(&kind),
            dispute: None,
            body: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

/// `open`, `under_review`, `won`, `lost`; `closed` is the end of one that was lost or won before, or of an inquiry.
fn dispute_news(row: &Value, told: &Value) -> Option<DisputeNews> {
    let state = match row["status"].as_str()? {
        "open" | "under_review" => DisputeState::Open,
        "won" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        _ => return None,
    };
    Some(DisputeNews {
        id: row["id"].as_str()?.to_owned(),
        payment_id: told["payment"].as_str().and_then(|id| id.parse().ok()),
        amount_minor: row["amount"].as_i64().filter(|minor| *minor > 0)?,
        withdrawn_minor: withdrawn_minor(row),
        reason: row["reason_code"].as_str().unwrap_or("unknown").to_owned(),
        state,
    })
}

fn withdrawn_minor(row: &Value) -> i64 {
    if row["status"] == "lost" {
        row["amount_deducted"].as_i64().unwrap_or(0)
    } else {
        0
    }
}

fn is_good(payment: &Value) -> bool {
    ["authorized", "captured"]
        .iter()
        .any(|status| payment["status"] == **status)
}

fn refund_state(row: &Value) -> Result<PaymentOutcome, NoAnswer> {
    match row["status"].as_str() {
        Some("processed") => Ok(PaymentOutcome::Refunded),
        Some("failed") => Ok(PaymentOutcome::RefundRefused {
            code: "failed".to_owned(),
        }),
        _ => Err("the refund is under way".into()),
    }
}

/// What Razorpay says is wrong: the reason where it gives one.
fn code(answer: &Answer) -> String {
    let error = &answer.body["error"];
    let reason = error["reason"].as_str().filter(|reason| *reason != "NA");
    let code = reason.or(error["code"].as_str());
    code.map_or_else(|| format!("status_{}", answer.status), str::to_owned)
}
