//! The routes as clients meet them: the real router, writer and file.

mod access;
mod admin;
mod asyncapi;
mod borders;
mod data;
mod elsewhere;
mod events;
mod fields;
mod gate;
mod input;
mod lists;
mod matrix;
mod openapi;
mod order;
mod paths;
mod phones;
mod socket;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DriverId, Id, ItemId, Kind, OrderId, RestaurantId, UserId};
use tomato_shared::phone::PhoneKey;
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey, TrustedIssuer, Verifier};
use tomato_shared::runtime::nats::LinkLog;
use tomato_shared::runtime::otlp::Tracer;
use tomato_shared::runtime::shutdown::Supervisor;
use tomato_shared::time::{DurationMs, UnixMs};
use tower::ServiceExt as _;

use super::{App, Parts, router};
use crate::clock::Clock;
use crate::config::{Config, DispatchPolicyName, RateConfig};
use crate::engine::policy::Policy;
use crate::engine::task::Task;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::payments::Provider;
use crate::payments::simulated::Simulated;
use crate::push::Desk;
use crate::push::guard::Guard;
use crate::region::control::Obedience;
use crate::region::directory::Locator;
use crate::region::peers::Peers;
use crate::store::{self, Store, load, reads};
use crate::writer::{self, Head, Outlets, Start, Writer};
use data::*;

const ISSUER: &str = "https://auth.test";

fn id<K: Kind>(n: u8) -> Id<K> {
    Id::from_bytes([n; 16])
}

const CUSTOMER: UserId = UserId::from_bytes([1; 16]);
const OTHER_CUSTOMER: UserId = UserId::from_bytes([2; 16]);
const OPERATOR: UserId = UserId::from_bytes([3; 16]);
const RESTAURANT: RestaurantId = RestaurantId::from_bytes([4; 16]);
const OTHER_RESTAURANT: RestaurantId = RestaurantId::from_bytes([5; 16]);
const DRIVER: DriverId = DriverId::from_bytes([6; 16]);
const OTHER_DRIVER: DriverId = DriverId::from_bytes([7; 16]);
const DOSA: ItemId = ItemId::from_bytes([8; 16]);
/// Of the fleet.
const PHONE_KEY: PhoneKey = PhoneKey::from_bytes([9; 32]);

fn centre() -> LatLng {
    LatLng::new(12.9716, 77.5946).unwrap()
}

/// A region in a temporary directory.
struct Rig {
    app: Arc<App>,
    router: Router,
    writer: Writer,
    clock: Clock,
    key: SigningKey,
    directory: TempDir,
    /// Payments that wait to be made; nobody makes them.
    _tasks: mpsc::Receiver<Task>,
    supervisor: Supervisor,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
    json: Value,
}

impl Reply {
    fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// Fails with the whole reply unless it has this status.
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

fn simulated(clock: Clock, directory: &Path) -> Provider {
    let ledger = directory.join("simulated.db");
    Provider::Simulated(Simulated::new(clock, DurationMs(0), &ledger).unwrap())
}

fn verifier(key: &SigningKey) -> Verifier {
    let issuer = TrustedIssuer {
        issuer: ISSUER.into(),
        keys: key.jwk_set().unwrap(),
    };
    Verifier::new("tomato", vec![issuer], 100)
}

fn start_writer(file: Store, config: &Config, policy: Arc<Policy>, (clock, outlets): (Clock, Outlets)) -> Writer {
    let (writer, _) = writer::start(Start {
        loaded: load::load(&file.connection, UnixMs(0)).unwrap(),
        store: file,
        incarnation: 1,
        watermark_seq: 0,
        fence: None,
        policy,
        limits: config.writer_limits(),
        clock,
        outlets,
    })
    .unwrap();
    writer
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// A region with other settings.
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::among(change, None, |_| None)
    }

    /// A region that trusts the issuer of another one, and knows others.
    fn among(
        change: impl FnOnce(&mut Config),
        issuer: Option<&Rig>,
        peers: impl FnOnce(&Locator) -> Option<Arc<Peers>>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (path, config) = (directory.path().join("region.db"), config(change));
        let policy = Arc::new(config.policy(vec![7; 32], Some(PHONE_KEY)).unwrap());
        let file = store::open(&path).unwrap();
        let clock = Clock::start(UnixMs(0), 1.0, UnixMs(0));
        let fleet = Arc::new(Fleet::new(DurationMs::from_mins(2)));
        let feed = Arc::new(Feed::new(0, reads::totals(&file.connection).unwrap()));
        let (catalogue, catalogue_in) = watch::channel(Arc::default());
        let (head, head_in) = watch::channel(new_head());
        let ((tasks, tasks_in), metrics) = (mpsc::channel(100), crate::metrics::tests::none());
        let outlets = Outlets {
            feed: feed.clone(),
            fleet: fleet.clone(),
            catalogue,
            head,
            tasks,
            metrics: metrics.clone(),
            news: mpsc::channel(1).0,
            tracer: Tracer::default(),
        };
        let writer = start_writer(file, &config, policy.clone(), (clock, outlets));
        let key_of = issuer.map_or(directory.path(), |rig| rig.directory.path());
        let key = SigningKey::load_or_create(&key_of.join("key.der")).unwrap();
        let supervisor = Supervisor::default();
        let public_url = format!("https://{}.test", policy.region);
        let locator = Locator::new(policy.clone(), &public_url, catalogue_in.clone());
        let control = Obedience::new(catalogue_in.clone());
        let peers = peers(&locator);
        let app = App::new(Parts {
            push: desk(&config),
            writer: writer.clone(),
            catalogue: catalogue_in,
            head: head_in,
            published: Arc::new(AtomicU64::new(0)),
            fleet,
            feed,
            clock,
            policy,
            verifier: Arc::new(verifier(&key)),
            jwks: key.jwks(),
            provider: Arc::new(simulated(clock, directory.path())),
            path,
            http: config.http,
            public_url,
            locator,
            control,
            broker: None,
            link_log: LinkLog::default(),
            peers,
            metrics,
            board: Arc::default(),
            tracer: Tracer::default(),
            stop: supervisor.stop_signal(),
        });
        let app = Arc::new(app.unwrap());
        Self {
            router: router(app.clone()),
            app,
            writer,
            clock,
            key,
            directory,
            _tasks: tasks_in,
            supervisor,
        }
    }

