//! A region that plans who drives where.

use serde_json::{Value, json};
use tomato_tests::wait::wait_until;

use super::scene::{Driver, Kitchen, PATIENCE, Scene, text};

/// A plan every five seconds comes ten times a second.
const RATE: f64 = 50.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_drivers_fetch_together_and_come_before_it_is_ready() {
    let scene = Scene::open(RATE, |file| {
        file.set("dispatch.policy", "matching")
            .set("dispatch.offer_ttl_ms", 600_000)
            .set("dispatch.position_age_max_ms", 3_600_000)
    })
    .await;
    two_of_one_kitchen_are_one_trip(&scene).await;
    driver_is_asked_before_it_is_ready(&scene).await;
    two_kitchens_side_by_side_are_one_trip(&scene).await;
    scene.close().await;
}

/// A driver's own state, once it is as `wanted`.
async fn home(driver: &Driver, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let look = async || Some(driver.get("/v1/drivers/me").await).filter(|home| wanted(home));
    wait_until(what, PATIENCE, look).await
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

async fn two_of_one_kitchen_are_one_trip(scene: &Scene) {
    let kitchen = scene.kitchen("Together", (0.0, 0.0), json!({})).await;
    let (asha, bina) = (scene.customer(), scene.customer());
    let mut orders = Vec::new();
    for customer in [&asha, &bina] {
        orders.push(scene.cooked(customer, &kitchen, &kitchen.order(1)).await);
    }
    let planned = |board: &Value| {
        board["waiting"]
            .as_array()
            .is_some_and(|rows| rows.iter().all(|row| row["plan"]["why"].is_string()))
    };
    let board = async || {
        Some(scene.operator.get("/v1/dispatch").await).filter(|board| count(&board["waiting"]) == 2 && planned(board))
    };
    let board = wait_until("a plan without drivers", PATIENCE, board).await;
    assert_eq!(board["round"]["ways"], "straight_line");
    assert!(board["waiting"][0]["plan"]["driver_id"].is_null(), "{board}");

    let ravi = scene.driver(&kitchen, 300.0).await;
    let me = home(&ravi, "both orders in one offer", |me| count(&me["offers"]) == 2).await;
    let offer = |nth: usize| &me["offers"][nth]["delivery"]["offer"]["id"];
    assert_eq!(offer(0), offer(1));
    ravi.post(&format!("/v1/offers/{}/accept", text(offer(0))), json!({}))
        .await;
    let me = home(&ravi, "both deliveries", |me| count(&me["deliveries"]) == 2).await;
    let kinds: Vec<&Value> = me["stops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stop| &stop["kind"])
        .collect();
    assert_eq!(kinds, ["pickup", "dropoff", "dropoff"]);
    assert_eq!(count(&me["stops"][0]["order_ids"]), 2);
    // Rounds go on; the board still says why.
    let board = scene.operator.get("/v1/dispatch").await;
    for order in &orders {
        let rows = board["assigned"].as_array().unwrap();
        let row = rows.iter().find(|row| row["order_id"] == order["id"]).unwrap();
        assert_eq!(row["driver_id"], ravi.id.as_str());
        assert!(
            text(&row["why"]).contains("2 orders of one restaurant together"),
            "{row}"
        );
    }
    for order in &orders {
        ravi.delivery(order, "pickup", json!({})).await;
    }
    for (customer, order) in [(&asha, &orders[0]), (&bina, &orders[1])] {
        let with_pin = customer.get(&super::scene::path(order)).await;
        assert_eq!(ravi.hands_over(&with_pin).await["state"], "DELIVERED");
    }
    let me = ravi.get("/v1/drivers/me").await;
    assert_eq!((count(&me["deliveries"]), count(&me["stops"])), (0, 0));
    ravi.goes_home().await;
}

async fn driver_is_asked_before_it_is_ready(scene: &Scene) {
    let kitchen: Kitchen = scene.kitchen("Ahead", (500.0, 500.0), json!({})).await;
    let ravi = scene.driver(&kitchen, 1_500.0).await;
    let order = scene.accepted(&scene.customer(), &kitchen, &kitchen.order(1)).await;
    let me = home(&ravi, "an offer", |me| count(&me["offers"]) == 1).await;
    assert_eq!(
        (&me["offers"][0]["id"], &me["offers"][0]["state"]),
        (&order["id"], &json!("PREPARING"))
    );
    let offer = text(&me["offers"][0]["delivery"]["offer"]["id"]);
    let taken = ravi.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
    assert_eq!(taken["delivery"]["state"], "ASSIGNED");
    ravi.delivery(&order, "arrive", json!({})).await;
    kitchen.does(&order, "ready", json!({})).await;
    let taken = ravi.delivery(&order, "pickup", json!({})).await;
    assert_eq!(taken["state"], "OUT_FOR_DELIVERY");
}

async fn two_kitchens_side_by_side_are_one_trip(scene: &Scene) {
    let mut orders = Vec::new();
    let mut first = None;
    for (name, north_m) in [("Left", 0.0), ("Right", 150.0)] {
        let kitchen = scene.kitchen(name, (-4_000.0, north_m), json!({})).await;
        let customer = scene.customer();
        let order = scene.cooked(&customer, &kitchen, &kitchen.order(1)).await;
        orders.push((customer, order));
        first.get_or_insert(kitchen);
    }
    let ravi = scene.driver(&first.unwrap(), 300.0).await;
    let me = home(&ravi, "both in one offer", |me| count(&me["offers"]) == 2).await;
    let offer = text(&me["offers"][0]["delivery"]["offer"]["id"]);
    ravi.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
    for left in (1..=4).rev() {
        let me = ravi.get("/v1/drivers/me").await;
        assert_eq!(count(&me["stops"]), left, "{me}");
        let stop = &me["stops"][0];
        assert_eq!(stop["kind"], if left > 2 { "pickup" } else { "dropoff" });
        let (customer, order) = orders
            .iter()
            .find(|(_, order)| order["id"] == stop["order_ids"][0])
            .unwrap();
        if left > 2 {
            ravi.delivery(order, "pickup", json!({})).await;
        } else {
            let with_pin = customer.get(&super::scene::path(order)).await;
            assert_eq!(ravi.hands_over(&with_pin).await["state"], "DELIVERED");
        }
    }
}
