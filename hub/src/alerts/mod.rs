//! What is going wrong, by rules from the configuration: looked at every few seconds, kept until it is over, told once
//! to a webhook, and acknowledged by a person.
//!
//! | module | does |
//! |---|---|
//! | [`rules`] | pure: what was seen in, what fires out |
//! | [`look`] | reads what the rules need |
//! | here | the task: look, keep, tell |

pub(crate) mod look;
pub(crate) mod rules;

use std::sync::Arc;
use std::time::Duration;

use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::DurationMs;

use crate::changes::{Change, Changes};
use crate::clock;
use crate::config::AlertConfig;
use crate::live::Live;
use crate::projections::analytics::DAY_MS;
use crate::registry::Active;
use crate::store::alerts::{self, Alert};
use crate::store::{Pool, StoreFault};

/// How often the rules are looked at. An odd number, so as not to fall in with other tasks.
const LOOK: Duration = Duration::from_millis(2_003);
/// Alerts that are told in one go.
const AT_ONCE: u32 = 20;
/// How long the webhook may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The task.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) config: AlertConfig,
    pub(crate) readers: Pool,
    pub(crate) writer: Pool,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: tokio::sync::watch::Receiver<Active>,
    pub(crate) changes: Changes,
}

impl Watch {
    /// Runs until `stop`.
    pub(crate) async fn run(self, mut stop: StopSignal) -> Result<(), StoreFault> {
        let client = match reqwest::Client::builder().timeout(ANSWER).build() {
            Ok(client) => Some(client),
            Err(fault) => {
                tracing::error!(%fault, "no alert can be sent");
                None
            }
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => {}
            }
            match self.round(client.as_ref()).await {
                Err(fault) if fault.is_fatal() => return Err(fault),
                Err(fault) => tracing::warn!(%fault, "alerts not looked at"),
                Ok(()) => {}
            }
        }
    }

    async fn round(&self, client: Option<&reqwest::Client>) -> Result<(), StoreFault> {
        self.look().await?;
        self.tell(client).await
    }

    async fn look(&self) -> Result<(), StoreFault> {
        let now = clock::now();
        let regions = look::regions(&self.live, &self.registry.borrow(), now);
        let read = move |conn: &mut rusqlite::Connection| look::read(conn, regions, now);
        let seen = self.readers.run(read).await?;
        let firing = rules::firing(&self.config, &seen);
        let changed = self.writer.run(move |conn| alerts::keep(conn, &firing, now)).await?;
        if changed {
            self.changes.tell(Change {
                alerts: true,
                ..Change::default()
            });
        }
        Ok(())
    }

    /// Sends what was not sent yet, oldest first. What fails is sent at the next look.
    async fn tell(&self, client: Option<&reqwest::Client>) -> Result<(), StoreFault> {
        let (Some(url), Some(client)) = (&self.config.webhook_url, client) else {
            return Ok(());
        };
        let since = clock::now() + DurationMs(-DAY_MS);
        let untold = self
            .readers
            .run(move |conn| alerts::untold(conn, since, AT_ONCE))
            .await?;
        for alert in untold {
            let id = alert.id;
            if let Err(fault) = post(client, url, &alert).await {
                tracing::warn!(%fault, id, "the webhook did not take an alert");
                return Ok(());
            }
            let now = clock::now();
            self.writer.run(move |conn| alerts::told(conn, id, now)).await?;
        }
        Ok(())
    }
}

async fn post(client: &reqwest::Client, url: &str, alert: &Alert) -> reqwest::Result<()> {
    let body = serde_json::to_vec(alert).unwrap_or_default();
    // The id makes a second delivery recognisable: an answer may be lost.
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("idempotency-key", format!("alert-{}", alert.id));
    request.body(body).send().await?.error_for_status()?;
    Ok(())
}

#[cfg(test)]
mod tests;
