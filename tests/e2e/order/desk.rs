//! What operators do by hand, and the log of it.

use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::Request;

use super::scene::{Scene, minor, path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_step_in_and_the_log_knows() {
    let scene = Scene::open(1.0, |file| file).await;
    let assigned = deliveries_change_hands(&scene).await;
    let refunded = money_goes_back_as_far_as_it_was_taken(&scene).await;
    let cancelled = order_is_cancelled(&scene).await;
    board_shows_who_waits(&scene).await;
    region_pauses(&scene).await;
    log_has_every_act(&scene, [&assigned, &refunded, &cancelled]).await;
    scene.close().await;
}

async fn deliveries_change_hands(scene: &Scene) -> Value {
    let kitchen = scene.kitchen("Hands", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let (first, second) = (
        scene.driver(&kitchen, 3_200.0).await,
        scene.driver(&kitchen, 3_400.0).await,
    );
    let at_home = scene.driver_at_home("Meera").await;
    let (of_first, of_asha) = (first.listens().await, asha.listens().await);
    let order = scene.accepted(&asha, &kitchen, &kitchen.order(1)).await;
    let assign = format!("{}/assign", path(&order));
    scene
        .operator
        .refused(&assign, &json!({"driver_id": at_home.id}), "409 driver_offline")
        .await;
    first
        .refused(&assign, &json!({"driver_id": first.id}), "403 forbidden")
        .await;

    // Before the food is ready, to one, to another, to nobody, and back.
    let with = async |driver_id: &str| {
        let answer = scene.operator.post(&assign, json!({"driver_id": driver_id})).await;
        assert_eq!(
            (&answer["delivery"]["driver"]["id"], &answer["delivery"]["state"]),
            (&json!(driver_id), &json!("ASSIGNED"))
        );
    };
    with(&first.id).await;
    of_first.hears("DRIVER_ASSIGNED", &order).await;
    with(&second.id).await;
    of_first.hears("DRIVER_UNASSIGNED", &order).await;
    assert_eq!(first.get("/v1/drivers/me").await["deliveries"], json!([]));
    let freed = scene
        .operator
        .post(&format!("{}/unassign", path(&order)), json!({}))
        .await;
    assert_eq!(freed["delivery"]["state"], "SEARCHING");
    with(&first.id).await;
    kitchen.does(&order, "ready", json!({})).await;
    first.delivery(&order, "pickup", json!({})).await;
    scene
        .operator
        .refused(&assign, &json!({"driver_id": second.id}), "409 wrong_state")
        .await;
    let order = asha.get(&path(&order)).await;
    // Followed again after it had changed hands.
    let place = kitchen.place.offset_m(3_100.0, 0.0);
    first.is_at(place, scene.now()).await;
    assert_eq!(
        of_asha.hears("DRIVER_LOCATION", &order).await.rest["place"],
        json!(place)
    );
    first.hands_over(&order).await;
    assert_eq!(scene.count(&order, "driver.assigned").await, 3);
    assert_eq!(scene.count(&order, "driver.unassigned").await, 2);
    first.goes_home().await;
    second.goes_home().await;
    order
}

async fn money_goes_back_as_far_as_it_was_taken(scene: &Scene) -> Value {
    let kitchen = scene.kitchen("Money Back", (2_000.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let ravi = scene.driver(&kitchen, 3_200.0).await;
    let order = scene.on_the_way(&asha, &kitchen, &ravi, &kitchen.order(2)).await;
    let refunds = format!("{}/refunds", path(&order));
    let because = |mut what: Value| {
        what["reason"] = json!("missing");
        what["borne_by"] = json!("restaurant");
        what
    };
    scene
        .operator
        .refused(&refunds, &because(json!({})), "409 wrong_state")
        .await;
    ravi.hands_over(&order).await;
    scene.payment(&order, "CAPTURED").await;
    let total = minor(&order["price"]["total_minor"]);
    for too_large in [
        json!({"amount_minor": total + 1}),
        json!({"lines": [{"line": 0, "quantity": 3}]}),
        json!({"lines": [{"line": 1, "quantity": 1}]}),
    ] {
        scene
            .operator
            .refused(&refunds, &because(too_large), "422 refund_too_large")
            .await;
    }
    asha.refused(&refunds, &because(json!({"amount_minor": 1})), "403 forbidden")
        .await;

    // Some, one of the two dosas with its tax, all that is left, and not a coin more.
    scene
        .operator
        .post(&refunds, because(json!({"amount_minor": 1_000})))
        .await;
    scene
        .operator
        .post(&refunds, because(json!({"lines": [{"line": 0, "quantity": 1}]})))
        .await;
    scene.operator.post(&refunds, because(json!({}))).await;
    scene
        .operator
        .refused(&refunds, &because(json!({"amount_minor": 1})), "422 refund_too_large")
        .await;
    scene
        .operator
        .refused(&refunds, &because(json!({})), "422 refund_too_large")
        .await;
    let all_done = |order: &Value| {
        let refunds = order["payment"]["refunds"].as_array().cloned().unwrap_or_default();
        refunds.len() == 3 && refunds.iter().all(|refund| refund["state"] == "DONE")
    };
    let done = scene.until(&order, "three refunds", all_done).await;
    let amounts: Vec<_> = done["payment"]["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refund| minor(&refund["amount_minor"]))
        .collect();
    assert_eq!(amounts, [1_000, 21_000, total - 22_000]);
    let receipt = asha.get(&format!("{}/receipt", path(&order))).await;
    assert_eq!(
        (&receipt["paid_minor"], &receipt["refunded_minor"]),
        (&json!(total), &json!(total))
    );
    assert_eq!(
        (&receipt["net_minor"], &done["state"]),
        (&json!(0), &json!("DELIVERED"))
    );
    order
}

async fn order_is_cancelled(scene: &Scene) -> Value {
    let kitchen = scene.kitchen("Power Cut", (-2_000.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let order = scene.accepted(&asha, &kitchen, &kitchen.order(1)).await;
    scene.payment(&order, "CAPTURED").await;
    scene
        .operator
        .post(&format!("{}/cancel", path(&order)), json!({}))
        .await;
    let ended = scene.payment(&order, "REFUNDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("operator"))
    );
    assert_eq!(
        ended["payment"]["refunds"][0]["amount_minor"],
        order["price"]["total_minor"]
    );
    order
}

async fn board_shows_who_waits(scene: &Scene) {
    let kitchen = scene.kitchen("Waiting Room", (0.0, 3_000.0), json!({})).await;
    let asha = scene.customer();
    let order = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    let own = async || {
        let board = scene.operator.get("/v1/dispatch").await;
        let waiting = board["waiting"].as_array().unwrap().clone();
        waiting.into_iter().find(|row| row["order"]["id"] == order["id"])
    };
    let row = own().await.expect("it waits");
    assert_eq!(
        (&row["nearest"], row["waiting_ms"].as_i64().unwrap() >= 0),
        (&json!([]), true)
    );
    let ravi = scene.driver(&kitchen, 200.0).await;
    let board = scene.operator.get("/v1/dispatch").await;
    let drivers = board["drivers"].as_array().unwrap();
    let seen = drivers
        .iter()
        .find(|row| row["driver"]["id"] == ravi.id.as_str())
        .unwrap();
    assert_eq!(seen["position"]["place"], json!(kitchen.place.offset_m(200.0, 0.0)));
    let offer = ravi.offer(&order).await;
    ravi.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
    assert!(own().await.is_none());
    scene
        .operator
        .post(&format!("{}/cancel", path(&order)), json!({}))
        .await;
    ravi.goes_home().await;
}

async fn region_pauses(scene: &Scene) {
    let kitchen = scene.kitchen("Storm", (0.0, -3_000.0), json!({})).await;
    let asha = scene.customer();
    let under_way = asha.place(&kitchen.order(1)).await;
    scene
        .operator
        .put("/v1/region", json!({"paused": true, "reason": "cyclone"}))
        .await;
    let region = asha.get("/v1/region").await;
    assert_eq!(
        (&region["paused"], &region["reason"]),
        (&json!(true), &json!("cyclone"))
    );
    let order = Request::new(Method::POST, "/v1/orders")
        .json(&kitchen.order(1))
        .header("idempotency-key", "storm");
    let mut question = kitchen.order(1);
    question.as_object_mut().unwrap().remove("payment");
    for request in [order.clone(), Request::new(Method::POST, "/v1/quotes").json(&question)] {
        let answer = asha.send(request).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &problem["code"]),
            (503, &json!("region_paused"))
        );
        assert_eq!(problem["detail"], "cyclone");
        let retry_after: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(retry_after > 0);
    }
    // What is under way goes on, and the same key tries again afterwards.
    scene.state(&under_way, "CONFIRMED").await;
    kitchen.does(&under_way, "accept", json!({"ready_in_min": 10})).await;
    scene.operator.put("/v1/region", json!({"paused": false})).await;
    assert_eq!(asha.send(order).await.status, 201);
}

async fn log_has_every_act(scene: &Scene, [assigned, refunded, cancelled]: [&Value; 3]) {
    let mut acts: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = scene.operator.get(&format!("/v1/audit?limit=20{cursor}")).await;
        acts.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(acts.iter().all(|act| act["operator_id"] == scene.operator.id.as_str()));
    let about = |order: &Value| {
        let own = acts.iter().rev().filter(|act| act["subject"] == order["id"]);
        own.map(|act| act["action"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        about(assigned),
        ["order.assign", "order.assign", "order.unassign", "order.assign"]
    );
    assert_eq!(
        about(refunded),
        ["order.assign", "order.refund", "order.refund", "order.refund"]
    );
    assert_eq!(about(cancelled), ["order.cancel"]);
    let region: Vec<_> = acts
        .iter()
        .rev()
        .filter(|act| act["subject"] == "")
        .map(|act| act["action"].as_str().unwrap())
        .collect();
    assert_eq!(region, ["region.pause", "region.resume"]);
    let refund = acts.iter().find(|act| act["detail"]["amount_minor"] == 1_000).unwrap();
    assert_eq!(
        (&refund["detail"]["reason"], &refund["detail"]["borne_by"]),
        (&json!("missing"), &json!("restaurant"))
    );
    let all = json!(acts).to_string();
    for personal in ["Ravi", "Meera", "+9198", "Church Street", "ring twice"] {
        assert!(!all.contains(personal), "{personal} stands in the audit log");
    }
    let asha = scene.customer();
    let denied = asha.send(Request::new(Method::GET, "/v1/audit")).await;
    assert_eq!(denied.status, 403);
}
