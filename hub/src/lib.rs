//! Adds the regions of Tomato up: every region's events, exactly once, as orders and totals for the people who run it all.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the file, every field with meaning, unit, default and bound |
//! | `phones` | the fleet's key for hashes of telephone numbers |
//! | [`enrol`] | `tomato-hub region`: lets regions in, and out |
//! | [`cells`] | `tomato-hub cells`: has cells change hands |
//! | `registry` | notices changes of the registry while the hub runs |
//! | `admission` | lets registered regions into the broker, ends links when a key was revoked |
//! | `heartbeats`, `live` | what each region says of itself, and how far the hub is with it |
//! | `looks` | where drivers are, while somebody looks |
//! | `ingest` | stream and repair in, one transaction per batch, watermarks out; keeps and kicks the stream's sources |
//! | `control` | gives each region what it is to go by: fees, promotions, switches, a pause |
//! | `directory` | which region owns which cells: makes the map, tells the regions |
//! | `projections` | pure folds: event in, changed row out |
//! | `fold` | reads the rows that events need, folds, writes: for `ingest`, and for [`rebuild`] from the stored events |
//! | [`verify`] | compares the hub's rows with the regions' by hash |
//! | `store` | the SQLite file: schema, statements, connections |
//! | `changes` | what was just committed, for those who watch |
//! | `alerts` | rules, kept until they are over, told to a webhook |
//! | `statement` | reads the statements of payment providers |
//! | `http` | the operators' API and page |
//! | `clock` | the only reader of wall time |
//! | `measure` | histories by the million, for tests and `./scripts/bench hub`; not in the program |
//! | [`fault`] | errors with their causes |
//!
//! The hub decides nothing about orders; it sends regions watermarks, repair requests, the map, and what its operators want
//! of them. When it is gone, every region goes on by what it was sent last. It must not know how a region decides, and nothing here imports the node.
//!
//! One walk through it: a node commits an event and publishes it to its stream `EV_blr`; the hub's server sources it
//! into `HUB_EVENTS`. `ingest::pull` reads it, with region and sequence from the server's own header. In one transaction
//! `ingest::apply` sees that the sequence follows blr's cursor, stores the event, folds it into its order and the totals,
//! and moves the cursor. Then it acknowledges, and tells blr the watermark, so that the node may free its row. Had the
//! sequence not followed, blr's events would wait while `ingest::repair` asks the node for the missing rows, and all
//! other regions would go on.
//!
//! The hub is killed and starts again: the cursors say what is applied; `ingest::pull` reads the stream from a little
//! before the stored position, and what is known already is skipped. The server's sources may sleep after a restart;
//! a heartbeat that promises more than has arrived makes `ingest::sources` kick them.

mod admission;
mod alerts;
pub mod cells;
mod changes;
mod clock;
pub mod config;
mod control;
mod directory;
pub mod enrol;
pub mod fault;
mod fold;
mod heartbeats;
mod http;
mod ingest;
#[cfg(test)]
#[path = "../tests/support/life.rs"]
mod life;
mod live;
mod looks;
#[cfg(any(test, feature = "measure"))]
pub mod measure;
mod phones;
mod projections;
pub mod rebuild;
mod registry;
mod statement;
mod store;
pub mod verify;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, jetstream};
use futures_util::TryFutureExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tomato_shared::directory::Directory;
use tomato_shared::phone::PhoneKey;
use tomato_shared::runtime::jwt::{self, Verifier};
use tomato_shared::runtime::nats::{Broker, BrokerError, connect};
use tomato_shared::runtime::otlp::Tracer;
use tomato_shared::runtime::serve::{BindError, bind, serve};
use tomato_shared::runtime::shutdown::{Exit, StopSignal, Supervisor};
use tomato_shared::subject;

use alerts::Watch;
use changes::Changes;
use config::{HubConfig, StreamConfig};
use control::Teller;
use directory::Mapper;
use fault::Chain;
use ingest::Applier;
use ingest::pull::Puller;
use ingest::sources::Keeper;
use live::Live;
use looks::Looks;
pub use phones::PhoneKeyFault;
use registry::{Active, Watcher};
use store::Pool;
pub use store::StoreFault;

