//! From the first process to the last line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tomato_tests::city::Staff;
use tomato_tests::city::habits::Habits;
use tomato_tests::city::mdrp::Spread;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::city::traffic::{Quota, Traffic};
use tomato_tests::city::world::{Size, World};
use tomato_tests::compare::settle;
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};

use crate::args::Args;
use crate::calm::Calm;
use crate::chaos::{self, Chaos};
use crate::status::{self, Paper, say};
use crate::{events, money, replay, report, table, tokens};

/// How long the hub may take to catch up after the last order.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// Orders per simulated minute in each region, and drivers enough for them.
const ORDERS_PER_MIN: f64 = 1.5;
const SIZE: Size = Size {
    restaurants: 15,
    drivers: 45,
    customers: 500,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All orders final, hub and regions agree; or stopped by the user.
    Fine,
    /// Something differs, and it was said what.
    Wrong,
}

/// Everything that a run is about.
pub(crate) struct Run {
    pub(crate) args: Args,
    pub(crate) stack: Stack,
    pub(crate) tracker: Arc<Tracker>,
    chaos: Option<Chaos>,
    started: Instant,
}

impl Run {
    /// Writes the files of hub and regions.
    pub(crate) fn prepare(args: Args, regions: Vec<RegionFile>) -> Result<Self, String> {
        let mut plan = StackPlan::default().rate(args.rate()).port_base(args.port_base);
        if args.chaos {
            plan = plan.proxied();
        }
        if let Some(folder) = &args.data {
            plan = plan.folder(folder.clone());
        }
        for region in regions {
            plan = plan.region_file(region);
        }
        let stack = Stack::prepare(plan)?;
        let chaos = args.chaos.then(|| Chaos::new(args.seed, Paper::at_hand()));
        Ok(Self {
            args,
            stack,
            chaos,
            tracker: Arc::default(),
            started: Instant::now(),
        })
    }

