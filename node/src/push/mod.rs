//! Tells people and partners what happened: devices through Firebase and Apple, partners' programs by signed webhooks, and the log
//! where a push service is not set up.
//!
//! ```text
//! outbox -> pump: who hears of it? -> messages (rows) -> lanes, each for itself -> fcm, apns, log, one webhook
//!    ^ committed with its cause       ^ with the cursor, one transaction            `-> outcome, a row again
//! ```
//!
//! | module | is |
//! |---|---|
//! | [`model`] [`show`] | what is kept of devices, webhooks and messages; how HTTP shows it |
//! | [`pump`] | events to messages, each once |
//! | [`lanes`] | messages to calls: when, how often, and when not at all |
//! | [`fcm`] [`apns`] [`webhook`] | the ways out; [`ways`] what they share |
//! | [`guard`] | where webhooks may be |
//! | [`texts`] | what people read |
//!
//! The intent is the event itself, which is in the transaction of its cause. Messages are made of it afterwards, by the writer's
//! lowest class, so that an order costs nothing more and no provider can hold one up. Ids are made of event and receiver: whatever
//! is done twice after a crash is the same message, and partners and Apple know it again.

pub mod apns;
pub mod fcm;
pub mod guard;
pub mod lanes;
pub mod model;
pub mod pump;
pub mod show;
pub mod texts;
pub mod ways;
pub mod webhook;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::id::MessageId;
use tomato_shared::runtime::otlp::Tracer;
use tomato_shared::runtime::shutdown::StopSignal;

use crate::clock::Clock;
use crate::config::{Config, Profile, PushConfig, WebhooksConfig};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::store::pool::Pool;
use crate::writer::{Head, Writer};
use guard::Guard;
use model::{Lane, Notice};
use texts::{Text, Texts, TextsError};

/// Why notifications cannot be sent. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A key or certificate.
    #[error("{} cannot be used: {reason}; see {setting}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Where it is named.
        setting: &'static str,
    },
    /// Words.
    #[error(transparent)]
    Texts(#[from] TextsError),
    /// The region's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP client.
    #[error("the client of a push service cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A notice on its way to a device.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The same at every try.
    pub id: MessageId,
    /// What happened.
    pub notice: &'a Notice,
    /// The service's token of the device.
    pub token: &'a str,
    /// When the device was registered, by real time.
    pub put_ms: i64,
    /// What is read.
    pub text: &'a Text,
    /// Where an app finds its own words for it.
    pub text_key: &'a str,
    /// Whether the device should wake up for it.
    pub urgent: bool,
    /// Real seconds for which it is worth reading, 1 or more.
    pub lasts_s: i64,
    /// Real seconds since 1970.
    pub wall_s: i64,
    /// W3C trace context.
    pub trace: Option<&'a str>,
}

/// Wakes who works off a lane.
#[derive(Debug, Default)]
pub struct Bells {
    lanes: Mutex<HashMap<Lane, Arc<Notify>>>,
    /// Rung when there is another webhook, or one is another.
    webhooks: Notify,
}

impl Bells {
    /// The lane's bell.
    fn of(&self, lane: Lane) -> Arc<Notify> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(lane).or_default().clone()
    }

    /// There is something in a lane.
    pub fn ring(&self, lane: Lane) {
        self.of(lane).notify_one();
    }

    /// A webhook was made, edited or taken away.
    pub fn webhooks_changed(&self) {
        self.webhooks.notify_one();
    }

    fn forget(&self, lane: Lane) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.remove(&lane);
    }
}

/// The ways out that are set up.
#[derive(Debug)]
pub struct Ways {
    fcm: Option<fcm::Fcm>,
    apns: Option<apns::Apns>,
    webhooks: webhook::Caller,
    texts: Texts,
    /// Where webhooks may be.
    pub guard: Guard,
}

impl Ways {
    /// Reads keys and words.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        let push = &config.push;
        let timeout = Duration::from_millis(push.timeout_ms);
        let guard = Guard {
            open: config.profile == Profile::Development,
            allowed: push.webhooks.allow_networks.clone().into(),
        };
        Ok(Self {
            fcm: push.has_fcm().then(|| fcm::Fcm::new(&push.fcm, timeout)).transpose()?,
            apns: push
                .has_apns()
                .then(|| apns::Apns::new(&push.apns, timeout))
                .transpose()?,
            webhooks: webhook::Caller::new(guard.clone(), timeout)?,
            texts: Texts::load(&push.texts_file)?,
            guard,
        })
    }
}

/// What HTTP needs of notifications.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Wakes lanes.
    pub bells: Arc<Bells>,
    /// Where webhooks may be.
    pub guard: Guard,
    /// How many there may be.
    pub webhooks: WebhooksConfig,
}

/// What notifications work with.
#[derive(Debug, Clone)]
pub struct Push {
    /// Takes what is to be written.
    pub writer: Writer,
    /// Reads the region's file.
    pub reads: Pool,
    /// Region time.
    pub clock: Clock,
    /// Whose events.
    pub region: RegionId,
    /// Tells of new events.
    pub head: watch::Receiver<Head>,
    /// The ways out.
    pub ways: Arc<Ways>,
    /// Bounds and pauses.
    pub config: Arc<PushConfig>,
    /// Wakes lanes.
    pub bells: Arc<Bells>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Traces.
    pub tracer: Tracer,
}

impl Push {
    /// Reads keys and words, and opens a reader of the region's file.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        config: &Config,
        (writer, head, path): (Writer, watch::Receiver<Head>, &Path),
        (region, clock): (RegionId, Clock),
        (metrics, tracer): (Arc<Metrics>, Tracer),
    ) -> Result<(Self, Desk), SetupError> {
        let ways = Ways::new(config)?;
        let desk = Desk {
            bells: Arc::default(),
            guard: ways.guard.clone(),
            webhooks: config.push.webhooks.clone(),
        };
        let push = Self {
            writer,
            reads: Pool::open(path, 1)?,
            clock,
            region,
            head,
            ways: Arc::new(ways),
            config: Arc::new(config.push.clone()),
            bells: desk.bells.clone(),
            metrics,
            tracer,
        };
        Ok((push, desk))
    }

    /// Runs until told to stop. What is on its way by then is waited for.
    ///
    /// # Errors
    /// None; what fails is tried again.
    pub async fn run(self, stop: StopSignal) -> Result<(), StoreError> {
        let (pumping, sending) = tokio::join!(
            tokio::spawn(pump::run(self.clone(), stop.clone())),
            tokio::spawn(lanes::run(self, stop)),
        );
        // A panic ends the task, and with it the process, whose next start goes on from the rows.
        for ended in [pumping, sending] {
            if let Err(error) = ended {
                tracing::error!(%error, "notifications broke off");
            }
        }
        Ok(())
    }
}
