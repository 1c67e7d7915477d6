//! Policy `nearest`: orders that are ready, longest waiting first, each to the nearest free driver within the radius;
//! what finds none waits for the next round.

use tomato_shared::cell::LatLng;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::{DeliveryState, OrderState};

use super::command::{Answer, Candidate, Refusal, Waiting};
use super::draft::Draft;
use super::{done, offer};

/// One round over the orders that wait.
pub(super) fn nearest(draft: &mut Draft<'_>, waiting: &[Waiting]) -> Result<Answer, Refusal> {
    let mut served = 0;
    for entry in waiting {
        let id = entry.order_id;
        let order = draft.order(id)?;
        if order.state != OrderState::ReadyForPickup || order.delivery.state != DeliveryState::Searching {
            continue;
        }
        match entry
            .candidates
            .iter()
            .find(|candidate| is_willing(draft, id, candidate))
        {
            Some(candidate) => {
                offer::make(draft, &[id], candidate.driver_id, whole_m(candidate.distance_m))?;
                served += 1;
            }
            // Everybody near has declined: from the next round on they may be asked again.
            None if !draft.order(id)?.delivery.declined.is_empty() => draft.order_mut(id)?.delivery.declined.clear(),
            None => {}
        }
    }
    let left = draft.city.waiting_len() > served;
    draft.changes.dispatch_at = Some(left.then_some(draft.now + draft.policy.dispatch.retry));
    Ok(done())
}

/// Asks a borrowed driver for the order that they were borrowed for, if it still waits.
pub(super) fn offer_to_borrowed(
    draft: &mut Draft<'_>,
    id: OrderId,
    driver_id: DriverId,
    place: Option<LatLng>,
) -> Result<(), Refusal> {
    let Ok(order) = draft.order(id) else { return Ok(()) };
    let waits = order.state == OrderState::ReadyForPickup && order.delivery.state == DeliveryState::Searching;
    let asked = order.delivery.excluded.contains(&driver_id) || order.delivery.declined.contains(&driver_id);
    if !waits || asked || !can_take(draft, id, driver_id) {
        return Ok(());
    }
    let distance_m = place.map_or(0.0, |place| place.distance_m(&order.restaurant_place));
    offer::make(draft, &[id], driver_id, whole_m(distance_m))
}

fn is_willing(draft: &Draft<'_>, id: OrderId, candidate: &Candidate) -> bool {
    let who = candidate.driver_id;
    let fresh = draft
        .order(id)
        .is_ok_and(|order| !order.delivery.excluded.contains(&who) && !order.delivery.declined.contains(&who));
    fresh && candidate.distance_m <= draft.policy.dispatch.radius_m && can_take(draft, id, who)
}

/// Free, at work for a while still, and not with too much cash for one more cash order.
fn can_take(draft: &Draft<'_>, id: OrderId, who: DriverId) -> bool {
    let free = draft
        .driver(who)
        .is_ok_and(|row| row.is_free() && !row.shift_is_over(draft.now));
    free && has_room_for_cash(draft, id, who)
}

/// Whether the order, where it is paid in cash, leaves the driver with no more than the limit.
pub(super) fn has_room_for_cash(draft: &Draft<'_>, id: OrderId, who: DriverId) -> bool {
    let (Ok(row), Ok(order)) = (draft.driver(who), draft.order(id)) else {
        return false;
    };
    let cash_max_minor = draft.policy.driver_pay.cash_max_minor;
    let cash = order.payment.method == PaymentMethod::Cash && cash_max_minor > 0;
    let too_much = cash && row.cash_minor.saturating_add(order.price.total_minor) > cash_max_minor;
    !too_much
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the dispatch radius"
)]
fn whole_m(distance_m: f64) -> u32 {
    distance_m as u32
}
