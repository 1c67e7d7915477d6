mod control;
mod live;
mod wider;

use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tomato_shared::cell::{CellSet, RegionId};
use tomato_shared::directory::Map;
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey, TrustedIssuer};
use tomato_shared::runtime::shutdown::Supervisor;
use tomato_shared::subject::Origin;
use tomato_shared::sync::Heartbeat;
use tomato_shared::time::UnixMs;
use tower::ServiceExt as _;

use super::*;
use crate::clock;
use crate::config::Access;
use crate::ingest::apply::{Arrival, Batch, apply};
use crate::life::{START, TOTAL_MINOR, Talker};
use crate::live::{Gap, Heard};
use crate::measure::story::PHONE_KEY;
use crate::store::regions;

/// A hub's API with twelve orders of blr and one of ams, and without a broker.
struct Api {
    router: Router,
    key: SigningKey,
    conn: rusqlite::Connection,
    live: Arc<Live>,
    changes: Changes,
    /// Of no tasks; without it the API counts as stopping.
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

fn arrivals(region: &str, orders: i64) -> Vec<Arrival> {
    let mut talker = Talker::new(region);
    let payloads: Vec<_> = (0..orders).flat_map(|n| talker.order(n % 3 != 2, 60_000)).collect();
    let arrival = |(seq, payload)| Arrival {
        origin: Origin {
            region: region.parse().unwrap(),
            seq,
        },
        stream_seq: Some(seq),
        follows: None,
        payload: Bytes::from(payload),
    };
    (1..).zip(payloads).map(arrival).collect()
}

impl Api {
    fn new() -> Self {
        Self::with(&[("ams", 1), ("blr", 12)], Access::Operator)
    }

    /// A hub that knows its regions, and nothing of them.
    fn bare(access: Access) -> Self {
        Self::with(&[("ams", 0), ("blr", 0)], access)
    }

    fn with(regions: &[(&str, i64)], access: Access) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.db");
        let mut conn = crate::store::open(&path).unwrap();
        crate::rebuild::bring_up(&mut conn).unwrap();
        let live = Arc::new(Live::default());
        let mut active = Active::new();
        for (name, orders) in regions.iter().copied() {
            let region: RegionId = name.parse().unwrap();
            regions::register(&mut conn, &region, name, false, START).unwrap();
            let batch = Batch {
                arrivals: arrivals(name, orders),
                position: None,
            };
            let outcome = apply(&mut conn, &batch, START).unwrap();
            live.register(&region);
            if let Some(cursor) = outcome.moved.get(&region) {
                live.advance(&region, *cursor, Instant::now());
            }
            active.insert(region, name.to_owned());
        }
        hear(&live);
        let key = SigningKey::load_or_create(&dir.path().join("key.pem")).unwrap();
        let issuer = TrustedIssuer {
            issuer: "tomato".into(),
            keys: key.jwk_set().unwrap(),
        };
        let (changes, supervisor) = (Changes::default(), Supervisor::default());
        let app = App {
            readers: Pool::readers(&path, 2).unwrap(),
            writer: Pool::writer(&path).unwrap(),
            access: Arc::new(AccessConfig {
                everyone: access,
                ..AccessConfig::default()
            }),
            live: Arc::clone(&live),
            registry: watch::channel(active).1,
            verifier: Arc::new(Verifier::new("tomato", vec![issuer], 10)),
            page: Arc::default(),
            phone_key: Arc::new(PHONE_KEY),
            changes: changes.clone(),
            directory: watch::channel(Arc::new(Directory::new(map()))).1,
            editions: Arc::default(),
            broker: None,
            looks: crate::looks::Looks::default(),
            stop: supervisor.stop_signal(),
        };
        Self {
            router: router(app),
            key,
            conn,
            live,
            changes,
            supervisor,
            _dir: dir,
        }
    }

    fn token(&self, role: Role, regions: Option<&[&str]>) -> String {
        self.token_for(60, role, regions)
    }

    /// A token that is good for so many seconds.
    fn token_for(&self, seconds: i64, role: Role, regions: Option<&[&str]>) -> String {
        let now_s = clock::now().0 / 1_000;
        let claims = Claims {
            iss: "tomato".into(),
            aud: "tomato".into(),
            sub: "opr_1".into(),
            role,
            restaurant: None,
            regions: regions.map(|names| names.iter().map(ToString::to_string).collect()),
            iat: now_s,
            nbf: now_s,
            exp: now_s + seconds,
            jti: "1".into(),
        };
        self.key.mint(&claims).unwrap()
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let kind = response.headers().get("content-type").cloned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if !status.is_success() {
            assert_eq!(kind.unwrap(), "application/problem+json", "{path}");
        }
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let token = self.token(Role::Operator, None);
        let (status, body) = self.ask(Method::GET, path, Some(&token)).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}");
        body
    }
}

