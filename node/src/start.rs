//! Puts the parts together, in the order in which they need each other, and takes them apart again.

mod doors;
mod fault;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::jwt;
use tomato_shared::runtime::nats::{self, Broker, BrokerError};
use tomato_shared::runtime::otlp::{Exporter, Tracer};
use tomato_shared::runtime::serve;
use tomato_shared::runtime::shutdown::{Exit, Supervisor};
use tomato_shared::subject;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::board::Board;
use crate::dispatch::{self, Dispatcher};
use crate::engine::policy::{DispatchKind, Policy};
use crate::engine::task::Task;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::http::{self, App};
use crate::metrics::Metrics;
use crate::payments::Provider;
use crate::push::{Desk, Push};
use crate::region::borders;
use crate::region::control::{Listener, Obedience};
use crate::region::directory::{Locator, Mirror};
use crate::region::link::Link;
use crate::region::parcels::Counter;
use crate::region::peers::Peers;
use crate::relay::Relay;
use crate::steps;
use crate::store::{self, load, meta};
use crate::tasks::{self, Tasks};
use crate::writer::{self, Outlets, Start, Writer, WriterStopped};

pub use fault::{RunError, StartError};

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
    news: mpsc::Receiver<dispatch::News>,
    catalogue: watch::Receiver<Arc<crate::engine::city::Catalogue>>,
    head: watch::Receiver<writer::Head>,
    tasks: mpsc::Receiver<Task>,
}

/// The region itself: its file, open, with the writer at work on it, and what is kept in memory beside it.
struct Core {
    region: RegionId,
    path: PathBuf,
    clock: Clock,
    policy: Arc<Policy>,
    fleet: Arc<Fleet>,
    feed: Arc<Feed>,
    writer: Writer,
    writer_end: oneshot::Receiver<Result<(), WriterStopped>>,
    metrics: Arc<Metrics>,
    tracer: Tracer,
    exporter: Option<Exporter>,
    /// Calls to the outside that the last run left open.
    pending: Vec<Task>,
}

/// Opens the region's file and starts its writer.
fn open(config: &Config) -> Result<(Core, Inlets), StartError> {
    let region = config.region.id.clone().ok_or(StartError::Config)?;
    let path = config.store_path();
    steps::watch(&config.data_dir);
    let file = store::open(&path)?;
    let meta = meta::load_or_create(&file.connection, &region, &fresh_key()?)?;
    let loaded = load::load(&file.connection, UnixMs(0))?;
    let clock = Clock::start(config.clock.epoch, config.clock.rate, loaded.head_at);
    let policy = Arc::new(
        config
            .policy(meta.quote_key, config.privacy.phone_key()?)
            .ok_or(StartError::Config)?,
    );
    let fleet = Arc::new(Fleet::new(DurationMs(config.dispatch.position_age_max_ms)));
    let feed = Arc::new(Feed::new(loaded.head_seq, loaded.totals.clone()));
    let pending = loaded.tasks.clone();
    let metrics = Arc::new(Metrics::new(&region, config.region.currency.ok_or(StartError::Config)?));
    let resource = [("service.name", "tomato-node"), ("tomato.region", region.as_str())];
    let (tracer, exporter) = Tracer::new(&config.otlp, &resource, clock.wall_ms()).unzip();
    let tracer = tracer.unwrap_or_default();
    let head = writer::Head {
        incarnation: meta.incarnation,
        seq: loaded.head_seq,
        watermark_seq: meta.watermark_seq,
        heard: None,
        fence: meta.fence,
        orders_open: 0,
        orders_waiting: 0,
    };
    let (outlets, inlets) = channels(&feed, &fleet, (&metrics, &tracer), head);
    let (writer, writer_end) = writer::start(Start {
        store: file,
        loaded,
        incarnation: meta.incarnation,
        watermark_seq: meta.watermark_seq,
        fence: meta.fence,
        policy: policy.clone(),
        limits: config.writer_limits(),
        clock,
        outlets,
    })
    .map_err(system("starting the writer's thread"))?;
    Ok((
        Core {
            region,
            path,
            clock,
            policy,
            fleet,
            feed,
            writer,
            writer_end,
            metrics,
            tracer,
            exporter,
            pending,
        },
        inlets,
    ))
}

