//! Partners' webhooks: every failure, the promised tries, a kill in between, and signatures that somebody else checks.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::Request;
use tomato_tests::post::{Got, Reply};
use tomato_tests::wait::poll_until;

use super::{PATIENCE, Town, delivered, get, path, post};

const CONFIRMED: &[&str] = &["order.confirmed"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_are_told_once_whatever_fails_and_across_a_kill() {
    let mut town = Town::open(|file| file).await;
    let well = town.webhook(&town.operator, "well", &[]).await;
    let ill = town.webhook(&town.operator, "ill", CONFIRMED).await;
    let own = town.webhook(&town.kitchen, "own", &[]).await;
    let limited = Reply::Status(429, Value::Null, Some(1));
    let failures = [
        Reply::status(500),
        Reply::Silent,
        Reply::Cut,
        limited,
        Reply::status(404),
    ];
    town.post.plan("ill", failures);
    town.places("first").await;
    // The node dies while one of them has failed some of its tries, and others have their message.
    town.got("ill", 2).await;
    delivered(&town.operator, &well, "delivered").await;
    let before = town.post.got("well");
    town.killed().await;

    let tries = town.got("ill", 6).await;
    let [message] = &delivered(&town.operator, &ill, "delivered").await[..] else {
        panic!("one order, one message")
    };
    assert_eq!(town.post.got("ill").len(), 6, "five failures, then it was taken");
    for got in &tries {
        assert_eq!(
            got.header("webhook-id"),
            message["id"].as_str().unwrap(),
            "the same at every try"
        );
        assert_eq!(got.body, tries[0].body);
    }
    let log = message["attempts"].as_array().unwrap();
    // What was on its way when the node died is in nobody's log.
    assert!((5..=6).contains(&log.len()), "{log:#?}");
    assert_eq!(log.last().unwrap()["status"], 200);

    town.places("second").await;
    let ids = |got: &[Got]| got.iter().map(|got| got.header("webhook-id")).collect::<Vec<_>>();
    let after = town.got("well", before.len() * 2).await;
    let mut all = ids(&after);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), after.len(), "what was delivered does not come again");
    assert_eq!(ids(&after)[..before.len()], ids(&before)[..]);

    // A restaurant hears what concerns it, and not that somebody is about to pay.
    delivered(&town.kitchen, &own, "delivered").await;
    let kinds: Vec<_> = town
        .post
        .got("own")
        .iter()
        .map(|got| got.json()["type"].clone())
        .collect();
    assert!(
        kinds.contains(&json!("restaurant.assigned")) && !kinds.contains(&json!("order.created")),
        "{kinds:?}"
    );
    assert!(after.iter().any(|got| got.json()["type"] == "order.created"));
    town.told_no_number(&["well", "ill", "own"]);
    town.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_are_as_promised_and_what_was_given_up_is_sent_by_hand() {
    let mut town = Town::open(|file| file).await;
    let never = town.webhook(&town.operator, "never", CONFIRMED).await;
    let gone = town.webhook(&town.operator, "gone", CONFIRMED).await;
    town.post.always("never", Reply::status(500));
    town.post.always("gone", Reply::status(410));
    town.places("one").await;

    let [dead] = &delivered(&town.operator, &never, "dead").await[..] else {
        panic!("one order, one message")
    };
    let tries = town.post.got("never");
    assert_eq!(
        (tries.len(), dead["attempts"].as_array().unwrap().len()),
        (6, 6),
        "as many as there are pauses, and one"
    );
    for (pair, pause_s) in tries.windows(2).zip([0, 1, 1, 1, 1]) {
        assert!(
            pair[1].at - pair[0].at >= Duration::from_secs(pause_s),
            "before its time"
        );
    }
    let letters = get(&town.operator, "/v1/dead-letters").await["data"].take();
    let ids: Vec<_> = letters.as_array().unwrap().iter().map(|letter| &letter["id"]).collect();
    assert!(ids.contains(&&dead["id"]), "an operator sees it: {letters:#}");

    // 410 switches a webhook off; what comes meanwhile is not made for it.
    let switched = async || Some(get(&town.operator, &path(&gone)).await).filter(|webhook| webhook["active"] == false);
    let switched = poll_until("the webhook that is gone is off", PATIENCE, switched)
        .await
        .unwrap();
    assert_eq!(switched["off_because"], "it answered 410 Gone");
    assert_eq!(town.post.got("gone").len(), 1);

    town.post.always("never", Reply::Well);
    let again = format!("{}/deliveries/{}/replay", path(&never), dead["id"].as_str().unwrap());
    assert_eq!(post(&town.operator, &again, json!({})).await["messages"], 1);
    delivered(&town.operator, &never, "delivered").await;
    let span = json!({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "dead_only": false});
    let replay = format!("{}/replay", path(&never));
    assert_eq!(post(&town.operator, &replay, span.clone()).await["messages"], 1);
    let got = town.got("never", 8).await;
    assert!(
        got.iter()
            .all(|got| got.header("webhook-id") == dead["id"].as_str().unwrap())
    );
    let only_dead = json!({"from": span["from"], "to": span["to"]});
    delivered(&town.operator, &never, "delivered").await;
    assert_eq!(post(&town.operator, &replay, only_dead).await["messages"], 0);
    town.killed().await;
    town.places("two").await;
    town.got("never", 9).await;
    assert_eq!(town.post.got("gone").len(), 1, "off stays off");
    town.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_is_away_is_left_alone_and_keeps_nobody_waiting() {
    let pause = Duration::from_millis(1_500);
    let mut town = Town::open(|file| {
        file.set("push.breaker_failures", 3)
            .set("push.breaker_pause_ms", i64::try_from(pause.as_millis()).unwrap())
            .set("push.webhooks.retry_s", vec![0; 20])
    })
    .await;
    let away = town.webhook(&town.operator, "away", CONFIRMED).await;
    town.webhook(&town.operator, "there", CONFIRMED).await;
    town.post.always("away", Reply::Cut);
    for key in ["a", "b", "c"] {
        town.places(key).await;
    }
    town.got("there", 3).await;
    let calls = town.got("away", 6).await;
    // At most as many as were under way together came before it was left alone; then one at a time.
    for pair in calls.windows(2).skip(4) {
        assert!(
            pair[1].at - pair[0].at >= pause,
            "{:?}",
            calls.iter().map(|call| call.at).collect::<Vec<_>>()
        );
    }
    town.post.always("away", Reply::Well);
    assert_eq!(delivered(&town.operator, &away, "delivered").await.len(), 3);
    town.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_are_those_of_the_standard_also_while_the_secret_changes() {
    let mut town = Town::open(|file| file).await;
    let signed = town.webhook(&town.operator, "signed", CONFIRMED).await;
    town.places("one").await;
    town.got("signed", 1).await;
    let rotated = post(&town.operator, &format!("{}/secret", path(&signed)), json!({})).await;
    assert_ne!(rotated["secret"], signed["secret"]);
    post(&town.operator, &format!("{}/ping", path(&signed)), json!({})).await;
    let got = town.got("signed", 2).await;
    assert_eq!(got[0].header("webhook-signature").split(' ').count(), 1);
    assert_eq!(got[1].header("webhook-signature").split(' ').count(), 2);
    assert_eq!(got[1].json()["type"], "ping");
    let shown = get(&town.operator, &path(&signed)).await;
    assert!(shown.get("secret").is_none(), "{shown}");
    let taken = town
        .operator
        .send(&Request::new(Method::DELETE, path(&signed)))
        .await
        .unwrap();
    assert_eq!(taken.status, 204);
    town.stack.stop().await.unwrap();

    let check = |got: &Got, secret: &Value, forged: bool| {
        json!({
            "secret": secret, "forged": forged, "body": String::from_utf8_lossy(&got.body),
            "headers": {
                "webhook-id": got.header("webhook-id"), "webhook-timestamp": got.header("webhook-timestamp"),
                "webhook-signature": got.header("webhook-signature"),
            },
        })
    };
    let cases = json!([
        check(&got[0], &signed["secret"], false),
        check(&got[0], &rotated["secret"], true),
        check(&got[1], &signed["secret"], false),
        check(&got[1], &rotated["secret"], false),
    ]);
    verified_by_others(&cases);
}

/// The reference library, from the Python package index, where `scripts/install-webhook-check` put it.
fn verified_by_others(cases: &Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join(".tools/webhooks/bin/python");
    if !python.is_file() {
        eprintln!("SKIPPED: run scripts/install-webhook-check; signatures were not checked by the reference library");
        return;
    }
    let script = root.join("tests/e2e/push/verify.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(cases.to_string().as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "the reference library does not agree");
}
