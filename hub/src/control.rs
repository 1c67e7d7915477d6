//! Gives each region the newest document that it is to go by, again and again until its heartbeat says that it does.
//!
//! The hub's file is the truth, and the region keeps its own copy, so nothing is kept on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use tokio::sync::{Notify, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;

use crate::live::Live;
use crate::registry::Active;
use crate::store::{Pool, StoreFault, editions};

/// How often what the regions say is looked at; heartbeats come every two seconds.
const LOOK: Duration = Duration::from_secs(2);

/// The task.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) client: Client,
    pub(crate) readers: Pool,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: watch::Receiver<Active>,
    /// Told when there is a new version.
    pub(crate) news: Arc<Notify>,
}

impl Teller {
    /// Runs until `stop`.
    pub(crate) async fn run(self, mut stop: StopSignal) -> Result<(), StoreFault> {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => {}
                () = self.news.notified() => {}
            }
            match self.look().await {
                Err(fault) if fault.is_fatal() => return Err(fault),
                Err(fault) => tracing::warn!(%fault, "what the regions are to go by cannot be read"),
                Ok(()) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), StoreFault> {
        let versions = self.readers.run(|conn| editions::versions(conn)).await?;
        self.live.set_editions(&versions);
        for region in self.behind() {
            let of = region.clone();
            let newest = self.readers.run(move |conn| editions::current(conn, &of)).await?;
            let bytes = match rmp_serde::to_vec_named(&newest.edition) {
                Ok(bytes) => bytes,
                Err(fault) => {
                    tracing::error!(%region, %fault, "a document does not serialise");
                    continue;
                }
            };
            // Without a connection there is no heartbeat either; it is given again when there is one.
            if let Err(fault) = self.client.publish(subject::edition(&region), bytes.into()).await {
                tracing::debug!(%region, %fault, "a document is not given");
            }
        }
        Ok(())
    }

    /// Registered regions that are there and go by something else than the newest version.
    fn behind(&self) -> Vec<RegionId> {
        let now = Instant::now();
        let registry = self.registry.borrow();
        let live = self.live.snapshot().into_iter();
        let behind = live.filter(|(region, state)| {
            let obeyed = state.heard.as_ref().map(|heard| heard.beat.control.version);
            registry.contains_key(region) && state.is_fresh(now) && state.edition > 0 && obeyed != Some(state.edition)
        });
        behind.map(|(region, _)| region).collect()
    }
}
