//! Messages to Android and Apple devices.

use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::{Api, Request};
use tomato_tests::post::Reply;
use tomato_tests::wait::poll_until;

use super::{PATIENCE, Town, get};

/// An Apple device's token.
fn apple(digit: &str) -> String {
    digit.repeat(64)
}

async fn register(who: &Api, name: &str, platform: &str, token: &str) {
    let body = json!({"platform": platform, "token": token, "locale": "en-IN"});
    let request = Request::new(Method::PUT, format!("/v1/devices/{name}")).json(&body);
    let answer = who.send(&request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
}

async fn names(who: &Api) -> Vec<String> {
    let listed = get(who, "/v1/devices").await;
    assert!(!listed.to_string().contains("token"), "a token is shown: {listed}");
    let rows = listed["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

fn firebase(code: &str) -> Value {
    json!({"error": {"status": "X", "details": [{"errorCode": code}]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_told_whatever_fails_and_across_a_kill() {
    let mut town = Town::open(|file| file.set("push.tries_max", 12)).await;
    let (customer, kitchen) = (town.customer.clone(), town.kitchen.clone());
    register(&customer, "android", "fcm", "android").await;
    register(&customer, "old-android", "fcm", "old-android").await;
    register(&customer, "iphone", "apns", &apple("a")).await;
    register(&customer, "old-iphone", "apns", &apple("b")).await;
    register(&customer, "new-iphone", "apns", &apple("c")).await;
    register(&kitchen, "tablet", "fcm", "tablet").await;
    let limited = Reply::Status(429, firebase("QUOTA_EXCEEDED"), Some(1));
    town.post
        .plan("android", [Reply::status(500), limited, Reply::Cut, Reply::Silent]);
    town.post
        .always("old-android", Reply::Status(404, firebase("UNREGISTERED"), None));
    town.post
        .plan(&apple("a"), [Reply::status(503), Reply::Silent, Reply::Cut]);
    let gone = |timestamp: i64| Reply::Status(410, json!({"reason": "Unregistered", "timestamp": timestamp}), None);
    town.post.always(&apple("b"), gone(i64::MAX));
    town.post.always(&apple("c"), gone(1));
    let placed = town.places("one").await;
    tablet_is_told_at_once(&town, &placed).await;
    town.got("android", 2).await;
    town.got(&apple("a"), 2).await;
    town.killed().await;

    let android = town.got("android", 5).await;
    let ids: Vec<_> = android
        .iter()
        .map(|got| got.json()["message"]["data"]["message_id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{ids:?}");
    assert_eq!(
        android[0].json()["message"]["data"]["text_key"],
        "customer.ORDER_CONFIRMED"
    );
    let iphone = town.got(&apple("a"), 4).await;
    for got in &iphone {
        assert_eq!(got.header("apns-id"), iphone[0].header("apns-id"));
        assert_eq!(got.header("apns-collapse-id"), placed["id"].as_str().unwrap());
        assert_eq!(
            (got.header("apns-topic"), got.header("apns-push-type")),
            ("example.tomato".into(), "alert".into())
        );
        assert_eq!(got.json()["aps"]["alert"]["title"], "Order confirmed");
    }
    assert_eq!(
        town.post.tokens(),
        2,
        "an access token is kept; the second is of the second start"
    );
    the_dead_are_forgotten(&customer).await;

    // What was told is not told again, and the next order finds everybody well.
    town.places("two").await;
    town.got("android", 6).await;
    town.got(&apple("a"), 5).await;
    let told = async || {
        let dead = get(&town.operator, "/v1/dead-letters").await["data"].take();
        let dead = dead.as_array().unwrap().clone();
        (dead.len() == 2).then_some(dead)
    };
    // Apple says of the new telephone that it was gone before: nothing can be done about its two messages.
    let dead = poll_until("what could not be told", PATIENCE, told).await.unwrap();
    assert!(
        dead.iter()
            .all(|letter| letter["channel"] == "apns" && letter["attempts"][0]["status"] == 410),
        "{dead:#?}"
    );
    assert_eq!(
        (town.post.got("android").len(), town.post.got(&apple("a")).len()),
        (6, 5)
    );
    assert_eq!(town.post.got("tablet").len(), 2);
    town.told_no_number(&["android", "tablet", &apple("a")]);
    town.stack.stop().await.unwrap();
}

async fn tablet_is_told_at_once(town: &Town, placed: &Value) {
    // The tablet has no trouble, and is not kept waiting by those that have.
    let new_order = town.got("tablet", 1).await.remove(0).json()["message"].take();
    assert_eq!(
        (&new_order["data"]["type"], &new_order["data"]["order_id"]),
        (&json!("NEW_ORDER"), &placed["id"])
    );
    assert_eq!(
        (&new_order["android"]["priority"], &new_order["android"]["collapse_key"]),
        (&json!("HIGH"), &placed["id"])
    );
    assert_eq!(new_order["notification"]["title"], "New order");
}

async fn the_dead_are_forgotten(customer: &Api) {
    // Those that are there no more are forgotten; one that was registered since Apple last saw it go is not.
    let forgotten = async || {
        let names = names(customer).await;
        (!names.contains(&"old-android".into()) && !names.contains(&"old-iphone".into())).then_some(names)
    };
    let left = poll_until("dead tokens are forgotten", PATIENCE, forgotten)
        .await
        .unwrap();
    assert!(left.contains(&"new-iphone".into()) && left.len() == 3, "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telephone_is_in_one_hand_and_nobody_has_too_many() {
    let mut town = Town::open(|file| file.without("push.fcm").without("push.apns")).await;
    let (customer, kitchen) = (town.customer.clone(), town.kitchen.clone());
    register(&customer, "phone", "fcm", "tok9").await;
    register(&kitchen, "phone", "fcm", "tok9").await;
    assert_eq!(
        (names(&customer).await.len(), names(&kitchen).await.len()),
        (0, 1),
        "who signed in last has it"
    );
    for nth in 0..12 {
        register(&customer, &format!("phone-{nth}"), "fcm", &format!("tok9-{nth}")).await;
    }
    let kept = names(&customer).await;
    assert_eq!(kept.len(), 10);
    assert!(
        !kept.contains(&"phone-0".into()) && kept.contains(&"phone-11".into()),
        "{kept:?}"
    );
    let signed_out = customer
        .send(&Request::new(Method::DELETE, "/v1/devices/phone-11"))
        .await
        .unwrap();
    assert_eq!(signed_out.status, 204);
    let wrong = json!({"platform": "apns", "token": "../../3/device"});
    let refused = customer
        .send(&Request::new(Method::PUT, "/v1/devices/x").json(&wrong))
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["code"]),
        (400, &json!("invalid_body"))
    );
    assert_eq!(names(&customer).await.len(), 9);

    // Without a push service the log is told, of nobody's token.
    town.places("one").await;
    let log = town.stack.node("blr").server.data().parent().unwrap().join("blr.log");
    let told = async || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        (log.matches("a device would be told").count() >= 10).then_some(log)
    };
    let log = poll_until("the log is told", PATIENCE, told).await.unwrap();
    assert!(log.contains("customer.ORDER_CONFIRMED") && log.contains("restaurant.NEW_ORDER"));
    assert!(!log.contains("tok9"), "a token is in the log");
    town.stack.stop().await.unwrap();
}
