//! Devices and partners are told of events by services that fail in every way, and orders never notice.

mod devices;
mod webhooks;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tomato_shared::phone::PhoneKey;
use tomato_tests::client::{Api, Request};
use tomato_tests::post::{Got, Post};
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::once::shop_of;

/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(180);

/// Of who orders.
const PHONE: &str = "+919845012345";
const PHONE_KEY: PhoneKey = PhoneKey::from_bytes([5; 32]);

/// A region whose notifications all go to a fake.
struct Town {
    stack: Stack,
    post: Post,
    operator: Api,
    customer: Api,
    kitchen: Api,
    order: Value,
    _keys: TempDir,
}

impl Town {
    async fn open(change: impl FnOnce(RegionFile) -> RegionFile) -> Self {
        let (post, keys) = (Post::start().await, tempfile::tempdir().unwrap());
        let file = post.settings(RegionFile::named("blr"), keys.path());
        let file = file.set("push.webhooks.retry_s", vec![0, 1, 1, 1, 1]);
        let phone_key = keys.path().join("phone.key");
        std::fs::write(&phone_key, PHONE_KEY.to_hex()).unwrap();
        let file = file.set("privacy.phone_key_file", phone_key.display().to_string());
        let plan = StackPlan::default().region_file(change(file));
        let (mut stack, customer, mut order) = shop_of(plan).await;
        order["payment"] = json!({"method": "cash"});
        order["deliver_to"]["phone"] = json!(PHONE);
        let operator = stack.node("blr").api.clone();
        let restaurant = order["restaurant_id"].as_str().unwrap().parse().unwrap();
        let staff = "usr_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let kitchen = operator.with_token(&stack.issuer.restaurant(staff, restaurant));
        Self {
            stack,
            post,
            operator,
            customer,
            kitchen,
            order,
            _keys: keys,
        }
    }

    /// An order that is confirmed, as cash orders are at once.
    async fn places(&self, key: &str) -> Value {
        let request = Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", key)
            .json(&self.order);
        let placed = self.customer.send(&request).await.unwrap();
        assert_eq!(placed.status, 201, "{}", placed.json());
        let placed = placed.json();
        assert_eq!(placed["state"], "CONFIRMED", "whatever becomes of the messages");
        assert_eq!(placed["deliver_to"]["phone"], PHONE);
        placed
    }

    /// Neither the number of who ordered nor what stands for it left the region with a message.
    fn told_no_number(&self, receivers: &[&str]) {
        let hash = PHONE_KEY.hash(&PHONE.parse().unwrap()).to_string();
        for receiver in receivers {
            let got = self.post.got(receiver);
            assert!(!got.is_empty(), "{receiver} was told nothing at all");
            for message in got {
                let body = String::from_utf8_lossy(&message.body);
                assert!(
                    !body.contains(&PHONE[3..]) && !body.contains(&hash),
                    "{receiver}: {body}"
                );
            }
        }
    }

    /// A webhook of somebody's, told of these events; with its secret.
    async fn webhook(&self, who: &Api, name: &str, events: &[&str]) -> Value {
        let body = json!({"url": self.post.hook(name), "events": events});
        let made = who
            .send(&Request::new(Method::POST, "/v1/webhook-endpoints").json(&body))
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{}", made.json());
        made.json()
    }

    /// What a receiver was sent, once that is so much.
    async fn got(&self, receiver: &str, count: usize) -> Vec<Got> {
        let enough = async || Some(self.post.got(receiver)).filter(|got| got.len() >= count);
        let found = poll_until(&format!("{count} messages at {receiver}"), PATIENCE, enough).await;
        found.unwrap_or_else(|late| panic!("{late}; there are {:#?}", self.post.got(receiver)))
    }

    /// A restart as after a power cut of the process.
    async fn killed(&mut self) {
        let node = self.stack.node("blr");
        node.server.kill9();
        node.server.start().await.unwrap();
    }
}

async fn get(who: &Api, path: &str) -> Value {
    let answer = who.send(&Request::new(Method::GET, path)).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

async fn post(who: &Api, path: &str, body: Value) -> Value {
    let answer = who.send(&Request::new(Method::POST, path).json(&body)).await.unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.json());
    answer.json()
}

/// What was sent to a webhook, once the newest of it is in a state.
async fn delivered(who: &Api, webhook: &Value, state: &str) -> Vec<Value> {
    let path = format!("{}/deliveries", path(webhook));
    let settled = async || {
        let all = get(who, &path).await["data"].as_array().unwrap().clone();
        (!all.is_empty() && all.iter().all(|message| message["state"] == state)).then_some(all)
    };
    poll_until(state, PATIENCE, settled).await.unwrap()
}

fn path(webhook: &Value) -> String {
    format!("/v1/webhook-endpoints/{}", webhook["id"].as_str().unwrap())
}