/// Batches that wait for the transaction before them. One is read while one is applied.
const BATCHES_AHEAD: usize = 1;
/// How long tasks get to end at shutdown, beyond what open requests get.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreFault),
    /// The keys of an issuer cannot be read.
    #[error("the token keys cannot be used")]
    Keys(#[from] jwt::KeysError),
    /// There is no broker to run.
    #[error("the broker cannot be used")]
    Broker(#[from] BrokerError),
    /// The key for telephone numbers.
    #[error("the key for telephone numbers cannot be used")]
    PhoneKey(#[from] PhoneKeyFault),
    /// The port is taken.
    #[error("the API cannot be served")]
    Bind(#[from] BindError),
}

impl StartFault {
    /// Whether the hub's file could not be read or written, as on a full or failing disk.
    pub fn is_of_file(&self) -> bool {
        matches!(self, Self::Store(fault) if fault.is_of_file())
    }
}

/// The disk below the hub's file is full, or fails. What was under way is known only to the next start.
#[derive(Debug, thiserror::Error)]
#[error(
    "the hub's file cannot be written or read, the log says why; make room or mend the disk, then start the hub again"
)]
pub struct FileFault;

/// A running hub. Dropping it without [`Hub::shutdown`] leaves its tasks to the end of the runtime.
#[derive(Debug)]
pub struct Hub {
    http_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Exit>,
    broker: Arc<Broker>,
    pools: Vec<Pool>,
}

impl Hub {
    /// Starts everything and returns once the API listens. The broker, its regions and the hub's stream may come later.
    ///
    /// # Errors
    /// [`StartFault`]: nothing is left running.
    pub async fn start(config: HubConfig) -> Result<Self, StartFault> {
        let verifier = Arc::new(jwt::verifier(&config.auth)?);
        let writer = Pool::writer(&config.database())?;
        writer.run(rebuild::bring_up).await?;
        let phone_key = Arc::new(phones::load_or_create(&config.phone_key_file())?);
        let readers = Pool::readers(&config.database(), config.http.read_connections)?;
        let watching = Pool::readers(&config.database(), 1)?;
        let (live, rewind) = (Arc::new(Live::default()), Arc::new(Notify::new()));
        let changes = Changes::default();
        let watcher = Watcher::start(watching.clone(), Arc::clone(&live), Arc::clone(&rewind)).await?;
        heartbeats::restore(&writer, &live).await?;
        let registry = watcher.subscribe();
        let directory = watch::Sender::new(directory::newest(&writer).await?);
        let listener = bind(config.http.listen)?;
        let http_addr = listener.local_addr().unwrap_or(config.http.listen);
        let admitted = registry.borrow().clone();
        let users = admission::leaf_users(&admitted);
        let broker = Arc::new(Broker::hub(&config.broker, &users, &config.data_dir)?);
        let client = connect(&broker.access(), "tomato-hub", subject::HUB_INBOX).await?;
        let (tracer, exporter) = Tracer::new(&config.otlp, &[("service.name", "tomato-hub")], clock::now().0).unzip();
        let applier = Applier::new(
            writer.clone(),
            client.clone(),
            (Arc::clone(&live), changes.clone(), tracer.unwrap_or_default()),
            registry.clone(),
        )
        .await?;

        let parts = Parts {
            stream: fitting(config.stream, &broker),
            readers: readers.clone(),
            writer: writer.clone(),
            broker: Arc::clone(&broker),
            config,
            client,
            live,
            changes,
            admitted,
            registry,
            rewind,
            directory,
            editions: Arc::default(),
            verifier,
            phone_key,
        };
        let mut supervisor = Supervisor::default();
        let stop = supervisor.stop_signal();
        if let Some(exporter) = exporter {
            supervisor.spawn("traces", exporter.run(stop.clone()));
        }
        supervisor.spawn("registry", watcher.run(stop.clone()).map_err(Chain));
        parts.spawn_ingest(&mut supervisor, &stop, applier);
        supervisor.spawn("alerts", parts.alerts().run(stop.clone()).map_err(Chain));
        let drain = parts.spawn_http(&mut supervisor, &stop, listener) + DRAIN;
        let (stop, stopped) = oneshot::channel();
        let asked = async move {
            // A dropped sender is a dropped hub.
            stopped.await.ok();
            "asked to stop"
        };
        Ok(Self {
            http_addr,
            stop: Some(stop),
            running: tokio::spawn(supervisor.run(asked, drain)),
            broker,
            pools: vec![watching, readers, writer],
        })
    }

    /// Where the API listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Returns when the hub has ended by itself, which it does only for a reason: the process should exit with an error.
    pub async fn ended(&mut self) -> Exit {
        (&mut self.running).await.unwrap_or(Exit::TaskEnded("supervisor"))
    }

    /// Whether the hub's file was the reason why something failed: it could not be read or written.
    pub fn file_has_failed(&self) -> bool {
        self.pools.iter().any(Pool::has_failed)
    }

    /// Stops taking requests and events, then the broker, then closes the database.
    pub async fn shutdown(mut self) -> Exit {
        if let Some(stop) = self.stop.take() {
            // Nobody listens if the hub has ended by itself.
            stop.send(()).ok();
        }
        let exit = if self.running.is_finished() {
            Exit::Clean
        } else {
            self.ended().await
        };
        if let Some(broker) = Arc::into_inner(self.broker) {
            broker.stop().await;
        }
        for pool in &self.pools {
            pool.close().await;
        }
        exit
    }
}

/// What the tasks are made from.
struct Parts {
    config: HubConfig,
    stream: StreamConfig,
    readers: Pool,
    writer: Pool,
    client: Client,
    broker: Arc<Broker>,
    live: Arc<Live>,
    changes: Changes,
    admitted: Active,
    registry: watch::Receiver<Active>,
    rewind: Arc<Notify>,
    directory: watch::Sender<Arc<Directory>>,
    /// Rung when there is a new version of what a region is told.
    editions: Arc<Notify>,
    verifier: Arc<Verifier>,
    phone_key: Arc<PhoneKey>,
}

impl Parts {
    fn spawn_ingest(&self, supervisor: &mut Supervisor, stop: &StopSignal, applier: Applier) {
        let context = jetstream::new(self.client.clone());
        let (batches, received) = mpsc::channel(BATCHES_AHEAD);
        let puller = Puller {
            client: self.client.clone(),
            context: context.clone(),
            store: self.writer.clone(),
            batches,
            rewind: Arc::clone(&self.rewind),
        };
        let keeper = Keeper {
            context,
            live: Arc::clone(&self.live),
            registry: self.registry.clone(),
            stream: self.stream,
        };
        supervisor.spawn("ingest", applier.run(received, stop.clone()).map_err(Chain));
        supervisor.spawn("pull", puller.run(stop.clone()));
        supervisor.spawn("sources", keeper.run(stop.clone()));
        let (client, store, live) = (self.client.clone(), self.writer.clone(), Arc::clone(&self.live));
        let heartbeats = heartbeats::run(client, store, live, stop.clone());
        supervisor.spawn("heartbeats", heartbeats.map_err(Chain));
        let mapper = Mapper {
            client: self.client.clone(),
            writer: self.writer.clone(),
            live: Arc::clone(&self.live),
            registry: self.registry.clone(),
            replicas: usize::from(self.stream.replicas),
            directory: self.directory.clone(),
        };
        supervisor.spawn("directory", mapper.run(stop.clone()).map_err(Chain));
        let teller = Teller {
            client: self.client.clone(),
            readers: self.readers.clone(),
            live: Arc::clone(&self.live),
            registry: self.registry.clone(),
            news: Arc::clone(&self.editions),
        };
        supervisor.spawn("control", teller.run(stop.clone()).map_err(Chain));
        let (admitted, registry) = (self.admitted.clone(), self.registry.clone());
        let admission = admission::run(Arc::clone(&self.broker), admitted, registry, stop.clone());
        supervisor.spawn("broker users", admission.map_err(Chain));
    }

    fn alerts(&self) -> Watch {
        Watch {
            config: self.config.alerts.clone(),
            readers: self.readers.clone(),
            writer: self.writer.clone(),
            live: Arc::clone(&self.live),
            registry: self.registry.clone(),
            changes: self.changes.clone(),
        }
    }

    /// Returns how long open requests get at shutdown.
    fn spawn_http(self, supervisor: &mut Supervisor, stop: &StopSignal, listener: TcpListener) -> Duration {
        let limits = self.config.http.limits;
        let now_s = || clock::now().0 / 1_000;
        let keys = jwt::refresh(self.config.auth, Arc::clone(&self.verifier), now_s, stop.clone());
        supervisor.spawn("token keys", keys);
        let app = http::App {
            readers: self.readers,
            writer: self.writer,
            access: Arc::new(self.config.access),
            page: Arc::new(self.config.page),
            live: self.live,
            changes: self.changes,
            directory: self.directory.subscribe(),
            editions: self.editions,
            registry: self.registry,
            verifier: self.verifier,
            phone_key: self.phone_key,
            broker: Some(self.client),
            looks: Looks::default(),
            stop: stop.clone(),
        };
        let mut stop = stop.clone();
        supervisor.spawn("http", async move {
            let served = serve(listener, http::router(app), limits, async move { stop.stopped().await });
            served.await.map(|drained| {
                if drained.cut > 0 {
                    tracing::warn!(connections = drained.cut, "requests were cut");
                }
            })
        });
        Duration::from_millis(limits.drain_ms)
    }
}

/// The stream's limits, within what a managed broker may store.
fn fitting(stream: StreamConfig, broker: &Broker) -> StreamConfig {
    match broker {
        Broker::Managed(server) => StreamConfig {
            max_bytes: stream.max_bytes.min(server.max_file_store_bytes() / 10 * 9),
            replicas: 1,
            ..stream
        },
        Broker::External(_) => stream,
    }
}
