//! The handle of a nats-server that this program runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::conf::{self, Basis};
use super::files::{self, Files, Passwords, io_error};
use super::options::{HubBroker, LeafUser, LocalServer, RegionBroker};
use super::supervisor::{self, Order, Plan, supervise};
use super::{BrokerAccess, BrokerError, binary};
use crate::cell::RegionId;

/// A nats-server that is kept running until this is stopped or dropped (dropping blocks until it is down, at most about
/// five seconds).
#[derive(Debug)]
pub struct ManagedServer {
    name: String,
    server: LocalServer,
    files: Files,
    passwords: Passwords,
    max_file_store_bytes: u64,
    /// Of the hub: what its configuration is made from when regions come and go.
    hub: Option<HubBroker>,
    pid: watch::Receiver<Option<u32>>,
    /// Both are taken when it stops.
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// The log of a managed server, as far as it tells of the link to the hub; of another server nothing is known.
#[derive(Debug, Clone, Default)]
pub struct LinkLog(Option<PathBuf>);

impl LinkLog {
    /// Whether the hub's server refused this region's key at the last attempt. Reads the end of the log.
    pub fn is_refused(&self) -> bool {
        let read = |path: &PathBuf| supervisor::tail(path, LINK_LOG_BYTES);
        let lines = self.0.as_ref().map(read).unwrap_or_default();
        let told = |line: &&str| line.contains("Leafnode connection created") || line.contains(REFUSED);
        lines
            .lines()
            .rev()
            .find(told)
            .is_some_and(|line| line.contains(REFUSED))
    }
}

/// What nats-server writes about it, and how much of its log is looked at: more than one attempt takes.
const REFUSED: &str = "Leafnode Error 'Authorization Violation'";
const LINK_LOG_BYTES: u64 = 4_096;

/// Stops a managed server and starts it again; does nothing to another, and does not keep it from ending.
#[derive(Debug, Clone, Default)]
pub struct Restarter(Option<(mpsc::WeakUnboundedSender<Order>, PathBuf)>);

impl Restarter {
    /// Without waiting. False where there is no server of ours, and while its disk is full: it would not start there,
    /// and as it is it still carries messages.
    pub fn restart(&self) -> bool {
        let Some((orders, dir)) = &self.0 else { return false };
        let has_room = files::free_bytes(dir).is_ok_and(|free| free >= START_BYTES);
        has_room
            && orders
                .upgrade()
                .is_some_and(|orders| orders.send(Order::Restart).is_ok())
    }
}

/// What a server needs to start, and to store something afterwards.
const START_BYTES: u64 = 4 << 20;

impl ManagedServer {
    /// Starts the server of region `region` in the background; see [`super::Broker::region`].
    ///
    /// # Errors
    /// [`BrokerError`] when the binary, a file or an option is unusable.
    pub fn region(region: &RegionId, broker: &RegionBroker, data_dir: &Path) -> Result<Self, BrokerError> {
        let mut this = Self::prepare(region.as_str(), &broker.server, data_dir)?;
        if let Some(leaf) = &broker.leaf {
            this.files.install_seed(&leaf.seed_file)?;
        }
        this.files
            .write_private(&this.files.conf(), &conf::region(&this.basis(), broker.leaf.as_ref()))?;
        this.run(&broker.server)?;
        Ok(this)
    }

    /// Starts the hub's server in the background; see [`super::Broker::hub`].
    ///
    /// # Errors
    /// [`BrokerError`] when the binary, a file, an option or a user is unusable.
    pub fn hub(broker: &HubBroker, users: &[LeafUser], data_dir: &Path) -> Result<Self, BrokerError> {
        let mut this = Self::prepare(conf::HUB, &broker.server, data_dir)?;
        this.hub = Some(broker.clone());
        if broker.leaf.tls_cert_file.is_none() && !broker.leaf.host.is_loopback() {
            tracing::warn!(
                port = broker.leaf.port,
                "links of regions are not encrypted; set tls_cert_file and tls_key_file"
            );
        }
        this.write_hub(broker, users)?;
        this.run(&broker.server)?;
        Ok(this)
    }

    /// Lets exactly the regions of `users` in from now on. Running links stay: a removed region's link must be kicked,
    /// and a changed allow-list applies when a region connects again.
    ///
    /// # Errors
    /// [`BrokerError`] when a user is unusable, or when this is not the hub's server.
    pub fn reload(&self, users: &[LeafUser]) -> Result<(), BrokerError> {
        let Some(hub) = &self.hub else {
            return Err(BrokerError::Option("only the hub's server has users to reload".into()));
        };
        self.write_hub(hub, users)?;
        self.order(Order::Reload);
        Ok(())
    }

    /// What its log tells of the link to the hub.
    pub fn link_log(&self) -> LinkLog {
        LinkLog(Some(self.files.log()))
    }

    /// Restarts the server from elsewhere.
    pub fn restarter(&self) -> Restarter {
        let orders = self.orders.as_ref().map(mpsc::UnboundedSender::downgrade);
        Restarter(orders.map(|orders| (orders, self.files.dir().to_owned())))
    }

    /// Where the client of this program connects.
    pub fn access(&self) -> BrokerAccess {
        BrokerAccess {
            url: format!("nats://{}", self.address()),
            user: Some(conf::APP_USER.into()),
            password: Some(self.passwords.app.clone()),
        }
    }

