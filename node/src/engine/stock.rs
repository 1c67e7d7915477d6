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

/// Something of which there is too little.
#[derive(Debug)]
pub struct Short {
    /// Which item.
    pub item_id: ItemId,
    /// Its name.
    pub name: String,
    /// How many are wanted, over all lines.
    pub wanted: u32,
    /// How many are left.
    pub left: u32,
}

/// Whether the restaurant has enough for all lines.
pub fn has_all(draft: &Draft<'_>, restaurant_id: RestaurantId, lines: &[Line]) -> bool {
    first_short(draft, restaurant_id, lines).is_none()
}

/// The first item of which there is too little.
pub fn first_short(draft: &Draft<'_>, restaurant_id: RestaurantId, lines: &[Line]) -> Option<Short> {
    by_item(lines).into_iter().find_map(|(item_id, wanted)| {
        let left = counted(draft, restaurant_id, item_id)?.left();
        let line = lines.iter().find(|line| line.item_id == item_id)?;
        (left < wanted).then(|| Short {
            item_id,
            name: line.name.clone(),
            wanted,
            left,
        })
    })
}

/// How many of each item, in the order of first mention: the same item in two variants is one stock.
fn by_item(lines: &[Line]) -> Vec<(ItemId, u32)> {
    let mut sums: Vec<(ItemId, u32)> = Vec::new();
    for line in lines {
        match sums.iter_mut().find(|(item_id, _)| *item_id == line.item_id) {
            Some((_, sum)) => *sum = sum.saturating_add(line.quantity),
            None => sums.push((line.item_id, line.quantity)),
        }
    }
    sums
}

/// The stock of an item that the menu counts. A row may outlive the counting: what was held on it still comes back to it.
fn counted(draft: &Draft<'_>, restaurant_id: RestaurantId, item_id: ItemId) -> Option<Stock> {
    draft
        .restaurant(restaurant_id)
        .ok()?
        .item(item_id)
        .filter(|item| item.counted)?;
    draft.stock(restaurant_id, item_id)
}

/// Holds the counted items of all lines for an order until `expires_at`, and returns them. Enough must be there.
pub fn hold(
    draft: &mut Draft<'_>,
    order_id: OrderId,
    restaurant_id: RestaurantId,
    lines: &[Line],
    expires_at: UnixMs,
) -> Result<Vec<(ItemId, u32)>, Refusal> {
    let mut held = Vec::new();
    for (item_id, quantity) in by_item(lines) {
        let Some(mut stock) = counted(draft, restaurant_id, item_id) else {
            continue;
        };
        if stock.left() < quantity {
            return Err(Rejection::SoldOut.into());
        }
        stock.reserved += quantity;
        draft.changes.stock.insert((restaurant_id, item_id), stock);
        let key = ReservationKey {
            order_id,
            restaurant_id,
            item_id,
        };
        let row = Reservation {
            quantity,
            state: ReservationState::Held,
            expires_at,
        };
        draft.changes.reservations.insert(key, row);
        held.push((item_id, quantity));
    }
    Ok(held)
}

/// Sells more to an order that is being cooked already: what takes the place of something that ran out.
pub fn sell_more(
    draft: &mut Draft<'_>,
    order_id: OrderId,
    restaurant_id: RestaurantId,
    lines: &[Line],
) -> Result<(), Refusal> {
    if let Some(short) = first_short(draft, restaurant_id, lines) {
        return Err(Refusal::with(Rejection::SoldOut, short.name));
    }
    for (item_id, quantity) in by_item(lines) {
        let Some(mut stock) = counted(draft, restaurant_id, item_id) else {
            continue;
        };
        stock.sold += quantity;
        draft.changes.stock.insert((restaurant_id, item_id), stock);
        let key = ReservationKey {
            order_id,
            restaurant_id,
            item_id,
        };
        let before = live(draft, order_id).into_iter().find(|(of, _)| *of == key);
        let row = Reservation {
            quantity: quantity + before.map_or(0, |(_, row)| row.quantity),
            state: ReservationState::Consumed,
            expires_at: draft.now,
        };
        draft.changes.reservations.insert(key, row);
    }
    Ok(())
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
