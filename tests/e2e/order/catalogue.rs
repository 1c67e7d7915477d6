//! What can be ordered when, and how it is found.

use http::Method;
use serde_json::{Value, json};
use tomato_shared::cell::DRIVER_RESOLUTION;
use tomato_shared::time::{DurationMs, UnixMs};
use tomato_tests::client::Request;

use super::scene::{Kitchen, Scene, item_id, minutes, moment, text};

/// A minute passes in a second.
const RATE: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn menu_hours_stock_and_search_say_what_can_be_ordered() {
    let scene = Scene::open(RATE, |file| file).await;
    variants_and_options_are_priced_and_have_to_fit(&scene).await;
    items_go_off_and_come_back(&scene).await;
    counted_items_run_out(&scene).await;
    closed_restaurants_say_when_they_open(&scene).await;
    menus_go_out_and_come_back(&scene).await;
    restaurants_are_found(&scene).await;
    restaurants_deliver_where_they_say(&scene).await;
    scene.close().await;
}

async fn variants_and_options_are_priced_and_have_to_fit(scene: &Scene) {
    let choice = |key: &str, price_minor: i64, available: bool| json!({"key": key, "name": key.to_uppercase(), "price_minor": price_minor, "available": available});
    let roll = json!({
        "id": item_id(), "name": "Kathi Roll", "price_minor": 15_000, "available": true,
        "variants": [choice("regular", 15_000, true), choice("large", 22_000, true), choice("giant", 30_000, false)],
        "options": [{"key": "sauces", "name": "Sauces", "min": 1, "max": 2, "choices":
            [choice("mint", 500, true), choice("chilli", 700, true), choice("garlic", 0, true), choice("mango", 0, false)]}],
    });
    let kitchen = scene.kitchen("Roll House", (0.0, 0.0), json!({"menu": [roll]})).await;
    let asha = scene.customer();
    let wanted = |variant: Value, sauces: &[&str]| {
        let options: Vec<_> = sauces
            .iter()
            .map(|key| json!({"group": "sauces", "key": key}))
            .collect();
        let mut item = json!({"item_id": kitchen.items[0], "quantity": 2, "options": options});
        if !variant.is_null() {
            item["variant"] = variant;
        }
        kitchen.order_of(json!([item]))
    };

    let order = asha.place(&wanted(json!("large"), &["chilli", "mint"])).await;
    let line = &order["lines"][0];
    assert_eq!(line["unit_minor"], 22_000 + 500 + 700);
    assert_eq!(order["price"]["items_minor"], 2 * (22_000 + 500 + 700));
    let keys: Vec<_> = line["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| &choice["key"])
        .collect();
    assert_eq!(keys, ["large", "mint", "chilli"], "in the order of the menu");

    for (variant, sauces, no) in [
        (Value::Null, &["mint"][..], "422 options_invalid"),
        (json!("tiny"), &["mint"], "422 options_invalid"),
        (json!("giant"), &["mint"], "422 item_unavailable"),
        (json!("large"), &[], "422 options_invalid"),
        (json!("large"), &["mint", "mint"], "422 options_invalid"),
        (json!("large"), &["mint", "chilli", "garlic"], "422 options_invalid"),
        (json!("large"), &["ketchup"], "422 options_invalid"),
        (json!("large"), &["mango"], "422 item_unavailable"),
    ] {
        asha.refused("/v1/orders", &wanted(variant, sauces), no).await;
    }
    let mut stranger = wanted(json!("large"), &["mint"]);
    stranger["items"][0]["options"][0]["group"] = json!("toppings");
    asha.refused("/v1/orders", &stranger, "422 options_invalid").await;
}

fn item_path(kitchen: &Kitchen, item: usize) -> String {
    format!("{}/items/{}", kitchen.path, kitchen.items[item])
}

async fn items_go_off_and_come_back(scene: &Scene) {
    let kitchen = scene.kitchen("Off And On", (0.0, 500.0), json!({})).await;
    let (asha, idli) = (scene.customer(), item_path(&kitchen, 1));
    let order = kitchen.order_of(json!([{"item_id": kitchen.items[1], "quantity": 1}]));

    let menu = kitchen.put(&idli, json!({"available": false})).await["menu"].take();
    assert_eq!(menu[1]["available"], false);
    let problem = asha.refused("/v1/orders", &order, "422 item_unavailable").await;
    assert_eq!(problem.detail.as_deref(), Some("Idli"));
    kitchen.put(&idli, json!({"available": true})).await;
    asha.place(&order).await;

    let menu = kitchen.put(&idli, json!({"available": true, "off_min": 2})).await["menu"].take();
    let off_until = moment(&menu[1]["off_until"]);
    assert!((off_until - scene.now()).0 <= minutes(2).0);
    assert_eq!(menu[1]["available"], false);
    asha.refused("/v1/orders", &order, "422 item_unavailable").await;
    scene.reaches(off_until).await;
    asha.place(&order).await;
}

async fn counted_items_run_out(scene: &Scene) {
    let kitchen = scene.kitchen("Twenty Dosas", (0.0, 1_000.0), json!({})).await;
    let asha = scene.customer();
    assert_eq!(kitchen.left(0).await, 20);
    asha.place(&kitchen.order(3)).await;
    assert_eq!(kitchen.left(0).await, 17);
    kitchen
        .put(&item_path(&kitchen, 0), json!({"available": true, "left": 2}))
        .await;
    let problem = asha.refused("/v1/orders", &kitchen.order(3), "409 sold_out").await;
    assert_eq!(problem.detail.as_deref(), Some("Masala Dosa: 2 left, 3 wanted"));
    asha.place(&kitchen.order(2)).await;
    assert_eq!(kitchen.left(0).await, 0);
    scene
        .customer()
        .refused("/v1/orders", &kitchen.order(1), "409 sold_out")
        .await;
    // Whoever does not name the restaurant is not sent to one that has nothing.
    let mut anywhere = kitchen.order(1);
    anywhere.as_object_mut().unwrap().remove("restaurant_id");
    asha.refused("/v1/orders", &anywhere, "422 no_restaurant").await;
}

/// What the clock on the wall says in Bengaluru, less what UTC says; there is no summer time.
const INDIA: DurationMs = minutes(5 * 60 + 30);

fn full_minute(at: UnixMs) -> UnixMs {
    UnixMs(at.0 - at.0.rem_euclid(60_000))
}

/// `2026-12-24T18:00` on the wall.
fn on_the_wall(at: UnixMs) -> String {
    (at + INDIA).to_string()[..16].to_owned()
}

/// One span of a week.
pub(super) fn opening(from: UnixMs, to: UnixMs) -> Value {
    let day = (from + INDIA).0.div_euclid(24 * 60 * 60_000);
    // The first of January 1970 was a Thursday.
    let day = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][usize::try_from(day.rem_euclid(7)).unwrap()];
    json!({"day": day, "from": &on_the_wall(from)[11..], "to": &on_the_wall(to)[11..]})
}

