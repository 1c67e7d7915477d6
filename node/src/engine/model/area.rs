//! Parts of a region, drawn as finely as their owner likes.

use h3o::Resolution;
use tomato_shared::cell::{Cell, CellSet, LatLng};

/// Whether a place lies in one of the cells, of whatever resolution. [`CellSet::contains`] looks no closer than the cells
/// that regions own, and would find no place in a set of finer ones.
pub fn holds(cells: &CellSet, place: &LatLng) -> bool {
    if cells.contains(place) {
        return true;
    }
    // Each asked for by itself: children stick out of their parents, so a parent's cell is not always the place's.
    let around: Vec<Cell> = Resolution::range(Resolution::Eight, Resolution::Fifteen)
        .map(|resolution| place.cell(resolution))
        .collect();
    cells.iter().any(|cell| around.contains(&cell))
}

#[cfg(test)]
mod tests {
    use tomato_shared::cell::REGION_RESOLUTION;

    use super::*;

    #[test]
    fn cells_of_every_resolution_hold_their_places() {
        let here = LatLng::new(12.9716, 77.5946).unwrap();
        let far = here.offset_m(200_000.0, 0.0);
        for resolution in Resolution::range(REGION_RESOLUTION, Resolution::Twelve) {
            let cells = CellSet::new([here.cell(resolution)]);
            assert!(holds(&cells, &here), "{resolution}");
            assert!(!holds(&cells, &far), "{resolution}");
        }
        let street = CellSet::new([here.cell(Resolution::Nine)]);
        assert!(!holds(&street, &here.offset_m(1_000.0, 0.0)));
        assert!(!holds(&CellSet::default(), &here));
    }
}
