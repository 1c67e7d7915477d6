//! `tomato-hub cells`: moves cells between regions, and says who has which.
//!
//! Works on the database file, so it may run beside a running hub, which begins within a second. Each command may be
//! repeated: what is done or under way already is said, not done again.

use std::fmt::Write as _;

use rusqlite::{Connection, TransactionBehavior};
use tomato_shared::cell::{Cell, CellSet, REGION_RESOLUTION, RegionId};
use tomato_shared::directory::Map;
use tomato_shared::time::UnixMs;

use crate::clock;
use crate::config::HubConfig;
use crate::store::moves::{self, MoveRow, State};
use crate::store::regions::{self, StoredHeartbeat};
use crate::store::{self, Beside, StoreFault, directory};

/// Moves that `status` shows.
const SHOWN: u32 = 50;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum CellsFault {
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreFault),
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Sql(#[from] rusqlite::Error),
    /// No such region.
    #[error("{0} is not registered, see tomato-hub region list")]
    Unknown(RegionId),
    /// Nothing to do.
    #[error("{0} cannot give cells to itself")]
    Itself(RegionId),
    /// Nothing was named.
    #[error("name at least one cell, as 8760145b0ffffff")]
    NoCells,
    /// Too fine.
    #[error("cell {0} is finer than resolution 7: regions own whole cells of resolution 7 or coarser")]
    TooFine(Cell),
    /// Somebody else's, or nobody's.
    #[error("cell {cell} belongs to {owner}, not to {from}: nothing is moved")]
    NotOwned {
        /// The first of them.
        cell: Cell,
        /// Whose it is.
        owner: String,
        /// Whose it was said to be.
        from: RegionId,
    },
    /// One after the other.
    #[error(
        "cell {cell} is part of move {id}, which is {state}: wait for it, or call it off with tomato-hub cells cancel {id}"
    )]
    UnderWay {
        /// The first of them.
        cell: Cell,
        /// The other move.
        id: u64,
        /// How far it is.
        state: &'static str,
    },
    /// A split makes a new region.
    #[error("{0} has cells already; to give it more use tomato-hub cells move")]
    NotNew(RegionId),
    /// It may come back.
    #[error(
        "{0} may connect, so its cells are its own: give them to another with tomato-hub cells merge, or revoke it first"
    )]
    NotRevoked(RegionId),
    /// No such move.
    #[error("there is no move {0}")]
    NoMove(u64),
    /// It has gone too far.
    #[error("move {id} is {state}: it is too late to call it off")]
    TooLate {
        /// Which.
        id: u64,
        /// How far it is.
        state: &'static str,
    },
}

/// What is wanted of whom.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// These cells.
    Move(Vec<Cell>),
    /// These cells, to a region that has none.
    Split(Vec<Cell>),
    /// All cells.
    Merge,
}

/// Has cells change hands. Returns what to tell the operator.
///
/// # Errors
/// [`CellsFault`]; nothing is changed.
pub fn hand_over(config: &HubConfig, (from, to): (&RegionId, &RegionId), wanted: Wanted) -> Result<String, CellsFault> {
    let mut conn = Beside::open(&config.database())?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let said = ask(&tx, (from, to), wanted, clock::now())?;
    tx.commit()?;
    Ok(said)
}

fn ask(
    conn: &Connection,
    (from, to): (&RegionId, &RegionId),
    wanted: Wanted,
    now: UnixMs,
) -> Result<String, CellsFault> {
    if from == to {
        return Err(CellsFault::Itself(from.clone()));
    }
    let registered = regions::list(conn)?;
    for region in [from, to] {
        if !registered
            .iter()
            .any(|row| row.id == *region && row.removed_at.is_none())
        {
            return Err(CellsFault::Unknown(region.clone()));
        }
    }
    let map = directory::newest(conn)?;
    let is_split = matches!(wanted, Wanted::Split(_));
    let cells = match wanted {
        Wanted::Merge => map.cells(from),
        Wanted::Move(cells) | Wanted::Split(cells) => named(cells)?,
    };
    let there = map.cells(to);
    if let Some(row) = moves::open(conn)?
        .into_iter()
        .find(|row| row.from == *from && row.to == *to && row.cells == cells)
    {
        return Ok(format!(
            "move {} of {} is under way: {}\n",
            row.id,
            counted(&cells),
            row.state.name()
        ));
    }
    if cells.iter().all(|cell| there.covers(cell)) {
        return Ok(format!("{to} has them already, nothing to do\n"));
    }
    if is_split && !there.is_empty() {
        return Err(CellsFault::NotNew(to.clone()));
    }
    refuse_foreign(&map, from, &cells)?;
    if let Some((row, cell)) = moves::open(conn)?
        .into_iter()
        .find_map(|row| row.cells.overlap(&cells).map(|cell| (row, cell)))
    {
        let (id, state) = (row.id, row.state.name());
        return Err(CellsFault::UnderWay { cell, id, state });
    }
    let id = moves::add(conn, (from, to), &cells, now)?;
    Ok(format!(
        "move {id} of {} from {from} to {to} is asked for; tomato-hub cells status shows how far it is\n",
        counted(&cells)
    ))
}