async fn closed_restaurants_say_when_they_open(scene: &Scene) {
    let now = full_minute(scene.now());
    let at = |minute: i64| now + minutes(minute);
    let lunch_and_dinner = [opening(at(-180), at(-60)), opening(at(120), at(300))];
    let kitchen = scene
        .kitchen(
            "Lunch And Dinner",
            (0.0, 1_500.0),
            json!({"hours": {"week": lunch_and_dinner}}),
        )
        .await;
    let asha = scene.customer();
    let closed_until = async |opens_at: UnixMs| {
        let view = asha.get(&kitchen.path).await;
        assert_eq!((&view["open"], &view["open_now"]), (&json!(true), &json!(false)));
        assert_eq!(view["opens_at"], opens_at.to_string());
        let found = asha.get("/v1/restaurants?q=lunch%20dinner").await["data"].take();
        assert_eq!(
            (&found[0]["open_now"], &found[0]["opens_at"]),
            (&json!(false), &json!(opens_at))
        );
        let problem = asha
            .refused("/v1/orders", &kitchen.order(1), "422 restaurant_closed")
            .await;
        assert_eq!(problem.detail, Some(format!("Lunch And Dinner opens at {opens_at}")));
    };
    closed_until(at(120)).await;

    let hours = format!("{}/hours", kitchen.path);
    let party = json!({"from": on_the_wall(at(60)), "to": on_the_wall(at(150)), "reason": "wedding"});
    kitchen
        .put(&hours, json!({"week": lunch_and_dinner, "closures": [party]}))
        .await;
    closed_until(at(150)).await;

    let always = [opening(at(-120), at(240))];
    let opened = kitchen.put(&hours, json!({"week": always})).await;
    assert_eq!(
        (&opened["open_now"], &opened["closes_at"]),
        (&json!(true), &json!(at(240)))
    );
    asha.place(&kitchen.order(1)).await;
    let holiday = json!({"from": on_the_wall(at(-10)), "to": on_the_wall(at(90)), "reason": "Deepavali"});
    kitchen
        .put(&hours, json!({"week": always, "closures": [holiday]}))
        .await;
    closed_until(at(90)).await;
}

