//! Puts the parts together, in the order in which they need each other, and takes them apart again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::jwt::{self, KeysError};
use tomato_shared::runtime::nats::{self, Broker, BrokerError};
use tomato_shared::runtime::serve::{self, BindError};
use tomato_shared::runtime::shutdown::{Exit, Supervisor};
use tomato_shared::subject;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::clock::Clock;
use crate::config::Config;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::http::{self, App};
use crate::payments::simulated::Simulated;
use crate::region::link::Link;
use crate::relay::Relay;
use crate::store::{self, StoreError, load, meta};
use crate::tasks::{self, Tasks};
use crate::writer::{self, Outlets, Start, Writer, WriterStopped};

/// Why a node does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The region's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The operating system.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something that validation should have found.
    #[error("the configuration lacks the region's id or currency")]
    Config,
}

/// A running node.
pub struct Node {
    addr: SocketAddr,
    region: RegionId,
    supervisor: Supervisor,
    broker: Broker,
    writer: Writer,
    writer_end: oneshot::Receiver<Result<(), WriterStopped>>,
}

/// What the writer tells, from the receiving side.
struct Inlets {
    catalogue: watch::Receiver<Arc<crate::engine::city::Catalogue>>,
    head: watch::Receiver<writer::Head>,
    tasks: mpsc::Receiver<crate::engine::payment::Task>,
}

impl Node {
    /// Opens the region's file, starts the writer and everything around it, and returns once HTTP is served. The
    /// broker may be away, and the hub too.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let verifier = Arc::new(jwt::verifier(&config.auth)?);
        let listener = serve::bind(config.http.listen)?;
        let addr = listener.local_addr().map_err(system("reading the port"))?;
        let region = config.region.id.clone().ok_or(StartError::Config)?;
        let path = config.store_path();

        let file = store::open(&path)?;
        let meta = meta::load_or_create(&file.connection, &region, &fresh_key()?)?;
        let loaded = load::load(&file.connection, UnixMs(0))?;
        let clock = Clock::start(config.clock.epoch, config.clock.rate, loaded.head_at);
        let policy = Arc::new(config.policy(meta.quote_key).ok_or(StartError::Config)?);
        let fleet = Arc::new(Fleet::new(DurationMs(config.dispatch.position_age_max_ms)));
        let totals = store::reads::totals(&file.connection)?;
        let feed = Arc::new(Feed::new(loaded.head_seq, totals));
        let pending = loaded.tasks.clone();
        let (outlets, inlets) = channels(&feed, &fleet, meta.incarnation, meta.watermark_seq, loaded.head_seq);
        let (writer, writer_end) = writer::start(Start {
            store: file,
            loaded,
            incarnation: meta.incarnation,
            watermark_seq: meta.watermark_seq,
            policy: policy.clone(),
            limits: config.writer_limits(),
            clock,
            outlets,
        })
        .map_err(system("starting the writer's thread"))?;

        let broker = Broker::region(region.as_str(), &config.broker, &config.data_dir)?;
        let name = format!("tomato-node {region}");
        let client = nats::connect(&broker.access(), &name, &subject::inbox(&region)).await?;
        let mut supervisor = Supervisor::default();
        let provider = Arc::new(Simulated::new(clock, DurationMs(config.payments.simulated_delay_ms)));
        let tasks = Tasks {
            writer: writer.clone(),
            provider,
            clock,
            path: path.clone(),
            queue: inlets.tasks,
        };
        supervisor.spawn("tasks", tasks.run(pending, supervisor.stop_signal()));
        let link = Link {
            region: region.clone(),
            public_url: config.region.public_url.clone(),
            client,
            path: path.clone(),
            head: inlets.head.clone(),
            published: Arc::new(AtomicU64::new(0)),
            writer: writer.clone(),
            fleet: fleet.clone(),
            clock,
        };
        let published = link.published.clone();
        tie_to_hub(&mut supervisor, link);

