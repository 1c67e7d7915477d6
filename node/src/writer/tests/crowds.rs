//! Many at once: shared commits, bounded queues, classes, and races with one winner.

use std::path::Path;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tomato_shared::rejection::Rejection;

use super::{
    Halt, LIMITS, Region, Setting, assert_gapless, begun, burger, count, customer, file, id_of, reader, within,
};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome};
use crate::engine::model::By;
use crate::engine::tests::world::{BURGER, OPERATOR, accept, centre, driver, order_of, place, restaurant, set_open};
use crate::fleet::Fix;
use crate::writer::{Context, Failure, WriterLimits};

/// Commits in the write-ahead log: frames that close a transaction name the size of the file (fileformat2, 4.1).
fn commits(directory: &Path) -> usize {
    let log = std::fs::read(directory.join("region.db-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    log[32..]
        .chunks_exact(24 + page)
        .filter(|frame| frame[4..8] != [0; 4])
        .count()
}

#[tokio::test]
async fn commands_that_wait_together_share_a_commit() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let before = commits(directory.path());
    let halt = Halt::new(directory.path());
    let mut waiting = Vec::new();
    for n in 0..200 {
        let soda = place(order_of(Some(restaurant(2)), &[(BURGER, 1 + n / 100)]));
        waiting.push(begun(region.writer.submit(customer(n), soda, Context::default())).await);
    }
    halt.release();
    let mut taken = 0;
    for answer in waiting {
        taken += usize::from(within(answer).await.is_ok());
    }
    assert_eq!(taken, 10);
    let used = commits(directory.path()) - before;
    // The first may have gone alone.
    assert!((1..=2).contains(&used), "{used} commits");
    region.close().await;
}

#[tokio::test]
async fn full_queue_refuses_at_once_and_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let limits = WriterLimits {
        batch_max: 1,
        new_max: 3,
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
    let halt = Halt::new(directory.path());
    let mut waiting = Vec::new();
    // Three in the queue, and one that the writer may have taken already.
    for n in 0..3 {
        waiting.push(begun(region.writer.submit(customer(n), burger(), Context::default())).await);
    }
    let mut overloaded = 0;
    for n in 3..13 {
        let mut late = Box::pin(region.writer.submit(customer(n), burger(), Context::default()));
        let now = std::future::poll_fn(|context| std::task::Poll::Ready(late.as_mut().poll(context))).await;
        match now {
            std::task::Poll::Ready(answer) => {
                assert_eq!(answer, Err(Failure::Overloaded));
                overloaded += 1;
            }
            std::task::Poll::Pending => waiting.push(late),
        }
    }
    assert!(overloaded >= 9, "{overloaded}");
    let more = begun(
        region
            .writer
            .submit(OPERATOR, set_open(restaurant(3), true), Context::default()),
    )
    .await;
    halt.release();
    let placed = waiting.len();
    for answer in waiting {
        assert_eq!(within(answer).await.unwrap().status, 201);
    }
    assert!(within(more).await.is_ok(), "another class had room");
    assert_eq!(
        count(&reader(directory.path()), "SELECT count(*) FROM orders"),
        i64::try_from(placed).unwrap()
    );
    region.close().await;
}

#[tokio::test]
async fn what_was_begun_goes_before_what_is_new() {
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
    let id = id_of(&region.ok(customer(1), burger()).await);
    let halt = Halt::new(directory.path());
    let mut waiting = Vec::new();
    for n in 10..14 {
        waiting.push(begun(region.writer.submit(customer(n), burger(), Context::default())).await);
    }
    waiting.push(
        begun(region.writer.submit(
            customer(1),
            Command::Order(id, OrderCommand::Cancel),
            Context::default(),
        ))
        .await,
    );
    halt.release();
    for answer in waiting {
        assert!(within(answer).await.is_ok());
    }
    let after = "SELECT count(*) FROM outbox WHERE type = 'order.created'
                 AND seq > (SELECT seq FROM outbox WHERE type = 'order.cancelled')";
    assert!(count(&reader(directory.path()), after) >= 3);
    region.close().await;
}

#[tokio::test]
async fn thousand_orders_for_the_last_ten_take_exactly_ten() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let mut crowd = JoinSet::new();
    for n in 0..1_000 {
        let writer = region.writer.clone();
        crowd.spawn(async move { writer.submit(customer(n), burger(), Context::default()).await });
    }
    let answers = within(crowd.join_all()).await;
    let taken = answers
        .iter()
        .filter(|answer| answer.as_ref().is_ok_and(|response| response.status == 201))
        .count();
    let sold_out =
        |answer: &&Result<_, Failure>| matches!(answer, Err(Failure::Refused(r)) if r.rejection == Rejection::SoldOut);
    assert_eq!((taken, answers.iter().filter(sold_out).count()), (10, 990));
    let connection = reader(directory.path());
    assert_eq!(
        count(
            &connection,
            "SELECT sum(quantity) FROM reservations WHERE state = 'held'"
        ),
        10
    );
    assert_eq!(count(&connection, "SELECT max(reserved) FROM stock"), 10);
    assert_gapless(&connection);
    region.close().await;
}

