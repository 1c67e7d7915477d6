//! A thousand at once for one thing.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::{ApiError, Request};

use super::scene::{Person, Scene, dishes, id, path};

const CROWD: usize = 1_000;
const LEFT: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_at_once_get_what_there_is_and_no_more() {
    let scene = Scene::open(1.0, |file| file.set("dispatch.offer_ttl_ms", 600_000)).await;
    ten_dosas_for_a_thousand(&scene).await;
    one_offer_for_a_thousand_hands(&scene).await;
    scene.close().await;
}

/// Everybody sends at once; whoever is told "not now" (429, 503) sends the same again. What each got, or why not.
async fn all_at_once(calls: Vec<(Person, Request)>) -> Vec<Result<Value, (u16, String)>> {
    let tries = calls.into_iter().map(|(person, request)| {
        tokio::spawn(async move {
            match person.api.call::<Value>(&request).await {
                Ok(answer) => Ok(answer),
                Err(ApiError::Problem(problem)) => Err((problem.status, problem.code)),
                Err(error) => panic!("no answer: {error}"),
            }
        })
    });
    join_all(tries).await.into_iter().map(Result::unwrap).collect()
}

async fn ten_dosas_for_a_thousand(scene: &Scene) {
    let mut menu = dishes(&[id(), id()]);
    menu[0]["capacity"] = json!(LEFT);
    let kitchen = scene.kitchen("Last Ten", (0.0, 0.0), json!({"menu": menu})).await;
    let order = kitchen.order(1);
    let calls = (0..CROWD).map(|number| {
        let request = Request::new(Method::POST, "/v1/orders").json(&order);
        (
            scene.customer(),
            request.header("idempotency-key", format!("crowd-{number}")),
        )
    });
    let answers = all_at_once(calls.collect()).await;
    let placed: Vec<_> = answers.iter().flatten().collect();
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!((placed.len(), refused.len()), (LEFT, CROWD - LEFT));
    assert!(
        refused
            .iter()
            .all(|(status, code)| (*status, code.as_str()) == (409, "sold_out")),
        "{refused:?}"
    );
    assert_eq!(kitchen.left(0).await, 0);
    for order in &placed {
        scene.state(order, "CONFIRMED").await;
    }
    let sold = scene.stack.nodes[0].api.all_orders().await.unwrap();
    assert_eq!(
        sold.iter()
            .flat_map(|order| &order.lines)
            .map(|line| line.quantity)
            .sum::<u32>(),
        10
    );
    // One gives up, and exactly one more is there for whoever asks next.
    scene
        .operator
        .post(&format!("{}/cancel", path(placed[0])), json!({}))
        .await;
    assert_eq!(kitchen.left(0).await, 1);
    scene.customer().place(&order).await;
    scene.customer().refused("/v1/orders", &order, "409 sold_out").await;
}

async fn one_offer_for_a_thousand_hands(scene: &Scene) {
    let kitchen = scene.kitchen("One Offer", (2_000.0, 0.0), json!({})).await;
    let asha = scene.customer();
    let ravi = scene.driver(&kitchen, 100.0).await;
    let order = scene.cooked(&asha, &kitchen, &kitchen.order(1)).await;
    let offer = format!("/v1/offers/{}/accept", ravi.offer(&order).await);
    let mut others = Vec::new();
    for number in 0..20 {
        others.push(scene.driver(&kitchen, 200.0 + f64::from(number)).await);
    }
    let calls = (0..CROWD).map(|number| {
        let who = if number % 2 == 0 {
            &ravi
        } else {
            &others[number % others.len()]
        };
        let request = Request::new(Method::POST, &offer).header("idempotency-key", format!("hand-{number}"));
        (Person::clone(who), request)
    });
    let answers = all_at_once(calls.collect()).await;
    let taken: Vec<_> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.is_ok())
        .collect();
    assert_eq!(taken.len(), 1, "exactly one wins");
    assert_eq!(taken[0].0 % 2, 0, "and it is the one who was asked");
    let gone = (409, "offer_gone".to_owned());
    assert!(
        answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .all(|no| *no == gone)
    );
    assert_eq!(scene.count(&order, "driver.assigned").await, 1);
    let now = scene.operator.get(&path(&order)).await;
    assert_eq!(now["delivery"]["driver"]["id"], ravi.id.as_str());
}