    /// Starts all processes and says where they are.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        self.stack.start().await?;
        let head = self.head();
        say(&head);
        Ok(())
    }

    fn head(&self) -> String {
        let (hub, folder) = (&self.stack.hub, self.stack.folder().display());
        let mut text = String::new();
        if let Some(hub) = hub {
            text += &format!(
                "hub  {0}  (API: {0}/v1/openapi.json)\npage {0}/ui/#token={1}\n",
                hub.server.base(),
                self.stack.issuer.operator()
            );
        }
        for node in &self.stack.nodes {
            text += &format!("{:<4} {}\n", node.region, node.server.base());
        }
        let kept = if self.stack.is_temporary() {
            "goes away at the end; keep it with --data DIR"
        } else {
            "is kept"
        };
        text + &format!("files, logs and tokens in {folder}, which {kept}\n")
    }

    /// The usual run: simulated people in every region.
    pub(crate) async fn traffic(&mut self) -> Result<Verdict, String> {
        let habits = Habits {
            orders_per_min: ORDERS_PER_MIN,
            ..Habits::default()
        };
        let (mut cities, mut staff) = (Vec::new(), Vec::new());
        for node in &self.stack.nodes {
            let world = World::generate(self.args.seed, node.ground.clone(), SIZE);
            world
                .write(&node.api)
                .await
                .map_err(|error| format!("{}: {error}", node.region))?;
            let city = self
                .stack
                .city_of(node, world, (self.args.seed, habits.clone(), false), &self.tracker);
            staff.push(Staff::start(&city));
            cities.push(city);
        }
        tokens::write(&self.stack, &cities)?;
        let mut customers = JoinSet::new();
        for (city, quota) in cities.iter().zip(self.args.quotas()) {
            customers.spawn(Traffic::run(city.clone(), quota.map_or(Quota::Endless, Quota::Orders)));
        }
        let done = async { while customers.join_next().await.is_some() {} };
        self.watch_until(done).await?;
        if !self.args.once {
            self.watch_until(std::future::pending()).await?;
        }
        if let Some(chaos) = &mut self.chaos {
            chaos.end(&self.stack);
        }
        drop(staff);
        self.conclude().await
    }

    /// Shows the status until `done`; an error when a process has ended by itself.
    pub(crate) async fn watch_until(&mut self, done: impl Future<Output = ()>) -> Result<(), String> {
        let (paper, head) = (Paper::at_hand(), self.head());
        status::clear(paper);
        let mut done = std::pin::pin!(done);
        let mut next = tokio::time::interval(paper.every());
        let mut calm = Calm::new(self);
        let mut breaks = tokio::time::interval(chaos::EVERY);
        breaks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut done => return Ok(()),
                _ = breaks.tick() => if let Some(chaos) = &mut self.chaos {
                    chaos.act(&mut self.stack).await?;
                },
                _ = next.tick() => {
                    self.look_after_processes()?;
                    calm.look(self)?;
                    let lines = self.chaos.as_ref().map(Chaos::lines).unwrap_or_default();
                    status::show(paper, &self.stack, &self.tracker, &format!("{head}{lines}")).await;
                }
            }
        }
    }

    fn look_after_processes(&mut self) -> Result<(), String> {
        let hub = self
            .stack
            .hub
            .iter_mut()
            .map(|hub| ("tomato-hub".to_owned(), &mut hub.server));
        let nodes = self
            .stack
            .nodes
            .iter_mut()
            .map(|node| (format!("tomato-node {}", node.region), &mut node.server));
        for (name, server) in hub.chain(nodes) {
            if let Some(status) = server.ended() {
                return Err(format!("{name} has ended with {status}\n{}", server.tails()));
            }
        }
        Ok(())
    }

    /// Compares, prints the table and what else there is to know.
    pub(crate) async fn conclude(&self) -> Result<Verdict, String> {
        // What the provider has still to answer changes nothing about orders, and may change what hub and regions say.
        let answered = money::answered(&self.stack).await;
        let found = settle(&self.stack, &self.tracker, SETTLE_LIMIT).await?;
        say(&format!("\n{}\n\n", table::table(&found)));
        let (accounts, even) = money::table(&self.stack)?;
        say(&format!("{accounts}\n\n"));
        let regions = || self.stack.nodes.iter().map(|node| self.tracker.counts(&node.region));
        let active: u64 = regions().map(|counts| counts.active() + counts.asking).sum();
        let doors = self
            .stack
            .nodes
            .iter()
            .flat_map(|node| self.tracker.records(&node.region).into_values());
        let minutes = doors
            .filter_map(|record| record.click_to_door())
            .map(|span| span.0 as f64 / 60_000.0)
            .collect();
        if let Some(Spread { mean, p50, p90 }) = Spread::of(minutes) {
            say(&format!(
                "click to door, in minutes: mean {mean:.1}, median {p50:.1}, 90th percentile {p90:.1}\n"
            ));
        }
        if let Some(chaos) = &self.chaos {
            say(&chaos.sum());
        }
        match events::told(&self.stack).await {
            Ok(told) => say(&told),
            Err(error) => say(&format!("what happened cannot be read: {error}\n")),
        }
        say(&report::resources(&self.stack, &self.tracker, self.started));
        let refused = self
            .tracker
            .refusals()
            .into_iter()
            .map(|(code, count)| format!("{count} {code}"));
        let refused = refused.collect::<Vec<_>>().join(", ");
        if !refused.is_empty() {
            say(&format!(
                "wishes refused, each followed by another customer: {refused}\n"
            ));
        }
        for complaint in self.tracker.complaints() {
            say(&format!("unexpected answer: {complaint}\n"));
        }
        for difference in &found.differences {
            say(&format!("difference: {difference}\n"));
        }
        if active > 0 {
            say(&format!("{active} orders are not final\n"));
        }
        if let Err(open) = &answered {
            say(&format!("{open}\n"));
        }
        if !even {
            say("provider, books and orders do not agree about the money\n");
        }
        if found.differences.is_empty() && active == 0 && answered.is_ok() && even {
            say("hub and regions agree, every order is final, and provider, books and orders have the same money\n");
            return Ok(Verdict::Fine);
        }
        Ok(Verdict::Wrong)
    }

    /// Where a file of results goes: to the kept data, or else to the system's temporary directory.
    pub(crate) fn results(&self, name: &str) -> PathBuf {
        if self.stack.is_temporary() {
            std::env::temp_dir().join(name)
        } else {
            self.stack.folder().join(name)
        }
    }
}

/// Runs what the command line asks for, and stops every process whatever happens.
pub(crate) async fn run(args: Args) -> Result<Verdict, String> {
    let replays = args.replay.clone();
    let (mut run, day) = match &replays {
        Some(folder) => {
            let day = replay::Day::read(folder)?;
            (Run::prepare(args, vec![day.region_file()])?, Some(day))
        }
        None => {
            let regions = RegionFile::first(args.regions);
            (Run::prepare(args, regions)?, None)
        }
    };
    let verdict = {
        let work = async {
            run.start().await?;
            match day {
                Some(day) => run.replay(day).await,
                None => run.traffic().await,
            }
        };
        tokio::select! {
            verdict = work => verdict,
            stopped = stop_signal() => stopped.map(|()| Verdict::Fine),
        }
    };
    let stopped = run.stack.stop().await;
    verdict.and_then(|verdict| stopped.map(|()| verdict))
}

/// Ctrl-C or SIGTERM.
async fn stop_signal() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    say("\nstopping\n");
    Ok(())
}
