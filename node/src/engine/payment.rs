//! The money of an order. The order sets a goal (hold, take, give back); this module says what to ask the provider next.
//!
//! A provider is asked by tasks only: the row is committed first, the call carries an idempotency key made of the payment and
//! its attempt, and its outcome comes back as a command. While a call is open nothing else is asked, so an order that
//! is cancelled while its payment is under way waits for the answer and gives back what it brought. Time alone never
//! turns "no answer" into "failed".

use serde::{Deserialize, Serialize};
use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::id::{OrderId, PaymentId};
use tomato_shared::order::OrderState;

use super::command::{Answer, PaymentOutcome, Refusal};
use super::draft::Draft;
use super::model::{Order, PaymentGoal, PaymentState};
use super::{done, order};

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
    /// Send back what was taken.
    Refund,
}

impl TaskKind {
    /// Number of the kind, as stored. Numbers are never reused.
    pub const fn to_stored(self) -> i64 {
        match self {
            Self::Authorise => 1,
            Self::Capture => 2,
            Self::Void => 3,
            Self::Refund => 4,
        }
    }
}

/// Names a task: at most one of a kind is open per order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey {
    /// What is asked.
    pub kind: TaskKind,
    /// For which order.
    pub order_id: OrderId,
}

/// A call that has to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is asked.
    pub kind: TaskKind,
    /// For which order.
    pub order_id: OrderId,
    /// Of which payment.
    pub payment_id: PaymentId,
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

/// Starts the payment of a new order: asks the provider, or settles cash at once.
pub(super) fn begin(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    match order.payment.method {
        PaymentMethod::Card => ask(draft, id, TaskKind::Authorise),
        PaymentMethod::Cash => {
            let (payment_id, amount_minor) = (order.payment.id, order.price.total_minor);
            let transaction_id = String::new();
            draft.tell(
                id,
                Event::PaymentCompleted {
                    payment_id,
                    transaction_id,
                    amount_minor,
                    captured: false,
                },
            )?;
            order::confirm(draft, id)
        }
    }
}

/// The restaurant cooks: take the money.
pub(super) fn take(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    draft.order_mut(id)?.payment.goal = PaymentGoal::Take;
    advance(draft, id)
}

/// The order is given up: whatever was promised or taken goes back.
pub(super) fn give_back(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    draft.order_mut(id)?.payment.goal = PaymentGoal::Return;
    advance(draft, id)
}

/// The driver has the cash.
pub(super) fn cash_taken(draft: &mut Draft<'_>, id: OrderId) -> Result<i64, Refusal> {
    let order = draft.order_mut(id)?;
    if order.payment.state != PaymentState::CashDue {
        return Ok(0);
    }
    order.payment.state = PaymentState::CashTaken;
    let (payment_id, amount_minor) = (order.payment.id, order.price.total_minor);
    draft.tell(
        id,
        Event::PaymentCaptured {
            payment_id,
            amount_minor,
        },
    )?;
    Ok(amount_minor)
}

/// Takes the next step from where the payment stands towards its goal, if there is one and no call is open.
fn advance(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &draft.order(id)?.payment;
    match (payment.state, payment.goal) {
        (PaymentState::Authorised, PaymentGoal::Take) => ask(draft, id, TaskKind::Capture),
        (PaymentState::Authorised, PaymentGoal::Return) => ask(draft, id, TaskKind::Void),
        (PaymentState::Captured, PaymentGoal::Return) => ask(draft, id, TaskKind::Refund),
        (PaymentState::CashDue, PaymentGoal::Return) => {
            draft.order_mut(id)?.payment.state = PaymentState::CashWaived;
            Ok(())
        }
        (
            PaymentState::Authorising
            | PaymentState::Authorised
            | PaymentState::Capturing
            | PaymentState::Captured
            | PaymentState::Voiding
            | PaymentState::Voided
            | PaymentState::Refunding
            | PaymentState::Refunded
            | PaymentState::Declined
            | PaymentState::CashDue
            | PaymentState::CashTaken
            | PaymentState::CashWaived,
            PaymentGoal::Hold | PaymentGoal::Take | PaymentGoal::Return,
        ) => Ok(()),
    }
}

fn ask(draft: &mut Draft<'_>, id: OrderId, kind: TaskKind) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    order.payment.state = match kind {
        TaskKind::Authorise => PaymentState::Authorising,
        TaskKind::Capture => PaymentState::Capturing,
        TaskKind::Void => PaymentState::Voiding,
        TaskKind::Refund => PaymentState::Refunding,
    };
    let task = task(order, kind);
    draft.changes.tasks.insert(TaskKey { kind, order_id: id }, Some(task));
    Ok(())
}

