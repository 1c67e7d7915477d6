//! A restaurant says no, nothing, later, or something else.

use serde_json::{Value, json};

use super::scene::{Kitchen, Person, Scene, dishes, id, minor, minutes, moment, path};

/// A minute passes in a second; a restaurant has five to answer.
const RATE: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restaurant_answers_in_every_way_and_the_order_goes_on() {
    let scene = Scene::open(RATE, |file| file.set("orders.change_ttl_ms", 3_600_000)).await;
    tokio::join!(
        silence_is_called_out_and_then_passed_on(&scene),
        no_is_passed_on_with_the_stock(&scene),
        later_is_told(&scene),
    );
    tokio::join!(
        something_else_costs_less(&scene),
        something_else_is_declined(&scene),
        it_cannot_after_all(&scene),
        it_pauses_and_is_busy(&scene),
    );
    scene.close().await;
}

/// Two branches of a chain; the first is the nearer.
async fn branches(scene: &Scene, name: &str, (east_m, north_m): (f64, f64)) -> (Kitchen, Kitchen) {
    let menu = json!({"menu": dishes(&[id(), id()])});
    let near = scene.kitchen(name, (east_m, north_m), menu.clone()).await;
    let far = scene
        .kitchen(&format!("{name} Too"), (east_m, north_m - 600.0), menu)
        .await;
    (near, far)
}

async fn no_is_passed_on_with_the_stock(scene: &Scene) {
    let (near, far) = branches(scene, "No", (-3_000.0, 0.0)).await;
    let asha = scene.customer();
    let (of_near, of_far, of_asha) = (near.listens().await, far.listens().await, asha.listens().await);
    let placed = asha.place(&near.order(2)).await;
    of_near.hears("NEW_ORDER", &placed).await;
    assert_eq!((near.left(0).await, far.left(0).await), (18, 20));

    let no = json!({"reason": "item_unavailable", "items_off": [near.items[0]]});
    near.does(&placed, "reject", no).await;
    let taken = scene.operator.get(&path(&placed)).await;
    assert_eq!(
        (&taken["state"], &taken["restaurant"]["id"]),
        (&json!("CONFIRMED"), &json!(far.id))
    );
    assert_eq!(taken["price"], placed["price"], "another kitchen, the same price");
    assert_eq!(
        (near.left(0).await, far.left(0).await),
        (20, 18),
        "the stock moves with the order"
    );
    of_near.hears("ORDER_WITHDRAWN", &placed).await;
    assert_eq!(of_far.hears("NEW_ORDER", &placed).await.rest["urgent"], true);
    let told = async || {
        (of_asha
            .names(&placed)
            .iter()
            .filter(|name| *name == "RESTAURANT_ASSIGNED")
            .count()
            == 2)
            .then_some(())
    };
    tomato_tests::wait::wait_until("news of the second restaurant", super::scene::PATIENCE, told).await;

    let events = scene.events(&placed).await;
    let declined = events
        .iter()
        .find(|event| event["type"] == "restaurant.declined")
        .unwrap();
    assert_eq!(
        (&declined["data"]["reason"], &declined["data"]["why"]),
        (&json!("rejected"), &json!("item_unavailable"))
    );
    let menu = near.get(&near.path).await["menu"].take();
    assert_eq!(menu[0]["available"], false);
    let midnight = moment(&menu[0]["off_until"]) + minutes(5 * 60 + 30);
    assert_eq!(
        midnight.0.rem_euclid(24 * 60 * 60_000),
        0,
        "off until midnight in Bengaluru"
    );
    near.refused(
        &near.order_path(&placed, "accept"),
        &json!({"ready_in_min": 10}),
        "404 not_found",
    )
    .await;
    let cooked = far.does(&placed, "accept", json!({"ready_in_min": 10})).await;
    assert_eq!(cooked["state"], "PREPARING");

    // Where nobody else has it, no is the end, and the money goes back.
    let last = asha.place(&far.order(1)).await;
    scene.state(&last, "CONFIRMED").await;
    far.does(&last, "reject", json!({"reason": "too_busy"})).await;
    let ended = scene.payment(&last, "VOIDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("no_restaurant"))
    );
    assert_eq!(far.left(0).await, 18);
}

