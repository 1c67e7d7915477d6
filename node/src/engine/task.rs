//! Calls to the outside that have to be made: rows, committed with their cause and dropped with their outcome.

use serde::{Deserialize, Serialize};
use tomato_shared::id::{OrderId, PaymentId, RefundId};
use tomato_shared::time::UnixMs;

use super::model::{Order, PaymentState, Refund, RefundState, Tip, TipState};

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

/// Number of the [`TaskKind::Void`] that sends back what came too late.
pub const STRAY: u32 = 1;

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
    /// Which refund or tip of the order, counted from 0; else 0. A [`TaskKind::Void`] with 1 is about money that came after
    /// the payment had ended.
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
    /// When it was first asked: providers forget keys after a day.
    #[serde(default)]
    pub asked_at: UnixMs,
    /// Before when it is not to be made.
    #[serde(default)]
    pub not_before: UnixMs,
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
    /// The call of this kind about an order's own payment.
    pub fn of(order: &Order, kind: TaskKind) -> Self {
        Self {
            kind,
            order_id: order.id,
            nth: 0,
            payment_id: order.payment.id,
            refund_id: None,
            attempt: order.payment.attempt,
            asked_at: order.payment.asked_at,
            not_before: UnixMs(0),
            amount_minor: order.payment.amount_minor,
            currency: order.price.currency,
            card: order.payment.card.clone(),
            transaction_id: order.payment.transaction_id.clone(),
            trace: None,
        }
    }

    /// The call that sends money back.
    pub fn of_refund(order: &Order, nth: usize, refund: &Refund) -> Self {
        Self {
            nth: u32::try_from(nth).unwrap_or(u32::MAX),
            refund_id: Some(refund.id),
            attempt: refund.refused + 1,
            asked_at: refund.at,
            not_before: refund.not_before,
            amount_minor: refund.amount_minor,
            ..Self::of(order, TaskKind::Refund)
        }
    }

    /// The call that takes a tip.
    pub fn of_tip(order: &Order, nth: usize, tip: &Tip) -> Self {
        Self {
            nth: u32::try_from(nth).unwrap_or(u32::MAX),
            payment_id: tip.id,
            attempt: 1,
            asked_at: tip.at,
            amount_minor: tip.amount_minor,
            card: tip.card.clone(),
            transaction_id: String::new(),
            ..Self::of(order, TaskKind::Tip)
        }
    }

    /// The call that sends back what came after the end.
    pub fn of_stray(order: &Order) -> Self {
        Self {
            nth: STRAY,
            ..Self::of(order, TaskKind::Void)
        }
    }

    /// Every call about an order that is open.
    pub fn open(order: &Order) -> Vec<Self> {
        let payment = &order.payment;
        let kind = match payment.state {
            PaymentState::Authorising | PaymentState::Deferred => Some(TaskKind::Authorise),
            PaymentState::Capturing => Some(TaskKind::Capture),
            PaymentState::Voiding => Some(TaskKind::Void),
            PaymentState::Authorised
            | PaymentState::Captured
            | PaymentState::Voided
            | PaymentState::Refunding
            | PaymentState::Refunded
            | PaymentState::Declined
            | PaymentState::CashDue
            | PaymentState::CashTaken
            | PaymentState::CashWaived => None,
        };
        let own = kind.map(|kind| Self::of(order, kind));
        let refunds = payment.refunds.iter().enumerate();
        let refunds = refunds.filter(|(_, refund)| refund.state == RefundState::Asked);
        let tips = payment.tips.iter().enumerate();
        let tips = tips.filter(|(_, tip)| tip.state == TipState::Asked);
        own.into_iter()
            .chain(refunds.map(|(nth, refund)| Self::of_refund(order, nth, refund)))
            .chain(tips.map(|(nth, tip)| Self::of_tip(order, nth, tip)))
            .chain(payment.stray.then(|| Self::of_stray(order)))
            .collect()
    }

    /// Its name.
    pub const fn key(&self) -> TaskKey {
        TaskKey {
            kind: self.kind,
            order_id: self.order_id,
            nth: self.nth,
        }
    }
}