    /// Where the system account is reached, for `$SYS.REQ...` requests.
    pub fn system_access(&self) -> BrokerAccess {
        BrokerAccess {
            url: format!("nats://{}", self.address()),
            user: Some("admin".into()),
            password: Some(self.passwords.sys.clone()),
        }
    }

    /// Process id of the running server; `None` between two runs.
    pub fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// Most bytes the server will keep on disk, which the limits of streams must add up to at most.
    pub fn max_file_store_bytes(&self) -> u64 {
        self.max_file_store_bytes
    }

    /// Waits until the server takes clients, its streams recovered.
    ///
    /// # Errors
    /// [`BrokerError::NotReady`] after `timeout`, with what the last attempt saw.
    pub async fn ready(&self, timeout: Duration) -> Result<(), BrokerError> {
        let started = Instant::now();
        let until = started + timeout;
        loop {
            let probed = tokio::time::timeout_at(until, self.probe()).await;
            let reason = match probed {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "no answer".into(),
            };
            if Instant::now() >= until {
                let (url, waited_ms) = (self.access().url, started.elapsed().as_millis());
                return Err(BrokerError::NotReady {
                    url,
                    waited_ms,
                    reason,
                    log: self.files.log(),
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the server: TERM, and KILL after five seconds.
    pub async fn stop(mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            // The thread logs what goes wrong itself; a panic of it ends the child all the same.
            tokio::task::spawn_blocking(|| thread.join().ok()).await.ok();
        }
    }

    fn prepare(name: &str, server: &LocalServer, data_dir: &Path) -> Result<Self, BrokerError> {
        let files = Files::open(data_dir)?;
        let passwords = files.passwords()?;
        let max_file_store_bytes = files.store_limit(server.max_file_store_bytes)?;
        Ok(Self {
            name: name.to_owned(),
            server: server.clone(),
            files,
            passwords,
            max_file_store_bytes,
            hub: None,
            pid: watch::channel(None).1,
            orders: None,
            thread: None,
        })
    }

    fn run(&mut self, server: &LocalServer) -> Result<(), BrokerError> {
        let plan = Plan {
            name: self.name.clone(),
            binary: binary::find(&server.binary)?,
            conf: self.files.conf(),
            pid_file: self.files.pid(),
            log: self.files.log(),
            output: self.files.output(),
            setpriv: binary::has_setpriv(),
        };
        if !plan.setpriv {
            tracing::warn!(
                "no setpriv here: after a kill -9 of this process its nats-server runs on until the next start"
            );
        }
        let (orders, received) = mpsc::unbounded_channel();
        let (shown, pid) = watch::channel(None);
        let failed = |error| io_error("cannot start the supervisor of", self.files.dir())(error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new().name("nats-supervisor".into());
        let thread = thread
            .spawn(move || runtime.block_on(supervise(plan, received, shown)))
            .map_err(failed)?;
        (self.orders, self.pid, self.thread) = (Some(orders), pid, Some(thread));
        Ok(())
    }

    fn basis(&self) -> Basis<'_> {
        Basis {
            name: &self.name,
            server: &self.server,
            files: &self.files,
            passwords: &self.passwords,
            max_file_store_bytes: self.max_file_store_bytes,
        }
    }

    fn write_hub(&self, broker: &HubBroker, users: &[LeafUser]) -> Result<(), BrokerError> {
        for (index, user) in users.iter().enumerate() {
            let LeafUser { region, public_nkey } = user;
            // Names and keys go into the configuration as they are: one wrong letter would stop the whole server.
            let is_key = public_nkey.starts_with('U') && nkeys::KeyPair::from_public_key(public_nkey).is_ok();
            if !is_key {
                return Err(BrokerError::Option(format!(
                    "region {region:?} with nkey {public_nkey:?} is not a leaf user"
                )));
            }
            if users.iter().take(index).any(|other| other.public_nkey == *public_nkey) {
                return Err(BrokerError::Option(format!(
                    "nkey {public_nkey} is enrolled for two regions"
                )));
            }
        }
        self.files
            .write_private(&self.files.conf(), &conf::hub(&self.basis(), broker, users))
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // Fails only when the thread has panicked, which its own log line tells.
            orders.send(order).ok();
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.server.host, self.server.port)
    }

    /// Reads the greeting. nats-server listens for clients last of all, after its streams are recovered.
    async fn probe(&self) -> Result<(), String> {
        let stream = TcpStream::connect(self.address())
            .await
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(stream)
            .take(65_536)
            .read_line(&mut line)
            .await
            .map_err(|error| error.to_string())?;
        let info = line
            .strip_prefix("INFO ")
            .and_then(|json| serde_json::from_str::<Info>(json).ok());
        match info {
            Some(info) if info.server_name == self.name && info.jetstream => Ok(()),
            Some(info) => Err(format!("server {:?} holds the port", info.server_name)),
            None => Err("something else holds the port".into()),
        }
    }
}

/// Where a server that another program runs in `data_dir` takes clients.
pub(super) fn access_of_running(server: &LocalServer, data_dir: &Path) -> Result<BrokerAccess, BrokerError> {
    Ok(BrokerAccess {
        url: format!("nats://{}", SocketAddr::new(server.host, server.port)),
        user: Some(conf::APP_USER.into()),
        password: Some(Files::stored_passwords(data_dir)?.app),
    })
}

impl Drop for ManagedServer {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[derive(Deserialize)]
struct Info {
    server_name: String,
    #[serde(default)]
    jetstream: bool,
}
