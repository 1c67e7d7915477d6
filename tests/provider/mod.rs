//! A payment provider that can be had: an HTTP server that speaks Stripe's and Razorpay's shapes, keeps a ledger of its own,
//! and fails in every way that providers fail. Its ledger is the oracle of the tests: what it says was moved, was moved.
//!
//! | module | owns |
//! |---|---|
//! | [`ledger`] | what was promised, taken and sent back; keys that were used |
//! | [`stripe`] [`razorpay`] | the two ways of speaking |
//! | [`faults`] | what goes wrong, how often, and how often it did |
//! | [`hooks`] | signed webhooks: late, twice, out of order, forged |
//! | [`fields`] | the fields that Stripe's published description allows |
//!
//! Nothing of this is a copy of a provider: it has the behaviour on which exactly-once rests, from their documentation.

pub mod faults;
pub mod fields;
pub mod hooks;
pub mod ledger;
pub mod razorpay;
pub mod stripe;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};

use faults::{Fault, Faults};
use hooks::{Hooks, Of};
use ledger::{Charge, Ledger, Side};

/// The secret key of Stripe's side.
pub const STRIPE_KEY: &str = "sk_test_fake";
/// What Stripe's webhooks are signed with.
pub const STRIPE_HOOKS: &str = "whsec_fake";
/// The two halves of Razorpay's key, and what its webhooks are signed with.
pub const RAZORPAY_KEY: (&str, &str) = ("rzp_test_fake", "rzp_secret_fake");
pub const RAZORPAY_HOOKS: &str = "rzp_hooks_fake";

/// Longest body of a call.
const BODY_MAX: usize = 64 * 1024;

/// A running provider. Cheap to clone; ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Fake {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// `traceparent` of every call that had one, as long as a test lasts.
    traces: Mutex<Vec<String>>,
    ledger: Mutex<Ledger>,
    pub(crate) faults: Faults,
    pub(crate) hooks: Hooks,
}

impl Shared {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of a client, its body read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a call is answered, before anything goes wrong with it.
pub(crate) type Reply = (u16, Value);

impl Fake {
    /// Starts one on a free port of this machine. `seed` decides what goes wrong when.
    pub async fn start(seed: u64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, seed)
    }

