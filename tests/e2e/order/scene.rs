//! The stage of a story: a region, and people who call it as their apps do.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DriverId, Id, ItemId, Kind, RestaurantId, UserId};
use tomato_shared::time::{DurationMs, UnixMs};
use tomato_tests::client::{Answer, Api, ApiError, Request, new_key};
use tomato_tests::live::LiveSocket;
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::view::{LiveMessage, Problem};
use tomato_tests::wait::wait_until;

/// Longest time that anything in a story may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// Where drivers and customers are, seen from their restaurant.
pub(crate) const DOOR_M: f64 = 800.0;

/// A new id.
pub(crate) fn id<K: Kind>() -> Id<K> {
    let key = u128::from_str_radix(&new_key(), 16).unwrap();
    Id::from_bytes(key.to_be_bytes())
}

/// The id of a new dish.
pub(crate) fn item_id() -> ItemId {
    id()
}

/// A region that runs.
pub(crate) struct Scene {
    pub(crate) stack: Stack,
    pub(crate) operator: Person,
}

impl Scene {
    /// Region time runs `rate` times as fast; `change` what its file says.
    pub(crate) async fn open(rate: f64, change: impl FnOnce(RegionFile) -> RegionFile) -> Self {
        let file = change(Self::file("blr"));
        let plan = StackPlan::default().region_file(file).rate(rate).without_hub();
        Self::of(Stack::prepare(plan).unwrap()).await
    }

    /// A region that suits stories.
    pub(crate) fn file(region: &str) -> RegionFile {
        // Stories share a region: a plan would send each to the others' customers.
        RegionFile::named(region)
            .set("payments.simulated_delay_ms", 100)
            .set("dispatch.policy", "nearest")
    }

    /// Stories play in the region that is named first, which is `blr`.
    pub(crate) async fn of(mut stack: Stack) -> Self {
        stack.start().await.unwrap();
        let api = stack.node("blr").api.clone();
        let operator = Person {
            id: UserId::from_bytes([7; 16]).to_string(),
            api,
        };
        Self { stack, operator }
    }

    pub(crate) async fn close(mut self) {
        self.stack.stop().await.unwrap();
    }

    fn person(&self, id: String, token: &str) -> Person {
        let api = self.operator.api.with_token(token);
        Person { id, api }
    }

    /// A customer.
    pub(crate) fn customer(&self) -> Person {
        let user: UserId = id();
        self.person(user.to_string(), &self.stack.issuer.customer(user))
    }

    /// A restaurant so far from the centre; what it says besides the usual stands in `more`. Its menu: see [`dishes`].
    pub(crate) async fn kitchen(&self, name: &str, (east_m, north_m): (f64, f64), more: Value) -> Kitchen {
        let place = self.stack.nodes[0].ground.centre.offset_m(east_m, north_m);
        let restaurant: RestaurantId = id();
        let mut put = json!({
            "name": name, "place": place, "open": true, "delivery_radius_m": 3_000, "preparation_min": 10,
            "menu": dishes(&[id(), id()]),
        });
        for (key, value) in more.as_object().unwrap() {
            put[key] = value.clone();
        }
        let path = format!("/v1/restaurants/{restaurant}");
        self.operator.put(&path, put.clone()).await;
        let items = put["menu"].as_array().unwrap();
        Kitchen {
            staff: self.person(restaurant.to_string(), &self.stack.issuer.restaurant(id(), restaurant)),
            path,
            place,
            items: items.iter().map(|item| text(&item["id"])).collect(),
        }
    }

    /// A driver, signed on beside a restaurant.
    pub(crate) async fn driver(&self, kitchen: &Kitchen, away_m: f64) -> Driver {
        let driver = self.driver_at_home("Ravi").await;
        driver.put("/v1/drivers/me/status", json!({"online": true})).await;
        driver.is_at(kitchen.place.offset_m(away_m, 0.0), self.now()).await;
        driver
    }

    /// A driver who is not signed on.
    pub(crate) async fn driver_at_home(&self, name: &str) -> Driver {
        let driver: DriverId = id();
        let put = json!({"name": name, "phone": "+919845012345"});
        self.operator.put(&format!("/v1/drivers/{driver}"), put).await;
        Driver(self.person(driver.to_string(), &self.stack.issuer.driver(driver)))
    }

    /// Region time.
    pub(crate) fn now(&self) -> UnixMs {
        self.stack.clock.now()
    }

    /// Region time reaches a moment.
    pub(crate) async fn reaches(&self, at: UnixMs) {
        wait_until("region time", PATIENCE, async || (self.now() > at).then_some(())).await;
    }

