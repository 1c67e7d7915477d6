//! The restaurant's side of an order: asked, accepts or not, cooks.

use tomato_shared::event::{CancelReason, DeclineReason, Event, RejectWhy, Stage};
use tomato_shared::id::{ItemId, OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::{DurationMs, UnixMs};

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, ReservationState, Restaurant};
use super::timer::TimerKey;
use super::{catalogue, change, menu, order, order_answer, payment, quote, stock, visible};

/// Asks a restaurant to cook a paid order, until a deadline.
pub(super) fn ask(draft: &mut Draft<'_>, id: OrderId, restaurant: &Restaurant) -> Result<(), Refusal> {
    let (now, policy) = (draft.now, draft.policy);
    let accept_by = now + policy.accept_within;
    let order = draft.order_mut(id)?;
    order.restaurant_id = restaurant.id;
    order.restaurant_name.clone_from(&restaurant.name);
    order.restaurant_place = restaurant.place;
    order.accept_by = Some(accept_by);
    order.release_at = None;
    draft.set_timer(TimerKey::AcceptBy(id), accept_by);
    if policy.escalate_after.0 < policy.accept_within.0 {
        draft.set_timer(TimerKey::Escalate(id), now + policy.escalate_after);
    }
    let event = Event::RestaurantAssigned {
        restaurant_id: restaurant.id,
        restaurant_name: restaurant.name.clone(),
        accept_by,
    };
    draft.tell(id, event)
}

/// Time to ask for a scheduled order. A restaurant that does not take orders just now is passed over.
pub(super) fn release(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    if order.state != OrderState::Confirmed || order.release_at.is_none() {
        return Ok(());
    }
    let restaurant = draft.restaurant(order.restaurant_id)?.clone();
    if quote::is_open(&restaurant, draft.now, draft.policy) {
        return ask(draft, id, &restaurant);
    }
    draft.order_mut(id)?.release_at = None;
    pass_on(draft, id, DeclineReason::Rejected, Some(RejectWhy::Closing))
}

/// The restaurant has not answered for a while: it is called again, and operators with it.
pub(super) fn escalate(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    match order.accept_by {
        Some(due_at) if order.state == OrderState::Confirmed => {
            let stage = Stage::Acceptance;
            draft.tell(id, Event::OrderOverdue { stage, due_at })
        }
        Some(_) | None => Ok(()),
    }
}

/// Longest time that a restaurant may give itself.
const READY_IN_MAX: DurationMs = DurationMs::from_mins(24 * 60);

/// The restaurant takes the order on and says when it will be ready. Saying so again changes nothing.
pub(super) fn accept(draft: &mut Draft<'_>, id: OrderId, ready_in: DurationMs) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    let order = draft.order(id)?;
    if order.state == OrderState::Preparing {
        return order_answer(draft, 200, id);
    }
    if order.release_at.is_some() {
        return Err(Rejection::WrongState.into());
    }
    let ready_at = draft.now + ready_in.clamp(DurationMs(0), READY_IN_MAX);
    let event = Event::OrderPreparing {
        restaurant_id,
        ready_at,
    };
    draft.tell(id, event)?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.accepted_at = Some(now);
    order.accept_by = None;
    draft.clear_timer(TimerKey::AcceptBy(id));
    draft.clear_timer(TimerKey::Escalate(id));
    promise(draft, id, ready_at)?;
    payment::take(draft, id)?;
    order_answer(draft, 200, id)
}

/// Sets when the order will be ready and what follows from it.
fn promise(draft: &mut Draft<'_>, id: OrderId, ready_at: UnixMs) -> Result<(), Refusal> {
    let overdue_at = ready_at + draft.policy.overdue_after;
    let order = draft.order(id)?;
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let estimated_delivery_at = ready_at + quote::way(way_m, draft.policy);
    let order = draft.order_mut(id)?;
    order.ready_at = Some(ready_at);
    order.promised_at = Some(ready_at);
    order.estimated_delivery_at = estimated_delivery_at;
    draft.set_timer(TimerKey::Overdue(id), overdue_at);
    Ok(())
}

/// The restaurant will be ready at another time than it said.
pub(super) fn delay(draft: &mut Draft<'_>, id: OrderId, ready_in: DurationMs) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    if draft.order(id)?.state != OrderState::Preparing {
        return Err(Rejection::WrongState.into());
    }
    let ready_at = draft.now + ready_in.clamp(DurationMs(0), READY_IN_MAX);
    promise(draft, id, ready_at)?;
    let event = Event::OrderDelayed {
        restaurant_id,
        ready_at,
    };
    draft.tell(id, event)?;
    order_answer(draft, 200, id)
}

