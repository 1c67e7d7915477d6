//! What comes later than anybody likes: banks that take money back, keys that the provider has forgotten, money taken behind the
//! region's back, refunds of single dishes.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_tests::city::world::Size;
use tomato_tests::provider::faults::Fault;
use tomato_tests::provider::hooks::Habit;
use tomato_tests::till::Till;
use tomato_tests::wait::wait_until;

const SIZE: Size = Size {
    restaurants: 1,
    drivers: 3,
    customers: 8,
};
const RATE: f64 = 60.0;
const OK: &str = "pm_card_visa";
const LIMIT: Duration = Duration::from_secs(180);
/// Stripe has forgotten its keys.
const A_DAY_AND_MORE_MS: i64 = 25 * 3_600_000;

/// An order that is paid for and cooked.
async fn captured(till: &Till, nth: usize, razorpay: bool) -> OrderId {
    let id = till.place(nth, OK).await.unwrap();
    if razorpay {
        let pays = async || till.fake.customer_acts(&id.to_string(), true).then_some(());
        wait_until("a checkout to pay in", LIMIT, pays).await;
    }
    till.until_payment(id, "AUTHORISED").await;
    drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap());
    till.until_payment(id, "CAPTURED").await;
    id
}

async fn delivered(till: &Till, nth: usize, razorpay: bool) -> OrderId {
    let id = captured(till, nth, razorpay).await;
    drop(till.kitchen(id, "ready", &json!({})).await.unwrap());
    till.assign(id, 0).await.unwrap();
    till.hand_over(id, 0).await.unwrap();
    id
}

async fn until_dispute(till: &Till, id: OrderId, state: &str) {
    let there = async || {
        let order: Value = till.operator().get(&format!("/v1/orders/{id}")).await.ok()?;
        (order["payment"]["disputes"][0]["state"] == *state).then_some(())
    };
    wait_until("the operator to see how the dispute stands", LIMIT, there).await;
}

async fn refund(till: &Till, id: OrderId, body: &Value) -> Result<Value, String> {
    let path = format!("/v1/orders/{id}/refunds");
    let answer = till.operator().command::<Value>(Method::POST, &path, body).await;
    answer.map_err(|error| error.code().to_owned())
}

/// What is left of an order's money at the provider.
fn left_minor(till: &Till, id: OrderId) -> i64 {
    let statement = till.fake.ledger().statement();
    let rows = statement.iter().filter(|row| row.order == id.to_string());
    rows.map(|row| row.amount_minor).sum()
}

/// Sum of an account's postings about an order.
fn posted(till: &Till, id: OrderId, account: &str) -> i64 {
    let sql = "SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE order_id = ?1 AND account = ?2";
    let sum = till
        .database()
        .query_row(sql, rusqlite::params![id.bytes(), account], |row| row.get(0));
    sum.unwrap()
}

