//! Money: each way in which an order can fail, over real HTTP against a provider that fails too. Every script is played once as it
//! is, and again with the node killed (-9) before or after one of its durable steps: a commit, or a call that changes something
//! at the provider. Whatever happens, the order ends as it should, and the customer's money is either spent on a delivered order
//! or back.
//!
//! With `TOMATO_EVERY_STEP` in the environment each script is killed at every step there is, as `./scripts/test-money --steps`
//! does; without, at every ninth, beginning elsewhere in each script.

mod script;

use std::time::Duration;

use serde_json::{Value, json};
use tomato_shared::order::OrderState;
use tomato_tests::city::world::Size;
use tomato_tests::provider::faults::Fault;
use tomato_tests::settings::RegionFile;
use tomato_tests::till::Till;

use script::{OK, Play};

const SIZE: Size = Size {
    restaurants: 1,
    drivers: 3,
    customers: 40,
};
const RATE: f64 = 120.0;
/// An hour in three seconds.
const HOURLY: f64 = 1_200.0;
/// Steps from one kill to the next where not all are tried.
const STRIDE: u64 = 9;

type Scripts = [(&'static str, &'static str)];

/// What can go wrong until the restaurant has the order.
#[rustfmt::skip]
const BEFORE: [(&str, &str); 9] = [
    ("delivered", "place ok, payment AUTHORISED, accept, payment CAPTURED, ready, assign, deliver, end DELIVERED"),
    ("payment fails", "place chargeDeclined, end PAYMENT_FAILED"),
    ("another card", "place chargeDeclined, payment DECLINED, pay 3ds, refuse, payment DECLINED, pay ok, payment AUTHORISED, \
      accept, ready, assign, deliver, end DELIVERED"),
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

/// Who is first.
#[rustfmt::skip]
const RACES: [(&str, &str); 3] = [
    ("cancel races accept", "place ok, payment AUTHORISED, cancel races accept, end CANCELLED"),
    ("two drivers race for an offer", "place ok, payment AUTHORISED, accept, ready, drivers race, deliver, end DELIVERED"),
    ("fifty retries race with one key", "place fifty times, payment AUTHORISED, cancel, end CANCELLED"),
];

/// The provider cannot be reached for an hour, and had begun when it went.
const AWAY: [(&str, &str); 1] = [(
    "provider down for an hour",
    "silent create, place ok, begun, down, hour, end CANCELLED, up",
)];

async fn left(till: &Till) -> i64 {
    let basket = till.basket(0, &json!({}));
    let (restaurant, item) = (&basket["restaurant_id"], &basket["items"][0]["item_id"]);
    let path = format!("/v1/restaurants/{}", restaurant.as_str().unwrap());
    let menu: Value = till.operator().get(&path).await.unwrap();
    let rows = menu["menu"].as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["id"] == *item).unwrap();
    row["left"].as_i64().expect("the item is counted")
}

/// Plays scripts, each without a kill and then with one at each chosen step.
async fn play_all(scripts: &Scripts, rate: f64, change: impl Fn(RegionFile) -> RegionFile) {
    let till = Till::open(SIZE, rate, false, change).await;
    let every = std::env::var_os("TOMATO_EVERY_STEP").is_some();
    let stride = if every { 1 } else { STRIDE };
    let mut nth = 0;
    for (place, (name, script)) in (0..).zip(scripts) {
        let (before, mut cooked) = (left(&till).await, 0);
        let mut at = if every { 0 } else { place * 4 % STRIDE };
        cooked += i64::from(Play::new(&till, script, nth).run().await);
        loop {
            nth += 1;
            till.stop_at(at);
            let play = Play::new(&till, script, nth);
            let killing = async {
                loop {
                    eprintln!("{name}: killed {} (step {at})", till.kill_when_still().await);
                }
            };
            tokio::select! {
                begun = play.run() => cooked += i64::from(begun),
                () = killing => {}
            }
            if till.stop_at_none() {
                break;
            }
            at += stride;
        }
        // What was begun to be cooked is gone, all else is for sale again.
        assert_eq!(left(&till).await, before - cooked, "{name}");
    }
    till.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_payment_end_well_whenever_the_node_is_killed() {
    play_all(&BEFORE, RATE, |file| file.set("orders.hold_ms", 720_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_after_payment_end_well_whenever_the_node_is_killed() {
    play_all(&AFTER, RATE, |file| file.set("orders.hold_ms", 720_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_have_one_winner_whenever_the_node_is_killed() {
    play_all(&RACES, RATE, |file| file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_the_provider_ends_well_whenever_the_node_is_killed() {
    play_all(&AWAY, HOURLY, |file| file.set("payments.breaker_failures", 3)).await;
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
