//! Every applied event as it was received: the newest of each region row by row, older ones packed.
//!
//! Blocks begin at fixed sequences, so what is stored does not depend on how the events came. The events of an order
//! are found by the sequences that its row names.

use rusqlite::{Connection, OptionalExtension, params};
use tomato_shared::cell::RegionId;

use super::StoreFault;

/// Sequences of one block. More pack better; fewer make an order's timeline cheaper to read.
const BLOCK: u64 = 512;
/// Level of Zstandard: the fastest that is not far from the best here.
const LEVEL: i32 = 3;

/// One event: its sequence, and its envelope as it was received.
pub(crate) type Kept = (u64, Vec<u8>);

/// Stores events of a region, which follow each other and what is stored. Fails if one of them is stored already: the
/// cursor must have prevented it.
pub(crate) fn append(conn: &Connection, region: &RegionId, events: &[(u64, &[u8])]) -> Result<(), StoreFault> {
    let mut rest = events;
    while let Some((first, _)) = rest.first() {
        let begins = block_of(*first);
        let here = rest.partition_point(|(seq, _)| *seq < begins + BLOCK);
        let (block, later) = rest.split_at(here);
        if block.last().is_some_and(|(seq, _)| seq + 1 == begins + BLOCK) {
            pack(conn, region, begins, block)?;
        } else {
            let mut insert = conn.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")?;
            for (seq, payload) in block {
                insert.execute(params![region.as_str(), signed(*seq), payload])?;
            }
        }
        rest = later;
    }
    Ok(())
}

/// Packs the block that begins at a sequence: its stored rows, then `newest`.
fn pack(conn: &Connection, region: &RegionId, begins: u64, newest: &[(u64, &[u8])]) -> Result<(), StoreFault> {
    let mut raw = Vec::new();
    let mut put = |payload: &[u8]| {
        raw.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        raw.extend(payload);
    };
    let stored = rows(conn, region, (begins, Some(begins + BLOCK)), usize::MAX)?;
    if stored.len() + newest.len() != usize::try_from(BLOCK).unwrap_or(0) {
        return Err(corrupt(region, begins, "not all events of the block are stored"));
    }
    stored.iter().for_each(|(_, payload)| put(payload));
    newest.iter().for_each(|(_, payload)| put(payload));
    let body = zstd::bulk::compress(&raw, LEVEL).map_err(|fault| corrupt(region, begins, &fault.to_string()))?;
    conn.prepare_cached("INSERT INTO event_blocks VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            region.as_str(),
            signed(begins),
            i64::try_from(raw.len()).unwrap_or(i64::MAX),
            body
        ])?;
    conn.prepare_cached("DELETE FROM events WHERE region = ?1 AND seq >= ?2 AND seq < ?3")?
        .execute(params![region.as_str(), signed(begins), signed(begins + BLOCK)])?;
    Ok(())
}

