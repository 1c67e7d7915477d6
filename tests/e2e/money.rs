//! Money: each way in which an order can fail, over real HTTP against a provider that fails too. Every script is played once as it
//! is, and once more for each of its steps with the node killed (-9) right after that step. Whatever happens, the order
//! ends as it should, and the customer's money is either spent on a delivered order or back.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_tests::city::world::Size;
use tomato_tests::client::{Request, new_key};
use tomato_tests::provider::faults::Fault;
use tomato_tests::provider::hooks::Habit;
use tomato_tests::till::Till;

const SIZE: Size = Size {
    restaurants: 1,
    drivers: 3,
    customers: 40,
};
const RATE: f64 = 120.0;

/// One thing that happens to an order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is placed with this card.
    Place(&'static str),
    /// The payment comes to stand so.
    Payment(&'static str),
    /// The customer confirms at the bank, or fails to.
    Confirm(bool),
    Accept,
    Reject,
    Ready,
    /// The operator gives it to a driver.
    Assign,
    /// The driver gives it back.
    GiveBack,
    PickUpAndDeliver,
    /// The customer gives it up.
    Cancel,
    /// The operator sends so much back.
    Refund(i64),
    /// The restaurant closes; it opens again when the script is over.
    Close,
    /// The next call of this kind goes wrong.
    Fault(&'static str, Fault),
    /// It comes to its end.
    End(OrderState),
}

use Step::{
    Accept, Assign, Cancel, Close, Confirm, End, GiveBack, Payment, PickUpAndDeliver, Place, Ready, Refund, Reject,
};

const OK: &str = "pm_card_visa";

/// What can go wrong until the restaurant has the order.
#[rustfmt::skip]
const BEFORE: [(&str, &str); 8] = [
    ("delivered", "place ok, payment AUTHORISED, accept, payment CAPTURED, ready, assign, deliver, end DELIVERED"),
    ("payment fails", "place chargeDeclined, end PAYMENT_FAILED"),
    ("3-D Secure", "place 3ds, confirm, payment AUTHORISED, accept, ready, assign, deliver, end DELIVERED"),
    ("3-D Secure fails", "place 3ds, refuse, end PAYMENT_FAILED"),
    ("hold expires while paying", "place 3ds, end CANCELLED"),
    ("restaurant rejects, no other", "place ok, payment AUTHORISED, reject, end CANCELLED"),
    ("restaurant stays silent", "place ok, payment AUTHORISED, end CANCELLED"),
    ("restaurant closes", "place ok, payment AUTHORISED, close, end CANCELLED"),
];

/// What can go wrong after that, and what customers and operators change.
#[rustfmt::skip]
const AFTER: [(&str, &str); 8] = [
    ("three drivers give it back", "place ok, payment AUTHORISED, accept, payment CAPTURED, ready, assign, give-back, assign, \
      give-back, assign, give-back, end CANCELLED"),
    ("one driver gives it back", "place ok, payment AUTHORISED, accept, ready, assign, give-back, assign, deliver, \
      end DELIVERED"),
    ("given up while paying", "late create, place ok, cancel, end CANCELLED"),
    ("given up while captured", "place ok, payment AUTHORISED, late capture, accept, cancel, end CANCELLED"),
    ("refunded in parts", "place ok, payment AUTHORISED, accept, payment CAPTURED, ready, assign, deliver, silent refund, \
      refund 100, fault refund, refund 250, end DELIVERED"),
    ("refund fails at first", "place refundFail, payment AUTHORISED, accept, payment CAPTURED, cancel, end CANCELLED"),
    ("refund takes its time", "place pendingRefund, payment AUTHORISED, accept, payment CAPTURED, cancel, end CANCELLED"),
    ("capture is refused", "place captureFails, payment AUTHORISED, accept, end CANCELLED"),
];

fn steps(script: &'static str) -> Vec<Step> {
    script.split(',').map(|text| step(text.trim())).collect()
}

fn step(text: &'static str) -> Step {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (what, rest) {
        ("place", "ok") => Place(OK),
        ("place", "3ds") => Place("pm_card_authenticationRequired"),
        ("place", "chargeDeclined") => Place("pm_card_visa_chargeDeclined"),
        ("place", "refundFail") => Place("pm_card_refundFail"),
        ("place", "pendingRefund") => Place("pm_card_pendingRefund"),
        ("place", "captureFails") => Place("pm_card_captureFails"),
        ("payment", state) => Payment(state),
        ("confirm", _) => Confirm(true),
        ("refuse", _) => Confirm(false),
        ("accept", _) => Accept,
        ("reject", _) => Reject,
        ("ready", _) => Ready,
        ("assign", _) => Assign,
        ("give-back", _) => GiveBack,
        ("deliver", _) => PickUpAndDeliver,
        ("cancel", _) => Cancel,
        ("close", _) => Close,
        ("refund", minor) => Refund(minor.parse().unwrap()),
        ("late", call) => Step::Fault(call, Fault::LateEffect),
        ("silent", call) => Step::Fault(call, Fault::SilentAfter),
        ("fault", call) => Step::Fault(call, Fault::FaultAfter),
        ("end", state) => End(OrderState::from_name(state).unwrap()),
        _ => panic!("no step is called {text}"),
    }
}

/// Plays a script; the node is killed right after step `kill_after`.
async fn play(till: &Till, nth: usize, steps: &[Step], kill_after: Option<usize>) -> OrderId {
    let mut id = None;
    for (at, step) in steps.iter().enumerate() {
        match (step, id) {
            (Place(card), _) => id = Some(till.place(nth, card).await.unwrap()),
            (Step::Fault(kind, fault), _) => till.fake.faults().next(kind, *fault),
            (step, Some(id)) => take(till, nth, id, *step).await,
            (step, None) => panic!("{step:?} before there is an order"),
        }
        if kill_after == Some(at) {
            till.kill().await;
        }
    }
    open_again(till, nth).await;
    id.expect("a script places an order")
}

async fn take(till: &Till, nth: usize, id: OrderId, step: Step) {
    match step {
        Payment(state) => till.until_payment(id, state).await,
        Confirm(well) => {
            let asked = async || till.fake.customer_acts(&id.to_string(), well).then_some(());
            tomato_tests::wait::wait_until("an action to take", Duration::from_secs(30), asked).await;
        }
        Accept => drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap()),
        Reject => drop(till.kitchen(id, "reject", &json!({})).await.unwrap()),
        Ready => drop(till.kitchen(id, "ready", &json!({})).await.unwrap()),
        Assign => drop(till.assign(id, 0).await.unwrap()),
        GiveBack => drop(till.delivery(id, 0, "cancel", &json!({})).await.unwrap()),
        PickUpAndDeliver => till.hand_over(id, 0).await.unwrap(),
        Cancel => drop(till.customer(nth).cancel(id).await.unwrap()),
        Refund(minor) => {
            let body = json!({"amount_minor": minor, "reason": "quality", "borne_by": "restaurant"});
            let path = format!("/v1/orders/{id}/refunds");
            let refunded: Value = till.operator().command(Method::POST, &path, &body).await.unwrap();
            assert_eq!(refunded["id"], json!(id));
        }
        Close => close(till, nth, false).await,
        End(state) => till.until_state(id, state).await,
        Place(_) | Step::Fault(..) => {}
    }
}

