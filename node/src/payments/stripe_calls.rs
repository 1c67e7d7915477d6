//! The calls to Stripe, each with the fields that it sends, and what is read of the answers.

use reqwest::Method;
use serde_json::Value;

use super::NoAnswer;
use super::wire::{Answer, Payload, Wire, escape};
use crate::engine::task::{Task, TaskKind};

/// How often a page of a list is asked for before the list is left to a later try.
const PAGE_TRIES: u32 = 3;

/// The one way Stripe is asked.
#[derive(Debug)]
pub(super) struct Calls<'a> {
    pub(super) wire: &'a Wire,
    pub(super) region: &'a str,
    pub(super) return_url: &'a str,
}

/// `PaymentIntent`, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount_minor: i64,
    pub(super) received_minor: i64,
    pub(super) currency: String,
    pub(super) client_secret: String,
    pub(super) redirect: Option<String>,
    pub(super) error: Option<String>,
}

impl Intent {
    /// Reads one; nothing where the body is something else.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (body["object"] == "payment_intent").then(|| Self {
            id: text(&body["id"]),
            status: text(&body["status"]),
            amount_minor: body["amount"].as_i64().unwrap_or_default(),
            received_minor: body["amount_received"].as_i64().unwrap_or_default(),
            currency: text(&body["currency"]),
            client_secret: text(&body["client_secret"]),
            redirect: body["next_action"]["redirect_to_url"]["url"]
                .as_str()
                .map(str::to_owned),
            error: code(&body["last_payment_error"]),
        })
    }
}

/// The code of an error: the bank's where there is one.
pub(super) fn code(error: &Value) -> Option<String> {
    let code = error["decline_code"].as_str().or(error["code"].as_str());
    code.map(str::to_owned)
}

/// The key under which Stripe carries an attempt out once.
pub(super) fn key(task: &Task) -> String {
    match task.kind {
        TaskKind::Authorise | TaskKind::Capture | TaskKind::Void => {
            format!("payment_{}_{}", task.order_id, task.attempt)
        }
        TaskKind::Tip => format!("tip_{}", task.payment_id),
        TaskKind::Refund => {
            let refund = task.refund_id.map(|id| id.to_string()).unwrap_or_default();
            format!("refund_{refund}_{}", task.attempt)
        }
    }
}

fn field(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

impl Calls<'_> {
    async fn get(&self, path: &str) -> Result<Answer, NoAnswer> {
        self.wire.send(Method::GET, path, None, Payload::None).await?.settled()
    }

    async fn post(&self, path: &str, key: Option<&str>, fields: Vec<(String, String)>) -> Result<Answer, NoAnswer> {
        let key = key.map(|key| ("idempotency-key", key));
        self.wire.send(Method::POST, path, key, Payload::Form(fields)).await
    }

    fn metadata(&self, task: &Task) -> Vec<(String, String)> {
        let kind = if task.kind == TaskKind::Tip { "tip" } else { "order" };
        vec![
            field("metadata[region]", self.region),
            field("metadata[order]", task.order_id),
            field("metadata[payment]", task.payment_id),
            field("metadata[attempt]", task.attempt),
            field("metadata[kind]", kind),
        ]
    }

    /// `POST /v1/payment_intents`, confirmed at once. The answer may be a fault: it is the caller's to judge.
    pub(super) async fn create(&self, task: &Task) -> Result<Answer, NoAnswer> {
        let capture = if task.kind == TaskKind::Tip {
            "automatic"
        } else {
            "manual"
        };
        let mut fields = vec![
            field("amount", task.amount_minor),
            field("currency", task.currency.code().to_lowercase()),
            field("payment_method", &task.card),
            field("allowed_payment_method_types[0]", "card"),
            field("capture_method", capture),
            field("confirm", true),
            field("return_url", self.return_url),
            field("description", format!("Order {}", task.order_id)),
        ];
        fields.extend(self.metadata(task));
        self.post("/v1/payment_intents", Some(&key(task)), fields).await
    }

    /// `GET /v1/payment_intents/{id}`; nothing where Stripe has none.
    pub(super) async fn read(&self, id: &str) -> Result<Option<Intent>, NoAnswer> {
        let answer = self.get(&format!("/v1/payment_intents/{}", escape(id))).await?;
        Ok(Intent::read(&answer.body))
    }

    /// `GET /v1/{path}`; nothing where it is not such an object.
    pub(super) async fn object(&self, path: &str, name: &str) -> Result<Option<Value>, NoAnswer> {
        let answer = self.get(&format!("/v1/{path}")).await?;
        Ok(Some(answer.body).filter(|body| body["object"] == *name))
    }

    /// `POST /v1/payment_intents/{id}/capture`. Needs no key: an intent is captured once.
    pub(super) async fn capture(&self, id: &str, amount_minor: i64) -> Result<Answer, NoAnswer> {
        let fields = vec![field("amount_to_capture", amount_minor)];
        let path = format!("/v1/payment_intents/{}/capture", escape(id));
        self.post(&path, None, fields).await?.settled()
    }

    /// `POST /v1/payment_intents/{id}/cancel`. Needs no key: an intent is cancelled once.
    pub(super) async fn cancel(&self, id: &str) -> Result<Answer, NoAnswer> {
        let path = format!("/v1/payment_intents/{}/cancel", escape(id));
        self.post(&path, None, Vec::new()).await?.settled()
    }

    /// `POST /v1/refunds`. `(name, key)`: what the refund is known by, and the idempotency key of this call.
    pub(super) async fn refund_as(
        &self,
        task: &Task,
        intent: &str,
        (name, key): (&str, &str),
        minor: i64,
    ) -> Result<Answer, NoAnswer> {
        let mut fields = vec![field("payment_intent", intent), field("amount", minor)];
        fields.extend(self.metadata(task));
        fields.push(field("metadata[refund]", name));
        self.post("/v1/refunds", Some(key), fields).await
    }

    /// `GET /v1/refunds`: those of one intent. Never more than fit on a page: an order has a few.
    pub(super) async fn refunds(&self, intent: &str) -> Result<Vec<Value>, NoAnswer> {
        let path = format!("/v1/refunds?limit=100&payment_intent={}", escape(intent));
        let answer = self.get(&path).await?;
        match answer.body["data"].as_array() {
            Some(rows) if answer.is_ok() => Ok(rows.clone()),
            _ => Err("a list of refunds cannot be read".into()),
        }
    }

    /// Every row of a list since a moment, page by page.
    pub(super) async fn all(&self, list: &str, created_s: i64) -> Result<Vec<Value>, NoAnswer> {
        let (mut rows, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/{list}?limit=100&created[gte]={created_s}{after}");
            let answer = self.page(&path).await?;
            let page = answer.body["data"].as_array().filter(|_| answer.is_ok());
            let page = page.ok_or_else(|| NoAnswer(format!("{list} cannot be read: {}", answer.message())))?;
            rows.extend_from_slice(page);
            let last = page.last().and_then(|row| row["id"].as_str());
            match last.filter(|_| answer.body["has_more"] == true) {
                Some(id) => after = format!("&starting_after={}", escape(id)),
                None => return Ok(rows),
            }
        }
    }

    /// A page; a long list would never come to its end if each fault began it anew.
    async fn page(&self, path: &str) -> Result<Answer, NoAnswer> {
        let mut tries = 1;
        loop {
            match self.get(path).await {
                Err(_) if tries < PAGE_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// `GET /v1/balance`: harmless.
    pub(super) async fn balance(&self) -> Result<(), NoAnswer> {
        self.get("/v1/balance").await.map(|_| ())
    }
}