async fn silence_is_called_out_and_then_passed_on(scene: &Scene) {
    let (near, far) = branches(scene, "Silent", (3_000.0, 0.0)).await;
    let asha = scene.customer();
    let (of_near, of_operator) = (near.listens().await, scene.operator.listens().await);
    let of_asha = asha.listens().await;
    let placed = asha.place(&near.order(1)).await;
    let asked = of_near.hears("NEW_ORDER", &placed).await;
    let accept_by = asked.order.unwrap().accept_by.unwrap();

    let called = of_near.hears("ORDER_OVERDUE", &placed).await;
    assert_eq!(called.rest["urgent"], true);
    let called_at = called.at.unwrap();
    assert!(
        called_at >= asked.at.unwrap() + super::scene::seconds(90) && called_at < accept_by,
        "{called_at}"
    );
    assert_eq!(of_operator.hears("ORDER_OVERDUE", &placed).await.rest["urgent"], true);
    assert!(
        !of_asha.names(&placed).contains(&"ORDER_OVERDUE".to_owned()),
        "that is none of the customer's"
    );

    of_near.hears("ORDER_WITHDRAWN", &placed).await;
    let taken = scene.operator.get(&path(&placed)).await;
    assert_eq!(taken["restaurant"]["id"], far.id);
    let events = scene.events(&placed).await;
    let declined = events
        .iter()
        .find(|event| event["type"] == "restaurant.declined")
        .unwrap();
    assert_eq!(declined["data"]["reason"], "timed_out");
    assert!(moment(&declined["at"]) >= accept_by);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).unwrap();
    assert!(place("order.overdue") < place("restaurant.declined"), "{kinds:?}");
    assert_eq!((near.left(0).await, far.left(0).await), (20, 19));
    far.does(&placed, "accept", json!({"ready_in_min": 10})).await;
}