    /// Everything that happened to an order, as the operator sees it.
    pub(crate) async fn events(&self, order: &Value) -> Vec<Value> {
        let events = self.operator.get(&format!("{}/events", path(order))).await;
        events["data"].as_array().unwrap().clone()
    }

    /// How often something happened to an order.
    pub(crate) async fn count(&self, order: &Value, kind: &str) -> usize {
        let events = self.events(order).await;
        events.iter().filter(|event| event["type"] == kind).count()
    }

    /// The order once it is as `wanted`.
    pub(crate) async fn until(&self, order: &Value, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let read = async || Some(self.operator.get(&path(order)).await).filter(|order| wanted(order));
        wait_until(what, PATIENCE, read).await
    }

    /// The order once it is in a state.
    pub(crate) async fn state(&self, order: &Value, state: &str) -> Value {
        self.until(order, state, |order| order["state"] == state).await
    }

    /// The order once its payment is in a state.
    pub(crate) async fn payment(&self, order: &Value, state: &str) -> Value {
        self.until(order, state, |order| order["payment"]["state"] == state)
            .await
    }

    /// An order that its restaurant has taken on.
    pub(crate) async fn accepted(&self, customer: &Person, kitchen: &Kitchen, order: &Value) -> Value {
        let placed = customer.place(order).await;
        self.state(&placed, "CONFIRMED").await;
        kitchen.does(&placed, "accept", json!({"ready_in_min": 20})).await
    }

    /// An order that waits for its driver.
    pub(crate) async fn cooked(&self, customer: &Person, kitchen: &Kitchen, order: &Value) -> Value {
        let accepted = self.accepted(customer, kitchen, order).await;
        kitchen.does(&accepted, "ready", json!({})).await
    }

    /// An order that is with its driver, given by hand; the customer's view, which has the PIN.
    pub(crate) async fn on_the_way(
        &self,
        customer: &Person,
        kitchen: &Kitchen,
        driver: &Driver,
        order: &Value,
    ) -> Value {
        let cooked = self.cooked(customer, kitchen, order).await;
        let assign = json!({"driver_id": driver.id});
        self.operator.post(&format!("{}/assign", path(&cooked)), assign).await;
        driver.delivery(&cooked, "pickup", json!({})).await;
        customer.get(&path(&cooked)).await
    }
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) api: Api,
}

impl Person {
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.api.command(method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.api.get(path).await;
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, path, &body).await;
        answer.unwrap_or_else(|error| panic!("POST {path} {body}: {error}"))
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::PUT, path, &body).await;
        answer.unwrap_or_else(|error| panic!("PUT {path} {body}: {error}"))
    }

    pub(crate) async fn place(&self, order: &Value) -> Value {
        self.post("/v1/orders", order.clone()).await
    }

    /// `POST` that has to fail with this status and code.
    pub(crate) async fn refused(&self, path: &str, body: &Value, no: &str) -> Problem {
        match self.call(Method::POST, path, body).await {
            Err(ApiError::Problem(problem)) if format!("{} {}", problem.status, problem.code) == no => *problem,
            Err(error) => panic!("POST {path} {body}: {error}; should be {no}"),
            Ok(answer) => panic!("POST {path} {body}: {answer}; should be {no}"),
        }
    }

    /// One request as it is, without patience.
    pub(crate) async fn send(&self, request: Request) -> Answer {
        self.api.send(&request).await.unwrap()
    }

    /// Listens from now on.
    pub(crate) async fn listens(&self) -> Ear {
        let token = self.api.token().unwrap();
        let mut socket = LiveSocket::connect(self.api.base(), token, None).await.unwrap();
        socket.next_where(|message| message.kind == "SNAPSHOT").await.unwrap();
        let heard: Heard = Arc::default();
        let told = heard.clone();
        let task = tokio::spawn(async move {
            while let Ok(message) = socket.next().await {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }
        });
        Ear { heard, task }
    }
}

/// Somebody who works at a restaurant.
pub(crate) struct Kitchen {
    staff: Person,
    /// `/v1/restaurants/rst_...`
    pub(crate) path: String,
    pub(crate) place: LatLng,
    /// Ids of its menu.
    pub(crate) items: Vec<String>,
}

impl Deref for Kitchen {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.staff
    }
}

impl Kitchen {
    /// Where somebody lives who orders here.
    pub(crate) fn door(&self) -> LatLng {
        self.place.offset_m(0.0, DOOR_M)
    }

    /// An order for so many of its first item, by card.
    pub(crate) fn order(&self, quantity: u32) -> Value {
        self.order_of(json!([{"item_id": self.items[0], "quantity": quantity}]))
    }

