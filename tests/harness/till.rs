//! A region whose card payments go through the [fake provider](crate::provider): places orders, moves them on as
//! restaurant, driver and operator, kills the node in between, and compares what everybody says about the money.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tomato_node::reconcile::{Report, compare};
use tomato_node::steps;
use tomato_node::store::pool::connect;
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use crate::city::City;
use crate::city::habits::Habits;
use crate::city::tracker::Tracker;
use crate::city::world::Size;
use crate::client::{Api, ApiError, Request, new_key};
use crate::process::workspace_program;
use crate::provider::{self, Fake};
use crate::settings::RegionFile;
use crate::stack::{Stack, StackPlan};
use crate::tokens::Issuer;
use crate::wait::{poll_until, wait_until};

/// How long anything may take to come out right.
const LIMIT: Duration = Duration::from_secs(180);

/// A region, its provider, and its people's tokens.
pub struct Till {
    stack: Mutex<Stack>,
    issuer: Arc<Issuer>,
    database: PathBuf,
    pub fake: Fake,
    pub city: Arc<City>,
    operator: Api,
}

impl Till {
    /// Opens one; `change` edits the region's file. Razorpay instead of Stripe where asked.
    pub async fn open(size: Size, rate: f64, razorpay: bool, change: impl Fn(RegionFile) -> RegionFile) -> Self {
        let fake = Fake::start(7).await;
        let file = provider::settings(RegionFile::named("blr"), &fake, razorpay)
            .set("orders.pending_max", 100)
            .set("orders.open_max", 100);
        let plan = StackPlan::default().region_file(change(file)).rate(rate).without_hub();
        let mut stack = Stack::prepare(plan.log_filter("warn")).unwrap();
        stack.start().await.unwrap();
        let tracker = Arc::new(Tracker::default());
        let city = stack.city("blr", (5, size), Habits::flawless(), &tracker).await;
        let node = stack.node("blr");
        fake.hooks_to(node.server.base());
        let operator = node.api.clone();
        let till = Self {
            database: node.server.data().join("region.db"),
            issuer: stack.issuer.clone(),
            stack: Mutex::new(stack),
            fake,
            city,
            operator,
        };
        for nth in 0..size.drivers {
            till.driver(nth).set_online(true).await.unwrap();
        }
        for nth in 0..size.restaurants {
            let basket = till.basket(nth, &json!({}));
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (restaurant, item) = (text(&basket["restaurant_id"]), text(&basket["items"][0]["item_id"]));
            let path = format!("/v1/restaurants/{restaurant}/items/{item}");
            let plenty = json!({"available": true, "left": 100_000});
            drop(till.operator.command::<Value>(Method::PUT, &path, &plenty).await);
        }
        till
    }

    /// As the region's operator.
    pub fn operator(&self) -> &Api {
        &self.operator
    }

    /// As one of the customers.
    pub fn customer(&self, nth: usize) -> Api {
        let customers = &self.city.world.customers;
        let id = customers[nth % customers.len()];
        self.city.api.with_token(&self.issuer.customer(id))
    }

    /// As one of the drivers.
    pub fn driver(&self, nth: usize) -> Api {
        let id = self.driver_id(nth);
        self.city.api.with_token(&self.issuer.driver(id))
    }

    /// One of the drivers.
    pub fn driver_id(&self, nth: usize) -> DriverId {
        let drivers = &self.city.world.drivers;
        drivers[nth % drivers.len()].id
    }

    /// The body of an order of one counted item, or of any.
    pub fn basket(&self, nth: usize, payment: &Value) -> Value {
        let restaurants = &self.city.world.restaurants;
        let restaurant = &restaurants[nth % restaurants.len()];
        let menu = || restaurant.put.menu.iter().filter(|item| item.available);
        let item = menu().find(|item| item.capacity.is_some()).or(menu().next());
        let item = item.expect("a menu has something");
        json!({
            "restaurant_id": restaurant.id,
            "items": [{"item_id": item.id, "quantity": 1}],
            "deliver_to": {"place": restaurant.put.place, "line": "12 Church Street"},
            "payment": payment,
        })
    }

