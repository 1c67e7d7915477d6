//! A driver's day.

use http::Method;
use serde_json::{Value, json};
use tomato_shared::time::DurationMs;
use tomato_tests::client::Request;
use tomato_tests::wait::wait_until;

use super::scene::{Driver, Kitchen, PATIENCE, Person, Scene, delivery_path, minor, moment, path, seconds};

/// Two minutes pass in ten seconds: what a story does in time, it does in time on a slow machine, too.
const RATE: f64 = 12.0;
const TWO_MIN_MS: i64 = 120_000;
const ABSENT_BP: i64 = 2_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn driver_works_is_asked_delivers_and_is_paid() {
    // Positions stay fresh for the length of a story.
    let rules = |file: tomato_tests::settings::RegionFile| {
        file.set("dispatch.position_age_max_ms", 3_600_000)
            .set("dispatch.offer_ttl_ms", TWO_MIN_MS)
            .set("cancelling.absent_bp", ABSENT_BP)
    };
    let scene = Scene::open(RATE, rules).await;
    tokio::join!(
        shift_ends_when_it_was_to_end(&scene),
        jump_of_a_receiver_is_no_way(&scene),
        no_and_silence_go_to_the_next(&scene),
        given_back_three_times_is_the_end(&scene),
    );
    tokio::join!(
        pin_is_not_guessed(&scene),
        nobody_at_the_door(&scene),
        earnings_and_cash_add_up(&scene),
        delivery_under_way_is_finished_after_the_shift(&scene),
    );
    scene.close().await;
}

async fn shift_ends_when_it_was_to_end(scene: &Scene) {
    let ravi = scene.driver_at_home("Ravi").await;
    let until = scene.now() + DurationMs(TWO_MIN_MS);
    let status = json!({"online": true, "vehicle": "bicycle", "until": until});
    let on = ravi.put("/v1/drivers/me/status", status).await;
    assert_eq!((&on["online"], &on["vehicle"]), (&json!(true), &json!("bicycle")));
    assert_eq!(moment(&on["shift"]["ends_at"]), until);
    let current = ravi.get("/v1/drivers/me/shifts").await;
    assert_eq!((&current["current"], &current["past"]), (&on["shift"], &json!([])));

    let off = async || {
        let me = ravi.get("/v1/drivers/me").await;
        (me["driver"]["online"] == false).then_some(me)
    };
    wait_until("the end of the shift", PATIENCE, off).await;
    assert!(scene.now() >= until);
    let shifts = ravi.get("/v1/drivers/me/shifts").await;
    assert_eq!(
        (shifts["past"].as_array().unwrap().len(), &shifts["current"]),
        (1, &Value::Null)
    );
    let fix = json!([{"lat": 12.97, "lng": 77.59, "at": scene.now()}]);
    ravi.refused("/v1/drivers/me/locations", &fix, "409 driver_offline")
        .await;
}

async fn delivery_under_way_is_finished_after_the_shift(scene: &Scene) {
    let kitchen = scene.kitchen("Overtime", (4_000.0, 3_500.0), json!({})).await;
    let asha = scene.customer();
    let (ravi, order) = on_the_way(scene, &asha, &kitchen, &kitchen.order(1)).await;
    let until = scene.now() + DurationMs(TWO_MIN_MS);
    let status = json!({"online": true, "until": until});
    let on = ravi.put("/v1/drivers/me/status", status).await;
    assert_eq!(moment(&on["shift"]["ends_at"]), until);
    scene.reaches(until + seconds(10)).await;
    let home = ravi.get("/v1/drivers/me").await;
    assert_eq!(
        (&home["driver"]["online"], &home["deliveries"][0]["id"]),
        (&json!(true), &order["id"])
    );
    assert_eq!(ravi.hands_over(&order).await["state"], "DELIVERED");
    let home = ravi.get("/v1/drivers/me").await;
    assert_eq!(home["driver"]["online"], false, "and then home");
}

async fn jump_of_a_receiver_is_no_way(scene: &Scene) {
    let kitchen = scene.kitchen("Far West", (-4_000.0, 0.0), json!({})).await;
    let ravi = scene.driver(&kitchen, 100.0).await;
    let seen = async || {
        let board = scene.operator.get("/v1/dispatch").await;
        let drivers = board["drivers"].as_array().unwrap().clone();
        let own = drivers
            .into_iter()
            .find(|row| row["driver"]["id"] == ravi.id.as_str())
            .unwrap();
        own["position"]["place"].clone()
    };
    let (start, near) = (kitchen.place.offset_m(100.0, 0.0), kitchen.place.offset_m(160.0, 0.0));
    assert_eq!(seen().await, json!(start));
    let first_at = scene.now();
    scene.reaches(first_at + seconds(10)).await;
    ravi.is_at(kitchen.place.offset_m(100.0, 4_000.0), first_at + seconds(5))
        .await;
    assert_eq!(seen().await, json!(start), "four kilometres in seconds");
    let vague = kitchen.place.offset_m(100.0, 500.0);
    let fix = json!([{"lat": vague.lat(), "lng": vague.lng(), "at": first_at + seconds(6), "accuracy_m": 900.0}]);
    ravi.send(Request::new(Method::POST, "/v1/drivers/me/locations").json(&fix))
        .await;
    assert_eq!(seen().await, json!(start), "somewhere within a kilometre");
    ravi.is_at(near, first_at + seconds(10)).await;
    assert_eq!(seen().await, json!(near));
    ravi.is_at(start, first_at + seconds(8)).await;
    assert_eq!(seen().await, json!(near), "older than what is known");
    ravi.goes_home().await;
}

