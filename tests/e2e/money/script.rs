//! Scripts: what happens to one order, step by step, and what has to be true of it in the end.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_tests::client::{Request, new_key};
use tomato_tests::provider::faults::Fault;
use tomato_tests::till::Till;
use tomato_tests::wait::{poll_until, wait_until};

pub(super) const OK: &str = "pm_card_visa";
const LIMIT: Duration = Duration::from_secs(180);

/// One thing that happens to an order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is placed with this card.
    Place(&'static str),
    /// It is placed by fifty requests at once, all with one key.
    PlaceFifty,
    /// The customer pays with another card.
    Pay(&'static str),
    /// The payment comes to stand so.
    Payment(&'static str),
    /// The provider has begun something for it.
    Begun,
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
    /// The customer gives it up while the restaurant accepts it; where the restaurant is faster, the operator gives it up.
    CancelRacesAccept,
    /// Two drivers take its offer, each many times at once.
    DriversRace,
    /// The operator sends so much back.
    Refund(i64),
    /// The restaurant closes; it opens again when the script is over.
    Close,
    /// The next call of this kind goes wrong.
    Fault(&'static str, Fault),
    /// The provider cannot be reached any more, or can be again.
    Down(bool),
    Hour,
    /// It comes to its end.
    End(OrderState),
}

use Step::{
    Accept, Assign, Begun, Cancel, CancelRacesAccept, Close, Confirm, Down, DriversRace, End, GiveBack, Hour, Payment,
    PickUpAndDeliver, Place, PlaceFifty, Ready, Refund, Reject,
};

fn step(text: &'static str) -> Step {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (what, rest) {
        ("place", "fifty times") => PlaceFifty,
        ("place", card) => Place(card_of(card)),
        ("pay", card) => Step::Pay(card_of(card)),
        ("payment", state) => Payment(state),
        ("begun", _) => Begun,
        ("confirm", _) => Confirm(true),
        ("refuse", _) => Confirm(false),
        ("accept", _) => Accept,
        ("reject", _) => Reject,
        ("ready", _) => Ready,
        ("assign", _) => Assign,
        ("give-back", _) => GiveBack,
        ("deliver", _) => PickUpAndDeliver,
        ("cancel", "races accept") => CancelRacesAccept,
        ("cancel", _) => Cancel,
        ("drivers", "race") => DriversRace,
        ("close", _) => Close,
        ("refund", minor) => Refund(minor.parse().unwrap()),
        ("late", call) => Step::Fault(call, Fault::LateEffect),
        ("silent", call) => Step::Fault(call, Fault::SilentAfter),
        ("fault", call) => Step::Fault(call, Fault::FaultAfter),
        ("down", _) => Down(true),
        ("up", _) => Down(false),
        ("hour", _) => Hour,
        ("end", state) => End(OrderState::from_name(state).unwrap()),
        _ => panic!("no step is called {text}"),
    }
}

fn card_of(name: &str) -> &'static str {
    match name {
        "ok" => OK,
        "3ds" => "pm_card_authenticationRequired",
        "chargeDeclined" => "pm_card_visa_chargeDeclined",
        "refundFail" => "pm_card_refundFail",
        "pendingRefund" => "pm_card_pendingRefund",
        "captureFails" => "pm_card_captureFails",
        _ => panic!("no card is called {name}"),
    }
}

/// A script that is played.
pub(super) struct Play<'t> {
    till: &'t Till,
    steps: Vec<Step>,
    /// Which customer.
    nth: usize,
}

impl<'t> Play<'t> {
    /// `script`: steps with commas between them.
    pub(super) fn new(till: &'t Till, script: &'static str, nth: usize) -> Self {
        let steps = script.split(',').map(|text| step(text.trim())).collect();
        Self { till, steps, nth }
    }