async fn close(till: &Till, nth: usize, open: bool) {
    let restaurant = till.basket(nth, &json!({}))["restaurant_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/restaurants/{restaurant}/status");
    let closed: Value = till
        .operator()
        .command(Method::PUT, &path, &json!({ "open": open }))
        .await
        .unwrap();
    assert_eq!(closed["open"], json!(open));
}

async fn open_again(till: &Till, nth: usize) {
    close(till, nth, true).await;
}

/// What the customer was charged in the end: all of a delivered order, nothing of any other.
async fn check(till: &Till, name: &str, id: OrderId, steps: &[Step]) {
    let report = till.settle().await;
    assert_eq!(report.quarantined, 0);
    let order = till.order(id).await;
    let refunds: i64 = steps
        .iter()
        .map(|step| if let Refund(minor) = step { *minor } else { 0 })
        .sum();
    let total = order["price"]["total_minor"].as_i64().unwrap();
    let delivered = order["state"] == *OrderState::Delivered.name();
    let want = if delivered { total - refunds } else { 0 };
    let statement = till.fake.ledger().statement();
    let spent: i64 = statement
        .iter()
        .filter(|row| row.order == id.to_string())
        .map(|row| row.amount_minor)
        .sum();
    assert_eq!(spent, want, "{name}: {order:#}");
}

async fn left(till: &Till) -> Value {
    let basket = till.basket(0, &json!({}));
    let (restaurant, item) = (&basket["restaurant_id"], &basket["items"][0]["item_id"]);
    let path = format!("/v1/restaurants/{}", restaurant.as_str().unwrap());
    let menu: Value = till.operator().get(&path).await.unwrap();
    let rows = menu["menu"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["id"] == *item).unwrap()["left"].clone()
}

