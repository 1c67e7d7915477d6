//! The provider's own ledger: what was promised, taken and sent back. The oracle of every test about money.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tomato_node::reconcile::Movement;

/// Which provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Stripe,
    Razorpay,
}

/// Where a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The customer has to confirm.
    Waiting,
    /// Promised.
    Held,
    /// Taken.
    Captured,
    /// Refused; Stripe's could still be confirmed by the customer with another card.
    Failed,
    /// Called off, for good; or lapsed, for Razorpay's.
    Ended,
}

/// A payment intent of Stripe, or a payment of Razorpay.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    pub side: Side,
    pub id: String,
    /// Razorpay's order.
    pub bill: String,
    /// What the client said about it: order, payment, region.
    pub metadata: Value,
    pub amount_minor: i64,
    pub currency: String,
    pub card: String,
    /// Whether it is taken as soon as it is promised.
    pub at_once: bool,
    pub status: Status,
    pub error: Option<String>,
    pub captured_minor: i64,
    pub refunds: Vec<Refund>,
    pub created_s: i64,
}

/// Money sent back.
#[derive(Debug, Clone, PartialEq)]
pub struct Refund {
    pub id: String,
    pub minor: i64,
    /// In Stripe's words: `pending`, `succeeded`, `failed`.
    pub status: &'static str,
    pub metadata: Value,
    pub created_s: i64,
}

/// Money that a customer's bank took back.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispute {
    pub id: String,
    /// Of which charge.
    pub charge: String,
    pub minor: i64,
    /// In Stripe's words: `needs_response`, `won`, `lost`.
    pub status: &'static str,
    pub created_s: i64,
}

/// What moved for one payment of the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub captured_minor: i64,
    pub refunded_minor: i64,
    /// Promised and neither taken nor let go.
    pub held_minor: i64,
    /// How many charges were taken: more than one is a double charge.
    pub captures: u32,
}

/// An order of Razorpay: what the customer's checkout pays.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    pub id: String,
    pub receipt: String,
    pub amount_minor: i64,
    pub currency: String,
    pub notes: Value,
    pub created_s: i64,
}

/// A key of Stripe's, with the first answer to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub request: String,
    pub status: u16,
    pub body: Value,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Ledger {
    pub charges: Vec<Charge>,
    pub bills: Vec<Bill>,
    pub disputes: Vec<Dispute>,
    pub keys: BTreeMap<String, Kept>,
    /// A value of each field that a client has sent to Stripe, by call and field.
    pub sent: BTreeMap<(String, String), String>,
    /// What a client sent that a provider would not have taken.
    pub violations: Vec<String>,
    nth: u64,
}

