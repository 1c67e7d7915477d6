//! Events that contradict the state they met.

use rusqlite::{Connection, params};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use crate::projections::Anomaly;

/// Anomalies kept of each region; the oldest go first.
const KEPT: i64 = 1_000;

/// Keeps an anomaly for a person to look at. `place`: sequence and time of its event, and its number in it.
pub(crate) fn note(
    conn: &Connection,
    region: &RegionId,
    place: (u64, usize, UnixMs),
    anomaly: &Anomaly,
) -> Result<(), StoreFault> {
    let (seq, n, at) = place;
    conn.prepare_cached("INSERT INTO anomalies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            region.as_str(),
            i64::try_from(seq).unwrap_or(i64::MAX),
            i64::try_from(n).unwrap_or(i64::MAX),
            at.0,
            anomaly.order_id.as_ref().map(tomato_shared::id::Id::bytes),
            anomaly.kind.name(),
            anomaly.detail
        ])?;
    conn.prepare_cached(
        "DELETE FROM anomalies WHERE region = ?1 AND (seq, n) <=
             (SELECT seq, n FROM anomalies WHERE region = ?1 ORDER BY seq DESC, n DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![region.as_str(), KEPT])?;
    Ok(())
}

/// One anomaly, as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Noted {
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    pub(crate) seq: i64,
    #[schemars(with = "String")]
    pub(crate) at: UnixMs,
    #[schemars(with = "Option<String>")]
    pub(crate) order_id: Option<OrderId>,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

/// At most `limit` anomalies of all regions, the latest first.
pub(crate) fn latest(conn: &Connection, limit: u32) -> Result<Vec<Noted>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM anomalies ORDER BY at_ms DESC, region, seq, n LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Noted {
            region: region_of(row)?,
            seq: row.get("seq")?,
            at: UnixMs(row.get("at_ms")?),
            order_id: row.get::<_, Option<[u8; 16]>>("order_id")?.map(OrderId::from_bytes),
            kind: row.get("kind")?,
            detail: row.get("detail")?,
        });
    }
    Ok(found)
}
