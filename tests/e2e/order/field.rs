//! A driver without a network: the app says later what happened when, and says it again when no answer came.

use http::Method;
use serde_json::json;
use tomato_shared::time::UnixMs;
use tomato_tests::client::Request;

use super::scene::{Driver, Scene, delivery_path, minutes, moment, path};

/// A minute passes in a second.
const RATE: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_without_a_network_is_told_later_and_counts_once() {
    let scene = Scene::open(RATE, |file| file).await;
    let kitchen = scene.kitchen("No Signal", (0.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let ravi = scene.driver(&kitchen, 3_500.0).await;
    let cooked = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    scene
        .operator
        .post(&format!("{}/assign", path(&cooked)), json!({"driver_id": ravi.id}))
        .await;
    let pin = asha.get(&path(&cooked)).await["pin"].take();

    // The tunnel begins; three minutes later the network is back.
    let start = scene.now();
    let done = [
        ("arrive", "driver.arrived", json!({})),
        ("pickup", "order.picked_up", json!({})),
        (
            "complete",
            "order.delivered",
            json!({"proof": {"kind": "pin", "pin": pin}}),
        ),
    ];
    let requests: Vec<_> = done
        .iter()
        .zip(1..)
        .map(|((what, kind, body), minute)| {
            let at = start + minutes(minute);
            let request = Request::new(Method::POST, delivery_path(&cooked, what))
                .json(body)
                .header("idempotency-key", format!("tunnel-{what}"))
                .header("x-device-time", at.to_string());
            (*kind, at, request)
        })
        .collect();
    scene.reaches(start + minutes(4)).await;
    let mut first = Vec::new();
    for (kind, _, request) in &requests {
        let answer = ravi.send(request.clone()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.json());
        first.push(answer);
    }
    for _ in 0..2 {
        for ((kind, _, request), first) in requests.iter().zip(&first) {
            let again = ravi.send(request.clone()).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{kind}");
        }
    }
    let order = scene.operator.get(&path(&cooked)).await;
    assert_eq!(order["state"], "DELIVERED");
    let events = scene.events(&cooked).await;
    for (kind, at, _) in &requests {
        let found: Vec<_> = events.iter().filter(|event| event["type"] == *kind).collect();
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!(moment(&found[0]["device_at"]), *at, "{kind}");
        assert!(
            moment(&found[0]["at"]) >= start + minutes(4),
            "what the region knew when stays true"
        );
    }
    odd_clock_is_refused(&ravi, &requests[0].2, start + minutes(-30 * 24 * 60)).await;
    scene.close().await;
}

/// A device whose clock is a month off is told so, and nothing is done.
async fn odd_clock_is_refused(ravi: &Driver, request: &Request, at: UnixMs) {
    let odd = request.clone();
    let odd = Request {
        headers: odd
            .headers
            .into_iter()
            .filter(|(name, _)| !name.starts_with("x-device"))
            .collect(),
        ..odd
    };
    let odd = odd.header("x-device-time", at.to_string());
    let answer = ravi.send(odd).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (400, &json!("invalid_header"))
    );
}