fn named(cells: Vec<Cell>) -> Result<CellSet, CellsFault> {
    if let Some(fine) = cells.iter().find(|cell| cell.0.resolution() > REGION_RESOLUTION) {
        return Err(CellsFault::TooFine(*fine));
    }
    if cells.is_empty() {
        return Err(CellsFault::NoCells);
    }
    Ok(CellSet::new(cells).compacted())
}

fn refuse_foreign(map: &Map, from: &RegionId, cells: &CellSet) -> Result<(), CellsFault> {
    let owned = map.cells(from);
    let Some(cell) = cells.iter().find(|cell| !owned.covers(*cell)) else {
        return Ok(());
    };
    let overlap = map.overlap(from, &CellSet::new([cell]));
    Err(CellsFault::NotOwned {
        cell,
        owner: overlap.map_or_else(|| "nobody".into(), |overlap| overlap.owner.to_string()),
        from: from.clone(),
    })
}

fn counted(cells: &CellSet) -> String {
    let leaves: u64 = cells.iter().map(|cell| cell.0.children_count(REGION_RESOLUTION)).sum();
    format!("{leaves} cells of resolution 7")
}

/// Calls a move off.
///
/// # Errors
/// [`CellsFault`]; nothing is changed.
pub fn cancel(config: &HubConfig, id: u64) -> Result<String, CellsFault> {
    let conn = Beside::open(&config.database())?;
    let row = moves::find(&conn, id)?.ok_or(CellsFault::NoMove(id))?;
    if row.state == State::Cancelled {
        return Ok(format!("move {id} was called off already\n"));
    }
    if moves::cancel(&conn, id)? {
        return Ok(format!("move {id} is being called off\n"));
    }
    let state = moves::find(&conn, id)?.map_or("gone", |row| row.state.name());
    Err(CellsFault::TooLate { id, state })
}

/// Who has how many cells, the moves that are under way and for whom they wait, and the newest that are over.
///
/// # Errors
/// [`CellsFault`]
pub fn status(config: &HubConfig) -> Result<String, CellsFault> {
    let conn = store::open(&config.database())?;
    let map = directory::newest(&conn)?;
    let heard = regions::heartbeats(&conn)?;
    let now = clock::now();
    let mut text = format!("map version {} of {}\n", map.version, map.made_at);
    for (region, share) in &map.regions {
        writeln!(text, "{region}\t{}\t{}", counted(&share.cells), share.public_url).ok();
    }
    for row in moves::newest(&conn, SHOWN)? {
        let (id, from, to, state) = (row.id, &row.from, &row.to, row.state.name());
        let waits = waits_for(&row, &heard, now);
        writeln!(
            text,
            "move {id}\t{from} -> {to}\t{}\t{state} since {}{waits}",
            counted(&row.cells),
            row.since
        )
        .ok();
    }
    Ok(text)
}

fn waits_for(row: &MoveRow, heard: &[StoredHeartbeat], now: UnixMs) -> String {
    let last = |region: &RegionId| match heard.iter().find(|beat| beat.region == *region) {
        Some(beat) => format!("{region}, heard {} s ago", (now - beat.received_at).0.max(0) / 1_000),
        None => format!("{region}, never heard"),
    };
    let whom = match row.state {
        State::Waiting => format!("{}, and for {}", last(&row.from), last(&row.to)),
        State::Leaving => last(&row.from),
        State::Arriving => last(&row.to),
        State::Done | State::Cancelled => return String::new(),
    };
    format!(", waits for {whom}")
}

