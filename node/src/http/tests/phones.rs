//! A customer's telephone number: who is told it, and when. What stands for it outside the region is for the hub alone.

use tomato_shared::event::{self, Decoded, Event};
use tomato_shared::phone::{Phone, PhoneHash};

use super::socket::{Client, connect, expect, next, serve};
use super::*;

/// What all ways to write the number have in common.
const DIGITS: &str = "9845012345";

/// Those who have to do with an order, with their tokens.
struct Cast {
    rig: Rig,
    customer: String,
    kitchen: String,
    driver: String,
    operator: String,
    hash: PhoneHash,
}

/// Who reads the number somewhere: customer, kitchen, driver, operator.
type Told = (bool, bool, bool, bool);

impl Cast {
    /// Whether the number stands in anything that somebody may read about the order.
    async fn reads(&self, token: &str, order: &str) -> bool {
        let mut told = false;
        let orders = [
            format!("/v1/orders/{order}"),
            format!("/v1/orders/{order}/tracking"),
            format!("/v1/orders/{order}/receipt"),
            "/v1/orders".into(),
            format!("/v1/restaurants/{RESTAURANT}/orders"),
            "/v1/drivers/me".into(),
            "/v1/dispatch".into(),
        ];
        for path in orders {
            let body = self.read(token, &path).await;
            told |= body.contains(DIGITS);
        }
        // What happened, and to whom, can be told without it.
        let others = [
            format!("/v1/orders/{order}/events"),
            "/v1/events".into(),
            "/v1/drivers".into(),
            "/v1/audit".into(),
        ];
        for path in others {
            let body = self.read(token, &path).await;
            assert!(!body.contains(DIGITS), "{path} {body}");
        }
        told
    }

    /// What a path says; nothing to those whom it is not for.
    async fn read(&self, token: &str, path: &str) -> String {
        let reply = self.rig.get(path, token).await;
        assert!([200, 403, 404].contains(&reply.status), "{path} {reply:?}");
        let body = String::from_utf8(reply.bytes).unwrap();
        assert!(!body.contains(&self.hash.to_string()), "{path} {body}");
        body
    }

    async fn told(&self, order: &str) -> Told {
        (
            self.reads(&self.customer, order).await,
            self.reads(&self.kitchen, order).await,
            self.reads(&self.driver, order).await,
            self.reads(&self.operator, order).await,
        )
    }

    /// A socket of somebody's, past the greeting.
    async fn listen(&self, addr: &str, token: &str) -> Client {
        let mut client = connect(addr, token, "", "json").await.unwrap();
        expect(&mut client, "HELLO").await;
        expect(&mut client, "SNAPSHOT").await;
        client
    }

    async fn act(&self, path: &str, token: &str, body: Value) -> Value {
        self.rig.post(path, token, body).await.expect(200).json
    }
}

/// The names of the messages up to the end of the order, and which of them told the number.
async fn heard(client: &mut Client, hash: PhoneHash) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    loop {
        let message = next(client).await.unwrap();
        let (name, body) = (text(&message["type"]), message.to_string());
        assert!(!body.contains(&hash.to_string()), "{body}");
        let ends = name == "ORDER_DELIVERED";
        all.push((name, body.contains(DIGITS)));
        if ends {
            return all;
        }
    }
}

#[tokio::test]
async fn a_number_is_told_to_who_needs_it_and_its_hash_to_nobody() {
    let rig = Rig::new();
    rig.seed().await;
    let addr = serve(&rig).await;
    let phone: Phone = format!("+91{DIGITS}").parse().unwrap();
    let cast = Cast {
        customer: rig.customer(CUSTOMER),
        kitchen: rig.restaurant(RESTAURANT),
        driver: rig.driver(DRIVER),
        operator: rig.operator(),
        hash: PHONE_KEY.hash(&phone),
        rig,
    };
    let mut app = cast.listen(&addr, &cast.customer).await;
    let mut tablet = cast.listen(&addr, &cast.kitchen).await;
    let mut wheel = cast.listen(&addr, &cast.driver).await;
    let mut desk = cast.listen(&addr, &cast.operator).await;
    let mut body = basket();
    body["deliver_to"]["phone"] = json!("0091 98450-12345");
    let placed = cast.rig.place(&cast.customer, "k", &body).await.expect(201).json;
    assert_eq!(placed["deliver_to"]["phone"], json!(phone), "as E.164 writes it");
    let (order, pin) = (text(&placed["id"]), placed["pin"].clone());
    let kept_from_driver = (true, false, false, true);
    assert_eq!(cast.told(&order).await, kept_from_driver);
    let kitchen = |verb: &str| format!("/v1/restaurants/{RESTAURANT}/orders/{order}/{verb}");
    cast.act(&kitchen("accept"), &cast.kitchen, json!({"ready_in_min": 5}))
        .await;
    cast.act(&kitchen("ready"), &cast.kitchen, json!({})).await;
    let me = until("an offer", || async {
        let me = cast.rig.get("/v1/drivers/me", &cast.driver).await.expect(200).json;
        (me["offers"] != json!([])).then_some(me)
    });
    let offer = text(&me.await["offers"][0]["delivery"]["offer"]["id"]);
    assert_eq!(cast.told(&order).await, kept_from_driver, "an offer is no order");
    let taken = cast
        .act(&format!("/v1/offers/{offer}/accept"), &cast.driver, json!({}))
        .await;
    assert_eq!(taken["deliver_to"]["phone"], json!(phone));
    let delivery = |verb: &str| format!("/v1/deliveries/{}/{verb}", text(&taken["delivery"]["id"]));
    assert_eq!(cast.told(&order).await, (true, false, true, true));
    cast.act(&delivery("pickup"), &cast.driver, json!({})).await;
    assert_eq!(cast.told(&order).await, (true, false, true, true));
    let proof = json!({"proof": {"kind": "pin", "pin": pin}});
    cast.act(&delivery("complete"), &cast.driver, proof).await;
    assert_eq!(cast.told(&order).await, kept_from_driver, "it is over");

    let all = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names.iter().map(|(name, told)| ((*name).to_owned(), *told)).collect()
    };
    let drivers = [
        ("NEW_OFFER", false),
        ("DRIVER_ASSIGNED", true),
        ("ORDER_PICKED_UP", true),
        ("ORDER_DELIVERED", false),
    ];
    assert_eq!(heard(&mut wheel, cast.hash).await, all(&drivers));
    assert!(heard(&mut tablet, cast.hash).await.iter().all(|(_, told)| !told));
    assert!(heard(&mut app, cast.hash).await.iter().any(|(_, told)| *told));
    assert!(heard(&mut desk, cast.hash).await.iter().any(|(_, told)| *told));
    leaves_as_a_hash(&cast.rig, cast.hash);
}

/// What leaves the region has the hash once, with the order, and the number nowhere.
fn leaves_as_a_hash(rig: &Rig, hash: PhoneHash) {
    let connection = store::pool::connect(&rig.directory.path().join("region.db")).unwrap();
    let mut statement = connection.prepare("SELECT payload FROM outbox").unwrap();
    let payloads: Vec<Vec<u8>> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut hashes = Vec::new();
    for payload in payloads {
        assert!(!payload.windows(DIGITS.len()).any(|part| part == DIGITS.as_bytes()));
        if let Decoded::Known(envelope) = event::decode(&payload).unwrap()
            && let Event::OrderCreated { phone_hash, .. } = envelope.event
        {
            hashes.push(phone_hash);
        }
    }
    assert_eq!(hashes, [Some(hash)]);
}
