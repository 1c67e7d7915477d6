//! A run that does not get on ends by itself, and says where it got stuck.

use std::time::Duration;

use tokio::time::Instant;
use tomato_shared::time::DurationMs;

use crate::run::Run;

/// Orders that do not move for so much simulated time are stuck, and no sooner than after so much real time.
const STUCK_AFTER: DurationMs = DurationMs::from_mins(120);
const STUCK_AFTER_LEAST: Duration = Duration::from_secs(60);

/// Notices when orders stay where they are for longer than anything takes.
pub(crate) struct Calm {
    changes: tokio::sync::watch::Receiver<u64>,
    since: Instant,
    limit: Duration,
}

impl Calm {
    /// Watches from now on.
    pub(crate) fn new(run: &Run) -> Self {
        let limit = run.stack.clock.real(STUCK_AFTER).max(STUCK_AFTER_LEAST);
        Self {
            changes: run.tracker.changes(),
            since: Instant::now(),
            limit,
        }
    }

    /// An error that names the orders, once nothing has moved for too long.
    pub(crate) fn look(&mut self, run: &Run) -> Result<(), String> {
        if self.changes.has_changed().unwrap_or(false) {
            self.changes.mark_unchanged();
            self.since = Instant::now();
        }
        let records = run
            .stack
            .nodes
            .iter()
            .flat_map(|node| run.tracker.records(&node.region));
        let stuck = records.filter(|(_, record)| !record.state.is_final());
        let stuck: Vec<String> = stuck
            .map(|(id, record)| format!("{id} is {}", record.state.name()))
            .collect();
        if stuck.is_empty() || self.since.elapsed() < self.limit {
            return Ok(());
        }
        Err(format!(
            "no order has moved for {} s: {}",
            self.limit.as_secs(),
            stuck.join(", ")
        ))
    }
}