/// Takes a region that is gone for good off the map: nobody is asked to wait for it any more, and its cells are free for
/// whoever has them in its configuration. Moves of its cells are over.
///
/// # Errors
/// [`CellsFault`]; nothing is changed.
pub fn release(config: &HubConfig, region: &RegionId) -> Result<String, CellsFault> {
    let mut conn = Beside::open(&config.database())?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let said = take_off(&tx, region, clock::now())?;
    tx.commit()?;
    Ok(said)
}

fn take_off(conn: &Connection, region: &RegionId, now: UnixMs) -> Result<String, CellsFault> {
    let registered = regions::list(conn)?;
    let row = registered.iter().find(|row| row.id == *region);
    if row
        .ok_or_else(|| CellsFault::Unknown(region.clone()))?
        .removed_at
        .is_none()
    {
        return Err(CellsFault::NotRevoked(region.clone()));
    }
    let mut map = directory::newest(conn)?;
    let Some(share) = map.regions.remove(region) else {
        return Ok(format!("{region} has no cells, nothing to do\n"));
    };
    map.moves
        .retain(|listed| listed.from != *region && listed.to != *region);
    map.version += 1;
    map.made_at = now;
    directory::save(conn, &map)?;
    for row in moves::open(conn)? {
        // What was handed over stays where it is, without what should have come along.
        if row.from == *region && row.state == State::Arriving {
            moves::set(conn, row.id, State::Done, now)?;
        } else if row.from == *region || row.to == *region {
            moves::set(conn, row.id, State::Cancelled, now)?;
        }
    }
    Ok(format!("{} of {region} are nobody's now\n", counted(&share.cells)))
}

/// Forgets the map, so that the running hub makes it again from what the regions say is theirs.
///
/// # Errors
/// [`CellsFault`]; nothing is changed.
pub fn rebuild(config: &HubConfig) -> Result<String, CellsFault> {
    let mut conn = Beside::open(&config.database())?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(row) = moves::open(&tx)?.into_iter().next() {
        let cell = row.cells.iter().next().ok_or(CellsFault::NoMove(row.id))?;
        let (id, state) = (row.id, row.state.name());
        return Err(CellsFault::UnderWay { cell, id, state });
    }
    directory::forget(&tx)?;
    tx.commit()?;
    Ok("the map is made again from what the regions say\n".into())
}

#[cfg(test)]
mod tests {
    use tomato_shared::cell::LatLng;

    use super::*;

    fn region(name: &str) -> RegionId {
        name.parse().unwrap()
    }

    fn town() -> LatLng {
        LatLng::new(12.9716, 77.5946).unwrap()
    }

    fn leaf() -> Cell {
        town().cell(REGION_RESOLUTION)
    }

