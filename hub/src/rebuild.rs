//! `tomato-hub rebuild`: makes the projections again from the stored events, and says whether they were the same before.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest as _, Sha256};
use tomato_shared::cell::RegionId;
use tomato_shared::event;

use crate::fold::{Facts, Fold};
use crate::projections::analytics::Deltas;
use crate::store::archive::{self, Kept};
use crate::store::{self, StoreFault, misstated, regions, rollups, state};

/// Events that are read, decoded and folded before the next are read.
const PAGE: usize = 5_120;

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Stored events, of all regions.
    pub events: u64,
    /// SHA-256 over all projections before, and after: equal if live ingestion had folded the same.
    pub before: String,
    /// See `before`.
    pub after: String,
}

/// Rebuilds the projections of a database that no running hub uses, in one transaction.
///
/// # Errors
/// [`StoreFault`]: nothing is changed.
pub fn rebuild(database: &Path) -> Result<Rebuilt, StoreFault> {
    let mut conn = store::open(database)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = digest(&tx)?;
    let events = replay(&tx)?;
    let after = digest(&tx)?;
    tx.commit()?;
    Ok(Rebuilt { events, before, after })
}

/// Makes the projections if they are missing, or of another program's fold.
pub(crate) fn bring_up(conn: &mut Connection) -> Result<(), StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if state::is_current(&tx)? {
        return Ok(());
    }
    let events = replay(&tx)?;
    tx.commit()?;
    tracing::info!(events, fold = state::FOLD, "projections made from the stored events");
    Ok(())
}

/// Drops the projections and folds all stored events again. Wants a transaction around it.
pub(crate) fn replay(conn: &Connection) -> Result<u64, StoreFault> {
    state::clear(conn)?;
    misstated::begin(conn)?;
    let mut events = 0;
    for region in regions::list(conn)? {
        let mut last = 0;
        loop {
            let page = archive::after(conn, &region.id, last, PAGE)?;
            let Some((newest, _)) = page.last() else { break };
            last = *newest;
            events += u64::try_from(page.len()).unwrap_or(0);
            fold(conn, &region.id, &page)?;
        }
    }
    Ok(events)
}

fn fold(conn: &Connection, region: &RegionId, page: &[Kept]) -> Result<(), StoreFault> {
    let mut fold = Fold::new(conn, region)?;
    for (seq, payload) in page {
        let decoded = event::decode(payload).map_err(|fault| StoreFault::Corrupt {
            table: "events",
            column: "payload",
            found: format!("{region} {seq}: {fault}"),
        })?;
        fold.take(&Facts::from(&decoded))?;
    }
    let mut all = Deltas::default();
    all.join(fold.finish()?.deltas);
    rollups::add_to_all(conn, &all)
}

/// Every stored event of a region, encoded, with its sequence: for whoever compares it with the region's own.
///
/// # Errors
/// [`StoreFault`]: the file cannot be read.
pub fn stored_events(database: &Path, region: &RegionId) -> Result<Vec<(u64, Vec<u8>)>, StoreFault> {
    archive::after(&store::open_reader(database)?, region, 0, usize::MAX)
}

/// SHA-256 over every row of every projection, in the order of their keys.
pub(crate) fn digest(conn: &Connection) -> Result<String, StoreFault> {
    let mut hash = Sha256::new();
    state::each_row(conn, |table, bytes| {
        hash.update(table);
        hash.update(bytes);
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
