//! Takes in every region's events, exactly once and in order, and tells the regions how far it is.
//!
//! ```text
//! HUB_EVENTS --pull--> batches --apply--> SQLite --> acknowledge, watermark to each region
//!     ^                   ^
//!  sources (kept, kicked) +-- repair: rows asked from the node itself, for gaps and silence
//! ```
//!
//! | module | does |
//! |---|---|
//! | `pull` | reads the stream, from the stored position on |
//! | `apply` | one transaction per batch |
//! | `repair` | asks nodes for what is missing |
//! | `apart` | finds out up to where node and hub agree, when a node runs on an old copy of its file |
//! | `sources` | keeps the stream's sources equal to the registry, kicks those that sleep |
//! | here | the one task through which all changes of the database about events pass |

pub(crate) mod apart;
pub(crate) mod apply;
pub(crate) mod pull;
pub(crate) mod repair;
pub(crate) mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::otlp::{Side, Tracer};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::Watermark;

use crate::changes::{Change, Changes, Moved};
use crate::clock;
use crate::live::Live;
use crate::registry::Active;
use crate::store::regions::{self, Cursor};
use crate::store::{Pool, StoreFault};
use apart::{CompareFault, Doubts};
use apply::{Arrival, Batch, Outcome, apply};
use pull::Pulled;
use repair::{Gaps, RepairFault};

/// How often gaps and silence are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often every region is told its watermark, whether it moved or not.
const WATERMARK: Duration = Duration::from_secs(2);

/// The one task that applies events.
#[derive(Debug)]
pub(crate) struct Applier {
    store: Pool,
    client: Client,
    live: Arc<Live>,
    changes: Changes,
    registry: watch::Receiver<Active>,
    gaps: Gaps,
    cursors: BTreeMap<RegionId, Cursor>,
    asked: JoinSet<Asked>,
    doubts: Doubts,
    compared: JoinSet<(RegionId, Result<u64, CompareFault>)>,
    tracer: Tracer,
}

/// A repair request that is over.
#[derive(Debug)]
struct Asked {
    region: RegionId,
    answer: Result<Vec<Arrival>, RepairFault>,
}

impl Applier {
    /// Reads the cursors.
    pub(crate) async fn new(
        store: Pool,
        client: Client,
        (live, changes, tracer): (Arc<Live>, Changes, Tracer),
        registry: watch::Receiver<Active>,
    ) -> Result<Self, StoreFault> {
        let cursors = store.run(|conn| regions::cursors(conn)).await?;
        for (region, cursor) in &cursors {
            live.register(region);
            live.advance(region, *cursor, Instant::now());
        }
        Ok(Self {
            store,
            client,
            live,
            changes,
            registry,
            gaps: Gaps::default(),
            cursors,
            asked: JoinSet::new(),
            doubts: Doubts::default(),
            compared: JoinSet::new(),
            tracer,
        })
    }

