//! Where a region's drivers are, asked from its node while somebody looks at them. Nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::client::Request;
use tomato_shared::cell::RegionId;
use tomato_shared::subject;
use tomato_shared::sync::PositionsReply;

/// A node is asked at most so often, however many look.
const FRESH: Duration = Duration::from_secs(1);
/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// The latest look at each region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looks(Arc<Mutex<BTreeMap<RegionId, Latest>>>);

type Latest = Arc<tokio::sync::Mutex<Option<(Instant, Option<PositionsReply>)>>>;

impl Looks {
    /// Where the drivers of a registered region are; `None` if its node does not answer.
    pub(crate) async fn at(&self, client: &Client, region: &RegionId) -> Option<PositionsReply> {
        let latest = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(region.clone()).or_default())
        };
        // Those who look at once wait for one answer.
        let mut latest = latest.lock().await;
        if let Some((at, reply)) = &*latest
            && at.elapsed() < FRESH
        {
            return reply.clone();
        }
        let request = Request::new().timeout(Some(ANSWER));
        let answer = client.send_request(subject::positions(region), request).await;
        let reply = answer.ok().and_then(|message| {
            let read = rmp_serde::from_slice(&message.payload);
            read.inspect_err(|fault| tracing::warn!(%region, %fault, "positions cannot be read"))
                .ok()
        });
        *latest = Some((Instant::now(), reply.clone()));
        reply
    }
}
