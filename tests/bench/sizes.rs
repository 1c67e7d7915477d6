//! How large the columns are that placing an order fills, measured at a node, so that the yardstick writes the same.

use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::market::LINES_MAX;

/// Bytes of each column that is not of a fixed size, by number of lines (1, 2, 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    /// `orders.doc`
    pub(crate) order: [usize; LINES_MAX],
    /// `tasks.doc`
    pub(crate) task: [usize; LINES_MAX],
    /// `idempotency.body`, and the answer itself.
    pub(crate) answer: [usize; LINES_MAX],
    /// `outbox.payload` of `order.created`
    pub(crate) created: [usize; LINES_MAX],
    /// `outbox.payload` of `inventory.reserved`
    pub(crate) reserved: [usize; LINES_MAX],
}

const QUERIES: [(&str, &str); 5] = [
    (
        "orders.doc",
        "SELECT avg(length(doc)) FROM orders WHERE state = 'PENDING' AND json_array_length(doc, '$.lines') = ?1",
    ),
    (
        "tasks.doc",
        "SELECT avg(length(t.doc)) FROM tasks t JOIN orders o ON o.id = t.subject
         WHERE t.kind = 1 AND json_array_length(o.doc, '$.lines') = ?1",
    ),
    (
        "idempotency.body",
        "SELECT avg(length(body)) FROM idempotency WHERE json_array_length(CAST(body AS TEXT), '$.lines') = ?1",
    ),
    (
        "outbox.payload of order.created",
        "SELECT avg(length(payload)) FROM outbox JOIN orders o ON o.id = order_id
         WHERE type = 'order.created' AND json_array_length(o.doc, '$.lines') = ?1",
    ),
    (
        "outbox.payload of inventory.reserved",
        "SELECT avg(length(payload)) FROM outbox JOIN orders o ON o.id = order_id
         WHERE type = 'inventory.reserved' AND json_array_length(o.doc, '$.lines') = ?1",
    ),
];

impl Sizes {
    /// What a node wrote in November 2026, for runs without one.
    pub(crate) const USUAL: Self = Self {
        order: [1_300, 1_420, 1_540],
        task: [240, 240, 240],
        answer: [1_150, 1_270, 1_390],
        created: [620, 740, 860],
        reserved: [330, 340, 350],
    };

    /// Reads the sizes in a node's file in which some orders of each kind have just been placed and not yet been paid.
    pub(crate) fn measure(database: &Path) -> Result<Self, String> {
        let explain = |error: rusqlite::Error| format!("{}: {error}", database.display());
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(database, flags).map_err(explain)?;
        let mut found = [[0; LINES_MAX]; QUERIES.len()];
        for ((name, sql), sizes) in QUERIES.iter().zip(&mut found) {
            for (lines, size) in (1i64..).zip(sizes) {
                let mean: Option<f64> = connection.query_row(sql, [lines], |row| row.get(0)).map_err(explain)?;
                *size = mean.ok_or_else(|| format!("{}: no {name} of {lines} lines", database.display()))? as usize;
            }
        }
        let [order, task, answer, created, reserved] = found;
        Ok(Self {
            order,
            task,
            answer,
            created,
            reserved,
        })
    }
}
