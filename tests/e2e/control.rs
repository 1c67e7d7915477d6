//! What the hub tells a region: in force there and nowhere else, kept through cuts and kills, never taken back by an older word.

use std::path::Path;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tomato_shared::time::UnixMs;
use tomato_tests::client::{Api, Request, new_key};
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::wait_until;

use crate::order::scene::{Driver, Kitchen, PATIENCE, Person, Scene, path};

const CONTROL: &str = "/v1/regions/blr/control";
/// In place of what the region's file says.
const DELIVERY_MINOR: i64 = 9_100;

async fn read(hub: &Api) -> Value {
    hub.get(CONTROL).await.unwrap()
}

/// Writes over the version that is there; the new one.
async fn tell(hub: &Api, control: Value) -> u64 {
    let version = read(hub).await["version"].to_string();
    let body = json!({"note": "as the test wants it", "control": control});
    let request = Request::new(Method::PUT, CONTROL).json(&body);
    let answer = hub.send(&request.header("if-match", format!("\"{version}\""))).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()["version"].as_u64().unwrap()
}

/// The hub has heard that the region goes by a version.
async fn until_applied(hub: &Api, version: u64) {
    let applied = async || (read(hub).await["applied_version"] == version).then_some(());
    wait_until("the region to go by what it is told", PATIENCE, applied).await;
}

async fn delivery_fee(scene: &Scene, kitchen: &Kitchen) -> Value {
    let mut order = kitchen.order(1);
    order.as_object_mut().unwrap().remove("payment");
    scene.customer().post("/v1/quotes", order).await["price"]["delivery_fee_minor"].take()
}

/// What the region says to an order: status and problem.
async fn refused(scene: &Scene, order: &Value) -> (u16, Value) {
    let request = Request::new(Method::POST, "/v1/orders").json(order);
    let answer = scene
        .customer()
        .send(request.header("idempotency-key", new_key()))
        .await;
    (answer.status.as_u16(), answer.json())
}

fn coded(kitchen: &Kitchen) -> Value {
    let mut order = kitchen.order(1);
    order["promo_code"] = json!("HUB");
    order
}

fn first() -> Value {
    json!({
        "fees": {"delivery_base_minor": DELIVERY_MINOR, "delivery_per_km_minor": 0},
        "promotions": [{
            "code": "HUB", "saving": {"kind": "amount", "amount_minor": 1_000}, "borne_by": "platform",
            "active": true, "starts_at": UnixMs(0), "ends_at": UnixMs(4_102_444_800_000), "uses_max": 1,
            "uses_per_customer_max": 1,
        }],
        "off": ["cash"],
    })
}

