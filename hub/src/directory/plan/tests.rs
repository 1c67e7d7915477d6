use tomato_shared::cell::{CellSet, LatLng, REGION_RESOLUTION};
use tomato_shared::directory::{Directory, faults};

use super::*;

/// The next map without any moves.
fn next(map: &Map, said: &BTreeMap<RegionId, Said>, now: UnixMs) -> (Map, Vec<Trouble>) {
    let plan = super::next(map, &[], said, now);
    assert_eq!(plan.steps, vec![]);
    (plan.map, plan.troubles)
}

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
        territory: Territory {
            map_version,
            cells,
            ..Territory::default()
        },
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

fn wanted(state: State, cancel: bool) -> MoveRow {
    MoveRow {
        id: 7,
        from: region("blr"),
        to: region("mys"),
        cells: CellSet::new([town().cell(REGION_RESOLUTION)]),
        state,
        cancel,
        asked_at: NOW,
        since: NOW,
    }
}

/// Two regions of one map.
fn two() -> (Map, BTreeMap<RegionId, Said>) {
    let far = town().offset_m(90_000.0, 0.0);
    let mut said = BTreeMap::from([
        (region("blr"), says(0, CellSet::disk(town(), 2))),
        (region("mys"), says(0, CellSet::disk(far, 2))),
    ]);
    let (map, _) = next(&Map::default(), &said, NOW);
    for (region, said) in &mut said {
        said.territory.map_version = map.version;
        said.territory.cells = map.cells(region);
    }
    (map, said)
}

fn owner(map: &Map) -> String {
    Directory::new(map.clone()).locate(&town()).unwrap().region.to_string()
}

#[test]
fn a_move_waits_for_each_region_to_do_its_part() {
    let (map, mut said) = two();
    let step = |map: &Map, state, said: &BTreeMap<_, _>| super::next(map, &[wanted(state, false)], said, NOW);
    let alone = BTreeMap::from([(region("blr"), said[&region("blr")].clone())]);
    assert_eq!(
        step(&map, State::Waiting, &alone).map,
        map,
        "the new owner is not there"
    );
    let plan = step(&map, State::Waiting, &said);
    assert_eq!((plan.map.version, owner(&plan.map).as_str()), (2, "blr"));
    assert_eq!(plan.steps, [(7, State::Leaving)]);
    assert_eq!(faults(&plan.map), Vec::<String>::new());
    let map = plan.map;
    assert_eq!(
        step(&map, State::Leaving, &said).map,
        map,
        "the old owner has not stopped"
    );
    said.get_mut(&region("blr")).unwrap().territory.left = vec![7];
    let plan = step(&map, State::Leaving, &said);
    assert_eq!((plan.map.version, owner(&plan.map).as_str()), (3, "mys"));
    assert_eq!((plan.steps, plan.troubles), (vec![(7, State::Arriving)], vec![]));
    assert_eq!(faults(&plan.map), Vec::<String>::new());
    let map = plan.map;
    assert_eq!(step(&map, State::Arriving, &said).map, map, "nothing has arrived");
    said.get_mut(&region("mys")).unwrap().territory.arrived = vec![7];
    let plan = step(&map, State::Arriving, &said);
    assert_eq!(
        (plan.map.version, plan.map.moves.len(), owner(&plan.map).as_str()),
        (4, 0, "mys")
    );
    assert_eq!(plan.steps, [(7, State::Done)]);
}

#[test]
fn a_move_is_called_off_until_it_is_handed_over() {
    let (map, mut said) = two();
    let cancelled = super::next(&map, &[wanted(State::Waiting, true)], &said, NOW);
    assert_eq!(
        (cancelled.map, cancelled.steps),
        (map.clone(), vec![(7, State::Cancelled)])
    );
    let leaving = super::next(&map, &[wanted(State::Waiting, false)], &said, NOW).map;
    said.get_mut(&region("blr")).unwrap().territory.left = vec![7];
    let cancelled = super::next(&leaving, &[wanted(State::Leaving, true)], &said, NOW);
    assert_eq!((cancelled.map.version, cancelled.map.moves.len()), (3, 0));
    assert_eq!(
        (owner(&cancelled.map).as_str(), cancelled.steps),
        ("blr", vec![(7, State::Cancelled)])
    );
    let arriving = super::next(&leaving, &[wanted(State::Leaving, false)], &said, NOW).map;
    let kept = super::next(&arriving, &[wanted(State::Arriving, true)], &said, NOW);
    assert_eq!((kept.map, kept.steps), (arriving, vec![]), "too late");
}

#[test]
fn a_move_of_what_has_another_owner_by_now_is_called_off() {
    let (mut map, said) = two();
    map.hand_over(&region("blr"), &region("mys"), &wanted(State::Waiting, false).cells);
    let plan = super::next(&map, &[wanted(State::Waiting, false)], &said, NOW);
    assert_eq!(plan.steps, [(7, State::Cancelled)]);
    assert!(
        matches!(plan.troubles[..], [.., Trouble::NotOwned { id: 7, .. }]),
        "{:?}",
        plan.troubles
    );
}
