//! Committed calls: made, repeated until there is an answer, found again after a restart.

use std::path::Path;

use tempfile::TempDir;
use tomato_shared::order::OrderState;
use tomato_shared::runtime::shutdown::Supervisor;

use super::*;
use crate::engine::command::PlaceOrder;
use crate::engine::model::PaymentState;
use crate::engine::tests::world::{BURGER, accept, order_of, place, restaurant};
use crate::payments::simulated::Simulated;
use crate::writer::tests::{Region, Setting, count, customer, file, id_of, order, reader, within};

/// A hundred seconds to a second, and a provider that takes a second.
fn fast() -> Setting {
    Setting {
        rate: 100.0,
        ..Setting::default()
    }
}

fn simulated(region: &Region, directory: &Path, delay: DurationMs) -> Simulated {
    Simulated::new(region.clock, delay, &directory.join("simulated.db")).unwrap()
}

fn tasks(region: &mut Region, directory: &Path) -> Tasks {
    Tasks {
        writer: region.writer.clone(),
        provider: Arc::new(Provider::Simulated(simulated(
            region,
            directory,
            DurationMs::from_secs(1),
        ))),
        clock: region.clock,
        path: file(directory),
        queue: region.tasks.take().unwrap(),
        metrics: crate::metrics::tests::none(),
        head: region.head.clone(),
        tracer: Tracer::default(),
    }
}

fn paid_with(card: &str) -> Command {
    let card = card.to_owned();
    place(PlaceOrder {
        card,
        ..order_of(Some(restaurant(1)), &[(BURGER, 1)])
    })
}

/// Runs an order with this card until its payment stands as wanted.
async fn walk(card: &str, wanted: PaymentState) -> OrderState {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut region = Region::opened(path, fast()).await;
    let mut supervisor = Supervisor::default();
    let tasks = tasks(&mut region, path);
    supervisor.spawn("tasks", tasks.run(Vec::new(), supervisor.stop_signal()));
    let id = id_of(&region.ok(customer(1), paid_with(card)).await);
    if wanted == PaymentState::Captured {
        region
            .until(path, |_| {
                Some(()).filter(|()| order(path, id).state == OrderState::Confirmed)
            })
            .await;
        region.ok(By::Restaurant(restaurant(1)), accept(id)).await;
    }
    region
        .until(path, |_| Some(()).filter(|()| order(path, id).payment.state == wanted))
        .await;
    assert_eq!(count(&reader(path), "SELECT count(*) FROM tasks"), 0);
    let state = order(path, id).state;
    region.close().await;
    state
}

#[tokio::test]
async fn committed_calls_are_made_and_their_outcomes_taken_in() {
    assert_eq!(walk("card_ok", PaymentState::Captured).await, OrderState::Preparing);
    assert_eq!(walk("card_3ds", PaymentState::Authorised).await, OrderState::Confirmed);
    assert_eq!(
        walk("card_declined", PaymentState::Declined).await,
        OrderState::PaymentFailed
    );
}

#[tokio::test]
async fn call_without_an_answer_is_repeated_until_there_is_one() {
    assert_eq!(
        walk("card_timeout", PaymentState::Authorised).await,
        OrderState::Confirmed
    );
}

#[tokio::test]
async fn call_that_was_committed_before_a_crash_is_made_after_it() {
    for handed_over in [true, false] {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        let region = Region::opened(path, fast()).await;
        let id = id_of(&region.ok(customer(1), paid_with("card_ok")).await);
        region.close().await;
        let mut region = Region::start(path, fast());
        let pending = load::tasks(&reader(path), QUEUE_MAX).unwrap();
        assert_eq!(pending.len(), 1);
        let mut supervisor = Supervisor::default();
        let tasks = tasks(&mut region, path);
        // Handed over by the start, or found in the table, or both: one call.
        let pending = if handed_over { pending } else { Vec::new() };
        supervisor.spawn("tasks", tasks.run(pending, supervisor.stop_signal()));
        region
            .until(path, |_| {
                Some(()).filter(|()| order(path, id).state == OrderState::Confirmed)
            })
            .await;
        region.close().await;
    }
}

#[tokio::test]
async fn provider_answers_the_same_call_the_same_way() {
    let directory = TempDir::new().unwrap();
    let region = Region::opened(directory.path(), fast()).await;
    region.ok(customer(1), paid_with("card_slow")).await;
    let task = load::tasks(&reader(directory.path()), 1).unwrap().remove(0);
    let provider = simulated(&region, directory.path(), DurationMs(0));
    let first = within(provider.call(&task)).await.unwrap();
    assert!(matches!(first, PaymentOutcome::Authorised { .. }));
    assert_eq!(within(provider.call(&task)).await.unwrap(), first);
    region.close().await;
}