async fn disputes_are_booked_once(razorpay: bool) {
    let till = Till::open(SIZE, RATE, razorpay, |file| file).await;
    till.fake.hooks().habit(Habit {
        doubled: 1.0,
        forged: 1.0,
        lost: 0.0,
        delay: Duration::from_millis(200),
    });
    let small = json!({"amount_minor": 100, "reason": "quality", "borne_by": "platform"});
    let lost = delivered(&till, 0, razorpay).await;
    // The first message has to come again, as nobody says how the dispute stands.
    till.fake.faults().next("read", Fault::FaultBefore);
    assert!(till.fake.dispute(&lost.to_string()));
    until_dispute(&till, lost, "open").await;
    let total = till.order(lost).await["price"]["total_minor"].as_i64().unwrap();
    assert_eq!(refund(&till, lost, &small).await.unwrap_err(), "refund_too_large");
    let seen: Value = till.customer(0).get(&format!("/v1/orders/{lost}")).await.unwrap();
    assert!(seen["payment"]["disputes"].is_null(), "it is the operators' business");
    till.settle().await;
    assert_eq!(posted(&till, lost, "disputes"), if razorpay { 0 } else { total });
    till.kill().await;
    assert!(till.fake.decide(&lost.to_string(), false));
    until_dispute(&till, lost, "lost").await;
    till.settle().await;
    assert_eq!(
        (posted(&till, lost, "disputes"), posted(&till, lost, "refunds")),
        (0, total)
    );
    assert_eq!(
        (left_minor(&till, lost), posted(&till, lost, "provider_clearing")),
        (0, 0)
    );
    assert_eq!(refund(&till, lost, &small).await.unwrap_err(), "refund_too_large");

    let won = delivered(&till, 1, razorpay).await;
    assert!(till.fake.dispute(&won.to_string()));
    until_dispute(&till, won, "open").await;
    assert!(till.fake.decide(&won.to_string(), true));
    until_dispute(&till, won, "won").await;
    refund(&till, won, &small).await.unwrap();
    let total = till.order(won).await["price"]["total_minor"].as_i64().unwrap();
    till.settle().await;
    assert_eq!(
        (left_minor(&till, won), posted(&till, won, "disputes")),
        (total - 100, 0)
    );

    // The customer of an order that is given up gets the money once: from the bank, or from us.
    for (nth, from_us) in [(2, true), (3, false)] {
        let id = captured(&till, nth, razorpay).await;
        assert!(till.fake.dispute(&id.to_string()));
        until_dispute(&till, id, "open").await;
        till.operator().cancel(id).await.unwrap();
        till.until_payment(id, "REFUNDED").await;
        assert!(till.fake.decide(&id.to_string(), from_us));
        until_dispute(&till, id, if from_us { "won" } else { "lost" }).await;
        till.settle().await;
        let order = till.order(id).await;
        let refunds = order["payment"]["refunds"].as_array().map_or(0, Vec::len);
        assert_eq!((left_minor(&till, id), refunds), (0, usize::from(from_us)), "{order:#}");
        assert_eq!(posted(&till, id, "customer_payments"), 0);
    }
    let forged = &till.fake.hooks().counts().forged_taken;
    assert_eq!(forged.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(till.report().quarantined, 0);
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bank_takes_back_is_booked_once_and_never_refunded_besides() {
    disputes_are_booked_once(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_razorpay_which_takes_it_when_it_is_lost() {
    disputes_are_booked_once(true).await;
}

/// Two meals are on their way to customers who are to be charged later. Of one charge the answer was lost, the other was never
/// begun; then Stripe forgets its keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_whose_keys_are_forgotten_are_looked_for_before_another_is_made() {
    let till = Till::open(SIZE, RATE, false, |file| {
        file.set("payments.breaker_failures", 3)
            .set("payments.deferred_max_minor", 1_000_000)
    })
    .await;
    till.fake.faults().always(Some(Fault::SilentAfter));
    let first = till.place(0, OK).await.unwrap();
    till.until_cards_down(true).await;
    let made = till.place(1, OK).await.unwrap();
    let known = async || till.fake.ledger().knows(&made.to_string()).then_some(());
    wait_until("the provider to begin what nobody hears of", LIMIT, known).await;
    till.fake.faults().always(Some(Fault::Garbage));
    let unmade = till.place(2, OK).await.unwrap();
    for (nth, id) in [made, unmade].into_iter().enumerate() {
        assert_eq!(till.order(id).await["payment"]["state"], "DEFERRED");
        drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap());
        drop(till.kitchen(id, "ready", &json!({})).await.unwrap());
        till.assign(id, nth).await.unwrap();
        drop(till.delivery(id, nth, "pickup", &json!({})).await.unwrap());
    }
    till.move_clock(A_DAY_AND_MORE_MS).await;
    till.fake.ledger().keys.clear();
    till.fake.faults().always(None);
    let proof = json!({"proof": {"kind": "photo", "reference": "door.jpg"}});
    for (nth, id) in [made, unmade].into_iter().enumerate() {
        till.until_payment(id, "CAPTURED").await;
        drop(till.delivery(id, nth, "complete", &proof).await.unwrap());
        let order = id.to_string();
        let ledger = till.fake.ledger();
        let charges: Vec<_> = ledger
            .charges
            .iter()
            .filter(|row| row.metadata["order"] == order)
            .collect();
        assert_eq!(charges.len(), 1, "one charge, whatever was forgotten");
        assert_eq!(charges[0].metadata["attempt"], if id == made { "1" } else { "2" });
    }
    till.until_state(first, OrderState::Cancelled).await;
    till.settle().await;
    till.close().await;
}

/// Somebody presses "capture" in the provider's dashboard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_captured_by_hand_is_captured_once_and_goes_back_once() {
    let till = Till::open(SIZE, RATE, false, |file| file).await;
    till.fake.hooks().habit(Habit {
        doubled: 1.0,
        ..Habit::default()
    });
    let kept = till.place(0, OK).await.unwrap();
    till.until_payment(kept, "AUTHORISED").await;
    assert!(till.fake.capture_by_hand(&kept.to_string()));
    till.deliver(kept, 0).await.unwrap();
    till.until_payment(kept, "CAPTURED").await;
    let total = till.order(kept).await["price"]["total_minor"].as_i64().unwrap();
    till.settle().await;
    assert_eq!(left_minor(&till, kept), total);

    let given_up = till.place(1, OK).await.unwrap();
    till.until_payment(given_up, "AUTHORISED").await;
    assert!(till.fake.capture_by_hand(&given_up.to_string()));
    till.fake.faults().next("refund", Fault::SilentAfter);
    till.customer(1).cancel(given_up).await.unwrap();
    till.until_payment(given_up, "VOIDED").await;
    till.settle().await;
    assert_eq!(left_minor(&till, given_up), 0);
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dish_is_refunded_with_its_tax_and_borne_by_whom_it_should_be() {
    let till = Till::open(SIZE, RATE, false, |file| file).await;
    for (nth, (borne_by, account)) in [
        ("platform", "refunds"),
        ("restaurant", "restaurant_payable"),
        ("driver", "driver_payable"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = delivered(&till, nth, false).await;
        let order = till.order(id).await;
        let (total, before) = (
            order["price"]["total_minor"].as_i64().unwrap(),
            posted(&till, id, account),
        );
        let body = json!({"lines": [{"line": 0, "quantity": 1}], "reason": "missing", "borne_by": borne_by});
        let refunded = refund(&till, id, &body).await.unwrap();
        let minor = refunded["payment"]["refunds"][0]["amount_minor"].as_i64().unwrap();
        let unit = order["lines"][0]["unit_minor"].as_i64().unwrap();
        assert!(minor > unit && minor < unit * 2, "{minor}: the price and its tax");
        assert_eq!(
            refund(&till, id, &body).await.unwrap_err(),
            "refund_too_large",
            "there was one"
        );
        till.settle().await;
        assert_eq!(left_minor(&till, id), total - minor);
        assert_eq!(posted(&till, id, account) - before, minor, "{borne_by}");
        let receipt: Value = till
            .customer(nth)
            .get(&format!("/v1/orders/{id}/receipt"))
            .await
            .unwrap();
        assert_eq!(
            (&receipt["refunded_minor"], &receipt["net_minor"]),
            (&json!(minor), &json!(total - minor))
        );
    }
    till.close().await;
}