async fn menus_go_out_and_come_back(scene: &Scene) {
    let kitchen = scene.kitchen("Tables", (0.0, 2_000.0), json!({})).await;
    for (export, media) in [("menu", "application/json"), ("menu.csv", "text/csv")] {
        let path = format!("{}/{export}", kitchen.path);
        let exported = kitchen.send(Request::new(Method::GET, &path)).await;
        assert!(exported.headers["content-type"].to_str().unwrap().starts_with(media));
        let etag = exported.headers["etag"].to_str().unwrap().to_owned();
        let write = |body: bytes::Bytes| {
            let mut request = Request::new(Method::PUT, &path).header("content-type", media);
            request.body = body;
            request.header("if-match", &etag)
        };
        let dearer = String::from_utf8(exported.body.to_vec()).unwrap();
        let dearer = dearer.replace("10000", "12000");
        let written = kitchen.send(write(dearer.clone().into())).await;
        assert_eq!(
            (written.status.as_u16(), &written.json()["menu"][1]["price_minor"]),
            (200, &json!(12_000))
        );
        assert_ne!(written.headers["etag"], etag);
        let late = kitchen.send(write(exported.body.clone())).await;
        assert_eq!(
            (late.status.as_u16(), &late.json()["code"]),
            (412, &json!("version_conflict"))
        );
        let again = kitchen.send(Request::new(Method::GET, &path)).await;
        assert_eq!(again.body, dearer, "what goes out is what came in");
        let undo = Request {
            body: exported.body.clone(),
            ..write(bytes::Bytes::new())
        };
        let undo = Request {
            headers: undo
                .headers
                .into_iter()
                .filter(|(name, _)| name != "if-match")
                .collect(),
            ..undo
        };
        assert_eq!(kitchen.send(undo).await.status, 200);
    }
    assert_eq!(
        kitchen.left(0).await,
        20,
        "a menu that is written again counts nothing twice"
    );
}

async fn restaurants_are_found(scene: &Scene) {
    let mut ids = Vec::new();
    for (number, east_m) in [400.0, 1_200.0, 800.0, 2_000.0, 1_600.0].into_iter().enumerate() {
        let open = number != 2;
        let item = json!({"id": item_id(), "name": format!("Gulab Jamun {number}"),
            "price_minor": 5_000, "available": true});
        let name = format!("Sweet Corner {number}");
        let kitchen = scene
            .kitchen(&name, (east_m, -500.0), json!({"menu": [item], "open": open}))
            .await;
        ids.push(kitchen.id.clone());
    }
    let (asha, centre) = (
        scene.customer(),
        scene.stack.nodes[0].ground.centre.offset_m(0.0, -500.0),
    );
    let here = format!("/v1/restaurants?lat={}&lng={}", centre.lat(), centre.lng());
    let found = async |more: &str| {
        let page = asha.get(&format!("{here}&{more}")).await;
        let rows = page["data"].as_array().unwrap().clone();
        (rows, page["next_cursor"].as_str().map(str::to_owned))
    };
    let ids_of = |rows: &[Value]| rows.iter().map(|row| text(&row["id"])).collect::<Vec<_>>();
    let nearest_first = [0, 2, 1, 4, 3].map(|number: usize| ids[number].clone());

    let (rows, _) = found("q=sweet%20corner").await;
    assert_eq!(ids_of(&rows), nearest_first);
    let distances: Vec<_> = rows.iter().map(|row| row["distance_m"].as_f64().unwrap()).collect();
    assert_eq!(distances, [400.0, 800.0, 1_200.0, 1_600.0, 2_000.0]);
    let (rows, _) = found("q=gulab%203").await;
    assert_eq!(
        (ids_of(&rows), &rows[0]["matches"]),
        (vec![ids[3].clone()], &json!(["Gulab Jamun 3"]))
    );
    let (rows, _) = found("q=jamun&open=true").await;
    assert_eq!(ids_of(&rows), [0, 1, 4, 3].map(|number: usize| ids[number].clone()));
    assert_eq!(found("q=no%20such%20thing").await.0, Vec::<Value>::new());

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    for most in [2, 2, 1] {
        let (rows, next) = found(&format!("q=sweet&limit=2{cursor}")).await;
        assert_eq!(rows.len(), most);
        paged.extend(ids_of(&rows));
        cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((paged, cursor), (nearest_first.to_vec(), String::new()));
}

async fn restaurants_deliver_where_they_say(scene: &Scene) {
    let centre = scene.stack.nodes[0].ground.centre.offset_m(-3_000.0, 0.0);
    let (near, far) = (
        centre.offset_m(0.0, super::scene::DOOR_M),
        centre.offset_m(0.0, -super::scene::DOOR_M),
    );
    let street = json!({"delivery_cells": [near.cell(DRIVER_RESOLUTION).to_string()]});
    let kitchen = scene.kitchen("One Street", (-3_000.0, 0.0), street).await;
    let asha = scene.customer();
    let mut order = kitchen.order(1);
    assert_eq!(order["deliver_to"]["place"], json!(near));
    asha.place(&order).await;
    order["deliver_to"]["place"] = json!(far);
    asha.refused("/v1/orders", &order, "422 too_far_from_restaurant").await;
    for (place, found) in [(near, 1), (far, 0)] {
        let near_by = format!("/v1/restaurants?lat={}&lng={}&q=one%20street", place.lat(), place.lng());
        assert_eq!(asha.get(&near_by).await["data"].as_array().unwrap().len(), found);
    }
}