async fn no_and_silence_go_to_the_next(scene: &Scene) {
    let kitchen = scene.kitchen("Ask Around", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let first = scene.driver(&kitchen, 100.0).await;
    let second = scene.driver(&kitchen, 300.0).await;
    let third = scene.driver(&kitchen, 500.0).await;
    let of_second = second.listens().await;
    let cooked = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;

    let refused = first.offer(&cooked).await;
    first.post(&format!("/v1/offers/{refused}/decline"), json!({})).await;
    first
        .refused(&format!("/v1/offers/{refused}/accept"), &json!({}), "409 offer_gone")
        .await;
    let lapsed = second.offer(&cooked).await;
    assert_eq!(of_second.hears("NEW_OFFER", &cooked).await.rest["urgent"], true);
    of_second.hears("OFFER_ENDED", &cooked).await;
    second
        .refused(&format!("/v1/offers/{lapsed}/accept"), &json!({}), "409 offer_gone")
        .await;
    let taken = third.offer(&cooked).await;
    third.post(&format!("/v1/offers/{taken}/accept"), json!({})).await;

    let ends: Vec<_> = scene.events(&cooked).await;
    let ends = ends.iter().filter(|event| event["type"] == "driver.offer.ended");
    let ends: Vec<_> = ends
        .map(|event| (event["data"]["offer_id"].clone(), event["data"]["declined"].clone()))
        .collect();
    assert_eq!(ends, [(json!(refused), json!(true)), (json!(lapsed), json!(false))]);
    assert_eq!(scene.count(&cooked, "driver.assigned").await, 1);
    third.delivery(&cooked, "arrive", json!({})).await;
    third.delivery(&cooked, "pickup", json!({})).await;
    let order = asha.get(&path(&cooked)).await;
    assert_eq!(third.hands_over(&order).await["state"], "DELIVERED");
    for driver in [&first, &second, &third] {
        driver.goes_home().await;
    }
}

async fn given_back_three_times_is_the_end(scene: &Scene) {
    let kitchen = scene.kitchen("Hot Potato", (4_500.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let cooked = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    let mut drivers: Vec<Driver> = Vec::new();
    for away_m in [100.0, 200.0, 300.0] {
        let driver = scene.driver(&kitchen, away_m).await;
        let offer = driver.offer(&cooked).await;
        driver.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
        driver.delivery(&cooked, "cancel", json!({})).await;
        drivers.push(driver);
    }
    let ended = scene.payment(&cooked, "REFUNDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("no_driver"))
    );
    assert_eq!(
        ended["payment"]["refunds"][0]["amount_minor"],
        cooked["price"]["total_minor"]
    );
    assert_eq!(scene.count(&cooked, "driver.cancelled").await, 3);
    for driver in drivers {
        let home = driver.get("/v1/drivers/me").await;
        assert_eq!((&home["deliveries"], &home["offers"]), (&json!([]), &json!([])));
        driver.goes_home().await;
    }
}

async fn on_the_way(scene: &Scene, asha: &Person, kitchen: &Kitchen, order: &Value) -> (Driver, Value) {
    let driver = scene.driver(kitchen, 3_500.0).await;
    let order = scene.on_the_way(asha, kitchen, &driver, order).await;
    (driver, order)
}

async fn pin_is_not_guessed(scene: &Scene) {
    let kitchen = scene.kitchen("Pin", (0.0, 4_000.0), json!({})).await;
    let asha = scene.customer();
    let (ravi, order) = on_the_way(scene, &asha, &kitchen, &kitchen.order(1)).await;
    assert!(
        ravi.get(&path(&order)).await["pin"].is_null(),
        "the customer alone knows it"
    );
    let complete = delivery_path(&order, "complete");
    let pin: u32 = order["pin"].as_str().unwrap().parse().unwrap();
    for guess in 1..=5 {
        let wrong = json!({"proof": {"kind": "pin", "pin": format!("{:04}", (pin + guess) % 10_000)}});
        ravi.refused(&complete, &wrong, "422 proof_wrong").await;
    }
    let right = json!({"proof": {"kind": "pin", "pin": order["pin"]}});
    ravi.refused(&complete, &right, "409 proof_locked").await;
    let photo = json!({"proof": {"kind": "photo", "reference": "door/4711.jpg"}});
    assert_eq!(ravi.post(&complete, photo).await["state"], "DELIVERED");
    assert_eq!(scene.count(&order, "delivery.proof.refused").await, 5);
    let events = scene.events(&order).await;
    let delivered = events.iter().find(|event| event["type"] == "order.delivered").unwrap();
    assert_eq!(delivered["data"]["proof"], "photo");
}

async fn nobody_at_the_door(scene: &Scene) {
    let kitchen = scene.kitchen("Door", (0.0, -4_000.0), json!({})).await;
    let asha = scene.customer();
    let (ravi, order) = on_the_way(scene, &asha, &kitchen, &kitchen.order(2)).await;
    scene.payment(&order, "CAPTURED").await;
    let failed = ravi
        .delivery(&order, "fail", json!({"reason": "customer_absent"}))
        .await;
    assert_eq!(
        (&failed["state"], &failed["delivery"]["state"]),
        (&json!("CANCELLED"), &json!("RETURNING"))
    );
    assert_eq!(failed["cancel_reason"], "delivery_failed");

    // Who has the food is not free.
    let home = ravi.get("/v1/drivers/me").await;
    assert_eq!(home["deliveries"][0]["id"], order["id"]);
    let go = Request::new(Method::PUT, "/v1/drivers/me/status").json(&json!({"online": false}));
    assert_eq!(ravi.send(go).await.json()["code"], "driver_busy");
    let back = ravi.delivery(&order, "return", json!({})).await;
    assert_eq!(back["delivery"]["state"], "RETURNED");
    assert_eq!(scene.count(&order, "delivery.returned").await, 1);
    ravi.goes_home().await;

    let ended = scene.payment(&order, "REFUNDED").await;
    let (total, kept) = (minor(&ended["price"]["total_minor"]), 40_000 * ABSENT_BP / 10_000);
    assert_eq!(ended["payment"]["refunds"][0]["amount_minor"], total - kept);
    let receipt = asha.get(&format!("{}/receipt", path(&order))).await;
    assert_eq!(receipt["net_minor"], kept);
    assert_eq!(
        account(&ravi.get("/v1/drivers/me/statement").await, "driver_payable"),
        2_500,
        "the trip is paid"
    );
}

/// What somebody is owed, or has in hand.
fn account(statement: &Value, name: &str) -> i64 {
    let accounts = statement["accounts"].as_array().unwrap();
    let found = accounts.iter().find(|account| account["account"] == name);
    found.map_or(0, |account| minor(&account["balance_minor"]))
}

async fn earnings_and_cash_add_up(scene: &Scene) {
    let kitchen = scene.kitchen("Cash", (-4_000.0, -3_000.0), json!({})).await;
    let asha = scene.customer();
    let ravi = scene.driver(&kitchen, 100.0).await;
    let mut by_card = kitchen.order(1);
    by_card["tip_minor"] = json!(1_500);
    let mut by_cash = kitchen.order(2);
    by_cash["payment"] = json!({"method": "cash"});
    let mut cash_minor = 0;
    for order in [by_card, by_cash] {
        let order = scene.on_the_way(&asha, &kitchen, &ravi, &order).await;
        ravi.hands_over(&order).await;
        if order["payment"]["method"] == "cash" {
            cash_minor = minor(&order["price"]["total_minor"]);
        }
    }
    let statement = ravi.get("/v1/drivers/me/statement").await;
    assert_eq!(account(&statement, "driver_payable"), 2 * 2_500 + 1_500);
    assert_eq!(account(&statement, "cash_in_hand"), cash_minor);
    assert_eq!(ravi.get("/v1/drivers/me").await["driver"]["cash_minor"], cash_minor);

    let deposits = format!("/v1/drivers/{}/cash-deposits", ravi.id);
    let too_much = json!({"amount_minor": cash_minor + 1});
    scene
        .operator
        .refused(&deposits, &too_much, "422 refund_too_large")
        .await;
    let part = scene.operator.post(&deposits, json!({"amount_minor": 10_000})).await;
    assert_eq!(part["cash_minor"], cash_minor - 10_000);
    scene
        .operator
        .post(&deposits, json!({"amount_minor": cash_minor - 10_000}))
        .await;
    let own = ravi.get("/v1/drivers/me/statement").await;
    assert_eq!(
        (account(&own, "cash_in_hand"), account(&own, "driver_payable")),
        (0, 6_500)
    );
    let seen = scene.operator.get(&format!("/v1/drivers/{}/statement", ravi.id)).await;
    assert_eq!(seen["accounts"], own["accounts"]);
    // 15 % of 600.00 is the platform's.
    let earned = kitchen.get(&format!("{}/statement", kitchen.path)).await;
    assert_eq!(account(&earned, "restaurant_payable"), 51_000);
}
