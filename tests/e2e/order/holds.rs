//! Stock that nobody paid for comes back, whatever happens meanwhile.

use serde_json::{Value, json};
use tomato_tests::client::Api;

use super::scene::{Kitchen, Scene, dishes, id, moment, path, seconds};

/// The provider's silent minute passes in three seconds.
const RATE: f64 = 20.0;
const HOLD_S: i64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_end_by_themselves_also_across_a_kill() {
    let rules = |file: tomato_tests::settings::RegionFile| file.set("orders.hold_ms", HOLD_S * 1_000);
    let mut scene = Scene::open(RATE, rules).await;
    let mut menu = dishes(&[id(), id()]);
    menu[0]["capacity"] = json!(3);
    let kitchen = scene.kitchen("Three Dosas", (0.0, 0.0), json!({"menu": menu})).await;

    let unpaid = held(&scene, &kitchen).await;
    comes_back(&scene, &kitchen, &unpaid).await;

    let unpaid = held(&scene, &kitchen).await;
    let server = &mut scene.stack.node("blr").server;
    server.kill9();
    server.start().await.unwrap();
    comes_back(&scene, &kitchen, &unpaid).await;

    // And whoever pays has them.
    let asha = scene.customer();
    scene.cooked(&asha, &kitchen, &kitchen.order(3)).await;
    assert_eq!(kitchen.left(0).await, 0);
    scene.close().await;
}

/// All three, held for somebody whose bank does not answer.
async fn held(scene: &Scene, kitchen: &Kitchen) -> Value {
    let mut order = kitchen.order(3);
    order["payment"]["card"] = json!("card_timeout");
    let unpaid = scene.customer().place(&order).await;
    assert_eq!(
        (&unpaid["state"], &unpaid["payment"]["state"]),
        (&json!("PENDING"), &json!("AUTHORISING"))
    );
    assert_eq!(kitchen.left(0).await, 0);
    let asha = scene.customer();
    asha.refused("/v1/orders", &kitchen.order(1), "409 sold_out").await;
    unpaid
}

/// The hold ends at its time, the stock is back, and what the bank says too late goes back.
async fn comes_back(scene: &Scene, kitchen: &Kitchen, unpaid: &Value) {
    let ended = scene.state(unpaid, "CANCELLED").await;
    assert_eq!(ended["cancel_reason"], "hold_expired");
    assert!(moment(&ended["ended_at"]) >= moment(&unpaid["placed_at"]) + seconds(HOLD_S));
    assert_eq!(kitchen.left(0).await, 3);
    scene.payment(unpaid, "VOIDED").await;
    assert_eq!(kitchen.left(0).await, 3, "once is enough");
    for (kind, times) in [
        ("inventory.reserved", 1),
        ("inventory.released", 1),
        ("order.cancelled", 1),
        ("order.confirmed", 0),
    ] {
        assert_eq!(scene.count(unpaid, kind).await, times, "{kind}");
    }
    let api: &Api = &scene.operator.api;
    assert_eq!(api.overview().await.unwrap().active, 0, "{}", path(unpaid));
}
