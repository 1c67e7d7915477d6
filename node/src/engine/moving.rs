//! Cells that change hands: the old owner stops and writes down what comes along, the new owner takes it in.
//!
//! What there is of a thing is never in two regions: the stock that goes along is taken off here, and so are the stars. Orders
//! stay where they were paid, with the row of their restaurant, which is marked as gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, REGION_RESOLUTION};
use tomato_shared::directory::{Directory, Map, Move, Phase};
use tomato_shared::event::{CellsMoved, CellsStep, Event};
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::rejection::Rejection;

use super::city::Stars;
use super::command::{Answer, Refusal};
use super::draft::{Draft, Rated};
use super::model::{Restaurant, Stock};
use super::territory::{Part, Side, Territory};
use super::{catalogue, done};

/// Everything that goes along with cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Restaurants that lie in the cells.
    pub restaurants: Vec<Moved>,
    /// Answers to orders that were placed at them, or are delivered in the cells, by the clients' keys: who repeats one at the new
    /// owner hears the same, and no other kitchen there is found for it.
    #[serde(default)]
    pub answers: Vec<KeptAnswer>,
}

/// A restaurant on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// With its menu and hours.
    pub row: Restaurant,
    /// What is left of each counted item.
    pub left: Vec<(ItemId, u32)>,
    /// What customers gave.
    pub stars: Stars,
}

/// An answer under a client's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Where the order was placed.
    pub restaurant_id: RestaurantId,
    /// Where it is delivered to, at [`REGION_RESOLUTION`].
    #[serde(default)]
    pub cell: Option<Cell>,
    /// Hash of principal, route and the client's key.
    pub key: [u8; 16],
    /// Hash of the request's body.
    pub fingerprint: [u8; 16],
    /// HTTP status.
    pub status: u16,
    /// JSON.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// When it was given, in region time.
    pub created_at: i64,
}

/// Takes a newer map in, and does this region's part of the moves that it lists; an older one, or the same, changes nothing.
pub(super) fn take_map(draft: &mut Draft<'_>, map: &Map) -> Result<Answer, Refusal> {
    let current = draft.city.catalogue().territory.clone();
    if map.version <= current.directory.map().version {
        return Ok(done());
    }
    let mut next = Territory {
        directory: Arc::new(Directory::new(map.clone())),
        parts: current.parts.clone(),
    };
    let here = &draft.policy.region;
    for row in map.moves.iter().filter(|row| row.from == *here) {
        let part = next.parts.entry(row.id);
        part.or_insert_with(|| leave(draft, row, map.version));
    }
    let listed = |id: &u64| map.moves.iter().any(|row| row.id == *id);
    let over: Vec<(u64, Part)> = next
        .parts
        .iter()
        .filter(|(id, _)| !listed(id))
        .map(|(id, part)| (*id, part.clone()))
        .collect();
    for (id, part) in over {
        if part.side == Side::Left && is_called_off(draft, map, &part) {
            if part.handed_out {
                // The map gives back what another region has already. Nobody but an operator can say who is right.
                continue;
            }
            keep(draft, id, &part, map.version)?;
        }
        next.parts.remove(&id);
        draft.changes.parcels.insert(id, None);
    }
    draft.changes.territory = Some(Arc::new(next));
    Ok(done())
}

/// Whether cells that left are this region's all the same: the move was called off, and they are not on their way back either.
fn is_called_off(draft: &Draft<'_>, map: &Map, part: &Part) -> bool {
    let here = &draft.policy.region;
    let returns = map
        .moves
        .iter()
        .any(|row| row.to == *here && row.cells.overlap(&part.cells).is_some());
    let owned = map.cells(here);
    !returns && part.cells.iter().all(|cell| owned.covers(cell))
}