impl Ledger {
    /// A new id.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.nth += 1;
        format!("{prefix}_fake{:010}", self.nth)
    }

    /// A charge by its id.
    pub(crate) fn charge(&mut self, id: &str) -> Option<&mut Charge> {
        self.charges.iter_mut().find(|charge| charge.id == id)
    }

    /// A bank disputes all that was taken for an order. Gives what to tell.
    pub(crate) fn dispute(&mut self, order: &str) -> Option<(Charge, Dispute)> {
        let taken = |charge: &&Charge| charge.metadata["order"] == *order && charge.captured_minor > 0;
        let charge = self.charges.iter().find(taken)?.clone();
        let dispute = Dispute {
            id: self.id("dp"),
            charge: charge.id.clone(),
            minor: charge.captured_minor,
            status: "needs_response",
            created_s: now_s(),
        };
        self.disputes.push(dispute.clone());
        Some((charge, dispute))
    }

    /// The bank decides. Gives what to tell.
    pub(crate) fn decide(&mut self, order: &str, won: bool) -> Option<(Charge, Dispute)> {
        let charges: Vec<Charge> = self
            .charges
            .iter()
            .filter(|charge| charge.metadata["order"] == *order)
            .cloned()
            .collect();
        let open = self
            .disputes
            .iter_mut()
            .find(|row| row.status == "needs_response" && charges.iter().any(|charge| charge.id == row.charge))?;
        open.status = if won { "won" } else { "lost" };
        let dispute = open.clone();
        let charge = charges.into_iter().find(|charge| charge.id == dispute.charge)?;
        Some((charge, dispute))
    }

    /// Whether a bank has disputed a charge, and not lost.
    pub(crate) fn is_disputed(&self, charge: &str) -> bool {
        self.disputes
            .iter()
            .any(|row| row.charge == charge && row.status != "won")
    }

    /// Whether anything was begun for an order.
    pub fn knows(&self, order: &str) -> bool {
        self.charges.iter().any(|charge| charge.metadata["order"] == *order)
    }

    /// The customer confirms or pays, or fails to. Gives what to tell, and about what.
    pub(crate) fn customer_acts(&mut self, order: &str, well: bool) -> Option<(&'static str, Charge)> {
        let waits = |charge: &&mut Charge| charge.metadata["order"] == *order && charge.status == Status::Waiting;
        if let Some(charge) = self.charges.iter_mut().find(waits) {
            charge.status = if well { Status::Held } else { Status::Failed };
            charge.error = (!well).then(|| "payment_intent_authentication_failure".to_owned());
            let kind = if well { HELD } else { "payment_intent.payment_failed" };
            return Some((kind, charge.clone()));
        }
        let bill = self.bills.iter().find(|bill| bill.notes["order"] == *order)?.clone();
        let paid = |charge: &Charge| charge.bill == bill.id && matches!(charge.status, Status::Held | Status::Captured);
        if self.charges.iter().any(paid) {
            return None;
        }
        let charge = Charge {
            side: Side::Razorpay,
            id: self.id("pay"),
            bill: bill.id,
            metadata: bill.notes,
            amount_minor: bill.amount_minor,
            currency: bill.currency,
            card: String::new(),
            at_once: false,
            status: if well { Status::Held } else { Status::Failed },
            error: (!well).then(|| "payment_failed".to_owned()),
            captured_minor: 0,
            refunds: Vec::new(),
            created_s: now_s(),
        };
        self.charges.push(charge.clone());
        Some((if well { "payment.authorized" } else { "payment.failed" }, charge))
    }

    /// A payment of Razorpay that had failed turns out to be authorised, as happens for up to 72 h.
    pub fn late_authorisation(&mut self, order: &str) -> bool {
        let failed = |charge: &&mut Charge| charge.metadata["order"] == *order && charge.status == Status::Failed;
        let found = self.charges.iter_mut().find(failed);
        found.map(|charge| charge.status = Status::Held).is_some()
    }

    /// What was captured behind the client's back, as by somebody in the provider's dashboard.
    pub(crate) fn capture_by_hand(&mut self, order: &str) -> Option<Charge> {
        let held = |charge: &&mut Charge| charge.metadata["order"] == *order && charge.status == Status::Held;
        let found = self.charges.iter_mut().find(held);
        found.map(|charge| {
            charge.take();
            charge.clone()
        })
    }

    /// Razorpay gives back what was not captured in time.
    pub fn lapse(&mut self) {
        for charge in &mut self.charges {
            if charge.side == Side::Razorpay && charge.status == Status::Held {
                charge.status = Status::Ended;
            }
        }
    }

    /// What moved, by the client's payment.
    pub fn moved(&self) -> BTreeMap<String, Moved> {
        let mut all: BTreeMap<String, Moved> = BTreeMap::new();
        for charge in &self.charges {
            let payment = charge.metadata["payment"].as_str().unwrap_or_default().to_owned();
            let moved = all.entry(payment).or_default();
            moved.captured_minor += charge.captured_minor;
            moved.captures += u32::from(charge.captured_minor > 0);
            moved.refunded_minor += charge.refunded_minor();
            if matches!(charge.status, Status::Held) {
                moved.held_minor += charge.amount_minor;
            }
        }
        all
    }

    /// The same as a statement, each movement by itself.
    pub fn statement(&self) -> Vec<Movement> {
        let mut all = Vec::new();
        for charge in &self.charges {
            let mut add = |id: &str, amount_minor| {
                let text = |name: &str| charge.metadata[name].as_str().unwrap_or_default().to_owned();
                let (id, order, payment) = (id.to_owned(), text("order"), text("payment"));
                if amount_minor != 0 {
                    all.push(Movement {
                        id,
                        order,
                        payment,
                        amount_minor,
                        created_s: charge.created_s,
                    });
                }
            };
            add(&charge.id, charge.captured_minor);
            let gone = charge.refunds.iter().filter(|refund| refund.status == "succeeded");
            gone.for_each(|refund| add(&refund.id, -refund.minor));
            let disputes = self.disputes.iter().filter(|row| row.charge == charge.id);
            disputes.for_each(|row| add(&row.id, -row.withdrawn_minor(charge.side)));
        }
        all
    }

    /// The sums of [`Ledger::moved`].
    pub fn total(&self) -> Moved {
        self.moved().values().fold(Moved::default(), |sum, moved| Moved {
            captured_minor: sum.captured_minor + moved.captured_minor,
            refunded_minor: sum.refunded_minor + moved.refunded_minor,
            held_minor: sum.held_minor + moved.held_minor,
            captures: sum.captures + moved.captures,
        })
    }

    pub(crate) fn summary(&self) -> Value {
        let total = self.total();
        json!({
            "captured_minor": total.captured_minor, "refunded_minor": total.refunded_minor,
            "held_minor": total.held_minor, "charges": self.charges.len(), "violations": self.violations,
        })
    }
}

/// What Stripe tells of a promise.
pub const HELD: &str = "payment_intent.amount_capturable_updated";

