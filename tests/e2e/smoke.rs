//! One region and the hub, thirty orders by simulated people.

use http::Method;
use serde_json::json;
use tomato_tests::city::plan::phone;
use tomato_tests::client::{Api, Request};
use tomato_tests::stack::{Stack, StackPlan};

use crate::Town;

const ORDERS: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_orders_come_to_their_end_and_the_hub_knows_them() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(120.0)).unwrap();
    stack.start().await.unwrap();
    let town = Town::open(&stack, "blr", 1).await;
    town.serve(ORDERS, async {}).await;
    let tracker = town.tracker.clone();
    town.close(&stack, ORDERS).await;
    assert_eq!(tracker.complaints(), Vec::<String>::new());
    let numbers = callers(&stack.hub().api).await;
    stack.stop().await.unwrap();
    only_the_region_knows(&mut stack, &numbers);
}

/// Whoever calls is found by the telephone number, however it is typed. Returns the numbers of those who have ordered.
async fn callers(hub: &Api) -> Vec<String> {
    let list = async |query: String| {
        let asked = Request::new(Method::GET, format!("/v1/orders?limit=100{query}"));
        hub.send(&asked).await.unwrap().json()["orders"].clone()
    };
    let orders = list(String::new()).await;
    let mut numbers = Vec::new();
    for order in orders.as_array().unwrap() {
        let customer = order["customer_id"].as_str().unwrap();
        let number = phone(customer.parse().unwrap());
        let typed = format!("00{} {}-{}", &number[1..3], &number[3..8], &number[8..]);
        let asked = Request::new(Method::POST, "/v1/phone-hashes").json(&json!({"phone": typed}));
        let hashed = hub.send(&asked).await.unwrap().json();
        assert_eq!(hashed["phone_hash"], order["phone_hash"]);
        let found = list(format!("&phone_hash={}", hashed["phone_hash"].as_str().unwrap())).await;
        assert_eq!(found, list(format!("&customer={customer}")).await);
        numbers.push(number);
    }
    assert_eq!(numbers.len() as u64, ORDERS);
    numbers
}

/// The numbers are in no log, and in nothing that has left the region.
fn only_the_region_knows(stack: &mut Stack, numbers: &[String]) {
    let file = stack.hub().server.data().join("hub.db");
    let events = tomato_hub::rebuild::stored_events(&file, &"blr".parse().unwrap()).unwrap();
    assert!(events.len() > numbers.len());
    let logs = ["blr.log", "hub.log"].map(|name| std::fs::read(stack.folder().join(name)).unwrap());
    let told = events.iter().map(|(_, payload)| payload).chain(&logs);
    for bytes in told {
        let text = String::from_utf8_lossy(bytes);
        // Without the country's code, in case somebody has left it out.
        let found = numbers.iter().find(|number| text.contains(&number[3..]));
        assert_eq!(found, None, "in {text}");
    }
}
