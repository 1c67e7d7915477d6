//! A payment's detours: the provider wants something of the customer, lost our question, speaks unasked, or is gone.

use tomato_shared::control::Feature;
use tomato_shared::event::{Declined, Event, PaymentMethod, Retried};
use tomato_shared::id::{OrderId, PaymentId, UserId};
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::city::RegionStatus;
use super::command::{Answer, PaymentOutcome, Refusal};
use super::dispute::DisputeNews;
use super::draft::Draft;
use super::model::{By, Decline, Order, PaymentAction, PaymentState, RefundState, TipState};
use super::task::{STRAY, Task, TaskKey, TaskKind};
use super::timer::TimerKey;
use super::{dispute, done, order, order_answer, payment, visible};

/// Attempts of one payment whose key was spent without effect.
const ATTEMPTS_MAX: u32 = 5;
/// How often a refund is asked for before only a person can help.
const REFUND_TRIES: u32 = 4;
/// Pause before a refused refund is asked for again; twice as long each time.
const REFUND_PAUSE: DurationMs = DurationMs::from_mins(5);

/// A signed message of the provider. It says that something happened, not what is true now: it has the open questions about its
/// order asked again, so order and number of messages do not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// Which provider.
    pub provider: &'static str,
    /// Its id of the message; the same message is taken in once.
    pub event_id: String,
    /// What happened, in its words.
    pub kind: String,
    /// About which order, as we told it when we asked.
    pub order_id: Option<OrderId>,
    /// Whether it tells that money was promised or taken.
    pub money: bool,
    /// Whether a person has to look: a dispute, or a refund that failed after all.
    pub alarm: bool,
    /// How a dispute stands, where it tells of one; asked of the provider when the message came.
    pub dispute: Option<DisputeNews>,
    /// The message as it came.
    pub body: String,
}

/// What a provider's answer is an answer to.
pub(super) const fn asked(outcome: &PaymentOutcome) -> TaskKind {
    match outcome {
        PaymentOutcome::Authorised { .. }
        | PaymentOutcome::ActionRequired { .. }
        | PaymentOutcome::NotMade { .. }
        | PaymentOutcome::Declined { .. } => TaskKind::Authorise,
        PaymentOutcome::Captured | PaymentOutcome::CaptureRefused { .. } => TaskKind::Capture,
        PaymentOutcome::Voided => TaskKind::Void,
        PaymentOutcome::Refunded | PaymentOutcome::RefundRefused { .. } => TaskKind::Refund,
        PaymentOutcome::TipTaken | PaymentOutcome::TipDeclined { .. } => TaskKind::Tip,
    }
}

/// Whether a call of this kind is open.
pub(super) fn is_open(order: &Order, key: TaskKey, payment_id: PaymentId) -> bool {
    let payment = &order.payment;
    let nth = key.nth as usize;
    match key.kind {
        TaskKind::Authorise => {
            payment.id == payment_id && matches!(payment.state, PaymentState::Authorising | PaymentState::Deferred)
        }
        TaskKind::Capture => payment.id == payment_id && payment.state == PaymentState::Capturing,
        TaskKind::Void if key.nth == STRAY => payment.id == payment_id && payment.stray,
        TaskKind::Void => payment.id == payment_id && payment.state == PaymentState::Voiding,
        TaskKind::Refund => {
            let refund = payment.refunds.get(nth).filter(|_| payment.id == payment_id);
            refund.is_some_and(|refund| refund.state == RefundState::Asked)
        }
        TaskKind::Tip => {
            let tip = payment.tips.get(nth).filter(|tip| tip.id == payment_id);
            tip.is_some_and(|tip| tip.state == TipState::Asked)
        }
    }
}

/// The call that an answer belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) order_id: OrderId,
    pub(super) payment_id: PaymentId,
    pub(super) nth: u32,
    pub(super) attempt: u32,
}

