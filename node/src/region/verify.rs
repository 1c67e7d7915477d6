//! Answers `tomato-hub verify`: hashes of the region's own rows, all of one moment.

use std::path::{Path, PathBuf};

use async_nats::{Client, Message};
use rusqlite::{Connection, Row, params};
use tomato_shared::sync::{first_seq, incarnation_of};
use tomato_shared::verify::{ORDER_PARTS, ORDERS_MAX, OrderFacts, Sum, Sums, VerifyReply, VerifyRequest, put_entry};

use crate::store::{StoreError, pool, reads};

/// Answers one message. What cannot be read or answered is left to time out, and logged.
pub(super) async fn serve(client: Client, path: PathBuf, message: Message) {
    let Some(reply_to) = message.reply else { return };
    let request = match rmp_serde::from_slice(&message.payload) {
        Ok(request) => request,
        Err(error) => return tracing::warn!(%error, "the hub's request to verify cannot be read"),
    };
    let answered = tokio::task::spawn_blocking(move || answer(&path, request)).await;
    let reply = match answered {
        Ok(Ok(Some(reply))) => reply,
        Ok(Ok(None)) => return tracing::warn!("the hub asks for too many hashes at once"),
        Ok(Err(error)) => return tracing::error!(%error, "rows cannot be verified"),
        Err(error) => return tracing::error!(%error, "rows cannot be verified"),
    };
    match rmp_serde::to_vec_named(&reply) {
        Ok(bytes) => drop(client.publish(reply_to, bytes.into()).await),
        Err(error) => tracing::error!(%error, "hashes do not serialise"),
    }
}

/// Reads and hashes. `None` for a stretch that is empty or too long.
///
/// # Errors
/// [`StoreError`] where the file cannot be read.
fn answer(path: &Path, request: VerifyRequest) -> Result<Option<VerifyReply>, StoreError> {
    let connection = pool::connect(path)?;
    let failed = |source| StoreError::Sqlite {
        doing: "read rows to be verified",
        source,
    };
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let head_seq = reads::head_seq(&transaction)?;
    let oldest: Option<i64> = transaction
        .query_row("SELECT min(seq) FROM outbox", [], |row| row.get(0))
        .map_err(failed)?;
    let (mut orders, mut ends) = (Vec::new(), Vec::new());
    let sums = match request {
        VerifyRequest::Reach {} => {
            ends = ends_of(&transaction).map_err(failed)?;
            Vec::new()
        }
        VerifyRequest::Events { from_seq, to_seq, step } => {
            let Some(sums) = Sums::new(from_seq, to_seq, step) else {
                return Ok(None);
            };
            events(&transaction, sums, (from_seq, to_seq)).map_err(failed)?
        }
        VerifyRequest::Entries { from_seq, to_seq, step } => {
            let Some(sums) = Sums::new(from_seq, to_seq, step) else {
                return Ok(None);
            };
            entries(&transaction, sums, (from_seq, to_seq)).map_err(failed)?
        }
        VerifyRequest::Orders {} => order_sums(&transaction).map_err(failed)?,
        VerifyRequest::Parts { parts } => {
            orders = parts_of(&transaction, &parts).map_err(failed)?;
            Vec::new()
        }
    };
    Ok(Some(VerifyReply {
        head_seq,
        oldest_seq: oldest.map_or(head_seq + 1, unsigned),
        ends,
        sums,
        orders,
    }))
}

fn ends_of(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare("SELECT max(seq) FROM outbox WHERE seq < ?1")?;
    let (mut ends, mut below) = (Vec::new(), u64::MAX);
    while let Some(seq) = statement.query_row([signed(below)], |row| row.get::<_, Option<i64>>(0))? {
        ends.push(unsigned(seq));
        below = first_seq(incarnation_of(unsigned(seq)));
    }
    Ok(ends)
}

fn events(connection: &Connection, mut sums: Sums, (from, to): (u64, u64)) -> rusqlite::Result<Vec<u64>> {
    let mut statement =
        connection.prepare("SELECT seq, payload FROM outbox WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq")?;
    let mut rows = statement.query(params![signed(from), signed(to)])?;
    while let Some(row) = rows.next()? {
        if let Some(sum) = sums.at(unsigned(row.get(0)?)) {
            sum.put(row.get_ref(1)?.as_blob()?);
        }
    }
    Ok(sums.values())
}

fn entries(connection: &Connection, mut sums: Sums, (from, to): (u64, u64)) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare(
        "SELECT seq, nth, account, party, amount_minor FROM postings WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq, nth",
    )?;
    let mut rows = statement.query(params![signed(from), signed(to)])?;
    while let Some(row) = rows.next()? {
        let seq = unsigned(row.get(0)?);
        if let Some(sum) = sums.at(seq) {
            let whose = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
            put_entry(sum, (seq, row.get(1)?), whose, row.get(4)?);
        }
    }
    Ok(sums.values())
}

const ORDERS: &str = "SELECT id, version, state, total_minor, customer_id, restaurant_id FROM orders ORDER BY id";

fn order_sums(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut sums = vec![Sum::default(); usize::from(ORDER_PARTS)];
    let mut statement = connection.prepare(ORDERS)?;
    for order in statement.query_map([], facts)? {
        let order = order?;
        if let Some(sum) = sums.get_mut(usize::from(order.part())) {
            order.put(sum);
        }
    }
    Ok(sums.into_iter().map(Sum::value).collect())
}

fn parts_of(connection: &Connection, parts: &[u16]) -> rusqlite::Result<Vec<OrderFacts>> {
    let mut statement = connection.prepare(ORDERS)?;
    let orders = statement.query_map([], facts)?;
    orders
        .filter(|order| order.as_ref().map_or(true, |order| parts.contains(&order.part())))
        .take(ORDERS_MAX)
        .collect()
}

fn facts(row: &Row<'_>) -> rusqlite::Result<OrderFacts> {
    Ok(OrderFacts {
        id: row.get(0)?,
        version: row.get(1)?,
        state: row.get(2)?,
        total_minor: row.get(3)?,
        customer: row.get(4)?,
        restaurant: row.get(5)?,
    })
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
