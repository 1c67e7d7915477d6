//! The money of an order. The order sets a goal (hold, take, give back); this module says what to ask the provider next.
//!
//! A provider is asked by tasks only: the row is committed first, the call carries an idempotency key made of the payment and
//! its attempt, and its outcome comes back as a command. While a call is open nothing else is asked, so an order that
//! is cancelled while its payment is under way waits for the answer and gives back what it brought. Time alone never
//! turns "no answer" into "failed".

use tomato_shared::event::{Bearer, CancelReason, Event, PaymentMethod, RefundReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, PaymentOutcome, Refusal};
use super::draft::Draft;
use super::model::{PaymentGoal, PaymentState, Refund, RefundState, Tip, TipState};
use super::task::{STRAY, Task, TaskKey, TaskKind};
use super::{books, done, order, provider};

/// Starts the payment of a new order: asks the provider, or settles cash at once.
pub(super) fn begin(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    match order.payment.method {
        PaymentMethod::Card => {
            let deferred = order.payment.state == PaymentState::Deferred;
            ask(draft, id, TaskKind::Authorise)?;
            if deferred { order::confirm(draft, id) } else { Ok(()) }
        }
        PaymentMethod::Cash => {
            let event = Event::PaymentCompleted {
                payment_id: order.payment.id,
                transaction_id: String::new(),
                amount_minor: order.payment.amount_minor,
                captured: false,
            };
            draft.tell(id, event)?;
            order::confirm(draft, id)
        }
    }
}

/// The restaurant cooks: take the money.
pub(super) fn take(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    draft.order_mut(id)?.payment.goal = PaymentGoal::Take;
    advance(draft, id)
}

/// The order is given up: what was promised or taken goes back, less `keep_minor`.
pub(super) fn give_back(draft: &mut Draft<'_>, id: OrderId, keep_minor: i64) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.goal = PaymentGoal::Return;
    payment.keep_minor = keep_minor;
    payment.declined = None;
    advance(draft, id)
}

/// The driver has the cash: what the order costs now, in minor units; 0 for cards.
pub(super) fn cash_taken(draft: &mut Draft<'_>, id: OrderId) -> Result<i64, Refusal> {
    let order = draft.order_mut(id)?;
    if order.payment.state != PaymentState::CashDue {
        return Ok(0);
    }
    let amount_minor = order.price.total_minor;
    order.payment.state = PaymentState::CashTaken;
    order.payment.amount_minor = amount_minor;
    let payment_id = order.payment.id;
    let event = Event::PaymentCaptured {
        payment_id,
        amount_minor,
    };
    draft.tell(id, event)?;
    Ok(amount_minor)
}

/// Decides that money goes back; `borne_by` is `None` for what was never earned. For a card the provider is asked as soon as it has the money; cash goes back by hand, at once.
pub(super) fn refund(
    draft: &mut Draft<'_>,
    id: OrderId,
    amount_minor: i64,
    reason: RefundReason,
    borne_by: Option<Bearer>,
) -> Result<(), Refusal> {
    let unearned = borne_by.is_none();
    let borne_by = borne_by.unwrap_or(Bearer::Platform);
    let refund = Refund {
        id: draft.ids.id(draft.now),
        amount_minor,
        reason,
        borne_by,
        unearned,
        state: RefundState::Waiting,
        at: draft.now,
        lines: Vec::new(),
        refused: 0,
        not_before: draft.now,
    };
    let event = Event::RefundRequested {
        refund_id: refund.id,
        amount_minor,
        reason,
        borne_by,
    };
    let refunds = &mut draft.order_mut(id)?.payment.refunds;
    refunds.push(refund);
    let nth = refunds.len() - 1;
    draft.tell(id, event)?;
    if draft.order(id)?.payment.method == PaymentMethod::Cash {
        return refund_done(draft, id, nth);
    }
    advance(draft, id)
}

/// Asks for a tip.
pub(super) fn tip(draft: &mut Draft<'_>, id: OrderId, amount_minor: i64, card: String) -> Result<(), Refusal> {
    let tip = Tip {
        id: draft.ids.id(draft.now),
        amount_minor,
        card,
        state: TipState::Asked,
        at: draft.now,
    };
    let order = draft.order_mut(id)?;
    let task = Task::of_tip(order, order.payment.tips.len(), &tip);
    order.payment.tips.push(tip);
    draft.changes.tasks.insert(task.key(), Some(task));
    Ok(())
}

