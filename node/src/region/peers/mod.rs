//! Other regions: asked over NATS, answered by their own programs, never relied on.
//!
//! | module | does |
//! |---|---|
//! | [`wire`] | what is said |
//! | [`door`] | answers the others |
//! | [`memory`] | remembers whose things were |
//!
//! The broker lets a region ask in its own name only, so who asks is known. Nothing here is the truth: an answer that is
//! lost is asked for again, and every command is made repeatable by whoever sends it.

pub mod door;
pub mod memory;
pub mod wire;

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tomato_shared::cell::{LatLng, RegionId};
use tomato_shared::subject::{self, PeerVerb};

use super::directory::Locator;
use memory::Memory;
use wire::{Thing, Whose};

/// How long a region may think about whose something is.
const WHOSE_WITHIN: Duration = Duration::from_millis(1_500);
/// Regions asked for one thing.
const ASKED_MAX: usize = 64;
/// Searches at a time; beyond, whoever searches is told to come back.
const SEARCHES_MAX: usize = 128;
/// Largest message; the broker's limit is 1 MB.
pub const MESSAGE_BYTES_MAX: usize = 900 * 1024;

/// The other regions, as this one reaches them.
#[derive(Debug)]
pub struct Peers {
    /// This region.
    pub region: RegionId,
    /// The way to them.
    pub(crate) client: Client,
    /// Who they are.
    pub locator: Locator,
    searches: Semaphore,
    /// Whose things were.
    pub memory: Memory,
}

/// Why a region gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// It has not heard the question.
    Unreachable,
    /// It may have heard the question, and done what it was asked.
    Unknown,
    /// It said something that cannot be read, or there is more to say than one message holds.
    Unreadable,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// This region has it.
    Found(RegionId),
    /// Every region says no.
    Nowhere,
    /// Nobody says yes, and these did not answer.
    Silent(Vec<RegionId>),
    /// Too many searches at once.
    Busy,
}

impl Peers {
    /// Asks through this region's broker.
    pub fn new(region: RegionId, client: Client, locator: Locator) -> Self {
        Self {
            region,
            client,
            locator,
            searches: Semaphore::new(SEARCHES_MAX),
            memory: Memory::default(),
        }
    }

    /// Whether no other region is known.
    pub fn is_alone(&self) -> bool {
        let directory = self.locator.directory();
        directory.map().regions.keys().all(|region| *region == self.region)
    }

    /// The region that a place belongs to.
    pub fn owner(&self, place: &LatLng) -> Option<RegionId> {
        self.locator.locate(place).map(|owner| owner.region)
    }

    /// Where apps reach a region.
    pub fn url(&self, region: &RegionId) -> Option<String> {
        let directory = self.locator.directory();
        directory
            .map()
            .regions
            .get(region)
            .map(|share| share.public_url.clone())
    }

    /// Every other region on the map.
    pub fn others(&self) -> Vec<RegionId> {
        let directory = self.locator.directory();
        let all = directory.map().regions.keys();
        all.filter(|region| **region != self.region).cloned().collect()
    }

    /// Asks one region, and waits for its answer for so long.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        to: &RegionId,
        verb: PeerVerb,
        question: &Q,
        within: Duration,
    ) -> Result<A, NoAnswer> {
        let payload = rmp_serde::to_vec_named(question).map_err(|_| NoAnswer::Unreadable)?;
        if payload.len() > MESSAGE_BYTES_MAX {
            return Err(NoAnswer::Unreadable);
        }
        // What is sent while there is no connection is kept and sent later, when nobody waits for it any more.
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err(NoAnswer::Unreachable);
        }
        let request = Request::new().payload(payload.into()).timeout(Some(within));
        let subject = subject::peer(to, &self.region, verb);
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => NoAnswer::Unreachable,
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => NoAnswer::Unreadable,
            RequestErrorKind::TimedOut | RequestErrorKind::Other => NoAnswer::Unknown,
        })?;
        rmp_serde::from_slice(&answer.payload).map_err(|error| {
            tracing::warn!(%to, %error, "a region's answer cannot be read");
            NoAnswer::Unreadable
        })
    }

    /// Asks every other region whether it has something.
    pub async fn search(&self, thing: Thing) -> Search {
        let Ok(_permit) = self.searches.try_acquire() else {
            return Search::Busy;
        };
        let others: Vec<RegionId> = self.others().into_iter().take(ASKED_MAX).collect();
        let mut answers: FuturesUnordered<_> = others
            .into_iter()
            .map(|region| async move {
                let answer = self
                    .ask::<_, Whose>(&region, PeerVerb::Whose, &thing, WHOSE_WITHIN)
                    .await;
                (region, answer)
            })
            .collect();
        let mut silent = Vec::new();
        while let Some((region, answer)) = answers.next().await {
            match answer {
                Ok(Whose { mine: true }) => return Search::Found(region),
                Ok(Whose { mine: false }) => {}
                Err(_) => silent.push(region),
            }
        }
        silent.sort();
        if silent.is_empty() {
            Search::Nowhere
        } else {
            Search::Silent(silent)
        }
    }
}