    fn claims(&self, role: Role, sub: String) -> Claims {
        let now = self.clock.wall_seconds();
        Claims {
            iss: ISSUER.into(),
            aud: "tomato".into(),
            sub,
            role,
            restaurant: None,
            regions: None,
            iat: now,
            nbf: now - 10,
            exp: now + 600,
            jti: String::new(),
        }
    }

    fn mint(&self, claims: &Claims) -> String {
        self.key.mint(claims).unwrap()
    }

    fn customer(&self, id: UserId) -> String {
        self.mint(&self.claims(Role::Customer, id.to_string()))
    }

    fn operator(&self) -> String {
        self.mint(&self.claims(Role::Operator, OPERATOR.to_string()))
    }

    fn driver(&self, id: DriverId) -> String {
        self.mint(&self.claims(Role::Driver, id.to_string()))
    }

    fn restaurant(&self, id: RestaurantId) -> String {
        let mut claims = self.claims(Role::Restaurant, UserId::from_bytes([9; 16]).to_string());
        claims.restaurant = Some(id.to_string());
        self.mint(&claims)
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let writes = request.method() != http::Method::GET;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap().to_vec();
        if writes && parts.status.is_success() {
            // The writer answers before it tells fleet, catalogue and feed.
            self.told().await;
        }
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            json: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        };
        openapi::check_described(&method, &path, &reply);
        reply
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(ask("GET", path, token).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.send(with_json(ask("POST", path, token), &body)).await
    }

    async fn put(&self, path: &str, token: &str, body: Value) -> Reply {
        self.send(with_json(ask("PUT", path, token), &body)).await
    }

    /// Places an order under a key of its own.
    async fn place(&self, token: &str, key: &str, body: &Value) -> Reply {
        let request = ask("POST", "/v1/orders", token).header("Idempotency-Key", key);
        self.send(with_json(request, body)).await
    }

    /// A restaurant with endless dosas and a driver next door, signed on.
    async fn seed(&self) {
        let operator = self.operator();
        self.put(&format!("/v1/restaurants/{RESTAURANT}"), &operator, restaurant())
            .await
            .expect(200);
        let me = json!({"name": "Asha", "phone": "+91 80 1"});
        self.put(&format!("/v1/drivers/{DRIVER}"), &operator, me)
            .await
            .expect(200);
        let driver = self.driver(DRIVER);
        self.put("/v1/drivers/me/status", &driver, json!({"online": true}))
            .await
            .expect(200);
        assert_eq!(self.here(&driver).await, 204);
    }

    /// Waits until readers know the newest commit.
    async fn told(&self) {
        let newest = self.app.reads.read(reads::head_seq).await.unwrap();
        until("the newest commit", || async {
            (self.app.head.borrow().seq >= newest).then_some(())
        })
        .await;
    }

    /// The driver reports to be next to the restaurant.
    async fn here(&self, driver: &str) -> u16 {
        let place = centre().offset_m(50.0, 0.0);
        let fix = json!([{"lat": place.lat(), "lng": place.lng(), "at": self.clock.now()}]);
        self.post("/v1/drivers/me/locations", driver, fix).await.status
    }

    /// Every row of the region, as text.
    fn rows(&self) -> String {
        let connection = store::pool::connect(&self.directory.path().join("region.db")).unwrap();
        let mut dump = String::new();
        for table in [
            "restaurants",
            "stock",
            "reservations",
            "drivers",
            "orders",
            "timers",
            "tasks",
            "idempotency",
            "outbox",
            "postings",
            "promotions",
            "promo_uses",
            "stars",
            "shifts",
            "audit",
            "meta",
            "devices",
            "webhooks",
            "messages",
        ] {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells: Vec<rusqlite::types::Value> = (0..columns).map(|at| row.get(at).unwrap()).collect();
                dump.push_str(&format!("{table} {cells:?}\n"));
            }
        }
        dump
    }
}

/// Of a new file.
fn new_head() -> Head {
    Head {
        incarnation: 1,
        ..Head::default()
    }
}

/// Notifications that are written down, and sent by nobody.
fn desk(config: &Config) -> Desk {
    Desk {
        bells: Arc::default(),
        guard: Guard {
            open: true,
            allowed: Arc::default(),
        },
        webhooks: config.push.webhooks.clone(),
    }
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    // Nothing runs here but the writer, which asks the nearest by itself.
    config.dispatch.policy = DispatchPolicyName::Nearest;
    config.region.id = Some("blr".parse().unwrap());
    config.region.currency = Some("INR".parse().unwrap());
    config.region.time_zone = "Asia/Kolkata".into();
    config.region.centre = Some(centre());
    config.region.rings = 5;
    config.fees.items_min_minor = 0;
    config.http.readers = 2;
    config.http.rate = unlimited();
    change(&mut config);
    config
}

fn unlimited() -> RateConfig {
    RateConfig {
        customer_per_min: 0,
        restaurant_per_min: 0,
        driver_per_min: 0,
        operator_per_min: 0,
        service_per_min: 0,
        anonymous_per_min: 0,
        positions_per_min: 0,
        burst_s: 60,
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.writer.close();
    }
}
