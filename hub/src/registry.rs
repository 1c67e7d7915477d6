//! Notices what `tomato-hub region` does to the registry while the hub runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;

use crate::live::Live;
use crate::store::regions::{self, Region};
use crate::store::{Pool, StoreFault, events};

/// How often the file is asked whether it changed: one read of a page in memory.
const LOOK: Duration = Duration::from_millis(500);

/// The regions that may connect, each with its public key.
pub(crate) type Active = BTreeMap<RegionId, String>;

/// The task that watches.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// One connection of its own: SQLite counts changes per connection.
    store: Pool,
    live: Arc<Live>,
    active: watch::Sender<Active>,
    /// Told when messages of a region went by before it was registered.
    rewind: Arc<Notify>,
    version: i64,
}

struct Look {
    version: i64,
    regions: Vec<Region>,
    passed_by: bool,
}

impl Watcher {
    /// Reads the registry for the first time.
    pub(crate) async fn start(store: Pool, live: Arc<Live>, rewind: Arc<Notify>) -> Result<Self, StoreFault> {
        let mut watcher = Self {
            store,
            live,
            active: watch::Sender::default(),
            rewind,
            version: -1,
        };
        watcher.look().await?;
        Ok(watcher)
    }

    /// The registry as it stands, and as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Active> {
        self.active.subscribe()
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut stop: StopSignal) -> Result<(), StoreFault> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => match self.look().await {
                    Err(fault) if fault.is_fatal() => return Err(fault),
                    Err(fault) => tracing::warn!(%fault, "the registry cannot be read"),
                    Ok(()) => {}
                },
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreFault> {
        let before = self.version;
        let found = self.store.run(move |conn| look(conn, before)).await?;
        let Some(found) = found else { return Ok(()) };
        self.version = found.version;
        for region in &found.regions {
            self.live.register(&region.id);
        }
        let registered = found.regions.into_iter().filter(|region| region.removed_at.is_none());
        let active: Active = registered.map(|region| (region.id, region.public_key)).collect();
        self.active.send_if_modified(|known| {
            let changed = *known != active;
            if changed {
                tracing::info!(regions = active.len(), "the registry changed");
                *known = active;
            }
            changed
        });
        if found.passed_by {
            self.rewind.notify_one();
        }
        Ok(())
    }
}

/// `None` if nothing was committed since the data had version `before`.
fn look(conn: &mut Connection, before: i64) -> Result<Option<Look>, StoreFault> {
    let version = regions::data_version(conn)?;
    if version == before {
        return Ok(None);
    }
    Ok(Some(Look {
        version,
        regions: regions::list(conn)?,
        passed_by: events::has_passed_by(conn)?,
    }))
}
