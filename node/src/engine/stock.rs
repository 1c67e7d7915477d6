//! Holds on counted stock: made with the order, turned into sales when it is paid, given back when it ends.
//!
//! For each item at each restaurant `reserved` is the sum of held reservations and `sold` that of consumed ones; the
//! file's own CHECK refuses more than there are.

use tomato_shared::event::{Event, Line};
use tomato_shared::id::{ItemId, OrderId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::Refusal;
use super::draft::Draft;
use super::model::{Reservation, ReservationKey, ReservationState, Stock};

/// Whether the restaurant has enough of every line. Lines name each item once.
pub fn has_all(draft: &Draft<'_>, restaurant_id: RestaurantId, lines: &[Line]) -> bool {
    first_short(draft, restaurant_id, lines).is_none()
}

/// The first line of which there is too little, and how many are left.
pub fn first_short<'l>(draft: &Draft<'_>, restaurant_id: RestaurantId, lines: &'l [Line]) -> Option<(&'l Line, u32)> {
    lines.iter().find_map(|line| {
        let left = counted(draft, restaurant_id, line.item_id)?.left();
        (left < line.quantity).then_some((line, left))
    })
}

/// The stock of an item that the menu counts. A row may outlive the counting: what was held on it still comes back to it.
fn counted(draft: &Draft<'_>, restaurant_id: RestaurantId, item_id: ItemId) -> Option<Stock> {
    let menu = &draft.restaurant(restaurant_id).ok()?.menu;
    menu.iter().find(|item| item.id == item_id && item.counted)?;
    draft.stock(restaurant_id, item_id)
}

/// Holds the counted lines for an order until `expires_at`, and returns them. Enough must be there.
pub fn hold(
    draft: &mut Draft<'_>,
    order_id: OrderId,
    restaurant_id: RestaurantId,
    lines: &[Line],
    expires_at: UnixMs,
) -> Result<Vec<(ItemId, u32)>, Refusal> {
    let mut held = Vec::new();
    for line in lines {
        let Some(mut stock) = counted(draft, restaurant_id, line.item_id) else {
            continue;
        };
        if stock.left() < line.quantity {
            return Err(Refusal::with(Rejection::SoldOut, line.name.clone()));
        }
        stock.reserved += line.quantity;
        draft.changes.stock.insert((restaurant_id, line.item_id), stock);
        let key = ReservationKey {
            order_id,
            restaurant_id,
            item_id: line.item_id,
        };
        let row = Reservation {
            quantity: line.quantity,
            state: ReservationState::Held,
            expires_at,
        };
        draft.changes.reservations.insert(key, row);
        held.push((line.item_id, line.quantity));
    }
    Ok(held)
}

/// Turns the order's holds into sales.
pub fn consume(draft: &mut Draft<'_>, order_id: OrderId) {
    settle(draft, order_id, ReservationState::Consumed);
}

/// Gives everything back that the order holds or has taken, and tells of it.
/// `end` is `Released`, or `Expired` where the hold ran out.
pub fn give_back(draft: &mut Draft<'_>, order_id: OrderId, end: ReservationState) -> Result<(), Refusal> {
    let items = settle(draft, order_id, end);
    if items.is_empty() {
        Ok(())
    } else {
        draft.tell(order_id, Event::InventoryReleased { items })
    }
}

fn settle(draft: &mut Draft<'_>, order_id: OrderId, end: ReservationState) -> Vec<(ItemId, u32)> {
    let mut moved = Vec::new();
    for (key, reservation) in live(draft, order_id) {
        let Some(stock) = draft.stock(key.restaurant_id, key.item_id) else {
            continue;
        };
        let next = moved_stock(stock, reservation, end);
        draft.changes.stock.insert((key.restaurant_id, key.item_id), next);
        draft.changes.reservations.insert(
            key,
            Reservation {
                state: end,
                ..reservation
            },
        );
        moved.push((key.item_id, reservation.quantity));
    }
    moved
}

/// The counters after a reservation's quantity left its old state and entered `end`.
fn moved_stock(mut stock: Stock, reservation: Reservation, end: ReservationState) -> Stock {
    match reservation.state {
        ReservationState::Held => stock.reserved = stock.reserved.saturating_sub(reservation.quantity),
        ReservationState::Consumed => stock.sold = stock.sold.saturating_sub(reservation.quantity),
        ReservationState::Released | ReservationState::Expired => {}
    }
    match end {
        ReservationState::Held => stock.reserved += reservation.quantity,
        ReservationState::Consumed => stock.sold += reservation.quantity,
        ReservationState::Released | ReservationState::Expired => {}
    }
    stock
}

/// Reservations of an order that still count, as they stand in this draft.
fn live(draft: &Draft<'_>, order_id: OrderId) -> Vec<(ReservationKey, Reservation)> {
    let mut rows: std::collections::BTreeMap<_, _> = draft.city.reservations(order_id).collect();
    rows.extend(
        draft
            .changes
            .reservations
            .iter()
            .filter(|(key, _)| key.order_id == order_id)
            .map(|(k, r)| (*k, *r)),
    );
    rows.retain(|_, row| matches!(row.state, ReservationState::Held | ReservationState::Consumed));
    rows.into_iter().collect()
}