/// The cell that blr owns.
const CELL: &str = "8760145b0ffffff";

fn map() -> Map {
    let mut map = Map::default();
    map.grant(&"blr".parse().unwrap(), &CellSet::new([CELL.parse().unwrap()]));
    map
}

/// blr is two events ahead of the hub, and the older of them is 3 s old.
fn hear(live: &Live) {
    let blr: RegionId = "blr".parse().unwrap();
    let beat = Heartbeat {
        incarnation: 1,
        head_seq: 86,
        published_seq: 85,
        watermark_seq: 84,
        oldest_unsynced_at: Some(UnixMs(5_000)),
        at: UnixMs(8_000),
        public_url: "http://blr.example".into(),
        version: "1".into(),
        drivers_online: 2,
        ..Heartbeat::default()
    };
    let heard = Heard {
        beat,
        received_at: clock::now(),
        received: Some(Instant::now()),
    };
    live.hear(&blr, heard);
    let gap = Gap {
        wanted_seq: 86,
        since: START,
        problem: Some("the node cannot be reached".into()),
    };
    live.set_gap(&blr, Some(gap));
}

#[tokio::test]
async fn overview_adds_up() {
    let api = Api::new();
    let body = api.get("/v1/overview").await;
    let sum = &body["sum"];
    assert_eq!(
        (&sum["placed"], &sum["delivered"], &sum["cancelled"]),
        (&13.into(), &9.into(), &4.into())
    );
    assert_eq!((&sum["active"], &sum["payment_failed"]), (&0.into(), &0.into()));
    let money = &sum["money"][0];
    assert_eq!(money["currency"], "INR");
    assert_eq!(money["revenue_minor"], 9 * TOTAL_MINOR);
    assert_eq!(money["refunded_minor"], 4 * TOTAL_MINOR);
    let p50 = sum["click_to_door"]["p50_ms"].as_i64().unwrap();
    assert!((59_000..=61_000).contains(&p50), "{p50}");
    assert_eq!(body["regions"][0]["region"], "ams");
    assert_eq!(body["regions"][1]["placed"], 12);
}

