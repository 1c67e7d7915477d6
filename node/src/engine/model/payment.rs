//! The money of one order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::event::{Bearer, DisputeState, PaymentMethod, RefundReason};
use tomato_shared::id::{PaymentId, RefundId};
use tomato_shared::time::UnixMs;

/// Where the money of an order stands. The provider is called by tasks only; see `engine/payment.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentState {
    /// The provider is being asked; its answer is not known.
    Authorising,
    /// The order goes on although the provider could not be asked yet; it will be as soon as it can be reached.
    Deferred,
    /// The provider holds the money for us.
    Authorised,
    /// The provider is being asked to take it.
    Capturing,
    /// Taken. Parts of it may have gone back; see [`Refund`].
    Captured,
    /// The provider is being asked to let go of it.
    Voiding,
    /// Never taken. Final.
    Voided,
    /// The provider is being asked to send it back, less what is kept.
    Refunding,
    /// Sent back, less what is kept. Final.
    Refunded,
    /// The provider said no, at first or when it was to be taken. Final, unless the customer may name another card.
    Declined,
    /// Cash, to be taken at the door.
    CashDue,
    /// Cash, with the driver.
    CashTaken,
    /// Cash that nobody will take, as the order was given up. Final.
    CashWaived,
}

impl PaymentState {
    /// Whether the customer's money is here, in whole or in part.
    pub const fn is_taken(self) -> bool {
        matches!(
            self,
            Self::Captured | Self::Refunding | Self::Refunded | Self::CashTaken
        )
    }
}

/// What the order wants of its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentGoal {
    /// Promise the money.
    Hold,
    /// Take it.
    Take,
    /// Give it back.
    Return,
}

/// The one payment of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Who it is.
    pub id: PaymentId,
    /// Card or cash.
    pub method: PaymentMethod,
    /// Where it stands.
    pub state: PaymentState,
    /// Where it should get.
    pub goal: PaymentGoal,
    /// The app's token for the card; empty for cash.
    #[serde(default)]
    pub card: String,
    /// Counts attempts; part of the provider's idempotency key.
    pub attempt: u32,
    /// The provider's id, once known.
    #[serde(default)]
    pub transaction_id: String,
    /// What the provider is asked to hold and to take, in minor units: the order's total when it was placed.
    pub amount_minor: i64,
    /// What stays here when the order is given up.
    #[serde(default)]
    pub keep_minor: i64,
    /// What goes back, in order; a refund's place here is its number.
    #[serde(default)]
    pub refunds: Vec<Refund>,
    /// What the customer gave the driver afterwards, in order.
    #[serde(default)]
    pub tips: Vec<Tip>,
    /// What the customer has to do before the provider goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<PaymentAction>,
    /// The provider's last no, while the customer may name another card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<Decline>,
    /// When the provider was asked what is open now, or was last.
    #[serde(default)]
    pub asked_at: UnixMs,
    /// What the customer's bank took back, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
    /// Whether the provider is being asked to send back what came after the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stray: bool,
}

/// A no of the provider that need not be the last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decline {
    /// The provider's code, as `card_declined`.
    pub code: String,
    /// Until when another card can be named; then the payment has failed.
    pub another_card_until: UnixMs,
}

/// What a customer has to do before the provider goes on. Apps hand it to the provider's kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentAction {
    /// What it is.
    pub kind: ActionKind,
    /// The page to open, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the provider's kit is opened with: Stripe's client secret, Razorpay's order id.
    pub token: String,
    /// The provider's public key, where its kit needs it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// Kinds of [`PaymentAction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Confirm the card at its bank: 3-D Secure.
    Confirm,
    /// Pay on the provider's page.
    Checkout,
}

impl Payment {
    /// What has gone back or is on its way, and what the customer's bank took or may take: nothing goes back twice.
    pub fn returned_minor(&self) -> i64 {
        self.refunded_minor().saturating_add(self.disputed_minor())
    }

    /// What refunds have sent back or will.
    pub fn refunded_minor(&self) -> i64 {
        let counts = |refund: &&Refund| refund.state != RefundState::Refused;
        self.refunds
            .iter()
            .filter(counts)
            .map(|refund| refund.amount_minor)
            .sum()
    }

    /// What the customer's bank took of the order's own payment, or may take. A bank can take what a refund has sent back.
    fn disputed_minor(&self) -> i64 {
        let counts = |row: &&Dispute| row.payment_id == self.id && row.state != DisputeState::Won;
        let taken: i64 = self.disputes.iter().filter(counts).map(|row| row.amount_minor).sum();
        taken.min((self.amount_minor - self.refunded_minor()).max(0))
    }

    /// How much of that was never earned.
    pub fn unearned_returned_minor(&self) -> i64 {
        let counts = |refund: &&Refund| refund.state != RefundState::Refused && refund.unearned;
        self.refunds
            .iter()
            .filter(counts)
            .map(|refund| refund.amount_minor)
            .sum()
    }
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundState {
    /// Decided; the money is not taken yet, so there is nothing to send back.
    Waiting,
    /// The provider is being asked.
    Asked,
    /// With the customer. Final.
    Done,
    /// The provider will not: a person has to look. An operator can try anew with another refund.
    Refused,
}

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Who it is; part of the provider's idempotency key.
    pub id: RefundId,
    /// How much.
    pub amount_minor: i64,
    /// Why.
    pub reason: RefundReason,
    /// Who bears it, where it was earned.
    pub borne_by: Bearer,
    /// Whether it was never earned, as the order was given up or changed: then nobody bears it.
    #[serde(default)]
    pub unearned: bool,
    /// Where it stands.
    pub state: RefundState,
    /// When it was decided.
    pub at: UnixMs,
    /// Places of the lines that it is for and how many of each, where it is for single dishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(usize, u32)>,
    /// How often the provider refused it.
    #[serde(default)]
    pub refused: u32,
    /// Before when it is not asked again.
    #[serde(default)]
    pub not_before: UnixMs,
}

/// Money that a customer's bank takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dispute {
    /// The provider's id.
    pub id: String,
    /// Of which payment: the order's own, or a tip.
    pub payment_id: PaymentId,
    /// What it is about, in minor units.
    pub amount_minor: i64,
    /// What the provider has taken away for it.
    pub withdrawn_minor: i64,
    /// The bank's reason, in the provider's words.
    pub reason: String,
    /// Where it stands.
    pub state: DisputeState,
    /// When it was first told of.
    pub at: UnixMs,
}

/// Where a tip stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TipState {
    /// The provider is being asked.
    Asked,
    /// Taken. Final.
    Done,
    /// The provider said no. Final.
    Declined,
}

/// A tip after delivery: a payment of its own, taken at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Who it is.
    pub id: PaymentId,
    /// How much.
    pub amount_minor: i64,
    /// The app's token for the card.
    pub card: String,
    /// Where it stands.
    pub state: TipState,
    /// When it was given.
    pub at: UnixMs,
}
