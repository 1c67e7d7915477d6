//! The driver's side of an order from the assignment on: pickup, hand-over.

use tomato_shared::event::{CancelReason, Event, PaymentMethod};
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, Driver, Proof};
use super::timer::TimerKey;
use super::{books, change, offer, order, order_answer, payment, quote, shift, visible};

/// Wrong PINs after which only a photo or a signature counts.
const PIN_TRIES_MAX: u32 = 5;
/// The reason under which the customer is charged for a trip in vain.
const ABSENT: &str = "customer_absent";

/// No driver was found for too long: the order ends and the money goes back.
pub(super) fn search_ended(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    if order.state == OrderState::ReadyForPickup && !order.delivery.state.has_driver() {
        order::end(draft, id, CancelReason::NoDriver, 0)?;
    }
    Ok(())
}

/// Binds a driver to orders that are fetched together, after what the driver is bound to already. Where something is still to
/// be fetched they belong to that trip: nobody is asked for another one before that.
pub(super) fn assign_trip(draft: &mut Draft<'_>, ids: &[OrderId], driver_id: DriverId) -> Result<(), Refusal> {
    let joins = !ahead(draft, draft.driver(driver_id)?).is_empty();
    let row = draft.driver_mut(driver_id)?;
    row.trip += u32::from(!joins);
    let trip = row.trip;
    ids.iter().try_for_each(|id| bind(draft, *id, driver_id, trip))
}

/// What the driver is bound to and has not fetched.
pub(super) fn ahead(draft: &Draft<'_>, row: &Driver) -> Vec<OrderId> {
    let is_ahead = |id: &&OrderId| {
        draft.order(**id).is_ok_and(|order| {
            matches!(
                order.delivery.state,
                DeliveryState::Assigned | DeliveryState::AtRestaurant
            )
        })
    };
    row.delivering.iter().filter(is_ahead).copied().collect()
}

/// Binds a driver to an order, as the last of a trip.
pub(super) fn bind(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId, trip: u32) -> Result<(), Refusal> {
    let now = draft.now;
    draft.driver_mut(driver_id)?.delivering.push(id);
    let order = draft.order_mut(id)?;
    order.delivery.state = DeliveryState::Assigned;
    order.delivery.driver_id = Some(driver_id);
    order.delivery.trip = trip;
    order.delivery.assigned_at = Some(now);
    let delivery_id = order.delivery_id();
    draft.clear_timer(TimerKey::SearchEnds(id));
    let event = Event::DriverAssigned { delivery_id, driver_id };
    draft.tell(id, event)
}

/// An operator gives the delivery to a driver who is signed on and carries nothing, also before the food is ready.
pub(super) fn assign_by_hand(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId) -> Result<Answer, Refusal> {
    operator(draft)?;
    let order = draft.order(id)?;
    if !matches!(order.state, OrderState::Preparing | OrderState::ReadyForPickup) {
        return Err(Rejection::WrongState.into());
    }
    if order.delivery.driver_id == Some(driver_id) && order.delivery.state.has_driver() {
        return order_answer(draft, 200, id);
    }
    let row = draft.driver(driver_id)?;
    if !row.online {
        return Err(Rejection::DriverOffline.into());
    }
    if !row.delivering.is_empty() {
        return Err(Rejection::DriverBusy.into());
    }
    offer::withdraw(draft, id, false)?;
    if let Some(&other) = draft.driver(driver_id)?.offered.first() {
        offer::end(draft, other, false)?;
    }
    unbind(draft, id)?;
    assign_trip(draft, &[id], driver_id)?;
    order_answer(draft, 200, id)
}

/// An operator takes the delivery from its driver; the next is looked for once the food is ready.
pub(super) fn unassign_by_hand(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    operator(draft)?;
    if !matches!(
        draft.order(id)?.delivery.state,
        DeliveryState::Assigned | DeliveryState::AtRestaurant
    ) {
        return Err(Rejection::WrongState.into());
    }
    unbind(draft, id)?;
    search_on(draft, id)?;
    order_answer(draft, 200, id)
}

fn operator(draft: &Draft<'_>) -> Result<(), Refusal> {
    match draft.by {
        By::Operator(_) => Ok(()),
        By::Customer(_) | By::Restaurant(_) | By::Driver(_) | By::Provider | By::System => {
            Err(Rejection::Forbidden.into())
        }
    }
}

/// Takes an order that is not picked up from its driver, who is not to blame.
fn unbind(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let delivery = &draft.order(id)?.delivery;
    let Some(driver_id) = delivery.driver_id.filter(|_| delivery.state.has_driver()) else {
        return Ok(());
    };
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.state = DeliveryState::Searching;
    delivery.driver_id = None;
    delivery.assigned_at = None;
    delivery.arrived_at = None;
    delivery.note_declined(driver_id);
    draft.tell(id, Event::DriverUnassigned { driver_id })?;
    free(draft, id, driver_id)
}