/// Takes the next steps from where the payment stands towards its goal, if there are any and no call is open.
pub(super) fn advance(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &draft.order(id)?.payment;
    match (payment.state, payment.goal) {
        // The customer has not done yet what the provider waits for: it can be called off at once.
        (PaymentState::Authorising | PaymentState::Deferred, PaymentGoal::Return) if payment.action.is_some() => {
            let open = Task::of(draft.order(id)?, TaskKind::Authorise).key();
            draft.changes.tasks.insert(open, None);
            ask(draft, id, TaskKind::Void)
        }
        (PaymentState::Authorised, PaymentGoal::Take) => ask(draft, id, TaskKind::Capture),
        (PaymentState::Authorised, PaymentGoal::Return) if payment.keep_minor > 0 => ask(draft, id, TaskKind::Capture),
        (PaymentState::Authorised, PaymentGoal::Return) => ask(draft, id, TaskKind::Void),
        (PaymentState::Captured, PaymentGoal::Return) => return_rest(draft, id),
        (
            PaymentState::Captured | PaymentState::Refunding | PaymentState::Refunded,
            PaymentGoal::Take | PaymentGoal::Return,
        ) => ask_refunds(draft, id),
        (PaymentState::CashDue, PaymentGoal::Return) => {
            draft.order_mut(id)?.payment.state = PaymentState::CashWaived;
            Ok(())
        }
        (
            PaymentState::Authorising
            | PaymentState::Deferred
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

/// What was taken, less what is kept or has gone back already, is one more refund.
fn return_rest(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.state = PaymentState::Refunding;
    let rest_minor = payment.amount_minor - payment.keep_minor - payment.returned_minor();
    if rest_minor > 0 {
        return refund(draft, id, rest_minor, RefundReason::Cancelled, None);
    }
    ask_refunds(draft, id)?;
    settle_return(draft, id)
}

fn ask_refunds(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    let mut tasks = Vec::new();
    for nth in 0..order.payment.refunds.len() {
        let refund = &mut order.payment.refunds[nth];
        if refund.state != RefundState::Waiting {
            continue;
        }
        refund.state = RefundState::Asked;
        tasks.push(Task::of_refund(order, nth, &order.payment.refunds[nth]));
    }
    for task in tasks {
        draft.changes.tasks.insert(task.key(), Some(task));
    }
    Ok(())
}

/// Once nothing is under way any more, money that had to go back has gone.
fn settle_return(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    let under_way = |refund: &Refund| matches!(refund.state, RefundState::Waiting | RefundState::Asked);
    let rest_minor = payment.amount_minor - payment.keep_minor - payment.returned_minor();
    if payment.state == PaymentState::Refunding && rest_minor <= 0 && !payment.refunds.iter().any(under_way) {
        payment.state = PaymentState::Refunded;
    }
    Ok(())
}

pub(super) fn ask(draft: &mut Draft<'_>, id: OrderId, kind: TaskKind) -> Result<(), Refusal> {
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.payment.asked_at = now;
    order.payment.state = match kind {
        TaskKind::Authorise if order.payment.state == PaymentState::Deferred => PaymentState::Deferred,
        TaskKind::Authorise => PaymentState::Authorising,
        TaskKind::Capture => PaymentState::Capturing,
        TaskKind::Void => PaymentState::Voiding,
        TaskKind::Refund | TaskKind::Tip => order.payment.state,
    };
    let task = Task::of(order, kind);
    draft.changes.tasks.insert(task.key(), Some(task));
    Ok(())
}

/// Takes in what the provider said. An answer to a question that is not open changes nothing: it was heard before.
pub(super) fn outcome(
    draft: &mut Draft<'_>,
    call: provider::Call,
    outcome: &PaymentOutcome,
) -> Result<Answer, Refusal> {
    let (id, payment_id, nth) = (call.order_id, call.payment_id, call.nth);
    let key = TaskKey {
        kind: provider::asked(outcome),
        order_id: id,
        nth,
    };
    let order = draft.order(id)?;
    if !provider::is_open(order, key, payment_id) || provider::is_stale(order, call, outcome) {
        return Ok(done());
    }
    draft.changes.tasks.insert(key, None);
    let place = nth as usize;
    match outcome {
        PaymentOutcome::Authorised { transaction_id } => authorised(draft, id, transaction_id)?,
        PaymentOutcome::ActionRequired { transaction_id, action } => {
            provider::action_required(draft, id, transaction_id, action)?;
        }
        PaymentOutcome::NotMade { code } => provider::not_made(draft, id, code)?,
        PaymentOutcome::Declined { code } => declined(draft, id, code)?,
        PaymentOutcome::Captured => captured(draft, id)?,
        PaymentOutcome::CaptureRefused { code } => capture_refused(draft, id, code)?,
        PaymentOutcome::Voided if nth == STRAY => draft.order_mut(id)?.payment.stray = false,
        PaymentOutcome::Voided => voided(draft, id)?,
        PaymentOutcome::Refunded => refund_done(draft, id, place)?,
        PaymentOutcome::RefundRefused { code } => provider::refund_refused(draft, id, place, code)?,
        PaymentOutcome::TipTaken => tip_ended(draft, id, place, None)?,
        PaymentOutcome::TipDeclined { code } => tip_ended(draft, id, place, Some(code.as_str()))?,
    }
    Ok(done())
}

fn authorised(draft: &mut Draft<'_>, id: OrderId, transaction_id: &str) -> Result<(), Refusal> {
    // The deadline counts, not whether its timer has fired: a hold that is over cannot be turned into a sale.
    if order::hold_is_over(draft, id, draft.now) {
        order::hold_expired(draft, id)?;
    }
    let order = draft.order_mut(id)?;
    order.payment.state = PaymentState::Authorised;
    order.payment.transaction_id = transaction_id.to_owned();
    order.payment.action = None;
    let event = Event::PaymentCompleted {
        payment_id: order.payment.id,
        transaction_id: transaction_id.to_owned(),
        amount_minor: order.payment.amount_minor,
        captured: false,
    };
    draft.tell(id, event)?;
    if draft.order(id)?.state == OrderState::Pending {
        order::confirm(draft, id)?;
    }
    advance(draft, id)
}

pub(super) fn declined(draft: &mut Draft<'_>, id: OrderId, code: &str) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    order.payment.action = None;
    if order.payment.state == PaymentState::Deferred && order.payment.goal != PaymentGoal::Return {
        return capture_refused(draft, id, code);
    }
    order.payment.state = PaymentState::Declined;
    let payment_id = order.payment.id;
    if order.state != OrderState::Pending {
        // The order was given up meanwhile; there is nothing to give back.
        let event = Event::PaymentRefunded {
            payment_id,
            amount_minor: 0,
            voided: true,
            refund_id: None,
        };
        return draft.tell(id, event);
    }
    match provider::another_card_until(draft, id)? {
        Some(until) => provider::wait_for_another_card(draft, id, code, until),
        None => failed(draft, id, code),
    }
}

/// The provider said no, and nothing more is tried.
pub(super) fn failed(draft: &mut Draft<'_>, id: OrderId, code: &str) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.declined = None;
    let event = Event::PaymentFailed {
        payment_id: payment.id,
        reason: code.to_owned(),
    };
    draft.tell(id, event)?;
    order::payment_failed(draft, id)
}

fn captured(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.state = PaymentState::Captured;
    let (payment_id, amount_minor) = (payment.id, payment.amount_minor);
    let event = Event::PaymentCaptured {
        payment_id,
        amount_minor,
    };
    draft.tell(id, event)?;
    books::captured(draft, id, amount_minor)?;
    advance(draft, id)
}

/// The money that was promised does not come. What is not on its way yet is given up; what is, stays unpaid in the books.
fn capture_refused(draft: &mut Draft<'_>, id: OrderId, code: &str) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    order.payment.state = PaymentState::Declined;
    // Refunds that waited for this money have nothing to send back.
    order
        .payment
        .refunds
        .retain(|refund| refund.state != RefundState::Waiting);
    let (payment_id, state) = (order.payment.id, order.state);
    let event = Event::CaptureFailed {
        payment_id,
        code: code.to_owned(),
    };
    draft.tell(id, event)?;
    match state {
        OrderState::Pending | OrderState::Confirmed | OrderState::Preparing | OrderState::ReadyForPickup => {
            order::end(draft, id, CancelReason::PaymentLost, 0)
        }
        OrderState::OutForDelivery | OrderState::Delivered | OrderState::Cancelled | OrderState::PaymentFailed => {
            Ok(())
        }
    }
}

fn voided(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.state = PaymentState::Voided;
    payment.action = None;
    let event = Event::PaymentRefunded {
        payment_id: payment.id,
        amount_minor: payment.amount_minor,
        voided: true,
        refund_id: None,
    };
    draft.tell(id, event)
}

pub(super) fn refund_at<'d>(draft: &'d mut Draft<'_>, id: OrderId, nth: usize) -> Result<&'d mut Refund, Refusal> {
    let refunds = &mut draft.order_mut(id)?.payment.refunds;
    refunds.get_mut(nth).ok_or_else(|| Rejection::NotFound.into())
}

fn refund_done(draft: &mut Draft<'_>, id: OrderId, nth: usize) -> Result<(), Refusal> {
    let refund = refund_at(draft, id, nth)?;
    refund.state = RefundState::Done;
    let refund = refund.clone();
    let event = Event::PaymentRefunded {
        payment_id: draft.order(id)?.payment.id,
        amount_minor: refund.amount_minor,
        voided: false,
        refund_id: Some(refund.id),
    };
    draft.tell(id, event)?;
    books::refunded(draft, id, &refund)?;
    settle_return(draft, id)
}

fn tip_ended(draft: &mut Draft<'_>, id: OrderId, nth: usize, refused: Option<&str>) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    let driver_id = order.delivery.driver_id.ok_or(Rejection::WrongState)?;
    let tip = order.payment.tips.get_mut(nth).ok_or(Rejection::NotFound)?;
    tip.state = if refused.is_none() {
        TipState::Done
    } else {
        TipState::Declined
    };
    let (payment_id, amount_minor) = (tip.id, tip.amount_minor);
    if let Some(code) = refused {
        let reason = code.to_owned();
        return draft.tell(id, Event::TipFailed { payment_id, reason });
    }
    let event = Event::OrderTipped {
        payment_id,
        driver_id,
        amount_minor,
    };
    draft.tell(id, event)?;
    books::tipped(draft, id, driver_id, amount_minor)
}