    /// Plays it to its end, and checks that it ended well. Gives whether the food was begun to be cooked.
    pub(super) async fn run(&self) -> bool {
        let mut id = None;
        for step in &self.steps {
            match (step, id) {
                (Place(card), _) => id = Some(self.till.place(self.nth, card).await.unwrap()),
                (PlaceFifty, _) => id = Some(self.place_fifty().await),
                (Step::Fault(kind, fault), _) => self.till.fake.faults().next(kind, *fault),
                (step, Some(id)) => self.take(id, *step).await,
                (step, None) => panic!("{step:?} before there is an order"),
            }
        }
        self.close(true).await;
        self.check(id.expect("a script places an order")).await
    }

    async fn place_fifty(&self) -> OrderId {
        let order = self.till.basket(self.nth, &json!({"method": "card", "card": OK}));
        let (customer, key) = (self.till.customer(self.nth), new_key());
        let before = self.orders().await;
        let tries = (0..50).map(|_| {
            let request = Request::new(Method::POST, "/v1/orders").json(&order);
            let (customer, request) = (customer.clone(), request.header("idempotency-key", &key));
            async move { customer.send_patiently(&request).await.unwrap() }
        });
        let answers = futures_util::future::join_all(tries).await;
        for answer in &answers {
            assert_eq!(
                (answer.status, &answer.body),
                (http::StatusCode::CREATED, &answers[0].body)
            );
        }
        assert_eq!(self.orders().await, before + 1, "fifty requests are one order");
        serde_json::from_value(answers[0].json()["id"].clone()).unwrap()
    }

    async fn orders(&self) -> usize {
        self.till.operator().all_orders().await.unwrap().len()
    }

    async fn take(&self, id: OrderId, step: Step) {
        let till = self.till;
        match step {
            Step::Pay(card) => drop(till.customer(self.nth).pay(id, card).await.unwrap()),
            Payment(state) => till.until_payment(id, state).await,
            Begun => {
                let known = async || till.fake.ledger().knows(&id.to_string()).then_some(());
                wait_until("the provider to begin", LIMIT, known).await;
            }
            Confirm(well) => {
                let asked = async || till.fake.customer_acts(&id.to_string(), well).then_some(());
                wait_until("an action to take", LIMIT, asked).await;
            }
            Accept => drop(till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await.unwrap()),
            Reject => drop(till.kitchen(id, "reject", &json!({})).await.unwrap()),
            Ready => drop(till.kitchen(id, "ready", &json!({})).await.unwrap()),
            Assign => drop(till.assign(id, 0).await.unwrap()),
            GiveBack => drop(till.delivery(id, 0, "cancel", &json!({})).await.unwrap()),
            PickUpAndDeliver => {
                let driver = till.driver_of(id).await.expect("somebody drives");
                till.hand_over(id, driver).await.unwrap();
            }
            Cancel => drop(till.customer(self.nth).cancel(id).await.unwrap()),
            CancelRacesAccept => self.cancel_races_accept(id).await,
            DriversRace => self.drivers_race(id).await,
            Refund(minor) => {
                let body = json!({"amount_minor": minor, "reason": "quality", "borne_by": "restaurant"});
                let path = format!("/v1/orders/{id}/refunds");
                let refunded: Value = till.operator().command(Method::POST, &path, &body).await.unwrap();
                assert_eq!(refunded["id"], json!(id));
            }
            Close => self.close(false).await,
            Down(down) => {
                till.fake.faults().down(down);
                if !down {
                    till.until_cards_down(false).await;
                }
            }
            Hour => till.pass(3_600_000).await,
            End(state) => till.until_state(id, state).await,
            Place(_) | PlaceFifty | Step::Fault(..) => {}
        }
    }

