//! Event by event: does the hub have what the region decided, once, in its order?
//!
//! Both files are opened as they are, read-only, with the same SQLite as the programs'.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tomato_node::store::pool::connect;
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Decoded, decode};

use super::report::Report;
use crate::stack::Stack;
use crate::wait::poll_until;

/// How long the hub may take to have all.
const LIMIT: Duration = Duration::from_secs(300);

/// A region's events, as the region has them and as the hub has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Rows in the region's outbox.
    pub decided: u64,
    /// Of these, not at the hub.
    pub lost: u64,
    /// At the hub with another content.
    pub altered: u64,
    /// At the hub, and the region never decided them.
    pub invented: u64,
    /// Steps of an order that the hub has more than once.
    pub doubled: u64,
    /// Steps of an order that do not follow the step before.
    pub disordered: u64,
}

impl Books {
    /// Into a report, where everything but `decided` has to be 0.
    fn tell(self, region: &RegionId, report: &mut Report) {
        report.row(&format!("{region}: events decided"), self.decided);
        report.none(&format!("{region}: lost at the hub"), self.lost);
        report.none(&format!("{region}: altered"), self.altered);
        report.none(&format!("{region}: invented"), self.invented);
        report.none(&format!("{region}: doubled"), self.doubled);
        report.none(&format!("{region}: out of order"), self.disordered);
        report.expect(self.decided > 0, || format!("{region} has decided nothing"));
    }
}

/// One row on either side.
type Row = (i64, Option<Vec<u8>>, Option<i64>, Vec<u8>);

/// Compares every region with the hub.
pub async fn audit(stack: &Stack, report: &mut Report) -> Result<(), String> {
    let hub = stack.hub.as_ref().ok_or("no hub")?;
    for node in &stack.nodes {
        let books = compare(&node.region, node.server.data(), hub.server.data()).await?;
        books.tell(&node.region, report);
    }
    Ok(())
}

/// Waits for the hub to have what the region has decided by now, and compares. `node` and `hub`: the data directories.
///
/// The region goes on meanwhile (its timers do, when nobody orders), so the hub is read first: what it has by then the
/// region has too.
async fn compare(region: &RegionId, node: &Path, hub: &Path) -> Result<Books, String> {
    let file = node.join("region.db");
    let head = outbox(&file)?.last().map_or(0, |row| row.0);
    let events = poll_until("the hub to have all", LIMIT, async || match events(region, hub) {
        Ok(events) if events.last().map_or(0, |row| row.0) < head => None,
        read => Some(read),
    });
    let events = events.await??;
    Ok(weigh(&outbox(&file)?, &events, head))
}

fn events(region: &RegionId, hub: &Path) -> Result<Vec<Row>, String> {
    let events = tomato_hub::rebuild::stored_events(&hub.join("hub.db"), region)
        .map_err(|error| format!("{}: {error}", hub.display()))?;
    events.into_iter().map(event).collect()
}

/// What an event of the hub says of itself.
fn event((seq, payload): (u64, Vec<u8>)) -> Result<Row, String> {
    let order = match decode(&payload).map_err(|error| format!("event {seq} of the hub: {error}"))? {
        Decoded::Known(envelope) => envelope.order,
        Decoded::Unknown(header) => header.order,
    };
    let id = order.map(|order| order.id.bytes().to_vec());
    Ok((seq as i64, id, order.map(|order| i64::from(order.version)), payload))
}

fn outbox(file: &Path) -> Result<Vec<Row>, String> {
    let explain = |error: rusqlite::Error| format!("{}: {error}", file.display());
    let connection: Connection = connect(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut statement = connection
        .prepare("SELECT seq, order_id, order_version, payload FROM outbox ORDER BY seq")
        .map_err(explain)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    found.and_then(Iterator::collect).map_err(explain)
}

/// `head`: the last row of the outbox that the hub must have.
fn weigh(outbox: &[Row], events: &[Row], head: i64) -> Books {
    let there: BTreeMap<i64, &[u8]> = outbox.iter().map(|row| (row.0, row.3.as_slice())).collect();
    let here: BTreeMap<i64, &[u8]> = events.iter().map(|row| (row.0, row.3.as_slice())).collect();
    let mut books = Books {
        decided: there.len() as u64,
        ..Books::default()
    };
    for (seq, payload) in &there {
        match here.get(seq) {
            None if *seq <= head => books.lost += 1,
            Some(other) if other != payload => books.altered += 1,
            Some(_) | None => {}
        }
    }
    books.invented = here.keys().filter(|seq| !there.contains_key(seq)).count() as u64;
    let mut steps: BTreeMap<&[u8], i64> = BTreeMap::new();
    for (_, order, version, _) in events {
        let (Some(order), Some(version)) = (order, version) else {
            continue;
        };
        let last = steps.entry(order).or_default();
        match version - *last {
            1 => *last = *version,
            behind if behind <= 0 => books.doubled += 1,
            _ => books.disordered += 1,
        }
    }
    books
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_seen() {
        let row = |seq: i64, order: u8, version: i64| (seq, Some(vec![order]), Some(version), vec![seq as u8, order]);
        let outbox = [
            row(1, 1, 1),
            row(2, 2, 1),
            row(3, 1, 2),
            row(4, 1, 3),
            (5, None, None, vec![5]),
        ];
        let books = |events: &[Row]| weigh(&outbox, events, 5);
        assert_eq!(
            books(&outbox),
            Books {
                decided: 5,
                ..Books::default()
            }
        );
        assert_eq!(books(&outbox[..4]).lost, 1);
        let mut altered = outbox.clone();
        altered[4].3 = vec![9];
        assert_eq!(books(&altered).altered, 1);
        let mut more = outbox.to_vec();
        more.push(row(6, 1, 3));
        assert_eq!((books(&more).invented, books(&more).doubled), (1, 1));
        let gone = [row(1, 1, 1), row(4, 1, 3)];
        assert_eq!((books(&gone).disordered, books(&gone).lost), (1, 3));
        // What was decided while the hub was read.
        assert_eq!(weigh(&outbox, &outbox[..4], 4).lost, 0);
    }
}
