//! Deadlines and rounds of dispatch that the writer gives to itself.

use std::path::Path;

use tempfile::TempDir;
use tomato_shared::id::OrderId;
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::sync::Watermark;
use tomato_shared::time::DurationMs;

use super::{NOON, Region, Setting, assert_gapless, burger, count, customer, id_of, order, reader};
use crate::engine::command::{Command, OrderCommand, PlaceOrder};
use crate::engine::model::{By, Proof};
use crate::engine::tests::world::{self, BURGER, accept, centre, driver, order_of, place, restaurant};
use crate::fleet::Fix;
use crate::writer::Context;
use crate::writer::{Failure, Head};

#[tokio::test]
async fn deadline_that_passed_while_the_node_was_down_comes_at_the_start() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    let id = id_of(&region.ok(customer(1), burger()).await);
    region.close().await;
    let at = NOON + DurationMs::from_mins(11);
    let mut region = Region::start(
        directory.path(),
        Setting {
            at,
            ..Setting::default()
        },
    );
    let handed_over = region.tasks.take().and_then(|mut tasks| tasks.try_recv().ok());
    assert_eq!(handed_over, None, "the open call is handed over by the start itself");
    let state = |_: &_| Some(order(directory.path(), id).state).filter(|state| state.is_final());
    assert_eq!(region.until(directory.path(), state).await, OrderState::Cancelled);
    let connection = reader(directory.path());
    assert_eq!(count(&connection, "SELECT sum(reserved) FROM stock"), 0);
    assert_eq!(count(&connection, "SELECT count(*) FROM timers"), 0);
    assert_eq!(count(&connection, "SELECT count(*) FROM tasks"), 1);
    assert_gapless(&connection);
    region.close().await;
}

#[tokio::test]
async fn more_deadlines_than_fit_into_a_turn_all_come() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), Setting::default()).await;
    for n in 0..700 {
        region
            .writer
            .submit(
                customer(n),
                place(order_of(Some(restaurant(1)), &[(world::SODA, 3)])),
                Context::default(),
            )
            .await
            .unwrap();
    }
    region.close().await;
    let at = NOON + DurationMs::from_mins(11);
    let mut region = Region::start(
        directory.path(),
        Setting {
            at,
            ..Setting::default()
        },
    );
    let none = |connection: &_| Some(()).filter(|()| count(connection, "SELECT count(*) FROM timers") == 0);
    region.until(directory.path(), none).await;
    assert_eq!(
        count(
            &reader(directory.path()),
            "SELECT count(*) FROM orders WHERE state <> 'CANCELLED'"
        ),
        0
    );
    region.close().await;
}

/// A cash order at restaurant 1 that is ready.
async fn ready(region: &Region, n: u32) -> OrderId {
    let wanted = PlaceOrder {
        method: tomato_shared::event::PaymentMethod::Cash,
        ..order_of(Some(restaurant(1)), &[(BURGER, 1)])
    };
    let id = id_of(&region.ok(customer(n), place(wanted)).await);
    region.ok(By::Restaurant(restaurant(1)), accept(id)).await;
    region
        .ok(
            By::Restaurant(restaurant(1)),
            Command::Order(id, OrderCommand::MarkReady),
        )
        .await;
    id
}

fn report(region: &Region, n: u8, away_m: f64) {
    let fix = Fix {
        place: centre().offset_m(away_m, 0.0),
        at: NOON,
        accuracy_m: None,
    };
    region.fleet.report(driver(n), &[fix], NOON);
}

async fn until_offered(region: &mut Region, directory: &Path, id: OrderId) -> tomato_shared::id::OfferId {
    region
        .until(directory, |_| order(directory, id).delivery.offer)
        .await
        .id
}

/// The retry comes after 30 s, far beyond this test's patience: what happens here happens at once.
#[tokio::test]
async fn freed_driver_is_offered_the_next_order_at_once() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut region = Region::opened(path, Setting::default()).await;
    report(&region, 1, 0.0);
    let rider = By::Driver(driver(1));
    let first = ready(&region, 1).await;
    let offer = until_offered(&mut region, path, first).await;
    region.ok(rider, Command::AcceptOffer(offer)).await;
    let second = ready(&region, 2).await;
    region.ok(rider, Command::Order(first, OrderCommand::PickUp)).await;
    let proof = Proof::Photo { reference: "p".into() };
    region
        .ok(rider, Command::Order(first, OrderCommand::Complete(proof)))
        .await;
    let offer = until_offered(&mut region, path, second).await;
    // Another driver becomes free by declining; who declined is not asked again while somebody else is near.
    report(&region, 2, 500.0);
    region.ok(rider, Command::DeclineOffer(offer)).await;
    until_offered(&mut region, path, second).await;
    assert_eq!(order(path, second).delivery.offer.unwrap().driver_id, driver(2));
    region.close().await;
}