    /// Places an order by card, or by cash where the card is empty.
    pub async fn place(&self, nth: usize, card: &str) -> Result<OrderId, ApiError> {
        let payment = match card {
            "" => json!({"method": "cash"}),
            card => json!({"method": "card", "card": card}),
        };
        let request = Request::new(Method::POST, "/v1/orders")
            .json(&self.basket(nth, &payment))
            .header("idempotency-key", new_key());
        let placed: Value = self.customer(nth).call(&request).await?;
        Ok(serde_json::from_value(placed["id"].clone()).expect("an order has an id"))
    }

    /// An order as its operator sees it; `nth` customer's view has the action.
    pub async fn order(&self, id: OrderId) -> Value {
        let read = self.operator.get(&format!("/v1/orders/{id}")).await;
        read.expect("a placed order can be read")
    }

    /// `POST` of something about an order as its restaurant.
    pub async fn kitchen(&self, id: OrderId, what: &str, body: &Value) -> Result<Value, ApiError> {
        let order = self.order(id).await;
        let restaurant = order["restaurant"]["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/restaurants/{restaurant}/orders/{id}/{what}");
        self.operator.command(Method::POST, &path, body).await
    }

    /// `POST` of something about the delivery of an order, as its driver.
    pub async fn delivery(&self, id: OrderId, nth: usize, what: &str, body: &Value) -> Result<Value, ApiError> {
        let order = self.order(id).await;
        let delivery = order["delivery"]["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/deliveries/{delivery}/{what}");
        self.driver(nth).command(Method::POST, &path, body).await
    }

    /// The operator gives the delivery to a driver.
    pub async fn assign(&self, id: OrderId, nth: usize) -> Result<Value, ApiError> {
        let body = json!({ "driver_id": self.driver_id(nth) });
        let path = format!("/v1/orders/{id}/assign");
        self.operator.command(Method::POST, &path, &body).await
    }

    /// From acceptance to the door.
    pub async fn deliver(&self, id: OrderId, nth: usize) -> Result<(), ApiError> {
        self.kitchen(id, "accept", &json!({"ready_in_min": 5})).await?;
        self.kitchen(id, "ready", &json!({})).await?;
        self.assign(id, nth).await?;
        self.hand_over(id, nth).await
    }

    /// From pickup to the door.
    pub async fn hand_over(&self, id: OrderId, nth: usize) -> Result<(), ApiError> {
        self.delivery(id, nth, "pickup", &json!({})).await?;
        let proof = json!({"proof": {"kind": "photo", "reference": "door.jpg"}});
        self.delivery(id, nth, "complete", &proof).await.map(|_| ())
    }

    /// Waits until the payment of an order stands so.
    pub async fn until_payment(&self, id: OrderId, state: &str) {
        let what = format!("the payment of {id} to be {state}");
        let there = async || (self.order(id).await["payment"]["state"] == *state).then_some(());
        if let Err(fault) = poll_until(&what, LIMIT, there).await {
            panic!("{fault}: {:#}", self.order(id).await);
        }
    }

    /// Waits until an order stands so.
    pub async fn until_state(&self, id: OrderId, state: OrderState) {
        let what = format!("order {id} to be {}", state.name());
        let there = async || (self.order(id).await["state"] == *state.name()).then_some(());
        if let Err(fault) = poll_until(&what, LIMIT, there).await {
            panic!("{fault}: {:#}", self.order(id).await);
        }
    }

    /// Which of the drivers has an order.
    pub async fn driver_of(&self, id: OrderId) -> Option<usize> {
        let order = self.order(id).await;
        let driver = serde_json::from_value(order["delivery"]["driver"]["id"].clone()).ok()?;
        (0..self.city.world.drivers.len()).find(|nth| self.driver_id(*nth) == driver)
    }

    /// Waits until the region knows that cards can be charged, or cannot.
    pub async fn until_cards_down(&self, want: bool) {
        let told = async || {
            let region: Value = self.operator.get("/v1/region").await.ok()?;
            (region["cards_down"] == want).then_some(())
        };
        wait_until("the region to know whether cards can be charged", LIMIT, told).await;
    }

    /// The region's file.
    pub async fn config(&self) -> String {
        std::fs::read_to_string(self.config_file().await).unwrap()
    }

    async fn config_file(&self) -> PathBuf {
        self.stack.lock().await.folder().join("blr.toml")
    }

