//! Bad input: the exact status and code, the wrong part named, and nothing changed.

use super::*;
use crate::http::table::{BODY_MAX, ROUTES};

/// Status, code, and the first wrong part: a JSON pointer or the name of a parameter or header.
type Want<'a> = (u16, &'a str, &'a str);

fn check(case: &str, reply: &Reply, want: Want<'_>) {
    let first = &reply.json["errors"][0];
    let part = first["pointer"].as_str().or(first["field"].as_str()).unwrap_or("-");
    assert_eq!((reply.status, reply.code(), part), want, "{case}: {:#?}", reply.json);
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{case}");
    assert_eq!(
        reply.json["request_id"],
        reply.headers["x-request-id"].to_str().unwrap(),
        "{case}"
    );
    assert!(reply.json["instance"].is_string(), "{case}");
}

/// A basket with one part set to something else; `null` removes it.
fn spoiled(pointer: &str, value: Value) -> Value {
    let mut body = basket();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.into(), value);
    }
    body
}

#[tokio::test]
async fn bad_orders_name_their_fault_and_change_nothing() {
    let rig = Rig::new();
    rig.seed().await;
    let before = rig.rows();
    let token = rig.customer(CUSTOMER);
    let invalid = |part| (400, "invalid_body", part);
    let line = |quantity: Value| json!([{"item_id": DOSA, "quantity": quantity}]);
    let table: Vec<(&str, Value, Want<'_>)> = vec![
        ("/items", line(json!(0)), invalid("/items/0/quantity")),
        ("/items", line(json!(-1)), invalid("/items/0/quantity")),
        ("/items", line(json!(100)), invalid("/items/0/quantity")),
        ("/items", line(json!(1.5)), invalid("/items/0/quantity")),
        ("/items", line(json!("2")), invalid("/items/0/quantity")),
        ("/items", json!([]), invalid("/items")),
        ("/items", Value::Null, invalid("/items")),
        ("/items", json!({}), invalid("/items")),
        (
            "/items",
            json!(vec![json!({"item_id": DOSA, "quantity": 1}); 51]),
            invalid("/items"),
        ),
        (
            "/items",
            json!([{"item_id": "itm_1", "quantity": 1}]),
            invalid("/items/0/item_id"),
        ),
        (
            "/items",
            json!([{"item_id": CUSTOMER, "quantity": 1}]),
            invalid("/items/0/item_id"),
        ),
        (
            "/items",
            json!([{"item_id": DOSA, "quantity": 1, "price": 1}]),
            invalid("/items/0/price"),
        ),
        (
            "/restaurant_id",
            json!("'; DROP TABLE orders; --"),
            invalid("/restaurant_id"),
        ),
        (
            "/deliver_to/place",
            json!({"lat": 91, "lng": 77}),
            invalid("/deliver_to/place"),
        ),
        (
            "/deliver_to/place",
            json!({"lat": 12, "lng": -180.5}),
            invalid("/deliver_to/place"),
        ),
        ("/deliver_to/place", json!({"lat": 12}), invalid("/deliver_to/place")),
        (
            "/deliver_to/place",
            json!({"lat": "12", "lng": 77}),
            invalid("/deliver_to/place/lat"),
        ),
        ("/deliver_to/line", json!(""), invalid("/deliver_to/line")),
        ("/deliver_to/line", json!("x".repeat(301)), invalid("/deliver_to/line")),
        ("/deliver_to/line", json!("a\u{0}b"), invalid("/deliver_to/line")),
        ("/deliver_to/note", json!("x".repeat(501)), invalid("/deliver_to/note")),
        ("/deliver_to", Value::Null, invalid("")),
        ("/payment", json!({"method": "barter"}), invalid("/payment/method")),
        (
            "/payment",
            json!({"method": "cash", "card": "card_ok"}),
            invalid("/payment/card"),
        ),
        (
            "/payment",
            json!({"method": "card", "card": ""}),
            invalid("/payment/card"),
        ),
        ("/tip_minor", json!(-1), invalid("/tip_minor")),
        ("/tip_minor", json!(10_000_001), invalid("/tip_minor")),
        ("/total_minor", json!(1), invalid("/total_minor")),
        ("/state", json!("DELIVERED"), invalid("/state")),
        ("/quote", json!("x.y"), invalid("/restaurant_id")),
        ("/restaurant_id", json!(OTHER_RESTAURANT), (404, "not_found", "-")),
        (
            "/items",
            json!([{"item_id": CUSTOMER.to_string().replace("usr", "itm"), "quantity": 1}]),
            (422, "item_unknown", "-"),
        ),
        (
            "/deliver_to/place",
            json!({"lat": 0, "lng": 0}),
            (422, "out_of_area", "-"),
        ),
    ];
    for (nth, (pointer, value, want)) in table.into_iter().enumerate() {
        let body = spoiled(pointer, value);
        let reply = rig.place(&token, &format!("key-{nth}"), &body).await;
        check(&body.to_string(), &reply, want);
    }
    assert_eq!(rig.rows(), before);
}

