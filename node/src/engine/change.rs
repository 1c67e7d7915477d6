//! Changes after acceptance: the restaurant takes something off or swaps it, the customer agrees, the difference goes back.

use tomato_shared::event::{Event, PaymentMethod, RefundReason};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal, WantedItem};
use super::draft::Draft;
use super::model::{By, Order, Proposal, Restaurant};
use super::quote::{Sums, items_minor};
use super::restaurant::own_order;
use super::timer::TimerKey;
use super::{menu, order_answer, payment, stock, visible};

/// The restaurant proposes other lines, which may not cost more than before. A newer proposal takes the place of an open one.
pub(super) fn propose(
    draft: &mut Draft<'_>,
    id: OrderId,
    keep: &[(usize, u32)],
    add: &[WantedItem],
) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    let order = draft.order(id)?;
    if order.state != OrderState::Preparing {
        return Err(Rejection::WrongState.into());
    }
    let restaurant = draft.restaurant(restaurant_id)?.clone();
    let proposal = proposal(draft, order, &restaurant, keep, add)?;
    let (lines, expires_at) = (proposal.lines.clone(), proposal.expires_at);
    let refund_minor = order.price.total_minor - proposal.price.total_minor;
    draft.order_mut(id)?.change = Some(proposal);
    draft.set_timer(TimerKey::ChangeExpiry(id), expires_at);
    let event = Event::ChangeProposed {
        lines,
        refund_minor,
        expires_at,
    };
    draft.tell(id, event)?;
    order_answer(draft, 200, id)
}

fn proposal(
    draft: &Draft<'_>,
    order: &Order,
    restaurant: &Restaurant,
    keep: &[(usize, u32)],
    add: &[WantedItem],
) -> Result<Proposal, Refusal> {
    let too_much = |what: &str| Refusal::with(Rejection::OrderValue, what);
    let mut lines = order.lines.clone();
    for (at, quantity) in keep {
        let line = lines.get_mut(*at).ok_or_else(|| too_much("there is no such line"))?;
        if *quantity > line.quantity {
            return Err(too_much("a line can only become less; add a replacement beside it"));
        }
        line.quantity = *quantity;
    }
    lines.retain(|line| line.quantity > 0);
    let mut added = Vec::new();
    if !add.is_empty() {
        added = menu::lines(restaurant, add, draft.now)?;
        if let Some(short) = stock::first_short(draft, restaurant.id, &added) {
            return Err(Refusal::with(Rejection::SoldOut, short.name));
        }
        lines.extend(added.iter().cloned());
    }
    if lines.is_empty() {
        return Err(too_much("nothing would be left; cancel the order instead"));
    }
    let old = order.price;
    let items_minor = items_minor(&lines)?;
    // The way costs what it did, so free delivery stays free; other discounts shrink with what they were for.
    let of_delivery = order.promo.as_ref().is_some_and(|promo| promo.of_delivery);
    let shrunk_minor = share(old.discount_minor, items_minor, old.items_minor);
    let sums = Sums {
        items_minor,
        delivery_fee_minor: old.delivery_fee_minor,
        discount_minor: if of_delivery { old.discount_minor } else { shrunk_minor },
        tip_minor: old.tip_minor,
    };
    let price = sums.price(&order.rates, draft.policy)?;
    if price.total_minor > old.total_minor {
        return Err(too_much("a replacement may not cost more than what it replaces"));
    }
    Ok(Proposal {
        lines,
        added,
        price,
        expires_at: draft.now + draft.policy.change_ttl,
    })
}

/// `whole x part / of`, rounded up: in the customer's favour. All of it where `of` is nothing.
fn share(whole: i64, part: i64, of: i64) -> i64 {
    if of <= 0 || part >= of {
        return whole;
    }
    let up = i128::from(of) - 1;
    i64::try_from((i128::from(whole) * i128::from(part) + up) / i128::from(of)).unwrap_or(whole)
}

/// The customer agrees, or not.
pub(super) fn answer(draft: &mut Draft<'_>, id: OrderId, agreed: bool) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    if !matches!(draft.by, By::Customer(_) | By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let order = draft.order_mut(id)?;
    let proposal = order.change.take().ok_or(Rejection::ChangeGone)?;
    if draft.now >= proposal.expires_at || draft.order(id)?.state != OrderState::Preparing {
        return Err(Rejection::ChangeGone.into());
    }
    draft.clear_timer(TimerKey::ChangeExpiry(id));
    if agreed {
        apply(draft, id, proposal)?;
    } else {
        draft.tell(id, Event::ChangeEnded { declined: true })?;
    }
    order_answer(draft, 200, id)
}

fn apply(draft: &mut Draft<'_>, id: OrderId, proposal: Proposal) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let (restaurant_id, old) = (order.restaurant_id, order.price);
    // What was taken off has run out, whatever was counted; what is added comes off the shelf.
    stock::sell_more(draft, id, restaurant_id, &proposal.added)?;
    let order = draft.order_mut(id)?;
    order.lines.clone_from(&proposal.lines);
    order.price = proposal.price;
    let event = Event::OrderChanged {
        lines: proposal.lines,
        price: proposal.price,
    };
    draft.tell(id, event)?;
    let less_minor = old.total_minor - proposal.price.total_minor;
    if less_minor == 0 || draft.order(id)?.payment.method == PaymentMethod::Cash {
        // Cash is taken at the door, as much as it costs then.
        return Ok(());
    }
    payment::refund(draft, id, less_minor, RefundReason::Changed, None)
}

/// Nobody answered in time.
pub(super) fn expired(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    withdraw(draft, id)
}

/// Ends an open proposal: time ran out, or the order moved on.
pub(super) fn withdraw(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.change.is_none() {
        return Ok(());
    }
    draft.order_mut(id)?.change = None;
    draft.clear_timer(TimerKey::ChangeExpiry(id));
    draft.tell(id, Event::ChangeEnded { declined: false })
}
