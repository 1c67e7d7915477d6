//! Live sockets through kills and bad company: every client ends with what the server has, hears of nobody else's orders,
//! and is not kept waiting by somebody who does not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::Method;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tomato_shared::id::UserId;
use tomato_tests::client::{Api, Request};
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::once::shop_of;

mod company;

pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const CUSTOMERS: usize = 10;
const ORDERS: usize = 200;
const KILLS: usize = 5;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a socket; with `after` from there on.
pub(crate) async fn open(base: &str, token: &str, after: Option<u64>) -> Result<Socket, String> {
    let query = after.map(|seq| format!("?after={seq}")).unwrap_or_default();
    let url = format!("{}/v1/live{query}", base.replacen("http", "ws", 1));
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let bearer = format!("Bearer {token}").parse().map_err(|_| "no token".to_owned())?;
    request.headers_mut().insert("authorization", bearer);
    let opened = tokio::time::timeout(Duration::from_secs(10), tokio_tungstenite::connect_async(request)).await;
    opened
        .map_err(|_| "no answer".to_owned())?
        .map(|(socket, _)| socket)
        .map_err(|error| error.to_string())
}

/// The next frame as JSON; `None` when the socket has ended.
pub(crate) async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_)) => {}
        }
    }
}

/// What an app knows of an order: its version and state.
type Known = BTreeMap<String, (u64, String)>;

/// An app that holds a socket, and comes back where it left off.
#[derive(Default)]
struct App {
    known: Mutex<Known>,
    /// Orders that a snapshot does not have any more: the app reads them.
    ended: Mutex<BTreeSet<String>>,
    faults: Mutex<Vec<String>>,
    reconnects: AtomicU64,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// Takes a view in; versions never go back.
    fn take(&self, order: &Value, may_repeat: bool) {
        let id = order["id"].as_str().unwrap_or_default().to_owned();
        let version = order["version"].as_u64().unwrap_or(0);
        let state = order["state"].as_str().unwrap_or_default().to_owned();
        let mut known = lock(&self.known);
        let had = known.get(&id).map_or(0, |(version, _)| *version);
        if version < had || (version == had && !may_repeat) {
            lock(&self.faults).push(format!("{id} went from version {had} to {version}"));
        }
        known.insert(id, (version, state));
    }

    fn heard(&self, frame: &Value) {
        if let Some(orders) = frame["orders"].as_array() {
            let there: BTreeSet<_> = orders.iter().filter_map(|order| order["id"].as_str()).collect();
            let mut ended = lock(&self.ended);
            ended.extend(
                lock(&self.known)
                    .keys()
                    .filter(|id| !there.contains(id.as_str()))
                    .cloned(),
            );
            drop(ended);
            orders.iter().for_each(|order| self.take(order, true));
        }
        if frame["order"].is_object() {
            // Several events of one command show the row as it is after all of them.
            self.take(&frame["order"], true);
        }
    }

    /// Holds a socket until told to stop, and drops it now and then in the middle of things.
    async fn run(self: Arc<Self>, base: String, token: String, (seed, stop): (u64, Arc<AtomicBool>)) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut after = None;
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut socket) = open(&base, &token, after).await else {
                pace.tick().await;
                continue;
            };
            self.reconnects.fetch_add(1, Ordering::Relaxed);
            let mut frames = rng.random_range(5..60);
            let mut told = 0;
            while let Some(frame) = next(&mut socket).await {
                self.heard(&frame);
                if let Some(seq) = frame["seq"].as_u64() {
                    if frame["type"] != "SNAPSHOT" {
                        if seq <= told {
                            lock(&self.faults).push(format!("event {seq} after {told}"));
                        }
                        told = seq;
                    }
                    after = after.max(Some(seq));
                }
                frames -= 1;
                if frames == 0 || stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
}

