//! What was just committed, for those who watch: which orders of which regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast;
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;

/// Batches that a slow watcher may lag behind before it is told to read again.
const KEPT: usize = 256;

/// One committed batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) regions: BTreeMap<RegionId, Moved>,
    /// Whether alerts changed.
    pub(crate) alerts: bool,
}

/// What moved in one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) applied_seq: u64,
    pub(crate) orders: Vec<OrderId>,
}

/// Where changes are told, and heard.
#[derive(Debug, Clone)]
pub(crate) struct Changes(broadcast::Sender<Arc<Change>>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Changes {
    /// Tells all who listen; nobody has to.
    pub(crate) fn tell(&self, change: Change) {
        if self.0.receiver_count() > 0 {
            // Fails only if the last listener has just gone.
            self.0.send(Arc::new(change)).ok();
        }
    }

    /// Hears what is told from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Change>> {
        self.0.subscribe()
    }
}
