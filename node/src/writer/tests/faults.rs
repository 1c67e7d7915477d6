//! Commands that cannot be written, rows that cannot be read, files that fail.

use rusqlite::Connection;
use tempfile::TempDir;
use tomato_shared::order::OrderState;
use tomato_shared::time::DurationMs;

use super::{
    Halt, LIMITS, NOON, Region, Setting, assert_gapless, begun, burger, count, customer, file, id_of, key, keyed,
    order, reader, within,
};
use crate::engine::command::{Command, OrderCommand};
use crate::engine::tests::world::{OPERATOR, restaurant, set_open};
use crate::store::load;
use crate::writer::{Context, Failure, WriterLimits};

/// Makes the file refuse rows of one customer, as a constraint would.
fn refuse_customer(path: &std::path::Path, n: u32) {
    let tamper = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN new.customer_id = x'{n:032x}'
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    Connection::open(file(path)).unwrap().execute_batch(&tamper).unwrap();
}

#[tokio::test]
async fn constraint_undoes_its_command_only() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    refuse_customer(directory.path(), 7);
    let halt = Halt::new(directory.path());
    let mut waiting = Vec::new();
    for n in [6, 7, 8] {
        waiting.push(begun(region.writer.submit(customer(n), burger(), keyed(key(n, 1)))).await);
    }
    halt.release();
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(within(answer).await);
    }
    assert_eq!(answers[1], Err(Failure::Broken));
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let connection = reader(directory.path());
    assert_eq!(count(&connection, "SELECT count(*) FROM orders"), 2);
    assert_eq!(count(&connection, "SELECT reserved FROM stock WHERE reserved > 0"), 2);
    assert_eq!(count(&connection, "SELECT count(*) FROM idempotency"), 2);
    assert_gapless(&connection);
    // Memory was not touched either: eight are left of ten.
    for n in 20..28 {
        region.ok(customer(n), burger()).await;
    }
    assert!(region.submit(customer(30), burger()).await.is_err());
    region.close().await;
}

#[tokio::test]
async fn deadline_that_cannot_be_written_is_put_off_not_lost() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let id = id_of(&region.ok(customer(1), burger()).await);
    region.close().await;
    let tamper = "CREATE TRIGGER refuse BEFORE UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'refused'); END";
    Connection::open(file(directory.path()))
        .unwrap()
        .execute_batch(tamper)
        .unwrap();
    let at = NOON + DurationMs::from_mins(11);
    let mut region = Region::start(
        directory.path(),
        Setting {
            at,
            ..Setting::default()
        },
    );
    let due = |connection: &Connection| {
        let due_at = count(connection, "SELECT due_at FROM timers");
        Some(due_at).filter(|due_at| *due_at > at.0)
    };
    region.until(directory.path(), due).await;
    assert_eq!(order(directory.path(), id).state, OrderState::Pending);
    region.close().await;
    Connection::open(file(directory.path()))
        .unwrap()
        .execute_batch("DROP TRIGGER refuse")
        .unwrap();
    let at = at + DurationMs::from_mins(5);
    let mut region = Region::start(
        directory.path(),
        Setting {
            at,
            ..Setting::default()
        },
    );
    region
        .until(directory.path(), |_| {
            Some(()).filter(|()| order(directory.path(), id).state.is_final())
        })
        .await;
    region.close().await;
}

#[tokio::test]
async fn row_that_cannot_be_read_fails_its_own_command_only() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let id = id_of(&region.ok(customer(1), burger()).await);
    region.ok(customer(1), Command::Order(id, OrderCommand::Cancel)).await;
    let tamper = "UPDATE orders SET doc = '{}'";
    Connection::open(file(directory.path()))
        .unwrap()
        .execute_batch(tamper)
        .unwrap();
    assert_eq!(
        region
            .submit(customer(1), Command::Order(id, OrderCommand::Cancel))
            .await,
        Err(Failure::Broken)
    );
    region.ok(customer(1), burger()).await;
    region.close().await;
}

#[tokio::test]
async fn failing_file_stops_the_writer_and_leaves_nobody_waiting() {
    let directory = TempDir::new().unwrap();
    let limits = WriterLimits { batch_max: 1, ..LIMITS };
    let region = Region::opened(
        directory.path(),
        Setting {
            limits,
            ..Setting::default()
        },
    )
    .await;
    let answered = region.ok(customer(1), burger()).await;
    let halt = Halt::new(directory.path());
    let mut waiting = Vec::new();
    for n in 2..6 {
        waiting.push(begun(region.writer.submit(customer(n), burger(), Context::default())).await);
    }
    halt.0.execute_batch("ALTER TABLE timers RENAME TO gone").unwrap();
    halt.release();
    for answer in waiting {
        assert_eq!(within(answer).await, Err(Failure::Unavailable));
    }
    assert!(!region.writer.is_open());
    assert!(region.writer.failure().unwrap().contains("the region's file failed"));
    assert_eq!(region.submit(customer(9), burger()).await, Err(Failure::Unavailable));
    within(region.end).await.unwrap().unwrap_err();
    let connection = reader(directory.path());
    assert_eq!(
        load::order(&connection, id_of(&answered)).unwrap().unwrap().state,
        OrderState::Pending
    );
    assert_eq!(count(&connection, "SELECT count(*) FROM orders"), 1);
}

#[tokio::test]
async fn closed_writer_decides_what_waits_and_takes_nothing_more() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let halt = Halt::new(directory.path());
    let waiting = begun(region.writer.submit(customer(1), burger(), Context::default())).await;
    region.writer.close();
    let close = set_open(restaurant(1), false);
    assert_eq!(region.submit(OPERATOR, close).await, Err(Failure::Unavailable));
    halt.release();
    assert_eq!(within(waiting).await.unwrap().status, 201);
    within(region.end).await.unwrap().unwrap();
}
