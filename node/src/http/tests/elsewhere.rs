//! Two regions with one broker between them: what belongs to one and is asked of the other.

use std::collections::BTreeMap;

use tomato_shared::cell::{CellSet, RegionId};
use tomato_shared::directory::{Map, Share};

use super::*;
use crate::engine::command::Command;
use crate::engine::model::By;
use crate::region::peers::door::Door;
use crate::relay::tests::{Nats, nats};
use crate::writer::Context;

/// Next to Bengaluru, and not of it.
pub(super) fn far() -> LatLng {
    centre().offset_m(60_000.0, 0.0)
}

pub(super) fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}

/// `blr`, which has a restaurant and a driver; `hyd`, which has nothing; and the broker that both talk by.
pub(super) struct Pair {
    pub(super) blr: Rig,
    pub(super) hyd: Rig,
    nats: Nats,
}

impl Pair {
    pub(super) async fn new() -> Self {
        Self::with(|map, _| map).await
    }

    /// With a map as a region sees it, right or wrong.
    pub(super) async fn with(seen: impl Fn(Map, &RegionId) -> Map) -> Self {
        let nats = nats().await;
        let share = |name: &str, place| Share {
            public_url: format!("https://{name}.test"),
            cells: CellSet::disk(place, 5),
        };
        let map = Map {
            version: 1,
            regions: BTreeMap::from([
                (region("blr"), share("blr", centre())),
                (region("hyd"), share("hyd", far())),
                (region("del"), share("del", far().offset_m(0.0, 200_000.0))),
            ]),
            ..Map::default()
        };
        let peers = |name: &str| {
            let (name, client) = (region(name), nats.client.clone());
            move |locator: &Locator| Some(Arc::new(Peers::new(name, client, locator.clone())))
        };
        let blr = Rig::among(|_| {}, None, peers("blr"));
        let other = |config: &mut Config| {
            config.region.id = Some(region("hyd"));
            config.region.centre = Some(far());
        };
        let hyd = Rig::among(other, Some(&blr), peers("hyd"));
        for rig in [&blr, &hyd] {
            let peers = rig.app.peers.clone().unwrap();
            let door = Door::new(rig.app.clone(), &peers);
            tokio::spawn(door.run(rig.supervisor.stop_signal()));
        }
        blr.seed().await;
        for rig in [&blr, &hyd] {
            let map = Box::new(seen(map.clone(), &rig.app.policy.region));
            let taken = rig.writer.submit(By::System, Command::TakeMap(map), Context::default());
            taken.await.unwrap();
        }
        let pair = Self { blr, hyd, nats };
        // del answers no to everything; so nobody is silent.
        pair.say_no("del").await;
        let customer = pair.blr.customer(CUSTOMER);
        until("both doors", || async {
            let there = pair.hyd.send(pair.named("blr", "/v1/orders", &customer)).await;
            let here = pair.blr.send(pair.named("hyd", "/v1/orders", &customer)).await;
            (there.status == 200 && here.status == 200).then_some(())
        })
        .await;
        pair
    }

    fn named(&self, name: &str, path: &str, token: &str) -> Request<Body> {
        ask("GET", path, token)
            .header("Tomato-Region", name)
            .body(Body::empty())
            .unwrap()
    }

    /// A region that has nothing.
    async fn say_no(&self, name: &str) {
        use futures_util::StreamExt as _;
        use tomato_shared::subject::{self, PeerVerb};
        let client = self.nats.client.clone();
        let mut asked = client
            .subscribe(subject::peers_to(&region(name), PeerVerb::Whose))
            .await
            .unwrap();
        tokio::spawn(async move {
            let no = rmp_serde::to_vec_named(&json!({"mine": false})).unwrap();
            while let Some(message) = asked.next().await {
                client.publish(message.reply.unwrap(), no.clone().into()).await.unwrap();
            }
        });
    }

    async fn orders(&self) -> usize {
        let operator = self.blr.operator();
        self.blr.get("/v1/orders", &operator).await.json["data"]
            .as_array()
            .unwrap()
            .len()
    }
}

pub(super) fn from(reply: &Reply) -> &str {
    reply
        .headers
        .get("tomato-region")
        .map_or("", |name| name.to_str().unwrap())
}

