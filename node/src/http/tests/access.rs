//! Who may call, and what they may touch.

use super::*;
use crate::http::table::{Access, Method, ROUTES};

/// A path of a route, with ids that exist for nobody.
fn some_path(template: &str) -> String {
    [
        ("{rst}", RESTAURANT.to_string()),
        ("{ord}", id::<tomato_shared::id::kind::Order>(70).to_string()),
        ("{drv}", DRIVER.to_string()),
        ("{ofr}", id::<tomato_shared::id::kind::Offer>(70).to_string()),
        ("{del}", id::<tomato_shared::id::kind::Delivery>(70).to_string()),
        ("{itm}", DOSA.to_string()),
        ("{code}", "LUNCH".to_owned()),
    ]
    .into_iter()
    .fold(template.to_owned(), |path, (name, id)| path.replace(name, &id))
}

fn method(method: Method) -> &'static str {
    method.names()[0]
}

#[tokio::test]
async fn every_route_asks_for_a_token_and_a_role() {
    let rig = Rig::new();
    let tokens = [
        (Role::Customer, rig.customer(CUSTOMER)),
        (Role::Restaurant, rig.restaurant(RESTAURANT)),
        (Role::Driver, rig.driver(DRIVER)),
        (Role::Operator, rig.operator()),
        (Role::Service, rig.mint(&rig.claims(Role::Service, "hub".into()))),
    ];
    for route in ROUTES {
        let path = some_path(route.path);
        let call = |token: &str| rig.send(with_json(ask(method(route.method), &path, token), &json!({"x": 1})));
        let anonymous = call("").await;
        let (Access::Roles(roles) | Access::Socket(roles)) = route.access else {
            assert_ne!(anonymous.status, 401, "{path}");
            continue;
        };
        assert_eq!((anonymous.status, anonymous.code()), (401, "token_missing"), "{path}");
        assert!(anonymous.headers.contains_key("www-authenticate"), "{path}");
        for (role, token) in &tokens {
            let reply = call(token).await;
            let refused = (reply.status, reply.code()) == (403, "forbidden");
            assert_eq!(refused, !roles.contains(role), "{role:?} {path}: {:?}", reply.json);
            assert!(reply.status < 500, "{role:?} {path}: {:?}", reply.json);
        }
    }
}

#[tokio::test]
async fn forged_stale_and_foreign_tokens_are_refused() {
    let rig = Rig::new();
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = rig.claims(Role::Customer, CUSTOMER.to_string());
        change(&mut claims);
        rig.mint(&claims)
    };
    let good = with(&|_| {});
    let elsewhere = tempfile::tempdir().unwrap();
    let forger = SigningKey::load_or_create(&elsewhere.path().join("key.der")).unwrap();
    let forged = forger.mint(&rig.claims(Role::Operator, OPERATOR.to_string())).unwrap();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let table = [
        ("forged", forged, 401, "token_key_unknown"),
        ("unsigned", format!("{head}.{claims}."), 401, "token_signature_wrong"),
        ("garbage", "x.y.z".into(), 401, "token_malformed"),
        ("expired", with(&|claims| claims.exp -= 1_000), 401, "token_expired"),
        ("early", with(&|claims| claims.nbf += 1_000), 401, "token_not_yet_valid"),
        (
            "audience",
            with(&|claims| claims.aud = "other".into()),
            401,
            "token_audience_wrong",
        ),
        (
            "subject",
            with(&|claims| claims.sub = DRIVER.to_string()),
            401,
            "token_subject_invalid",
        ),
        (
            "kitchen of none",
            with(&|claims| claims.role = Role::Restaurant),
            403,
            "forbidden",
        ),
        (
            "other region",
            with(&|claims| claims.regions = Some(vec!["pune".into()])),
            403,
            "wrong_region",
        ),
        (
            "no region",
            with(&|claims| claims.regions = Some(vec![])),
            403,
            "wrong_region",
        ),
    ];
    for (case, token, status, code) in table {
        let reply = rig.get("/v1/orders", &token).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{case}: {:?}", reply.json);
    }
    let here = with(&|claims| claims.regions = Some(vec!["pune".into(), "blr".into()]));
    rig.get("/v1/orders", &here).await.expect(200);
    for header in ["Basic abc", "Bearer", &format!("Bearer{good}")] {
        let request = Request::builder().uri("/v1/orders").header("Authorization", header);
        let reply = rig.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.code()), (401, "token_malformed"), "{header}");
    }
    let in_query = format!("/v1/orders?access_token={good}");
    assert_eq!(
        rig.get(&in_query, "").await.code(),
        "token_missing",
        "only sockets take it from there"
    );
}

#[tokio::test]
async fn what_is_anothers_looks_like_what_is_missing() {
    let rig = Rig::new();
    rig.seed().await;
    let (owner, operator) = (rig.customer(CUSTOMER), rig.operator());
    let order = text(&rig.place(&owner, "k", &basket()).await.expect(201).json["id"]);
    let missing = id::<tomato_shared::id::kind::Order>(70).to_string();
    let strangers = [
        rig.customer(OTHER_CUSTOMER),
        rig.restaurant(OTHER_RESTAURANT),
        rig.driver(DRIVER),
        rig.driver(OTHER_DRIVER),
    ];
    let before = rig.rows();
    for token in &strangers {
        for route in ROUTES
            .iter()
            .filter(|route| route.path.contains("{ord}") || route.path.contains("{del}"))
        {
            let call = |order: &str| rig.send(matrix::request(route, order, "", token));
            let (foreign, none) = (call(&order).await, call(&missing).await);
            let strip = |reply: &Reply| {
                let mut json = reply.json.clone();
                let object = json.as_object_mut().unwrap();
                object.retain(|name, _| name != "instance" && name != "request_id");
                (reply.status, json)
            };
            assert_eq!(strip(&foreign), strip(&none), "{} {}", method(route.method), route.path);
            assert!([403, 404].contains(&foreign.status), "{}: {foreign:?}", route.path);
        }
    }
    assert_eq!(rig.rows(), before);
    let path = format!("/v1/orders/{order}");
    for token in [&owner, &operator, &rig.restaurant(RESTAURANT)] {
        rig.get(&path, token).await.expect(200);
    }
    let elsewhere = format!("/v1/restaurants/{OTHER_RESTAURANT}/orders/{order}/reject");
    rig.post(&elsewhere, &operator, json!({})).await.expect(404);
    let location = format!("/v1/drivers/{OTHER_DRIVER}/location");
    let here = json!({"latitude": 12.9, "longitude": 77.5});
    rig.post(&location, &rig.driver(DRIVER), here).await.expect(404);
    rig.get(
        &format!("/v1/restaurants/{RESTAURANT}/orders"),
        &rig.restaurant(OTHER_RESTAURANT),
    )
    .await
    .expect(404);
}