    pub(crate) fn order_of(&self, items: Value) -> Value {
        json!({
            "restaurant_id": self.id,
            "items": items,
            "deliver_to": {"place": self.door(), "line": "12 Church Street", "note": "ring twice"},
            "payment": {"method": "card", "card": "card_ok"},
        })
    }

    /// `accept`, `reject`, `ready` and so on.
    pub(crate) async fn does(&self, order: &Value, what: &str, body: Value) -> Value {
        self.post(&self.order_path(order, what), body).await
    }

    pub(crate) fn order_path(&self, order: &Value, what: &str) -> String {
        format!("{}/orders/{}/{what}", self.path, text(&order["id"]))
    }

    /// How many are left of an item.
    pub(crate) async fn left(&self, item: usize) -> u64 {
        let menu = self.get(&self.path).await["menu"].take();
        menu[item]["left"].as_u64().expect("this item is counted")
    }
}

/// Somebody who drives.
#[derive(Clone)]
pub(crate) struct Driver(Person);

impl Deref for Driver {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.0
    }
}

impl Driver {
    /// Reports a position.
    pub(crate) async fn is_at(&self, place: LatLng, at: UnixMs) {
        let fixes = json!([{"lat": place.lat(), "lng": place.lng(), "at": at}]);
        let request = Request::new(Method::POST, "/v1/drivers/me/locations").json(&fixes);
        let answer = self.send(request).await;
        assert_eq!(answer.status, 204, "{}", answer.json());
    }

    /// The open offer, once there is one for this order.
    pub(crate) async fn offer(&self, order: &Value) -> String {
        let ask = async || {
            let me = self.get("/v1/drivers/me").await;
            let offers = me["offers"].as_array().cloned().unwrap_or_default();
            let found = offers.iter().find(|offered| offered["id"] == order["id"])?;
            Some(text(&found["delivery"]["offer"]["id"]))
        };
        wait_until("an offer", PATIENCE, ask).await
    }

    /// `arrive`, `pickup`, `complete` and so on.
    pub(crate) async fn delivery(&self, order: &Value, what: &str, body: Value) -> Value {
        self.post(&delivery_path(order, what), body).await
    }

    pub(crate) async fn hands_over(&self, order: &Value) -> Value {
        let proof = json!({"proof": {"kind": "pin", "pin": order["pin"]}});
        self.delivery(order, "complete", proof).await
    }

    pub(crate) async fn goes_home(&self) {
        self.put("/v1/drivers/me/status", json!({"online": false})).await;
    }
}

type Heard = Arc<Mutex<Vec<LiveMessage>>>;

/// Everything that a socket was told.
pub(crate) struct Ear {
    heard: Heard,
    task: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    /// Every message about an order so far.
    pub(crate) fn about(&self, order: &Value) -> Vec<LiveMessage> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let about = |message: &&LiveMessage| message.order_id.is_some_and(|id| order["id"] == id.to_string());
        heard.iter().filter(about).cloned().collect()
    }

    /// The names of those.
    pub(crate) fn names(&self, order: &Value) -> Vec<String> {
        self.about(order).into_iter().map(|message| message.kind).collect()
    }

    /// Waits until a message of this name about an order has come.
    pub(crate) async fn hears(&self, name: &str, order: &Value) -> LiveMessage {
        let found = async || self.about(order).into_iter().find(|message| message.kind == name);
        wait_until(name, PATIENCE, found).await
    }
}

/// Two dishes: the first at 200.00 and counted, of which there are 20; the second at 100.00 and never counted.
pub(crate) fn dishes(ids: &[ItemId; 2]) -> Value {
    json!([
        {"id": ids[0], "name": "Masala Dosa", "category": "Mains", "price_minor": 20_000, "available": true, "capacity": 20},
        {"id": ids[1], "name": "Idli", "category": "Mains", "price_minor": 10_000, "available": true},
    ])
}

/// `/v1/orders/ord_...`
pub(crate) fn path(order: &Value) -> String {
    format!("/v1/orders/{}", text(&order["id"]))
}

pub(crate) fn delivery_path(order: &Value, what: &str) -> String {
    format!("/v1/deliveries/{}/{what}", text(&order["delivery"]["id"]))
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

pub(crate) fn minor(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no amount"))
}

pub(crate) fn moment(value: &Value) -> UnixMs {
    text(value).parse().unwrap()
}

pub(crate) const fn minutes(count: i64) -> DurationMs {
    DurationMs::from_mins(count)
}

pub(crate) const fn seconds(count: i64) -> DurationMs {
    DurationMs::from_secs(count)
}
