//! The file: its settings, its owner, its schema and checks, and that a start finds what was written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Decoded, decode};
use tomato_shared::time::UnixMs;

use super::*;
use crate::engine::draft::Changes;
use crate::engine::model::By;
use crate::engine::task::TaskKey;
use crate::engine::tests::walk::{Walk, assert_same_city};
use crate::store::write::Stamp;

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("deep/region.db")
}

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}

fn pragma(connection: &Connection, name: &str) -> String {
    let value: rusqlite::types::Value = connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Null | rusqlite::types::Value::Real(_) | rusqlite::types::Value::Blob(_) => {
            String::new()
        }
    }
}

#[test]
fn new_file_has_the_schema_and_the_safe_settings_also_when_opened_again() {
    let directory = TempDir::new().unwrap();
    for _ in 0..2 {
        let store = open(&file(&directory)).unwrap();
        let found = |name| pragma(&store.connection, name);
        assert_eq!(
            (found("journal_mode"), found("synchronous"), found("foreign_keys")),
            ("wal".into(), "2".into(), "1".into())
        );
        assert_eq!(
            (found("cell_size_check"), found("wal_autocheckpoint")),
            ("1".into(), "8000".into())
        );
        assert_eq!(found("user_version"), MIGRATIONS.len().to_string());
        let strict =
            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND strict = 0";
        assert_eq!(
            store
                .connection
                .query_row(strict, [], |row| row.get::<_, i64>(0))
                .unwrap(),
            0
        );
    }
}

#[test]
fn file_of_a_newer_program_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    for version in [99, -1] {
        open(&file(&directory))
            .unwrap()
            .connection
            .pragma_update(None, "user_version", version)
            .unwrap();
        assert!(matches!(open(&file(&directory)), Err(StoreError::Newer { found, known: 1 }) if found == version));
        let raw = Connection::open(file(&directory)).unwrap();
        assert_eq!(pragma(&raw, "user_version"), version.to_string());
        raw.pragma_update(None, "user_version", 1).unwrap();
    }
}

#[test]
fn second_writer_is_kept_out_until_the_first_has_gone() {
    let directory = TempDir::new().unwrap();
    let first = open(&file(&directory)).unwrap();
    assert!(matches!(open(&file(&directory)), Err(StoreError::InUse { .. })));
    pool::connect(&file(&directory)).unwrap();
    drop(first);
    open(&file(&directory)).unwrap();
}

#[test]
fn place_where_no_file_can_be_is_named() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("deep"), "a file").unwrap();
    assert!(matches!(open(&file(&directory)), Err(StoreError::File { .. })));
    assert!(matches!(
        pool::connect(Path::new("/nowhere/region.db")),
        Err(StoreError::Sqlite { .. })
    ));
}

#[test]
fn file_belongs_to_one_region_and_keeps_its_secret() {
    let directory = TempDir::new().unwrap();
    let store = open(&file(&directory)).unwrap();
    let first = meta::load_or_create(&store.connection, &region("blr"), b"secret").unwrap();
    assert_eq!(
        (first.incarnation, first.watermark_seq, first.quote_key.as_slice()),
        (1, 0, &b"secret"[..])
    );
    meta::set_watermark(&store.connection, 41).unwrap();
    meta::set_watermark(&store.connection, 42).unwrap();
    let again = meta::load_or_create(&store.connection, &region("blr"), b"another").unwrap();
    assert_eq!(
        again,
        meta::Meta {
            watermark_seq: 42,
            ..first
        }
    );
    let other = meta::load_or_create(&store.connection, &region("del"), b"another");
    assert!(matches!(other, Err(StoreError::OtherRegion { .. })));
}

#[test]
fn reader_cannot_write() {
    let directory = TempDir::new().unwrap();
    let _store = open(&file(&directory)).unwrap();
    let reader = pool::connect(&file(&directory)).unwrap();
    assert!(reader.execute("DELETE FROM orders", []).is_err());
}

