//! Money, analytics, alerts, roles, the page and what programs read, over a history with everything in it.

use super::*;
use crate::alerts::rules::Firing;
use crate::config::Access;
use crate::measure::history::{History, Plant};
use crate::store::alerts;
use tomato_shared::id::UserId;

/// A hub with a history of blr in which one refund is missing.
fn api(access: Access) -> Api {
    let mut api = Api::bare(access);
    let mut history = History::new("blr".parse().unwrap(), 4, START, 20_000).unwrap();
    let mut said: Vec<_> = (0..900).map(|_| history.next()).collect();
    history.plant(Plant::MissingRefund);
    said.extend((0..200).map(|_| history.next()));
    said.extend(std::iter::from_fn(|| history.drain()));
    let arrival = |(seq, payload)| Arrival {
        origin: Origin {
            region: "blr".parse().unwrap(),
            seq,
        },
        stream_seq: None,
        follows: None,
        payload: Bytes::from(payload),
    };
    let batch = Batch {
        arrivals: said.into_iter().map(arrival).collect(),
        position: None,
    };
    apply(&mut api.conn, &batch, START).unwrap();
    api
}

impl Api {
    async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let token = self.token(Role::Operator, None);
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn text(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path).await).unwrap()
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let token = self.token(Role::Operator, None);
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }
}

