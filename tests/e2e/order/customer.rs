//! Giving up, following, rating.

use serde_json::{Value, json};
use tomato_tests::wait::wait_until;

use super::scene::{PATIENCE, Scene, minor, minutes, moment, path};

/// A minute passes in a second.
const RATE: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_gives_up_follows_and_says_how_it_was() {
    let scene = Scene::open(RATE, |file| file.set("dispatch.offer_ttl_ms", 600_000)).await;
    tokio::join!(
        giving_up_costs_what_was_announced(&scene),
        driver_is_seen_on_the_way_and_never_else(&scene),
    );
    scene.close().await;
}

async fn giving_up_costs_what_was_announced(scene: &Scene) {
    let kitchen = scene.kitchen("Second Thoughts", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let announced = async |order: &Value| {
        let answer = asha.get(&format!("{}/cancellation", path(order))).await;
        (answer["allowed"] == true, minor(&answer["fee_minor"]))
    };
    let cancel = |order: &Value| format!("{}/cancel", path(order));

    let early = asha.place(&kitchen.order(2)).await;
    scene.state(&early, "CONFIRMED").await;
    assert_eq!((announced(&early).await, kitchen.left(0).await), ((true, 0), 18));
    asha.post(&cancel(&early), json!({})).await;
    let ended = scene.payment(&early, "VOIDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("customer"))
    );
    assert_eq!(kitchen.left(0).await, 20, "nothing was cooked");
    asha.refused(&cancel(&early), &json!({}), "409 wrong_state").await;

    let late = scene.accepted(&asha, &kitchen, &kitchen.order(2)).await;
    let fee = async || Some(announced(&late).await).filter(|(_, fee_minor)| *fee_minor > 0);
    let (allowed, fee_minor) = wait_until("the end of the free minute", PATIENCE, fee).await;
    assert_eq!((allowed, fee_minor), (true, 20_000), "half of the items");
    asha.post(&cancel(&late), json!({})).await;
    scene.payment(&late, "REFUNDED").await;
    let receipt = asha.get(&format!("{}/receipt", path(&late))).await;
    let total = minor(&late["price"]["total_minor"]);
    let sums = ["paid_minor", "refunded_minor", "net_minor"].map(|name| minor(&receipt[name]));
    assert_eq!(sums, [total, total - fee_minor, fee_minor]);

    let cooked = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    assert_eq!(announced(&cooked).await, (false, 0));
    asha.refused(&cancel(&cooked), &json!({}), "409 too_late").await;
    scene
        .customer()
        .refused(&cancel(&cooked), &json!({}), "404 not_found")
        .await;
    scene.operator.post(&cancel(&cooked), json!({})).await;
}

async fn driver_is_seen_on_the_way_and_never_else(scene: &Scene) {
    let kitchen = scene.kitchen("Follow Me", (5_000.0, 0.0), json!({})).await;
    let (asha, ravi) = (scene.customer(), scene.driver(&kitchen, 400.0).await);
    let (of_asha, of_stranger) = (asha.listens().await, scene.customer().listens().await);
    let cooked = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    let at = |away_m: f64| kitchen.place.offset_m(away_m, 0.0);
    let track = format!("{}/tracking", path(&cooked));
    let seen = || {
        let heard = of_asha.about(&cooked).into_iter();
        let heard = heard.filter(|message| message.kind == "DRIVER_LOCATION");
        heard.map(|message| message.rest["place"].clone()).collect::<Vec<_>>()
    };
    let sees = async |places: &[Value]| {
        let told = async || (seen() == places).then_some(());
        wait_until("a position", PATIENCE, told).await;
    };

    let offer = ravi.offer(&cooked).await;
    ravi.is_at(at(350.0), scene.now()).await;
    assert!(asha.get(&track).await["driver"].is_null(), "not bound yet");
    ravi.post(&format!("/v1/offers/{offer}/accept"), json!({})).await;
    ravi.is_at(at(200.0), scene.now()).await;
    sees(&[json!(at(200.0))]).await;
    assert_eq!(asha.get(&track).await["driver"]["place"], json!(at(200.0)));
    assert!(
        kitchen.get(&track).await["driver"].is_null(),
        "the restaurant sees no way"
    );
    ravi.delivery(&cooked, "arrive", json!({})).await;
    ravi.delivery(&cooked, "pickup", json!({})).await;
    ravi.is_at(at(100.0), scene.now()).await;
    sees(&[json!(at(200.0)), json!(at(100.0))]).await;
    assert_eq!(asha.get(&track).await["state"], "OUT_FOR_DELIVERY");
    let order = asha.get(&path(&cooked)).await;
    let delivered = ravi.hands_over(&order).await;
    ravi.is_at(at(50.0), scene.now()).await;
    assert!(asha.get(&track).await["driver"].is_null(), "over");

    // What comes later on the same socket shows that nothing more came before it.
    let asked = of_asha.hears("RATING_REQUESTED", &order).await;
    assert!(asked.at.unwrap() >= moment(&delivered["ended_at"]) + minutes(5));
    ravi.is_at(at(20.0), scene.now()).await;
    says_how_it_was(scene, &asha, &order).await;
    of_asha.hears("ORDER_TIPPED", &order).await;
    assert_eq!(seen(), [json!(at(200.0)), json!(at(100.0))]);
    assert!(of_stranger.about(&order).is_empty());
    let account = ravi.get("/v1/drivers/me/statement").await["accounts"].take();
    assert_eq!(account[0]["balance_minor"], 2_500 + 4_000);
    let row = asha.get("/v1/restaurants?q=follow%20me").await["data"][0].take();
    assert_eq!((&row["stars"], &row["ratings"]), (&json!(4.0), &json!(1)));
}

async fn says_how_it_was(scene: &Scene, asha: &super::scene::Person, order: &Value) {
    let stars = json!({"restaurant_stars": 4, "driver_stars": 5, "comment": "warm"});
    let rated = asha.post(&format!("{}/rating", path(order)), stars.clone()).await;
    assert_eq!(rated["rating"], stars);
    asha.refused(&format!("{}/rating", path(order)), &stars, "409 wrong_state")
        .await;
    asha.post(&format!("{}/tip", path(order)), json!({"amount_minor": 4_000}))
        .await;
    let given = |order: &Value| order["payment"]["tips"][0]["state"] == "DONE";
    scene.until(order, "the tip", given).await;

    let receipt = asha.get(&format!("{}/receipt", path(order))).await;
    let total = minor(&order["price"]["total_minor"]);
    let sums = ["paid_minor", "refunded_minor", "tips_minor", "net_minor"].map(|name| minor(&receipt[name]));
    assert_eq!(sums, [total, 0, 4_000, total + 4_000]);
    let own = asha.get("/v1/orders?state=DELIVERED").await["data"].take();
    assert_eq!((own.as_array().unwrap().len(), &own[0]["id"]), (1, &order["id"]));
    let history = asha.get(&format!("{}/events", path(order))).await["data"].take();
    let kinds: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    for kind in [
        "order.created",
        "order.confirmed",
        "driver.assigned",
        "order.delivered",
        "order.tipped",
    ] {
        assert_eq!(
            kinds.iter().filter(|other| **other == kind).count(),
            1,
            "{kind} in {kinds:?}"
        );
    }
    assert!(
        !kinds.contains(&"driver.offered"),
        "who else was asked is not the customer's"
    );
}
