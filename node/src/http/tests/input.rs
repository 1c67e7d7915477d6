//! Bad input: the exact status and code, the wrong part named, and nothing changed.

use super::*;
use crate::http::table::BODY_MAX;

/// Status, code, and the first wrong part: a JSON pointer or the name of a parameter or header.
pub(super) type Want<'a> = (u16, &'a str, &'a str);

/// Fails unless it is this problem, complete.
pub(super) fn check(case: &str, reply: &Reply, want: Want<'_>) {
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

const PHONE: &str = "/deliver_to/phone";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table: one row per case")]
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
        // No country code, too short, too long, a code that cannot be, letters, nothing, something else than a text.
        (PHONE, json!("98450 12345"), invalid(PHONE)),
        (PHONE, json!("+91 9845"), invalid(PHONE)),
        (PHONE, json!("+91 98450 12345 67890"), invalid(PHONE)),
        (PHONE, json!("+0 98450 12345"), invalid(PHONE)),
        (PHONE, json!("+91 98450 1234x"), invalid(PHONE)),
        (PHONE, json!("+91\u{0}98450 12345"), invalid(PHONE)),
        (PHONE, json!(""), invalid(PHONE)),
        (PHONE, json!(919_845_012_345_u64), invalid(PHONE)),
        (PHONE, json!(["+919845012345"]), invalid(PHONE)),
        ("/deliver_to", Value::Null, invalid("")),
        ("/deliver_to/place", json!([12.9, 77.5]), invalid("/deliver_to/place")),
        ("/payment", json!(["cash"]), invalid("/payment")),
        ("/items", json!([[DOSA, 1]]), invalid("/items/0")),
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
    // A quote is asked for with the same address.
    let mut door = door();
    door["phone"] = json!("98450 12345");
    let ask = json!({"items": [{"item_id": DOSA, "quantity": 1}], "deliver_to": door});
    let reply = rig.post("/v1/quotes", &token, ask).await;
    check("a quote", &reply, invalid(PHONE));
    let told = reply.json["errors"][0]["message"].as_str().unwrap();
    assert!(told.contains("+91 98450 12345"), "{told} says what is wanted");
    assert_eq!(rig.rows(), before);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table: one row per case")]
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
    type Row<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, Want<'a>);
    let table: Vec<Row<'_>> = vec![
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
