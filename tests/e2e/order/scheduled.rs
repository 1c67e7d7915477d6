//! Ordered now, cooked later.

use serde_json::json;

use super::scene::{Scene, minutes, moment, seconds};

/// A minute passes in a second.
const RATE: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_order_is_released_in_time_and_delivered() {
    let scene = Scene::open(RATE, |file| file).await;
    tokio::join!(
        supper_for_later(&scene),
        nobody_cooks_at_night(&scene),
        who_pauses_at_the_time_is_passed_over(&scene),
    );
    scene.close().await;
}

async fn supper_for_later(scene: &Scene) {
    let kitchen = scene.kitchen("Later", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let (of_kitchen, of_asha) = (kitchen.listens().await, asha.listens().await);
    let mut order = kitchen.order(2);
    let deliver_at = scene.now() + minutes(31);
    order["deliver_at"] = json!(deliver_at);
    let placed = asha.place(&order).await;
    assert_eq!(kitchen.left(0).await, 18, "what is promised for later is promised");

    // Paid for, the restaurant knows of it, and is not asked yet.
    let waiting = scene
        .until(&placed, "a time of release", |order| order["release_at"].is_string())
        .await;
    let release_at = moment(&waiting["release_at"]);
    assert_eq!(
        (&waiting["state"], moment(&waiting["deliver_at"])),
        (&json!("CONFIRMED"), deliver_at)
    );
    assert!(scene.now() < release_at && release_at < deliver_at, "{waiting}");
    // Ten minutes to cook, four at two doors, 800 m at 300 m a minute, five to answer, five to spare.
    let lead = minutes(10 + 4 + 5 + 5).0 + seconds(160).0;
    let off = (deliver_at - release_at).0 - lead;
    assert!(off.abs() <= 1_000, "{off} ms off");
    let accept = kitchen.order_path(&placed, "accept");
    kitchen
        .refused(&accept, &json!({"ready_in_min": 10}), "409 wrong_state")
        .await;
    of_asha.hears("ORDER_SCHEDULED", &placed).await;
    assert_eq!(
        of_kitchen.hears("ORDER_SCHEDULED", &placed).await.at,
        Some(waiting_since(&waiting))
    );

    let asked = of_kitchen.hears("NEW_ORDER", &placed).await;
    let asked_at = asked.at.unwrap();
    assert!(asked_at >= release_at, "{asked_at} is before {release_at}");
    assert!(
        asked_at < release_at + minutes(2),
        "{asked_at} is long after {release_at}"
    );
    assert_eq!(of_kitchen.names(&placed), ["ORDER_SCHEDULED", "NEW_ORDER"]);
    assert_eq!(asked.rest["urgent"], true);

    kitchen.does(&placed, "accept", json!({"ready_in_min": 10})).await;
    kitchen.does(&placed, "ready", json!({})).await;
    let driver = scene.driver(&kitchen, 100.0).await;
    let offer = driver.offer(&placed).await;
    driver.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
    driver.delivery(&placed, "pickup", json!({})).await;
    assert_eq!(driver.hands_over(&placed).await["state"], "DELIVERED");
    of_asha.hears("ORDER_DELIVERED", &placed).await;
    assert_eq!(scene.count(&placed, "restaurant.assigned").await, 1);
}

fn waiting_since(order: &serde_json::Value) -> tomato_shared::time::UnixMs {
    moment(&order["confirmed_at"])
}

async fn nobody_cooks_at_night(scene: &Scene) {
    let from = scene.now() + minutes(-60);
    let hours = json!({"week": [super::catalogue::opening(from, from + minutes(240))]});
    let kitchen = scene
        .kitchen("Day Shift", (2_000.0, 0.0), json!({"hours": hours}))
        .await;
    let asha = scene.customer();
    let at = |minute: i64| {
        let mut order = kitchen.order(1);
        order["deliver_at"] = json!(scene.now() + minutes(minute));
        order
    };
    asha.refused("/v1/orders", &at(300), "422 restaurant_closed").await;
    asha.refused("/v1/orders", &at(2), "422 schedule_invalid").await;
    asha.refused("/v1/orders", &at(4 * 24 * 60), "422 schedule_invalid")
        .await;
    // Closed by its own switch now says nothing about an hour from now; closed by the operator does.
    kitchen
        .put(&format!("{}/status", kitchen.path), json!({"open": false}))
        .await;
    asha.refused("/v1/orders", &kitchen.order(1), "422 restaurant_closed")
        .await;
    let placed = asha.place(&at(90)).await;
    assert_eq!(placed["state"], "PENDING");
    let suspension = format!("{}/suspension", kitchen.path);
    scene.operator.put(&suspension, json!({"suspended": true})).await;
    asha.refused("/v1/orders", &at(90), "422 restaurant_closed").await;
    assert_eq!(kitchen.left(0).await, 19, "who was refused holds nothing");
}

async fn who_pauses_at_the_time_is_passed_over(scene: &Scene) {
    let kitchen = scene.kitchen("Not Tonight", (-2_000.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let of_kitchen = kitchen.listens().await;
    let mut order = kitchen.order(1);
    order["deliver_at"] = json!(scene.now() + minutes(31));
    let placed = asha.place(&order).await;
    scene
        .until(&placed, "a time of release", |order| order["release_at"].is_string())
        .await;
    let status = format!("{}/status", kitchen.path);
    kitchen.put(&status, json!({"pause_min": 600})).await;
    // Nobody else has it: the money and the stock go back.
    let ended = scene.payment(&placed, "VOIDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("no_restaurant"))
    );
    assert_eq!(of_kitchen.names(&placed).first().unwrap(), "ORDER_SCHEDULED");
    assert!(!of_kitchen.names(&placed).contains(&"NEW_ORDER".to_owned()));
    assert_eq!(kitchen.left(0).await, 20);
}
