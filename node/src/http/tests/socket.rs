//! The WebSocket, over real TCP.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tomato_shared::runtime::serve::{self, ServeLimits};

use super::*;
use crate::dispatch::plane::Plane;
use crate::engine::matching::{Hint, Plan, Point};
use crate::http::live::{FRAME_MAX, SOCKETS_MAX};

pub(super) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Serves the rig; returns `127.0.0.1:port`.
pub(super) async fn serve(rig: &Rig) -> String {
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let router = rig.router.clone();
    tokio::spawn(serve::serve(
        listener,
        router,
        ServeLimits::default(),
        std::future::pending(),
    ));
    addr.to_string()
}

pub(super) async fn connect(addr: &str, token: &str, query: &str, protocol: &str) -> Result<Client, Error> {
    let mut request = format!("ws://{addr}/v1/live{query}").into_client_request().unwrap();
    let headers = request.headers_mut();
    if !token.is_empty() {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
    connect_async(request).await.map(|(client, _)| client)
}

/// The next message, pings and heartbeats aside; `None` once closed.
pub(super) async fn next(client: &mut Client) -> Option<Value> {
    // Heartbeats must not make a test wait for ever.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let frame = tokio::time::timeout_at(deadline, client.next()).await.expect("silence");
        let value: Value = match frame? {
            Ok(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            Ok(Message::Binary(bytes)) => rmp_serde::from_slice(&bytes).unwrap(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
        };
        asyncapi::check_live(&value);
        if value["type"] != "HEARTBEAT" {
            return Some(value);
        }
    }
}

pub(super) async fn expect(client: &mut Client, kind: &str) -> Value {
    let message = next(client).await.unwrap_or_else(|| panic!("closed instead of {kind}"));
    assert_eq!(message["type"], kind, "{message:#}");
    message
}

fn refused(result: Result<Client, Error>) -> u16 {
    match result.map(drop) {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_party_hears_of_its_own_and_resumes() {
    let rig = Rig::new();
    rig.seed().await;
    let addr = serve(&rig).await;
    let (customer, kitchen, driver) = (rig.customer(CUSTOMER), rig.restaurant(RESTAURANT), rig.driver(DRIVER));
    let mut app = connect(&addr, &customer, "", "json").await.unwrap();
    let mut tablet = connect(&addr, "", &format!("?access_token={kitchen}"), "msgpack")
        .await
        .unwrap();
    let mut phone = connect(&addr, &driver, "", "json").await.unwrap();
    let mut stranger = connect(&addr, &rig.customer(OTHER_CUSTOMER), "", "json").await.unwrap();
    for client in [&mut app, &mut tablet, &mut phone, &mut stranger] {
        assert_eq!(expect(client, "HELLO").await["heartbeat_ms"], 4_000);
        assert_eq!(expect(client, "SNAPSHOT").await["orders"], json!([]));
    }
    let order = text(&rig.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    let created = expect(&mut app, "ORDER_CREATED").await;
    assert_eq!((&created["order_id"], &created["version"]), (&json!(order), &json!(1)));
    expect(&mut app, "ORDER_CONFIRMED").await;
    let asked = expect(&mut app, "RESTAURANT_ASSIGNED").await;
    let seen = expect(&mut tablet, "NEW_ORDER").await;
    assert_eq!(
        (&seen["seq"], &seen["order"]["deliver_to"], &seen["order"]["pin"]),
        (&asked["seq"], &Value::Null, &Value::Null)
    );
    drop(app);
    let act = |verb: &str| format!("/v1/restaurants/{RESTAURANT}/orders/{order}/{verb}");
    rig.post(&act("accept"), &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    rig.post(&act("ready"), &kitchen, json!({})).await.expect(200);
    let offer = expect(&mut phone, "NEW_OFFER").await;
    let offer = text(&offer["order"]["delivery"]["offer"]["id"]);
    rig.post(&format!("/v1/offers/{offer}/accept"), &driver, json!({}))
        .await
        .expect(200);
    expect(&mut phone, "DRIVER_ASSIGNED").await;

    let mut app = connect(&addr, &customer, &format!("?after={}", asked["seq"]), "json")
        .await
        .unwrap();
    expect(&mut app, "HELLO").await;
    let mut last = asked["version"].as_u64().unwrap();
    for kind in ["ORDER_PREPARING", "ORDER_READY", "DRIVER_ASSIGNED"] {
        let version = expect(&mut app, kind).await["version"].as_u64().unwrap();
        assert!(version > last, "versions only rise");
        last = version;
    }
    assert_eq!(rig.here(&driver).await, 204);
    assert_eq!(expect(&mut app, "DRIVER_LOCATION").await["order_id"], json!(order));
    let cancel = format!("/v1/orders/{order}/cancel");
    rig.post(&cancel, &rig.operator(), json!({})).await.expect(200);
    for client in [&mut app, &mut phone] {
        assert_eq!(expect(client, "ORDER_CANCELLED").await["order"]["state"], "CANCELLED");
    }
    for kind in ["ORDER_PREPARING", "ORDER_READY", "DRIVER_ASSIGNED", "ORDER_CANCELLED"] {
        expect(&mut tablet, kind).await;
    }
    rig.place(&rig.customer(OTHER_CUSTOMER), "k", &basket())
        .await
        .expect(201);
    let first = expect(&mut stranger, "ORDER_CREATED").await;
    assert_ne!(first["order_id"], json!(order), "nothing of another's came before");
}

#[tokio::test]
async fn who_cannot_resume_starts_from_a_snapshot() {
    let rig = Rig::new();
    rig.seed().await;
    let addr = serve(&rig).await;
    let customer = rig.customer(CUSTOMER);
    let order = rig.place(&customer, "k", &basket()).await.expect(201).json;
    for (token, query, resync) in [
        (&customer, "?after=999999", true),
        (&customer, "", false),
        (&rig.restaurant(RESTAURANT), "?after=1", true),
        (&rig.operator(), "", false),
    ] {
        let mut client = connect(&addr, token, query, "json").await.unwrap();
        expect(&mut client, "HELLO").await;
        if resync {
            expect(&mut client, "RESYNC").await;
        }
        let snapshot = expect(&mut client, "SNAPSHOT").await;
        assert_eq!(snapshot["orders"][0]["id"], order["id"]);
        assert_eq!(
            (&snapshot["seq"], &snapshot["truncated"]),
            (&json!(rig.app.feed.head_seq()), &json!(false))
        );
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_resynced() {
    let rig = Rig::new();
    rig.seed().await;
    let addr = serve(&rig).await;
    let customer = rig.customer(CUSTOMER);
    let placed = rig.place(&customer, "k", &basket()).await.expect(201).json;
    let mut client = connect(&addr, &customer, "", "json").await.unwrap();
    expect(&mut client, "HELLO").await;
    expect(&mut client, "SNAPSHOT").await;
    let order: OrderId = serde_json::from_value(placed["id"].clone()).unwrap();
    let events = rig
        .app
        .reads
        .read(move |connection| reads::events(connection, order, 0))
        .await
        .unwrap();
    let row = rig
        .app
        .reads
        .read(move |connection| reads::order(connection, order))
        .await
        .unwrap()
        .unwrap();
    let confirmed = events
        .iter()
        .find(|event| event.event.name() == "order.confirmed")
        .unwrap();
    let version = confirmed.order.unwrap().version;
    let later = |n: u32| {
        let mut envelope = confirmed.clone();
        envelope.seq += u64::from(n);
        envelope.order.as_mut().unwrap().version += n;
        crate::feed::Committed {
            envelope: Arc::new(envelope),
            order: Some(Arc::new(row.order.clone())),
            driver: None,
        }
    };
    // In one go, so that no reader can be quick enough.
    rig.app.feed.publish((10..100).map(later).collect());
    expect(&mut client, "RESYNC").await;
    assert_eq!(
        expect(&mut client, "SNAPSHOT").await["orders"][0]["version"],
        placed["version"]
    );
    rig.app.feed.publish(vec![later(200)]);
    assert_eq!(expect(&mut client, "ORDER_CONFIRMED").await["version"], version + 200);
}

#[tokio::test]
async fn sockets_are_bounded_in_number_and_in_what_they_send() {
    let rig = Rig::new();
    let addr = serve(&rig).await;
    let customer = rig.customer(CUSTOMER);
    assert_eq!(refused(connect(&addr, "", "", "json").await), 401);
    assert_eq!(refused(connect(&addr, &customer, "?after=x", "json").await), 400);
    assert_eq!(
        rig.get("/v1/live", &customer).await.expect(426).code(),
        "upgrade_required"
    );
    let mut open = Vec::new();
    for _ in 0..SOCKETS_MAX {
        open.push(connect(&addr, &customer, "", "json").await.unwrap());
    }
    assert_eq!(refused(connect(&addr, &customer, "", "json").await), 429);
    let other = connect(&addr, &rig.customer(OTHER_CUSTOMER), "", "json").await;
    other.unwrap();

    let mut flooder = open.pop().unwrap();
    // More than two seconds' worth, wherever the seconds begin.
    for _ in 0..=2 * rig.app.http.socket_frames_per_s {
        flooder.send(Message::text("{}")).await.ok();
    }
    while next(&mut flooder).await.is_some() {}
    let mut giant = open.pop().unwrap();
    giant.send(Message::text("x".repeat(FRAME_MAX + 1))).await.ok();
    while next(&mut giant).await.is_some() {}
    drop(open);
    until("the places", || async { (rig.app.sockets.open() == 0).then_some(()) }).await;
    connect(&addr, &customer, "", "json").await.unwrap();
}

#[tokio::test]
async fn a_socket_ends_with_its_token_and_with_the_process() {
    let mut rig = Rig::new();
    let addr = serve(&rig).await;
    let mut claims = rig.claims(Role::Customer, CUSTOMER.to_string());
    claims.exp = rig.clock.wall_seconds() + 2;
    let mut short = connect(&addr, &rig.mint(&claims), "", "json").await.unwrap();
    let mut long = connect(&addr, &rig.customer(CUSTOMER), "", "json").await.unwrap();
    for client in [&mut short, &mut long] {
        expect(client, "HELLO").await;
        expect(client, "SNAPSHOT").await;
    }
    assert_eq!(next(&mut short).await, None);
    let supervisor = std::mem::take(&mut rig.supervisor);
    supervisor.run(std::future::ready("test"), Duration::from_secs(1)).await;
    assert_eq!(next(&mut long).await, None);
}

#[tokio::test]
async fn heartbeats_come_by_themselves() {
    let rig = Rig::new();
    let addr = serve(&rig).await;
    let mut client = connect(&addr, &rig.operator(), "", "json").await.unwrap();
    let mut beats = 0;
    while beats < 1 {
        let frame = tokio::time::timeout(Duration::from_secs(6), client.next())
            .await
            .expect("a heartbeat");
        if let Some(Ok(Message::Text(text))) = frame {
            beats += i32::from(text.contains("HEARTBEAT"));
        }
    }
}

#[tokio::test]
async fn idle_driver_hears_where_to_wait() {
    let rig = Rig::new();
    rig.seed().await;
    let addr = serve(&rig).await;
    let mut phone = connect(&addr, &rig.driver(DRIVER), "", "json").await.unwrap();
    let mut other = connect(&addr, &rig.driver(OTHER_DRIVER), "", "json").await.unwrap();
    for client in [&mut phone, &mut other] {
        expect(client, "HELLO").await;
        expect(client, "SNAPSHOT").await;
    }
    let plane = Plane::around(LatLng::new(12.97, 77.59).ok());
    let show = |hints: Vec<Hint>| {
        let plan = Plan {
            hints,
            ..Plan::default()
        };
        rig.app
            .board
            .show(&plan, &plane, (rig.app.clock.now(), None), &BTreeMap::new());
    };
    let hint = |driver| Hint {
        driver,
        to: Point { x_m: 0.0, y_m: 0.0 },
        shortage_permille: 1_500,
        why: "busy soon".into(),
    };
    show(vec![hint(DRIVER)]);
    let heard = expect(&mut phone, "HINT").await["hint"].clone();
    assert_eq!(
        (&heard["place"]["lat"], &heard["why"]),
        (&json!(12.97), &json!("busy soon"))
    );
    // A hint that no longer holds is taken back; the other driver heard nothing of the first.
    show(vec![hint(OTHER_DRIVER)]);
    assert_eq!(expect(&mut phone, "HINT").await["hint"], Value::Null);
    assert_eq!(expect(&mut other, "HINT").await["hint"]["why"], "busy soon");
}
