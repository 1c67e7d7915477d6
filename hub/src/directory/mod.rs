//! Makes the map of who owns which cells, from what the regions say and operators want, and puts it where the regions
//! read it: into a bucket of the hub's broker.
//!
//! The hub's file is the truth; the bucket is filled again from it whenever it lacks the newest version. A version is
//! one document under one key, so a region sees all of a change or nothing.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, kv};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;
use tomato_shared::cell::RegionId;
use tomato_shared::directory::{Directory, Map};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::Newest;
use tomato_shared::time::UnixMs;

use crate::clock;
use crate::live::Live;
use crate::registry::Active;
use crate::store::{Pool, StoreFault, directory as rows, moves};
use plan::{Plan, Said, Trouble};

/// How often what the regions say is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often regions are told which version is the newest, and the bucket is looked at.
const TELL: Duration = Duration::from_secs(2);
/// How long the first map of all waits for registered regions that are not there: a hub that lost its file shall hear all
/// of them before it decides between two.
const FIRST: Duration = Duration::from_secs(10);
/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The task.
#[derive(Debug)]
pub(crate) struct Mapper {
    pub(crate) client: Client,
    pub(crate) writer: Pool,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: watch::Receiver<Active>,
    pub(crate) replicas: usize,
    pub(crate) directory: watch::Sender<Arc<Directory>>,
}

/// What was told already, so that it is not told again four times a second.
#[derive(Default)]
struct Told {
    /// The version that the bucket holds.
    stored: Option<u64>,
    at: Option<Instant>,
    troubles: Vec<Trouble>,
    fault: String,
}

/// The newest map of the file.
pub(crate) async fn newest(store: &Pool) -> Result<Arc<Directory>, StoreFault> {
    let map = store.run(|conn| rows::newest(conn)).await?;
    Ok(Arc::new(Directory::new(map)))
}

impl Mapper {
    /// Runs until `stop`.
    pub(crate) async fn run(self, mut stop: StopSignal) -> Result<(), StoreFault> {
        let mut told = Told::default();
        let started = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => {}
            }
            if self.may_decide(started) {
                self.follow(&mut told).await?;
            }
            let published = tokio::select! {
                () = stop.stopped() => return Ok(()),
                published = self.publish(&mut told) => published,
            };
            let fault = published.err().unwrap_or_default();
            if fault != told.fault {
                if !fault.is_empty() {
                    tracing::warn!(fault, "the regions cannot be told of the map");
                }
                told.fault = fault;
            }
        }
    }

    fn may_decide(&self, started: Instant) -> bool {
        let has_map = self.directory.borrow().map().version > 0;
        has_map || started.elapsed() >= FIRST || self.said().len() == self.registry.borrow().len()
    }

    /// Makes the next version if there is reason to.
    async fn follow(&self, told: &mut Told) -> Result<(), StoreFault> {
        let said = self.said();
        let current = self.directory.borrow().clone();
        let step = self
            .writer
            .run(move |conn| step(conn, &current, &said, clock::now()))
            .await;
        let plan = match step {
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, "the map is not stored");
                return Ok(());
            }
            Ok(plan) => plan,
        };
        for trouble in plan.troubles.iter().filter(|trouble| !told.troubles.contains(trouble)) {
            tracing::warn!(%trouble, "the map of the cells");
        }
        told.troubles = plan.troubles;
        for (id, state) in plan.steps {
            tracing::info!(id, state = state.name(), "a move of cells");
        }
        if plan.map != *self.directory.borrow().map() {
            tracing::info!(
                version = plan.map.version,
                regions = plan.map.regions.len(),
                "a new map"
            );
            self.directory.send_replace(Arc::new(Directory::new(plan.map)));
            // At once, not in its turn.
            told.at = None;
        }
        Ok(())
    }

    /// What the registered regions say that are there now.
    fn said(&self) -> BTreeMap<RegionId, Said> {
        let now = Instant::now();
        let live = self.live.snapshot().into_iter();
        let registry = self.registry.borrow();
        live.filter(|(region, state)| registry.contains_key(region) && state.is_fresh(now))
            .filter_map(|(region, state)| {
                let beat = state.heard?.beat;
                let (public_url, territory) = (beat.public_url, beat.directory);
                Some((region, Said { public_url, territory }))
            })
            .collect()
    }

    /// Has the bucket hold the newest version, and tells the regions of it.
    async fn publish(&self, told: &mut Told) -> Result<(), String> {
        let directory = self.directory.borrow().clone();
        let map = directory.map();
        if map.version == 0 || told.at.is_some_and(|at| at.elapsed() < TELL) {
            return Ok(());
        }
        told.at = Some(Instant::now());
        let stored = tokio::time::timeout(ANSWER, self.store(map, told.stored)).await;
        told.stored = stored.map_err(|_| String::from("the broker does not answer"))??;
        let newest = Newest {
            map_version: map.version,
            at: clock::now(),
        };
        let bytes = rmp_serde::to_vec_named(&newest).map_err(|fault| fault.to_string())?;
        let told = self.client.publish(subject::newest(), bytes.into()).await;
        told.map_err(|fault| fault.to_string())
    }

    /// Writes the map into the bucket unless it is there, and returns the version that is there now. Only the hub writes there;
    /// a bucket that was lost with the broker's disk is made again.
    async fn store(&self, map: &Map, before: Option<u64>) -> Result<Option<u64>, String> {
        let context = jetstream::new(self.client.clone());
        let bucket = match context.get_key_value(subject::DIRECTORY_BUCKET).await {
            Ok(bucket) => bucket,
            Err(_) => self.make_bucket(&context).await?,
        };
        let there = bucket
            .entry(subject::MAP_KEY)
            .await
            .map_err(|fault| fault.to_string())?;
        if there.is_none() || before != Some(map.version) {
            let bytes = rmp_serde::to_vec_named(map).map_err(|fault| fault.to_string())?;
            let put = bucket.put(subject::MAP_KEY, bytes.into()).await;
            put.map_err(|fault| fault.to_string())?;
        }
        Ok(Some(map.version))
    }

    async fn make_bucket(&self, context: &jetstream::Context) -> Result<kv::Store, String> {
        let config = kv::Config {
            bucket: subject::DIRECTORY_BUCKET.to_owned(),
            description: "who owns which cells, and what the regions are told; written by the hub only".to_owned(),
            history: 5,
            num_replicas: self.replicas,
            ..kv::Config::default()
        };
        let made = context.create_key_value(config).await;
        made.map_err(|fault| fault.to_string())
    }
}

/// Decides and writes the next version and what has become of the moves, in one transaction.
fn step(
    conn: &mut Connection,
    current: &Directory,
    said: &BTreeMap<RegionId, Said>,
    now: UnixMs,
) -> Result<Plan, StoreFault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another one only after `tomato-hub cells rebuild`.
    let map = match rows::version(&tx)? == current.map().version {
        true => current.map().clone(),
        false => rows::newest(&tx)?,
    };
    let plan = plan::next(&map, &moves::open(&tx)?, said, now);
    if plan.map != map {
        rows::save(&tx, &plan.map)?;
    }
    for (id, state) in &plan.steps {
        moves::set(&tx, *id, *state, now)?;
    }
    tx.commit()?;
    Ok(plan)
}