#[tokio::test]
async fn one_key_is_one_order_through_either_node_and_the_bytes_are_the_same() {
    let pair = Pair::new().await;
    let customer = pair.blr.customer(CUSTOMER);
    let first = pair.hyd.place(&customer, "k", &basket()).await.expect(201);
    assert_eq!(from(&first), "blr");
    for nth in 0..50 {
        let rig = if nth % 2 == 0 { &pair.hyd } else { &pair.blr };
        let again = rig.place(&customer, "k", &basket()).await.expect(201);
        assert_eq!(again.bytes, first.bytes);
        assert_eq!(again.headers["location"], first.headers["location"]);
        assert_eq!(from(&again), if nth % 2 == 0 { "blr" } else { "" });
    }
    assert_eq!(pair.orders().await, 1);
    let mut other = basket();
    other["items"][0]["quantity"] = json!(3);
    let reused = pair.hyd.place(&customer, "k", &other).await.expect(422);
    assert_eq!((reused.code(), from(&reused)), ("idempotency_key_reused", "blr"));
    assert_eq!(pair.orders().await, 1);
}

#[tokio::test]
async fn reads_and_commands_find_the_region_that_has_the_thing() {
    let pair = Pair::new().await;
    let (customer, kitchen) = (pair.blr.customer(CUSTOMER), pair.blr.restaurant(RESTAURANT));
    let order = text(&pair.blr.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    let path = format!("/v1/orders/{order}");
    let (there, here) = (
        pair.hyd.get(&path, &customer).await,
        pair.blr.get(&path, &customer).await,
    );
    assert_eq!((from(&there), &there.json), ("blr", &here.json));
    let stranger = pair.blr.customer(OTHER_CUSTOMER);
    assert_eq!(
        from(&pair.hyd.get(&path, &stranger).await.expect(404)),
        "blr",
        "the owner decides who may see it"
    );
    let accept = format!("/v1/restaurants/{RESTAURANT}/orders/{order}/accept");
    let cooking = pair
        .hyd
        .post(&accept, &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    assert_eq!((from(&cooking), &cooking.json["state"]), ("blr", &json!("PREPARING")));
    let list = pair
        .hyd
        .get(&format!("/v1/restaurants/{RESTAURANT}/orders"), &kitchen)
        .await
        .expect(200);
    assert_eq!((from(&list), list.json["data"].as_array().unwrap().len()), ("blr", 1));
    let me = pair
        .hyd
        .get("/v1/drivers/me", &pair.blr.driver(DRIVER))
        .await
        .expect(200);
    assert_eq!((from(&me), &me.json["driver"]["name"]), ("blr", &json!("Asha")));
    let menu = pair
        .hyd
        .get(&format!("/v1/restaurants/{RESTAURANT}"), "")
        .await
        .expect(200);
    assert_eq!(from(&menu), "blr");
    let near = format!("/v1/restaurants?lat={}&lng={}", centre().lat(), centre().lng());
    let near = pair.hyd.get(&near, "").await.expect(200);
    assert_eq!((from(&near), near.json["data"].as_array().unwrap().len()), ("blr", 1));
    let nothing = format!("/v1/orders/{}", OrderId::from_bytes([99; 16]));
    assert_eq!(
        from(&pair.hyd.get(&nothing, &customer).await.expect(404)),
        "",
        "nobody has it"
    );
}

#[tokio::test]
async fn news_follow_and_a_socket_is_told_where_to_go() {
    let pair = Pair::new().await;
    let (customer, driver) = (pair.blr.customer(CUSTOMER), pair.blr.driver(DRIVER));
    let kitchen = pair.blr.restaurant(RESTAURANT);
    let order = text(&pair.hyd.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    let history = format!("/v1/orders/{order}/events");
    let there = pair.hyd.get(&history, &customer).await.expect(200);
    assert_eq!(
        (from(&there), &there.json),
        ("blr", &pair.blr.get(&history, &customer).await.json)
    );
    let news = pair
        .hyd
        .send(pair.named("blr", "/v1/events", &customer))
        .await
        .expect(200);
    assert_eq!(news.json, pair.blr.get("/v1/events", &customer).await.json);
    assert!(news.json["data"].as_array().is_some_and(|data| !data.is_empty()));
    let follow = format!("/v1/live?order={order}");
    let elsewhere = [
        ask("GET", &follow, &customer).body(Body::empty()).unwrap(),
        ask("GET", "/v1/live", &driver).body(Body::empty()).unwrap(),
        ask("GET", "/v1/live", &kitchen).body(Body::empty()).unwrap(),
        pair.named("blr", "/v1/live", &customer),
    ];
    for request in elsewhere {
        let told = pair.hyd.send(request).await.expect(421);
        assert_eq!(
            (told.code(), &told.json["region"], &told.json["region_url"]),
            ("misdirected", &json!("blr"), &json!("https://blr.test"))
        );
    }
    // 426: a socket would be opened.
    for (rig, path, token) in [
        (&pair.blr, follow.as_str(), &customer),
        (&pair.blr, "/v1/live", &driver),
        (&pair.blr, "/v1/live", &kitchen),
        (&pair.hyd, "/v1/live", &customer),
    ] {
        rig.get(path, token).await.expect(426);
    }
    let nothing = format!("/v1/live?order={}", OrderId::from_bytes([99; 16]));
    pair.hyd.get(&nothing, &customer).await.expect(404);
    pair.hyd.get("/v1/live?order=x", &customer).await.expect(400);
}

#[tokio::test]
async fn what_operators_do_goes_nowhere() {
    let pair = Pair::new().await;
    let operator = pair.blr.operator();
    let customer = pair.blr.customer(CUSTOMER);
    let order = text(&pair.blr.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    pair.hyd
        .get(&format!("/v1/orders/{order}"), &operator)
        .await
        .expect(404);
    for path in ["/v1/overview", "/v1/orders", "/v1/drivers"] {
        let refused = pair.hyd.send(pair.named("blr", path, &operator)).await.expect(421);
        assert_eq!(
            (refused.code(), &refused.json["region"], &refused.json["region_url"]),
            ("misdirected", &json!("blr"), &json!("https://blr.test"))
        );
    }
    let put = ask("PUT", "/v1/region", &operator).header("Tomato-Region", "blr");
    let put = pair
        .hyd
        .send(with_json(put, &json!({"paused": true, "reason": "no"})))
        .await;
    assert_eq!((put.status, put.code()), (421, "misdirected"));
    let unknown = pair
        .hyd
        .send(pair.named("bom", "/v1/orders", &customer))
        .await
        .expect(400);
    assert_eq!(unknown.code(), "invalid_header");
}

#[tokio::test]
async fn a_region_that_is_away_is_named_and_nothing_is_done_here() {
    let pair = Pair::new().await;
    let customer = pair.blr.customer(CUSTOMER);
    let mut body = basket();
    body["deliver_to"] = json!({"place": far().offset_m(0.0, 200_000.0), "line": "1, Rajpath"});
    let away = pair.hyd.place(&customer, "k", &body).await.expect(503);
    assert_eq!(
        (away.code(), &away.json["region"], &away.json["region_url"]),
        ("region_unreachable", &json!("del"), &json!("https://del.test"))
    );
    assert!(away.headers.contains_key("retry-after"));
    assert!(
        away.json["detail"].as_str().unwrap().contains("nothing was done"),
        "{away:?}"
    );
    assert_eq!(pair.orders().await, 0);
    assert!(!pair.hyd.rows().contains("order.created"));
}

#[tokio::test]
async fn a_token_is_checked_by_the_owner() {
    let pair = Pair::new().await;
    let mut claims = pair.blr.claims(Role::Customer, CUSTOMER.to_string());
    claims.regions = Some(vec!["hyd".into()]);
    let only_hyd = pair.blr.mint(&claims);
    let refused = pair.hyd.place(&only_hyd, "k", &basket()).await.expect(403);
    assert_eq!((refused.code(), from(&refused)), ("wrong_region", "blr"));
    assert_eq!(pair.orders().await, 0);
}

#[tokio::test]
async fn a_request_makes_one_hop_even_where_each_takes_the_other_for_the_owner() {
    let pair = Pair::with(|mut map, own| {
        let whole = map.regions[&region("blr")].cells.clone();
        let cells = |name: &str| {
            if name == own.as_str() {
                CellSet::default()
            } else {
                whole.clone()
            }
        };
        for name in ["blr", "hyd"] {
            map.regions.get_mut(&region(name)).unwrap().cells = cells(name);
        }
        map
    })
    .await;
    let customer = pair.blr.customer(CUSTOMER);
    let mut body = basket();
    body.as_object_mut().unwrap().remove("restaurant_id");
    for (rig, other) in [(&pair.blr, "hyd"), (&pair.hyd, "blr")] {
        let refused = rig.place(&customer, "k", &body).await.expect(421);
        assert_eq!(
            (refused.code(), &refused.json["region"]),
            ("other_region", &json!(other))
        );
    }
    assert_eq!(pair.orders().await, 0);
}
