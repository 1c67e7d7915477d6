//! Every route against everybody: whoever adds a route has to say here who may use it on whose things.

use std::collections::BTreeMap;

use tomato_shared::id::{MessageId, WebhookId};

use super::*;
use crate::engine::model::By;
use crate::http::table::{Body as BodyRule, ROUTES, Route};
use crate::push::model::{Content, Lane, NewMessage, Webhook};
use crate::store::push::{Errand, Scope};
use crate::writer::Context;

/// The columns of [`TABLE`], in order. All know the same order: its customer, its restaurant and its driver, who was given it
/// after another driver gave it back.
const WHO: [&str; 10] = [
    "owner",
    "other customer",
    "restaurant",
    "other restaurant",
    "driver",
    "other driver",
    "former driver",
    "operator",
    "operator of another region",
    "nobody",
];

/// `y` may; `f` 403 of the wrong role; `-` 404, as if it did not exist; `w` 403 of another region; `u` 401 without a token;
/// `g` 409, an offer that is gone for everybody it was not made to.
const TABLE: &[(&str, &str)] = &[
    ("GET /livez", "yyyyyyyyyy"),
    ("GET /readyz", "yyyyyyyyyy"),
    ("GET /version", "yyyyyyyyyy"),
    ("GET /.well-known/jwks.json", "yyyyyyyyyy"),
    ("GET /openapi.json", "yyyyyyyyyy"),
    ("GET /asyncapi.json", "yyyyyyyyyy"),
    ("GET /console", "yyyyyyyyyy"),
    ("GET /console/app.js", "yyyyyyyyyy"),
    ("GET /console/style.css", "yyyyyyyyyy"),
    ("GET /docs", "yyyyyyyyyy"),
    ("GET /docs/app.js", "yyyyyyyyyy"),
    ("GET /docs/style.css", "yyyyyyyyyy"),
    ("GET /v1/locate", "yyyyyyyyyy"),
    ("GET /v1/region", "yyyyyyyyyy"),
    ("GET /v1/restaurants", "yyyyyyyyyy"),
    ("GET /v1/restaurants/{rst}", "yyyyyyyyyy"),
    ("PUT /v1/restaurants/{rst}", "fffffffywu"),
    ("GET /v1/restaurants/{rst}/menu", "ffy-fffywu"),
    ("PUT /v1/restaurants/{rst}/menu", "ffy-fffywu"),
    ("GET /v1/restaurants/{rst}/menu.csv", "ffy-fffywu"),
    ("PUT /v1/restaurants/{rst}/menu.csv", "ffy-fffywu"),
    ("PUT /v1/restaurants/{rst}/hours", "ffy-fffywu"),
    ("PUT /v1/restaurants/{rst}/status", "ffy-fffywu"),
    ("PUT /v1/restaurants/{rst}/suspension", "fffffffywu"),
    ("PUT /v1/restaurants/{rst}/items/{itm}", "ffy-fffywu"),
    ("GET /v1/restaurants/{rst}/statement", "ffy-fffywu"),
    ("GET /v1/restaurants/{rst}/orders", "ffy-fffywu"),
    ("POST /v1/restaurants/{rst}/orders/{ord}/accept", "ffy-fffywu"),
    ("POST /v1/restaurants/{rst}/orders/{ord}/reject", "ffy-fffywu"),
    ("POST /v1/restaurants/{rst}/orders/{ord}/delay", "ffy-fffywu"),
    ("POST /v1/restaurants/{rst}/orders/{ord}/changes", "ffy-fffywu"),
    ("POST /v1/restaurants/{rst}/orders/{ord}/ready", "ffy-fffywu"),
    ("POST /v1/quotes", "yyffffffwu"),
    ("GET /v1/orders", "yyfffffywu"),
    ("POST /v1/orders", "yyffffffwu"),
    ("GET /v1/orders/{ord}", "y-y-y--ywu"),
    ("GET /v1/orders/{ord}/events", "y-y-y--ywu"),
    ("POST /v1/orders/{ord}/cancel", "y-y-fffywu"),
    ("GET /v1/orders/{ord}/cancellation", "y-fffffywu"),
    ("POST /v1/orders/{ord}/change/accept", "y-fffffywu"),
    ("POST /v1/orders/{ord}/change/decline", "y-fffffywu"),
    ("GET /v1/orders/{ord}/tracking", "y-y-y--ywu"),
    ("POST /v1/orders/{ord}/rating", "y-ffffffwu"),
    ("POST /v1/orders/{ord}/payment", "y-ffffffwu"),
    ("POST /v1/orders/{ord}/tip", "y-ffffffwu"),
    ("GET /v1/orders/{ord}/receipt", "y-fffffywu"),
    ("POST /v1/orders/{ord}/assign", "fffffffywu"),
    ("POST /v1/orders/{ord}/unassign", "fffffffywu"),
    ("POST /v1/orders/{ord}/refunds", "fffffffywu"),
    ("GET /v1/promotions", "fffffffywu"),
    ("PUT /v1/promotions/{code}", "fffffffywu"),
    ("GET /v1/drivers", "fffffffywu"),
    ("GET /v1/drivers/me", "ffffyyyfwu"),
    ("PUT /v1/drivers/me/status", "ffffyyyfwu"),
    ("GET /v1/drivers/me/shifts", "ffffyyyfwu"),
    ("GET /v1/drivers/me/statement", "ffffyyyfwu"),
    ("POST /v1/drivers/me/locations", "ffffyyyfwu"),
    ("PUT /v1/drivers/{drv}", "fffffffywu"),
    ("PUT /v1/drivers/{drv}/status", "fffffffywu"),
    ("PUT /v1/drivers/{drv}/shifts", "fffffffywu"),
    ("GET /v1/drivers/{drv}/statement", "fffffffywu"),
    ("POST /v1/drivers/{drv}/cash-deposits", "fffffffywu"),
    ("POST /v1/drivers/{drv}/location", "ffffy--ywu"),
    ("POST /v1/offers/{ofr}/accept", "ffffgggfwu"),
    ("POST /v1/offers/{ofr}/decline", "ffffgggfwu"),
    ("POST /v1/deliveries/{del}/arrive", "ffffy--fwu"),
    ("POST /v1/deliveries/{del}/pickup", "ffffy--fwu"),
    ("POST /v1/deliveries/{del}/complete", "ffffy--fwu"),
    ("POST /v1/deliveries/{del}/fail", "ffffy--fwu"),
    ("POST /v1/deliveries/{del}/return", "ffy-y--ywu"),
    ("POST /v1/deliveries/{del}/cancel", "ffffy--fwu"),
    // Signed messages of the provider that the region has; here that is none of them.
    ("POST /v1/webhooks/stripe", "----------"),
    ("POST /v1/webhooks/razorpay", "----------"),
    ("GET /v1/dispatch", "fffffffywu"),
    ("PUT /v1/region", "fffffffywu"),
    ("GET /v1/audit", "fffffffywu"),
    ("GET /v1/overview", "fffffffywu"),
    ("GET /v1/devices", "yyyyyyyfwu"),
    ("PUT /v1/devices/{device}", "yyyyyyyfwu"),
    // Everybody has a device of that name.
    ("DELETE /v1/devices/{device}", "yyyyyyyfwu"),
    ("GET /v1/webhook-endpoints", "ffyyfffywu"),
    ("POST /v1/webhook-endpoints", "ffyyfffywu"),
    ("GET /v1/webhook-endpoints/{whk}", "ffy-fffywu"),
    ("PUT /v1/webhook-endpoints/{whk}", "ffy-fffywu"),
    ("DELETE /v1/webhook-endpoints/{whk}", "ffy-fffywu"),
    ("POST /v1/webhook-endpoints/{whk}/secret", "ffy-fffywu"),
    ("POST /v1/webhook-endpoints/{whk}/ping", "ffy-fffywu"),
    ("POST /v1/webhook-endpoints/{whk}/replay", "ffy-fffywu"),
    ("GET /v1/webhook-endpoints/{whk}/deliveries", "ffy-fffywu"),
    ("POST /v1/webhook-endpoints/{whk}/deliveries/{msg}/replay", "ffy-fffywu"),
    ("GET /v1/dead-letters", "fffffffywu"),
    ("GET /v1/events", "yyyyyyyywu"),
    ("GET /v1/live", "yyyyyyyywu"),
];

