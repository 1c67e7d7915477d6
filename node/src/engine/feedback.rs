//! After the order: ratings, tips, refunds.

use std::collections::BTreeMap;

use tomato_shared::event::{Bearer, Event, Line, RefundReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, RefundAmount, Refusal};
use super::draft::{Draft, Rated};
use super::model::{By, Order, Rating, RefundState, TipState};
use super::timer::TimerKey;
use super::{order_answer, payment, visible};

/// Tips of one order.
const TIPS_MAX: usize = 3;
/// Tips of one order that were tried, declined ones included.
const TIPS_TRIED_MAX: usize = 10;

/// The caller's own order, delivered not too long ago.
fn delivered<'d>(draft: &'d Draft<'_>, id: OrderId) -> Result<&'d Order, Refusal> {
    visible(draft, id)?;
    if !matches!(draft.by, By::Customer(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let order = draft.order(id)?;
    if order.state != OrderState::Delivered {
        return Err(Rejection::WrongState.into());
    }
    let ended_at = order.ended_at.unwrap_or(order.placed_at);
    if draft.now >= ended_at + draft.policy.feedback_within {
        return Err(Rejection::TooLate.into());
    }
    Ok(order)
}

/// The customer rates the food, and the driver too if they like; once.
pub(super) fn rate(draft: &mut Draft<'_>, id: OrderId, rating: Rating) -> Result<Answer, Refusal> {
    let order = delivered(draft, id)?;
    let driver_id = order.delivery.driver_id.ok_or(Rejection::WrongState)?;
    let restaurant_id = order.restaurant_id;
    if order.rating.is_some() {
        return Err(Rejection::WrongState.into());
    }
    add_stars(draft, Rated::Restaurant(restaurant_id), rating.restaurant_stars);
    if let Some(stars) = rating.driver_stars {
        add_stars(draft, Rated::Driver(driver_id), stars);
    }
    let event = Event::OrderRated(tomato_shared::event::Rated {
        restaurant_id,
        restaurant_stars: rating.restaurant_stars,
        driver_id,
        driver_stars: rating.driver_stars,
    });
    draft.order_mut(id)?.rating = Some(rating);
    draft.clear_timer(TimerKey::RatingRequest(id));
    draft.tell(id, event)?;
    order_answer(draft, 200, id)
}

fn add_stars(draft: &mut Draft<'_>, whom: Rated, stars: u8) {
    let mut total = draft.city.stars(whom);
    total.sum += u64::from(stars);
    total.count += 1;
    draft.changes.stars.insert(whom, total);
}

/// The customer gives the driver something more, from a card.
pub(super) fn tip(
    draft: &mut Draft<'_>,
    id: OrderId,
    amount_minor: i64,
    card: Option<&String>,
) -> Result<Answer, Refusal> {
    let order = delivered(draft, id)?;
    let tips = &order.payment.tips;
    let open = tips.iter().any(|tip| tip.state == TipState::Asked);
    let given = tips.iter().filter(|tip| tip.state != TipState::Declined).count();
    if open || given >= TIPS_MAX || tips.len() >= TIPS_TRIED_MAX {
        return Err(Rejection::WrongState.into());
    }
    let own = Some(&order.payment.card).filter(|card| !card.is_empty());
    let card = card.or(own).ok_or_else(|| {
        let what = "the order was paid in cash; name a card for the tip";
        Refusal::with(Rejection::OrderValue, what)
    })?;
    if amount_minor <= 0 || amount_minor > draft.policy.fees.total_max_minor {
        return Err(Rejection::OrderValue.into());
    }
    let card = card.clone();
    payment::tip(draft, id, amount_minor, card)?;
    order_answer(draft, 200, id)
}

/// An operator sends money of an order back that is over.
pub(super) fn refund(
    draft: &mut Draft<'_>,
    id: OrderId,
    amount: &RefundAmount,
    reason: RefundReason,
    borne_by: Bearer,
) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let order = draft.order(id)?;
    if !order.state.is_final() || !order.payment.state.is_taken() {
        return Err(Refusal::with(
            Rejection::WrongState,
            "cancel an order that is under way; only what was taken can go back",
        ));
    }
    let unearned_minor = unearned_minor(order);
    let left_minor = order.payment.amount_minor - order.payment.returned_minor();
    let amount_minor = match amount {
        RefundAmount::Rest => left_minor,
        RefundAmount::Minor(minor) => *minor,
        RefundAmount::Lines(lines) => lines_minor(draft, order, lines)?.min(left_minor),
    };
    if amount_minor <= 0 || amount_minor > left_minor {
        let detail = format!("{left_minor} of it is left");
        return Err(Refusal::with(Rejection::RefundTooLarge, detail));
    }
    // What the provider would not send back before goes first; nobody bears that.
    let first_minor = amount_minor.min(unearned_minor);
    if first_minor > 0 {
        payment::refund(draft, id, first_minor, reason, None)?;
    }
    if amount_minor > first_minor {
        payment::refund(draft, id, amount_minor - first_minor, reason, Some(borne_by))?;
    }
    if let (RefundAmount::Lines(lines), Some(refund)) = (amount, draft.order_mut(id)?.payment.refunds.last_mut()) {
        refund.lines.clone_from(lines);
    }
    order_answer(draft, 200, id)
}

/// What was taken and neither earned nor sent back: refunds of a given up or changed order that the provider refused.
fn unearned_minor(order: &Order) -> i64 {
    let payment = &order.payment;
    let earned_minor = if order.state == OrderState::Delivered {
        order.price.total_minor
    } else {
        payment.keep_minor
    };
    (payment.amount_minor - earned_minor - payment.unearned_returned_minor()).max(0)
}

/// What so many of some lines cost, with their share of the tax. A dish goes back once.
fn lines_minor(draft: &Draft<'_>, order: &Order, lines: &[(usize, u32)]) -> Result<i64, Refusal> {
    let mut items_minor = 0i64;
    let mut sums: BTreeMap<usize, u32> = BTreeMap::new();
    for (at, quantity) in lines {
        let sum = sums.entry(*at).or_insert(0);
        *sum = sum.saturating_add(*quantity);
    }
    for (at, quantity) in sums {
        let refunds = order
            .payment
            .refunds
            .iter()
            .filter(|refund| refund.state != RefundState::Refused);
        let gone = refunds.flat_map(|refund| &refund.lines).filter(|(of, _)| *of == at);
        let gone: u32 = gone.fold(0, |sum, (_, quantity)| sum.saturating_add(*quantity));
        let line: Option<&Line> = order.lines.get(at);
        let line = line.filter(|line| quantity.saturating_add(gone) <= line.quantity);
        let line = line.ok_or_else(|| Refusal::with(Rejection::RefundTooLarge, "there is not so much of that line"))?;
        items_minor = items_minor.saturating_add(line.unit_minor.saturating_mul(i64::from(quantity)));
    }
    Ok(items_minor.saturating_add(draft.policy.fees.tax.of(items_minor)))
}
