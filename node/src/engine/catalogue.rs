//! Restaurants and their menus: written by operators and by the restaurants themselves.

use std::collections::BTreeMap;

use tomato_shared::cell::EVENT_RESOLUTION;
use tomato_shared::event::Event;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::command::{Answer, PutRestaurant, Refusal, RestaurantCommand};
use super::draft::Draft;
use super::model::{Busy, By, Restaurant, Stock, next_midnight};
use super::view::{self, Reply};
use super::{moving, quote};

/// Longest pause of a restaurant or of an item, and longest busy time.
const SPAN_MAX: DurationMs = DurationMs::from_mins(366 * 24 * 60);
/// Most minutes that a busy kitchen may add.
const EXTRA_MAX_MIN: u32 = 24 * 60;

/// Something is done with a restaurant: by an operator, or by itself where that is its own business.
pub(super) fn run(draft: &mut Draft<'_>, id: RestaurantId, command: &RestaurantCommand) -> Result<Answer, Refusal> {
    let operators = matches!(command, RestaurantCommand::Put(_) | RestaurantCommand::Suspend(_));
    match draft.by {
        By::Operator(_) => {}
        By::Restaurant(own) if own == id && !operators => {}
        By::Restaurant(own) if own != id => return Err(Rejection::NotFound.into()),
        By::Restaurant(_) | By::Customer(_) | By::Driver(_) | By::Provider | By::System => {
            return Err(Rejection::Forbidden.into());
        }
    }
    match command {
        RestaurantCommand::Put(wanted) => put(draft, wanted),
        RestaurantCommand::PutMenu {
            menu,
            capacities,
            expected_version,
        } => {
            let mut row = edited(draft, id, *expected_version)?;
            row.menu.clone_from(menu);
            count(draft, &mut row, capacities);
            write(draft, row)
        }
        RestaurantCommand::PutHours {
            hours,
            expected_version,
        } => {
            let mut row = edited(draft, id, *expected_version)?;
            row.hours.clone_from(hours);
            write(draft, row)
        }
        RestaurantCommand::SetStatus { open, pause, busy } => {
            let mut row = edited(draft, id, None)?;
            row.open = open.unwrap_or(row.open);
            let now = draft.now;
            if let Some(pause) = pause {
                row.paused_until = (pause.0 > 0).then_some(now + (*pause).min(SPAN_MAX));
            }
            if let Some((extra_min, span)) = *busy {
                let (until, extra_min) = (now + span.min(SPAN_MAX), extra_min.min(EXTRA_MAX_MIN));
                row.busy = (extra_min > 0 && span.0 > 0).then_some(Busy { until, extra_min });
            }
            write(draft, row)
        }
        RestaurantCommand::Suspend(suspended) => {
            let mut row = edited(draft, id, None)?;
            row.suspended = *suspended;
            write(draft, row)
        }
        RestaurantCommand::SetItem {
            item_id,
            available,
            off,
            left,
        } => set_item(draft, id, *item_id, *available, *off, *left),
    }
}

/// The row to edit, its version raised.
fn edited(draft: &Draft<'_>, id: RestaurantId, expected_version: Option<u32>) -> Result<Restaurant, Refusal> {
    moving::check_here(draft, id)?;
    let mut row = Restaurant::clone(draft.restaurant(id)?);
    if expected_version.is_some_and(|expected| expected != row.version) {
        return Err(Rejection::VersionConflict.into());
    }
    row.version += 1;
    Ok(row)
}

/// Writes a restaurant and its menu as a whole.
fn put(draft: &mut Draft<'_>, wanted: &PutRestaurant) -> Result<Answer, Refusal> {
    let territory = &draft.city.catalogue().territory;
    territory.check(draft.policy, &wanted.restaurant.place)?;
    if draft.restaurant(wanted.restaurant.id).is_ok() {
        moving::check_here(draft, wanted.restaurant.id)?;
    }
    let current = draft
        .restaurant(wanted.restaurant.id)
        .map(|row| row.version)
        .unwrap_or(0);
    if wanted.expected_version.is_some_and(|expected| expected != current) {
        return Err(Rejection::VersionConflict.into());
    }
    let mut row = wanted.restaurant.clone();
    row.version = current + 1;
    count(draft, &mut row, &wanted.capacities);
    write(draft, row)
}

/// Counts the items that have a capacity. What is promised or sold already cannot be taken back by an edit.
fn count(draft: &mut Draft<'_>, row: &mut Restaurant, capacities: &[(ItemId, u32)]) {
    let capacities: BTreeMap<ItemId, u32> = capacities.iter().copied().collect();
    for (item_id, capacity) in &capacities {
        let old = draft.stock(row.id, *item_id).unwrap_or(Stock {
            capacity: 0,
            reserved: 0,
            sold: 0,
        });
        let capacity = (*capacity).max(old.reserved.saturating_add(old.sold));
        draft
            .changes
            .stock
            .insert((row.id, *item_id), Stock { capacity, ..old });
    }
    for item in &mut row.menu {
        item.counted = capacities.contains_key(&item.id);
    }
}

fn set_item(
    draft: &mut Draft<'_>,
    id: RestaurantId,
    item_id: ItemId,
    available: bool,
    off: Option<DurationMs>,
    left: Option<u32>,
) -> Result<Answer, Refusal> {
    let now = draft.now;
    let mut row = edited(draft, id, None)?;
    let item = row.menu.iter_mut().find(|item| item.id == item_id);
    let item = item.ok_or_else(|| Refusal::with(Rejection::ItemUnknown, item_id.to_string()))?;
    item.available = available;
    item.off_until = off.map(|span| now + span.clamp(DurationMs(0), SPAN_MAX));
    if let Some(left) = left {
        let old = draft.stock(id, item_id).filter(|_| item.counted);
        let old = old.ok_or_else(|| Refusal::with(Rejection::ItemUnknown, format!("{} is not counted", item.name)))?;
        let capacity = old.reserved.saturating_add(old.sold).saturating_add(left);
        draft.changes.stock.insert((id, item_id), Stock { capacity, ..old });
    }
    write(draft, row)
}

/// Takes items off the menu until tomorrow: they have run out.
pub(super) fn take_off(draft: &mut Draft<'_>, id: RestaurantId, items: &[ItemId]) -> Result<(), Refusal> {
    if moving::check_here(draft, id).is_err() {
        // Its menu is another region's business now.
        return Ok(());
    }
    let until = next_midnight(draft.now, &draft.policy.zone);
    let mut row = edited(draft, id, None)?;
    for item in row.menu.iter_mut().filter(|item| items.contains(&item.id)) {
        item.off_until = until;
    }
    write(draft, row).map(drop)
}

/// Says that a restaurant is as it is now.
pub(super) fn tell(draft: &mut Draft<'_>, row: &Restaurant) {
    draft.tell_region(Event::RestaurantUpdated {
        restaurant_id: row.id,
        name: row.name.clone(),
        cell: row.place.cell(EVENT_RESOLUTION),
        open: quote::is_open(row, draft.now, draft.policy),
    });
}

fn write(draft: &mut Draft<'_>, row: Restaurant) -> Result<Answer, Refusal> {
    tell(draft, &row);
    let view = view::restaurant(&row, draft.policy, draft.now, |item_id| draft.stock(row.id, item_id));
    draft.changes.restaurants.insert(row.id, row.into());
    Ok(Answer {
        status: 200,
        reply: Reply::Restaurant(Box::new(view)),
    })
}
