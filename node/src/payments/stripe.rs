//! Stripe by `PaymentIntents`: authorised when the order is placed, captured when the restaurant accepts.
//!
//! What Stripe does and how it is met (<https://docs.stripe.com/api/idempotent_requests>,
//! <https://docs.stripe.com/payments/paymentintents/lifecycle>):
//! - A key repeats its first answer for a day at least, faults included. A fault that is repeated says only that the first call
//!   is over: the intent is then looked for in the list, and where it is not there, the attempt was never made.
//! - A key older than `KEY_AGE_MAX` is not used again: the intent is looked for.
//! - A declined intent can still be confirmed by whoever has its client secret. It is cancelled before the payment counts
//!   as declined, so that nothing comes later.
//! - Capture and cancel are guarded by the intent's own state; whatever they answer, the intent is read.
//! - A refund is looked for before it is made, and is done only when Stripe says `succeeded`.

use serde_json::Value;
use tomato_shared::time::{DurationMs, UnixMs};

use super::signature::{self, Unsigned};
use super::stripe_calls::{Calls, Intent, code, key};
use super::stripe_lookup::Lookup;
use super::wire::{Answer, Login, Wire};
use super::{NoAnswer, stripe_disputes};
use crate::clock::Clock;
use crate::config::{PaymentsConfig, Secret};
use crate::engine::command::{PaymentOutcome, ProviderEvent};
use crate::engine::model::{ActionKind, PaymentAction};
use crate::engine::task::{Task, TaskKind};
use crate::reconcile::Movement;

/// The version of the API that this is written for.
const API_VERSION: &str = "2026-10-28.endive";
/// Stripe forgets keys after 24 h.
const KEY_AGE_MAX: DurationMs = DurationMs::from_mins(23 * 60);
/// By how much Stripe's clock may be behind ours, in seconds, when intents are looked for.
const CLOCKS_APART_S: i64 = 60;
/// Keys that one refund may spend on faults of Stripe.
const REFUND_KEYS_MAX: u32 = 5;

/// Stripe.
#[derive(Debug)]
pub struct Stripe {
    pub(super) wire: Wire,
    region: String,
    return_url: String,
    webhook_secrets: Vec<Secret>,
    clock: Clock,
    lookup: Lookup,
}

impl Stripe {
    /// Reads the keys and makes the line.
    ///
    /// # Errors
    /// [`super::ProviderError`] where a key or TLS is missing.
    pub fn new(payments: &PaymentsConfig, region: String, clock: Clock) -> Result<Self, super::ProviderError> {
        let config = &payments.stripe;
        let keys = config.secret_key.or_file(&config.secret_key_file)?;
        let login = Login {
            user: keys.first().map(|key| key.reveal().to_owned()).unwrap_or_default(),
            password: Secret::default(),
        };
        let headers = vec![("stripe-version", API_VERSION)];
        Ok(Self {
            wire: Wire::new(payments, &config.base_url, login, headers, clock)?,
            region,
            return_url: config.return_url.clone(),
            webhook_secrets: config.webhook_secret.or_file(&config.webhook_secret_file)?,
            clock,
            lookup: Lookup::default(),
        })
    }

