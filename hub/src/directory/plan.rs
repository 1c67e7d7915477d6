//! PURE: what the next version of the map says, given what the regions say of themselves.

use std::collections::BTreeMap;

use tomato_shared::cell::RegionId;
use tomato_shared::directory::{CELLS_MAX, Map, Overlap};
use tomato_shared::sync::Territory;
use tomato_shared::time::UnixMs;

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
    /// Nothing is changed until an operator has decided.
    #[error(
        "{region} has map version {theirs}, this hub only {ours}: the hub's file is an old copy. Restore a newer one, or have \
         the map made again from what the regions say: tomato-hub cells rebuild"
    )]
    Behind { region: RegionId, theirs: u64, ours: u64 },
}

/// The next map, or the same where nothing changes, and what does not fit.
pub(super) fn next(map: &Map, said: &BTreeMap<RegionId, Said>, now: UnixMs) -> (Map, Vec<Trouble>) {
    let newest = said.iter().max_by_key(|(_, said)| said.territory.map_version);
    if let Some((region, newest)) = newest
        && map.version > 0
        && newest.territory.map_version > map.version
    {
        let trouble = Trouble::Behind {
            region: region.clone(),
            theirs: newest.territory.map_version,
            ours: map.version,
        };
        return (map.clone(), vec![trouble]);
    }
    let mut next = map.clone();
    let mut troubles = Vec::new();
    // Where there is no map any more, whoever has seen a newer one knows better.
    let mut claims: Vec<_> = said.iter().collect();
    claims.sort_by_key(|(_, said)| std::cmp::Reverse(said.territory.map_version));
    for (region, said) in claims {
        troubles.extend(claim(&mut next, region, said));
    }
    if next != *map {
        next.version = newest
            .map_or(0, |(_, said)| said.territory.map_version)
            .max(map.version)
            + 1;
        next.made_at = now;
    }
    (next, troubles)
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
mod tests {
    use tomato_shared::cell::{Cell, CellSet, LatLng, REGION_RESOLUTION};
    use tomato_shared::directory::{Directory, faults};

    use super::*;

    const NOW: UnixMs = UnixMs(5_000);

    fn region(name: &str) -> RegionId {
        name.parse().unwrap()
    }

    fn town() -> LatLng {
        LatLng::new(12.9716, 77.5946).unwrap()
    }

    fn says(map_version: u64, cells: CellSet) -> Said {
        Said {
            public_url: "https://there".into(),
            territory: Territory { map_version, cells },
        }
    }

    #[test]
    fn the_first_map_is_made_from_what_the_regions_say() {
        let far = town().offset_m(90_000.0, 0.0);
        let said = BTreeMap::from([
            (region("blr"), says(0, CellSet::disk(town(), 2))),
            (region("mys"), says(0, CellSet::disk(far, 2))),
        ]);
        let (map, troubles) = next(&Map::default(), &said, NOW);
        assert_eq!((map.version, map.made_at, troubles), (1, NOW, vec![]));
        let directory = Directory::new(map.clone());
        let owner = directory.locate(&far).unwrap();
        assert_eq!(
            (owner.region.as_str(), owner.public_url.as_str()),
            ("mys", "https://there")
        );
        assert_eq!(
            next(&map, &said, UnixMs(9_000)).0,
            map,
            "the same said again changes nothing"
        );
        let moved = BTreeMap::from([(
            region("mys"),
            Said {
                public_url: "https://new".into(),
                ..says(1, CellSet::disk(far, 2))
            },
        )]);
        let (map, _) = next(&map, &moved, NOW);
        assert_eq!(
            (
                map.version,
                Directory::new(map).locate(&far).unwrap().public_url.as_str()
            ),
            (2, "https://new")
        );
    }

    #[test]
    fn overlaps_are_refused_and_the_owner_is_named() {
        let blr = BTreeMap::from([(region("blr"), says(0, CellSet::disk(town(), 2)))]);
        let (map, _) = next(&Map::default(), &blr, NOW);
        let mut said = blr;
        said.insert(region("kol"), says(0, CellSet::disk(town().offset_m(6_000.0, 0.0), 2)));
        let (map, troubles) = next(&map, &said, NOW);
        assert_eq!(map.version, 2);
        assert_eq!(faults(&map), Vec::<String>::new());
        assert_eq!(Directory::new(map).locate(&town()).unwrap().region, region("blr"));
        let [trouble] = troubles.as_slice() else {
            panic!("{troubles:?}")
        };
        assert!(trouble.to_string().ends_with("belongs to blr"), "{trouble}");
    }

    #[test]
    fn an_old_copy_of_the_hub_makes_no_map() {
        let said = BTreeMap::from([(region("blr"), says(7, CellSet::disk(town(), 2)))]);
        let old = Map {
            version: 5,
            ..Map::default()
        };
        let (map, troubles) = next(&old, &said, NOW);
        assert_eq!(map, old);
        assert!(
            matches!(troubles[..], [Trouble::Behind { theirs: 7, ours: 5, .. }]),
            "{troubles:?}"
        );
        let (map, troubles) = next(&Map::default(), &said, NOW);
        assert_eq!(
            (map.version, troubles.len()),
            (8, 0),
            "a new hub goes on behind what the regions have"
        );
    }

    #[test]
    fn whoever_has_the_newer_map_is_believed_when_the_hub_has_none() {
        let gone = CellSet::new([town().cell(REGION_RESOLUTION)]);
        let said = BTreeMap::from([
            (region("blr"), says(4, CellSet::disk(town(), 2))),
            (region("mys"), says(5, gone)),
        ]);
        let (map, _) = next(&Map::default(), &said, NOW);
        assert_eq!(Directory::new(map).locate(&town()).unwrap().region, region("mys"));
    }

    #[test]
    fn a_claim_without_measure_gets_nothing() {
        let street = CellSet::new([town().cell(h3o::Resolution::Nine)]);
        let world = CellSet::new(
            h3o::CellIndex::base_cells()
                .flat_map(|cell| cell.children(h3o::Resolution::Four))
                .map(Cell),
        );
        assert!(world.len() > CELLS_MAX);
        for cells in [street, world] {
            let said = BTreeMap::from([(region("blr"), says(0, cells))]);
            let (map, troubles) = next(&Map::default(), &said, NOW);
            assert_eq!((map.version, troubles.len()), (0, 1));
        }
    }
}
