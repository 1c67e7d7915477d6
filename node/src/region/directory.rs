//! The directory as the node has it: asked in memory, kept in the region's file, fetched from the hub's bucket whenever the hub
//! says that there is a newer one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION, RegionId};
use tomato_shared::directory::{self, Directory, Map, Owner, Phase};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::{Newest, Territory};
use tomato_shared::time::UnixMs;

use super::link::LinkError;
use super::parcels;
use crate::engine::city::Catalogue;
use crate::engine::command::Command;
use crate::engine::model::By;
use crate::engine::policy::Policy;
use crate::engine::territory::{Part, Side, Whose};
use crate::writer::{Context, Writer};

/// How long the hub's bucket may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Says whose a cell is, from memory, also without the hub; cheap to clone.
#[derive(Debug, Clone)]
pub struct Locator {
    policy: Arc<Policy>,
    public_url: Arc<str>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    /// When the hub last said that the map here is the newest, by its clock; 0 for not since the start.
    confirmed_at: Arc<AtomicI64>,
}

impl Locator {
    /// Over what the writer publishes.
    pub fn new(policy: Arc<Policy>, public_url: &str, catalogue: watch::Receiver<Arc<Catalogue>>) -> Self {
        Self {
            policy,
            public_url: public_url.into(),
            catalogue,
            confirmed_at: Arc::default(),
        }
    }

    /// Whose a cell of any resolution is; `None` where it is nobody's. Without a map only this region's own are known, with
    /// version 0.
    pub fn owner(&self, cell: Cell) -> Option<Owner> {
        let territory = self.catalogue.borrow().territory.clone();
        match territory.whose(&self.policy, cell) {
            Whose::Ours | Whose::Moving => Some(Owner {
                region: self.policy.region.clone(),
                public_url: self.public_url.as_ref().to_owned(),
                map_version: territory.directory.map().version,
            }),
            Whose::Theirs(owner) => Some(owner),
            Whose::Nobodys => None,
        }
    }

    /// Whose a place is.
    pub fn locate(&self, place: &LatLng) -> Option<Owner> {
        self.owner(place.cell(REGION_RESOLUTION))
    }

    /// The newest map that is known here.
    pub fn directory(&self) -> Arc<Directory> {
        self.catalogue.borrow().territory.directory.clone()
    }

    /// Of when the answers are, by the hub's clock: when it last said that this map is the newest, else when the map was made.
    /// `None` without a map.
    pub fn as_of(&self) -> Option<UnixMs> {
        let territory = self.catalogue.borrow().territory.clone();
        let map = territory.directory.map();
        let confirmed_at = UnixMs(self.confirmed_at.load(Ordering::Relaxed));
        (map.version > 0).then(|| map.made_at.max(confirmed_at))
    }

    /// What the hub is told.
    pub fn territory(&self) -> Territory {
        let territory = self.catalogue.borrow().territory.clone();
        let map = territory.directory.map();
        let on = |side| {
            let parts = territory.parts.iter().filter(|(_, part)| part.side == side);
            parts.map(|(id, _)| *id).collect()
        };
        Territory {
            map_version: map.version,
            cells: map.claim(&self.policy.region, &self.policy.cells),
            left: on(Side::Left),
            arrived: on(Side::Arrived),
        }
    }

    /// What this region has done for a move.
    pub fn part(&self, move_id: u64) -> Option<Part> {
        self.catalogue.borrow().territory.parts.get(&move_id).cloned()
    }

    /// Moves to this region that wait for what goes along, and where it is.
    fn awaited(&self) -> Vec<(u64, RegionId)> {
        let territory = self.catalogue.borrow().territory.clone();
        let here = &self.policy.region;
        let moves = territory.directory.map().moves.iter();
        let wanted = moves.filter(|row| row.to == *here && row.phase == Phase::Arriving);
        let open = wanted.filter(|row| !territory.parts.contains_key(&row.id));
        open.map(|row| (row.id, row.from.clone())).collect()
    }

    fn map_version(&self) -> u64 {
        self.catalogue.borrow().territory.directory.map().version
    }
}

/// Keeps the map up to date.
#[derive(Debug)]
pub struct Mirror {
    /// The region's broker.
    pub client: Client,
    /// Puts a newer map into the region's file.
    pub writer: Writer,
    /// Which map is there.
    pub locator: Locator,
    /// Has the hub told at once what has changed.
    pub beat: Arc<Notify>,
}

impl Mirror {
    /// Runs until told to stop.
    ///
    /// # Errors
    /// Where the broker does not let us listen.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let mut told = self.client.subscribe(subject::newest()).await?;
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(message) = told.next() => self.told(&message).await,
            }
        }
    }

    async fn told(&self, message: &Message) {
        let newest = match rmp_serde::from_slice::<Newest>(&message.payload) {
            Ok(newest) => newest,
            Err(error) => return tracing::warn!(%error, "the hub's word on the directory cannot be read"),
        };
        if newest.map_version > self.locator.map_version()
            && let Err(reason) = self.fetch().await
        {
            // It is said again every few seconds.
            return tracing::warn!(reason, version = newest.map_version, "no newer map yet");
        }
        for (move_id, from) in self.locator.awaited() {
            if let Err(reason) = self.take_in(move_id, &from).await {
                tracing::warn!(reason, move_id, "what goes along with new cells is not here yet");
            }
        }
        if newest.map_version == self.locator.map_version() {
            self.locator.confirmed_at.fetch_max(newest.at.0, Ordering::Relaxed);
        }
    }

    async fn fetch(&self) -> Result<(), String> {
        let bytes = tokio::time::timeout(ANSWER, self.bucket_value(subject::MAP_KEY))
            .await
            .map_err(|_| String::from("the hub's bucket does not answer"))??;
        let Some(bytes) = bytes else {
            return Err("the hub's bucket has no map".into());
        };
        let map: Map = rmp_serde::from_slice(&bytes).map_err(|error| format!("the map cannot be read: {error}"))?;
        let faults = directory::faults(&map);
        if !faults.is_empty() {
            return Err(format!("the map contradicts itself: {}", faults.join("; ")));
        }
        let command = Command::TakeMap(Box::new(map));
        self.command(command).await
    }

    async fn take_in(&self, move_id: u64, from: &RegionId) -> Result<(), String> {
        let here = &self.locator.policy.region;
        let parcel = parcels::fetch(&self.client, here, from, move_id).await?;
        tracing::info!(move_id, %from, restaurants = parcel.restaurants.len(), "cells have arrived");
        self.command(Command::TakeIn(move_id, Box::new(parcel))).await
    }

    async fn command(&self, command: Command) -> Result<(), String> {
        let taken = self.writer.submit(By::System, command, Context::default()).await;
        self.beat.notify_one();
        taken.map(drop).map_err(|failure| format!("not written: {failure:?}"))
    }

    /// A value of the hub's bucket, read over the link.
    async fn bucket_value(&self, key: &str) -> Result<Option<bytes::Bytes>, String> {
        let context = jetstream::with_domain(self.client.clone(), subject::HUB_DOMAIN);
        let bucket: kv::Store = context
            .get_key_value(subject::DIRECTORY_BUCKET)
            .await
            .map_err(|error| error.to_string())?;
        bucket.get(key).await.map_err(|error| error.to_string())
    }
}