#[tokio::test]
async fn thousand_accepts_of_one_offer_have_one_winner() {
    let directory = TempDir::new().unwrap();
    let mut region = Region::opened(directory.path(), Setting::default()).await;
    let offer_id = offered(&mut region, directory.path()).await;
    let mut crowd = JoinSet::new();
    for n in 0..1_000_u32 {
        let writer = region.writer.clone();
        let who = driver(if n % 2 == 0 { 1 } else { 2 });
        crowd.spawn(async move {
            (
                n % 2,
                writer
                    .submit(By::Driver(who), Command::AcceptOffer(offer_id), Context::default())
                    .await,
            )
        });
    }
    let answers = within(crowd.join_all()).await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer.is_ok())
        .map(|(who, _)| *who)
        .collect();
    assert_eq!(winners, [0]);
    let gone =
        |answer: &Result<_, Failure>| matches!(answer, Err(Failure::Refused(r)) if r.rejection == Rejection::OfferGone);
    assert_eq!(answers.iter().filter(|(_, answer)| gone(answer)).count(), 999);
    assert_eq!(
        count(
            &reader(directory.path()),
            "SELECT count(*) FROM outbox WHERE type = 'driver.assigned'"
        ),
        1
    );
    region.close().await;
}

/// Brings an order to driver 1, who is the only one with a position.
async fn offered(region: &mut Region, directory: &Path) -> tomato_shared::id::OfferId {
    let fix = Fix {
        place: centre(),
        at: super::NOON,
        accuracy_m: None,
    };
    region.fleet.report(driver(1), &[fix], super::NOON);
    let id = id_of(&region.ok(customer(1), burger()).await);
    let payment_id = super::order(directory, id).payment.id;
    let outcome = PaymentOutcome::Authorised {
        transaction_id: "tx".into(),
    };
    region
        .ok(
            By::Provider,
            Command::PaymentOutcome {
                order_id: id,
                payment_id,
                nth: 0,
                attempt: 1,
                outcome,
            },
        )
        .await;
    region.ok(By::Restaurant(restaurant(1)), accept(id)).await;
    region
        .ok(
            By::Restaurant(restaurant(1)),
            Command::Order(id, OrderCommand::MarkReady),
        )
        .await;
    region
        .until(directory, |_| super::order(directory, id).delivery.offer)
        .await
        .id
}

#[test]
fn the_log_is_where_commits_are_counted() {
    let directory = TempDir::new().unwrap();
    let store = crate::store::open(&file(directory.path())).unwrap();
    let before = commits(directory.path());
    for n in 0..3 {
        store
            .connection
            .execute("INSERT INTO meta (key, value) VALUES (?1, 1)", [n])
            .unwrap();
    }
    assert_eq!(commits(directory.path()) - before, 3);
}