/// Looks for a driver, if it is time for that and none is bound.
pub(super) fn search_on(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    if order.state == OrderState::ReadyForPickup && !order.delivery.state.has_driver() {
        draft.set_timer(TimerKey::SearchEnds(id), draft.now + draft.policy.dispatch.give_up);
        draft.dispatch_now();
    }
    Ok(())
}

/// The driver is at the restaurant. Saying so again changes nothing.
pub(super) fn arrive(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    match draft.order(id)?.delivery.state {
        DeliveryState::AtRestaurant => return order_answer(draft, 200, id),
        DeliveryState::Assigned => {}
        DeliveryState::Searching
        | DeliveryState::Offered
        | DeliveryState::PickedUp
        | DeliveryState::Completed
        | DeliveryState::Returning
        | DeliveryState::Returned
        | DeliveryState::Failed
        | DeliveryState::Cancelled => return Err(Rejection::WrongState.into()),
    }
    let now = draft.now;
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.state = DeliveryState::AtRestaurant;
    delivery.arrived_at = Some(now);
    draft.tell(id, Event::DriverArrived { driver_id })?;
    order_answer(draft, 200, id)
}

/// The driver takes the order along; arriving first is not required. Saying so again changes nothing.
pub(super) fn pick_up(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    if draft.order(id)?.delivery.state == DeliveryState::PickedUp {
        return order_answer(draft, 200, id);
    }
    draft.tell(id, Event::OrderPickedUp { driver_id })?;
    // Who leaves with the food has not taken what they were asked to fetch with it.
    if let Some(&asked) = draft.driver(driver_id)?.offered.first() {
        offer::end(draft, asked, false)?;
    }
    let now = draft.now;
    let order = draft.order(id)?;
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let estimated_delivery_at = now + quote::way(way_m, draft.policy);
    let overdue_at = estimated_delivery_at + draft.policy.overdue_after;
    let order = draft.order_mut(id)?;
    order.delivery.state = DeliveryState::PickedUp;
    order.delivery.picked_up_at = Some(now);
    order.estimated_delivery_at = estimated_delivery_at;
    draft.set_timer(TimerKey::Overdue(id), overdue_at);
    order_answer(draft, 200, id)
}

/// The driver hands the order over and shows that it was. Saying so again changes nothing.
pub(super) fn complete(draft: &mut Draft<'_>, id: OrderId, proof: &Proof) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    let order = draft.order(id)?;
    let again = matches!(draft.by, By::Driver(caller) if order.delivery.driver_id == Some(caller))
        && order.state == OrderState::Delivered;
    if again {
        return order_answer(draft, 200, id);
    }
    let driver_id = own_delivery(draft, id)?;
    let order = draft.order(id)?;
    if order.state != OrderState::OutForDelivery {
        return Err(Rejection::WrongState.into());
    }
    if let Proof::Pin { pin } = proof {
        if order.delivery.pin_tries >= PIN_TRIES_MAX {
            return Err(Rejection::ProofLocked.into());
        }
        if *pin != order.pin {
            return wrong_pin(draft, id);
        }
    }
    let delivery_id = order.delivery_id();
    let driver_fee_minor = books::driver_fee_minor(order, draft.policy);
    let cash_minor = payment::cash_taken(draft, id)?;
    let event = Event::OrderDelivered {
        delivery_id,
        driver_id,
        proof: proof.kind().to_owned(),
        cash_minor,
        driver_fee_minor,
    };
    draft.tell(id, event)?;
    if cash_minor > 0 {
        draft.driver_mut(driver_id)?.cash_minor += cash_minor;
        books::cash_taken(draft, id, driver_id, cash_minor)?;
    }
    books::delivered(draft, id, driver_id)?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.delivery.state = DeliveryState::Completed;
    order.delivery.proof = Some(proof.clone());
    order::clear_timers(draft, id);
    draft.set_timer(TimerKey::RatingRequest(id), now + draft.policy.rating_after);
    free(draft, id, driver_id)?;
    order_answer(draft, 200, id)
}

/// A wrong PIN is remembered, so that it cannot be guessed: the answer is a refusal that is written.
fn wrong_pin(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.pin_tries += 1;
    let tries = delivery.pin_tries;
    draft.tell(id, Event::ProofRefused { driver_id, tries })?;
    draft.keep_on_refusal();
    Err(Rejection::ProofWrong.into())
}

