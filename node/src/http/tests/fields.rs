//! Bad input on the routes other than placing an order.

use super::input::{Want, check};
use super::*;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table: one row per case")]
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
            format!("{menu}/status"),
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
            json!({"proof": ["pin", "1234"]}),
            invalid("/proof"),
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
