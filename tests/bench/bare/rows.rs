//! The rows of one placed order, as `node/src/store/write.rs` and the node's writer leave them.

use rusqlite::{Connection, params};
use tomato_shared::id::{OrderId, UserId};
use tomato_shared::time::UnixMs;

use super::Wanted;
use crate::market::{self, CAPACITY, COUNTED, LINES_MAX, RESTAURANTS};
use crate::sizes::Sizes;

/// The node's schema, from the node's own file.
const SCHEMA: &str = include_str!("../../../node/src/store/migrations/0001_region.sql");
/// The node's settings.
const PRAGMAS: [(&str, &str); 6] = [
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("cell_size_check", "ON"),
    ("wal_autocheckpoint", "8000"),
    ("temp_store", "MEMORY"),
];
const HOLD_MS: i64 = 600_000;

/// Creates the file with every counted item in stock.
pub(super) fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    for (name, value) in PRAGMAS {
        match connection.pragma_update_and_check(None, name, value, |_| Ok(())) {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(error),
        }
    }
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch("BEGIN")?;
    let sql = "INSERT INTO stock (restaurant_id, item_id, capacity, reserved, sold) VALUES (?1, ?2, ?3, 0, 0)";
    for restaurant in 0..RESTAURANTS {
        for item in 0..COUNTED {
            let (restaurant_id, item_id) = (market::restaurant_id(restaurant), market::item_id(restaurant, item));
            connection
                .prepare_cached(sql)?
                .execute(params![restaurant_id.bytes(), item_id.bytes(), CAPACITY])?;
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(connection)
}

/// Text of a length, that no column can store any shorter.
pub(super) fn filler(size: usize) -> String {
    "tomato".chars().cycle().take(size).collect()
}

/// What stands in the columns that hold documents.
pub(super) struct Fillers {
    order: [String; LINES_MAX],
    task: [String; LINES_MAX],
    answer: [Vec<u8>; LINES_MAX],
    created: [Vec<u8>; LINES_MAX],
    reserved: [Vec<u8>; LINES_MAX],
}

impl Fillers {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let bytes = |size| filler(size).into_bytes();
        Self {
            order: sizes.order.map(filler),
            task: sizes.task.map(filler),
            answer: sizes.answer.map(bytes),
            created: sizes.created.map(bytes),
            reserved: sizes.reserved.map(bytes),
        }
    }
}

/// Who and when.
pub(super) struct Placed {
    pub(super) id: OrderId,
    pub(super) customer_id: UserId,
    pub(super) at: UnixMs,
}

/// Writes one order inside the open transaction; `seq` is the newest row of the outbox and moves on.
pub(super) fn write(
    connection: &Connection,
    wanted: &Wanted,
    placed: &Placed,
    fillers: &Fillers,
    seq: &mut i64,
) -> rusqlite::Result<()> {
    let (id, restaurant_id, at) = (placed.id.bytes(), wanted.restaurant_id.bytes(), placed.at.0);
    let (nth, expires_at) = (wanted.lines() - 1, at + HOLD_MS);
    let order = "INSERT INTO orders (id, customer_id, restaurant_id, driver_id, state, version, total_minor, placed_at, ended_at, doc)
                 VALUES (?1, ?2, ?3, NULL, 'PENDING', 2, ?4, ?5, NULL, ?6)";
    let customer_id = placed.customer_id.bytes();
    let row = params![
        id,
        customer_id,
        restaurant_id,
        wanted.amount_minor,
        at,
        fillers.order[nth]
    ];
    connection.prepare_cached(order)?.execute(row)?;
    let stock = "UPDATE stock SET reserved = reserved + ?3 WHERE restaurant_id = ?1 AND item_id = ?2";
    let reservation = "INSERT INTO reservations (order_id, restaurant_id, item_id, quantity, state, expires_at)
                       VALUES (?1, ?2, ?3, ?4, 'held', ?5)";
    for (item_id, quantity) in wanted.items.iter().filter(|(item_id, _)| market::is_counted(item_id)) {
        let item_id = item_id.bytes();
        connection
            .prepare_cached(stock)?
            .execute(params![restaurant_id, item_id, quantity])?;
        let row = params![id, restaurant_id, item_id, quantity, expires_at];
        connection.prepare_cached(reservation)?.execute(row)?;
    }
    let timer = "INSERT INTO timers (kind, subject, due_at) VALUES (1, ?1, ?2)";
    connection.prepare_cached(timer)?.execute(params![id, expires_at])?;
    let task = "INSERT INTO tasks (kind, subject, doc) VALUES (1, ?1, ?2)";
    connection
        .prepare_cached(task)?
        .execute(params![id, fillers.task[nth]])?;
    let outbox = "INSERT INTO outbox (seq, at, type, order_id, order_version, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let events = [
        ("order.created", &fillers.created[nth]),
        ("inventory.reserved", &fillers.reserved[nth]),
    ];
    for (version, (name, payload)) in (1..).zip(events) {
        *seq += 1;
        connection
            .prepare_cached(outbox)?
            .execute(params![*seq, at, name, id, version, payload])?;
    }
    let answer = "INSERT INTO idempotency (key, fingerprint, status, body, created_at) VALUES (?1, ?2, 201, ?3, ?4)";
    let key = wanted.key.wrapping_mul(SPREAD).to_be_bytes();
    connection
        .prepare_cached(answer)?
        .execute(params![key, key, fillers.answer[nth], at])?;
    Ok(())
}

/// Odd, so no two keys meet; spreads them over the index as the node's hash does.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
