//! Which cells are the region's: what the hub's map says, and before there is one, what the configuration says.

use std::sync::Arc;

use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION};
use tomato_shared::directory::{Directory, Map, Owner};
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::done;
use super::draft::Draft;
use super::policy::Policy;

/// What the region knows of who owns what. A row of its file, so that it is known without the hub.
#[derive(Debug, Clone, Default)]
pub struct Territory {
    /// The newest map; empty before the first.
    pub directory: Arc<Directory>,
}

/// Whose a cell is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This region's.
    Ours,
    /// Another region's.
    Theirs(Owner),
    /// Nobody's.
    Nobodys,
}

impl Territory {
    /// Whose a cell is. What is configured and nobody's on the map is the region's own: the hub has yet to hear of it.
    pub fn whose(&self, policy: &Policy, cell: Cell) -> Whose {
        match self.directory.owner(cell) {
            Some(owner) if owner.region == policy.region => Whose::Ours,
            Some(owner) => Whose::Theirs(owner),
            None if policy.cells.covers(cell) => Whose::Ours,
            None => Whose::Nobodys,
        }
    }

    /// Refuses a place that is not the region's: `other_region` where it is another's, which is named; `out_of_area` where it is
    /// nobody's.
    pub fn check(&self, policy: &Policy, place: &LatLng) -> Result<(), Refusal> {
        match self.whose(policy, place.cell(REGION_RESOLUTION)) {
            Whose::Ours => Ok(()),
            Whose::Theirs(owner) => Err(elsewhere(&owner)),
            Whose::Nobodys => Err(Rejection::OutOfArea.into()),
        }
    }
}

/// Says who has it, and where.
fn elsewhere(owner: &Owner) -> Refusal {
    let (region, url) = (&owner.region, &owner.public_url);
    Refusal::with(Rejection::OtherRegion, format!("it belongs to region {region}, {url}"))
}

/// Takes a newer map in; an older one, or the same, changes nothing.
pub(super) fn take_map(draft: &mut Draft<'_>, map: &Map) -> Answer {
    let current = &draft.city.catalogue().territory;
    if map.version > current.directory.map().version {
        draft.changes.territory = Some(Arc::new(Territory {
            directory: Arc::new(Directory::new(map.clone())),
        }));
    }
    done()
}
