//! Hears the regions' heartbeats, and stores the newest now and then: a hub that starts while a region is away still
//! knows what it does not have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, Message, SubscribeError};
use futures_util::StreamExt;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::Heartbeat;

use crate::clock;
use crate::live::{Heard, Live};
use crate::store::regions::{self, StoredHeartbeat};
use crate::store::{Pool, StoreFault};

/// How often the newest heartbeats are stored.
const STORE: Duration = Duration::from_secs(5);

/// Why the task ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeartbeatFault {
    #[error("the heartbeats' subject cannot be subscribed")]
    Subscribe(#[from] SubscribeError),
    #[error("the subscription ended")]
    Ended,
    #[error("the database failed")]
    Store(#[from] StoreFault),
}

/// Puts what was heard before this process started into `live`.
pub(crate) async fn restore(store: &Pool, live: &Live) -> Result<(), StoreFault> {
    for stored in store.run(|conn| regions::heartbeats(conn)).await? {
        if let Ok(beat) = rmp_serde::from_slice(&stored.body) {
            let heard = Heard {
                beat,
                received_at: stored.received_at,
                received: None,
            };
            live.register(&stored.region);
            live.hear(&stored.region, heard);
        }
    }
    Ok(())
}

/// Runs until `stop`.
pub(crate) async fn run(
    client: Client,
    store: Pool,
    live: Arc<Live>,
    mut stop: StopSignal,
) -> Result<(), HeartbeatFault> {
    let mut messages = client.subscribe(subject::heartbeats()).await?;
    let mut keep = tokio::time::interval(STORE);
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            message = messages.next() => hear(&live, &message.ok_or(HeartbeatFault::Ended)?),
            _ = keep.tick() => match save(&store, &live).await {
                Err(fault) if fault.is_fatal() => return Err(fault.into()),
                Err(fault) => tracing::warn!(%fault, "heartbeats not stored"),
                Ok(()) => {}
            },
        }
    }
}

fn hear(live: &Live, message: &Message) {
    let Some(region) = subject::heartbeat_region(&message.subject) else {
        return;
    };
    match rmp_serde::from_slice::<Heartbeat>(&message.payload) {
        Ok(beat) => {
            let heard = Heard {
                beat,
                received_at: clock::now(),
                received: Some(Instant::now()),
            };
            live.hear(&region, heard);
        }
        Err(fault) => tracing::warn!(%region, %fault, "heartbeat cannot be read"),
    }
}

async fn save(store: &Pool, live: &Live) -> Result<(), StoreFault> {
    let newest: Vec<StoredHeartbeat> = live
        .snapshot()
        .into_iter()
        .filter_map(|(region, now)| {
            let heard = now.heard.filter(|heard| heard.received.is_some())?;
            Some(StoredHeartbeat {
                region,
                received_at: heard.received_at,
                body: rmp_serde::to_vec_named(&heard.beat).ok()?,
            })
        })
        .collect();
    if newest.is_empty() {
        return Ok(());
    }
    store.run(move |conn| regions::save_heartbeats(conn, &newest)).await
}