    /// The same on a given listener.
    pub fn serve(listener: tokio::net::TcpListener, seed: u64) -> Self {
        let addr = listener.local_addr().expect("a bound port");
        let shared = Arc::new(Shared {
            traces: Mutex::default(),
            ledger: Mutex::default(),
            faults: Faults::new(seed),
            hooks: Hooks::new(seed),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, addr }
    }

    /// Where it is, as for `base_url`.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where its webhooks go; nowhere before.
    pub fn hooks_to(&self, base: &str) {
        self.shared.hooks.target(base);
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// How webhooks come.
    pub fn hooks(&self) -> &Hooks {
        &self.shared.hooks
    }

    /// The trace contexts of calls that had one.
    pub fn traces(&self) -> Vec<String> {
        self.shared
            .traces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The oracle.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger()
    }

    /// The customer does what the provider waits for, for the payment of an order: confirms or pays, or fails to. `false`
    /// where nothing waits.
    pub fn customer_acts(&self, order: &str, well: bool) -> bool {
        let told = self.ledger().customer_acts(order, well);
        let acted = told.is_some();
        if let Some((kind, charge)) = told {
            self.shared.hooks.tell(kind, &charge, Of::Charge);
        }
        acted
    }
}

impl Fake {
    /// Somebody takes in the provider's dashboard what is held for an order. `false` where nothing is.
    pub fn capture_by_hand(&self, order: &str) -> bool {
        let taken = self.ledger().capture_by_hand(order);
        let found = taken.is_some();
        if let Some(charge) = taken {
            let kind = match charge.side {
                Side::Stripe => "payment_intent.succeeded",
                Side::Razorpay => "payment.captured",
            };
            self.shared.hooks.tell(kind, &charge, Of::Charge);
        }
        found
    }

    /// The customer's bank takes back what was charged for an order. `false` where nothing was.
    pub fn dispute(&self, order: &str) -> bool {
        let told = self.ledger().dispute(order);
        let found = told.is_some();
        if let Some((charge, dispute)) = told {
            let kinds: &[&str] = match charge.side {
                Side::Stripe => &["charge.dispute.funds_withdrawn", "charge.dispute.created"],
                Side::Razorpay => &["payment.dispute.created"],
            };
            for kind in kinds {
                self.shared.hooks.tell(kind, &charge, Of::Dispute(&dispute));
            }
        }
        found
    }

    /// The bank decides about that, for us or against us. The message that it was opened comes once more, too late. `false` where
    /// nothing is open.
    pub fn decide(&self, order: &str, won: bool) -> bool {
        let told = self.ledger().decide(order, won);
        let found = told.is_some();
        if let Some((charge, dispute)) = told {
            let kinds: &[&str] = match (charge.side, won) {
                (Side::Stripe, _) => &["charge.dispute.closed", "charge.dispute.updated"],
                (Side::Razorpay, true) => &["payment.dispute.won", "payment.dispute.under_review"],
                (Side::Razorpay, false) => &["payment.dispute.lost", "payment.dispute.under_review"],
            };
            for kind in kinds {
                self.shared.hooks.tell(kind, &charge, Of::Dispute(&dispute));
            }
        }
        found
    }

    /// Tells of a promise for an order that nobody knows.
    pub fn tell_of_unknown_order(&self, region: &str, order: &str) {
        let charge = Charge {
            side: Side::Stripe,
            id: "pi_unknown".to_owned(),
            bill: String::new(),
            metadata: json!({"region": region, "order": order, "payment": "pay_unknown", "kind": "order"}),
            amount_minor: 100,
            currency: "inr".to_owned(),
            card: String::new(),
            at_once: false,
            status: ledger::Status::Held,
            error: None,
            captured_minor: 0,
            refunds: Vec::new(),
            created_s: ledger::now_s(),
        };
        self.shared.hooks.tell(ledger::HELD, &charge, Of::Charge);
    }
}

/// Everything that is not in `/_test` is one of the two providers; who speaks how is told by the key.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let query = parts.uri.query().unwrap_or_default();
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: stripe::unform(query),
        headers: parts.headers,
        body,
    };
    if let Some(trace) = call.header("traceparent") {
        let mut traces = shared.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.push(trace.to_owned());
    }
    if call.path.starts_with("/_test/") {
        return (StatusCode::OK, control(&shared, &call).to_string()).into_response();
    }
    let fault = shared.faults.draw(&call.method, &call.path);
    // A client that has gone away does not stop a provider that has begun.
    let worked = tokio::spawn(work(shared, call, fault)).await;
    worked.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn work(shared: Arc<Shared>, call: Call, fault: Option<Fault>) -> Response {
    let patience = shared.faults.client_patience();
    match fault {
        Some(Fault::SilentBefore) => {
            tokio::time::sleep(patience * 2).await;
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Some(Fault::LateEffect) => tokio::time::sleep(patience + patience / 2).await,
        Some(Fault::Busy) => return plain(429, json!({"error": {"type": "rate_limit", "message": "slow down"}})),
        Some(Fault::Garbage) => return (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>").into_response(),
        Some(Fault::ResetBefore) => return torn(),
        Some(Fault::FaultBefore | Fault::FaultAfter | Fault::SilentAfter | Fault::ResetAfter) | None => {}
    }
    let (status, body, replayed) = if call.header("authorization").is_some_and(razorpay::is_key) {
        let (status, body) = razorpay::answer(&shared, &call, fault);
        (status, body, false)
    } else {
        stripe::answer(&shared, &call, fault)
    };
    match fault {
        Some(Fault::SilentAfter) => tokio::time::sleep(patience * 2).await,
        Some(Fault::ResetAfter) => return torn(),
        _ => {}
    }
    let mut response = plain(status, body);
    if replayed {
        let yes = http::HeaderValue::from_static("true");
        response.headers_mut().insert("idempotent-replayed", yes);
    }
    response
}

fn plain(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

/// An answer that breaks off.
fn torn() -> Response {
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"{\"id\":")),
        Err(std::io::Error::other("the line was cut")),
    ]);
    Response::new(Body::from_stream(broken))
}

/// For a provider that runs as a program of its own.
fn control(shared: &Arc<Shared>, call: &Call) -> Value {
    let rest = call.path.trim_start_matches("/_test/");
    match rest.split_once('/') {
        Some((what @ ("confirm" | "refuse"), order)) => {
            let told = shared.ledger().customer_acts(order, what == "confirm");
            let acted = told.is_some();
            if let Some((kind, charge)) = told {
                shared.hooks.tell(kind, &charge, Of::Charge);
            }
            json!({ "acted": acted })
        }
        Some(("hooks", _)) => {
            shared.hooks.target(&String::from_utf8_lossy(&call.body));
            json!({})
        }
        _ => shared.ledger().summary(),
    }
}

/// How long a client that is configured by [`settings`] waits for an answer.
pub const CLIENT_PATIENCE: Duration = Duration::from_millis(400);

/// A region's file with this provider in it.
pub fn settings(file: crate::settings::RegionFile, fake: &Fake, razorpay: bool) -> crate::settings::RegionFile {
    let name = if razorpay { "razorpay" } else { "stripe" };
    let patience_ms = i64::try_from(CLIENT_PATIENCE.as_millis()).expect("short");
    file.set("payments.provider", name)
        .set("payments.timeout_ms", patience_ms)
        .set("payments.breaker_failures", 1_000)
        .set("payments.stripe.base_url", fake.base())
        .set("payments.stripe.secret_key", STRIPE_KEY)
        .set("payments.stripe.webhook_secret", STRIPE_HOOKS)
        .set("payments.stripe.return_url", "https://app.example/paid")
        .set("payments.razorpay.base_url", fake.base())
        .set("payments.razorpay.key_id", RAZORPAY_KEY.0)
        .set("payments.razorpay.key_secret", RAZORPAY_KEY.1)
        .set("payments.razorpay.webhook_secret", RAZORPAY_HOOKS)
}
