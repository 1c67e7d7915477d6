//! Calls to the outside that have to be made: rows, committed with their cause and dropped with their outcome.

use serde::{Deserialize, Serialize};
use tomato_shared::id::{OrderId, PaymentId, RefundId};

/// What a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Hold the amount.
    Authorise,
    /// Take what is held.
    Capture,
    /// Let go of what is held.
    Void,
    /// Send back some of what was taken, or all.
    Refund,
    /// Take a tip, at once.
    Tip,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Authorise, Self::Capture, Self::Void, Self::Refund, Self::Tip];

    /// As it is serialised.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Tip => "tip",
        }
    }

    /// Number of the kind, as stored. Numbers are never reused.
    pub const fn to_stored(self) -> i64 {
        match self {
            Self::Authorise => 1,
            Self::Capture => 2,
            Self::Void => 3,
            Self::Refund => 4,
            Self::Tip => 5,
        }
    }
}

/// Names a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey {
    /// What is asked.
    pub kind: TaskKind,
    /// For which order.
    pub order_id: OrderId,
    /// Which refund or tip of the order, counted from 0; else 0.
    pub nth: u32,
}

/// A call that has to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is asked.
    pub kind: TaskKind,
    /// For which order.
    pub order_id: OrderId,
    /// Which refund or tip of the order, counted from 0; else 0.
    #[serde(default)]
    pub nth: u32,
    /// Of which payment; a tip is one of its own.
    pub payment_id: PaymentId,
    /// Which refund; part of the provider's key.
    #[serde(default)]
    pub refund_id: Option<RefundId>,
    /// Part of the provider's key.
    pub attempt: u32,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of what.
    pub currency: tomato_shared::money::Currency,
    /// The app's token of the card.
    pub card: String,
    /// The provider's id, once known.
    pub transaction_id: String,
    /// W3C trace context of the request that started it.
    #[serde(default)]
    pub trace: Option<String>,
}

impl Task {
    /// Its name.
    pub const fn key(&self) -> TaskKey {
        TaskKey {
            kind: self.kind,
            order_id: self.order_id,
            nth: self.nth,
        }
    }
}
