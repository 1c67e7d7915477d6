//! Drivers where regions meet: who idles in another region's cells is handed over, and told until the other knows.
//!
//! The engine decides (`engine/custody.rs`), and what it decided is a row; here is only what looks and what tells. A
//! region that cannot be reached is given nobody, so that a cut link strands at most those who were on the way.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;
use tomato_shared::cell::{LatLng, RegionId};
use tomato_shared::id::DriverId;
use tomato_shared::runtime::shutdown::{StopSignal, Supervisor};
use tomato_shared::subject::PeerVerb;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::config::BordersConfig;
use crate::engine::command::{Command, DriverCommand};
use crate::engine::custody::{Arrival, Step};
use crate::engine::model::{By, Driver};
use crate::fleet::Fix;
use crate::http::App;
use crate::store::reads;
use crate::writer::{Context, Failure};

use super::loans::Loans;
use super::peers::Peers;
use super::peers::door::Door;
use super::peers::wire::{Coming, Taken, Thing, Whose};

/// How often those on the way are told of, in real time.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How often positions are looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long another region may take to commit.
const TAKE_WITHIN: Duration = Duration::from_secs(3);
/// How long another region may take to say that it is there.
const THERE_WITHIN: Duration = Duration::from_millis(1_500);
/// Drivers told of at a time.
const TOLD_MAX: usize = 64;

/// Looks after the drivers at this region's borders.
pub struct Borders {
    app: Arc<App>,
    peers: Arc<Peers>,
    hand_over_after: DurationMs,
    /// Who is in which other region's cells, since when.
    strays: HashMap<DriverId, (RegionId, UnixMs)>,
    /// Where those who are on the way were last.
    places: HashMap<DriverId, LatLng>,
    told: Option<DriverId>,
    loans: Loans,
}

impl Borders {
    /// Looks after these.
    pub fn new(app: Arc<App>, peers: Arc<Peers>, config: &BordersConfig) -> Self {
        let loan_after = DurationMs(config.loan_after_ms);
        Self {
            loans: Loans::new(app.clone(), peers.clone(), loan_after),
            hand_over_after: DurationMs(config.hand_over_after_ms),
            app,
            peers,
            strays: HashMap::new(),
            places: HashMap::new(),
            told: None,
        }
    }

    /// Looks and tells until told to stop.
    ///
    /// # Errors
    /// Never.
    pub async fn run(mut self, mut stop: StopSignal) -> Result<(), Infallible> {
        let every = |period| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut look, mut tell) = (every(LOOK_EVERY), every(TELL_EVERY));
        loop {
            let looks = tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => true,
                _ = tell.tick() => false,
            };
            if self.peers.is_alone() {
                continue;
            }
            if looks {
                self.look().await;
                self.loans.look().await;
            } else {
                self.tell().await;
            }
        }
    }

    /// Hands over who has idled on the other side for long enough.
    async fn look(&mut self) {
        let now = self.app.clock.now();
        let mut strays = HashMap::new();
        let mut ripe = Vec::new();
        for (id, place) in self.app.fleet.free(now) {
            let Some(owner) = self.peers.owner(&place).filter(|owner| *owner != self.peers.region) else {
                continue;
            };
            let before = self.strays.get(&id).filter(|(region, _)| *region == owner);
            let since = before.map_or(now, |(_, since)| *since);
            if now - since >= self.hand_over_after {
                ripe.push((id, owner.clone(), place));
            }
            strays.insert(id, (owner, since));
        }
        self.strays = strays;
        ripe.truncate(TOLD_MAX);
        for (id, to, place) in ripe {
            if !self.is_there(&to, id).await {
                continue;
            }
            self.places.insert(id, place);
            let step = Step::HandOver {
                to: to.clone(),
                loan: None,
            };
            match self.submit(id, step).await {
                Ok(()) => tracing::info!(driver_id = %id, %to, "a driver crossed the border and is handed over"),
                Err(failure) => tracing::debug!(driver_id = %id, ?failure, "a driver is not handed over now"),
            }
        }
    }

    /// Whether another region can be talked to.
    async fn is_there(&self, region: &RegionId, id: DriverId) -> bool {
        let question = Thing::Driver(id);
        let answer = self
            .peers
            .ask::<_, Whose>(region, PeerVerb::Whose, &question, THERE_WITHIN);
        answer.await.is_ok()
    }

    /// Tells the takers of those who are on the way, some at a time, round and round.
    async fn tell(&mut self) {
        let after = self.told;
        let read = self
            .app
            .reads
            .read(move |connection| reads::leaving(connection, after, TOLD_MAX))
            .await;
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => return tracing::warn!(%error, "drivers on the way cannot be read"),
        };
        self.told = rows.last().filter(|_| rows.len() == TOLD_MAX).map(|row| row.id);
        if after.is_none() && rows.is_empty() {
            self.places.clear();
        }
        join_all(rows.iter().map(|row| self.tell_of(row))).await;
    }

    async fn tell_of(&self, row: &Driver) {
        let place = self.places.get(&row.id).copied();
        let Some((to, arrival)) = Arrival::of(row, &self.peers.region, place) else {
            return;
        };
        let coming = Coming {
            driver_id: row.id,
            arrival,
        };
        let answer = self
            .peers
            .ask::<_, Taken>(&to, PeerVerb::Driver, &coming, TAKE_WITHIN)
            .await;
        let Ok(Taken { epoch }) = answer else {
            // It is told again; until then the driver is nobody's.
            return tracing::debug!(driver_id = %row.id, %to, ?answer, "a driver waits on the way");
        };
        if let Err(failure) = self.submit(row.id, Step::HandedOver(epoch)).await {
            tracing::warn!(driver_id = %row.id, ?failure, "that a driver was taken is not noted yet");
        }
    }

    async fn submit(&self, id: DriverId, step: Step) -> Result<(), Failure> {
        let command = Command::Driver(id, DriverCommand::Cross(step));
        let submitted = self.app.writer.submit(By::System, command, Context::default());
        submitted.await.map(|_| ())
    }
}

/// Answers other regions, and looks after the drivers between them and this one.
pub fn open(supervisor: &mut Supervisor, app: &Arc<App>, peers: Arc<Peers>, config: &BordersConfig) {
    let door = Door::new(app.clone(), &peers);
    supervisor.spawn("door", door.run(supervisor.stop_signal()));
    let borders = Borders::new(app.clone(), peers, config);
    supervisor.spawn("borders", borders.run(supervisor.stop_signal()));
}

/// Takes a driver of another region; `None` where it is not committed, and the giver has to say it again.
pub async fn take(app: &App, coming: Coming, from: &RegionId) -> Option<Taken> {
    let Coming { driver_id, arrival } = coming;
    if arrival.from != *from {
        tracing::warn!(%from, claimed = %arrival.from, "a driver comes in another region's name");
        return None;
    }
    let (epoch, place) = (arrival.epoch, arrival.place);
    let command = Command::Driver(driver_id, DriverCommand::Cross(Step::TakeOver(Box::new(arrival))));
    match app.writer.submit(By::System, command, Context::default()).await {
        Ok(_) => {
            if let Some(place) = place {
                let fix = Fix {
                    place,
                    at: app.clock.now(),
                    accuracy_m: None,
                };
                let reported = app.fleet.report(driver_id, &[fix], fix.at);
                if reported.appeared && app.head.borrow().orders_waiting > 0 {
                    app.writer.driver_appeared();
                }
            }
            Some(Taken { epoch })
        }
        Err(failure) => {
            tracing::warn!(%driver_id, %from, ?failure, "a driver of another region is not taken now");
            None
        }
    }
}