        let keys = jwt::refresh(
            config.auth,
            verifier.clone(),
            move || clock.wall_seconds(),
            supervisor.stop_signal(),
        );
        supervisor.spawn("keys", keys);
        let app = App::new(http::Parts {
            writer: writer.clone(),
            catalogue: inlets.catalogue,
            head: inlets.head,
            published,
            fleet,
            feed,
            clock,
            policy,
            verifier,
            jwks: "{\"keys\":[]}".into(),
            path,
            readers: config.http.readers,
            public_url: config.region.public_url.clone(),
            stop: supervisor.stop_signal(),
        })?;
        let router = http::router(Arc::new(app));
        let mut stop = supervisor.stop_signal();
        let limits = config.http.limits;
        supervisor.spawn("http", async move {
            serve::serve(listener, router, limits, async move { stop.stopped().await })
                .await
                .map(|_| ())
        });
        tracing::info!(%region, %addr, "serving");
        Ok(Self {
            addr,
            region,
            supervisor,
            broker,
            writer,
            writer_end,
        })
    }

    /// Where HTTP is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Runs until `shutdown`, or until a part fails. Open requests are answered, what waits for the writer is decided,
    /// then the broker is stopped. `true` where nothing failed.
    pub async fn run(self, shutdown: impl Future<Output = &'static str>) -> bool {
        let Self {
            region,
            supervisor,
            broker,
            writer,
            mut writer_end,
            ..
        } = self;
        let shutdown = async {
            tokio::select! {
                cause = shutdown => cause,
                ended = &mut writer_end => {
                    if let Ok(Err(stopped)) = ended {
                        tracing::error!(error = %stopped, "the writer stopped");
                    }
                    WRITER_ENDED
                }
            }
        };
        let watched = Watched::default();
        let exit = supervisor.run(watched.note(shutdown), Duration::from_secs(15)).await;
        let writer_failed = watched.cause() == Some(WRITER_ENDED);
        writer.close();
        if !writer_failed && !matches!(writer_end.await, Ok(Ok(()))) {
            tracing::error!("the writer did not end well");
        }
        broker.stop().await;
        tracing::info!(%region, ?exit, "stopped");
        exit == Exit::Clean && !writer_failed
    }
}

/// Starts what carries events to the hub and hears from it.
fn tie_to_hub(supervisor: &mut Supervisor, link: Link) {
    let relay = Relay {
        region: link.region.clone(),
        client: link.client.clone(),
        path: link.path.clone(),
        head: link.head.clone(),
        published: link.published.clone(),
    };
    supervisor.spawn("relay", relay.run(supervisor.stop_signal()));
    supervisor.spawn("link", link.run(supervisor.stop_signal()));
}

const WRITER_ENDED: &str = "the writer has ended";

/// Remembers why the supervisor was told to stop.
#[derive(Default)]
struct Watched(std::sync::OnceLock<&'static str>);

impl Watched {
    async fn note(&self, shutdown: impl Future<Output = &'static str>) -> &'static str {
        let cause = shutdown.await;
        self.0.get_or_init(|| cause)
    }

    fn cause(&self) -> Option<&'static str> {
        self.0.get().copied()
    }
}

fn channels(feed: &Arc<Feed>, fleet: &Arc<Fleet>, incarnation: u32, watermark_seq: u64, seq: u64) -> (Outlets, Inlets) {
    let (catalogue, catalogue_in) = watch::channel(Arc::default());
    let head = writer::Head {
        incarnation,
        seq,
        watermark_seq,
        orders_open: 0,
        orders_waiting: 0,
    };
    let (head, head_in) = watch::channel(head);
    let (tasks, tasks_in) = mpsc::channel(tasks::QUEUE_MAX);
    let outlets = Outlets {
        feed: feed.clone(),
        fleet: fleet.clone(),
        catalogue,
        head,
        tasks,
    };
    (
        outlets,
        Inlets {
            catalogue: catalogue_in,
            head: head_in,
            tasks: tasks_in,
        },
    )
}

fn fresh_key() -> Result<[u8; 32], StartError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::System {
        doing: "drawing a key",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(key)
}

fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> StartError {
    move |source| StartError::System { doing, source }
}