impl Charge {
    /// Takes what is held.
    pub(crate) fn take(&mut self) {
        self.status = Status::Captured;
        self.captured_minor = self.amount_minor;
    }

    /// What has gone back, or is on its way.
    pub fn refunded_minor(&self) -> i64 {
        let counts = |refund: &&Refund| refund.status != "failed";
        self.refunds.iter().filter(counts).map(|refund| refund.minor).sum()
    }

    /// As Stripe shows it.
    pub(crate) fn intent(&self) -> Value {
        let status = match self.status {
            Status::Waiting => "requires_action",
            Status::Held => "requires_capture",
            Status::Captured => "succeeded",
            Status::Failed => "requires_payment_method",
            Status::Ended => "canceled",
        };
        let action = (self.status == Status::Waiting).then(|| {
            let url = format!("https://hooks.stripe.example/3ds/{}", self.id);
            json!({"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": null}})
        });
        let error = self.error.as_ref().map(|code| {
            let (code, decline) = if code == "payment_intent_authentication_failure" {
                (code.as_str(), Value::Null)
            } else {
                ("card_declined", json!(code))
            };
            json!({"type": "card_error", "code": code, "decline_code": decline, "message": "Your card was declined."})
        });
        let held = if self.status == Status::Held {
            self.amount_minor
        } else {
            0
        };
        json!({
            "id": self.id, "object": "payment_intent", "amount": self.amount_minor, "currency": self.currency,
            "amount_capturable": held, "amount_received": self.captured_minor, "status": status,
            "capture_method": if self.at_once { "automatic" } else { "manual" }, "created": self.created_s,
            "client_secret": format!("{}_secret_fake", self.id), "metadata": self.metadata, "next_action": action,
            "last_payment_error": error, "livemode": false, "payment_method": self.card,
        })
    }

    /// As Razorpay shows it.
    pub(crate) fn payment(&self) -> Value {
        let refunded = self.refunded_minor();
        let status = match self.status {
            Status::Waiting => "created",
            Status::Held => "authorized",
            Status::Captured if refunded == self.captured_minor => "refunded",
            Status::Captured => "captured",
            Status::Failed => "failed",
            Status::Ended => "refunded",
        };
        json!({
            "id": self.id, "entity": "payment", "amount": self.amount_minor, "currency": self.currency, "status": status,
            "order_id": self.bill, "method": "card", "amount_refunded": refunded, "captured": self.captured_minor > 0,
            "notes": self.metadata, "error_code": self.error, "created_at": self.created_s,
        })
    }
}

impl Dispute {
    /// What is taken away for it: by Stripe while it is not won, by Razorpay when it is lost.
    pub fn withdrawn_minor(&self, side: Side) -> i64 {
        let taken = match side {
            Side::Stripe => self.status != "won",
            Side::Razorpay => self.status == "lost",
        };
        if taken { self.minor } else { 0 }
    }

    /// As Stripe shows it.
    pub(crate) fn stripe(&self, charge: &Charge) -> Value {
        json!({
            "id": self.id, "object": "dispute", "amount": self.minor, "currency": charge.currency, "status": self.status,
            "payment_intent": charge.id, "charge": format!("ch_of_{}", charge.id), "reason": "product_not_received",
            "metadata": {}, "created": self.created_s, "livemode": false,
        })
    }

    /// As Razorpay shows it.
    pub(crate) fn razorpay(&self, charge: &Charge) -> Value {
        let status = if self.status == "needs_response" {
            "open"
        } else {
            self.status
        };
        json!({
            "id": self.id, "entity": "dispute", "payment_id": charge.id, "amount": self.minor, "currency": charge.currency,
            "amount_deducted": self.withdrawn_minor(Side::Razorpay), "reason_code": "goods_or_services_not_received",
            "status": status, "phase": "chargeback", "created_at": self.created_s,
        })
    }
}

impl Refund {
    /// As Stripe shows it.
    pub(crate) fn stripe(&self, charge: &Charge) -> Value {
        json!({
            "id": self.id, "object": "refund", "amount": self.minor, "currency": charge.currency, "status": self.status,
            "payment_intent": charge.id, "metadata": self.metadata, "created": self.created_s,
            "failure_reason": if self.status == "failed" { json!("lost_or_stolen_card") } else { Value::Null },
        })
    }

    /// As Razorpay shows it.
    pub(crate) fn razorpay(&self, charge: &Charge) -> Value {
        let status = if self.status == "succeeded" {
            "processed"
        } else {
            self.status
        };
        json!({
            "id": self.id, "entity": "refund", "amount": self.minor, "currency": charge.currency, "status": status,
            "payment_id": charge.id, "notes": self.metadata, "created_at": self.created_s,
        })
    }
}

/// Real seconds since 1970.
pub(crate) fn now_s() -> i64 {
    crate::city::clock::real_now().0 / 1_000
}
