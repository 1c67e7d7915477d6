//! I3 and I4: the same key gives the same bytes, another body is refused, a refusal is not remembered.

use tempfile::TempDir;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::super::sweep;
use super::{NOON, Region, Setting, assert_gapless, burger, count, customer, file, key, reader};
use crate::engine::tests::world::{BURGER, CAKE, OPERATOR, order_of, place, put, put_restaurant, restaurant};
use crate::store;
use crate::writer::Failure;

fn refused(result: Result<super::Response, Failure>) -> Rejection {
    match result {
        Err(Failure::Refused(refusal)) => refusal.rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn repeated_key_gives_the_same_bytes_and_one_order_also_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let first = region.keyed(customer(1), burger(), key(1, 1)).await.unwrap();
    assert_eq!(first.status, 201);
    assert_eq!(region.keyed(customer(1), burger(), key(1, 1)).await.unwrap(), first);
    let (a, b) = tokio::join!(
        region.keyed(customer(1), burger(), key(2, 1)),
        region.keyed(customer(1), burger(), key(2, 1))
    );
    assert_eq!(a, b);
    region.close().await;
    let region = Region::start(directory.path(), Setting::default());
    assert_eq!(region.keyed(customer(1), burger(), key(1, 1)).await.unwrap(), first);
    assert_eq!(region.keyed(customer(1), burger(), key(2, 1)).await, a);
    assert_eq!(count(&reader(directory.path()), "SELECT count(*) FROM orders"), 2);
    assert_gapless(&reader(directory.path()));
    region.close().await;
}

#[tokio::test]
async fn key_of_another_body_is_refused_without_effect() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    region.keyed(customer(1), burger(), key(1, 1)).await.unwrap();
    let before = region.head.borrow().seq;
    assert_eq!(
        refused(region.keyed(customer(1), burger(), key(1, 2)).await),
        Rejection::IdempotencyKeyReused
    );
    assert_eq!(region.head.borrow().seq, before);
    assert_eq!(count(&reader(directory.path()), "SELECT count(*) FROM idempotency"), 1);
    region.close().await;
}

#[tokio::test]
async fn refusal_is_not_remembered() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let cakes = || place(order_of(Some(restaurant(1)), &[(CAKE, 4)]));
    assert_eq!(
        refused(region.keyed(customer(1), cakes(), key(1, 1)).await),
        Rejection::SoldOut
    );
    let mut wanted = put_restaurant(1);
    wanted.capacities = vec![(BURGER, 10), (CAKE, 9)];
    region.ok(OPERATOR, put(wanted)).await;
    assert_eq!(region.keyed(customer(1), cakes(), key(1, 1)).await.unwrap().status, 201);
    region.close().await;
}

#[tokio::test]
async fn sweep_takes_old_answers_and_old_events_that_the_hub_has_and_no_more_at_once() {
    let directory = TempDir::new().unwrap();
    let file = store::open(&file(directory.path())).unwrap();
    let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9000)
                INSERT INTO outbox (seq, at, type, payload) SELECT n, n, 'x', x'00' FROM n;
                WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
                INSERT INTO idempotency SELECT randomblob(16), x'00', 200, x'00', n FROM n;";
    file.connection.execute_batch(fill).unwrap();
    let old = |ms| NOON + DurationMs(ms - NOON.0);
    assert!(sweep::answers(&file.connection, old(4_501)).unwrap());
    assert!(!sweep::answers(&file.connection, old(4_501)).unwrap());
    assert_eq!(count(&file.connection, "SELECT count(*) FROM idempotency"), 500);
    assert!(sweep::events(&file.connection, 8_000, old(7_001)).unwrap());
    assert_eq!(count(&file.connection, "SELECT min(seq) FROM outbox"), 4_001);
    assert!(!sweep::events(&file.connection, 8_000, old(7_001)).unwrap());
    assert_eq!(count(&file.connection, "SELECT min(seq) FROM outbox"), 7_001);
    assert!(!sweep::events(&file.connection, 8_000, old(9_999)).unwrap());
    assert_eq!(count(&file.connection, "SELECT min(seq) FROM outbox"), 8_001);
    let plan = "EXPLAIN QUERY PLAN DELETE FROM outbox WHERE seq < (SELECT min(seq) FROM outbox) + ?1 AND seq <= ?2 AND at < ?3";
    let how: String = file.connection.query_row(plan, [1, 1, 1], |row| row.get(3)).unwrap();
    assert!(how.contains("USING INTEGER PRIMARY KEY"), "{how}");
}