/// Stops in the cells and writes down what comes along, in one transaction with the event that says so.
fn leave(draft: &mut Draft<'_>, row: &Move, map_version: u64) -> Part {
    let city = draft.city;
    let inside = |restaurant: &&Arc<Restaurant>| {
        restaurant.moved_to.is_none() && row.cells.covers(restaurant.place.cell(REGION_RESOLUTION))
    };
    let going: Vec<Arc<Restaurant>> = city.catalogue().restaurants.values().filter(inside).cloned().collect();
    let mut parcel = Parcel::default();
    for restaurant in &going {
        parcel.restaurants.push(take_out(draft, restaurant));
        let mut gone = Restaurant::clone(restaurant);
        gone.version += 1;
        gone.moved_to = Some(row.to.clone());
        draft.changes.restaurants.insert(gone.id, gone.into());
    }
    draft.changes.parcels.insert(row.id, Some(parcel));
    draft.tell_region(Event::CellsMoved(CellsMoved {
        move_id: row.id,
        step: CellsStep::Left,
        map_version,
        other: row.to.clone(),
        cells: row.cells.clone(),
        restaurants: count(going.len()),
    }));
    Part {
        side: Side::Left,
        other: row.to.clone(),
        cells: row.cells.clone(),
        handed_out: false,
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// What goes along with one restaurant. What orders under way here hold or have taken stays here.
fn take_out(draft: &mut Draft<'_>, restaurant: &Restaurant) -> Moved {
    let mut left = Vec::new();
    for item in restaurant.menu.iter().filter(|item| item.counted) {
        let key = (restaurant.id, item.id);
        if let Some(stock) = draft.stock(key.0, key.1) {
            left.push((item.id, stock.left()));
            let capacity = stock.reserved.saturating_add(stock.sold);
            draft.changes.stock.insert(key, Stock { capacity, ..stock });
        }
    }
    let whom = Rated::Restaurant(restaurant.id);
    let stars = draft.city.stars(whom);
    draft.changes.stars.insert(whom, Stars::default());
    Moved {
        row: restaurant.clone(),
        left,
        stars,
    }
}

/// The move was called off: what was to go along is in use again.
fn keep(draft: &mut Draft<'_>, id: u64, part: &Part, map_version: u64) -> Result<(), Refusal> {
    let parcel = draft.city.parcel(id).cloned().ok_or(Rejection::NotFound)?;
    put_in(draft, &parcel);
    draft.tell_region(Event::CellsMoved(CellsMoved {
        move_id: id,
        step: CellsStep::Kept,
        map_version,
        other: part.other.clone(),
        cells: part.cells.clone(),
        restaurants: count(parcel.restaurants.len()),
    }));
    Ok(())
}

/// Takes in what comes along with cells that the map gives to this region. Once is enough: again changes nothing.
pub(super) fn take_in(draft: &mut Draft<'_>, id: u64, parcel: &Parcel) -> Result<Answer, Refusal> {
    let current = draft.city.catalogue().territory.clone();
    let map = current.directory.map();
    let here = &draft.policy.region;
    let row = map
        .moves
        .iter()
        .find(|row| row.id == id && row.to == *here && row.phase == Phase::Arriving);
    let row = row.ok_or_else(|| Refusal::with(Rejection::WrongState, format!("the map lists no move {id} to here")))?;
    if current.parts.contains_key(&id) {
        return Ok(done());
    }
    put_in(draft, parcel);
    draft.changes.answers.extend(parcel.answers.iter().cloned());
    draft.tell_region(Event::CellsMoved(CellsMoved {
        move_id: id,
        step: CellsStep::Arrived,
        map_version: map.version,
        other: row.from.clone(),
        cells: row.cells.clone(),
        restaurants: count(parcel.restaurants.len()),
    }));
    let part = Part {
        side: Side::Arrived,
        other: row.from.clone(),
        cells: row.cells.clone(),
        handed_out: false,
    };
    let mut parts: BTreeMap<u64, Part> = current.parts.clone();
    parts.insert(id, part);
    let directory = current.directory.clone();
    draft.changes.territory = Some(Arc::new(Territory { directory, parts }));
    Ok(done())
}

/// Puts restaurants into use. A row that stayed behind when one left earlier keeps what its orders hold, and gets what comes.
fn put_in(draft: &mut Draft<'_>, parcel: &Parcel) {
    for moved in &parcel.restaurants {
        let id = moved.row.id;
        let before = draft.restaurant(id).map_or(0, |row| row.version);
        let mut row = moved.row.clone();
        row.version = row.version.max(before) + 1;
        row.moved_to = None;
        for (item_id, left) in &moved.left {
            let old = draft.stock(id, *item_id).unwrap_or(Stock {
                capacity: 0,
                reserved: 0,
                sold: 0,
            });
            let capacity = old.capacity.saturating_add(*left);
            draft.changes.stock.insert((id, *item_id), Stock { capacity, ..old });
        }
        let whom = Rated::Restaurant(id);
        let here = draft
            .changes
            .stars
            .get(&whom)
            .copied()
            .unwrap_or_else(|| draft.city.stars(whom));
        let stars = Stars {
            sum: here.sum.saturating_add(moved.stars.sum),
            count: here.count.saturating_add(moved.stars.count),
        };
        draft.changes.stars.insert(whom, stars);
        catalogue::tell(draft, &row);
        draft.changes.restaurants.insert(id, row.into());
    }
}

/// From now on the other region may be given what comes along: nothing of it is taken back.
pub(super) fn hand_out(draft: &mut Draft<'_>, id: u64) -> Result<Answer, Refusal> {
    let current = draft.city.catalogue().territory.clone();
    let map = current.directory.map();
    let arriving = map.moves.iter().any(|row| row.id == id && row.phase == Phase::Arriving);
    let part = current
        .parts
        .get(&id)
        .filter(|part| arriving && part.side == Side::Left);
    let part = part.ok_or_else(|| Refusal::with(Rejection::WrongState, format!("move {id} hands nothing out")))?;
    if !part.handed_out {
        let part = Part {
            handed_out: true,
            ..part.clone()
        };
        let mut next = Territory::clone(&current);
        next.parts.insert(id, part);
        draft.changes.territory = Some(Arc::new(next));
    }
    Ok(done())
}

/// Whether a restaurant is another region's now.
pub(super) fn check_here(draft: &Draft<'_>, id: RestaurantId) -> Result<(), Refusal> {
    match &draft.restaurant(id)?.moved_to {
        Some(to) => Err(draft.city.catalogue().territory.gone(to)),
        None => Ok(()),
    }
}