/// The restaurant does not take the order on; the next nearest is asked. What it says has run out is off its menu.
pub(super) fn reject(draft: &mut Draft<'_>, id: OrderId, why: RejectWhy, off: &[ItemId]) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    let order = draft.order(id)?;
    if order.state != OrderState::Confirmed || order.release_at.is_some() {
        return Err(Rejection::WrongState.into());
    }
    if !off.is_empty() {
        catalogue::take_off(draft, restaurant_id, off)?;
    }
    pass_on(draft, id, DeclineReason::Rejected, Some(why))?;
    order_answer(draft, 200, id)
}

/// The restaurant did not answer in time.
pub(super) fn unanswered(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.state == OrderState::Confirmed {
        pass_on(draft, id, DeclineReason::TimedOut, None)?;
    }
    Ok(())
}

/// Hands a paid order to the next nearest restaurant that has everything, and the held stock with it; where there is
/// none, the order ends and the money goes back.
fn pass_on(draft: &mut Draft<'_>, id: OrderId, reason: DeclineReason, why: Option<RejectWhy>) -> Result<(), Refusal> {
    let restaurant_id = draft.order(id)?.restaurant_id;
    draft.order_mut(id)?.declined_by.push((restaurant_id, reason));
    let event = Event::RestaurantDeclined {
        restaurant_id,
        reason,
        why,
    };
    draft.tell(id, event)?;
    draft.clear_timer(TimerKey::AcceptBy(id));
    draft.clear_timer(TimerKey::Escalate(id));
    let asked = u32::try_from(draft.order(id)?.declined_by.len()).unwrap_or(u32::MAX);
    let Some(next) = next_restaurant(draft, id)? else {
        draft.tell(id, Event::RestaurantAssignmentFailed { asked })?;
        return order::end(draft, id, CancelReason::NoRestaurant, 0);
    };
    stock::give_back(draft, id, ReservationState::Released)?;
    let lines = draft.order(id)?.lines.clone();
    let expires_at = draft.now + draft.policy.hold;
    let items = stock::hold(draft, id, next.id, &lines, expires_at)?;
    if !items.is_empty() {
        draft.tell(id, Event::InventoryReserved { items, expires_at })?;
    }
    stock::consume(draft, id);
    ask(draft, id, &next)
}

fn next_restaurant(draft: &Draft<'_>, id: OrderId) -> Result<Option<Restaurant>, Refusal> {
    let order = draft.order(id)?;
    if order.declined_by.len() >= draft.policy.restaurants_asked_max {
        return Ok(None);
    }
    let place = order.deliver_to.place;
    let items: Vec<_> = order.lines.iter().map(menu::wanted).collect();
    let fits = |row: &&Restaurant| {
        order.declined_by.iter().all(|(declined, _)| *declined != row.id)
            && quote::within_reach(row, place, draft.policy)
            && quote::is_open(row, draft.now, draft.policy)
            && menu::lines(row, &items, draft.now).is_ok()
            && stock::has_all(draft, row.id, &order.lines)
    };
    Ok(quote::nearest(draft.city.catalogue(), place).find(fits).cloned())
}

/// The restaurant has cooked; a driver is looked for, unless one is bound already. Saying so again changes nothing.
pub(super) fn mark_ready(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    if draft.order(id)?.state == OrderState::ReadyForPickup {
        return order_answer(draft, 200, id);
    }
    change::withdraw(draft, id)?;
    draft.tell(id, Event::OrderReady { restaurant_id })?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ready_at = Some(now);
    let searching = !order.delivery.state.has_driver();
    draft.set_timer(TimerKey::Overdue(id), now + draft.policy.overdue_after);
    if searching {
        draft.set_timer(TimerKey::SearchEnds(id), now + draft.policy.dispatch.give_up);
        draft.dispatch_now();
    }
    order_answer(draft, 200, id)
}

/// Somebody should look: what was promised has not happened.
pub(super) fn overdue(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let (stage, due_at) = match order.state {
        OrderState::Preparing => (Stage::Preparation, order.ready_at),
        OrderState::ReadyForPickup => (Stage::Pickup, order.ready_at),
        OrderState::OutForDelivery => (Stage::Delivery, Some(order.estimated_delivery_at)),
        OrderState::Cancelled if order.delivery.state == DeliveryState::Returning => (Stage::Return, None),
        OrderState::Pending
        | OrderState::Confirmed
        | OrderState::PaymentFailed
        | OrderState::Delivered
        | OrderState::Cancelled => return Ok(()),
    };
    let due_at = due_at.unwrap_or(draft.now);
    draft.tell(id, Event::OrderOverdue { stage, due_at })
}

/// Only the order's restaurant, or an operator in its place.
pub(super) fn own_order(draft: &Draft<'_>, id: OrderId) -> Result<RestaurantId, Refusal> {
    visible(draft, id)?;
    match draft.by {
        By::Restaurant(_) | By::Operator(_) => Ok(draft.order(id)?.restaurant_id),
        By::Customer(_) | By::Driver(_) | By::Provider | By::System => Err(Rejection::Forbidden.into()),
    }
}