    /// kill -9, and a start with a clock that is so much further. Only for a clock that runs faster than real time.
    pub async fn move_clock(&self, ms: i64) {
        let mut file: toml::Table = self.config().await.parse().unwrap();
        let rate = file["clock"]["rate"].as_float().unwrap();
        let epoch: UnixMs = serde_json::from_value(json!(file["clock"]["epoch"].as_str().unwrap())).unwrap();
        let earlier = UnixMs(epoch.0 - (ms as f64 / (rate - 1.0)) as i64);
        file["clock"]["epoch"] = toml::Value::String(earlier.to_string());
        std::fs::write(self.config_file().await, file.to_string()).unwrap();
        self.kill().await;
    }

    /// Waits until so much region time has passed.
    pub async fn pass(&self, ms: i64) {
        let now = async || self.operator.version().await.ok().map(|version| version.now);
        let began = wait_until("the time", LIMIT, now).await;
        let passed = async || now().await.filter(|now| (*now - began).0 > ms);
        wait_until("time to pass", LIMIT * 5, passed).await;
    }

    /// kill -9 and start.
    pub async fn kill(&self) {
        let mut stack = self.stack.lock().await;
        let server = &mut stack.node("blr").server;
        server.kill9();
        server.start().await.unwrap();
    }

    /// From now on the node stands still before or after one of its commits or calls, when `left` of them are over.
    pub fn stop_at(&self, left: u64) {
        std::fs::write(self.folder().join(steps::WANTED), left.to_string()).unwrap();
    }

    /// Takes that back; `false` where it has come to it.
    pub fn stop_at_none(&self) -> bool {
        std::fs::remove_file(self.folder().join(steps::WANTED)).is_ok()
    }

    /// kill -9 and start, as soon as the node stands still; gives the name of the step. Never ends where it does not.
    pub async fn kill_when_still(&self) -> String {
        let reached = self.folder().join(steps::REACHED);
        loop {
            match std::fs::read_to_string(&reached) {
                Ok(name) if !name.is_empty() => {
                    std::fs::remove_file(&reached).unwrap();
                    self.kill().await;
                    return name;
                }
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn folder(&self) -> &Path {
        self.database.parent().expect("a file lies in a folder")
    }

    /// Everything ends gently.
    pub async fn close(&self) {
        self.stack.lock().await.stop().await.unwrap();
    }

    /// The region's file.
    pub fn database(&self) -> rusqlite::Connection {
        connect(&self.database).unwrap()
    }

    /// How many calls to the provider are open.
    pub fn open_calls(&self) -> i64 {
        let count = self
            .database()
            .query_row("SELECT count(*) FROM tasks", [], |row| row.get(0));
        count.unwrap()
    }

    /// Provider, books and orders side by side.
    pub fn report(&self) -> Report {
        let statement = self.fake.ledger().statement();
        compare(&self.database(), &statement, UnixMs(0)).unwrap()
    }

    /// Runs `tomato-node reconcile` beside the node: whether it found nothing wrong, and what it said.
    pub async fn reconcile(&self, args: &[&str]) -> (bool, String) {
        let config = self.config_file().await;
        let program = workspace_program("tomato-node").unwrap();
        let mut command = tokio::process::Command::new(program);
        command.arg("reconcile").arg("--config").arg(config).args(args);
        let output = command.output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Waits until no call is open, then checks everything: the three accounts agree, nothing is held, nothing was charged
    /// twice, no call broke the provider's rules, no forged webhook was believed.
    pub async fn settle(&self) -> Report {
        let quiet = async || (self.open_calls() == 0).then_some(());
        wait_until("every call to the provider to be answered", LIMIT * 5, quiet).await;
        let report = self.report();
        assert_eq!(report.mismatches, Vec::new(), "{report:#?}");
        assert!(report.is_even(), "{report:#?}");
        let mut ledger = self.fake.ledger();
        ledger.lapse();
        assert_eq!(ledger.violations, Vec::<String>::new());
        for (payment, moved) in ledger.moved() {
            assert!(moved.captures <= 1 && moved.held_minor == 0, "{payment}: {moved:?}");
        }
        let forged = &self.fake.hooks().counts().forged_taken;
        assert_eq!(
            forged.load(std::sync::atomic::Ordering::Relaxed),
            0,
            "a forged webhook was believed"
        );
        report
    }
}