#[tokio::test]
async fn bad_bodies_and_headers_change_nothing() {
    let rig = Rig::new();
    rig.seed().await;
    let before = rig.rows();
    let token = rig.customer(CUSTOMER);
    let post = |body: &str, headers: &[(&str, &str)]| {
        let start = ask("POST", "/v1/orders", &token);
        let request = headers
            .iter()
            .fold(start, |request, (name, value)| request.header(*name, *value));
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let (json, key) = (("Content-Type", "application/json"), ("Idempotency-Key", "k"));
    let good = basket().to_string();
    let twice = format!("{good}{good}");
    let huge = " ".repeat(10 << 20);
    let deep = "[".repeat(50_000);
    let table: Vec<(&str, &str, Vec<(&str, &str)>, Want<'_>)> = vec![
        (
            "broken JSON",
            "{\"items\": [",
            vec![json, key],
            (400, "invalid_body", "/items"),
        ),
        ("empty", "", vec![json, key], (400, "invalid_body", "")),
        ("two values", &twice, vec![json, key], (400, "invalid_body", "")),
        (
            "not UTF-8 text",
            "{\"quote\": \"\\ud800\"}",
            vec![json, key],
            (400, "invalid_body", "/quote"),
        ),
        ("deep", &deep, vec![json, key], (400, "invalid_body", "")),
        (
            "twice",
            "{\"quote\": \"a\", \"quote\": \"b\"}",
            vec![json, key],
            (400, "invalid_body", ""),
        ),
        ("10 MB", &huge, vec![json, key], (413, "payload_too_large", "-")),
        ("no type", &good, vec![key], (415, "unsupported_media_type", "-")),
        (
            "a form",
            &good,
            vec![("Content-Type", "application/x-www-form-urlencoded"), key],
            (415, "unsupported_media_type", "-"),
        ),
        (
            "no key",
            &good,
            vec![json],
            (400, "idempotency_key_missing", "idempotency-key"),
        ),
        (
            "empty key",
            &good,
            vec![json, ("Idempotency-Key", "")],
            (400, "invalid_header", "idempotency-key"),
        ),
        (
            "spaced key",
            &good,
            vec![json, ("Idempotency-Key", "a b")],
            (400, "invalid_header", "idempotency-key"),
        ),
        (
            "two keys",
            &good,
            vec![json, key, ("X-Idempotency-Key", "l")],
            (400, "invalid_header", "x-idempotency-key"),
        ),
    ];
    for (case, body, headers, want) in table {
        check(case, &rig.send(post(body, &headers)).await, want);
    }
    let declared = post("", &[json, key, ("Content-Length", "65537")]);
    check(
        "declared too long",
        &rig.send(declared).await,
        (413, "payload_too_large", "-"),
    );
    assert_eq!(rig.rows(), before);
    let at_the_limit = format!("{good}{}", " ".repeat(BODY_MAX - good.len()));
    rig.send(post(
        &at_the_limit,
        &[("Content-Type", "application/json; charset=utf-8"), key],
    ))
    .await
    .expect(201);
}

#[tokio::test]
async fn other_bodies_are_as_strict() {
    let rig = Rig::new();
    rig.seed().await;
    let before = rig.rows();
    let (operator, driver, kitchen) = (rig.operator(), rig.driver(DRIVER), rig.restaurant(RESTAURANT));
    let order: OrderId = id(77);
    let accept = format!("/v1/restaurants/{RESTAURANT}/orders/{order}/accept");
    let ready = format!("/v1/restaurants/{RESTAURANT}/orders/{order}/ready");
    let (menu, person) = (format!("/v1/restaurants/{RESTAURANT}"), format!("/v1/drivers/{DRIVER}"));
    let delivery = |verb: &str| format!("/v1/deliveries/{}/{verb}", id::<tomato_shared::id::kind::Delivery>(77));
    let with = |name: &str, value: Value| {
        let mut body = restaurant();
        body[name] = value;
        body
    };
    let item = || restaurant()["menu"][0].clone();
    let fix = |lat: f64| json!({"lat": lat, "lng": 77.5, "at": "2026-11-23T08:30:00Z"});
    let invalid = |part| (400, "invalid_body", part);
    let at = |path: &str| path.to_owned();
    let table: Vec<(&str, String, &str, Value, Want<'_>)> = vec![
        (
            "POST",
            accept.clone(),
            &kitchen,
            json!({"ready_in_min": 0}),
            invalid("/ready_in_min"),
        ),
        (
            "POST",
            accept.clone(),
            &kitchen,
            json!({"ready_in_min": 181}),
            invalid("/ready_in_min"),
        ),
        ("POST", accept, &kitchen, json!({}), invalid("")),
        ("POST", ready, &kitchen, json!({"now": true}), invalid("/now")),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("name", json!("")),
            invalid("/name"),
        ),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("name", json!("n".repeat(201))),
            invalid("/name"),
        ),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("version", json!(3)),
            invalid("/version"),
        ),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("delivery_radius_m", json!(-5)),
            invalid("/delivery_radius_m"),
        ),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("menu", json!([item(), item()])),
            invalid("/menu/1/id"),
        ),
        (
            "PUT",
            menu.clone(),
            &operator,
            with("place", json!({"lat": 0, "lng": 0})),
            (422, "out_of_area", "-"),
        ),
        (
            "PUT",
            format!("{menu}/open"),
            &kitchen,
            json!({"open": "yes"}),
            invalid("/open"),
        ),
        (
            "PUT",
            person,
            &operator,
            json!({"name": "A", "phone": ""}),
            invalid("/phone"),
        ),
        (
            "PUT",
            at("/v1/drivers/me/status"),
            &driver,
            json!({"online": 1}),
            invalid("/online"),
        ),
        ("POST", at("/v1/drivers/me/locations"), &driver, json!([]), invalid("")),
        ("POST", at("/v1/drivers/me/locations"), &driver, json!({}), invalid("")),
        (
            "POST",
            at("/v1/drivers/me/locations"),
            &driver,
            json!([fix(12.0), fix(91.0)]),
            invalid("/1/lat"),
        ),
        (
            "POST",
            at("/v1/drivers/me/locations"),
            &driver,
            json!(vec![fix(12.0); 101]),
            invalid(""),
        ),
        (
            "POST",
            format!("/v1/drivers/{DRIVER}/location"),
            &driver,
            json!({"latitude": 91, "longitude": 1}),
            invalid("/latitude"),
        ),
        (
            "POST",
            delivery("complete"),
            &driver,
            json!({"proof": {"kind": "pin", "pin": "123456789"}}),
            invalid("/proof/pin"),
        ),
        (
            "POST",
            delivery("complete"),
            &driver,
            json!({"proof": {"kind": "oath"}}),
            invalid("/proof/kind"),
        ),
        (
            "POST",
            delivery("fail"),
            &driver,
            json!({"reason": "Bob was out"}),
            invalid("/reason"),
        ),
        (
            "POST",
            delivery("complete"),
            &driver,
            json!({"proof": {"kind": "pin", "pin": "1"}}),
            (404, "not_found", "-"),
        ),
        (
            "POST",
            format!("/v1/offers/{}/accept", id::<tomato_shared::id::kind::Offer>(9)),
            &driver,
            json!({}),
            (409, "offer_gone", "-"),
        ),
        (
            "POST",
            at("/v1/offers/ord_1/accept"),
            &driver,
            json!({}),
            (400, "invalid_path", "ofr"),
        ),
    ];
    for (method, path, token, body, want) in table {
        let reply = rig.send(with_json(ask(method, &path, token), &body)).await;
        check(&format!("{method} {path} {body:.200}"), &reply, want);
    }
    let stale = ask("PUT", &menu, &operator).header("If-Match", "\"7\"");
    check(
        "If-Match",
        &rig.send(with_json(stale, &restaurant())).await,
        (412, "version_conflict", "-"),
    );
    let odd = ask("PUT", &menu, &operator).header("If-Match", "seven");
    check(
        "odd If-Match",
        &rig.send(with_json(odd, &restaurant())).await,
        (400, "invalid_header", "if-match"),
    );
    assert_eq!(rig.rows(), before);
}

