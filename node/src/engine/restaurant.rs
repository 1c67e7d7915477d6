//! The restaurant's side: asked, accepts or not, cooks; and the menus.

use std::collections::BTreeMap;
use std::sync::Arc;

use tomato_shared::cell::EVENT_RESOLUTION;
use tomato_shared::event::{CancelReason, DeclineReason, Event};
use tomato_shared::id::{ItemId, OrderId, RestaurantId};
use tomato_shared::order::OrderState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::command::{Answer, PutRestaurant, Refusal};
use super::draft::Draft;
use super::model::{By, ReservationState, Restaurant, Stock};
use super::timer::TimerKey;
use super::view::{self, Reply};
use super::{order, order_answer, payment, quote, stock, visible};

/// Asks a restaurant to cook a paid order, until a deadline.
pub(super) fn ask(draft: &mut Draft<'_>, id: OrderId, restaurant: &Restaurant) -> Result<(), Refusal> {
    let accept_by = draft.now + draft.policy.accept_within;
    let order = draft.order_mut(id)?;
    order.restaurant_id = restaurant.id;
    order.restaurant_name.clone_from(&restaurant.name);
    order.restaurant_place = restaurant.place;
    order.accept_by = Some(accept_by);
    draft.set_timer(TimerKey::AcceptBy(id), accept_by);
    let restaurant_name = restaurant.name.clone();
    draft.tell(
        id,
        Event::RestaurantAssigned {
            restaurant_id: restaurant.id,
            restaurant_name,
            accept_by,
        },
    )
}

/// Longest time that a restaurant may give itself.
const READY_IN_MAX: DurationMs = DurationMs::from_mins(24 * 60);

/// The restaurant takes the order on and says when it will be ready.
pub(super) fn accept(draft: &mut Draft<'_>, id: OrderId, ready_in: DurationMs) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    let ready_at = draft.now + ready_in.clamp(DurationMs(0), READY_IN_MAX);
    draft.tell(
        id,
        Event::OrderPreparing {
            restaurant_id,
            ready_at,
        },
    )?;
    let order = draft.order(id)?;
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let estimated = ready_at + quote::travel(way_m, draft.policy) + DurationMs::from_mins(4);
    let order = draft.order_mut(id)?;
    order.ready_at = Some(ready_at);
    order.accept_by = None;
    order.estimated_delivery_at = estimated;
    draft.clear_timer(TimerKey::AcceptBy(id));
    payment::take(draft, id)?;
    order_answer(draft, 200, id)
}

/// The restaurant does not take the order on; the next nearest is asked.
pub(super) fn reject(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    own_order(draft, id)?;
    if draft.order(id)?.state != OrderState::Confirmed {
        return Err(Rejection::WrongState.into());
    }
    pass_on(draft, id, DeclineReason::Rejected)?;
    order_answer(draft, 200, id)
}

/// The restaurant did not answer in time.
pub(super) fn unanswered(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.state == OrderState::Confirmed {
        pass_on(draft, id, DeclineReason::TimedOut)?;
    }
    Ok(())
}

