//! Which region owns which cells. The hub makes the map, one version after the other; each node keeps the newest that it has
//! seen and works from it when it is cut off.
//!
//! A version is one document, so that it takes effect as a whole: in each, a cell has at most one owner. Cells that change
//! hands are listed beside the owners, in two steps that are versions of their own:
//!
//! | version | the cells belong to | meanwhile |
//! |---|---|---|
//! | with [`Phase::Leaving`] | the old owner | it stops taking orders there and writes down what has to come along |
//! | with [`Phase::Arriving`] | the new owner | it fetches that, and takes orders once it has it |
//! | without the move | the new owner | |
//!
//! Each waits for the region's own word that it has durably done its part, so at no instant do two regions take orders.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, CellSet, LatLng, REGION_RESOLUTION, RegionId};
use crate::time::UnixMs;

/// Largest number of a region's cells, compacted.
pub const CELLS_MAX: usize = 20_000;

/// One version of the map.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Map {
    /// Rises with each change; 0 is the map that nobody has made yet.
    pub version: u64,
    /// When it was made, by the hub's clock.
    pub made_at: UnixMs,
    /// Every region and what it owns.
    pub regions: BTreeMap<RegionId, Share>,
    /// Cells that change hands.
    #[serde(default)]
    pub moves: Vec<Move>,
}

/// A region on the map.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Where apps reach it.
    pub public_url: String,
    /// What it owns, compacted.
    pub cells: CellSet,
}

/// Cells on their way from one region to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Its number; never used again.
    pub id: u64,
    /// Who owned them.
    pub from: RegionId,
    /// Who will.
    pub to: RegionId,
    /// Which, compacted.
    pub cells: CellSet,
    /// How far it is.
    pub phase: Phase,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The old owner has to stop.
    Leaving,
    /// The new owner has to fetch what comes along.
    Arriving,
}

/// Two owners of one cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cell {cell} belongs to {owner}")]
pub struct Overlap {
    /// The first of them.
    pub cell: Cell,
    /// Whose it is.
    pub owner: RegionId,
}

impl Map {
    /// What a region owns; empty where it is not on the map.
    pub fn cells(&self, region: &RegionId) -> CellSet {
        self.regions
            .get(region)
            .map(|share| share.cells.clone())
            .unwrap_or_default()
    }

    /// The owner of any of these cells other than `region`, and which cell it is.
    pub fn overlap(&self, region: &RegionId, cells: &CellSet) -> Option<Overlap> {
        let others = self.regions.iter().filter(|(other, _)| *other != region);
        let mut found = others.filter_map(|(owner, share)| Some((owner, share.cells.overlap(cells)?)));
        found.next().map(|(owner, cell)| Overlap {
            cell,
            owner: owner.clone(),
        })
    }

    /// Every region's cells together.
    pub fn all_cells(&self) -> CellSet {
        self.regions
            .values()
            .fold(CellSet::default(), |all, share| all.union(&share.cells))
    }

    /// What a region says is its own: what the map gives it, and of `configured` what the map gives to nobody.
    pub fn claim(&self, region: &RegionId, configured: &CellSet) -> CellSet {
        let free = configured.without(&self.all_cells());
        self.cells(region).union(&free).compacted()
    }

    /// Gives `cells` to `region`, as far as nobody else has them. Returns what somebody else has.
    pub fn grant(&mut self, region: &RegionId, cells: &CellSet) -> Option<Overlap> {
        let overlap = self.overlap(region, cells);
        let others = self.regions.iter().filter(|(other, _)| *other != region);
        let taken = others.fold(CellSet::default(), |all, (_, share)| all.union(&share.cells));
        let share = self.regions.entry(region.clone()).or_default();
        share.cells = share.cells.union(&cells.without(&taken)).compacted();
        overlap
    }

    /// Takes `cells` from one region and gives them to another.
    pub fn hand_over(&mut self, from: &RegionId, to: &RegionId, cells: &CellSet) {
        if let Some(share) = self.regions.get_mut(from) {
            share.cells = share.cells.without(cells).compacted();
        }
        let share = self.regions.entry(to.clone()).or_default();
        share.cells = share.cells.union(cells).compacted();
    }
}

/// Who owns a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Owner {
    /// The region.
    pub region: RegionId,
    /// Where apps reach it.
    pub public_url: String,
    /// Of which version of the map this is true.
    pub map_version: u64,
}

/// A map, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    map: Map,
    owners: BTreeMap<Cell, RegionId>,
    /// Cells that are on the way, with the place of their move in the map.
    moving: BTreeMap<Cell, usize>,
}

impl Directory {
    /// Makes a map ready.
    pub fn new(map: Map) -> Self {
        let owned = map
            .regions
            .iter()
            .flat_map(|(region, share)| share.cells.iter().map(move |cell| (cell, region.clone())));
        let moving = map
            .moves
            .iter()
            .enumerate()
            .flat_map(|(at, row)| row.cells.iter().map(move |cell| (cell, at)));
        Self {
            owners: owned.collect(),
            moving: moving.collect(),
            map,
        }
    }

    /// The map.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Whose a cell of any resolution is; `None` where nobody has all of it.
    pub fn owner(&self, cell: Cell) -> Option<Owner> {
        let region = cell.ancestry().find_map(|cell| self.owners.get(&cell))?;
        Some(Owner {
            region: region.clone(),
            public_url: self.map.regions.get(region)?.public_url.clone(),
            map_version: self.map.version,
        })
    }

    /// Whose a place is.
    pub fn locate(&self, place: &LatLng) -> Option<Owner> {
        self.owner(place.cell(REGION_RESOLUTION))
    }

    /// The move that a cell is part of.
    pub fn moving(&self, cell: Cell) -> Option<&Move> {
        let at = cell.ancestry().find_map(|cell| self.moving.get(&cell))?;
        self.map.moves.get(*at)
    }
}

/// Every way in which a document of the hub contradicts itself; a node keeps the version before.
pub fn faults(map: &Map) -> Vec<String> {
    let mut faults = Vec::new();
    let mut before = CellSet::default();
    for (region, share) in &map.regions {
        if share.cells.len() > CELLS_MAX {
            faults.push(format!(
                "{region} has {} cells, the limit is {CELLS_MAX}",
                share.cells.len()
            ));
        }
        if let Some(cell) = share.cells.iter().find(|cell| cell.0.resolution() > REGION_RESOLUTION) {
            faults.push(format!("{region}: cell {cell} is finer than resolution 7"));
        }
        if let Some(cell) = before.overlap(&share.cells) {
            faults.push(format!("cell {cell} of {region} has another owner, too"));
        }
        before = before.union(&share.cells);
    }
    let mut ids = BTreeSet::new();
    for row in &map.moves {
        let owner = match row.phase {
            Phase::Leaving => &row.from,
            Phase::Arriving => &row.to,
        };
        if !ids.insert(row.id) {
            faults.push(format!("move {} is listed twice", row.id));
        }
        let owned = map.cells(owner);
        if let Some(cell) = row.cells.iter().find(|cell| !owned.covers(*cell)) {
            faults.push(format!("move {}: cell {cell} does not belong to {owner}", row.id));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