/// Whether a refusal is of an attempt that another one has followed: it was heard before, and what is under way now may
/// well succeed. A success counts whichever attempt brought it.
pub(super) fn is_stale(order: &Order, call: Call, outcome: &PaymentOutcome) -> bool {
    let current = match outcome {
        PaymentOutcome::RefundRefused { .. } => {
            let refund = order.payment.refunds.get(call.nth as usize);
            refund.map_or(0, |refund| refund.refused + 1)
        }
        PaymentOutcome::Declined { .. } | PaymentOutcome::NotMade { .. } => order.payment.attempt,
        PaymentOutcome::Authorised { .. }
        | PaymentOutcome::ActionRequired { .. }
        | PaymentOutcome::Captured
        | PaymentOutcome::CaptureRefused { .. }
        | PaymentOutcome::Voided
        | PaymentOutcome::Refunded
        | PaymentOutcome::TipTaken
        | PaymentOutcome::TipDeclined { .. } => call.attempt,
    };
    call.attempt != current
}

/// How the payment of a new order begins.
///
/// Refused: `cards_unavailable` while the provider cannot be reached and the customer may not be let go unpaid.
pub(super) fn first_state(
    draft: &Draft<'_>,
    customer_id: UserId,
    method: PaymentMethod,
    total_minor: i64,
) -> Result<PaymentState, Refusal> {
    let (feature, what) = match method {
        PaymentMethod::Card => (Feature::Cards, "cards; pay in cash"),
        PaymentMethod::Cash => (Feature::Cash, "cash; pay by card"),
    };
    if draft.city.catalogue().is_off(feature) {
        return Err(Refusal::with(Rejection::FeatureOff, what));
    }
    match method {
        PaymentMethod::Cash => Ok(PaymentState::CashDue),
        PaymentMethod::Card if !draft.city.catalogue().region.cards_down => Ok(PaymentState::Authorising),
        PaymentMethod::Card => {
            let owed_minor = draft.city.deferred_minor(customer_id).saturating_add(total_minor);
            if owed_minor <= draft.policy.deferred_max_minor {
                Ok(PaymentState::Deferred)
            } else {
                Err(Rejection::CardsUnavailable.into())
            }
        }
    }
}

/// The provider cannot be reached any more, or can be again.
pub(super) fn cards_down(draft: &mut Draft<'_>, down: bool) -> Result<Answer, Refusal> {
    let status = &draft.city.catalogue().region;
    if status.cards_down != down {
        draft.changes.region = Some(RegionStatus {
            cards_down: down,
            ..status.clone()
        });
    }
    Ok(done())
}

/// The customer has to do something first. The question stays open, now under the provider's id; where the order was
/// given up meanwhile, the provider is told to forget it.
pub(super) fn action_required(
    draft: &mut Draft<'_>,
    id: OrderId,
    transaction_id: &str,
    action: &PaymentAction,
) -> Result<(), Refusal> {
    if order::hold_is_over(draft, id, draft.now) {
        order::hold_expired(draft, id)?;
    }
    let payment = &mut draft.order_mut(id)?.payment;
    let news = payment.action.as_ref() != Some(action);
    transaction_id.clone_into(&mut payment.transaction_id);
    payment.action = Some(action.clone());
    let payment_id = payment.id;
    if news {
        draft.tell(id, Event::PaymentActionRequired { payment_id })?;
    }
    let open = Task::of(draft.order(id)?, TaskKind::Authorise);
    draft.changes.tasks.insert(open.key(), Some(open));
    payment::advance(draft, id)
}

/// Until when the customer may name another card; `None` where the order was declined too often, or its hold is over.
pub(super) fn another_card_until(draft: &Draft<'_>, id: OrderId) -> Result<Option<UnixMs>, Refusal> {
    let hold_ends = draft.city.deadline(TimerKey::HoldExpiry(id));
    let until = hold_ends.map(|at| at.min(draft.now + draft.policy.another_card));
    let again = draft.order(id)?.payment.attempt < ATTEMPTS_MAX;
    Ok(until.filter(|until| again && *until > draft.now))
}

/// The attempt is over and nothing can come of it any more; the order waits for another card, and its stock with it.
pub(super) fn wait_for_another_card(
    draft: &mut Draft<'_>,
    id: OrderId,
    code: &str,
    until: UnixMs,
) -> Result<(), Refusal> {
    let payment = &mut draft.order_mut(id)?.payment;
    payment.declined = Some(Decline {
        code: code.to_owned(),
        another_card_until: until,
    });
    let event = Event::PaymentDeclined(Declined {
        payment_id: payment.id,
        attempt: payment.attempt,
        reason: code.to_owned(),
        another_card_until: until,
    });
    draft.set_timer(TimerKey::HoldExpiry(id), until);
    draft.tell(id, event)
}

