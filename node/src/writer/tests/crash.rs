//! I1: whatever was answered is there after a crash, whatever it interrupts.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    Halt, LIMITS, Region, Response, Setting, assert_gapless, count, customer, file, id_of, key, keyed, order, reader,
    within,
};
use crate::engine::tests::world::{SODA, order_of, place, restaurant};
use crate::writer::WriterLimits;

/// What a power cut would leave: the file and its log as they are, while nobody writes.
fn image(from: &Path, to: &Path) {
    for name in ["region.db", "region.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn soda() -> crate::engine::command::Command {
    place(order_of(Some(restaurant(1)), &[(SODA, 1)]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_was_answered_is_there_after_a_crash() {
    let directory = TempDir::new().unwrap();
    let limits = WriterLimits {
        batch_max: 16,
        ..LIMITS
    };
    let region = Region::opened(
        directory.path(),
        Setting {
            limits,
            ..Setting::default()
        },
    )
    .await;
    let answered: Arc<Mutex<Vec<(u32, Response)>>> = Arc::default();
    let mut crowd = JoinSet::new();
    for n in 0..400 {
        let (writer, answered) = (region.writer.clone(), answered.clone());
        crowd.spawn(async move {
            let response = writer.submit(customer(n), soda(), keyed(key(n, 1))).await.unwrap();
            answered.lock().unwrap().push((n, response));
        });
    }
    for cut in 0..4_usize {
        within(async {
            while answered.lock().unwrap().len() < 1 + cut * 100 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let halt = Halt::new(directory.path());
        // Answers that are still on their way belong to commits that are in the image as well.
        let known = answered.lock().unwrap().clone();
        let copy = TempDir::new().unwrap();
        image(directory.path(), copy.path());
        halt.release();
        assert_kept(copy.path(), &known).await;
    }
    within(crowd.join_all()).await;
    region.close().await;
}

async fn assert_kept(directory: &Path, known: &[(u32, Response)]) {
    let region = Region::start(directory, Setting::default());
    let orders = count(&reader(directory), "SELECT count(*) FROM orders");
    for (n, response) in known {
        let id = id_of(&serde_json::from_slice(&response.body).unwrap());
        assert_eq!(
            customer(*n),
            crate::engine::model::By::Customer(order(directory, id).customer_id)
        );
        assert_eq!(&region.keyed(customer(*n), soda(), key(*n, 1)).await.unwrap(), response);
    }
    let connection = reader(directory);
    assert_eq!(
        count(&connection, "SELECT count(*) FROM orders"),
        orders,
        "a repetition ran again"
    );
    // I6: with each order its two rows to come, its answer and its events.
    for table in ["timers", "tasks", "idempotency"] {
        assert_eq!(
            count(&connection, &format!("SELECT count(*) FROM {table}")),
            orders,
            "{table}"
        );
    }
    assert_eq!(
        count(&connection, "SELECT count(*) FROM outbox WHERE type = 'order.created'"),
        orders
    );
    assert_gapless(&connection);
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!((check.as_str(), file(directory).exists()), ("ok", true));
    region.close().await;
}
