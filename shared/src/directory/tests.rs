use super::*;

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}

fn town() -> LatLng {
    LatLng::new(12.9716, 77.5946).unwrap()
}

fn far() -> LatLng {
    town().offset_m(60_000.0, 0.0)
}

/// Two regions that do not touch.
fn map() -> Map {
    let mut map = Map::default();
    assert_eq!(map.grant(&region("blr"), &CellSet::disk(town(), 2)), None);
    assert_eq!(map.grant(&region("mys"), &CellSet::disk(far(), 2)), None);
    map.version = 3;
    map
}

#[test]
fn each_cell_has_one_owner() {
    let directory = Directory::new(map());
    let owner = directory.locate(&town()).unwrap();
    assert_eq!((owner.region.as_str(), owner.map_version), ("blr", 3));
    assert_eq!(directory.locate(&far()).unwrap().region.as_str(), "mys");
    assert_eq!(directory.locate(&town().offset_m(30_000.0, 0.0)), None);
    let fine = town().cell(crate::cell::DRIVER_RESOLUTION);
    assert_eq!(directory.owner(fine).unwrap().region.as_str(), "blr");
    let coarse = town().cell(h3o::Resolution::Three);
    assert_eq!(directory.owner(coarse), None, "nobody has all of it");
}

#[test]
fn a_claim_gets_what_is_free_and_is_told_whose_the_rest_is() {
    let mut map = map();
    let wide = CellSet::disk(town(), 3);
    let overlap = map.grant(&region("kol"), &wide).unwrap();
    assert_eq!(overlap.owner, region("blr"));
    assert!(overlap.to_string().ends_with("belongs to blr"), "{overlap}");
    let ring = wide.len() - CellSet::disk(town(), 2).len();
    let uncompacted = |cells: &CellSet| {
        cells
            .iter()
            .map(|cell| cell.0.children_count(REGION_RESOLUTION))
            .sum::<u64>()
    };
    assert_eq!(uncompacted(&map.cells(&region("kol"))), ring as u64);
    assert_eq!(faults(&map), Vec::<String>::new());
    let before = map.clone();
    assert_eq!(map.grant(&region("blr"), &CellSet::disk(town(), 2)), None);
    assert_eq!(map, before, "a claim of what one has changes nothing");
}

#[test]
fn a_region_does_not_claim_back_what_it_gave_away() {
    let mut map = map();
    let configured = CellSet::disk(town(), 2);
    let gone = CellSet::new([town().cell(REGION_RESOLUTION)]);
    map.hand_over(&region("blr"), &region("mys"), &gone);
    let claim = map.claim(&region("blr"), &configured);
    assert_eq!(claim.overlap(&gone), None);
    let wider = map.claim(&region("blr"), &CellSet::disk(town(), 3));
    assert!(wider.covers(town().offset_m(0.0, 6_500.0).cell(REGION_RESOLUTION)));
    assert_eq!(wider.overlap(&gone), None);
    assert_eq!(Directory::new(map).locate(&town()).unwrap().region, region("mys"));
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let mut twice = map();
    let cells = CellSet::disk(town(), 1);
    twice.regions.insert(
        region("kol"),
        Share {
            cells: cells.clone(),
            ..Share::default()
        },
    );
    assert_eq!(faults(&twice).len(), 1, "{:?}", faults(&twice));
    let mut moving = map();
    let row = Move {
        id: 1,
        from: region("blr"),
        to: region("mys"),
        cells: cells.clone(),
        phase: Phase::Arriving,
    };
    moving.moves = vec![row.clone()];
    assert!(
        faults(&moving)[0].contains("does not belong to mys"),
        "{:?}",
        faults(&moving)
    );
    moving.hand_over(&row.from, &row.to, &cells);
    assert_eq!(faults(&moving), Vec::<String>::new());
    assert_eq!(
        Directory::new(moving.clone()).moving(town().cell(REGION_RESOLUTION)),
        Some(&row)
    );
    moving.moves.push(row);
    assert_eq!(faults(&moving), ["move 1 is listed twice"]);
}

#[test]
fn maps_survive_the_wire() {
    let map = map();
    let bytes = rmp_serde::to_vec_named(&map).unwrap();
    assert_eq!(rmp_serde::from_slice::<Map>(&bytes).unwrap(), map);
    let json = serde_json::to_string(&map).unwrap();
    assert_eq!(serde_json::from_str::<Map>(&json).unwrap(), map);
}
