//! Offers: what a driver is asked to fetch, all of it or nothing, until the driver answers or time is up.

use tomato_shared::event::Event;
use tomato_shared::id::{DriverId, OfferId, OrderId};
use tomato_shared::order::DeliveryState;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, Offer};
use super::timer::TimerKey;
use super::{driver, order_answer};

/// Asks a driver to fetch orders together, in this order of delivery; assigns them where the region does not ask.
pub(super) fn make(
    draft: &mut Draft<'_>,
    ids: &[OrderId],
    driver_id: DriverId,
    distance_m: u32,
) -> Result<(), Refusal> {
    if draft.policy.dispatch.offer_ttl.0 <= 0 {
        return driver::assign_trip(draft, ids, driver_id);
    }
    let expires_at = draft.now + draft.policy.dispatch.offer_ttl;
    let offer = Offer {
        id: draft.ids.id(draft.now),
        driver_id,
        distance_m,
        expires_at,
    };
    let row = draft.driver_mut(driver_id)?;
    row.note_asked();
    row.offered = ids.to_vec();
    for &id in ids {
        let delivery = &mut draft.order_mut(id)?.delivery;
        delivery.state = DeliveryState::Offered;
        delivery.offer = Some(offer);
        draft.set_timer(TimerKey::OfferExpiry(id), expires_at);
        let event = Event::DriverOffered {
            offer_id: offer.id,
            driver_id,
            distance_m,
            expires_at,
        };
        draft.tell(id, event)?;
    }
    Ok(())
}

/// The driver takes the offer, all of it: exactly one wins, and only while it is open. Answers with its first order.
pub(super) fn accept(draft: &mut Draft<'_>, offer_id: OfferId) -> Result<Answer, Refusal> {
    let (driver_id, id) = own(draft, offer_id)?;
    let row = draft.driver_mut(driver_id)?;
    let ids = std::mem::take(&mut row.offered);
    for id in &ids {
        draft.order_mut(*id)?.delivery.offer = None;
        draft.clear_timer(TimerKey::OfferExpiry(*id));
    }
    driver::assign_trip(draft, &ids, driver_id)?;
    order_answer(draft, 200, id)
}

/// The driver refuses; the next is looked for at once.
pub(super) fn decline(draft: &mut Draft<'_>, offer_id: OfferId) -> Result<Answer, Refusal> {
    let (driver_id, id) = own(draft, offer_id)?;
    draft.driver_mut(driver_id)?.refused += 1;
    end(draft, id, true)?;
    order_answer(draft, 200, id)
}

/// The driver did not answer in time.
pub(super) fn expired(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let Some(open) = draft.order(id)?.delivery.offer else {
        return Ok(());
    };
    draft.driver_mut(open.driver_id)?.refused += 1;
    end(draft, id, false)
}

/// The driver and the first order of an open offer to the caller.
fn own(draft: &Draft<'_>, offer_id: OfferId) -> Result<(DriverId, OrderId), Refusal> {
    let By::Driver(caller) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    // Unknown, ended and somebody else's offers all look the same from outside.
    let one = draft
        .city
        .orders_of_offer(offer_id)
        .next()
        .ok_or(Rejection::OfferGone)?;
    let open = draft
        .order(one)?
        .delivery
        .offer
        .filter(|open| open.id == offer_id && open.driver_id == caller);
    let open = open.ok_or(Rejection::OfferGone)?;
    if draft.now >= open.expires_at {
        return Err(Rejection::OfferGone.into());
    }
    Ok((caller, draft.driver(caller)?.offered.first().copied().unwrap_or(one)))
}

/// Ends an open offer, all of it, without an assignment; its orders search on.
pub(super) fn end(draft: &mut Draft<'_>, id: OrderId, declined: bool) -> Result<(), Refusal> {
    let Some(open) = draft.order(id)?.delivery.offer else {
        return Ok(());
    };
    for id in draft.driver(open.driver_id)?.offered.clone() {
        withdraw(draft, id, declined)?;
    }
    Ok(())
}

/// Takes one order out of its open offer; what else the driver was asked for stays open.
pub(super) fn withdraw(draft: &mut Draft<'_>, id: OrderId, declined: bool) -> Result<(), Refusal> {
    let Some(open) = draft.order_mut(id)?.delivery.offer.take() else {
        return Ok(());
    };
    let delivery = &mut draft.order_mut(id)?.delivery;
    delivery.state = DeliveryState::Searching;
    delivery.note_declined(open.driver_id);
    draft.driver_mut(open.driver_id)?.offered.retain(|other| *other != id);
    draft.clear_timer(TimerKey::OfferExpiry(id));
    draft.dispatch_now();
    let event = Event::DriverOfferEnded {
        offer_id: open.id,
        driver_id: open.driver_id,
        declined,
    };
    draft.tell(id, event)
}
