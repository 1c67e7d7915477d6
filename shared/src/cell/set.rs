//! Sets of cells, as regions own them.

use std::collections::{BTreeMap, BTreeSet};

use h3o::{CellIndex, Resolution};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, LatLng, REGION_RESOLUTION};

/// Cells of any resolution, compacted or not: a place belongs if its cell or any parent of it is in the set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CellSet(BTreeSet<Cell>);

impl CellSet {
    /// A set of cells.
    pub fn new(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self(cells.into_iter().collect())
    }

    /// All cells within `rings` steps of the cell around `centre`, at [`REGION_RESOLUTION`].
    pub fn disk(centre: LatLng, rings: u32) -> Self {
        let around: Vec<CellIndex> = centre.cell(REGION_RESOLUTION).0.grid_disk(rings);
        Self(around.into_iter().map(Cell).collect())
    }

    /// Whether the place lies in one of the cells.
    pub fn contains(&self, place: &LatLng) -> bool {
        // Finer ones are asked for by themselves: children stick out of their parents, so a parent's cell is not always
        // the place's.
        let finer = Resolution::range(Resolution::Eight, Resolution::Fifteen);
        self.covers(place.cell(REGION_RESOLUTION)) || finer.into_iter().any(|fine| self.0.contains(&place.cell(fine)))
    }

    /// Whether the cell or one that it lies in is in the set.
    pub fn covers(&self, cell: Cell) -> bool {
        cell.ancestry().any(|cell| self.0.contains(&cell))
    }

    /// The first cell of either set that the two have in common.
    pub fn overlap(&self, other: &Self) -> Option<Cell> {
        let here = self.iter().find(|cell| other.covers(*cell));
        here.or_else(|| other.iter().find(|cell| self.covers(*cell)))
    }

    /// The cells of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).copied().collect())
    }

    /// What lies in both sets.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let here = self.iter().filter(|cell| other.covers(*cell));
        Self(here.chain(other.iter().filter(|cell| self.covers(*cell))).collect())
    }

    /// What is left of these cells without the others; a cell that is only partly taken away is split, down to
    /// [`REGION_RESOLUTION`].
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let touched: BTreeSet<Cell> = other.iter().flat_map(|cell| cell.ancestry().skip(1)).collect();
        let mut open: Vec<Cell> = self.iter().collect();
        let mut left = BTreeSet::new();
        while let Some(cell) = open.pop() {
            let finer = cell.0.resolution().succ().filter(|finer| *finer <= REGION_RESOLUTION);
            match finer {
                _ if other.covers(cell) => {}
                Some(finer) if touched.contains(&cell) => open.extend(cell.0.children(finer).map(Cell)),
                Some(_) | None => {
                    left.insert(cell);
                }
            }
        }
        Self(left)
    }

    /// The same area in as few cells as possible.
    #[must_use]
    pub fn compacted(&self) -> Self {
        let mut cells: BTreeSet<Cell> = self
            .iter()
            .filter(|cell| !cell.ancestry().skip(1).any(|up| self.0.contains(&up)))
            .collect();
        for resolution in Resolution::range(Resolution::One, REGION_RESOLUTION)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            let mut families: BTreeMap<Cell, Vec<Cell>> = BTreeMap::new();
            for cell in cells.iter().filter(|cell| cell.0.resolution() == resolution) {
                if let Some(parent) = cell.ancestry().nth(1) {
                    families.entry(parent).or_default().push(*cell);
                }
            }
            for (parent, children) in families {
                if parent.0.children_count(resolution) == children.len() as u64 {
                    cells.retain(|cell| !children.contains(cell));
                    cells.insert(parent);
                }
            }
        }
        Self(cells)
    }

    /// The cells in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Cell> + '_ {
        self.0.iter().copied()
    }

    /// How many cells are in the set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> LatLng {
        LatLng::new(12.9716, 77.5946).unwrap()
    }

    fn leaf() -> Cell {
        here().cell(REGION_RESOLUTION)
    }

    fn parent(resolution: Resolution) -> CellSet {
        CellSet::new([Cell(leaf().0.parent(resolution).unwrap())])
    }

    #[test]
    fn a_set_knows_places_by_leaf_and_by_parent() {
        let disk = CellSet::disk(here(), 3);
        assert_eq!(disk.len(), 37);
        assert!(disk.contains(&here()));
        assert!(!disk.contains(&here().offset_m(40_000.0, 0.0)));
        // By parent of the leaf, not by the coarse cell around the place: H3 cells do not nest exactly.
        assert!(parent(Resolution::Four).contains(&here()));
    }

    #[test]
    fn cells_of_every_resolution_hold_their_places() {
        let far = here().offset_m(200_000.0, 0.0);
        for resolution in Resolution::range(REGION_RESOLUTION, Resolution::Twelve) {
            let cells = CellSet::new([here().cell(resolution)]);
            assert!(cells.contains(&here()), "{resolution}");
            assert!(!cells.contains(&far), "{resolution}");
        }
        let street = CellSet::new([here().cell(Resolution::Nine)]);
        assert!(!street.contains(&here().offset_m(1_000.0, 0.0)));
        assert!(!CellSet::default().contains(&here()));
    }

    #[test]
    fn sets_are_taken_apart_and_put_together() {
        let town = parent(Resolution::Five);
        let taken = CellSet::new([leaf()]);
        let rest = town.without(&taken);
        assert_eq!(
            rest.len(),
            6 + 6,
            "six of the middle ones, six leaves around the one that is gone"
        );
        assert!(!rest.covers(leaf()));
        assert_eq!(rest.overlap(&taken), None);
        assert_eq!(town.overlap(&taken), Some(leaf()));
        assert_eq!(taken.overlap(&town), Some(leaf()));
        assert_eq!(rest.union(&taken).compacted(), town);
        assert_eq!(town.common(&taken), taken);
        assert_eq!(taken.without(&town), CellSet::default());
        let leaves = CellSet::new(
            town.iter()
                .flat_map(|cell| cell.0.children(REGION_RESOLUTION))
                .map(Cell),
        );
        assert_eq!((leaves.len(), leaves.compacted()), (49, town));
    }
}
