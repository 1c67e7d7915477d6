//! The driver's side: signing on, offers, pickup, hand-over.

use tomato_shared::event::{CancelReason, Event};
use tomato_shared::id::{DriverId, OfferId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, Driver, Proof};
use super::timer::TimerKey;
use super::view::{self, Reply};
use super::{order, order_answer, payment, visible};

/// Writes a driver's name and telephone.
pub(super) fn put(draft: &mut Draft<'_>, id: DriverId, name: &str, phone: &str) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    if draft.driver(id).is_err() {
        let fresh = Driver {
            id,
            version: 0,
            name: String::new(),
            phone: String::new(),
            online: false,
            offered: None,
            delivering: None,
        };
        draft.changes.drivers.insert(id, Driver { version: 1, ..fresh });
    }
    let row = draft.driver_mut(id)?;
    name.clone_into(&mut row.name);
    phone.clone_into(&mut row.phone);
    driver_answer(draft, id)
}

/// Signs a driver on or off. Who carries an order cannot sign off; an open offer ends.
pub(super) fn set_online(draft: &mut Draft<'_>, id: DriverId, online: bool) -> Result<Answer, Refusal> {
    match draft.by {
        By::Driver(own) if own == id => {}
        By::Operator(_) => {}
        By::Driver(_) | By::Customer(_) | By::Restaurant(_) | By::Provider | By::System => {
            return Err(Rejection::Forbidden.into());
        }
    }
    let row = draft.driver(id)?;
    if row.online == online {
        return driver_answer(draft, id);
    }
    if !online && row.delivering.is_some() {
        return Err(Rejection::DriverBusy.into());
    }
    if let Some(order_id) = row.offered.filter(|_| !online) {
        end_offer(draft, order_id, true)?;
    }
    draft.driver_mut(id)?.online = online;
    draft.tell_region(Event::DriverStatusChanged { driver_id: id, online });
    // Whoever comes online is matched against what waits.
    if online && draft.city.waiting_len() > 0 {
        draft.dispatch_now();
    }
    driver_answer(draft, id)
}

/// The driver takes the offer: exactly one wins, and only while it is open.
pub(super) fn accept_offer(draft: &mut Draft<'_>, offer_id: OfferId) -> Result<Answer, Refusal> {
    let (driver_id, id) = own_offer(draft, offer_id)?;
    draft.order_mut(id)?.delivery.offer = None;
    draft.clear_timer(TimerKey::OfferExpiry(id));
    draft.driver_mut(driver_id)?.offered = None;
    assign(draft, id, driver_id)?;
    order_answer(draft, 200, id)
}

/// The driver refuses; the next is looked for at once.
pub(super) fn decline_offer(draft: &mut Draft<'_>, offer_id: OfferId) -> Result<Answer, Refusal> {
    let (_, id) = own_offer(draft, offer_id)?;
    end_offer(draft, id, true)?;
    order_answer(draft, 200, id)
}

/// The driver did not answer in time.
pub(super) fn offer_expired(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.delivery.offer.is_some() {
        end_offer(draft, id, false)
    } else {
        Ok(())
    }
}

/// No driver was found for too long: the order ends and the money goes back.
pub(super) fn search_ended(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    if order.state == OrderState::ReadyForPickup && !order.delivery.state.has_driver() {
        order::end(draft, id, CancelReason::NoDriver)?;
    }
    Ok(())
}

/// The driver and the order of an open offer to the caller.
fn own_offer(draft: &Draft<'_>, offer_id: OfferId) -> Result<(DriverId, OrderId), Refusal> {
    let By::Driver(caller) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    // Unknown, ended and somebody else's offers all look the same from outside.
    let id = draft.city.order_of_offer(offer_id).ok_or(Rejection::OfferGone)?;
    let open = draft
        .order(id)?
        .delivery
        .offer
        .filter(|open| open.id == offer_id && open.driver_id == caller);
    let open = open.ok_or(Rejection::OfferGone)?;
    if draft.now >= open.expires_at {
        return Err(Rejection::OfferGone.into());
    }
    Ok((caller, id))
}

/// Ends an open offer without an assignment; the order searches on.
fn end_offer(draft: &mut Draft<'_>, id: OrderId, declined: bool) -> Result<(), Refusal> {
    let Some(open) = draft.order_mut(id)?.delivery.offer.take() else {
        return Ok(());
    };
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.state = DeliveryState::Searching;
    delivery.declined.push(open.driver_id);
    draft.driver_mut(open.driver_id)?.offered = None;
    draft.clear_timer(TimerKey::OfferExpiry(id));
    draft.dispatch_now();
    draft.tell(
        id,
        Event::DriverOfferEnded {
            offer_id: open.id,
            driver_id: open.driver_id,
            declined,
        },
    )
}