/// Plays some of the scripts, each with a kill after every step and without.
async fn play_all(scripts: &[(&'static str, &'static str)]) {
    let till = Till::open(SIZE, RATE, false, |file| file.set("orders.hold_ms", 720_000)).await;
    till.fake.hooks().habit(Habit {
        doubled: 0.3,
        forged: 0.2,
        lost: 0.2,
        delay: Duration::from_millis(300),
    });
    let mut kills = 0;
    for (name, script) in scripts {
        let steps = steps(script);
        let before = left(&till).await;
        let mut sold = 0;
        for kill_after in std::iter::once(None).chain((0..steps.len()).map(Some)) {
            if let Some(at) = kill_after
                && matches!(steps[at], Step::Fault(..))
            {
                continue;
            }
            kills += u32::from(kill_after.is_some());
            let id = play(&till, kills as usize, &steps, kill_after).await;
            check(&till, name, id, &steps).await;
            // What was begun to be cooked is gone.
            sold += i64::from(steps.iter().any(|step| matches!(step, Accept)));
        }
        let want = before.as_i64().map(|before| before - sold);
        assert_eq!(
            left(&till).await.as_i64(),
            want,
            "{name}: what was not cooked is for sale again"
        );
    }
    eprintln!("{kills} kills");
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_payment_end_well_whenever_the_node_is_killed() {
    play_all(&BEFORE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_after_payment_end_well_whenever_the_node_is_killed() {
    play_all(&AFTER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_customer_is_told_what_to_confirm_and_what_failed() {
    let till = Till::open(SIZE, RATE, false, |file| file).await;
    let id = till.place(0, "pm_card_authenticationRequired").await.unwrap();
    till.fake.faults().next("create", Fault::SilentAfter);
    let customer = till.customer(0);
    let path = format!("/v1/orders/{id}");
    let shown = async || {
        let order: Value = customer.get(&path).await.ok()?;
        order["payment"]["action"]
            .is_object()
            .then_some(order["payment"]["action"].clone())
    };
    let action = tomato_tests::wait::wait_until("an action", Duration::from_secs(10), shown).await;
    assert_eq!(action["kind"], "confirm");
    assert!(
        action["url"]
            .as_str()
            .unwrap()
            .starts_with("https://hooks.stripe.example/3ds/"),
        "{action}"
    );
    assert!(
        till.order(id).await["payment"]["action"].is_null(),
        "nobody else sees it"
    );
    assert!(till.fake.customer_acts(&id.to_string(), false));
    till.until_state(id, OrderState::PaymentFailed).await;
    let events: Value = customer.get(&format!("{path}/events")).await.unwrap();
    let kinds: Vec<_> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert!(
        kinds.contains(&json!("payment.action_required")) && kinds.contains(&json!("payment.failed")),
        "{kinds:?}"
    );
    till.settle().await;
    till.close().await;
}

/// Every way of failing, of every call, once each and beside a good order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_each_call_is_survived() {
    let till = Till::open(SIZE, RATE, false, |file| file).await;
    for fault in tomato_tests::provider::faults::ALL {
        for (kind, deliver) in [
            ("create", true),
            ("capture", true),
            ("cancel", false),
            ("refund", false),
        ] {
            till.fake.faults().next(kind, fault);
            let id = till.place(1, OK).await.unwrap();
            till.until_payment(id, "AUTHORISED").await;
            match (kind, deliver) {
                ("refund", _) => {
                    drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap());
                    till.until_payment(id, "CAPTURED").await;
                    drop(till.customer(1).cancel(id).await.unwrap());
                }
                (_, true) => till.deliver(id, 0).await.unwrap(),
                (_, false) => drop(till.customer(1).cancel(id).await.unwrap()),
            }
            till.settle().await;
            assert_eq!(till.fake.faults().planned(), 0, "{kind} was not called");
        }
    }
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_races_accept_and_fifty_retries_are_one_payment() {
    let till = Till::open(SIZE, RATE, false, |file| file).await;
    for round in 0..10 {
        let id = till.place(round, OK).await.unwrap();
        till.until_payment(id, "AUTHORISED").await;
        let body = json!({"ready_in_min": 5});
        let customer = till.customer(round);
        let (accepted, cancelled) = tokio::join!(till.kitchen(id, "accept", &body), customer.cancel(id));
        assert!(accepted.is_ok() || cancelled.is_ok());
        if cancelled.is_err() {
            drop(till.operator().cancel(id).await.unwrap());
        }
        till.until_state(id, OrderState::Cancelled).await;
    }
    let order = till.basket(0, &json!({"method": "card", "card": OK}));
    let (customer, key) = (till.customer(0), new_key());
    let before = till.fake.ledger().charges.len();
    let tries = (0..50).map(|_| {
        let request = Request::new(Method::POST, "/v1/orders")
            .json(&order)
            .header("idempotency-key", &key);
        let customer = customer.clone();
        async move { customer.send(&request).await.unwrap().body }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let id: Value = serde_json::from_slice(&answers[0]).unwrap();
    till.until_payment(id["id"].as_str().unwrap().parse().unwrap(), "AUTHORISED")
        .await;
    assert_eq!(till.fake.ledger().charges.len(), before + 1);
    till.close().await;
}
