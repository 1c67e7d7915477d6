//! A customer's bank takes money back: recorded with its order, posted when the provider moves the money, and never sent back
//! a second time as a refund.

use tomato_shared::event::{DisputeState, Disputed, Event};
use tomato_shared::id::{OrderId, PaymentId};

use super::command::Refusal;
use super::draft::Draft;
use super::model::{Dispute, PaymentGoal, PaymentState};
use super::{books, payment};

/// A dispute as the provider has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeNews {
    /// Its id.
    pub id: String,
    /// Of which payment, as we told it when we asked for it.
    pub payment_id: Option<PaymentId>,
    /// What it is about, in minor units.
    pub amount_minor: i64,
    /// What has been taken away for it.
    pub withdrawn_minor: i64,
    /// The bank's reason.
    pub reason: String,
    /// Where it stands.
    pub state: DisputeState,
}

/// Disputes that one order can have: one for its payment, and one for each of a few tips, with room to spare.
const DISPUTES_MAX: usize = 20;

/// Takes in how a dispute stands at the provider. What is decided stays decided, whichever message comes last. `false` where
/// there is no room for it.
pub(super) fn told(draft: &mut Draft<'_>, id: OrderId, news: &DisputeNews) -> Result<bool, Refusal> {
    let (now, own) = (draft.now, draft.order(id)?.payment.id);
    let disputes = &mut draft.order_mut(id)?.payment.disputes;
    let place = disputes.iter().position(|row| row.id == news.id);
    let before = place.map(|place| disputes[place].clone());
    let row = Dispute {
        id: news.id.clone(),
        payment_id: news.payment_id.unwrap_or(own),
        amount_minor: news.amount_minor,
        withdrawn_minor: news.withdrawn_minor,
        reason: news.reason.clone(),
        state: news.state,
        at: before.as_ref().map_or(now, |before| before.at),
    };
    let decided = |row: &Dispute| row.state != DisputeState::Open;
    if before.as_ref().is_some_and(|before| decided(before) || *before == row) {
        return Ok(true);
    }
    match place {
        Some(place) => disputes[place] = row.clone(),
        None if disputes.len() >= DISPUTES_MAX => return Ok(false),
        None => disputes.push(row.clone()),
    }
    let moved_minor = row.withdrawn_minor - before.map_or(0, |before| before.withdrawn_minor);
    let event = Event::PaymentDisputed(Disputed {
        payment_id: row.payment_id,
        dispute_id: row.id.clone(),
        amount_minor: row.amount_minor,
        moved_minor,
        reason: row.reason.clone(),
        state: row.state,
    });
    draft.tell(id, event)?;
    books::disputed(draft, id, &row, moved_minor)?;
    let payment = &mut draft.order_mut(id)?.payment;
    let returned = matches!(payment.state, PaymentState::Refunding | PaymentState::Refunded);
    let gives_back = payment.goal == PaymentGoal::Return && returned;
    if row.state == DisputeState::Won && row.payment_id == own && gives_back {
        // The bank did not give the customer what they were to get; so it goes back after all.
        payment.state = PaymentState::Captured;
        payment::advance(draft, id)?;
    }
    Ok(true)
}