#[tokio::test]
async fn pages_hold_every_order_once_newest_first() {
    let api = Api::new();
    let mut seen = Vec::new();
    let mut path = "/v1/orders?limit=5".to_owned();
    loop {
        let body = api.get(&path).await;
        let orders = body["orders"].as_array().unwrap();
        seen.extend(orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = body["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(orders.len(), 5);
        path = format!("/v1/orders?limit=5&cursor={cursor}");
    }
    assert_eq!(seen.len(), 13);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "all were placed at once: by id"
    );
    let cancelled = api.get("/v1/orders?region=blr&status=CANCELLED").await;
    let orders = cancelled["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 4);
    assert!(
        orders
            .iter()
            .all(|order| order["cancel_reason"] == "no_driver" && order["region"] == "blr")
    );
    assert_eq!(api.get("/v1/orders?region=pnq").await["orders"], serde_json::json!([]));
}

#[tokio::test]
async fn order_has_its_timeline() {
    let api = Api::new();
    let list = api.get("/v1/orders?status=DELIVERED&limit=1").await;
    let id = list["orders"][0]["id"].as_str().unwrap();
    let body = api.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&body["id"], &body["status"]), (&id.into(), &"DELIVERED".into()));
    let timeline = body["timeline"].as_array().unwrap();
    assert_eq!(timeline.len(), 7);
    assert_eq!(timeline[0]["type"], "order.created");
    assert_eq!(timeline[0]["data"]["price"]["total_minor"], TOTAL_MINOR);
    assert_eq!(
        (&timeline[6]["version"], &timeline[6]["by"]),
        (&7.into(), &"system".into())
    );
    assert!(timeline[6]["at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn regions_say_what_is_missing() {
    let api = Api::new();
    let body = api.get("/v1/regions").await;
    let (ams, blr) = (&body["regions"][0], &body["regions"][1]);
    assert_eq!(
        (&ams["link"], &ams["missing_events"], &ams["applied_seq"]),
        (&"never".into(), &0.into(), &7.into())
    );
    assert_eq!(
        (&blr["link"], &blr["missing_events"], &blr["head_seq"]),
        (&"up".into(), &2.into(), &86.into())
    );
    let age = blr["oldest_unsynced_age_ms"].as_i64().unwrap();
    assert!((3_000..60_000).contains(&age), "{age}");
    assert_eq!(
        (&blr["gap"]["from_seq"], &blr["gap"]["to_seq"]),
        (&85.into(), &86.into())
    );
    assert_eq!(
        (&blr["public_url"], &blr["incarnation"]),
        (&"http://blr.example".into(), &1.into())
    );
}

#[tokio::test]
async fn wrong_requests_get_the_right_problem() {
    let api = Api::new();
    let operator = api.token(Role::Operator, None);
    let get = Method::GET;
    for (method, path, status) in [
        (&get, "/v1/nothing", 404),
        (&get, "/ui/nothing", 404),
        (&Method::POST, "/v1/orders", 405),
        (&Method::DELETE, "/livez", 405),
        (&get, "/v1/orders?colour=red", 400),
        (&get, "/v1/overview?x=1", 400),
        (&get, "/v1/regions?x=1", 400),
        (&get, "/livez?x=1", 400),
        (&get, "/v1/orders?limit=0", 400),
        (&get, "/v1/orders?limit=101", 400),
        (&get, "/v1/orders?limit=many", 400),
        (&get, "/v1/orders?limit=5&limit=6", 400),
        (&get, "/v1/orders?status=EATEN", 400),
        (&get, "/v1/orders?region=B.LR", 400),
        (&get, "/v1/orders?cursor=abc", 400),
        (&get, "/v1/orders?cursor=", 400),
        (&get, "/v1/orders?driver=usr_1", 400),
        (&get, "/v1/orders?phone_hash=%2B919845012345", 400),
        (&get, "/v1/phone-hashes", 405),
        (&get, "/v1/orders?from=yesterday", 400),
        (
            &get,
            "/v1/analytics?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            400,
        ),
        (&get, "/v1/money/payouts/po_1", 404),
        (&get, "/v1/live", 400),
        (&get, "/v1/orders/ord_00000000000000000000000000", 404),
        (&get, "/v1/orders/garbage", 404),
        (&get, "/v1/orders/%FF", 404),
    ] {
        let (found, body) = api.ask(method.clone(), path, Some(&operator)).await;
        assert_eq!(found.as_u16(), status, "{path} {body}");
        assert_eq!(body["status"], status, "{path}");
    }
}

#[tokio::test]
async fn only_operators_read_and_only_their_regions() {
    let api = Api::new();
    let get = Method::GET;
    for path in ["/v1/overview", "/v1/orders", "/v1/regions", "/v1/orders/x"] {
        assert_eq!(api.ask(get.clone(), path, None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(
            api.ask(get.clone(), path, Some("a.b.c")).await.0,
            StatusCode::UNAUTHORIZED
        );
        let customer = api.token(Role::Customer, None);
        assert_eq!(
            api.ask(get.clone(), path, Some(&customer)).await.0,
            StatusCode::FORBIDDEN
        );
    }
    let blr_order = api.get("/v1/orders?region=blr&limit=1").await["orders"][0]["id"].clone();
    let blr_order = format!("/v1/orders/{}", blr_order.as_str().unwrap());
    let ams = api.token(Role::Operator, Some(&["ams"]));
    let body = api.ask(get.clone(), "/v1/overview", Some(&ams)).await.1;
    assert_eq!(
        (&body["sum"]["placed"], body["regions"].as_array().unwrap().len()),
        (&1.into(), 1)
    );
    let body = api.ask(get.clone(), "/v1/orders", Some(&ams)).await.1;
    assert_eq!(body["orders"].as_array().unwrap().len(), 1);
    assert_eq!(
        api.ask(get.clone(), "/v1/regions", Some(&ams)).await.1["regions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        api.ask(get.clone(), "/v1/orders?region=blr", Some(&ams)).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        api.ask(get.clone(), &blr_order, Some(&ams)).await.0,
        StatusCode::NOT_FOUND
    );
    let nowhere = api.token(Role::Operator, Some(&[]));
    let body = api.ask(get, "/v1/orders", Some(&nowhere)).await.1;
    assert_eq!(body["orders"], serde_json::json!([]));
}

#[tokio::test]
async fn health_needs_no_token_and_no_broker() {
    let api = Api::new();
    for path in ["/livez", "/readyz", "/version"] {
        assert_eq!(api.ask(Method::GET, path, None).await.0, StatusCode::OK, "{path}");
    }
    let (_, body) = api.ask(Method::GET, "/readyz?verbose", None).await;
    assert_eq!(
        body["checks"][1],
        serde_json::json!({"name": "broker", "ok": false, "needed": false})
    );
    assert_eq!(api.ask(Method::HEAD, "/livez", None).await.0, StatusCode::OK);
}