#[test]
fn file_itself_refuses_stock_and_reservations_that_cannot_be() {
    let directory = TempDir::new().unwrap();
    let store = open(&file(&directory)).unwrap();
    let id = "x'00000000000000000000000000000001'";
    let good = format!("INSERT INTO stock VALUES ({id}, {id}, 10, 4, 6)");
    store.connection.execute(&good, []).unwrap();
    for bad in [
        "UPDATE stock SET reserved = 5".to_owned(),
        "UPDATE stock SET sold = 7".to_owned(),
        "UPDATE stock SET capacity = 9".to_owned(),
        "UPDATE stock SET reserved = -1".to_owned(),
        "INSERT INTO stock VALUES (x'02', x'02', 'many', 0, 0)".to_owned(),
        format!("INSERT INTO reservations VALUES ({id}, {id}, {id}, 0, 'held', 1)"),
        format!("INSERT INTO reservations VALUES ({id}, {id}, {id}, 1, 'lost', 1)"),
        "INSERT INTO orders VALUES (x'01', x'01', x'01', NULL, 'PENDING', 1, 1, 1, NULL, '{}', NULL)".to_owned(),
        "INSERT INTO idempotency VALUES (x'01', x'01', 200, x'', 1)".to_owned(),
    ] {
        let error = store.connection.execute(&bad, []).expect_err(&bad);
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{bad}"
        );
    }
}

#[test]
fn row_that_cannot_be_read_is_named() {
    let id = "x'00000000000000000000000000000001'";
    for (table, row) in [
        (
            "orders",
            format!("INSERT INTO orders VALUES ({id}, {id}, {id}, NULL, 'PENDING', 1, 1, 1, NULL, '{{}}', NULL)"),
        ),
        (
            "restaurants",
            format!("INSERT INTO restaurants VALUES ({id}, 'n', 'no JSON')"),
        ),
        ("drivers", format!("INSERT INTO drivers VALUES ({id}, 1, 0, '[]')")),
        ("tasks", format!("INSERT INTO tasks VALUES (1, {id}, 0, '{{}}')")),
        ("timers", format!("INSERT INTO timers VALUES (99, {id}, 1)")),
    ] {
        let directory = TempDir::new().unwrap();
        let store = open(&file(&directory)).unwrap();
        store.connection.execute(&row, []).unwrap();
        let found = load::load(&store.connection, UnixMs(0));
        assert!(
            matches!(&found, Err(StoreError::Corrupt { table: named, .. }) if *named == table),
            "{found:?}"
        );
    }
}

