//! Rows of alerts: one per rule and region while its condition holds.

use rusqlite::{Connection, Row, TransactionBehavior, params};
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::StoreFault;
use super::regions::region_of;
use super::settle::Signed;
use crate::alerts::rules::Firing;

/// A condition that has not held for this long is over; one that comes and goes stays one alert.
const OVER_MS: i64 = 30_000;
/// Closed alerts that are kept.
const KEPT: i64 = 10_000;

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Alert {
    pub(crate) id: i64,
    pub(crate) rule: String,
    #[schemars(with = "String")]
    pub(crate) region: RegionId,
    pub(crate) detail: String,
    #[schemars(with = "String")]
    pub(crate) opened_at: UnixMs,
    /// When the condition last held.
    #[schemars(with = "String")]
    pub(crate) seen_at: UnixMs,
    /// `null` while it holds.
    #[schemars(with = "Option<String>")]
    pub(crate) closed_at: Option<UnixMs>,
    #[schemars(with = "Option<String>")]
    pub(crate) acked_at: Option<UnixMs>,
    pub(crate) acked_by: Option<String>,
}

/// Opens, renews and closes alerts by what fires now. True if any was opened or closed.
pub(crate) fn keep(conn: &mut Connection, firing: &[Firing], now: UnixMs) -> Result<bool, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changed = 0;
    for one in firing {
        let values = params![one.rule, one.region.as_str(), one.detail, now.0];
        let renewed = tx
            .prepare_cached(
                "UPDATE alerts SET detail = ?3, seen_at_ms = ?4
                 WHERE rule = ?1 AND region = ?2 AND closed_at_ms IS NULL",
            )?
            .execute(values)?;
        if renewed == 0 {
            changed += tx
                .prepare_cached(
                    "INSERT INTO alerts (rule, region, detail, opened_at_ms, seen_at_ms) VALUES (?1, ?2, ?3, ?4, ?4)",
                )?
                .execute(values)?;
            tracing::warn!(rule = one.rule, region = %one.region, detail = %one.detail, "alert");
        }
    }
    changed += tx
        .prepare_cached("UPDATE alerts SET closed_at_ms = ?1 WHERE closed_at_ms IS NULL AND seen_at_ms < ?2")?
        .execute(params![now.0, now.0 - OVER_MS])?;
    if changed > 0 {
        tx.execute(
            "DELETE FROM alerts WHERE closed_at_ms IS NOT NULL AND id <= (SELECT max(id) FROM alerts) - ?1",
            [KEPT],
        )?;
    }
    tx.commit()?;
    Ok(changed > 0)
}

/// At most `limit` alerts: open ones first, then the newest.
pub(crate) fn list(conn: &Connection, limit: u32) -> Result<Vec<Alert>, StoreFault> {
    let sql = "SELECT * FROM alerts ORDER BY closed_at_ms IS NOT NULL, id DESC LIMIT ?1";
    read_all(conn, sql, params![limit])
}

/// The oldest alerts that the webhook has not taken, those included that were over before it could be reached; but nothing
/// that began before `since`.
pub(crate) fn untold(conn: &Connection, since: UnixMs, limit: u32) -> Result<Vec<Alert>, StoreFault> {
    let sql = "SELECT * FROM alerts WHERE told_at_ms IS NULL AND opened_at_ms >= ?2 ORDER BY id LIMIT ?1";
    read_all(conn, sql, params![limit, since.0])
}

/// The webhook took an alert.
pub(crate) fn told(conn: &Connection, id: i64, now: UnixMs) -> Result<(), StoreFault> {
    conn.execute("UPDATE alerts SET told_at_ms = ?2 WHERE id = ?1", params![id, now.0])?;
    Ok(())
}

/// A person has seen an alert; the first signature stays. `None`: there is no such alert.
pub(crate) fn acknowledge(conn: &Connection, id: i64, signed: &Signed) -> Result<Option<Alert>, StoreFault> {
    conn.execute(
        "UPDATE alerts SET acked_at_ms = ?2, acked_by = ?3 WHERE id = ?1 AND acked_at_ms IS NULL",
        params![id, signed.at.0, signed.by],
    )?;
    find(conn, id)
}

/// One alert.
pub(crate) fn find(conn: &Connection, id: i64) -> Result<Option<Alert>, StoreFault> {
    let mut statement = conn.prepare_cached("SELECT * FROM alerts WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

fn read_all(conn: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Alert>, StoreFault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Alert, StoreFault> {
    let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    Ok(Alert {
        id: row.get("id")?,
        rule: row.get("rule")?,
        region: region_of(row)?,
        detail: row.get("detail")?,
        opened_at: UnixMs(row.get("opened_at_ms")?),
        seen_at: UnixMs(row.get("seen_at_ms")?),
        closed_at: at("closed_at_ms")?,
        acked_at: at("acked_at_ms")?,
        acked_by: row.get("acked_by")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alert_is_one_while_it_comes_and_goes_and_is_acknowledged_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = crate::store::open(&dir.path().join("hub.db")).unwrap();
        let firing = |detail: &str| {
            [Firing {
                rule: "sync_lag",
                region: "blr".parse().unwrap(),
                detail: detail.into(),
            }]
        };
        let seconds = |n: i64| UnixMs(n * 1_000);
        assert!(keep(&mut conn, &firing("a"), seconds(0)).unwrap());
        assert!(!keep(&mut conn, &[], seconds(10)).unwrap());
        assert!(!keep(&mut conn, &firing("b"), seconds(20)).unwrap());
        let open = list(&conn, 10).unwrap();
        assert_eq!((open.len(), open[0].detail.as_str()), (1, "b"));
        assert_eq!(untold(&conn, seconds(0), 10).unwrap().len(), 1);
        told(&conn, open[0].id, seconds(21)).unwrap();
        assert_eq!(untold(&conn, seconds(0), 10).unwrap(), []);
        for by in ["usr_a", "usr_b"] {
            let signed = Signed {
                by: by.into(),
                at: seconds(22),
            };
            let alert = acknowledge(&conn, open[0].id, &signed).unwrap().unwrap();
            assert_eq!(alert.acked_by.as_deref(), Some("usr_a"));
            assert_eq!(acknowledge(&conn, 99, &signed).unwrap(), None);
        }
        assert!(keep(&mut conn, &[], seconds(51)).unwrap());
        assert!(keep(&mut conn, &firing("c"), seconds(60)).unwrap());
        let all = list(&conn, 10).unwrap();
        assert_eq!(
            (all.len(), all[0].closed_at, all[1].closed_at),
            (2, None, Some(seconds(51)))
        );
        // Over before anybody could be told of it: told all the same, unless it is long ago.
        assert!(keep(&mut conn, &[], seconds(91)).unwrap());
        assert_eq!(untold(&conn, seconds(60), 10).unwrap().len(), 1);
        assert_eq!(untold(&conn, seconds(61), 10).unwrap(), []);
    }
}