/// Hands a paid order to the next nearest restaurant that has everything, and the held stock with it; where there is
/// none, the order ends and the money goes back.
fn pass_on(draft: &mut Draft<'_>, id: OrderId, reason: DeclineReason) -> Result<(), Refusal> {
    let restaurant_id = draft.order(id)?.restaurant_id;
    draft.order_mut(id)?.declined_by.push((restaurant_id, reason));
    draft.tell(
        id,
        Event::RestaurantDeclined {
            restaurant_id,
            reason,
            why: None,
        },
    )?;
    draft.clear_timer(TimerKey::AcceptBy(id));
    let order = draft.order(id)?;
    let asked = order.declined_by.len();
    let Some(next) = next_restaurant(draft, id)? else {
        draft.tell(
            id,
            Event::RestaurantAssignmentFailed {
                asked: u32::try_from(asked).unwrap_or(u32::MAX),
            },
        )?;
        return order::end(draft, id, CancelReason::NoRestaurant);
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
    let items: Vec<_> = order.lines.iter().map(|line| (line.item_id, line.quantity)).collect();
    let fits = |row: &&Restaurant| {
        order.declined_by.iter().all(|(declined, _)| *declined != row.id)
            && quote::within_reach(row, place, draft.policy)
            && quote::lines(row, &items).is_ok()
            && stock::has_all(draft, row.id, &order.lines)
    };
    Ok(quote::nearest(draft.city.catalogue(), place).find(fits).cloned())
}

/// The restaurant has cooked; a driver is looked for.
pub(super) fn mark_ready(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let restaurant_id = own_order(draft, id)?;
    draft.tell(id, Event::OrderReady { restaurant_id })?;
    let now = draft.now;
    draft.order_mut(id)?.ready_at = Some(now);
    draft.set_timer(TimerKey::SearchEnds(id), now + draft.policy.dispatch.give_up);
    draft.dispatch_now();
    order_answer(draft, 200, id)
}

/// Only the order's restaurant, or an operator in its place.
fn own_order(draft: &Draft<'_>, id: OrderId) -> Result<RestaurantId, Refusal> {
    visible(draft, id)?;
    match draft.by {
        By::Restaurant(_) | By::Operator(_) => Ok(draft.order(id)?.restaurant_id),
        By::Customer(_) | By::Driver(_) | By::Provider | By::System => Err(Rejection::Forbidden.into()),
    }
}

/// Writes a restaurant and its menu as a whole.
pub(super) fn put(draft: &mut Draft<'_>, wanted: &PutRestaurant) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    if !draft.policy.cells.contains(&wanted.restaurant.place) {
        return Err(Rejection::OutOfArea.into());
    }
    let id = wanted.restaurant.id;
    let current = draft.restaurant(id).map(|row| row.version).unwrap_or(0);
    if wanted.expected_version.is_some_and(|expected| expected != current) {
        return Err(Rejection::VersionConflict.into());
    }
    let capacities: BTreeMap<ItemId, u32> = wanted.capacities.iter().copied().collect();
    for (item_id, capacity) in &capacities {
        let old = draft.stock(id, *item_id).unwrap_or(Stock {
            capacity: 0,
            reserved: 0,
            sold: 0,
        });
        // What is promised or sold already cannot be taken back by an edit.
        let capacity = (*capacity).max(old.reserved.saturating_add(old.sold));
        draft.changes.stock.insert((id, *item_id), Stock { capacity, ..old });
    }
    let mut row = wanted.restaurant.clone();
    row.version = current + 1;
    for item in &mut row.menu {
        item.counted = capacities.contains_key(&item.id);
    }
    write(draft, row)
}

/// Opens or closes a restaurant.
pub(super) fn set_open(draft: &mut Draft<'_>, id: RestaurantId, open: bool) -> Result<Answer, Refusal> {
    match draft.by {
        By::Restaurant(own) if own == id => {}
        By::Operator(_) => {}
        By::Restaurant(_) => return Err(Rejection::NotFound.into()),
        By::Customer(_) | By::Driver(_) | By::Provider | By::System => return Err(Rejection::Forbidden.into()),
    }
    let mut row = Restaurant::clone(draft.restaurant(id)?);
    row.version += 1;
    row.open = open;
    write(draft, row)
}

fn write(draft: &mut Draft<'_>, row: Restaurant) -> Result<Answer, Refusal> {
    draft.tell_region(Event::RestaurantUpdated {
        restaurant_id: row.id,
        name: row.name.clone(),
        cell: row.place.cell(EVENT_RESOLUTION),
        open: row.open,
    });
    let reply = view::restaurant(&row, |item| draft.stock(row.id, item));
    draft.changes.restaurants.insert(row.id, Arc::new(row));
    Ok(Answer {
        status: 200,
        reply: Reply::Restaurant(Box::new(reply)),
    })
}