/// A body that a route takes; who adds a route with a body adds one here.
pub(super) fn body(route: &Route) -> Value {
    let plain = matches!(route.body, BodyRule::Ignored | BodyRule::Empty);
    match (route.method.names()[0], route.path) {
        (_, path) if plain => {
            assert!(!path.is_empty());
            json!({})
        }
        ("PUT", "/v1/restaurants/{rst}") => restaurant(),
        ("PUT", "/v1/restaurants/{rst}/menu") => json!({"menu": restaurant()["menu"]}),
        ("PUT", "/v1/restaurants/{rst}/menu.csv") => json!(format!(
            "row,key,name,category,description,price_minor,available,capacity,min,max\nitem,{DOSA},Dosa,,,9000,true,,,\n"
        )),
        ("PUT", "/v1/restaurants/{rst}/hours") => json!({"week": []}),
        ("PUT", "/v1/restaurants/{rst}/status") => json!({"open": true}),
        ("PUT", "/v1/restaurants/{rst}/suspension") => json!({"suspended": false}),
        ("PUT", "/v1/restaurants/{rst}/items/{itm}") => json!({"available": true}),
        ("POST", path) if path.ends_with("/accept") || path.ends_with("/delay") => json!({"ready_in_min": 5}),
        ("POST", path) if path.ends_with("/reject") => json!({"reason": "too_busy"}),
        ("POST", path) if path.ends_with("/changes") => json!({"lines": [{"line": 0, "quantity": 1}]}),
        ("POST", "/v1/quotes") => json!({"items": basket()["items"], "deliver_to": door()}),
        ("POST", "/v1/orders") => basket(),
        ("POST", "/v1/orders/{ord}/rating") => json!({"restaurant_stars": 5}),
        ("POST", "/v1/orders/{ord}/payment") => json!({"card": "card_other"}),
        ("POST", "/v1/orders/{ord}/tip") => json!({"amount_minor": 500}),
        ("POST", "/v1/orders/{ord}/assign") => json!({"driver_id": DRIVER}),
        ("POST", "/v1/orders/{ord}/refunds") => json!({"reason": "quality", "borne_by": "platform"}),
        ("PUT", "/v1/promotions/{code}") => json!({
            "saving": {"kind": "free_delivery"}, "borne_by": "platform", "active": true, "uses_max": 5,
            "uses_per_customer_max": 1, "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z",
        }),
        ("PUT", "/v1/drivers/me/status" | "/v1/drivers/{drv}/status") => json!({"online": true}),
        ("POST", "/v1/drivers/me/locations") => {
            json!([{"lat": centre().lat(), "lng": centre().lng(), "at": "1970-01-01T00:00:00Z"}])
        }
        ("PUT", "/v1/drivers/{drv}") => json!({"name": "Asha", "phone": "+91 80 1"}),
        ("PUT", "/v1/drivers/{drv}/shifts") => json!({"shifts": []}),
        ("POST", "/v1/drivers/{drv}/cash-deposits") => json!({"amount_minor": 1}),
        ("POST", "/v1/drivers/{drv}/location") => json!({"latitude": centre().lat(), "longitude": centre().lng()}),
        ("POST", "/v1/deliveries/{del}/complete") => json!({"proof": {"kind": "photo", "reference": "r"}}),
        ("POST", "/v1/deliveries/{del}/fail") => json!({"reason": "customer_absent"}),
        ("POST", "/v1/webhooks/stripe" | "/v1/webhooks/razorpay") => json!({}),
        ("PUT", "/v1/region") => json!({"paused": false}),
        ("PUT", "/v1/devices/{device}") => json!({"platform": "fcm", "token": "abc:1"}),
        ("POST", "/v1/webhook-endpoints") | ("PUT", "/v1/webhook-endpoints/{whk}") => {
            json!({"url": "https://a.example/"})
        }
        ("POST", "/v1/webhook-endpoints/{whk}/replay") => {
            json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"})
        }
        (method, path) => panic!("{method} {path} takes a body; add one to the matrix"),
    }
}

