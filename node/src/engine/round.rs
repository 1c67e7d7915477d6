//! Policy `matching`: carries out what was planned on a snapshot, as far as it still holds.
//!
//! Each intent is compared with the rows as they are now. One that lost a race changes nothing, and the next round plans
//! anew. Drivers who exchange orders before pickup do so together or not at all.

use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};

use super::command::{Answer, Intent, Refusal, Round};
use super::dispatch::has_room_for_cash;
use super::draft::Draft;
use super::driver::{self, ahead};
use super::model::{Driver, ORDERS_MAX};
use super::offer;
use super::view::Reply;

/// One round: new trips are offered, pickups under way changed.
pub(super) fn carry_out(draft: &mut Draft<'_>, round: &Round) -> Result<Answer, Refusal> {
    let mut valid: Vec<&Intent> = Vec::new();
    for intent in round.intents.iter().filter(|intent| holds(draft, intent)) {
        let taken = |id| {
            valid
                .iter()
                .any(|other| other.driver_id == intent.driver_id || other.order_ids.contains(id))
        };
        if !intent.order_ids.iter().any(taken) {
            valid.push(intent);
        }
    }
    // One that falls away may take others with it: what it was to give up stays where it is.
    loop {
        let before = valid.clone();
        valid.retain(|intent| intent.order_ids.iter().all(|id| can_have(draft, &before, intent, *id)));
        if valid.len() == before.len() {
            break;
        }
    }
    let mut released = Vec::new();
    for intent in valid.iter().filter(|intent| intent.changed) {
        release(draft, intent, &mut released)?;
    }
    for intent in &valid {
        if intent.changed {
            change(draft, intent, &released)?;
        } else {
            offer::make(draft, &intent.order_ids, intent.driver_id, intent.distance_m)?;
        }
    }
    for (_, id) in released {
        driver::search_on(draft, id)?;
    }
    for id in &round.left {
        forgive(draft, *id)?;
    }
    Ok(Answer {
        status: 200,
        reply: Reply::Round {
            done: valid.len(),
            lost: round.intents.len() - valid.len(),
        },
    })
}

/// Whether the driver is still as the plan saw them.
fn holds(draft: &Draft<'_>, intent: &Intent) -> bool {
    let Ok(row) = draft.driver(intent.driver_id) else {
        return false;
    };
    let ids = &intent.order_ids;
    let fits = !ids.is_empty() && (1..ids.len()).all(|at| !ids[..at].contains(&ids[at]));
    let ahead = ahead(draft, row);
    let carried = row.delivering.len() - ahead.len();
    let expected = if intent.changed {
        !ahead.is_empty() && !is_begun(draft, row, &ahead)
    } else {
        ahead.is_empty() && !row.shift_is_over(draft.now)
    };
    fits && expected
        && row.online
        && row.borrowed().is_none()
        && row.version == intent.driver_version
        && row.offered.is_empty()
        && carried + ids.len() <= ORDERS_MAX
}

/// Whether some of the trip to which `ahead` belongs is in the bag already: then the rest of it stays as it is.
fn is_begun(draft: &Draft<'_>, row: &Driver, ahead: &[OrderId]) -> bool {
    let trip = |id: &OrderId| draft.order(*id).map(|order| order.delivery.trip).ok();
    let current = ahead.first().and_then(trip);
    let mut others = row.delivering.iter().filter(|id| !ahead.contains(id));
    others.any(|id| trip(id) == current)
}

/// Whether the order can go to the intent's driver, given which other intents hold.
fn can_have(draft: &Draft<'_>, valid: &[&Intent], intent: &Intent, id: OrderId) -> bool {
    let Ok(order) = draft.order(id) else { return false };
    let (delivery, who) = (&order.delivery, intent.driver_id);
    if !matches!(order.state, OrderState::Preparing | OrderState::ReadyForPickup) {
        return false;
    }
    let given_up = |owner: DriverId| {
        let gives = |other: &&Intent| other.driver_id == owner && other.changed && !other.order_ids.contains(&id);
        valid.iter().any(gives)
    };
    let free = match delivery.state {
        DeliveryState::Searching => true,
        DeliveryState::Assigned | DeliveryState::AtRestaurant => match delivery.driver_id {
            Some(owner) if owner == who => return intent.changed,
            Some(owner) => given_up(owner),
            None => false,
        },
        DeliveryState::Offered
        | DeliveryState::PickedUp
        | DeliveryState::Completed
        | DeliveryState::Returning
        | DeliveryState::Returned
        | DeliveryState::Failed
        | DeliveryState::Cancelled => false,
    };
    let willing = !delivery.excluded.contains(&who) && !delivery.declined.contains(&who);
    free && willing && has_room_for_cash(draft, id, who)
}

/// Takes from the driver what is not to be fetched any more; nobody is to blame.
fn release(draft: &mut Draft<'_>, intent: &Intent, released: &mut Vec<(DriverId, OrderId)>) -> Result<(), Refusal> {
    let driver_id = intent.driver_id;
    for id in ahead(draft, draft.driver(driver_id)?) {
        if intent.order_ids.contains(&id) {
            continue;
        }
        let delivery = &mut draft.order_mut(id)?.delivery;
        delivery.state = DeliveryState::Searching;
        delivery.driver_id = None;
        delivery.assigned_at = None;
        delivery.arrived_at = None;
        draft.driver_mut(driver_id)?.delivering.retain(|other| *other != id);
        draft.tell(id, Event::DriverUnassigned { driver_id })?;
        released.push((driver_id, id));
    }
    Ok(())
}

/// Gives the driver what is to be fetched now. One order for another goes without asking, as the driver agreed to this
/// pickup; what makes it more than it was is offered.
fn change(draft: &mut Draft<'_>, intent: &Intent, released: &[(DriverId, OrderId)]) -> Result<(), Refusal> {
    let driver_id = intent.driver_id;
    let row = draft.driver(driver_id)?;
    let bound = row.delivering.clone();
    let mut more: Vec<OrderId> = intent
        .order_ids
        .iter()
        .copied()
        .filter(|id| !bound.contains(id))
        .collect();
    // What is still to be fetched always is of the newest trip.
    let trip = row.trip;
    let lost = released.iter().filter(|(who, _)| *who == driver_id).count();
    let asks = draft.policy.dispatch.offer_ttl.0 > 0;
    let in_exchange = if asks { lost.min(more.len()) } else { more.len() };
    for id in more.drain(..in_exchange) {
        driver::bind(draft, id, driver_id, trip)?;
    }
    let delivering = &mut draft.driver_mut(driver_id)?.delivering;
    // What is in the bag comes first, in its order; the sort is stable.
    delivering.sort_by_key(|id| {
        intent
            .order_ids
            .iter()
            .position(|other| other == id)
            .map_or(0, |at| at + 1)
    });
    if more.is_empty() {
        return Ok(());
    }
    offer::make(draft, &more, driver_id, intent.distance_m)
}

/// An order that the plan leaves without a driver: who declined it may be asked again.
fn forgive(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let waits = |order: &super::model::Order| {
        order.delivery.state == DeliveryState::Searching && !order.delivery.declined.is_empty()
    };
    if draft.order(id).is_ok_and(waits) {
        draft.order_mut(id)?.delivery.declined.clear();
    }
    Ok(())
}
