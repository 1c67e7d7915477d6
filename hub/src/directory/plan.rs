//! PURE: what the next version of the map says, given what the regions say of themselves.

use std::collections::BTreeMap;

use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::directory::{CELLS_MAX, Map, Move, Overlap, Phase};
use tomato_shared::sync::Territory;
use tomato_shared::time::UnixMs;

use crate::store::moves::{MoveRow, State};

/// What a region that is there says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) public_url: String,
    pub(super) territory: Territory,
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// What nobody else has of the claim is granted.
    #[error("{region} claims cells that are not its own: {overlap}")]
    Claim { region: RegionId, overlap: Overlap },
    #[error("{region} claims {cells} cells, the limit is {CELLS_MAX}: nothing of it is granted")]
    TooMany { region: RegionId, cells: usize },
    #[error("{region} claims cells finer than resolution 7: nothing of it is granted")]
    TooFine { region: RegionId },
    /// Something else has happened to it since the move was asked for.
    #[error("move {id} is called off: cell {cell} does not belong to {region}")]
    NotOwned { id: u64, region: RegionId, cell: Cell },
    /// Nothing is changed until an operator has decided.
    #[error(
        "{region} has map version {theirs}, this hub only {ours}: the hub's file is an old copy. Restore a newer one, or have \
         the map made again from what the regions say: tomato-hub cells rebuild"
    )]
    Behind { region: RegionId, theirs: u64, ours: u64 },
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// The next map, or the same where nothing changes.
    pub(super) map: Map,
    /// Moves that have come further.
    pub(super) steps: Vec<(u64, State)>,
    /// What does not fit.
    pub(super) troubles: Vec<Trouble>,
}

/// The next version, if there is reason for one. `moves`: those that are not over, oldest first.
pub(super) fn next(map: &Map, moves: &[MoveRow], said: &BTreeMap<RegionId, Said>, now: UnixMs) -> Plan {
    let mut plan = Plan {
        map: map.clone(),
        steps: Vec::new(),
        troubles: Vec::new(),
    };
    let newest = said.iter().max_by_key(|(_, said)| said.territory.map_version);
    if let Some((region, newest)) = newest
        && map.version > 0
        && newest.territory.map_version > map.version
    {
        plan.troubles.push(Trouble::Behind {
            region: region.clone(),
            theirs: newest.territory.map_version,
            ours: map.version,
        });
        return plan;
    }
    // Where there is no map any more, whoever has seen a newer one knows better.
    let mut claims: Vec<_> = said.iter().collect();
    claims.sort_by_key(|(_, said)| std::cmp::Reverse(said.territory.map_version));
    for (region, said) in claims {
        // Who goes by an older map claims what it had there; it will claim again.
        if !map.regions.contains_key(region) || said.territory.map_version == map.version {
            plan.troubles.extend(claim(&mut plan.map, region, said));
        }
    }
    for row in moves {
        match advance(&mut plan.map, map.version, row, said) {
            Ok(Some(state)) => plan.steps.push((row.id, state)),
            Ok(None) => {}
            Err(trouble) => {
                plan.steps.push((row.id, State::Cancelled));
                plan.troubles.push(trouble);
            }
        }
    }
    if plan.map != *map {
        plan.map.version = newest
            .map_or(0, |(_, said)| said.territory.map_version)
            .max(map.version)
            + 1;
        plan.map.made_at = now;
    }
    plan
}

/// Takes a move one step further, if the regions have done what the step waits for.
fn advance(
    map: &mut Map,
    version: u64,
    row: &MoveRow,
    said: &BTreeMap<RegionId, Said>,
) -> Result<Option<State>, Trouble> {
    let territory = |region| said.get(region).map(|said| &said.territory);
    match row.state {
        State::Waiting if row.cancel => Ok(Some(State::Cancelled)),
        State::Waiting => {
            let ready = |region| territory(region).is_some_and(|territory| territory.map_version == version);
            if !ready(&row.from) || !ready(&row.to) {
                return Ok(None);
            }
            let owned = map.cells(&row.from);
            if let Some(cell) = row.cells.iter().find(|cell| !owned.covers(*cell)) {
                let (id, region) = (row.id, row.from.clone());
                return Err(Trouble::NotOwned { id, region, cell });
            }
            map.moves.push(Move {
                id: row.id,
                from: row.from.clone(),
                to: row.to.clone(),
                cells: row.cells.clone(),
                phase: Phase::Leaving,
            });
            Ok(Some(State::Leaving))
        }
        // What the old owner has written down was not given to anybody yet: it takes it in again.
        State::Leaving if row.cancel => {
            map.moves.retain(|listed| listed.id != row.id);
            Ok(Some(State::Cancelled))
        }
        State::Leaving => {
            if !territory(&row.from).is_some_and(|territory| territory.left.contains(&row.id)) {
                return Ok(None);
            }
            map.hand_over(&row.from, &row.to, &row.cells);
            for listed in map.moves.iter_mut().filter(|listed| listed.id == row.id) {
                listed.phase = Phase::Arriving;
            }
            Ok(Some(State::Arriving))
        }
        State::Arriving => {
            if !territory(&row.to).is_some_and(|territory| territory.arrived.contains(&row.id)) {
                return Ok(None);
            }
            map.moves.retain(|listed| listed.id != row.id);
            Ok(Some(State::Done))
        }
        State::Done | State::Cancelled => Ok(None),
    }
}

fn claim(map: &mut Map, region: &RegionId, said: &Said) -> Option<Trouble> {
    let cells = &said.territory.cells;
    if cells.len() > CELLS_MAX {
        let (region, cells) = (region.clone(), cells.len());
        return Some(Trouble::TooMany { region, cells });
    }
    if cells
        .iter()
        .any(|cell| cell.0.resolution() > tomato_shared::cell::REGION_RESOLUTION)
    {
        return Some(Trouble::TooFine { region: region.clone() });
    }
    let overlap = map.grant(region, cells);
    if let Some(share) = map.regions.get_mut(region) {
        share.public_url.clone_from(&said.public_url);
    }
    overlap.map(|overlap| Trouble::Claim {
        region: region.clone(),
        overlap,
    })
}

#[cfg(test)]
mod tests;