impl Node {
    /// Opens the region's file, starts the writer and everything around it, and returns once HTTP is served. The
    /// broker may be away, and the hub too.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let verifier = Arc::new(jwt::verifier(&config.auth)?);
        let jwks = jwt::public_keys(&config.auth)?;
        let listener = serve::bind(config.http.listen)?;
        let admin_listener = config.admin.listen.map(serve::bind).transpose()?;
        let addr = listener.local_addr().map_err(system("reading the port"))?;
        let (mut core, inlets) = open(&config)?;
        let broker = Broker::region(&core.region, &config.broker, &config.data_dir)?;
        let mut supervisor = Supervisor::default();
        if let Some(exporter) = core.exporter.take() {
            supervisor.spawn("traces", exporter.run(supervisor.stop_signal()));
        }
        let provider = Arc::new(Provider::new(&config, core.clock)?);
        core.call_outside(&mut supervisor, provider.clone(), (inlets.tasks, inlets.head.clone()));
        let board = core.plan_drivers(&mut supervisor, inlets.news, config.dispatch.router_url.clone());
        let url = &config.region.public_url;
        let desk = core.tell_outside(&mut supervisor, &config, &inlets.head)?;
        let locator = Locator::new(core.policy.clone(), url, inlets.catalogue.clone());
        let control = Obedience::new(inlets.catalogue.clone());
        let ties = (url.as_str(), &locator, &control);
        let (published, client) = core.tie_to_hub(&mut supervisor, &broker, ties, &inlets.head).await?;
        let peers = Arc::new(Peers::new(core.region.clone(), client.clone(), locator.clone()));
        let clock = core.clock;
        let now = move || clock.wall_seconds();
        let keys = jwt::refresh(config.auth, verifier.clone(), now, supervisor.stop_signal());
        supervisor.spawn("keys", keys);
        let app = App::new(http::Parts {
            writer: core.writer.clone(),
            catalogue: inlets.catalogue,
            head: inlets.head,
            published,
            fleet: core.fleet,
            feed: core.feed,
            clock,
            policy: core.policy,
            verifier,
            jwks,
            provider,
            path: core.path,
            http: config.http.clone(),
            public_url: config.region.public_url,
            locator,
            control,
            peers: Some(peers.clone()),
            push: desk,
            broker: Some(client),
            link_log: broker.link_log(),
            metrics: core.metrics,
            board,
            tracer: core.tracer,
            stop: supervisor.stop_signal(),
        })?;
        let app = Arc::new(app);
        borders::open(&mut supervisor, &app, peers, &config.borders);
        doors::open(&mut supervisor, app, (listener, admin_listener), config.http.limits);
        tracing::info!(region = %core.region, %addr, "serving");
        Ok(Self {
            addr,
            region: core.region,
            supervisor,
            broker,
            writer: core.writer,
            writer_end: core.writer_end,
        })
    }

    /// Where HTTP is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Runs until `shutdown`, or until a part fails. Open requests are answered, what waits for the writer is decided,
    /// then the broker is stopped.
    ///
    /// # Errors
    /// [`RunError`] where something failed.
    pub async fn run(self, shutdown: impl Future<Output = &'static str>) -> Result<(), RunError> {
        let Self {
            region,
            supervisor,
            broker,
            writer,
            mut writer_end,
            ..
        } = self;
        let failed = OnceLock::new();
        let shutdown = async {
            tokio::select! {
                cause = shutdown => cause,
                ended = &mut writer_end => {
                    if let Ok(Err(stopped)) = &ended {
                        tracing::error!(error = %stopped, "the writer stopped");
                    }
                    // Without a word it has panicked.
                    failed.get_or_init(|| if ended.is_ok() { RunError::File } else { RunError::Part });
                    // So long /readyz says why, before the port is closed.
                    tokio::time::sleep(LAST_WORDS).await;
                    "the writer has ended"
                }
            }
        };
        let exit = supervisor.run(shutdown, Duration::from_secs(15)).await;
        writer.close();
        let failed = match failed.get() {
            Some(failed) => Some(*failed),
            None => (!matches!(writer_end.await, Ok(Ok(())))).then_some(RunError::File),
        };
        broker.stop().await;
        tracing::info!(%region, ?exit, "stopped");
        match (exit, failed) {
            (_, Some(failed)) => Err(failed),
            (Exit::Clean, None) => Ok(()),
            (Exit::TaskEnded(_) | Exit::Stuck(_), None) => Err(RunError::Part),
        }
    }
}

impl Core {
    /// Starts what makes the calls to the outside, beginning with those that the last run left open.
    fn call_outside(
        &mut self,
        supervisor: &mut Supervisor,
        provider: Arc<Provider>,
        (queue, head): (mpsc::Receiver<Task>, watch::Receiver<writer::Head>),
    ) {
        let tasks = Tasks {
            writer: self.writer.clone(),
            provider,
            clock: self.clock,
            path: self.path.clone(),
            queue,
            metrics: self.metrics.clone(),
            head,
            tracer: self.tracer.clone(),
        };
        let pending = std::mem::take(&mut self.pending);
        supervisor.spawn("tasks", tasks.run(pending, supervisor.stop_signal()));
    }

