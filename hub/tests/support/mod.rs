//! A hub in a directory of its own, and regions that behave as nodes do at their NATS side.

pub(crate) mod life;
pub(crate) mod node;

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use life::TOTAL_MINOR;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};
use tomato_hub::config::HubConfig;
use tomato_hub::enrol::{self, Added, Enrolment};
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey};

/// The longest any condition may take. Far above what is needed, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `check` gives something; fails with what was waited for.
pub(crate) async fn eventually<T, F>(what: &str, check: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while start.elapsed() < PATIENCE {
        tick.tick().await;
        if let Some(found) = check().await {
            return found;
        }
    }
    panic!("waited {PATIENCE:?} for: {what}");
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn nats_binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server")
}

/// A socket at `/v1/live`.
pub(crate) type Page = WebSocketStream<TcpStream>;

/// A hub's directory, ports and keys; the hub itself may run or not.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    http_port: u16,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&dir.path().join("key.pem")).unwrap();
        std::fs::write(dir.path().join("jwks.json"), key.jwks()).unwrap();
        let this = Self {
            dir,
            http_port: free_port(),
        };
        let path = |name: &str| this.path(name).display().to_string();
        let text = format!(
            "data_dir = {data:?}\n[http]\nlisten = \"127.0.0.1:{http}\"\n[http.limits]\ndrain_ms = 500\n[[auth.issuers]]\n\
             issuer = \"tomato\"\njwks_file = {jwks:?}\n[broker.server]\nbinary = {binary:?}\nport = {port}\n\
             max_file_store_bytes = 268435456\n[broker.leaf]\nhost = \"127.0.0.1\"\nport = {leaf}\n",
            data = path("hub"),
            http = this.http_port,
            jwks = path("jwks.json"),
            binary = nats_binary(),
            port = free_port(),
            leaf = free_port(),
        );
        std::fs::write(this.path("hub.toml"), text).unwrap();
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> HubConfig {
        HubConfig::load(&self.path("hub.toml"), std::iter::empty()).unwrap()
    }

    /// Registers a region, as `tomato-hub region add` does.
    pub(crate) fn enrol(&self, region: &str) -> Enrolment {
        let region = region.parse().unwrap();
        match enrol::add(&self.config(), &region, (&self.path("enrolment"), None), false).unwrap() {
            Added::Enrolled(made) => made,
            Added::Exists => panic!("enrolled twice"),
        }
    }

    /// The hub as a process of its own, to be killed.
    pub(crate) fn spawn(&self) -> Process {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("hub.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tomato-hub"))
            .args(["run", "--config"])
            .arg(self.path("hub.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process(child)
    }

    /// The database as another process sees it; `None` while there is none.
    pub(crate) fn database(&self) -> Option<Connection> {
        Connection::open_with_flags(self.path("hub/hub.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
    }

    /// A number from the database; `None` while there is no such row.
    pub(crate) fn number(&self, sql: &str) -> Option<i64> {
        self.database()?.query_row(sql, [], |row| row.get(0)).ok()
    }

    /// Sequence up to which a region is applied.
    pub(crate) fn applied(&self, region: &str) -> u64 {
        let sql = format!("SELECT seq FROM cursors WHERE region = '{region}'");
        self.number(&sql).map_or(0, |seq| u64::try_from(seq).unwrap())
    }

    pub(crate) async fn wait_applied(&self, region: &str, seq: u64) {
        let what = format!("{region} applied up to {seq}");
        eventually(&what, || async { (self.applied(region) >= seq).then_some(()) }).await;
        assert_eq!(self.applied(region), seq);
    }

    /// Every event is there once, the orders are what they should be, and nothing is reported.
    pub(crate) fn assert_whole(&self, region: &str, orders: i64) {
        let number = |what: &str| {
            let sql = format!("SELECT {what} WHERE region = '{region}'");
            self.number(&sql).unwrap()
        };
        // A packed block has 512.
        let packed = number("512 * count(*) FROM event_blocks");
        assert_eq!(number("count(*) FROM events") + packed, orders * 7);
        assert_eq!(number("seq FROM cursors"), orders * 7);
        assert_eq!(number("count(*) FROM orders"), orders);
        let (cancelled, delivered) = (orders / 4, orders - orders / 4);
        let in_state = |state: &str| {
            let sql = format!("SELECT count(*) FROM orders WHERE region = '{region}' AND state = '{state}'");
            self.number(&sql).unwrap()
        };
        assert_eq!(in_state("DELIVERED"), delivered);
        assert_eq!(in_state("CANCELLED"), cancelled);
        assert_eq!(number("sum(total_minor) FROM orders"), orders * TOTAL_MINOR);
        assert_eq!(number("sum(refunded_minor) FROM orders"), cancelled * TOTAL_MINOR);
        assert_eq!(self.number("SELECT count(*) FROM anomalies"), Some(0));
    }

    /// `GET` with an operator's token; `None` while nobody answers.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let token = self.token(None);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port)).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).ok()
    }

    /// What `/v1/regions` says of one region.
    pub(crate) async fn region(&self, name: &str) -> Option<Value> {
        let body = self.get("/v1/regions").await?;
        let regions = body["regions"].as_array()?;
        regions.iter().find(|region| region["region"] == name).cloned()
    }

    /// A socket at `/v1/live`, for an operator of these regions.
    pub(crate) async fn live(&self, regions: Option<&[&str]>) -> Page {
        let url = format!("ws://127.0.0.1:{}/v1/live", self.http_port);
        let mut request = url.into_client_request().unwrap();
        let protocols = format!("json, bearer.{}", self.token(regions));
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols.parse().unwrap());
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port)).await.unwrap();
        client_async(request, stream).await.unwrap().0
    }

    fn token(&self, regions: Option<&[&str]>) -> String {
        let key = SigningKey::load_or_create(&self.path("key.pem")).unwrap();
        let claims = Claims {
            iss: "tomato".into(),
            aud: "tomato".into(),
            sub: "opr_1".into(),
            role: Role::Operator,
            restaurant: None,
            regions: regions.map(|names| names.iter().map(ToString::to_string).collect()),
            iat: 0,
            nbf: 0,
            exp: i64::MAX,
            jti: String::new(),
        };
        key.mint(&claims).unwrap()
    }
}

/// A hub's process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// kill -9, and its end.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