#[tokio::test]
async fn money_is_where_it_is_and_what_is_missing_is_listed() {
    let api = api(Access::Finance);
    let money = api.get("/v1/money").await;
    assert!(
        money["books"]
            .as_array()
            .unwrap()
            .iter()
            .all(|books| books["sum_minor"] == 0)
    );
    assert_eq!(money["unmatched"], 1);
    let list = api.get("/v1/money/unmatched").await;
    assert_eq!(list["unmatched"][0]["reason"], "refund_missing");
    let order = list["unmatched"][0]["order_id"].as_str().unwrap();
    let order = api.get(&format!("/v1/orders/{order}")).await;
    assert_eq!(order["money"]["mismatch"], "refund_missing");
    assert!(!order["entries"].as_array().unwrap().is_empty() && !order["payments"].as_array().unwrap().is_empty());
    let csv = api.text("/v1/money/unmatched?format=csv").await;
    assert_eq!(csv.lines().count(), 2);

    let until = format!("{{\"until\": \"{}\"}}", clock::now());
    let (status, first) = api.post("/v1/money/settlements", &until).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let payouts = first["payouts"].as_array().unwrap();
    let (status, again) = api.post("/v1/money/settlements", &until).await;
    assert_eq!((status, &again), (StatusCode::OK, &first));
    let payout = api
        .get(&format!(
            "/v1/money/payouts/{}",
            payouts[0]["payout_id"].as_str().unwrap()
        ))
        .await;
    let owed: i64 = payout["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| -entry["amount_minor"].as_i64().unwrap())
        .sum();
    assert_eq!(payout["amount_minor"], owed);
    let run = payouts[0]["run_id"].as_str().unwrap();
    let csv = api.text(&format!("/v1/money/settlements/{run}?format=csv")).await;
    assert_eq!(csv.lines().count(), payouts.len() + 1);

    let statement = r#"{"lines":[{"id":"x","transaction_id":"nobody","kind":"charge","amount_minor":5,"currency":"INR","at":"2026-11-23T08:00:00Z"}]}"#;
    let path = "/v1/money/statements?provider=simulated&region=blr";
    let (status, made) = api.post(path, statement).await;
    assert_eq!((status, &made["new"]), (StatusCode::CREATED, &1.into()));
    let (_, made) = api.post(path, statement).await;
    assert_eq!(made["new"], 0);
    assert_eq!(api.get("/v1/money").await["unmatched"], 2);
}

#[tokio::test]
async fn orders_of_who_calls_are_found_by_the_hash_of_the_number() {
    let api = api(Access::Operator);
    let newest = api.get("/v1/orders?limit=1").await["orders"][0].clone();
    let customer: UserId = newest["customer_id"].as_str().unwrap().parse().unwrap();
    let number = u64::from_be_bytes(*customer.bytes().last_chunk().unwrap());
    let (typed, path) = (format!("0091 98-{number:08}"), "/v1/phone-hashes");
    let (status, hashed) = api.post(path, &serde_json::json!({"phone": typed}).to_string()).await;
    assert_eq!((status, &hashed["phone_hash"]), (StatusCode::OK, &newest["phone_hash"]));
    let hash = hashed["phone_hash"].as_str().unwrap();
    let found = api.get(&format!("/v1/orders?phone_hash={hash}&limit=100")).await;
    assert_eq!(
        found,
        api.get(&format!("/v1/orders?customer={customer}&limit=100")).await
    );
    let unknown = PHONE_KEY.hash(&"+4930123456".parse().unwrap());
    let found = api.get(&format!("/v1/orders?phone_hash={unknown}")).await;
    assert_eq!(found["orders"], serde_json::json!([]));
    for wrong in [
        r#"{"phone":"98000012"}"#,
        r#"{"phone":12}"#,
        "{}",
        r#"{"phone":"+919800000012","x":1}"#,
    ] {
        assert_eq!(api.post(path, wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    for access in [Access::Viewer, Access::Finance] {
        let body = r#"{"phone":"+919800000012"}"#;
        assert_eq!(Api::bare(access).post(path, body).await.0, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn access_decides_who_does_what() {
    for (access, acknowledges, settles) in [
        (Access::Viewer, false, false),
        (Access::Operator, true, false),
        (Access::Finance, false, true),
        (Access::Admin, true, true),
    ] {
        let mut api = Api::bare(access);
        let firing = Firing {
            rule: "sync_lag",
            region: "blr".parse().unwrap(),
            detail: "2 events are missing".into(),
        };
        alerts::keep(&mut api.conn, &[firing], START).unwrap();
        assert_eq!(api.get("/v1/me").await["access"], access.name());
        let allowed = |yes| if yes { StatusCode::OK } else { StatusCode::FORBIDDEN };
        let (status, _) = api.post("/v1/alerts/1/ack", "").await;
        assert_eq!(status, allowed(acknowledges), "{access:?}");
        let (status, _) = api
            .post("/v1/money/settlements", "{\"until\":\"2026-01-01T00:00:00Z\"}")
            .await;
        assert_eq!(status, allowed(settles), "{access:?}");
        let alert = &api.get("/v1/alerts").await["alerts"][0];
        assert_eq!(alert["acked_by"].as_str(), acknowledges.then_some("opr_1"));
    }
}

#[tokio::test]
async fn analytics_add_up_by_any_grouping() {
    let api = api(Access::Viewer);
    let overview = api.get("/v1/overview").await;
    let range = "from=2025-11-23T00:00:00Z&to=2025-11-25T00:00:00Z";
    for (by, step) in [
        ("time", "minute"),
        ("time,region", "hour"),
        ("cell", "day"),
        ("cell,time", "hour"),
        ("region", "day"),
    ] {
        let found = api.get(&format!("/v1/analytics?{range}&by={by}&step={step}")).await;
        let groups = found["groups"].as_array().unwrap();
        let sum = |field: &str| groups.iter().map(|group| group[field].as_i64().unwrap()).sum::<i64>();
        assert_eq!(sum("created"), overview["sum"]["placed"], "{by} {step}");
        assert_eq!(sum("delivered"), overview["sum"]["delivered"], "{by} {step}");
        assert_eq!(sum("cancelled"), overview["sum"]["cancelled"], "{by} {step}");
        let revenue: i64 = groups
            .iter()
            .filter_map(|group| group["money"]["INR"]["revenue_minor"].as_i64())
            .sum();
        assert_eq!(revenue, overview["sum"]["money"][0]["revenue_minor"]);
    }
    let csv = api.text(&format!("/v1/analytics?{range}&by=cell&format=csv")).await;
    assert!(csv.lines().count() > 5 && csv.contains("revenue_minor"));
    let parquet = api
        .bytes(&format!("/v1/analytics?{range}&by=cell&format=parquet"))
        .await;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let token = api.token(Role::Operator, None);
    let (status, _) = api.ask(Method::GET, "/v1/analytics?by=moon", Some(&token)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn map_shows_each_cell_with_its_boundary() {
    let api = api(Access::Viewer);
    let cells = api.get("/v1/map/cells").await;
    let features = cells["features"].as_array().unwrap();
    assert!(features.len() > 20);
    let ring = features[0]["geometry"]["coordinates"][0].as_array().unwrap();
    assert_eq!((ring.len(), ring.first()), (7, ring.last()));
    let values = api.get("/v1/map/values").await;
    assert!(!values["cells"].as_array().unwrap().is_empty());
    assert_eq!(
        api.get("/v1/map/orders?region=blr").await["orders"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn every_operation_of_the_document_is_there_and_every_answer_has_what_it_promises() {
    let api = api(Access::Admin);
    let document = api.get("/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 17);
    for (path, operations) in paths {
        let Some(operation) = operations.get("get") else {
            continue;
        };
        if path.contains('{') {
            continue;
        }
        let query = match path.as_str() {
            "/v1/map/orders" | "/v1/map/drivers" => "?region=blr".into(),
            "/v1/locate" => format!("?cell={CELL}"),
            _ => String::new(),
        };
        let answer = api.get(&format!("{path}{query}")).await;
        let schema = &operation["responses"]["2XX"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let schema = &document["components"]["schemas"][name];
        let promised = schema["properties"].as_object().unwrap();
        let given = answer.as_object().unwrap();
        assert!(given.keys().all(|key| promised.contains_key(key)), "{path}: {given:?}");
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(given.contains_key(required.as_str().unwrap()), "{path}: {required}");
        }
    }
}

#[tokio::test]
async fn metrics_name_every_region_once_per_series() {
    let api = api(Access::Viewer);
    let text = api.text("/metrics").await;
    assert!(
        text.contains("tomato_orders_total{region=\"blr\",step=\"delivered\"}"),
        "{text}"
    );
    let mut series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let before = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), before);
}

#[tokio::test]
async fn page_is_served_without_a_token_and_lets_nothing_else_in() {
    let api = Api::bare(Access::Viewer);
    let ask = |path: &str| {
        api.router
            .clone()
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
    };
    let home = ask("/").await.unwrap();
    assert_eq!(home.headers()["location"], "/ui/");
    let page = ask("/ui/").await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(
        ask("/ui/js/main.js").await.unwrap().headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    for path in ["/ui/nothing.js", "/ui/../Cargo.toml", "/ui/js/%2e%2e/style.css"] {
        assert_eq!(ask(path).await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}