/// At most `limit` events of a region after `seq`, oldest first.
pub(crate) fn after(conn: &Connection, region: &RegionId, seq: u64, limit: usize) -> Result<Vec<Kept>, StoreFault> {
    let mut following = conn.prepare_cached(
        "SELECT first_seq FROM event_blocks WHERE region = ?1 AND first_seq >= ?2 ORDER BY first_seq LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut next = seq + 1;
    while found.len() < limit {
        if let Some(block) = block(conn, region, block_of(next))? {
            found.extend(block.into_iter().filter(|(seq, _)| *seq >= next));
            next = block_of(next) + BLOCK;
            continue;
        }
        // Rows stand before the next block where an incarnation has ended, and at the end.
        let block: Option<i64> = following
            .query_row(params![region.as_str(), signed(next)], |row| row.get(0))
            .optional()?;
        let block = block.and_then(|seq| u64::try_from(seq).ok());
        found.extend(rows(conn, region, (next, block), limit - found.len())?);
        let Some(block) = block else { break };
        next = block;
    }
    found.truncate(limit);
    Ok(found)
}

/// The newest event of a region at or before `seq`: its sequence, and itself.
pub(crate) fn at_or_before(conn: &Connection, region: &RegionId, seq: u64) -> Result<Option<Kept>, StoreFault> {
    let newest = |sql: &str| -> Result<Option<u64>, StoreFault> {
        let mut statement = conn.prepare_cached(sql)?;
        let found: Option<i64> = statement.query_row(params![region.as_str(), signed(seq)], |row| row.get(0))?;
        Ok(found.and_then(|seq| u64::try_from(seq).ok()))
    };
    let row = newest("SELECT max(seq) FROM events WHERE region = ?1 AND seq <= ?2")?;
    let block = newest("SELECT max(first_seq) FROM event_blocks WHERE region = ?1 AND first_seq <= ?2")?;
    let block = block.map(|first| seq.min(first + BLOCK - 1));
    let Some(newest) = row.max(block) else { return Ok(None) };
    let payload = some(conn, region, &[newest])?.pop();
    Ok(payload.map(|payload| (newest, payload)))
}

/// Takes a region's events beyond `seq` away. What stays of a packed block stands row by row again.
pub(crate) fn cut(conn: &Connection, region: &RegionId, seq: u64) -> Result<(), StoreFault> {
    let begins = block_of(seq + 1);
    let stay = block(conn, region, begins)?.unwrap_or_default();
    conn.prepare_cached("DELETE FROM event_blocks WHERE region = ?1 AND first_seq >= ?2")?
        .execute(params![region.as_str(), signed(begins)])?;
    conn.prepare_cached("DELETE FROM events WHERE region = ?1 AND seq > ?2")?
        .execute(params![region.as_str(), signed(seq)])?;
    let mut insert = conn.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")?;
    for (seq, payload) in stay.iter().filter(|(stays, _)| *stays <= seq) {
        insert.execute(params![region.as_str(), signed(*seq), payload])?;
    }
    Ok(())
}

/// Single events, one after the other. Keeps the block that it had to unpack last: who comes again asks for neighbours.
#[derive(Debug, Default)]
pub(crate) struct Past {
    block: Option<(RegionId, u64, Vec<Kept>)>,
    row: Vec<u8>,
}

impl Past {
    /// The envelope of an event, if it is stored.
    pub(crate) fn event(
        &mut self,
        conn: &Connection,
        region: &RegionId,
        seq: u64,
    ) -> Result<Option<&[u8]>, StoreFault> {
        let begins = block_of(seq);
        let held = self.block.as_ref();
        if held.is_none_or(|(of, first, _)| (of, *first) != (region, begins)) {
            self.block = block(conn, region, begins)?.map(|block| (region.clone(), begins, block));
        }
        if let Some((_, _, block)) = &self.block {
            let place = usize::try_from(seq - begins).unwrap_or(usize::MAX);
            return Ok(block.get(place).map(|(_, payload)| payload.as_slice()));
        }
        let mut one = conn.prepare_cached("SELECT payload FROM events WHERE region = ?1 AND seq = ?2")?;
        let found = one.query_row(params![region.as_str(), signed(seq)], |row| row.get(0));
        Ok(found.optional()?.map(|payload| {
            self.row = payload;
            self.row.as_slice()
        }))
    }
}

/// The envelopes of these sequences of a region, in their order; those that are not stored are left out.
pub(crate) fn some(conn: &Connection, region: &RegionId, seqs: &[u64]) -> Result<Vec<Vec<u8>>, StoreFault> {
    let (mut past, mut found) = (Past::default(), Vec::new());
    for seq in seqs {
        found.extend(past.event(conn, region, *seq)?.map(<[u8]>::to_vec));
    }
    Ok(found)
}

/// At most `limit` single rows from one sequence on, and before another.
fn rows(
    conn: &Connection,
    region: &RegionId,
    (from, before): (u64, Option<u64>),
    limit: usize,
) -> Result<Vec<Kept>, StoreFault> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, payload FROM events WHERE region = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq LIMIT ?4",
    )?;
    let before = signed(before.unwrap_or(u64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![region.as_str(), signed(from), before, limit], |row| {
        Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn block(conn: &Connection, region: &RegionId, begins: u64) -> Result<Option<Vec<Kept>>, StoreFault> {
    let mut statement =
        conn.prepare_cached("SELECT raw_bytes, body FROM event_blocks WHERE region = ?1 AND first_seq = ?2")?;
    let stored: Option<(i64, Vec<u8>)> = statement
        .query_row(params![region.as_str(), signed(begins)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((bytes, body)) = stored else { return Ok(None) };
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let raw = zstd::bulk::decompress(&body, bytes).map_err(|fault| corrupt(region, begins, &fault.to_string()))?;
    unpack(&raw, begins)
        .map(Some)
        .ok_or_else(|| corrupt(region, begins, "not a block of events"))
}

/// `None` unless it is exactly a block.
fn unpack(mut raw: &[u8], begins: u64) -> Option<Vec<Kept>> {
    let mut found = Vec::new();
    for seq in begins..begins + BLOCK {
        let (length, rest) = raw.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (payload, rest) = rest.split_at_checked(length)?;
        found.push((seq, payload.to_vec()));
        raw = rest;
    }
    raw.is_empty().then_some(found)
}

/// First sequence of the block of a sequence. Sequences begin with 1.
fn block_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / BLOCK * BLOCK + 1
}

fn corrupt(region: &RegionId, begins: u64, found: &str) -> StoreFault {
    StoreFault::Corrupt {
        table: "event_blocks",
        column: "body",
        found: format!("{region} {begins}: {found}"),
    }
}

/// SQLite's integers are signed. Sequences beyond i64 are refused before they get here.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{open, regions};
    use tomato_shared::time::UnixMs;

    fn payload(seq: u64) -> Vec<u8> {
        format!(
            "event {seq} {}",
            "of an order ".repeat(usize::try_from(seq % 7).unwrap())
        )
        .into_bytes()
    }

    #[test]
    fn events_come_back_however_they_were_cut_and_packed() {
        let region: RegionId = "blr".parse().unwrap();
        let all: Vec<Kept> = (1..=BLOCK * 3 + 70).map(|seq| (seq, payload(seq))).collect();
        let mut shapes = Vec::new();
        for size in [1, 300, 512, 2_000] {
            let dir = tempfile::tempdir().unwrap();
            let mut conn = open(&dir.path().join("hub.db")).unwrap();
            regions::register(&mut conn, &region, "U", false, UnixMs(1)).unwrap();
            for chunk in all.chunks(size) {
                let chunk: Vec<_> = chunk.iter().map(|(seq, payload)| (*seq, payload.as_slice())).collect();
                append(&conn, &region, &chunk).unwrap();
            }
            assert_eq!(after(&conn, &region, 0, usize::MAX).unwrap(), all);
            for (from, limit) in [
                (0, 10),
                (511, 3),
                (512, 600),
                (1_500, 600),
                (BLOCK * 3 + 69, 5),
                (9_999, 5),
            ] {
                let wanted: Vec<_> = all.iter().filter(|(seq, _)| *seq > from).take(limit).cloned().collect();
                assert_eq!(after(&conn, &region, from, limit).unwrap(), wanted, "{from} {limit}");
            }
            let seqs = [1, 2, 512, 513, 1_537, 1_600, 9_999];
            let wanted: Vec<_> = seqs[..6].iter().map(|seq| payload(*seq)).collect();
            assert_eq!(some(&conn, &region, &seqs).unwrap(), wanted);
            let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            shapes.push((
                count("SELECT count(*) FROM events"),
                count("SELECT sum(length(body)) FROM event_blocks"),
            ));
            assert_eq!(at_or_before(&conn, &region, 600).unwrap(), Some((600, payload(600))));
            assert_eq!(
                at_or_before(&conn, &region, u64::MAX >> 1).unwrap(),
                all.last().cloned()
            );
            assert_eq!(at_or_before(&conn, &region, 0).unwrap(), None);
            let again = append(&conn, &region, &[(BLOCK * 3 + 70, b"again")]);
            assert!(again.is_err(), "the same sequence twice");
        }
        assert!(
            shapes.iter().all(|shape| *shape == shapes[0] && shape.0 == 70),
            "{shapes:?}"
        );
    }

    #[test]
    fn a_later_incarnation_goes_on_where_the_past_was_cut() {
        let region: RegionId = "blr".parse().unwrap();
        let second = (1 << 40) + 1;
        for (cut_at, stays) in [(700, 188), (1_024, 0), (1_030, 6), (3, 3)] {
            let dir = tempfile::tempdir().unwrap();
            let mut conn = open(&dir.path().join("hub.db")).unwrap();
            regions::register(&mut conn, &region, "U", false, UnixMs(1)).unwrap();
            let mut all: Vec<Kept> = (1..=1_600).map(|seq| (seq, payload(seq))).collect();
            let store = |events: &[Kept]| {
                let events: Vec<_> = events.iter().map(|(seq, payload)| (*seq, payload.as_slice())).collect();
                append(&conn, &region, &events).unwrap();
            };
            store(&all);
            cut(&conn, &region, cut_at).unwrap();
            all.truncate(usize::try_from(cut_at).unwrap());
            assert_eq!(after(&conn, &region, 0, 9_999).unwrap(), all);
            let more: Vec<Kept> = (second..second + 520).map(|seq| (seq, payload(seq))).collect();
            more.chunks(77).for_each(store);
            assert_eq!(at_or_before(&conn, &region, second - 1).unwrap(), all.last().cloned());
            all.extend(more);
            assert_eq!(after(&conn, &region, 0, 9_999).unwrap(), all);
            let rest = after(&conn, &region, cut_at - 2, 7).unwrap();
            assert_eq!(rest, all[usize::try_from(cut_at).unwrap() - 2..][..7]);
            let rows = "SELECT count(*) FROM events";
            let rows: i64 = conn.query_row(rows, [], |row| row.get(0)).unwrap();
            assert_eq!(rows, stays + 8);
        }
    }
}
