//! A hub and its regions on free ports, in a directory that goes away.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::Client;

use super::super::*;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The pinned server. Absent, tests are skipped, but never in CI.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(super) fn binary() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing; run ./scripts/install-nats",
        path.display()
    );
    eprintln!("skipped: {} is missing; run ./scripts/install-nats", path.display());
    None
}

/// Ports that were free a moment ago, all different.
pub(super) fn ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// Waits until `check` gives something.
pub(super) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

pub(super) fn server(binary: &Path, port: u16) -> LocalServer {
    LocalServer {
        binary: binary.to_owned(),
        port,
        max_file_store_bytes: 256 << 20,
        ..LocalServer::default()
    }
}

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) binary: PathBuf,
    pub(super) hub_options: HubBroker,
    pub(super) users: Vec<LeafUser>,
}

impl Bench {
    /// `None` where there is no server to test.
    pub(super) fn new() -> Option<Self> {
        let binary = binary()?;
        let [port, leaf_port] = ports();
        let leaf = LeafPort {
            host: Ipv4Addr::LOCALHOST.into(),
            port: leaf_port,
            ..LeafPort::default()
        };
        let hub_options = HubBroker {
            server: server(&binary, port),
            leaf,
            ..HubBroker::default()
        };
        Some(Self {
            dir: tempfile::tempdir().unwrap(),
            binary,
            hub_options,
            users: Vec::new(),
        })
    }

    pub(super) fn dir_of(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn start_hub(&self) -> ManagedServer {
        ManagedServer::hub(&self.hub_options, &self.users, &self.dir_of("hub")).unwrap()
    }

    /// Enrols a region and gives its options.
    pub(super) fn enrol(&mut self, region: &str) -> RegionBroker {
        let pair = nkeys::KeyPair::new_user();
        let seed_file = self.dir.path().join(format!("{region}.seed"));
        std::fs::write(&seed_file, format!("{}\n", pair.seed().unwrap())).unwrap();
        self.users.push(LeafUser {
            region: region.parse().unwrap(),
            public_nkey: pair.public_key(),
        });
        let hub_urls = vec![format!("nats-leaf://127.0.0.1:{}", self.hub_options.leaf.port)];
        let [port] = ports();
        RegionBroker {
            server: server(&self.binary, port),
            leaf: Some(LeafLink {
                hub_urls,
                seed_file,
                ca_file: None,
            }),
            ..RegionBroker::default()
        }
    }

    pub(super) fn start(&self, region: &str, options: &RegionBroker) -> ManagedServer {
        ManagedServer::region(&region.parse().unwrap(), options, &self.dir_of(region)).unwrap()
    }
}

pub(super) async fn client(server: &ManagedServer, name: &str) -> Client {
    let client = connect(&server.access(), name, &format!("_INBOX.{name}"))
        .await
        .unwrap();
    server.ready(PATIENCE).await.unwrap();
    until("the client is connected", async || client.flush().await.ok()).await;
    client
}

/// Waits until the link of `region` carries JetStream requests of the hub. The region must have its stream.
pub(super) async fn linked(hub: &Client, region: &str) {
    let context = async_nats::jetstream::with_domain(hub.clone(), region);
    until("the link is up", async || {
        context.get_stream(format!("EV_{region}")).await.ok()
    })
    .await;
}

pub(super) async fn event_stream(client: &Client, region: &str) {
    let context = async_nats::jetstream::new(client.clone());
    let config = async_nats::jetstream::stream::Config {
        name: format!("EV_{region}"),
        subjects: vec![format!("tomato.ev.{region}.>")],
        ..Default::default()
    };
    context.get_or_create_stream(config).await.unwrap();
}

pub(super) async fn publish(client: &Client, subject: &str) {
    let context = async_nats::jetstream::new(client.clone());
    context
        .publish(subject.to_owned(), "x".into())
        .await
        .unwrap()
        .await
        .unwrap();
}