async fn later_is_told(scene: &Scene) {
    let kitchen = scene.kitchen("Later", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let of_asha = asha.listens().await;
    let accepted = scene.accepted(&asha, &kitchen, &kitchen.order(1)).await;
    let delayed = kitchen.does(&accepted, "delay", json!({"ready_in_min": 45})).await;
    let ready_at = moment(&delayed["ready_at"]);
    assert!(ready_at >= moment(&accepted["ready_at"]) + minutes(25));
    assert!(moment(&delayed["estimated_delivery_at"]) > ready_at);
    let told = of_asha.hears("ORDER_DELAYED", &accepted).await.order.unwrap();
    assert_eq!(told.ready_at, Some(ready_at));
}

/// An order of one dosa and two idlis, of which the dosa has run out: a third idli instead?
async fn proposal(scene: &Scene, kitchen: &Kitchen, asha: &Person) -> (Value, Value) {
    let order = kitchen.order_of(json!([
        {"item_id": kitchen.items[0], "quantity": 1}, {"item_id": kitchen.items[1], "quantity": 2},
    ]));
    let accepted = scene.accepted(asha, kitchen, &order).await;
    let of_asha = asha.listens().await;
    let swap = json!({"lines": [{"line": 0, "quantity": 0}], "add": [{"item_id": kitchen.items[1], "quantity": 1}]});
    let proposed = kitchen.does(&accepted, "changes", swap).await;
    assert_eq!(of_asha.hears("CHANGE_PROPOSED", &accepted).await.rest["urgent"], true);
    // A dearer replacement is none.
    let dearer = json!({"lines": [], "add": [{"item_id": kitchen.items[0], "quantity": 1}]});
    let changes = kitchen.order_path(&accepted, "changes");
    kitchen.refused(&changes, &dearer, "422 order_value").await;
    (accepted, proposed["change"].clone())
}

async fn something_else_costs_less(scene: &Scene) {
    let kitchen = scene.kitchen("Swap", (0.0, 1_500.0), json!({})).await;
    let asha = scene.customer();
    let (accepted, change) = proposal(scene, &kitchen, &asha).await;
    let (old, new) = (
        minor(&accepted["price"]["total_minor"]),
        minor(&change["price"]["total_minor"]),
    );
    // 100.00 less of items, 2 % of it less of a fee, 5 % less of taxes.
    assert_eq!(minor(&change["refund_minor"]), 10_000 + 200 + 510);
    assert_eq!(old - new, 10_000 + 200 + 510);

    let changed = asha
        .post(&format!("{}/change/accept", path(&accepted)), json!({}))
        .await;
    assert_eq!(
        (&changed["price"], &changed["lines"]),
        (&change["price"], &change["lines"])
    );
    assert!(changed["change"].is_null());
    let quantities: Vec<_> = changed["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["quantity"])
        .collect();
    assert_eq!(quantities, [2, 1]);
    let back = |order: &Value| order["payment"]["refunds"][0]["state"] == "DONE";
    let refund = scene.until(&accepted, "the difference to go back", back).await["payment"]["refunds"][0].take();
    assert_eq!(
        (&refund["amount_minor"], &refund["reason"]),
        (&change["refund_minor"], &json!("changed"))
    );
    let receipt = asha.get(&format!("{}/receipt", path(&accepted))).await;
    let sums = ["paid_minor", "refunded_minor", "net_minor"].map(|name| minor(&receipt[name]));
    assert_eq!(sums, [old, old - new, new]);
    assert_eq!(receipt["lines"], change["lines"]);
    let again = format!("{}/change/accept", path(&accepted));
    asha.refused(&again, &json!({}), "409 change_gone").await;
}

async fn something_else_is_declined(scene: &Scene) {
    let kitchen = scene.kitchen("Or Not", (0.0, 3_000.0), json!({})).await;
    let asha = scene.customer();
    let of_kitchen = kitchen.listens().await;
    let (accepted, _) = proposal(scene, &kitchen, &asha).await;
    let kept = asha
        .post(&format!("{}/change/decline", path(&accepted)), json!({}))
        .await;
    assert_eq!(
        (&kept["price"], &kept["lines"]),
        (&accepted["price"], &accepted["lines"])
    );
    assert!(kept["change"].is_null());
    of_kitchen.hears("CHANGE_ENDED", &accepted).await;
    assert_eq!(scene.count(&accepted, "payment.refund.requested").await, 0);
}

async fn it_cannot_after_all(scene: &Scene) {
    let kitchen = scene.kitchen("Fire", (1_500.0, 1_500.0), json!({})).await;
    let asha = scene.customer();
    let of_asha = asha.listens().await;
    let accepted = scene.accepted(&asha, &kitchen, &kitchen.order(1)).await;
    scene.payment(&accepted, "CAPTURED").await;
    kitchen.post(&format!("{}/cancel", path(&accepted)), json!({})).await;
    let ended = scene.payment(&accepted, "REFUNDED").await;
    assert_eq!(
        (&ended["state"], &ended["cancel_reason"]),
        (&json!("CANCELLED"), &json!("restaurant"))
    );
    of_asha.hears("ORDER_CANCELLED", &accepted).await;
    of_asha.hears("PAYMENT_REFUNDED", &accepted).await;
    let receipt = asha.get(&format!("{}/receipt", path(&accepted))).await;
    assert_eq!(
        (&receipt["refunded_minor"], &receipt["net_minor"]),
        (&receipt["paid_minor"], &json!(0))
    );
    assert_eq!(receipt["paid_minor"], accepted["price"]["total_minor"]);
}

async fn it_pauses_and_is_busy(scene: &Scene) {
    let kitchen = scene.kitchen("Breather", (-1_500.0, 1_500.0), json!({})).await;
    let asha = scene.customer();
    let status = format!("{}/status", kitchen.path);
    let paused = kitchen.put(&status, json!({"pause_min": 60})).await;
    assert_eq!((&paused["open"], &paused["open_now"]), (&json!(true), &json!(false)));
    assert!(moment(&paused["paused_until"]) > scene.now() + minutes(30));
    asha.refused("/v1/orders", &kitchen.order(1), "422 restaurant_closed")
        .await;
    assert_eq!(kitchen.put(&status, json!({"pause_min": 0})).await["open_now"], true);

    let usual = asha.place(&kitchen.order(1)).await;
    let busy = kitchen
        .put(&status, json!({"busy": {"extra_min": 25, "for_min": 120}}))
        .await;
    assert_eq!(busy["preparation_min"], 35);
    let slow = asha.place(&kitchen.order(1)).await;
    let needs = |order: &Value| moment(&order["estimated_delivery_at"]) - moment(&order["placed_at"]);
    assert_eq!(needs(&slow).0, minutes(25).0 + needs(&usual).0);
    kitchen
        .put(&status, json!({"busy": {"extra_min": 0, "for_min": 1}}))
        .await;
    assert_eq!(needs(&asha.place(&kitchen.order(1)).await), needs(&usual));
}
