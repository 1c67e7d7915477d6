//! Limits of callers, load and sites.

use futures_util::StreamExt as _;
use http::HeaderValue;

use super::*;

fn limited(rate: impl FnOnce(&mut RateConfig)) -> Rig {
    Rig::with(|config| rate(&mut config.http.rate))
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    reply.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_principal_spends_their_own_budget() {
    let rig = limited(|rate| (rate.customer_per_min, rate.positions_per_min) = (3, 2));
    let (one, other) = (rig.customer(CUSTOMER), rig.customer(OTHER_CUSTOMER));
    for left in [2, 1, 0] {
        let reply = rig.get("/v1/orders", &one).await.expect(200);
        assert_eq!(header(&reply, "ratelimit-policy"), "\"customer\";q=3;w=60");
        assert!(
            header(&reply, "ratelimit").starts_with(&format!("\"customer\";r={left};t=")),
            "{reply:?}"
        );
    }
    let refused = rig.get("/v1/orders", &one).await.expect(429);
    assert_eq!(refused.code(), "rate_limited");
    let wait: u32 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(header(&refused, "ratelimit"), format!("\"customer\";r=0;t={wait}"));
    rig.get("/v1/locate?lat=1&lng=1", &one).await.expect(429);
    rig.get("/v1/locate?lat=1&lng=1", "").await.expect(404);
    rig.get("/v1/orders", &other).await.expect(200);
    rig.get("/livez", &one).await.expect(200);
    let fix = json!([{"lat": 1, "lng": 1, "at": rig.clock.now()}]);
    let driver = rig.driver(DRIVER);
    for status in [409, 409, 429] {
        rig.post("/v1/drivers/me/locations", &driver, fix.clone())
            .await
            .expect(status);
    }
    let me = rig.get("/v1/drivers/me", &driver).await.expect(404);
    assert_eq!(header(&me, "ratelimit-policy"), "", "no limit, no header");
}

#[tokio::test]
async fn guessing_tokens_is_slow() {
    let rig = limited(|rate| rate.anonymous_per_min = 5);
    for _ in 0..5 {
        rig.get("/v1/orders", "x.y.z").await.expect(401);
    }
    rig.get("/v1/orders", "x.y.z").await.expect(429);
    rig.get("/v1/orders", "").await.expect(429);
    rig.get("/v1/orders", &rig.customer(CUSTOMER)).await.expect(200);
}

/// A request whose body never comes.
fn hanging(method: &str, path: &str, token: &str) -> Request<Body> {
    let body = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>().boxed());
    ask(method, path, token)
        .header("Content-Type", "application/json")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_flood_of_edits_leaves_room_for_orders_and_money() {
    let rig = Rig::with(|config| config.http.concurrent_max = 20);
    rig.seed().await;
    let (operator, customer) = (rig.operator(), rig.customer(CUSTOMER));
    let order = text(&rig.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let request = hanging("PUT", &format!("/v1/restaurants/{RESTAURANT}"), &operator);
        let router = rig.router.clone();
        flood.spawn(async move { router.oneshot(request).await.unwrap() });
    }
    for _ in 0..190 {
        let shed = flood.join_next().await.unwrap().unwrap();
        assert_eq!(shed.status(), 503);
        let wait: u32 = shed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=5).contains(&wait));
    }
    rig.get("/v1/drivers", &operator).await.expect(503);
    rig.get(&format!("/v1/orders/{order}"), &customer).await.expect(200);
    rig.place(&customer, "l", &basket()).await.expect(201);
    rig.post(&format!("/v1/orders/{order}/cancel"), &customer, json!({}))
        .await
        .expect(200);
    rig.get("/livez", "").await.expect(200);
    flood.abort_all();
    while flood.join_next().await.is_some() {}
    rig.get("/v1/drivers", &operator).await.expect(200);
}

#[tokio::test]
async fn a_node_that_is_full_is_still_alive() {
    let rig = Rig::with(|config| config.http.concurrent_max = 20);
    let places: Vec<_> = std::iter::from_fn(|| rig.app.shed.enter(crate::http::table::Class::P0)).collect();
    assert_eq!(places.len(), 20);
    rig.get("/v1/drivers/me", &rig.driver(DRIVER)).await.expect(503);
    for probe in ["/livez", "/readyz", "/version"] {
        rig.get(probe, "").await.expect(200);
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_let_in_by_name_only() {
    let rig = Rig::with(|config| config.http.cors.origins = vec!["https://ops.test".into()]);
    let token = rig.customer(CUSTOMER);
    let from = |method: &str, origin: &str, token: &str| {
        let request = ask(method, "/v1/orders", token).header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "POST");
        rig.send(request.body(Body::empty()).unwrap())
    };
    let open = from("GET", "https://ops.test", &token).await.expect(200);
    assert_eq!(header(&open, "access-control-allow-origin"), "https://ops.test");
    assert!(header(&open, "access-control-expose-headers").contains("ratelimit"));
    assert_eq!(
        (header(&open, "vary"), header(&open, "access-control-allow-credentials")),
        ("Origin", "")
    );
    let asked = from("OPTIONS", "https://ops.test", "").await.expect(204);
    assert_eq!(header(&asked, "access-control-allow-methods"), "GET, HEAD, POST");
    assert!(header(&asked, "access-control-allow-headers").contains("idempotency-key"));
    for origin in [
        "https://evil.test",
        "https://ops.test.evil.test",
        "http://ops.test",
        "null",
    ] {
        let closed = from("GET", origin, &token).await.expect(200);
        assert_eq!(header(&closed, "access-control-allow-origin"), "", "{origin}");
        from("OPTIONS", origin, "").await.expect(405);
    }
}

#[tokio::test]
async fn live_connections_open_from_apps_and_known_sites() {
    let rig = Rig::with(|config| config.http.cors.origins = vec!["https://ops.test".into()]);
    let token = rig.customer(CUSTOMER);
    for (origin, status) in [
        (None, 426),
        (Some("https://blr.test"), 426),
        (Some("http://127.0.0.1:8080"), 426),
        (Some("https://ops.test"), 426),
        (Some("https://evil.test"), 403),
        (Some("null"), 403),
    ] {
        let mut request = ask("GET", "/v1/live", &token)
            .header("Host", "127.0.0.1:8080")
            .body(Body::empty())
            .unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_static(origin));
        }
        let reply = rig.send(request).await.expect(status);
        assert_eq!(reply.code() == "origin_refused", status == 403, "{origin:?}");
    }
}

#[tokio::test]
async fn an_edit_over_another_version_is_another_request() {
    let rig = Rig::new();
    rig.seed().await;
    let operator = rig.operator();
    let edit = |version: &'static str| {
        let request = ask("PUT", &format!("/v1/restaurants/{RESTAURANT}"), &operator);
        let request = request.header("Idempotency-Key", "k").header("If-Match", version);
        rig.send(with_json(request, &restaurant()))
    };
    let first = edit("\"1\"").await.expect(200);
    assert_eq!(edit("\"1\"").await.expect(200).bytes, first.bytes);
    assert_eq!(edit("\"2\"").await.expect(422).code(), "idempotency_key_reused");
}