/// The request of a route about an order and an offer.
pub(super) fn request(route: &Route, order: &str, offer: &str, token: &str) -> Request<Body> {
    let path = [
        ("{rst}", RESTAURANT.to_string()),
        ("{ord}", order.to_owned()),
        ("{del}", order.replace("ord_", "del_")),
        ("{ofr}", offer.to_owned()),
        ("{drv}", DRIVER.to_string()),
        ("{itm}", DOSA.to_string()),
        ("{code}", "LUNCH".to_owned()),
        ("{device}", "phone".to_owned()),
        ("{whk}", WEBHOOK.to_string()),
        ("{msg}", MESSAGE.to_string()),
    ]
    .into_iter()
    .fold(route.path.to_owned(), |path, (name, id)| path.replace(name, &id));
    let path = if route.path == "/v1/locate" {
        format!("{path}?lat=12.9&lng=77.6")
    } else {
        path
    };
    let method = route.method.names()[0];
    let asked = ask(method, &path, token).header("Idempotency-Key", format!("{method}{path}{}", token.len()));
    match (route.body, body(route)) {
        (BodyRule::Csv { .. }, table) => {
            let text = text(&table);
            asked.header("Content-Type", "text/csv").body(Body::from(text)).unwrap()
        }
        (BodyRule::Ignored, _) => asked.body(Body::empty()).unwrap(),
        (BodyRule::Empty | BodyRule::Json { .. }, json) => with_json(asked, &json),
    }
}