/// Binds a driver to an order.
pub(super) fn assign(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId) -> Result<(), Refusal> {
    let now = draft.now;
    draft.driver_mut(driver_id)?.delivering = Some(id);
    let order = draft.order_mut(id)?;
    order.delivery.state = DeliveryState::Assigned;
    order.delivery.driver_id = Some(driver_id);
    order.delivery.assigned_at = Some(now);
    let delivery_id = order.delivery_id();
    draft.clear_timer(TimerKey::SearchEnds(id));
    draft.tell(id, Event::DriverAssigned { delivery_id, driver_id })
}

/// The driver is at the restaurant.
pub(super) fn arrive(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    if draft.order(id)?.delivery.state != DeliveryState::Assigned {
        return Err(Rejection::WrongState.into());
    }
    draft.order_mut(id)?.delivery.state = DeliveryState::AtRestaurant;
    draft.tell(id, Event::DriverArrived { driver_id })?;
    order_answer(draft, 200, id)
}

/// The driver takes the order along; arriving first is not required.
pub(super) fn pick_up(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    draft.tell(id, Event::OrderPickedUp { driver_id })?;
    let now = draft.now;
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.state = DeliveryState::PickedUp;
    delivery.picked_up_at = Some(now);
    order_answer(draft, 200, id)
}

/// The driver hands the order over and shows that it was.
pub(super) fn complete(draft: &mut Draft<'_>, id: OrderId, proof: &Proof) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    let order = draft.order(id)?;
    if order.state != OrderState::OutForDelivery {
        return Err(Rejection::WrongState.into());
    }
    if matches!(proof, Proof::Pin { pin } if *pin != order.pin) {
        return Err(Rejection::ProofWrong.into());
    }
    let delivery_id = order.delivery_id();
    let cash_minor = payment::cash_taken(draft, id)?;
    let proof_kind = proof.kind().to_owned();
    draft.tell(
        id,
        Event::OrderDelivered {
            delivery_id,
            driver_id,
            proof: proof_kind,
            cash_minor,
            driver_fee_minor: 0,
        },
    )?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.delivery.state = DeliveryState::Completed;
    order.delivery.proof = Some(proof.clone());
    draft.set_timer(TimerKey::RatingRequest(id), now + draft.policy.rating_after);
    free(draft, driver_id)?;
    order_answer(draft, 200, id)
}

/// The driver could not hand the order over: it ends, and what was paid goes back.
pub(super) fn fail(draft: &mut Draft<'_>, id: OrderId, reason: &str) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    draft.tell(
        id,
        Event::DeliveryFailed {
            driver_id,
            reason: reason.to_owned(),
            driver_fee_minor: 0,
        },
    )?;
    draft.order_mut(id)?.delivery.state = DeliveryState::Failed;
    free(draft, driver_id)?;
    order::end(draft, id, CancelReason::DeliveryFailed)?;
    order_answer(draft, 200, id)
}

/// The driver gives the delivery back before pickup and is not asked for this order again; after too many, it ends.
pub(super) fn give_back(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    let driver_id = own_delivery(draft, id)?;
    let order = draft.order_mut(id)?;
    if order.delivery.state == DeliveryState::PickedUp {
        return Err(Rejection::TooLate.into());
    }
    order.delivery.state = DeliveryState::Searching;
    order.delivery.driver_id = None;
    order.delivery.assigned_at = None;
    order.delivery.excluded.push(driver_id);
    order.delivery.cancellations += 1;
    let attempts = order.delivery.cancellations;
    draft.tell(id, Event::DriverCancelled { driver_id, attempts })?;
    free(draft, driver_id)?;
    if attempts >= draft.policy.dispatch.cancellations_max {
        order::end(draft, id, CancelReason::NoDriver)?;
    } else {
        draft.set_timer(TimerKey::SearchEnds(id), draft.now + draft.policy.dispatch.give_up);
        draft.dispatch_now();
    }
    order_answer(draft, 200, id)
}

/// Lets go of whoever is bound to an order that ends, and of its open offer.
pub(super) fn release(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.delivery.offer.is_some() {
        end_offer(draft, id, false)?;
    }
    let delivery = &mut draft.order_mut(id)?.delivery;
    let bound = delivery.driver_id.filter(|_| delivery.state.has_driver());
    if delivery.state != DeliveryState::Failed {
        delivery.state = DeliveryState::Cancelled;
    }
    bound.map_or(Ok(()), |driver_id| free(draft, driver_id))
}

fn free(draft: &mut Draft<'_>, driver_id: DriverId) -> Result<(), Refusal> {
    draft.driver_mut(driver_id)?.delivering = None;
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

fn driver_answer(draft: &Draft<'_>, id: DriverId) -> Result<Answer, Refusal> {
    Ok(Answer {
        status: 200,
        reply: Reply::Driver(view::driver(draft.driver(id)?)),
    })
}
