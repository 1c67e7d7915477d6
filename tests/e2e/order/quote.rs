//! What an order costs, to the last coin.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tomato_shared::cell::EVENT_RESOLUTION;
use tomato_shared::time::UnixMs;
use tomato_tests::settings::RegionFile;
use toml::Table;

use super::scene::{Kitchen, Scene, minor, moment, path};

/// A minute passes in a second.
const RATE: f64 = 60.0;
/// Dearer than elsewhere by so much.
const ZONE_MINOR: i64 = 700;
const USES_MAX: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quote_is_what_the_order_costs_and_promotions_end() {
    let scene = Scene::open(RATE, dear_quarter).await;
    every_part_of_a_price_is_as_announced(&scene).await;
    quote_holds_against_a_dearer_menu_and_belongs_to_its_customer(&scene).await;
    quote_expires(&scene).await;
    promotion_is_used_as_often_as_it_can_be_and_not_once_more(&scene).await;
    scene.close().await;
}

/// Where the dear quarter is, seen from the centre.
const QUARTER_M: (f64, f64) = (0.0, 3_000.0);

fn dear_quarter(file: RegionFile) -> RegionFile {
    let door = file.ground().centre.offset_m(QUARTER_M.0, QUARTER_M.1 + 1_500.0);
    let mut zone = Table::new();
    zone.insert("name".into(), "Hills".into());
    zone.insert("cells".into(), vec![door.cell(EVENT_RESOLUTION).to_string()].into());
    zone.insert("extra_minor".into(), ZONE_MINOR.into());
    file.set("fees.zones", vec![toml::Value::Table(zone)])
        .set("orders.quote_ttl_ms", 240_000)
}

fn promotion(saving: Value, uses_max: usize) -> Value {
    json!({
        "saving": saving, "borne_by": "platform", "active": true, "starts_at": UnixMs(0),
        "ends_at": UnixMs(4_102_444_800_000), "uses_max": uses_max, "uses_per_customer_max": 1,
    })
}

/// The same order, to a door so far north of the restaurant.
fn to_door(kitchen: &Kitchen, mut order: Value, north_m: f64) -> Value {
    order["deliver_to"]["place"] = json!(kitchen.place.offset_m(0.0, north_m));
    order
}

/// An order as it is asked about: without the payment.
fn question(order: &Value) -> Value {
    let mut question = order.clone();
    question.as_object_mut().unwrap().remove("payment");
    question
}

/// An order by a quote.
fn by_quote(order: &Value, quote: &Value) -> Value {
    json!({"quote": quote["quote"], "deliver_to": order["deliver_to"], "payment": order["payment"]})
}

async fn every_part_of_a_price_is_as_announced(scene: &Scene) {
    let kitchen = scene.kitchen("Hill View", QUARTER_M, json!({})).await;
    let (asha, tenth) = (
        scene.customer(),
        json!({"kind": "percent", "share_bp": 1_000, "max_minor": 4_500}),
    );
    scene.operator.put("/v1/promotions/TENTH", promotion(tenth, 100)).await;
    let mut order = to_door(
        &kitchen,
        kitchen.order_of(json!([
            {"item_id": kitchen.items[0], "quantity": 2}, {"item_id": kitchen.items[1], "quantity": 1},
        ])),
        1_500.0,
    );
    order["promo_code"] = json!("TENTH");
    order["tip_minor"] = json!(3_000);

    let quote = asha.post("/v1/quotes", question(&order)).await;
    let (items, delivery) = (2 * 20_000 + 10_000, 2_000 + 2 * 500 + ZONE_MINOR);
    let (service, discount) = (items * 2 / 100, 4_500);
    let taxed = items + delivery + service - discount;
    let price = json!({
        "items_minor": items, "delivery_fee_minor": delivery, "service_fee_minor": service,
        "discount_minor": discount, "tax_minor": taxed * 5 / 100, "tip_minor": 3_000,
        "total_minor": taxed + taxed * 5 / 100 + 3_000, "currency": "INR",
    });
    assert_eq!(quote["price"], price);
    assert_eq!(kitchen.left(0).await, 20, "a question holds nothing");

    let placed = asha.place(&by_quote(&order, &quote)).await;
    assert_eq!((&placed["price"], &placed["lines"]), (&price, &quote["lines"]));
    assert_eq!(placed["promo_code"], "TENTH");
    let confirmed = scene.state(&placed, "CONFIRMED").await;
    kitchen.does(&confirmed, "accept", json!({"ready_in_min": 10})).await;
    scene.payment(&placed, "CAPTURED").await;
    let receipt = asha.get(&format!("{}/receipt", path(&placed))).await;
    assert_eq!(
        (&receipt["price"], &receipt["paid_minor"]),
        (&price, &price["total_minor"])
    );

    // Next door, where nothing is dear, and only by as much as the way is shorter.
    let near = asha
        .post(
            "/v1/quotes",
            json!({
                "restaurant_id": kitchen.id, "items": [{"item_id": kitchen.items[1], "quantity": 1}],
                "deliver_to": {"place": kitchen.place.offset_m(0.0, -700.0), "line": "1 Low Road"},
            }),
        )
        .await;
    assert_eq!(near["price"]["delivery_fee_minor"], 2_500);
    order["promo_code"] = json!("NOSUCH");
    asha.refused("/v1/quotes", &question(&order), "422 promo_invalid").await;
    let far = to_door(&kitchen, kitchen.order(1), 3_500.0);
    asha.refused("/v1/quotes", &question(&far), "422 too_far_from_restaurant")
        .await;
}