    async fn cancel_races_accept(&self, id: OrderId) {
        let (till, body) = (self.till, json!({"ready_in_min": 5}));
        let customer = till.customer(self.nth);
        let (accepted, cancelled) = tokio::join!(till.kitchen(id, "accept", &body), customer.cancel(id));
        assert!(
            accepted.is_ok() || cancelled.is_ok(),
            "{accepted:?} {cancelled:?} {:#}",
            till.order(id).await
        );
        if cancelled.is_err() {
            drop(till.operator().cancel(id).await.unwrap());
        }
    }

    async fn drivers_race(&self, id: OrderId) {
        let taken = poll_until("one of two drivers to get it", LIMIT, async || {
            if let Some(driver) = self.till.driver_of(id).await {
                return Some(driver);
            }
            self.drivers_try(id).await;
            None
        });
        taken.await.unwrap();
    }

    /// Both come near, and both want the offer if there is one: only its driver can get it, and once.
    async fn drivers_try(&self, id: OrderId) {
        let till = self.till;
        let order = till.order(id).await;
        let place = &order["restaurant"]["place"];
        let fix = json!({"latitude": place["lat"], "longitude": place["lng"]});
        for nth in 0..2 {
            let path = format!("/v1/drivers/{}/location", till.driver_id(nth));
            let request = Request::new(Method::POST, &*path).json(&fix);
            drop(till.driver(nth).call::<Value>(&request).await.unwrap());
        }
        let Some(offer) = order["delivery"]["offer"]["id"].as_str() else {
            return;
        };
        let path = format!("/v1/offers/{offer}/accept");
        let tries = (0..20).map(|nth| {
            let (driver, request) = (till.driver(nth % 2), Request::new(Method::POST, &*path));
            async move { driver.send(&request).await.map(|answer| answer.status.as_u16()) }
        });
        let answers = futures_util::future::join_all(tries).await;
        let got = |who: usize| {
            answers
                .iter()
                .skip(who)
                .step_by(2)
                .flatten()
                .any(|status| *status == 200)
        };
        assert!(!(got(0) && got(1)), "two drivers have one offer: {answers:?}");
    }

    async fn close(&self, open: bool) {
        let basket = self.till.basket(self.nth, &json!({}));
        let path = format!("/v1/restaurants/{}/status", basket["restaurant_id"].as_str().unwrap());
        let body = json!({ "open": open });
        let closed: Value = self.till.operator().command(Method::PUT, &path, &body).await.unwrap();
        assert_eq!(closed["open"], json!(open));
    }

    /// What the customer was charged: all of a delivered order less what was sent back, nothing of any other. The customer was
    /// told how it ended. Everything that all orders share was checked by [`Till::settle`].
    async fn check(&self, id: OrderId) -> bool {
        let till = self.till;
        let report = till.settle().await;
        assert_eq!(report.quarantined, 0);
        let order = till.order(id).await;
        let refunds: i64 = self
            .steps
            .iter()
            .map(|step| if let Refund(minor) = step { *minor } else { 0 })
            .sum();
        let total = order["price"]["total_minor"].as_i64().unwrap();
        let delivered = order["state"] == *OrderState::Delivered.name();
        let want = if delivered { total - refunds } else { 0 };
        let statement = till.fake.ledger().statement();
        let of_order = statement.iter().filter(|row| row.order == id.to_string());
        let spent: i64 = of_order.map(|row| row.amount_minor).sum();
        assert_eq!(spent, want, "{order:#}");
        let path = format!("/v1/orders/{id}/events");
        let told: Value = till.customer(self.nth).get(&path).await.unwrap();
        let told: Vec<&str> = told["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|event| event["type"].as_str())
            .collect();
        let end = match order["state"].as_str() {
            Some("DELIVERED") => "order.delivered",
            Some("CANCELLED") => "order.cancelled",
            Some("PAYMENT_FAILED") => "payment.failed",
            other => panic!("{id} has not ended: {other:?}"),
        };
        let ends = told.iter().filter(|kind| **kind == end).count();
        assert_eq!(ends, 1, "{told:?}");
        told.contains(&"order.preparing")
    }
}
