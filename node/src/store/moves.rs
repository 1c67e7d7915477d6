//! Rows of moves: the newest map, what this region has done for moves that are not over, and what goes along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tomato_shared::cell::{Cell, CellSet, LatLng, REGION_RESOLUTION};
use tomato_shared::directory::{Directory, Map};
use tomato_shared::id::{OrderId, RestaurantId};
use tomato_shared::time::UnixMs;

use super::StoreError;
use super::write::{WriteError, json};
use crate::engine::draft::Changes;
use crate::engine::moving::{KeptAnswer, Parcel};
use crate::engine::territory::{Part, Territory};

/// Writes what a decision changed of these.
pub(super) fn put(connection: &Connection, changes: &Changes) -> Result<(), WriteError> {
    if let Some(territory) = &changes.territory {
        put_territory(connection, territory)?;
    }
    for (id, parcel) in &changes.parcels {
        match parcel {
            Some(parcel) => {
                let part = changes.territory.as_ref().and_then(|territory| territory.parts.get(id));
                let cells = part.map(|part| part.cells.clone()).unwrap_or_default();
                put_parcel(connection, *id, parcel, &cells)?;
            }
            None => {
                let sql = "DELETE FROM parcels WHERE move_id = ?1";
                connection.prepare_cached(sql)?.execute([number(*id)])?;
            }
        }
    }
    let sql = "INSERT INTO idempotency (key, fingerprint, status, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (key) DO NOTHING";
    let came = "INSERT INTO answers_that_came (key, restaurant_id, cell) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    for answer in &changes.answers {
        let row = params![
            answer.key,
            answer.fingerprint,
            answer.status,
            answer.body,
            answer.created_at
        ];
        connection.prepare_cached(sql)?.execute(row)?;
        let row = params![answer.key, answer.restaurant_id.bytes(), answer.cell.map(Cell::to_i64)];
        connection.prepare_cached(came)?.execute(row)?;
    }
    Ok(())
}

fn put_territory(connection: &Connection, territory: &Territory) -> Result<(), WriteError> {
    let map = territory.directory.map();
    let sql =
        "INSERT INTO map (id, version, doc) VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET version = ?1, doc = ?2";
    connection
        .prepare_cached(sql)?
        .execute(params![number(map.version), json(map)?])?;
    connection.prepare_cached("DELETE FROM moves")?.execute([])?;
    for (id, part) in &territory.parts {
        let sql = "INSERT INTO moves (id, doc) VALUES (?1, ?2)";
        connection
            .prepare_cached(sql)?
            .execute(params![number(*id), json(part)?])?;
    }
    Ok(())
}

/// Adds the answers that clients may ask for again, which only the file knows.
fn put_parcel(connection: &Connection, id: u64, parcel: &Parcel, cells: &CellSet) -> Result<(), WriteError> {
    let mut parcel = parcel.clone();
    let going: BTreeSet<RestaurantId> = parcel.restaurants.iter().map(|moved| moved.row.id).collect();
    let goes = |answer: &KeptAnswer| {
        let inside = answer.cell.is_some_and(|cell| cells.covers(cell));
        inside || going.contains(&answer.restaurant_id)
    };
    let oldest: Option<i64> = connection.query_row("SELECT min(created_at) FROM idempotency", [], |row| row.get(0))?;
    if let Some(oldest) = oldest {
        // Ids begin with their time: what was placed before the oldest answer has none.
        let first = OrderId::v7(UnixMs(oldest), [0; 10]);
        let sql = "SELECT i.key, i.fingerprint, i.status, i.body, i.created_at, o.restaurant_id, NULL,
                       o.doc ->> '$.deliver_to.place.lat', o.doc ->> '$.deliver_to.place.lng'
                   FROM orders o JOIN idempotency i ON i.key = o.idempotency_key WHERE o.id >= ?1
                   UNION ALL SELECT i.key, i.fingerprint, i.status, i.body, i.created_at, a.restaurant_id, a.cell, NULL, NULL
                   FROM answers_that_came a JOIN idempotency i ON i.key = a.key";
        let mut statement = connection.prepare_cached(sql)?;
        for answer in statement.query_map([first.bytes()], kept_answer)? {
            let answer = answer?;
            if goes(&answer) {
                parcel.answers.push(answer);
            }
        }
    }
    for answer in &parcel.answers {
        let sql = "DELETE FROM answers_that_came WHERE key = ?1";
        connection.prepare_cached(sql)?.execute([answer.key])?;
    }
    let doc = rmp_serde::to_vec_named(&parcel).map_err(|error| WriteError::Encode(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO parcels (move_id, doc) VALUES (?1, ?2)")?
        .execute(params![number(id), doc])?;
    Ok(())
}

fn kept_answer(row: &Row<'_>) -> rusqlite::Result<KeptAnswer> {
    let came: Option<i64> = row.get(6)?;
    let place = match (row.get::<_, Option<f64>>(7)?, row.get::<_, Option<f64>>(8)?) {
        (Some(lat), Some(lng)) => LatLng::new(lat, lng).ok(),
        _ => None,
    };
    Ok(KeptAnswer {
        restaurant_id: RestaurantId::from_bytes(row.get(5)?),
        cell: match came {
            Some(stored) => Cell::from_i64(stored),
            None => place.map(|place| place.cell(REGION_RESOLUTION)),
        },
        key: row.get(0)?,
        fingerprint: row.get(1)?,
        status: row.get(2)?,
        body: row.get(3)?,
        created_at: row.get(4)?,
    })
}

/// Reads back what [`put`] wrote. Answers stay in the file.
pub(super) fn load(connection: &Connection, changes: &mut Changes) -> Result<(), StoreError> {
    let failed = || StoreError::sqlite("read the map");
    let text: Option<String> = connection
        .query_row("SELECT doc FROM map", [], |row| row.get(0))
        .optional()
        .map_err(failed())?;
    let Some(text) = text else { return Ok(()) };
    let corrupt = |table| move |reason: String| StoreError::Corrupt { table, reason };
    let map: Map = serde_json::from_str(&text).map_err(|error| corrupt("map")(error.to_string()))?;
    let mut parts = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, doc FROM moves").map_err(failed())?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
    for row in rows.map_err(failed())? {
        let (id, doc) = row.map_err(failed())?;
        let part: Part = serde_json::from_str(&doc).map_err(|error| corrupt("moves")(error.to_string()))?;
        parts.insert(id.unsigned_abs(), part);
    }
    let directory = Arc::new(Directory::new(map));
    changes.territory = Some(Arc::new(Territory { directory, parts }));
    let mut statement = connection
        .prepare("SELECT move_id, doc FROM parcels")
        .map_err(failed())?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
    for row in rows.map_err(failed())? {
        let (id, doc) = row.map_err(failed())?;
        let mut parcel: Parcel = rmp_serde::from_slice(&doc).map_err(|error| corrupt("parcels")(error.to_string()))?;
        parcel.answers.clear();
        changes.parcels.insert(id.unsigned_abs(), Some(parcel));
    }
    Ok(())
}

/// Length of a parcel in bytes, and up to `len` of them from `offset` on; `None` where there is no such parcel.
pub fn chunk(connection: &Connection, id: u64, offset: u64, len: usize) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
    let sql = "SELECT length(doc), substr(doc, ?2 + 1, ?3) FROM parcels WHERE move_id = ?1";
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    connection
        .prepare_cached(sql)?
        .query_row(params![number(id), number(offset), len], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
        })
        .optional()
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