/// A customer whose card was declined names another: a new attempt under a key of its own. The last one is over for certain,
/// or the order would not wait.
///
/// Refused, in this order: `not_found`, `forbidden`, `wrong_state`, `cards_unavailable`.
pub(super) fn another_card(draft: &mut Draft<'_>, id: OrderId, card: &str) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    if !matches!(draft.by, By::Customer(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let now = draft.now;
    let order = draft.order(id)?;
    let declined = order
        .payment
        .declined
        .as_ref()
        .filter(|_| order.state == OrderState::Pending);
    // What a message of the provider has it look into may be money of the last attempt: first that goes back.
    if order.payment.stray || declined.is_none_or(|declined| declined.another_card_until <= now) {
        return Err(Rejection::WrongState.into());
    }
    if draft.city.catalogue().region.cards_down {
        return Err(Rejection::CardsUnavailable.into());
    }
    let hold_ends = order.placed_at + draft.policy.hold;
    let payment = &mut draft.order_mut(id)?.payment;
    payment.attempt += 1;
    card.clone_into(&mut payment.card);
    payment.transaction_id.clear();
    payment.declined = None;
    let event = Event::PaymentRetried(Retried {
        payment_id: payment.id,
        attempt: payment.attempt,
    });
    draft.set_timer(TimerKey::HoldExpiry(id), hold_ends);
    draft.tell(id, event)?;
    payment::ask(draft, id, TaskKind::Authorise)?;
    order_answer(draft, 200, id)
}

/// The attempt was certainly never made: another one is, under a key of its own.
pub(super) fn not_made(draft: &mut Draft<'_>, id: OrderId, code: &str) -> Result<(), Refusal> {
    let order = draft.order_mut(id)?;
    let wanted = order.state == OrderState::Pending || order.payment.state == PaymentState::Deferred;
    if !wanted || order.payment.attempt >= ATTEMPTS_MAX {
        return payment::declined(draft, id, code);
    }
    order.payment.attempt += 1;
    order.payment.transaction_id.clear();
    payment::ask(draft, id, TaskKind::Authorise)
}

/// The provider will not send money back. Operators hear of it each time; it is asked again, later and under another key,
/// before only they can help.
pub(super) fn refund_refused(draft: &mut Draft<'_>, id: OrderId, nth: usize, code: &str) -> Result<(), Refusal> {
    let now = draft.now;
    let refund = payment::refund_at(draft, id, nth)?;
    refund.refused += 1;
    let again = refund.refused < REFUND_TRIES;
    refund.not_before = now + DurationMs(REFUND_PAUSE.0 << refund.refused.min(REFUND_TRIES));
    if !again {
        refund.state = RefundState::Refused;
    }
    let refund = refund.clone();
    let event = Event::RefundFailed {
        refund_id: refund.id,
        amount_minor: refund.amount_minor,
        code: code.to_owned(),
    };
    draft.tell(id, event)?;
    if again {
        let task = Task::of_refund(draft.order(id)?, nth, &refund);
        draft.changes.tasks.insert(task.key(), Some(task));
    }
    Ok(())
}

/// A message of the provider, signed and new. What is open about its order is asked again at once. Where nothing is and the
/// payment has ended without money, some may have come all the same: it is sent back. A message about no order of
/// ours, and one that needs a person, is kept for people to look at.
pub(super) fn heard(draft: &mut Draft<'_>, event: &ProviderEvent) -> Result<Answer, Refusal> {
    let known = event.order_id.filter(|id| draft.order(*id).is_ok());
    let Some(id) = known else {
        draft.changes.quarantine.push(event.clone());
        return Ok(done());
    };
    if let Some(news) = &event.dispute {
        if !dispute::told(draft, id, news)? {
            draft.changes.quarantine.push(event.clone());
        }
        return Ok(done());
    }
    let payment = &draft.order(id)?.payment;
    let refunding = payment.refunds.iter().any(|refund| refund.state == RefundState::Asked);
    let ended = matches!(payment.state, PaymentState::Declined | PaymentState::Voided);
    if event.alarm && !refunding {
        draft.changes.quarantine.push(event.clone());
    }
    if event.money && ended {
        draft.order_mut(id)?.payment.stray = true;
    }
    for task in Task::open(draft.order(id)?) {
        draft.changes.tasks.insert(task.key(), Some(task));
    }
    Ok(done())
}
