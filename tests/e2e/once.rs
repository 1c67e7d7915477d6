//! One Idempotency-Key, one order.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::city::world::Size;
use tomato_tests::client::{Api, Request};
use tomato_tests::stack::{Stack, StackPlan};

/// A region with a little catalogue and no hub, a customer of it, and an order that it would take.
pub(crate) async fn shop() -> (Stack, Api, Value) {
    shop_of(StackPlan::default().region("blr")).await
}

/// The same in a region of one's own.
pub(crate) async fn shop_of(plan: StackPlan) -> (Stack, Api, Value) {
    shop_in(Stack::prepare(plan.without_hub()).unwrap()).await
}

/// The same in a stack of one's own, which may have a hub.
pub(crate) async fn shop_in(mut stack: Stack) -> (Stack, Api, Value) {
    stack.start().await.unwrap();
    let size = Size {
        restaurants: 3,
        drivers: 1,
        customers: 2,
    };
    let city = stack
        .city("blr", (5, size), Habits::flawless(), &Arc::new(Tracker::default()))
        .await;
    let restaurant = &city.world.restaurants[0];
    let item = restaurant
        .put
        .menu
        .iter()
        .filter(|item| item.variants.is_empty() && item.options.is_empty())
        // One that is not counted, where there is one.
        .min_by_key(|item| item.capacity.is_some())
        .unwrap();
    let order = json!({
        "restaurant_id": restaurant.id,
        "items": [{"item_id": item.id, "quantity": 1}],
        "deliver_to": {"place": restaurant.put.place, "line": "12 Church Street"},
        "payment": {"method": "card", "card": "card_ok"},
    });
    let customer = city.api.with_token(&stack.issuer.customer(city.world.customers[0]));
    (stack, customer, order)
}

fn place(key: &str, order: &Value) -> Request {
    Request::new(Method::POST, "/v1/orders")
        .header("idempotency-key", key)
        .json(order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_key_gives_one_order_and_the_same_bytes_also_after_a_kill() {
    let (mut stack, customer, order) = shop().await;
    let first = customer.send(&place("again", &order)).await.unwrap();
    assert_eq!(first.status, 201, "{}", first.json());
    let retries = (0..50).map(|_| {
        let (customer, request) = (customer.clone(), place("again", &order));
        tokio::spawn(async move { customer.send(&request).await.unwrap() })
    });
    for retry in futures_util::future::join_all(retries).await {
        let retry = retry.unwrap();
        assert_eq!((retry.status, retry.body), (first.status, first.body.clone()));
    }
    let node = stack.node("blr");
    node.server.kill9();
    node.server.start().await.unwrap();
    let after = customer.send(&place("again", &order)).await.unwrap();
    assert_eq!((after.status, after.body), (first.status, first.body.clone()));
    assert_eq!(node.api.all_orders().await.unwrap().len(), 1);

    let mut other = order.clone();
    other["items"][0]["quantity"] = json!(2);
    let refused = customer.send(&place("again", &other)).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let fresh = customer.send(&place("another", &other)).await.unwrap();
    assert_eq!(fresh.status, 201);
    assert_eq!(node.api.all_orders().await.unwrap().len(), 2);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_first_tries_at_once_with_one_key_are_one_order() {
    let (mut stack, customer, order) = shop().await;
    let tries = (0..50).map(|_| {
        let (customer, request) = (customer.clone(), place("race", &order));
        tokio::spawn(async move { customer.send(&request).await.unwrap() })
    });
    let answers: Vec<_> = futures_util::future::join_all(tries)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 && answer.body == answers[0].body)
    );
    assert_eq!(stack.node("blr").api.all_orders().await.unwrap().len(), 1);
    stack.stop().await.unwrap();
}