/// The hub's file as it is while the hub does not run.
fn copy_file(folder: &Path, from: &str, to: &str) {
    for tail in ["", "-wal", "-shm"] {
        let (from, to) = (folder.join(format!("{from}{tail}")), folder.join(format!("{to}{tail}")));
        std::fs::remove_file(&to).ok();
        if from.exists() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_goes_by_what_the_hub_said_last_also_without_it() {
    let mut scene = two_regions().await;
    let hub = scene.stack.hub().api.clone();
    let hyd = scene.stack.node("hyd").api.clone();
    let kitchen = scene.kitchen("Hill View", (500.0, 0.0), json!({})).await;
    let own = delivery_fee(&scene, &kitchen).await;
    assert_ne!(own, DELIVERY_MINOR);
    let version = tell(&hub, first()).await;
    until_applied(&hub, version).await;
    first_is_in_force(&scene, &kitchen).await;
    let (_, problem) = refused(&scene, &cash(&kitchen)).await;
    assert_eq!(problem["code"], "feature_off", "{problem}");
    let (asha, ravi) = (scene.customer(), scene.driver(&kitchen, 100.0).await);
    let running = asha.place(&coded(&kitchen)).await;
    assert_eq!(running["price"]["discount_minor"], 1_000);
    assert_eq!(hyd.get::<Value>("/v1/region").await.unwrap()["control_version"], 0);

    // Without the hub, after a kill: from the region's own file.
    scene.stack.hub().server.kill9();
    let node = scene.stack.node("blr");
    node.server.kill9();
    node.server.start().await.unwrap();
    first_is_in_force(&scene, &kitchen).await;
    let (_, problem) = refused(&scene, &coded(&kitchen)).await;
    assert_eq!(problem["code"], "promo_used_up", "{problem}");

    // A copy of the hub's file from now will be an old one soon.
    let data = scene.stack.folder().join("hub");
    copy_file(&data, "hub.db", "old.db");
    scene.stack.hub().server.start().await.unwrap();
    let paused = tell(&hub, json!({"paused": "Cyclone until noon."})).await;
    until_applied(&hub, paused).await;
    pause_is_in_force(&scene, &kitchen).await;

    // Who has an older word is heard, and not obeyed.
    scene.stack.hub().server.stop().await.unwrap();
    copy_file(&data, "old.db", "hub.db");
    scene.stack.hub().server.start().await.unwrap();
    wait_until("the region to refuse an older word", PATIENCE, async || {
        let control = read(&hub).await;
        assert_eq!(control["version"], version, "the hub knows no better");
        let fault = control["fault"].as_str()?;
        (control["applied_version"] == paused && fault.contains("older")).then_some(())
    })
    .await;
    let health = scene.operator.get("/readyz?verbose").await;
    let checks = health["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "control").unwrap();
    assert_eq!(
        (&check["ok"], &check["needed"]),
        (&json!(false), &json!(false)),
        "{health}"
    );
    pause_is_in_force(&scene, &kitchen).await;

    ends_as_it_was_priced(&scene, (&asha, &kitchen, &ravi), &running).await;

    // A newer word than both, although the hub had forgotten one.
    let newest = tell(&hub, json!({})).await;
    assert!(newest > paused);
    until_applied(&hub, newest).await;
    assert_eq!(delivery_fee(&scene, &kitchen).await, own);
    let control = read(&hub).await;
    assert_eq!(
        (&control["fault"], &control["applied_version"]),
        (&Value::Null, &json!(newest))
    );
    asha.place(&cash(&kitchen)).await;
    scene.close().await;
}

/// What is under way goes on, and costs what it did.
async fn ends_as_it_was_priced(scene: &Scene, (asha, kitchen, ravi): (&Person, &Kitchen, &Driver), running: &Value) {
    scene.state(running, "CONFIRMED").await;
    kitchen.does(running, "accept", json!({"ready_in_min": 20})).await;
    kitchen.does(running, "ready", json!({})).await;
    let assign = json!({"driver_id": ravi.id});
    scene.operator.post(&format!("{}/assign", path(running)), assign).await;
    ravi.delivery(running, "pickup", json!({})).await;
    ravi.hands_over(&asha.get(&path(running)).await).await;
    let delivered = scene.state(running, "DELIVERED").await;
    assert_eq!(delivered["price"], running["price"]);
}

async fn two_regions() -> Scene {
    let plan = StackPlan::default().rate(1.0);
    let plan = ["blr", "hyd"]
        .into_iter()
        .fold(plan, |plan, region| plan.region_file(Scene::file(region)));
    Scene::of(Stack::prepare(plan).unwrap()).await
}

fn cash(kitchen: &Kitchen) -> Value {
    let mut order = kitchen.order(1);
    order["payment"] = json!({"method": "cash"});
    order
}

async fn first_is_in_force(scene: &Scene, kitchen: &Kitchen) {
    assert_eq!(delivery_fee(scene, kitchen).await, DELIVERY_MINOR);
    let region = scene.operator.get("/v1/region").await;
    assert_eq!((&region["paused"], &region["off"]), (&json!(false), &json!(["cash"])));
}

async fn pause_is_in_force(scene: &Scene, kitchen: &Kitchen) {
    let (status, problem) = refused(scene, &kitchen.order(1)).await;
    assert_eq!((status, &problem["code"]), (503, &json!("region_paused")));
    assert_eq!(problem["detail"], "Cyclone until noon.");
    let region = scene.operator.put("/v1/region", json!({"paused": false})).await;
    assert_eq!(
        (&region["paused"], &region["paused_by_hub"]),
        (&json!(true), &json!(true)),
        "the region's operators do not end it"
    );
}