async fn quote_holds_against_a_dearer_menu_and_belongs_to_its_customer(scene: &Scene) {
    let kitchen = scene.kitchen("Price Rise", (2_000.0, 0.0), json!({})).await;
    let (asha, order) = (scene.customer(), kitchen.order(1));
    let quote = asha.post("/v1/quotes", question(&order)).await;

    let mut menu = kitchen.get(&format!("{}/menu", kitchen.path)).await;
    menu["menu"][0]["price_minor"] = json!(99_000);
    kitchen.put(&format!("{}/menu", kitchen.path), menu).await;
    let dearer = asha.post("/v1/quotes", question(&order)).await;
    assert!(minor(&dearer["price"]["total_minor"]) > 99_000);

    scene
        .customer()
        .refused("/v1/orders", &by_quote(&order, &quote), "422 quote_invalid")
        .await;
    let elsewhere = to_door(&kitchen, order.clone(), 100.0);
    asha.refused("/v1/orders", &by_quote(&elsewhere, &quote), "422 quote_invalid")
        .await;
    let mut forged = quote.clone();
    forged["quote"] = json!(format!("{}A", quote["quote"].as_str().unwrap()));
    asha.refused("/v1/orders", &by_quote(&order, &forged), "422 quote_invalid")
        .await;
    let placed = asha.place(&by_quote(&order, &quote)).await;
    assert_eq!(placed["price"], quote["price"]);
}

async fn quote_expires(scene: &Scene) {
    let kitchen = scene.kitchen("Slow Thinker", (2_000.0, 1_000.0), json!({})).await;
    let (asha, order) = (scene.customer(), kitchen.order(1));
    let quote = asha.post("/v1/quotes", question(&order)).await;
    scene.reaches(moment(&quote["expires_at"])).await;
    asha.refused("/v1/orders", &by_quote(&order, &quote), "409 quote_expired")
        .await;
}

async fn promotion_is_used_as_often_as_it_can_be_and_not_once_more(scene: &Scene) {
    let menu = json!([{"id": super::scene::item_id(), "name": "Thali", "price_minor": 30_000, "available": true}]);
    let kitchen = scene.kitchen("Fair", (-2_000.0, 0.0), json!({"menu": menu})).await;
    let free = json!({"kind": "free_delivery"});
    scene
        .operator
        .put("/v1/promotions/FIRST7", promotion(free, USES_MAX))
        .await;
    let mut order = kitchen.order(1);
    order["promo_code"] = json!("FIRST7");
    let tries = (0..50).map(|_| {
        let (customer, order) = (scene.customer(), order.clone());
        tokio::spawn(async move {
            let answer = customer
                .api
                .command::<Value>(http::Method::POST, "/v1/orders", &order)
                .await;
            (customer, answer)
        })
    });
    let mut placed = Vec::new();
    for outcome in join_all(tries).await {
        match outcome.unwrap() {
            (customer, Ok(order)) => placed.push((customer, order)),
            (_, Err(error)) => assert_eq!((error.status(), error.code()), (Some(409), "promo_used_up")),
        }
    }
    assert_eq!(placed.len(), USES_MAX);
    for (_, order) in &placed {
        assert_eq!(order["price"]["discount_minor"], order["price"]["delivery_fee_minor"]);
    }
    // Whoever gives the order up gives the use back, for one other.
    let (customer, given_up) = &placed[0];
    customer.post(&format!("{}/cancel", path(given_up)), json!({})).await;
    scene.customer().place(&order).await;
    scene
        .customer()
        .refused("/v1/orders", &order, "409 promo_used_up")
        .await;
}