/// A refusal that is written: else a PIN could be guessed.
#[tokio::test]
async fn wrong_pin_is_refused_and_counted_in_the_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut region = Region::opened(path, Setting::default()).await;
    report(&region, 1, 0.0);
    let rider = By::Driver(driver(1));
    let id = ready(&region, 1).await;
    let offer = until_offered(&mut region, path, id).await;
    region.ok(rider, Command::AcceptOffer(offer)).await;
    region.ok(rider, Command::Order(id, OrderCommand::PickUp)).await;
    let pin = || Command::Order(id, OrderCommand::Complete(Proof::Pin { pin: "wrong".into() }));
    for tries in 1..=5 {
        let refused = region.submit(rider, pin()).await;
        assert_eq!(refused, Err(Failure::Refused(Rejection::ProofWrong.into())));
        assert_eq!(order(path, id).delivery.pin_tries, tries);
    }
    let told = "SELECT count(*) FROM outbox WHERE type = 'delivery.proof.refused'";
    assert_eq!(count(&reader(path), told), 5);
    region.close().await;
    let region = Region::start(path, Setting::default());
    let refused = region.submit(rider, pin()).await;
    assert_eq!(refused, Err(Failure::Refused(Rejection::ProofLocked.into())));
    assert_gapless(&reader(path));
    region.close().await;
}

#[tokio::test]
async fn every_waiting_order_gets_its_turn() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut policy = world::policy();
    policy.dispatch.orders_per_round = 2;
    policy.dispatch.retry = DurationMs(20);
    let mut region = Region::opened(
        path,
        Setting {
            policy,
            ..Setting::default()
        },
    )
    .await;
    let mut orders = Vec::new();
    for n in 0..5 {
        orders.push(ready(&region, n).await);
    }
    for n in 1..=5 {
        report(&region, n, 100.0 * f64::from(n));
    }
    for id in orders {
        until_offered(&mut region, path, id).await;
    }
    region.close().await;
}

#[tokio::test]
async fn waiting_order_is_found_again_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut policy = world::policy();
    policy.dispatch.retry = DurationMs(20);
    let region = Region::opened(path, Setting::default()).await;
    let id = ready(&region, 1).await;
    region.close().await;
    let mut region = Region::start(
        path,
        Setting {
            policy,
            ..Setting::default()
        },
    );
    region
        .until(path, |_| {
            Some(()).filter(|()| region_has(path, id, DeliveryState::Searching))
        })
        .await;
    // The fleet is empty after a start: the first position makes a driver known again.
    crate::writer::tests::within(async {
        while region.fleet.online() < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    report(&region, 3, 0.0);
    until_offered(&mut region, path, id).await;
    region.close().await;
}

fn region_has(path: &Path, id: OrderId, state: DeliveryState) -> bool {
    order(path, id).delivery.state == state
}

#[tokio::test]
async fn only_a_believable_watermark_is_kept() {
    let directory = TempDir::new().unwrap();
    let mut region = Region::opened(directory.path(), Setting::default()).await;
    let head = *region.head.borrow();
    let tell = |incarnation, seq| {
        region.writer.watermark(Watermark {
            incarnation,
            seq,
            agreed_seq: None,
        });
    };
    tell(head.incarnation - 1, 3);
    tell(head.incarnation - 1, u64::MAX);
    tell(head.incarnation, 5);
    tell(head.incarnation, 4);
    super::within(region.head.wait_for(|head| head.watermark_seq > 0))
        .await
        .unwrap();
    region.ok(customer(1), burger()).await;
    assert_eq!(region.head.borrow().watermark_seq, 5);
    region.close().await;
    let region = Region::start(directory.path(), Setting::default());
    region.ok(customer(1), burger()).await;
    assert_eq!(region.head.borrow().watermark_seq, 5);
    region.close().await;
}

#[tokio::test]
async fn a_hub_that_has_more_fences_the_file() {
    let same = |head: Head| Watermark {
        incarnation: head.incarnation,
        seq: head.seq,
        agreed_seq: None,
    };
    let more = |head: Head| Watermark {
        seq: head.seq + 1,
        ..same(head)
    };
    let later = |head: Head| Watermark {
        incarnation: head.incarnation + 1,
        ..same(head)
    };
    let apart = |head: Head| Watermark {
        agreed_seq: Some(head.seq - 1),
        ..same(head)
    };
    for nth in 0..3 {
        let directory = TempDir::new().unwrap();
        let mut region = Region::opened(directory.path(), Setting::default()).await;
        let head = *region.head.borrow();
        region.writer.watermark([more(head), later(head), apart(head)][nth]);
        super::within(region.head.wait_for(|head| head.fence.is_some()))
            .await
            .unwrap();
        assert_eq!(region.submit(customer(1), burger()).await, Err(Failure::Fenced));
        assert_eq!(region.head.borrow().seq, head.seq);
        assert_eq!(region.head.borrow().watermark_seq, 0);
        region.close().await;
    }
    // Compared, and the same.
    let directory = TempDir::new().unwrap();
    let mut region = Region::opened(directory.path(), Setting::default()).await;
    let head = *region.head.borrow();
    region.writer.watermark(Watermark {
        agreed_seq: Some(head.seq),
        ..same(head)
    });
    super::within(region.head.wait_for(|head| head.watermark_seq > 0))
        .await
        .unwrap();
    region.ok(customer(1), burger()).await;
    region.close().await;
}
