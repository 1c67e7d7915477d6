//! What a node tells those who watch it, and what it does not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::{Api, Request, connections};
use tomato_tests::post::Post;
use tomato_tests::provider::{self, Fake};
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::once::{shop_in, shop_of};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const LIMIT: Duration = Duration::from_secs(180);

/// The spans that a collector was sent.
type Spans = Arc<Mutex<Vec<Value>>>;

/// A collector: takes OTLP in JSON and keeps the spans.
async fn collector() -> (String, Spans) {
    async fn take(State(spans): State<Spans>, axum::Json(body): axum::Json<Value>) {
        let scope = &body["resourceSpans"][0];
        assert!(scope["resource"]["attributes"].to_string().contains("tomato-"));
        let sent = scope["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.lock().unwrap().extend(sent.iter().cloned());
    }
    let spans = Spans::default();
    let router = axum::Router::new()
        .route("/v1/traces", post(take))
        .with_state(spans.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let limits = tomato_shared::runtime::serve::ServeLimits::default();
    tokio::spawn(tomato_shared::runtime::serve::serve(
        listener,
        router,
        limits,
        std::future::pending(),
    ));
    (endpoint, spans)
}

/// A file of the node, beside its data.
fn beside(stack: &mut Stack, name: &str) -> PathBuf {
    stack.node("blr").server.data().parent().unwrap().join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_trace_and_its_customer_is_not_in_the_log() {
    let (endpoint, spans) = collector().await;
    let file = RegionFile::named("blr")
        .set("otlp.endpoint", endpoint)
        .set("log.format", "json");
    let plan = StackPlan::default().region_file(file).log_filter("debug");
    let (mut stack, customer, mut order) = shop_of(plan).await;
    order["deliver_to"]["line"] = "7 Unmistakable Lane".into();
    order["deliver_to"]["note"] = "ask for Zebulon Quux".into();
    let driver = "drv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    let operator = &stack.node("blr").api;
    operator
        .put_driver(driver, "Ermintrude Vex", "+91 80 5550199")
        .await
        .unwrap();
    let request = Request::new(Method::POST, "/v1/orders")
        .header("idempotency-key", "traced")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&order);
    let placed = customer.send(&request).await.unwrap();
    assert_eq!(placed.status, 201, "{}", placed.json());

    let wanted = ["orders::place", "writer.commit", "provider.call", "relay.publish"];
    let found = poll_until("one trace from request to stream", LIMIT, async || {
        let spans = spans.lock().unwrap().clone();
        let mine: Vec<_> = spans.into_iter().filter(|span| span["traceId"] == TRACE).collect();
        let all = wanted.iter().all(|name| mine.iter().any(|span| span["name"] == *name));
        all.then_some(mine)
    });
    let found = found.await.unwrap();
    let root = found.iter().find(|span| span["name"] == wanted[0]).unwrap();
    assert_eq!(root["parentSpanId"], json!(CALLER), "it continues the caller's");
    for span in found.iter().filter(|span| span["name"] != wanted[0]) {
        assert_eq!(span["parentSpanId"], root["spanId"], "{span}");
    }

    let config: toml::Table = std::fs::read_to_string(beside(&mut stack, "blr.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let admin = Api::new(
        &connections(),
        &format!("http://{}", config["admin"]["listen"].as_str().unwrap()),
    );
    let page = admin.send(&Request::new(Method::GET, "/metrics")).await.unwrap();
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for line in [
        "tomato_orders_created_total{region=\"blr\"} 1",
        "tomato_broker_connected{region=\"blr\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }

    stack.stop().await.unwrap();
    let log = std::fs::read_to_string(beside(&mut stack, "blr.log")).unwrap();
    let traced = |line: &str| line.contains("\"answered\"") && line.contains(&format!("\"trace_id\":\"{TRACE}\""));
    assert!(log.lines().any(traced), "no line of the order's in\n{log}");
    for personal in ["Unmistakable", "Zebulon", "Ermintrude", "5550199", "card_ok"] {
        let line = log.lines().find(|line| line.contains(personal));
        assert_eq!(line, None, "{personal} is nobody's business");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_the_app_to_the_hub() {
    let (endpoint, spans) = collector().await;
    let provider = Fake::start(7).await;
    let file = RegionFile::named("blr")
        .set("otlp.endpoint", endpoint.clone())
        .set("log.format", "json");
    let plan = StackPlan::default()
        .region_file(provider::settings(file, &provider, false))
        .log_filter("debug");
    let stack = Stack::prepare(plan).unwrap();
    let hub_file = stack.folder().join("hub.toml");
    let hub_config = std::fs::read_to_string(&hub_file).unwrap();
    let mut hub_config: toml::Table = hub_config.parse().unwrap();
    hub_config.insert("otlp".into(), toml::toml! { endpoint = "" }.into());
    hub_config["otlp"]["endpoint"] = endpoint.into();
    std::fs::write(&hub_file, hub_config.to_string()).unwrap();
    let post = Post::start().await;
    let (mut stack, customer, mut order) = shop_in(stack).await;
    order["payment"] = json!({"method": "card", "card": "pm_card_visa"});
    let hook = json!({"url": post.hook("partner"), "events": ["order.confirmed"]});
    let operator = &stack.node("blr").api;
    let hooked = Request::new(Method::POST, "/v1/webhook-endpoints").json(&hook);
    assert_eq!(operator.send(&hooked).await.unwrap().status, 201);
    // Nobody says which trace it is: the node begins one.
    let request = Request::new(Method::POST, "/v1/orders")
        .header("idempotency-key", "traced")
        .json(&order);
    let placed = customer.send(&request).await.unwrap();
    assert_eq!(placed.status, 201, "{}", placed.json());
    let trace = placed.headers["x-trace-id"].to_str().unwrap().to_owned();

    let wanted = [
        "orders::place",
        "writer.commit",
        "provider.call",
        "relay.publish",
        "notification.send",
        "hub.apply",
    ];
    let complete = poll_until("one trace from the app to the hub", LIMIT, async || {
        let spans = spans.lock().unwrap().clone();
        let mine: Vec<_> = spans.into_iter().filter(|span| span["traceId"] == *trace).collect();
        wanted
            .iter()
            .all(|name| mine.iter().any(|span| span["name"] == *name))
            .then_some(())
    });
    complete.await.unwrap();
    assert!(
        provider.traces().iter().any(|context| context.contains(&trace)),
        "{:?}",
        provider.traces()
    );
    let told = post.got("partner").remove(0).header("traceparent");
    assert!(told.contains(&trace), "{told}");
    stack.stop().await.unwrap();
    let field = format!("\"trace_id\":\"{trace}\"");
    let node = std::fs::read_to_string(beside(&mut stack, "blr.log")).unwrap();
    assert!(
        node.lines()
            .any(|line| line.contains(&field) && line.contains("answered")),
        "{node}"
    );
    // The hub knows it by the header of the message alone.
    let hub = std::fs::read_to_string(beside(&mut stack, "hub.log")).unwrap();
    let applied = |line: &&str| line.contains("applied") && line.contains(&trace);
    assert!(
        hub.lines().any(|line| applied(&line)),
        "no line of the hub names the trace"
    );
}