/// A customer's orders, one after the other, each given up at another step. Returns their ids.
async fn orders_of(customer: Api, (kitchen, operator): (Api, Api), order: Value, nth: usize) -> Vec<String> {
    let mut placed = Vec::new();
    for number in 0..ORDERS / CUSTOMERS {
        let request = Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", format!("{nth}-{number}"))
            .json(&order);
        let answer = customer.send_patiently(&request).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.json());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let act = |verb: &str| {
            format!(
                "/v1/restaurants/{}/orders/{id}/{verb}",
                order["restaurant_id"].as_str().unwrap()
            )
        };
        let mut steps = vec![
            (&kitchen, act("accept"), json!({"ready_in_min": 9})),
            (&kitchen, act("delay"), json!({"ready_in_min": 12})),
            (&kitchen, act("ready"), json!({})),
        ];
        steps.truncate(number % 4);
        steps.push((&operator, format!("/v1/orders/{id}/cancel"), json!({})));
        for (nth, (who, path, body)) in steps.into_iter().enumerate() {
            let request = Request::new(Method::POST, &path)
                .header("idempotency-key", format!("{id}-{nth}"))
                .json(&body);
            let answer = who.send_patiently(&request).await.unwrap();
            assert!(answer.status.is_success(), "{path}: {}", answer.json());
        }
        placed.push(id);
    }
    placed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_end_with_what_the_server_has_through_kills_and_cuts() {
    let plan = StackPlan::default()
        .region_file(tomato_tests::settings::RegionFile::named("blr").set("orders.open_max", 1_000));
    let (mut stack, anybody, mut order) = shop_of(plan).await;
    order["payment"] = json!({"method": "cash"});
    let base = stack.node("blr").server.base().to_owned();
    let operator = stack.node("blr").api.clone();
    let restaurant = order["restaurant_id"].as_str().unwrap().parse().unwrap();
    let kitchen_token = stack.issuer.restaurant(user(999), restaurant);
    let kitchen = anybody.with_token(&kitchen_token);
    let stop = Arc::new(AtomicBool::new(false));
    let mut tokens: Vec<String> = (0..CUSTOMERS).map(|nth| stack.issuer.customer(user(nth))).collect();
    let people: Vec<Api> = tokens.iter().map(|token| anybody.with_token(token)).collect();
    tokens.push(kitchen_token);
    let apps: Vec<Arc<App>> = tokens.iter().map(|_| Arc::default()).collect();
    let sockets = (1u64..)
        .zip(apps.iter().zip(&tokens))
        .map(|(seed, (app, token))| tokio::spawn(app.clone().run(base.clone(), token.clone(), (seed, stop.clone()))));
    let sockets: Vec<_> = sockets.collect();

    let work = people.iter().enumerate().map(|(nth, person)| {
        tokio::spawn(orders_of(
            person.clone(),
            (kitchen.clone(), operator.clone()),
            order.clone(),
            nth,
        ))
    });
    let (placed, ()) = tokio::join!(join_all(work), strikes(&mut stack, &operator));
    let placed: Vec<Vec<String>> = placed.into_iter().map(Result::unwrap).collect();

    // Every customer ends with all of their own orders as the server has them, and with no other.
    for (nth, own) in placed.iter().enumerate() {
        agrees(&apps[nth], &people[nth], own).await;
    }
    let all: Vec<String> = placed.concat();
    assert_eq!(all.len(), ORDERS);
    agrees(&apps[CUSTOMERS], &kitchen, &all).await;
    stop.store(true, Ordering::Relaxed);
    for socket in sockets {
        tokio::time::timeout(PATIENCE, socket).await.expect("it ends").unwrap();
    }
    let reconnects: u64 = apps.iter().map(|app| app.reconnects.load(Ordering::Relaxed)).sum();
    assert!(
        reconnects > (apps.len() * (KILLS + 1)) as u64,
        "{reconnects} connections are next to none"
    );
    for app in &apps {
        assert_eq!(*lock(&app.faults), Vec::<String>::new());
    }
    stack.stop().await.unwrap();
}

/// Kills the node whenever a sixth more of the orders is placed.
async fn strikes(stack: &mut Stack, operator: &Api) {
    for nth in 1..=KILLS {
        let wanted = u64::try_from(ORDERS * nth / (KILLS + 1)).unwrap();
        let enough = async || {
            let overview = operator.overview().await.ok()?;
            (overview.placed >= wanted).then_some(())
        };
        poll_until("more orders", PATIENCE, enough).await.unwrap();
        let node = stack.node("blr");
        node.server.kill9();
        node.server.start().await.unwrap();
    }
}

/// Waits until an app has what the server has of `own`; what a snapshot left out it reads, as apps do.
async fn agrees(app: &App, person: &Api, own: &[String]) {
    let mut truth = Known::new();
    for id in own {
        let order = person
            .send_patiently(&Request::new(Method::GET, format!("/v1/orders/{id}")))
            .await
            .unwrap()
            .json();
        truth.insert(
            id.clone(),
            (
                order["version"].as_u64().unwrap(),
                order["state"].as_str().unwrap().to_owned(),
            ),
        );
    }
    let same = async || {
        let missed: Vec<String> = std::mem::take(&mut *lock(&app.ended)).into_iter().collect();
        for id in missed {
            let read = person
                .send_patiently(&Request::new(Method::GET, format!("/v1/orders/{id}")))
                .await
                .ok()?;
            app.take(&read.json(), true);
        }
        let known = lock(&app.known);
        let strangers: Vec<_> = known.keys().filter(|id| !truth.contains_key(*id)).collect();
        assert!(strangers.is_empty(), "somebody else's: {strangers:?}");
        // Of what began and ended while it was away an app knows from its own request.
        let differs = known.iter().any(|(id, known)| truth.get(id) != Some(known));
        (!differs).then_some(known.len())
    };
    let known = poll_until("the app to know what the server knows", PATIENCE, same)
        .await
        .unwrap();
    assert!(known * 2 > own.len(), "it heard of {known} of {}", own.len());
}

pub(crate) fn user(nth: usize) -> UserId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&(nth as u64).to_be_bytes());
    UserId::from_bytes(bytes)
}
