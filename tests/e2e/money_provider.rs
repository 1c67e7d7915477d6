//! The provider as a neighbour: away for an hour, telling of orders that nobody knows, paid after the end; and the other provider.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_tests::city::world::Size;
use tomato_tests::client::{Api, Request};
use tomato_tests::provider::hooks::Habit;
use tomato_tests::settings::RegionFile;
use tomato_tests::till::Till;
use tomato_tests::wait::wait_until;

const SIZE: Size = Size {
    restaurants: 1,
    drivers: 2,
    customers: 4,
};
const OK: &str = "pm_card_visa";
const LIMIT: Duration = Duration::from_secs(180);

/// Six seconds are an hour.
const HOURLY: f64 = 600.0;

fn quick_breaker(file: RegionFile) -> RegionFile {
    file.set("payments.breaker_failures", 3)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_provider_for_an_hour_a_city_sells_for_cash() {
    let till = Till::open(SIZE, HOURLY, false, quick_breaker).await;
    till.fake.faults().down(true);
    let caught = till.place(0, OK).await.unwrap();
    till.until_cards_down(true).await;
    let refused = till.place(1, OK).await.unwrap_err();
    assert_eq!(refused.code(), "cards_unavailable");
    let cash = till.place(1, "").await.unwrap();
    till.deliver(cash, 0).await.unwrap();
    till.pass(3_600_000).await;
    // Nobody knows yet whether it was charged; its stock is for sale again.
    till.until_state(caught, OrderState::Cancelled).await;
    assert_eq!(till.order(caught).await["payment"]["state"], "AUTHORISING");
    till.fake.faults().down(false);
    till.until_cards_down(false).await;
    let later = till.place(2, OK).await.unwrap();
    till.until_payment(later, "AUTHORISED").await;
    till.deliver(later, 0).await.unwrap();
    let report = till.settle().await;
    assert!(report.cash.0 > 0);
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_can_be_charged_later_up_to_a_limit_per_customer() {
    let till = Till::open(SIZE, HOURLY, false, |file| {
        quick_breaker(file)
            .set("payments.deferred_max_minor", 100_000)
            .set("orders.rating_after_ms", 3_600_000)
    })
    .await;
    till.fake.faults().down(true);
    let asked_in_vain = till.place(3, OK).await.unwrap();
    till.until_cards_down(true).await;
    let (mut owed, mut deferred) = (0, Vec::new());
    let refused = loop {
        match till.place(0, OK).await {
            Ok(id) => {
                let order = till.order(id).await;
                assert_eq!(
                    (&order["state"], &order["payment"]["state"]),
                    (&json!("CONFIRMED"), &json!("DEFERRED"))
                );
                owed += order["price"]["total_minor"].as_i64().unwrap();
                deferred.push(id);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), "cards_unavailable");
    assert!(owed <= 100_000 && !deferred.is_empty(), "{owed}");
    let (good, bad) = (deferred[0], till.place(1, "pm_card_visa_chargeDeclined").await.unwrap());
    till.deliver(good, 0).await.unwrap();
    let again = till.place(0, OK).await.unwrap_err();
    assert_eq!(again.code(), "cards_unavailable", "what was delivered is still owed");
    till.kill().await;
    let after = till.place(0, OK).await.unwrap_err();
    assert_eq!(after.code(), "cards_unavailable", "also after a crash");
    till.fake.faults().down(false);
    till.until_payment(good, "CAPTURED").await;
    till.until_state(bad, OrderState::Cancelled).await;
    // Nobody cooks the rest; what was asked before the provider was known to be down may be paid by now, or over.
    for id in deferred[1..].iter().chain([&asked_in_vain]) {
        drop(till.operator().cancel(*id).await);
    }
    till.settle().await;
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_about_an_unknown_order_is_kept_once() {
    let till = Till::open(SIZE, 60.0, false, |file| file).await;
    till.fake.hooks().habit(Habit {
        doubled: 1.0,
        forged: 1.0,
        ..Habit::default()
    });
    let unknown = OrderId::from_bytes([9; 16]).to_string();
    till.fake.tell_of_unknown_order("blr", &unknown);
    till.fake.tell_of_unknown_order("another-city", &unknown);
    let kept = async || (till.report().quarantined == 2).then_some(());
    wait_until("both messages in quarantine", LIMIT, kept).await;
    let sent = async || {
        let counts = till.fake.hooks().counts();
        let count = |of: &std::sync::atomic::AtomicU64| of.load(std::sync::atomic::Ordering::Relaxed);
        (count(&counts.taken) == 4 && count(&counts.forged) == 4).then(|| count(&counts.forged_taken))
    };
    assert_eq!(wait_until("every copy to be delivered", LIMIT, sent).await, 0);
    assert_eq!(till.report().quarantined, 2);
    let anybody = Request::new(Method::POST, "/v1/webhooks/razorpay").json(&json!({}));
    let answer = till.customer(0).send(&anybody).await.unwrap();
    assert_eq!(answer.status, 404, "no such provider here");
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn razorpay_is_paid_in_its_checkout_and_what_comes_too_late_goes_back_once() {
    let till = Till::open(SIZE, 60.0, true, |file| file).await;
    let customer = till.customer(0);
    let good = till.place(0, "").await.unwrap();
    till.deliver(good, 0).await.unwrap();
    let good = till.place(0, OK).await.unwrap();
    let action = checkout(&customer, good).await;
    assert_eq!(
        (&action["kind"], &action["key"]),
        (&json!("checkout"), &json!("rzp_test_fake"))
    );
    assert!(
        till.fake.customer_acts(&good.to_string(), false),
        "a first payment fails"
    );
    assert!(
        till.fake.customer_acts(&good.to_string(), true),
        "and the next does not"
    );
    till.until_payment(good, "AUTHORISED").await;
    till.deliver(good, 0).await.unwrap();
    till.until_payment(good, "CAPTURED").await;

    let late = till.place(1, OK).await.unwrap();
    checkout(&till.customer(1), late).await;
    drop(till.customer(1).cancel(late).await.unwrap());
    till.until_payment(late, "VOIDED").await;
    till.fake.hooks().habit(Habit {
        doubled: 1.0,
        ..Habit::default()
    });
    assert!(
        till.fake.customer_acts(&late.to_string(), true),
        "the checkout was still open"
    );
    assert!(till.fake.capture_by_hand(&late.to_string()));
    let back = async || {
        let moved = till.fake.ledger().total();
        let order = till.order(good).await["price"]["total_minor"].as_i64()?;
        (moved.captured_minor - moved.refunded_minor == order && moved.refunded_minor > 0).then_some(())
    };
    wait_until("the money to go back", LIMIT, back).await;
    till.settle().await;
    till.close().await;
}

async fn checkout(customer: &Api, id: OrderId) -> Value {
    let shown = async || {
        let order: Value = customer.get(&format!("/v1/orders/{id}")).await.ok()?;
        Some(order["payment"]["action"].clone()).filter(Value::is_object)
    };
    wait_until("a checkout to pay in", LIMIT, shown).await
}

/// The cards of the simulated provider, which moves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_cards_come_to_the_ends_that_they_stand_for() {
    let till = Till::open(SIZE, 120.0, false, |file| file.set("payments.provider", "simulated")).await;
    let (late, abandoned) = (
        till.place(0, "card_late").await.unwrap(),
        till.place(1, "card_3ds_abandoned").await.unwrap(),
    );
    let refused = till.place(2, "card_capture_refused").await.unwrap();
    till.until_payment(refused, "AUTHORISED").await;
    drop(
        till.kitchen(refused, "accept", &json!({"ready_in_min": 5}))
            .await
            .unwrap(),
    );
    till.until_payment(refused, "DECLINED").await;
    till.until_state(refused, OrderState::Cancelled).await;
    for card in ["card_3ds", "card_refund_slow", "card_refund_failed"] {
        let id = till.place(3, card).await.unwrap();
        till.until_payment(id, "AUTHORISED").await;
        drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap());
        till.until_payment(id, "CAPTURED").await;
        drop(till.customer(3).cancel(id).await.unwrap());
        till.until_payment(id, "REFUNDED").await;
    }
    // The first is known to have succeeded only when its order is long over, the other never: both are called off.
    for id in [late, abandoned] {
        till.until_state(id, OrderState::Cancelled).await;
        till.until_payment(id, "VOIDED").await;
    }
    assert_eq!(till.open_calls(), 0);
    till.close().await;
}

/// `tomato-node reconcile`, as an operator runs it beside the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconcile_agrees_live_and_names_what_is_wrong_with_a_statement() {
    let till = Till::open(SIZE, 60.0, false, |file| file).await;
    let good = till.place(0, OK).await.unwrap();
    till.until_payment(good, "AUTHORISED").await;
    till.deliver(good, 0).await.unwrap();
    till.until_payment(good, "CAPTURED").await;
    till.settle().await;
    let (well, said) = till.reconcile(&["--live"]).await;
    assert!(well && said.contains("1 orders agree, 0 do not"), "{said}");
    let rows: Vec<String> = till
        .fake
        .ledger()
        .statement()
        .iter()
        .map(|row| {
            format!(
                "{},{},{},{},{}",
                row.id, row.order, row.payment, row.amount_minor, row.created_s
            )
        })
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    let header = "id,order,payment,amount_minor,created_s";
    let path = file.path().to_str().unwrap();
    for (text, fine, says) in [
        (format!("{header}\n{}\n", rows[0]), true, "1 orders agree, 0 do not"),
        (
            format!("{header}\n"),
            false,
            "the region believes in a charge that the provider does not know",
        ),
        (
            format!("{header}\n{0}\n{0}\n", rows[0]),
            false,
            "one payment was charged twice",
        ),
        (
            format!("{header}\nx,ord_x,pay_x,5,0\n{}\n", rows[0]),
            false,
            "name an order that is not here",
        ),
    ] {
        std::fs::write(path, text).unwrap();
        let (well, said) = till.reconcile(&["--statement", path]).await;
        assert!(well == fine && said.contains(says), "{said}");
    }
    till.close().await;
}
