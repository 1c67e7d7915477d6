//! Payments and refunds, as their provider should know them.

use tomato_shared::event::{Bearer, Event, RefundReason};
use tomato_shared::id::{OrderId, PaymentId, RefundId};
use tomato_shared::money::Currency;
use tomato_shared::time::UnixMs;

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentState {
    /// The money is promised.
    Authorised,
    /// It was taken, and some of it may have gone back.
    Captured,
    /// The provider declined.
    Failed,
    /// The promise was given up.
    Voided,
    /// All of it went back.
    Refunded,
}

impl PaymentState {
    pub(crate) const ALL: [Self; 5] = [
        Self::Authorised,
        Self::Captured,
        Self::Failed,
        Self::Voided,
        Self::Refunded,
    ];

    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }
}

/// One payment. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    pub(crate) id: PaymentId,
    pub(crate) order: OrderId,
    /// Given after delivery.
    pub(crate) tip: bool,
    /// The provider's; empty for cash.
    pub(crate) transaction_id: String,
    pub(crate) state: PaymentState,
    pub(crate) authorised_minor: i64,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) created_at: UnixMs,
    pub(crate) updated_at: UnixMs,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefundRow {
    pub(crate) id: RefundId,
    pub(crate) order: OrderId,
    pub(crate) amount_minor: i64,
    /// `None`: told of only when it was done.
    pub(crate) reason: Option<RefundReason>,
    pub(crate) borne_by: Option<Bearer>,
    /// `None` while it is under way, then whether it worked, with the provider's code if not.
    pub(crate) outcome: Option<Result<(), String>>,
    pub(crate) requested_at: UnixMs,
    pub(crate) updated_at: UnixMs,
}

/// The payment that an event is about.
pub(crate) fn payment_of(event: &Event) -> Option<PaymentId> {
    if let Event::PaymentCompleted { payment_id, .. }
    | Event::PaymentCaptured { payment_id, .. }
    | Event::PaymentFailed { payment_id, .. }
    | Event::PaymentRefunded { payment_id, .. }
    | Event::OrderTipped { payment_id, .. }
    | Event::TipFailed { payment_id, .. } = event
    {
        Some(*payment_id)
    } else {
        None
    }
}

/// The refund that an event is about.
pub(crate) fn refund_of(event: &Event) -> Option<RefundId> {
    if let Event::RefundRequested { refund_id, .. }
    | Event::RefundFailed { refund_id, .. }
    | Event::PaymentRefunded {
        refund_id: Some(refund_id),
        ..
    } = event
    {
        Some(*refund_id)
    } else {
        None
    }
}

/// What a fold knows besides the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    pub(crate) order: OrderId,
    pub(crate) currency: Currency,
    pub(crate) at: UnixMs,
}

/// The payment after an event that [`payment_of`] says is about it.
pub(crate) fn fold_payment(before: Option<PaymentRow>, id: PaymentId, about: About, event: &Event) -> PaymentRow {
    let mut row = before.unwrap_or(PaymentRow {
        id,
        order: about.order,
        tip: false,
        transaction_id: String::new(),
        state: PaymentState::Authorised,
        authorised_minor: 0,
        captured_minor: 0,
        refunded_minor: 0,
        currency: about.currency,
        created_at: about.at,
        updated_at: about.at,
    });
    row.updated_at = row.updated_at.max(about.at);
    if let Event::PaymentCompleted {
        transaction_id,
        amount_minor,
        captured,
        ..
    } = event
    {
        row.transaction_id.clone_from(transaction_id);
        row.authorised_minor = *amount_minor;
        if *captured {
            take(&mut row, *amount_minor);
        }
    } else if let Event::PaymentCaptured { amount_minor, .. } = event {
        take(&mut row, *amount_minor);
    } else if let Event::OrderTipped { amount_minor, .. } = event {
        row.tip = true;
        // Some providers tell of the payment itself before; it is the same money.
        if row.captured_minor == 0 {
            take(&mut row, *amount_minor);
        }
    } else if let Event::PaymentRefunded {
        amount_minor, voided, ..
    } = event
    {
        if *voided {
            row.state = PaymentState::Voided;
        } else {
            row.refunded_minor = row.refunded_minor.saturating_add(*amount_minor);
            if row.refunded_minor >= row.captured_minor {
                row.state = PaymentState::Refunded;
            }
        }
    } else {
        row.tip = matches!(event, Event::TipFailed { .. });
        row.state = PaymentState::Failed;
    }
    row
}

fn take(row: &mut PaymentRow, amount_minor: i64) {
    row.captured_minor = row.captured_minor.saturating_add(amount_minor);
    row.state = PaymentState::Captured;
}

/// The refund after an event that [`refund_of`] says is about it.
pub(crate) fn fold_refund(before: Option<RefundRow>, id: RefundId, about: About, event: &Event) -> RefundRow {
    let mut row = before.unwrap_or(RefundRow {
        id,
        order: about.order,
        amount_minor: 0,
        reason: None,
        borne_by: None,
        outcome: None,
        requested_at: about.at,
        updated_at: about.at,
    });
    row.updated_at = row.updated_at.max(about.at);
    if let Event::RefundRequested {
        amount_minor,
        reason,
        borne_by,
        ..
    } = event
    {
        row.amount_minor = *amount_minor;
        row.reason = Some(*reason);
        row.borne_by = Some(*borne_by);
    } else if let Event::RefundFailed { amount_minor, code, .. } = event {
        row.amount_minor = *amount_minor;
        row.outcome = Some(Err(code.clone()));
    } else if let Event::PaymentRefunded { amount_minor, .. } = event {
        row.amount_minor = *amount_minor;
        row.outcome = Some(Ok(()));
    }
    row
}