/// An order that one driver gave back and another has, and the offer by which that one got it.
async fn order_on_its_way(rig: &Rig) -> (String, String) {
    rig.seed().await;
    let operator = rig.operator();
    let kitchen = rig.restaurant(RESTAURANT);
    let order = text(
        &rig.place(&rig.customer(CUSTOMER), "k", &basket())
            .await
            .expect(201)
            .json["id"],
    );
    let act = |verb: &str| format!("/v1/restaurants/{RESTAURANT}/orders/{order}/{verb}");
    rig.post(&act("accept"), &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    for driver in [FORMER_DRIVER, OTHER_DRIVER] {
        let who = json!({"name": "Ravi", "phone": "+91 80 2"});
        rig.put(&format!("/v1/drivers/{driver}"), &operator, who)
            .await
            .expect(200);
        let on = json!({"online": true});
        rig.put("/v1/drivers/me/status", &rig.driver(driver), on)
            .await
            .expect(200);
    }
    let assign = format!("/v1/orders/{order}/assign");
    let give_back = format!("/v1/deliveries/{}/cancel", order.replace("ord_", "del_"));
    rig.post(&assign, &operator, json!({"driver_id": FORMER_DRIVER}))
        .await
        .expect(200);
    rig.post(&give_back, &rig.driver(FORMER_DRIVER), json!({}))
        .await
        .expect(200);
    rig.post(&assign, &operator, json!({"driver_id": DRIVER}))
        .await
        .expect(200);
    let offer = id::<tomato_shared::id::kind::Offer>(70).to_string();
    receivers(rig).await;
    (order, offer)
}

const WEBHOOK: WebhookId = WebhookId::from_bytes([71; 16]);
const MESSAGE: MessageId = MessageId::from_bytes([72; 16]);

/// A device of everybody who may have one, and a webhook of the restaurant that was told something.
async fn receivers(rig: &Rig) {
    for (nth, token) in tokens(rig).iter().take(7).enumerate() {
        let device = json!({"platform": "fcm", "token": format!("token-{nth}")});
        rig.put("/v1/devices/phone", token, device).await.expect(200);
    }
    let webhook = Webhook {
        id: WEBHOOK,
        restaurant_id: Some(RESTAURANT),
        url: "https://kitchen.example/".into(),
        events: Vec::new(),
        description: String::new(),
        active: true,
        off_because: None,
        secrets: Vec::new(),
        made_at: UnixMs(0),
    };
    let message = NewMessage {
        id: MESSAGE,
        lane: Lane::Webhook(WEBHOOK),
        seq: 1,
        ends_at: UnixMs(i64::MAX),
        content: Content::Event {
            event: "order.ready".into(),
            body: "{}".into(),
            trace: None,
        },
    };
    let scope = Scope {
        id: WEBHOOK,
        restaurant_id: None,
    };
    for errand in [
        Errand::AddWebhook(Box::new(webhook), [1, 1]),
        Errand::Ping(scope, Box::new(message)),
    ] {
        rig.writer.errand(By::System, errand, Context::default()).await.unwrap();
    }
}

const FORMER_DRIVER: DriverId = DriverId::from_bytes([88; 16]);

fn tokens(rig: &Rig) -> [String; 10] {
    let mut foreign = rig.claims(Role::Operator, OPERATOR.to_string());
    foreign.regions = Some(vec!["pune".into()]);
    [
        rig.customer(CUSTOMER),
        rig.customer(OTHER_CUSTOMER),
        rig.restaurant(RESTAURANT),
        rig.restaurant(OTHER_RESTAURANT),
        rig.driver(DRIVER),
        rig.driver(OTHER_DRIVER),
        rig.driver(FORMER_DRIVER),
        rig.operator(),
        rig.mint(&foreign),
        String::new(),
    ]
}

fn name(route: &Route) -> String {
    format!("{} {}", route.method.names()[0], route.path)
}

fn kept(wanted: char, reply: &Reply) -> bool {
    match wanted {
        'y' => ![401, 403, 404].contains(&reply.status) && reply.status < 500,
        'f' => (reply.status, reply.code()) == (403, "forbidden"),
        '-' => (reply.status, reply.code()) == (404, "not_found"),
        // Who is of another region may be of the wrong role as well.
        'w' => (reply.status, reply.code()) == (403, "wrong_region"),
        'u' => (reply.status, reply.code()) == (401, "token_missing"),
        'g' => (reply.status, reply.code()) == (409, "offer_gone"),
        other => panic!("{other} is no outcome"),
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_matrix_says_and_nothing_else() {
    let rows: BTreeMap<&str, &str> = TABLE.iter().copied().collect();
    assert_eq!(rows.len(), TABLE.len(), "a route has two rows");
    let routes: Vec<String> = ROUTES.iter().map(name).collect();
    for row in rows.keys() {
        assert!(routes.iter().any(|route| route == row), "{row} is no route any more");
    }
    let mut wrong = Vec::new();
    let rig = Rig::new();
    let (order, offer) = order_on_its_way(&rig).await;
    let tokens = tokens(&rig);
    // Refusals first, on an order that none of them changes; then what is allowed, each on an order of its own.
    for route in ROUTES {
        let row = rows
            .get(name(route).as_str())
            .unwrap_or_else(|| panic!("{} has no row", name(route)));
        assert_eq!(row.len(), WHO.len(), "{row}");
        for (at, wanted) in row.chars().enumerate().filter(|(_, wanted)| *wanted != 'y') {
            let before = rig.rows();
            let reply = rig.send(request(route, &order, &offer, &tokens[at])).await;
            if !kept(wanted, &reply) || rig.rows() != before {
                wrong.push(format!(
                    "{}, {}: {wanted}, not {} {}",
                    name(route),
                    WHO[at],
                    reply.status,
                    reply.json
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn who_may_do_something_is_not_kept_from_it() {
    let mut wrong = Vec::new();
    let (reads, offer) = (Rig::new(), String::new());
    let (order, _) = order_on_its_way(&reads).await;
    for route in ROUTES {
        let row = TABLE
            .iter()
            .find(|(route_name, _)| *route_name == name(route))
            .unwrap()
            .1;
        if route.method.names()[0] != "GET" && row.starts_with("yyyyyyyy") {
            continue;
        }
        for (at, _) in row.chars().enumerate().filter(|(_, wanted)| *wanted == 'y') {
            // What changes nothing can be asked on one order; the rest has one of its own each.
            let reply = if route.method.names()[0] == "GET" {
                reads.send(request(route, &order, &offer, &tokens(&reads)[at])).await
            } else {
                let rig = Rig::new();
                let (order, offer) = order_on_its_way(&rig).await;
                rig.send(request(route, &order, &offer, &tokens(&rig)[at])).await
            };
            if !kept('y', &reply) {
                wrong.push(format!("{}, {}: {} {}", name(route), WHO[at], reply.status, reply.json));
            }
            if row == "yyyyyyyyyy" {
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
