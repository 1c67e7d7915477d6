//! Webhooks: signed, and delivered as providers deliver them, which is late, twice, out of order, or again after an answer
//! that was not 2xx. Some are forged, which a provider never does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::ledger::{Charge, Dispute, Refund, Side, now_s};
use super::{RAZORPAY_HOOKS, STRIPE_HOOKS};

/// How webhooks come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habit {
    /// Share that never comes.
    pub lost: f64,
    /// Share that comes twice.
    pub doubled: f64,
    /// Share beside which a forged one comes.
    pub forged: f64,
    /// Longest delay; each takes a random part of it, so that they overtake each other.
    pub delay: Duration,
}

impl Default for Habit {
    fn default() -> Self {
        Self {
            lost: 0.0,
            doubled: 0.0,
            forged: 0.0,
            delay: Duration::from_millis(20),
        }
    }
}

/// What became of webhooks.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sent with a good signature.
    pub sent: AtomicU64,
    /// Of those answered with 2xx.
    pub taken: AtomicU64,
    /// Never sent.
    pub lost: AtomicU64,
    /// Sent a second time.
    pub doubled: AtomicU64,
    /// Sent with a wrong signature or an old one.
    pub forged: AtomicU64,
    /// Of those answered with 2xx: must stay 0.
    pub forged_taken: AtomicU64,
}

/// Sends them.
#[derive(Debug)]
pub struct Hooks {
    state: Mutex<State>,
    client: reqwest::Client,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct State {
    rng: StdRng,
    base: Option<String>,
    habit: Habit,
    nth: u64,
}

/// What a message is about besides a charge.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'l> {
    Charge,
    Refund(&'l Refund),
    Dispute(&'l Dispute),
}

/// One message, ready to be sent again and again.
#[derive(Debug, Clone)]
struct Message {
    url: String,
    side: Side,
    id: String,
    body: String,
}

impl Hooks {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                rng: StdRng::seed_from_u64(seed ^ 0x5eed),
                base: None,
                habit: Habit::default(),
                nth: 0,
            }),
            client: crate::client::connections(),
            counts: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn target(&self, base: &str) {
        self.state().base = Some(base.trim_end_matches('/').to_owned());
    }

    /// Changes how they come.
    pub fn habit(&self, habit: Habit) {
        self.state().habit = habit;
    }

    /// What became of them.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Tells that something happened to a charge, or to a refund or dispute of it.
    pub(crate) fn tell(&self, kind: &str, charge: &Charge, of: Of<'_>) {
        let mut state = self.state();
        let Some(base) = state.base.clone() else { return };
        state.nth += 1;
        let message = message(&base, state.nth, (kind, charge, of));
        let habit = state.habit;
        let delay = habit.delay.mul_f64(state.rng.random_range(0.0..1.0));
        let again = state.rng.random_bool(habit.doubled);
        let forge = state.rng.random_bool(habit.forged);
        let lost = state.rng.random_bool(habit.lost);
        drop(state);
        if lost {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            let copies = if again { 2 } else { 1 };
            self.counts.doubled.fetch_add(copies - 1, Ordering::Relaxed);
            for nth in 1..=u32::try_from(copies).unwrap_or(1) {
                tokio::spawn(self.sender().deliver(message.clone(), delay * nth));
            }
        }
        if forge {
            tokio::spawn(self.sender().forge(message, delay));
        }
    }

    fn sender(&self) -> Sender {
        Sender {
            client: self.client.clone(),
            counts: self.counts.clone(),
        }
    }
}

struct Sender {
    client: reqwest::Client,
    counts: Arc<Counts>,
}

impl Sender {
    /// Providers try for days; a few times is enough here.
    async fn deliver(self, message: Message, delay: Duration) {
        let mut pause = delay;
        for _ in 0..6 {
            tokio::time::sleep(pause).await;
            self.counts.sent.fetch_add(1, Ordering::Relaxed);
            if self.send(&message, sign(&message, now_s(), true)).await {
                self.counts.taken.fetch_add(1, Ordering::Relaxed);
                return;
            }
            pause = pause.max(Duration::from_millis(100)) * 2;
        }
    }

    /// With a wrong key, and with a good one that was used long ago.
    async fn forge(self, message: Message, delay: Duration) {
        tokio::time::sleep(delay).await;
        let mut signatures = vec![sign(&message, now_s(), false)];
        if message.side == Side::Stripe {
            signatures.push(sign(&message, now_s() - 301, true));
        }
        for signature in signatures {
            self.counts.forged.fetch_add(1, Ordering::Relaxed);
            if self.send(&message, signature).await {
                self.counts.forged_taken.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn send(&self, message: &Message, signature: String) -> bool {
        let header = match message.side {
            Side::Stripe => "stripe-signature",
            Side::Razorpay => "x-razorpay-signature",
        };
        let request = self
            .client
            .post(&message.url)
            .header("content-type", "application/json; charset=utf-8")
            .header(header, signature)
            .header("x-razorpay-event-id", &message.id)
            .body(message.body.clone());
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn message(base: &str, nth: u64, (kind, charge, of): (&str, &Charge, Of<'_>)) -> Message {
    match charge.side {
        Side::Stripe => {
            let id = format!("evt_{nth:08}");
            let object = match of {
                Of::Charge => charge.intent(),
                Of::Refund(refund) => refund.stripe(charge),
                Of::Dispute(dispute) => dispute.stripe(charge),
            };
            let event = json!({
                "id": id, "object": "event", "api_version": super::fields::API_VERSION, "created": now_s(), "type": kind,
                "livemode": false, "pending_webhooks": 1, "data": {"object": object},
            });
            Message {
                url: format!("{base}/v1/webhooks/stripe"),
                side: Side::Stripe,
                id,
                body: event.to_string(),
            }
        }
        Side::Razorpay => {
            let mut payload = json!({"payment": {"entity": charge.payment()}});
            match of {
                Of::Charge => {}
                Of::Refund(refund) => payload["refund"] = json!({"entity": refund.razorpay(charge)}),
                Of::Dispute(dispute) => payload["dispute"] = json!({"entity": dispute.razorpay(charge)}),
            }
            let event: Value = json!({
                "entity": "event", "account_id": "acc_fake", "event": kind, "contains": ["payment"],
                "payload": payload, "created_at": now_s(),
            });
            Message {
                url: format!("{base}/v1/webhooks/razorpay"),
                side: Side::Razorpay,
                id: format!("rzpevt_{nth:08}"),
                body: event.to_string(),
            }
        }
    }
}

fn sign(message: &Message, at_s: i64, known: bool) -> String {
    let secret = match message.side {
        _ if !known => "whsec_guess",
        Side::Stripe => STRIPE_HOOKS,
        Side::Razorpay => RAZORPAY_HOOKS,
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    if message.side == Side::Stripe {
        mac.update(format!("{at_s}.").as_bytes());
    }
    mac.update(message.body.as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match message.side {
        Side::Stripe => format!("t={at_s},v1={hex}"),
        Side::Razorpay => hex,
    }
}