    /// Runs until `stop`. An error means that the database must not be written any more: the process has to end.
    pub(crate) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Pulled>,
        mut stop: StopSignal,
    ) -> Result<(), StoreFault> {
        let mut look = tokio::time::interval(LOOK);
        let mut watermark = tokio::time::interval(WATERMARK);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(pulled) = batches.recv() => self.take(pulled).await?,
                Some(Ok(asked)) = self.asked.join_next() => self.answered(asked).await?,
                Some(Ok(compared)) = self.compared.join_next() => self.compared(compared).await?,
                _ = look.tick() => self.look(),
                _ = watermark.tick() => self.tell(&self.cursors).await,
            }
        }
    }

    async fn take(&mut self, pulled: Pulled) -> Result<(), StoreFault> {
        let begun = pulled.traces.iter().map(|(_, trace)| self.tracer.child(Some(trace)));
        let begun: Vec<_> = begun.collect();
        self.apply(pulled.batch).await?;
        for ((origin, trace), begun) in pulled.traces.iter().zip(begun) {
            let (region, seq) = (&origin.region, origin.seq);
            tracing::debug!(%region, seq, trace_id = trace.split('-').nth(1), "applied");
            if let Some(begun) = begun {
                let attributes = vec![
                    ("messaging.system", "nats".to_owned()),
                    ("messaging.operation.type", "process".to_owned()),
                    ("messaging.message.id", seq.to_string()),
                    ("tomato.region", region.to_string()),
                ];
                self.tracer.end(begun, ("hub.apply", Side::Consumer), attributes, false);
            }
        }
        // Lost acknowledgements only mean that the messages come again, and are skipped.
        if let Err(fault) = pulled.last.ack().await {
            tracing::debug!(%fault, "acknowledgement not sent");
        }
        Ok(())
    }

    async fn apply(&mut self, batch: Batch) -> Result<Outcome, StoreFault> {
        let batch = Arc::new(batch);
        let outcome = loop {
            let work = Arc::clone(&batch);
            match self.store.run(move |conn| apply(conn, &work, clock::now())).await {
                Ok(outcome) => break outcome,
                // `region add` holds the file for longer than the busy timeout: nothing was written, try again.
                Err(fault) if !fault.is_fatal() => tracing::warn!(%fault, "the database is busy"),
                Err(fault) => return Err(fault),
            }
        };
        let now = Instant::now();
        for (region, cursor) in &outcome.moved {
            self.cursors.insert(region.clone(), *cursor);
            self.live.advance(region, *cursor, now);
            if let Some(gap) = self.gaps.reach(region, cursor.seq) {
                tracing::info!(%region, up_to = gap.wanted_seq, "gap closed");
                self.live.set_gap(region, None);
            }
        }
        self.changes.tell(change(&outcome));
        for region in &outcome.apart {
            self.doubt(region);
        }
        for (region, seq) in &outcome.held {
            let applied = self.cursors.get(region).map_or(0, |cursor| cursor.seq);
            if *seq > applied {
                self.want(region, *seq, "gap");
            }
        }
        self.tell(&outcome.moved).await;
        Ok(outcome)
    }

    fn want(&mut self, region: &RegionId, seq: u64, why: &'static str) {
        if self.gaps.want(region, seq, (Instant::now(), clock::now())) {
            let from = self.cursors.get(region).map_or(0, |cursor| cursor.seq) + 1;
            tracing::warn!(%region, from, to = seq, why, "events are missing: asking the node");
        }
        self.live.set_gap(region, self.gaps.get(region));
    }

    /// Compares a region's events with the hub's, in the background.
    fn doubt(&mut self, region: &RegionId) {
        let now = Instant::now();
        let Some(state) = self.live.snapshot().remove(region) else {
            return;
        };
        let head_seq = state.heard.map_or(0, |heard| heard.beat.head_seq);
        if head_seq == 0 || !self.doubts.due(region, now) {
            return;
        }
        let (client, store, region) = (self.client.clone(), self.store.clone(), region.clone());
        let upto = head_seq.min(state.cursor.seq);
        self.compared.spawn(async move {
            let agreed = apart::agreed(&client, &store, &region, upto).await;
            (region, agreed)
        });
    }

    /// Tells a node that runs on an old copy of its file, and how old it is.
    async fn compared(&mut self, (region, agreed): (RegionId, Result<u64, CompareFault>)) -> Result<(), StoreFault> {
        let agreed_seq = match agreed {
            Ok(seq) => seq,
            Err(CompareFault::Store(fault)) if fault.is_fatal() => return Err(fault),
            Err(fault) => {
                tracing::warn!(%region, %fault, "events of node and hub cannot be compared");
                return Ok(());
            }
        };
        let cursor = self.cursors.get(&region).copied().unwrap_or_default();
        if agreed_seq < cursor.seq {
            tracing::error!(
                %region,
                agreed_seq,
                applied_seq = cursor.seq,
                "the node does not have what it once told: its file is an old copy, and a person there has to decide"
            );
            self.live.set_agreed(&region, agreed_seq);
        }
        self.tell_one(&region, cursor, Some(agreed_seq)).await;
        Ok(())
    }

    /// Starts requests for what is missing.
    fn look(&mut self) {
        let now = Instant::now();
        // A removed region's link may still be up; what it says from now on is not asked for.
        let registered = self.registry.borrow().clone();
        for region in self.gaps.forget(|region| !registered.contains_key(region)) {
            self.live.set_gap(&region, None);
        }
        for (region, state) in self.live.snapshot() {
            if registered.contains_key(&region) && apart::is_behind_itself(&state, now) {
                self.doubt(&region);
            }
            if state.gap.is_none()
                && registered.contains_key(&region)
                && let Some(seq) = repair::silent(&state, now)
            {
                self.want(&region, seq, "silence");
            }
        }
        for (region, to_seq) in self.gaps.due(now) {
            let from_seq = self.cursors.get(&region).map_or(0, |cursor| cursor.seq) + 1;
            let client = self.client.clone();
            self.asked.spawn(async move {
                let answer = repair::ask(&client, &region, from_seq, to_seq).await;
                Asked { region, answer }
            });
        }
    }

    async fn answered(&mut self, asked: Asked) -> Result<(), StoreFault> {
        let Asked { region, answer } = asked;
        let problem = match answer {
            Err(fault) => Some(fault),
            Ok(arrivals) => {
                let rows = arrivals.len();
                let batch = Batch {
                    arrivals,
                    position: None,
                };
                let outcome = self.apply(batch).await?;
                tracing::info!(%region, rows, applied = outcome.applied, "rows repaired by the node");
                // Rows that were all known by now are no fault: the stream was faster.
                (outcome.applied == 0 && outcome.repeated == 0).then_some(RepairFault::Refused)
            }
        };
        let problem = problem.map(|fault| fault.to_string());
        if self.gaps.answered(&region, problem.clone(), Instant::now()) {
            tracing::warn!(%region, problem, "events stay missing; this region waits, the others go on");
        }
        self.live.set_gap(&region, self.gaps.get(&region));
        // The next page at once, not at the next look.
        if problem.is_none() {
            self.look();
        }
        Ok(())
    }

    /// Publishes watermarks. While the connection is down nothing is sent: it would only pile up, and be old.
    async fn tell(&self, cursors: &BTreeMap<RegionId, Cursor>) {
        if self.client.connection_state() != State::Connected {
            return;
        }
        for (region, cursor) in cursors {
            self.tell_one(region, *cursor, None).await;
        }
    }

    async fn tell_one(&self, region: &RegionId, cursor: Cursor, agreed_seq: Option<u64>) {
        let watermark = Watermark {
            incarnation: cursor.incarnation,
            seq: cursor.seq,
            agreed_seq,
        };
        let Ok(body) = rmp_serde::to_vec_named(&watermark) else {
            return;
        };
        if let Err(fault) = self.client.publish(subject::watermark(region), body.into()).await {
            tracing::debug!(%region, %fault, "watermark not sent");
        }
    }
}

/// What a batch changed, for those who watch.
fn change(outcome: &Outcome) -> Change {
    let moved = outcome.moved.iter().map(|(region, cursor)| {
        let moved = Moved {
            applied_seq: cursor.seq,
            orders: outcome.changed.get(region).cloned().unwrap_or_default(),
        };
        (region.clone(), moved)
    });
    Change {
        regions: moved.collect(),
        alerts: false,
    }
}