/// With a million orders that are over, a start must not look at them.
#[test]
fn start_looks_at_open_orders_only() {
    let directory = TempDir::new().unwrap();
    let store = open(&file(&directory)).unwrap();
    let plan = |sql: &str| {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(plan(load::OPEN_ORDERS), "SCAN orders USING INDEX orders_open");
    let reservations = plan(load::LIVE_RESERVATIONS);
    assert!(
        reservations.starts_with("SCAN o USING INDEX orders_open; SEARCH r USING PRIMARY KEY"),
        "{reservations}"
    );
}

/// Writes everything that random walks decide, and compares what a start finds with the city that went on in memory.
#[test]
fn start_finds_what_was_decided() {
    for seed in 0..12 {
        let directory = TempDir::new().unwrap();
        let store = Rc::new(RefCell::new(open(&file(&directory)).unwrap()));
        let mut walk = Walk::new(seed, Box::new(sink(store.clone())));
        store.borrow().connection.execute_batch("BEGIN").unwrap();
        for step in 0..200 {
            walk.step();
            if step % 50 == 49 {
                compare(&store.borrow().connection, &mut walk, seed);
            }
        }
        walk.finish();
        compare(&store.borrow().connection, &mut walk, seed);
    }
}

fn sink(store: Rc<RefCell<Store>>) -> impl FnMut(&Changes, By, UnixMs) {
    let mut head_seq = 0;
    let blr = region("blr");
    move |changes, by, at| {
        let stamp = Stamp {
            region: &blr,
            incarnation: 3,
            head_seq,
            at,
            by,
            device_at: None,
            trace: None,
            key: None,
        };
        let envelopes = write::write(&store.borrow().connection, changes, &stamp).unwrap();
        head_seq += envelopes.len() as u64;
    }
}

fn compare(connection: &Connection, walk: &mut Walk, seed: u64) {
    let mut loaded = load::load(connection, UnixMs(0)).unwrap();
    let round = walk.world.city.dispatch_at();
    assert!(
        walk.world.city.waiting_len() == 0 || loaded.city.dispatch_at().is_some(),
        "seed {seed}: nobody looks for drivers"
    );
    assert_same_city(&mut loaded.city, &mut walk.world.city);
    walk.world.city.apply(&Changes {
        dispatch_at: Some(round),
        ..Changes::default()
    });
    let key = |task: &crate::engine::task::Task| TaskKey {
        kind: task.kind,
        order_id: task.order_id,
        nth: task.nth,
    };
    let tasks: BTreeMap<_, _> = loaded.tasks.iter().map(|task| (key(task), task.clone())).collect();
    assert_eq!(tasks, walk.world.disk.tasks, "seed {seed}");
    assert_eq!(loaded.head_seq, walk.world.disk.events.len() as u64);
    for order in walk.world.disk.orders.values() {
        assert_eq!(
            load::order(connection, order.id).unwrap().as_ref(),
            Some(order),
            "seed {seed}"
        );
    }
    // The columns that are read without the document, as totals and comparisons with the hub do.
    let apart = "SELECT count(*) FROM orders WHERE total_minor IS NOT doc ->> '$.price.total_minor'
                 OR state IS NOT doc ->> '$.state' OR version IS NOT doc ->> '$.version'";
    let apart: i64 = connection.query_row(apart, [], |row| row.get(0)).unwrap();
    assert_eq!(apart, 0, "seed {seed}");
    let rows = outbox::rows(connection, 0, usize::MAX).unwrap();
    assert_eq!(rows.len(), walk.world.disk.events.len());
    for (nth, (row, new)) in (1..).zip(rows.iter().zip(&walk.world.disk.events)) {
        assert_eq!((row.seq, row.name.as_str()), (nth, new.event.name()));
        let Ok(Decoded::Known(envelope)) = decode(&row.payload) else {
            panic!("seed {seed}: event {nth} cannot be read");
        };
        assert_eq!(
            (envelope.seq, envelope.incarnation, &envelope.event),
            (nth, 3, &new.event)
        );
        assert_eq!(envelope.order.map(|order| (order.id, order.version)), new.order);
    }
}

#[test]
fn outbox_is_read_from_anywhere_in_order() {
    let directory = TempDir::new().unwrap();
    let store = open(&file(&directory)).unwrap();
    assert_eq!(outbox::oldest_at(&store.connection, 0).unwrap(), None);
    let fill = "INSERT INTO outbox (seq, at, type, payload) VALUES (5, 50, 'a', x'01'), (6, 60, 'b', x'02'), (7, 70, 'c', x'03')";
    store.connection.execute(fill, []).unwrap();
    let names = |after, max| {
        let rows = outbox::rows(&store.connection, after, max).unwrap();
        rows.into_iter().map(|row| row.name).collect::<String>()
    };
    assert_eq!(
        (names(0, 9), names(5, 9), names(5, 1), names(7, 9)),
        ("abc".into(), "bc".into(), "b".into(), String::new())
    );
    assert_eq!(names(u64::MAX, usize::MAX), "");
    assert_eq!(outbox::oldest_at(&store.connection, 5).unwrap(), Some(UnixMs(60)));
    assert_eq!(load::load(&store.connection, UnixMs(0)).unwrap().head_at, UnixMs(70));
}