#[tokio::test]
async fn unknown_paths_and_methods_say_what_there_is() {
    let rig = Rig::new();
    for path in ["/", "/v1", "/v0/orders", "/v1/orders/", "/metrics", "/v1/orders/x/y"] {
        check(path, &rig.get(path, "").await, (404, "not_found", "-"));
    }
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let there: Vec<_> = ROUTES.iter().filter(|other| other.path == route.path).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"] {
            if there.iter().any(|other| other.method.names().contains(&method)) {
                continue;
            }
            let request = ask(method, &path, "")
                .header("X-HTTP-Method-Override", "GET")
                .body(Body::empty())
                .unwrap();
            let reply = rig.send(request).await;
            check(&format!("{method} {path}"), &reply, (405, "method_not_allowed", "-"));
            let allow = reply.headers["allow"].to_str().unwrap();
            let names: Vec<_> = there.iter().flat_map(|other| other.method.names()).copied().collect();
            assert_eq!(allow.split(", ").collect::<Vec<_>>(), names, "{path}");
        }
    }
    let long = format!("/v1/locate?lat={}", "1".repeat(11_000));
    check("long", &rig.get(&long, "").await, (414, "uri_too_long", "-"));
    check(
        "no place",
        &rig.get("/v1/locate", "").await,
        (400, "invalid_query", "lat"),
    );
    check(
        "odd path",
        &rig.get("/v1/restaurants/%ff", "").await,
        (400, "invalid_path", "path"),
    );
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let rig = Rig::new();
    let request = ask("GET", "/livez", "")
        .header("X-Request-ID", "abc-1")
        .body(Body::empty())
        .unwrap();
    let reply = rig.send(request).await.expect(200);
    assert_eq!(reply.headers["x-request-id"], "abc-1");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert_eq!(reply.headers["cache-control"], "no-cache");
    let private = rig.get("/v1/orders", &rig.customer(CUSTOMER)).await.expect(200);
    assert_eq!(private.headers["cache-control"], "no-store");
    let refused = rig.get("/v1/orders", "").await.expect(401);
    assert_eq!(refused.headers["cache-control"], "no-store");
    assert_eq!(refused.headers["x-content-type-options"], "nosniff");
}