    /// blr and mys, side by side, and new, which has nothing.
    fn fleet() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = store::open(&dir.path().join("hub.db")).unwrap();
        let mut map = Map::default();
        for (name, east_m) in [("blr", 0.0), ("mys", 90_000.0)] {
            map.grant(&region(name), &CellSet::disk(town().offset_m(east_m, 0.0), 2));
        }
        map.version = 1;
        for name in ["blr", "mys", "new"] {
            regions::register(&mut conn, &region(name), name, false, UnixMs(1)).unwrap();
        }
        directory::save(&conn, &map).unwrap();
        (dir, conn)
    }

    fn asks(conn: &Connection, from: &str, to: &str, wanted: Wanted) -> String {
        let asked = ask(conn, (&region(from), &region(to)), wanted, UnixMs(5));
        asked.unwrap_or_else(|fault| fault.to_string())
    }

    #[test]
    fn a_move_is_asked_for_once() {
        let (_dir, conn) = fleet();
        let wanted = || Wanted::Move(vec![leaf()]);
        let said = asks(&conn, "blr", "mys", wanted());
        assert!(said.starts_with("move 5 of 1 cells"), "{said}");
        let said = asks(&conn, "blr", "mys", wanted());
        assert!(said.contains("under way: waiting"), "{said}");
        let said = asks(&conn, "blr", "new", Wanted::Merge);
        assert!(said.contains("is part of move 5"), "{said}");
        assert_eq!(moves::open(&conn).unwrap().len(), 1);
        moves::set(&conn, 5, State::Done, UnixMs(6)).unwrap();
        let mut map = directory::newest(&conn).unwrap();
        map.version += 1;
        map.hand_over(&region("blr"), &region("mys"), &CellSet::new([leaf()]));
        directory::save(&conn, &map).unwrap();
        assert!(asks(&conn, "blr", "mys", wanted()).contains("already"));
        assert!(asks(&conn, "blr", "new", wanted()).contains("belongs to mys"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (_dir, conn) = fleet();
        let cases = [
            ("blr", "blr", Wanted::Merge, "to itself"),
            ("blr", "kol", Wanted::Merge, "kol is not registered"),
            ("blr", "mys", Wanted::Move(vec![]), "at least one cell"),
            (
                "blr",
                "mys",
                Wanted::Move(vec![town().cell(h3o::Resolution::Nine)]),
                "finer",
            ),
            ("mys", "new", Wanted::Move(vec![leaf()]), "belongs to blr"),
            ("blr", "mys", Wanted::Split(vec![leaf()]), "has cells already"),
            ("new", "mys", Wanted::Merge, "nothing to do"),
        ];
        for (from, to, wanted, expected) in cases {
            let said = asks(&conn, from, to, wanted);
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(moves::open(&conn).unwrap(), []);
        let nobodys = town().offset_m(40_000.0, 0.0).cell(REGION_RESOLUTION);
        assert!(asks(&conn, "blr", "mys", Wanted::Move(vec![nobodys])).contains("belongs to nobody"));
        assert!(asks(&conn, "blr", "new", Wanted::Split(vec![leaf()])).starts_with("move "));
    }

    #[test]
    fn a_revoked_region_is_taken_off_the_map_and_nobody_waits_for_it() {
        let (_dir, mut conn) = fleet();
        let release = |conn: &Connection, name| {
            let taken = take_off(conn, &region(name), UnixMs(9));
            taken.unwrap_or_else(|fault| fault.to_string())
        };
        assert!(release(&conn, "kol").contains("not registered"));
        assert!(release(&conn, "blr").contains("may connect"));
        let east = town().offset_m(90_000.0, 0.0).cell(REGION_RESOLUTION);
        asks(&conn, "blr", "new", Wanted::Move(vec![leaf()]));
        asks(&conn, "mys", "blr", Wanted::Move(vec![east]));
        moves::set(&conn, 5, State::Arriving, UnixMs(6)).unwrap();
        let mut map = directory::newest(&conn).unwrap();
        map.version += 1;
        map.hand_over(&region("blr"), &region("new"), &CellSet::new([leaf()]));
        directory::save(&conn, &map).unwrap();
        regions::remove(&conn, &region("blr"), UnixMs(8)).unwrap();
        let said = release(&conn, "blr");
        assert!(
            said.starts_with("18 cells of resolution 7 of blr are nobody's"),
            "{said}"
        );
        assert!(release(&conn, "blr").contains("nothing to do"));
        let map = directory::newest(&conn).unwrap();
        assert_eq!((map.version, map.moves.len(), map.regions.len()), (3, 0, 2));
        assert!(map.cells(&region("new")).covers(leaf()) && map.cells(&region("mys")).covers(east));
        assert_eq!(moves::open(&conn).unwrap(), []);
        let states: Vec<_> = moves::newest(&conn, 9).unwrap().iter().map(|row| row.state).collect();
        assert_eq!(states, [State::Cancelled, State::Done]);
        // Let in again it has what nobody else has by then.
        regions::register(&mut conn, &region("blr"), "blr", false, UnixMs(10)).unwrap();
        assert!(release(&conn, "blr").contains("may connect"));
    }

    #[test]
    fn a_move_can_be_called_off_until_it_is_handed_over() {
        let (_dir, conn) = fleet();
        asks(&conn, "blr", "mys", Wanted::Merge);
        assert!(moves::cancel(&conn, 5).unwrap());
        moves::set(&conn, 5, State::Arriving, UnixMs(6)).unwrap();
        assert!(!moves::cancel(&conn, 5).unwrap());
        assert!(!moves::cancel(&conn, 6).unwrap());
    }
}