    fn calls(&self) -> Calls<'_> {
        Calls {
            wire: &self.wire,
            region: &self.region,
            return_url: &self.return_url,
        }
    }

    /// Something harmless.
    pub(super) async fn probe(&self) -> Result<(), NoAnswer> {
        self.calls().balance().await
    }

    /// Makes the call of a task, or finds out what became of it.
    pub(super) async fn call(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        match task.kind {
            TaskKind::Authorise => self.authorise(task).await,
            TaskKind::Capture => self.capture(task).await,
            TaskKind::Void => self.void(task).await,
            TaskKind::Refund => self.refund(task).await,
            TaskKind::Tip => self.tip(task).await,
        }
    }

    async fn find(&self, task: &Task) -> Result<Option<Intent>, NoAnswer> {
        self.lookup.find(&self.calls(), task, self.made_since_s(task)).await
    }

    /// Since when the intents of a task can have been made, by Stripe's clock.
    fn made_since_s(&self, task: &Task) -> i64 {
        let age = self.clock.real((self.clock.now() - task.asked_at).max(DurationMs(0)));
        let age_s = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.clock.wall_seconds() - age_s - CLOCKS_APART_S
    }

    async fn authorise(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let calls = self.calls();
        if !task.transaction_id.is_empty() {
            let intent = calls.read(&task.transaction_id).await?;
            return match intent {
                Some(intent) => self.judge(task, intent).await,
                None => Err("Stripe does not know its own payment intent".into()),
            };
        }
        // `asked_at` is 0 in rows of an older program: their age is not known, so they count as old.
        let old = task.asked_at == UnixMs(0) || self.clock.now() - task.asked_at > KEY_AGE_MAX;
        if old {
            return self.look_up(task, "key_expired").await;
        }
        let answer = calls.create(task).await?;
        if answer.is_fault() && answer.replayed {
            return self.look_up(task, "provider_fault").await;
        }
        if answer.body["error"]["type"] == "idempotency_error" {
            // The same key with other fields: the first call counts, whatever was in it.
            return self.look_up(task, "idempotency_error").await;
        }
        self.created(task, answer).await
    }

    /// What a first answer to a new intent says.
    async fn created(&self, task: &Task, answer: Answer) -> Result<PaymentOutcome, NoAnswer> {
        let answer = answer.settled()?;
        let error = &answer.body["error"];
        let code = code(error).unwrap_or_else(|| format!("status_{}", answer.status));
        let told = Intent::read(&answer.body).or_else(|| Intent::read(&error["payment_intent"]));
        // What is replayed was true at the first call.
        let now = match told {
            Some(intent) if answer.replayed => self.calls().read(&intent.id).await?,
            told => told,
        };
        match now {
            Some(intent) => {
                let error = intent.error.clone().or((!answer.is_ok()).then_some(code));
                self.judge(task, Intent { error, ..intent }).await
            }
            // Refused before there was an intent: a card that does not exist, an amount that is too small.
            None if (400..500).contains(&answer.status) => Ok(PaymentOutcome::Declined { code }),
            None => Err(NoAnswer(format!("status {} without an intent", answer.status))),
        }
    }

    /// Finds the intent of an attempt whose answer was lost.
    async fn look_up(&self, task: &Task, why: &str) -> Result<PaymentOutcome, NoAnswer> {
        match self.find(task).await? {
            Some(intent) => self.judge(task, intent).await,
            None => Ok(PaymentOutcome::NotMade { code: why.to_owned() }),
        }
    }

    /// What an intent means for an authorisation.
    async fn judge(&self, task: &Task, intent: Intent) -> Result<PaymentOutcome, NoAnswer> {
        let currency = task.currency.code().to_lowercase();
        if intent.amount_minor != task.amount_minor || intent.currency != currency {
            tracing::error!(order_id = %task.order_id, intent = intent.id, "an intent over another amount");
            return self.call_off(&intent, "amount_mismatch").await;
        }
        match intent.status.as_str() {
            "requires_capture" | "succeeded" => Ok(PaymentOutcome::Authorised {
                transaction_id: intent.id,
            }),
            "requires_action" => Ok(PaymentOutcome::ActionRequired {
                transaction_id: intent.id,
                action: PaymentAction {
                    kind: ActionKind::Confirm,
                    url: intent.redirect,
                    token: intent.client_secret,
                    key: String::new(),
                },
            }),
            "canceled" => Ok(PaymentOutcome::Declined {
                code: intent.error.unwrap_or_else(|| "canceled".to_owned()),
            }),
            "requires_payment_method" | "requires_confirmation" => {
                let code = intent.error.clone().unwrap_or_else(|| "card_declined".to_owned());
                self.call_off(&intent, &code).await
            }
            _ => Err(NoAnswer(format!("the intent is {}", intent.status))),
        }
    }

    /// Makes sure that nothing comes of an intent any more, before it counts as declined.
    async fn call_off(&self, intent: &Intent, code: &str) -> Result<PaymentOutcome, NoAnswer> {
        self.calls().cancel(&intent.id).await?;
        let after = self.calls().read(&intent.id).await?;
        match after {
            Some(after) if after.status == "canceled" => Ok(PaymentOutcome::Declined { code: code.to_owned() }),
            _ => Err("a declined intent is not cancelled yet".into()),
        }
    }

    async fn capture(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let calls = self.calls();
        let answer = calls.capture(&task.transaction_id, task.amount_minor).await?;
        let refused = code(&answer.body["error"]).filter(|_| !answer.is_ok());
        let intent = calls.read(&task.transaction_id).await?;
        let intent = intent.ok_or_else(|| NoAnswer::from("Stripe does not know its own payment intent"))?;
        match (intent.status.as_str(), refused) {
            ("succeeded", _) if intent.received_minor == task.amount_minor => Ok(PaymentOutcome::Captured),
            ("succeeded", _) => Err("another amount was captured: a person has to look".into()),
            ("canceled", refused) => Ok(PaymentOutcome::CaptureRefused {
                code: refused.unwrap_or_else(|| "canceled".to_owned()),
            }),
            ("requires_capture", Some(code)) => {
                // It stays held: let go of it, so that it does not hang over the customer.
                calls.cancel(&intent.id).await?;
                let after = calls.read(&intent.id).await?;
                match after.filter(|after| after.status == "canceled") {
                    Some(_) => Ok(PaymentOutcome::CaptureRefused { code }),
                    None => Err("a hold that cannot be captured is not cancelled yet".into()),
                }
            }
            _ => Err(NoAnswer(format!("the intent is {}", intent.status))),
        }
    }

    async fn void(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let calls = self.calls();
        let found = if task.transaction_id.is_empty() {
            self.find(task).await?
        } else {
            calls.read(&task.transaction_id).await?
        };
        let Some(intent) = found else {
            return Ok(PaymentOutcome::Voided);
        };
        match intent.status.as_str() {
            "canceled" => Ok(PaymentOutcome::Voided),
            // Captured although nobody wanted it any more: all of it goes back, once.
            "succeeded" => {
                let stray = format!("refund_stray_{}", task.payment_id);
                let sent = self.send_back(task, &intent.id, &stray, intent.received_minor).await?;
                if sent == PaymentOutcome::Refunded {
                    Ok(PaymentOutcome::Voided)
                } else {
                    Err(NoAnswer(format!("a capture too late does not go back: {sent:?}")))
                }
            }
            _ => self.call_off(&intent, "canceled").await.map(|_| PaymentOutcome::Voided),
        }
    }

    async fn refund(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        self.send_back(task, &task.transaction_id, &key(task), task.amount_minor)
            .await
    }

    /// Sends money back under a key, once: first looks whether it has gone.
    async fn send_back(&self, task: &Task, intent: &str, key: &str, minor: i64) -> Result<PaymentOutcome, NoAnswer> {
        let calls = self.calls();
        for nth in 1..=REFUND_KEYS_MAX {
            let made = calls.refunds(intent).await?;
            if let Some(row) = made.iter().find(|row| row["metadata"]["refund"] == *key) {
                return refund_state(row);
            }
            // A key whose first call met a fault repeats that fault. The list says that nothing came of it.
            let fresh = if nth == 1 {
                key.to_owned()
            } else {
                format!("{key}_k{nth}")
            };
            let answer = calls.refund_as(task, intent, (key, &fresh), minor).await?;
            if answer.is_fault() && answer.replayed {
                continue;
            }
            let answer = answer.settled()?;
            if answer.body["object"] == "refund" {
                return refund_state(&answer.body);
            }
            let code = code(&answer.body["error"]).unwrap_or_else(|| format!("status_{}", answer.status));
            return Ok(PaymentOutcome::RefundRefused { code });
        }
        Err("every key of a refund met a fault".into())
    }

    async fn tip(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        Ok(match self.authorise(task).await? {
            PaymentOutcome::Authorised { .. } => PaymentOutcome::TipTaken,
            // Nobody waits in front of the app any more: called off, so that it is not taken later.
            PaymentOutcome::ActionRequired { transaction_id, .. } => {
                self.calls().cancel(&transaction_id).await?;
                return Err("asked to cancel a tip; the next look tells".into());
            }
            PaymentOutcome::Declined { code } | PaymentOutcome::NotMade { code } => {
                PaymentOutcome::TipDeclined { code }
            }
            other @ (PaymentOutcome::Captured
            | PaymentOutcome::CaptureRefused { .. }
            | PaymentOutcome::Voided
            | PaymentOutcome::Refunded
            | PaymentOutcome::RefundRefused { .. }
            | PaymentOutcome::TipTaken
            | PaymentOutcome::TipDeclined { .. }) => other,
        })
    }

    /// What was captured and sent back for this region.
    pub(super) async fn movements(&self, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
        let calls = self.calls();
        let charged = calls.all("payment_intents", since_s).await?;
        let returned = calls.all("refunds", since_s).await?;
        let charged = charged
            .iter()
            .map(|row| (row, row["amount_received"].as_i64().unwrap_or(0)));
        let returned = returned.iter().filter(|row| row["status"] == "succeeded");
        let returned = returned.map(|row| (row, -row["amount"].as_i64().unwrap_or(0)));
        let ours = charged
            .chain(returned)
            .filter(|(row, minor)| *minor != 0 && row["metadata"]["region"] == *self.region);
        let mut rows: Vec<Movement> = ours
            .map(|(row, minor)| movement(row, &row["metadata"], minor))
            .collect();
        rows.extend(stripe_disputes::movements(&calls, since_s).await?);
        Ok(rows)
    }

    /// Asks what a message leaves open.
    pub(super) async fn look_into(&self, event: &mut ProviderEvent) -> Result<(), NoAnswer> {
        if event.kind.starts_with("charge.dispute.") {
            stripe_disputes::look_into(&self.calls(), event).await?;
        }
        Ok(())
    }

    /// Checks and reads a webhook.
    pub(super) fn read_webhook(&self, signature: Option<&str>, body: &[u8]) -> Result<ProviderEvent, Unsigned> {
        signature::stripe(&self.webhook_secrets, signature, body, self.clock.wall_seconds())?;
        let event: Value = serde_json::from_slice(body).map_err(|_| Unsigned::Unreadable)?;
        let (id, kind) = (event["id"].as_str(), event["type"].as_str());
        let (Some(id), Some(kind)) = (id, kind) else {
            return Err(Unsigned::Unreadable);
        };
        let metadata = &event["data"]["object"]["metadata"];
        let ours = metadata["region"] == *self.region;
        let order = metadata["order"].as_str().filter(|_| ours);
        let money = [
            "payment_intent.succeeded",
            "payment_intent.amount_capturable_updated",
            "charge.succeeded",
            "charge.captured",
        ];
        Ok(ProviderEvent {
            provider: "stripe",
            event_id: id.to_owned(),
            kind: kind.to_owned(),
            order_id: order.and_then(|id| id.parse().ok()),
            alarm: kind == "refund.failed" || kind.starts_with("charge.dispute."),
            money: money.contains(&kind) && metadata["kind"] == "order",
            dispute: None,
            body: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

/// A row of a statement; `told` is what we had it keep.
pub(super) fn movement(row: &Value, told: &Value, amount_minor: i64) -> Movement {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Movement {
        id: text(&row["id"]),
        order: text(&told["order"]),
        payment: text(&told["payment"]),
        amount_minor,
        created_s: row["created"].as_i64().or(row["created_at"].as_i64()).unwrap_or(0),
    }
}

fn refund_state(row: &Value) -> Result<PaymentOutcome, NoAnswer> {
    match row["status"].as_str() {
        Some("succeeded") => Ok(PaymentOutcome::Refunded),
        Some("failed" | "canceled") => {
            let code = row["failure_reason"].as_str().unwrap_or("failed").to_owned();
            Ok(PaymentOutcome::RefundRefused { code })
        }
        _ => Err("the refund is under way".into()),
    }
}