    /// Starts what plans who drives where, if the region does. Returns where the newest plan is shown.
    fn plan_drivers(
        &self,
        supervisor: &mut Supervisor,
        news: mpsc::Receiver<dispatch::News>,
        router_url: Option<String>,
    ) -> Arc<Board> {
        let board = Arc::new(Board::default());
        if self.policy.dispatch.kind == DispatchKind::Matching {
            let dispatcher = Dispatcher {
                writer: self.writer.clone(),
                fleet: self.fleet.clone(),
                clock: self.clock,
                policy: self.policy.clone(),
                path: self.path.clone(),
                router_url,
                news,
                board: board.clone(),
                metrics: self.metrics.clone(),
            };
            supervisor.spawn("dispatch", dispatcher.run(supervisor.stop_signal()));
        }
        board
    }

    /// Starts what tells devices and partners of events.
    fn tell_outside(
        &self,
        supervisor: &mut Supervisor,
        config: &Config,
        head: &watch::Receiver<writer::Head>,
    ) -> Result<Desk, StartError> {
        let (push, desk) = Push::new(
            config,
            (self.writer.clone(), head.clone(), &self.path),
            (self.region.clone(), self.clock),
            (self.metrics.clone(), self.tracer.clone()),
        )?;
        supervisor.spawn("notifications", push.run(supervisor.stop_signal()));
        Ok(desk)
    }

    /// Starts what carries events to the hub and hears from it. Returns where the newest published event is told, and the
    /// connection to the broker.
    async fn tie_to_hub(
        &self,
        supervisor: &mut Supervisor,
        broker: &Broker,
        (public_url, locator, control): (&str, &Locator, &Obedience),
        head: &watch::Receiver<writer::Head>,
    ) -> Result<(Arc<AtomicU64>, async_nats::Client), BrokerError> {
        let name = format!("tomato-node {}", self.region);
        let client = nats::connect(&broker.access(), &name, &subject::inbox(&self.region)).await?;
        let published = Arc::new(AtomicU64::new(0));
        let relay = Relay {
            region: self.region.clone(),
            client: client.clone(),
            path: self.path.clone(),
            head: head.clone(),
            published: published.clone(),
            writer: self.writer.clone(),
            tracer: self.tracer.clone(),
            restarter: broker.restarter(),
        };
        supervisor.spawn("relay", relay.run(supervisor.stop_signal()));
        let beat = Arc::new(Notify::new());
        let link = Link {
            region: self.region.clone(),
            public_url: public_url.to_owned(),
            client: client.clone(),
            path: self.path.clone(),
            head: head.clone(),
            published: published.clone(),
            writer: self.writer.clone(),
            fleet: self.fleet.clone(),
            clock: self.clock,
            locator: locator.clone(),
            control: control.clone(),
            beat: beat.clone(),
        };
        supervisor.spawn("link", link.run(supervisor.stop_signal()));
        let mirror = Mirror {
            client: client.clone(),
            writer: self.writer.clone(),
            locator: locator.clone(),
            beat: beat.clone(),
        };
        supervisor.spawn("directory", mirror.run(supervisor.stop_signal()));
        let listener = Listener {
            region: self.region.clone(),
            client: client.clone(),
            writer: self.writer.clone(),
            obedience: control.clone(),
            beat,
        };
        supervisor.spawn("control", listener.run(supervisor.stop_signal()));
        let counter = Counter {
            region: self.region.clone(),
            client: client.clone(),
            path: self.path.clone(),
            locator: locator.clone(),
            writer: self.writer.clone(),
        };
        supervisor.spawn("parcels", counter.run(supervisor.stop_signal()));
        Ok((published, client))
    }
}

/// How long a node answers, and says why it is not ready, after its writer has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn channels(
    feed: &Arc<Feed>,
    fleet: &Arc<Fleet>,
    (metrics, tracer): (&Arc<Metrics>, &Tracer),
    head: writer::Head,
) -> (Outlets, Inlets) {
    let (catalogue, catalogue_in) = watch::channel(Arc::default());
    let (head, head_in) = watch::channel(head);
    let (tasks, tasks_in) = mpsc::channel(tasks::QUEUE_MAX);
    let (news, news_in) = mpsc::channel(dispatch::NEWS_MAX);
    let outlets = Outlets {
        feed: feed.clone(),
        fleet: fleet.clone(),
        catalogue,
        head,
        tasks,
        news,
        metrics: metrics.clone(),
        tracer: tracer.clone(),
    };
    (
        outlets,
        Inlets {
            catalogue: catalogue_in,
            head: head_in,
            tasks: tasks_in,
            news: news_in,
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
