//! Whether the books are as they were written: each posting's hash covers the one before it, so nobody changes, adds or takes
//! away a posting or an entry unseen.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;
use tomato_shared::id::Id;
use tomato_shared::time::UnixMs;

use super::{StoreFault, ledger, state};
use crate::projections::ledger::{Head, link};

/// Reads a region's books from the first posting to the newest, and says where they were changed; `None`: nowhere.
pub(crate) fn broken(conn: &Connection, region: &RegionId) -> Result<Option<String>, StoreFault> {
    // One state of the file, whatever is applied meanwhile.
    let tx = conn.unchecked_transaction()?;
    let (books, mut hash, mut postings) = (state::load(&tx, region)?.books, Vec::new(), 0);
    let mut read = tx.prepare_cached(
        "SELECT seq, at_ms, order_id, cause, currency, hash FROM postings WHERE region = ?1 ORDER BY seq",
    )?;
    let mut entries = tx
        .prepare_cached("SELECT account, party, amount_minor FROM entries WHERE region = ?1 AND seq = ?2 ORDER BY n")?;
    let mut rows = read.query([region.as_str()])?;
    while let Some(row) = rows.next()? {
        let (seq, order): (i64, Option<[u8; 16]>) = (row.get(0)?, row.get(2)?);
        let (cause, currency): (String, String) = (row.get(3)?, row.get(4)?);
        let head = Head {
            region: region.as_str(),
            seq: u64::try_from(seq).unwrap_or(0),
            at: UnixMs(row.get(1)?),
            order: order.map(Id::from_bytes),
            cause: &cause,
            currency: &currency,
        };
        let said = entries.query_map(params![region.as_str(), seq], |row| {
            let account = ledger::name(row.get(0)?);
            Ok((account, ledger::party_text(account, row.get(1)?), row.get(2)?))
        })?;
        let said = said.collect::<Result<Vec<_>, _>>()?;
        hash = link(&hash, head, said).to_vec();
        if row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)? != hash {
            return Ok(Some(format!(
                "the posting of event {seq}, or one before it, is not as it was written"
            )));
        }
        postings += 1;
    }
    if (postings, &hash) != (books.postings, &books.head) {
        return Ok(Some(format!(
            "{postings} postings where {} were written, or the newest is another",
            books.postings
        )));
    }
    let mut alone = tx.prepare_cached(
        "SELECT seq FROM entries e WHERE region = ?1
             AND NOT EXISTS (SELECT 1 FROM postings p WHERE p.region = e.region AND p.seq = e.seq) LIMIT 1",
    )?;
    let alone: Option<i64> = alone.query_row([region.as_str()], |row| row.get(0)).optional()?;
    Ok(alone.map(|seq| format!("there are entries of event {seq}, which posted nothing")))
}