fn task(order: &Order, kind: TaskKind) -> Task {
    Task {
        kind,
        order_id: order.id,
        payment_id: order.payment.id,
        attempt: order.payment.attempt,
        amount_minor: order.price.total_minor,
        currency: order.price.currency,
        card: order.payment.card.clone(),
        transaction_id: order.payment.transaction_id.clone(),
        trace: None,
    }
}

/// Takes in what the provider said. An answer to a question that is not open changes nothing: it was heard before.
pub(super) fn outcome(
    draft: &mut Draft<'_>,
    id: OrderId,
    payment_id: PaymentId,
    outcome: &PaymentOutcome,
) -> Result<Answer, Refusal> {
    let payment = &draft.order(id)?.payment;
    let kind = match outcome {
        PaymentOutcome::Authorised { .. } | PaymentOutcome::Declined { .. } => TaskKind::Authorise,
        PaymentOutcome::Captured => TaskKind::Capture,
        PaymentOutcome::Voided => TaskKind::Void,
        PaymentOutcome::Refunded => TaskKind::Refund,
    };
    let open = match payment.state {
        PaymentState::Authorising => Some(TaskKind::Authorise),
        PaymentState::Capturing => Some(TaskKind::Capture),
        PaymentState::Voiding => Some(TaskKind::Void),
        PaymentState::Refunding => Some(TaskKind::Refund),
        PaymentState::Authorised
        | PaymentState::Captured
        | PaymentState::Voided
        | PaymentState::Refunded
        | PaymentState::Declined
        | PaymentState::CashDue
        | PaymentState::CashTaken
        | PaymentState::CashWaived => None,
    };
    if payment.id != payment_id || open != Some(kind) {
        return Ok(done());
    }
    draft.changes.tasks.insert(TaskKey { kind, order_id: id }, None);
    let amount_minor = draft.order(id)?.price.total_minor;
    match outcome {
        PaymentOutcome::Authorised { transaction_id } => authorised(draft, id, transaction_id)?,
        PaymentOutcome::Declined { code } => declined(draft, id, code)?,
        PaymentOutcome::Captured => {
            settle(
                draft,
                id,
                PaymentState::Captured,
                Event::PaymentCaptured {
                    payment_id,
                    amount_minor,
                },
            )?;
        }
        PaymentOutcome::Voided => {
            let event = Event::PaymentRefunded {
                payment_id,
                amount_minor,
                voided: true,
                refund_id: None,
            };
            settle(draft, id, PaymentState::Voided, event)?;
        }
        PaymentOutcome::Refunded => {
            let event = Event::PaymentRefunded {
                payment_id,
                amount_minor,
                voided: false,
                refund_id: None,
            };
            settle(draft, id, PaymentState::Refunded, event)?;
        }
    }
    Ok(done())
}

fn settle(draft: &mut Draft<'_>, id: OrderId, state: PaymentState, event: Event) -> Result<(), Refusal> {
    draft.order_mut(id)?.payment.state = state;
    draft.tell(id, event)?;
    advance(draft, id)
}

fn authorised(draft: &mut Draft<'_>, id: OrderId, transaction_id: &str) -> Result<(), Refusal> {
    // The deadline counts, not whether its timer has fired: a hold that is over cannot be turned into a sale.
    if order::hold_is_over(draft, id, draft.now) {
        order::hold_expired(draft, id)?;
    }
    let order = draft.order_mut(id)?;
    order.payment.state = PaymentState::Authorised;
    order.payment.transaction_id = transaction_id.to_owned();
    let (payment_id, amount_minor) = (order.payment.id, order.price.total_minor);
    let transaction_id = transaction_id.to_owned();
    draft.tell(
        id,
        Event::PaymentCompleted {
            payment_id,
            transaction_id,
            amount_minor,
            captured: false,
        },
    )?;
    if draft.order(id)?.state == OrderState::Pending {
        order::confirm(draft, id)?;
    }
    advance(draft, id)
}

fn declined(draft: &mut Draft<'_>, id: OrderId, code: &str) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    order.payment.state = PaymentState::Declined;
    let payment_id = order.payment.id;
    if order.state != OrderState::Pending {
        // The order was given up meanwhile; there is nothing to give back.
        return draft.tell(
            id,
            Event::PaymentRefunded {
                payment_id,
                amount_minor: 0,
                voided: true,
                refund_id: None,
            },
        );
    }
    draft.tell(
        id,
        Event::PaymentFailed {
            payment_id,
            reason: code.to_owned(),
        },
    )?;
    order::payment_failed(draft, id)
}
