//! Which cells are the region's: what the hub's map says, and before there is one, what the configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tomato_shared::cell::{Cell, CellSet, LatLng, REGION_RESOLUTION, RegionId};
use tomato_shared::directory::{Directory, Owner, Phase};
use tomato_shared::rejection::Rejection;

use super::command::Refusal;
use super::policy::Policy;

/// What the region knows of who owns what. Rows of its file, so that it is known without the hub.
#[derive(Debug, Clone, Default)]
pub struct Territory {
    /// The newest map; empty before the first.
    pub directory: Arc<Directory>,
    /// What this region has done for moves that are not over, by the number of the move.
    pub parts: BTreeMap<u64, Part>,
}

/// What a region has done for a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whether the cells left this region, or came to it.
    pub side: Side,
    /// The other region.
    pub other: RegionId,
    /// Which cells.
    pub cells: CellSet,
    /// Whether the other region was given what comes along: from then on nothing is taken back.
    pub handed_out: bool,
}

/// Which part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The region has stopped, and what comes along is written down.
    Left,
    /// What comes along is here, and orders are taken.
    Arrived,
}

/// Whose a cell is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This region's.
    Ours,
    /// This region's, which takes no orders there yet, or no more.
    Moving,
    /// Another region's.
    Theirs(Owner),
    /// Nobody's.
    Nobodys,
}

impl Territory {
    /// Whose a cell is. What is configured and nobody's on the map is the region's own: the hub has yet to hear of it.
    pub fn whose(&self, policy: &Policy, cell: Cell) -> Whose {
        match self.directory.owner(cell) {
            Some(owner) if owner.region != policy.region => Whose::Theirs(owner),
            Some(_) if self.is_still(cell) => Whose::Moving,
            Some(_) => Whose::Ours,
            None if policy.cells.covers(cell) => Whose::Ours,
            None => Whose::Nobodys,
        }
    }

    /// Whether nobody takes orders in a cell that the map gives to this region.
    fn is_still(&self, cell: Cell) -> bool {
        self.directory.moving(cell).is_some_and(|row| match row.phase {
            Phase::Leaving => true,
            Phase::Arriving => !self.parts.contains_key(&row.id),
        })
    }

    /// Refuses a place that is not the region's: `other_region` where it is another's, which is named, `cell_moving` where it is
    /// on the way, `out_of_area` where it is nobody's.
    pub fn check(&self, policy: &Policy, place: &LatLng) -> Result<(), Refusal> {
        match self.whose(policy, place.cell(REGION_RESOLUTION)) {
            Whose::Ours => Ok(()),
            Whose::Moving => Err(Rejection::CellMoving.into()),
            Whose::Theirs(owner) => Err(elsewhere(owner)),
            Whose::Nobodys => Err(Rejection::OutOfArea.into()),
        }
    }

    /// Refuses what has gone to another region.
    pub fn gone(&self, to: &RegionId) -> Refusal {
        let map = self.directory.map();
        let url = map.regions.get(to).map(|share| share.public_url.clone());
        elsewhere(Owner {
            region: to.clone(),
            public_url: url.unwrap_or_default(),
            map_version: map.version,
        })
    }
}

/// Says who has it, and where.
fn elsewhere(owner: Owner) -> Refusal {
    let detail = format!("it belongs to region {}, {}", owner.region, owner.public_url);
    Refusal {
        owner: Some(Box::new(owner)),
        ..Refusal::with(Rejection::OtherRegion, detail)
    }
}