/// The driver could not hand the order over: it ends, what was paid goes back by the rules, and the food to the restaurant.
pub(super) fn fail(draft: &mut Draft<'_>, id: OrderId, reason: &str) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    let order = draft.order(id)?;
    let card = order.payment.method == PaymentMethod::Card;
    let absent = draft.policy.cancelling.absent.of(order.price.items_minor);
    let keep_minor = if card && reason == ABSENT {
        absent.min(order.price.total_minor)
    } else {
        0
    };
    let driver_fee_minor = books::driver_fee_minor(order, draft.policy);
    let event = Event::DeliveryFailed {
        driver_id,
        reason: reason.to_owned(),
        driver_fee_minor,
    };
    draft.tell(id, event)?;
    books::failed_trip(draft, id, driver_id)?;
    draft.order_mut(id)?.delivery.state = DeliveryState::Returning;
    order::end(draft, id, CancelReason::DeliveryFailed, keep_minor)?;
    let order = draft.order(id)?;
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let back_by = draft.now + quote::way(way_m, draft.policy);
    draft.set_timer(TimerKey::Overdue(id), back_by + draft.policy.overdue_after);
    order_answer(draft, 200, id)
}

/// The driver brought the food back to the restaurant.
pub(super) fn bring_back(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    let order = draft.order(id)?;
    let driver_id = order.delivery.driver_id.ok_or(Rejection::WrongState)?;
    let allowed = match draft.by {
        By::Driver(caller) => caller == driver_id,
        By::Restaurant(_) | By::Operator(_) => true,
        By::Customer(_) | By::Provider | By::System => false,
    };
    if !allowed {
        return Err(Rejection::Forbidden.into());
    }
    match order.delivery.state {
        DeliveryState::Returned => return order_answer(draft, 200, id),
        DeliveryState::Returning => {}
        DeliveryState::Searching
        | DeliveryState::Offered
        | DeliveryState::Assigned
        | DeliveryState::AtRestaurant
        | DeliveryState::PickedUp
        | DeliveryState::Completed
        | DeliveryState::Failed
        | DeliveryState::Cancelled => return Err(Rejection::WrongState.into()),
    }
    draft.order_mut(id)?.delivery.state = DeliveryState::Returned;
    draft.clear_timer(TimerKey::Overdue(id));
    draft.tell(id, Event::DeliveryReturned { driver_id })?;
    free(draft, id, driver_id)?;
    order_answer(draft, 200, id)
}

/// The driver gives the delivery back before pickup and is not asked for this order again; after too many, it ends. Other
/// orders of the trip stay.
pub(super) fn give_back(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    let order = draft.order_mut(id)?;
    if matches!(order.delivery.state, DeliveryState::PickedUp | DeliveryState::Returning) {
        return Err(Rejection::TooLate.into());
    }
    order.delivery.state = DeliveryState::Searching;
    order.delivery.driver_id = None;
    order.delivery.assigned_at = None;
    order.delivery.arrived_at = None;
    if !order.delivery.excluded.contains(&driver_id) {
        order.delivery.excluded.push(driver_id);
    }
    order.delivery.cancellations += 1;
    let attempts = order.delivery.cancellations;
    draft.tell(id, Event::DriverCancelled { driver_id, attempts })?;
    free(draft, id, driver_id)?;
    if attempts >= draft.policy.dispatch.cancellations_max {
        order::end(draft, id, CancelReason::NoDriver, 0)?;
    } else {
        search_on(draft, id)?;
    }
    order_answer(draft, 200, id)
}

/// Lets go of whoever is bound to an order that ends, and of its open offer and proposal. Who has the food keeps it until it
/// is back.
pub(super) fn release(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    change::withdraw(draft, id)?;
    offer::withdraw(draft, id, false)?;
    let delivery = &mut draft.order_mut(id)?.delivery;
    if delivery.state == DeliveryState::Returning {
        return Ok(());
    }
    let bound = delivery.driver_id.filter(|_| delivery.state.has_driver());
    delivery.state = DeliveryState::Cancelled;
    bound.map_or(Ok(()), |driver_id| free(draft, id, driver_id))
}

/// Lets a driver go of one order; whoever is bound to no other is signed off if the shift is over.
fn free(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId) -> Result<(), Refusal> {
    draft.driver_mut(driver_id)?.delivering.retain(|other| *other != id);
    shift::end_if_over(draft, driver_id)?;
    if draft.city.waiting_len() > 0 {
        draft.dispatch_now();
    }
    Ok(())
}

/// Only the driver who is bound to the order.
fn own_delivery(draft: &Draft<'_>, id: OrderId) -> Result<DriverId, Refusal> {
    visible(draft, id)?;
    let By::Driver(caller) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    let delivery = &draft.order(id)?.delivery;
    if delivery.driver_id != Some(caller) {
        return Err(Rejection::NotFound.into());
    }
    if delivery.state.has_driver() {
        Ok(caller)
    } else {
        Err(Rejection::WrongState.into())
    }
}
