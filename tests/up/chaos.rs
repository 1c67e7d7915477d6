//! `--chaos`: regions are cut off and healed, and processes killed, at random, while people order.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tomato_shared::cell::RegionId;
use tomato_tests::chaos::kills::{Victim, strike};
use tomato_tests::city::chance;
use tomato_tests::proxy::{End, Proxy, Way};
use tomato_tests::stack::Stack;

use crate::status::{Paper, say};

/// Between two looks at what is due.
pub(crate) const EVERY: Duration = Duration::from_millis(250);
/// Real time between two faults, and how long a network stays broken, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 1_500..4_500;
const BROKEN_MS: std::ops::Range<u64> = 2_000..15_000;
/// Lines on a screen.
const LINES: usize = 8;

/// What can be done to a region's network: what it is called, how it begins.
type Fault = (&'static str, fn(&Proxy));
const WIRES: [Fault; 7] = [
    ("cut off from the hub", Proxy::cut),
    ("cannot reach the hub, but hears it", |wire| {
        wire.cut_one_way(Way::ToServer)
    }),
    ("reaches the hub, but does not hear it", |wire| {
        wire.cut_one_way(Way::ToClient)
    }),
    ("refused by the hub's network", Proxy::refuse),
    ("left with a dead connection", |wire| wire.half_open(End::Client)),
    ("gone, and the hub is not told", |wire| wire.half_open(End::Server)),
    ("has a slow link, 300 ms each way", |wire| {
        wire.delay(Duration::from_millis(300))
    }),
];

/// What breaks next, and what is broken.
pub(crate) struct Chaos {
    rng: StdRng,
    paper: Paper,
    started: Instant,
    next: Instant,
    /// Regions whose network is broken, and until when.
    broken: BTreeMap<RegionId, Instant>,
    lines: VecDeque<String>,
    cuts: u64,
    kills: BTreeMap<&'static str, u64>,
}

impl Chaos {
    pub(crate) fn new(seed: u64, paper: Paper) -> Self {
        let now = Instant::now();
        Self {
            rng: chance::stream(seed, "chaos", 0),
            paper,
            started: now,
            next: now + Duration::from_millis(PAUSE_MS.end),
            broken: BTreeMap::new(),
            lines: VecDeque::new(),
            cuts: 0,
            kills: BTreeMap::new(),
        }
    }

    /// Does what is due. An error: a killed process does not start again.
    pub(crate) async fn act(&mut self, stack: &mut Stack) -> Result<(), String> {
        let now = Instant::now();
        let due: Vec<_> = self.broken.iter().filter(|(_, until)| **until <= now).collect();
        for region in due.into_iter().map(|(region, _)| region.clone()).collect::<Vec<_>>() {
            self.heal(stack, &region);
        }
        if now < self.next {
            return Ok(());
        }
        let done = if self.rng.random_bool(0.5) {
            self.cut(stack)
        } else {
            self.kill(stack).await
        };
        self.next = Instant::now() + Duration::from_millis(self.rng.random_range(PAUSE_MS));
        done
    }

    fn cut(&mut self, stack: &Stack) -> Result<(), String> {
        let node = &stack.nodes[self.rng.random_range(0..stack.nodes.len())];
        if self.broken.contains_key(&node.region) {
            return Ok(());
        }
        let (name, begin) = WIRES[self.rng.random_range(0..WIRES.len())];
        let lasts = Duration::from_millis(self.rng.random_range(BROKEN_MS));
        begin(node.wire());
        self.broken.insert(node.region.clone(), Instant::now() + lasts);
        self.cuts += 1;
        self.tell(&format!("{}: {name}, for {:.0} s", node.region, lasts.as_secs_f64()));
        Ok(())
    }

    async fn kill(&mut self, stack: &mut Stack) -> Result<(), String> {
        let victim = Victim::ALL[self.rng.random_range(0..Victim::ALL.len())];
        let region = stack.nodes[self.rng.random_range(0..stack.nodes.len())].region.clone();
        let whose = match victim {
            Victim::Node | Victim::RegionBroker => format!("{region}: "),
            Victim::Hub | Victim::HubBroker => String::new(),
        };
        self.tell(&format!("{whose}the {} is killed", victim.name()));
        let struck = Instant::now();
        strike(stack, region.as_str(), victim).await?;
        *self.kills.entry(victim.name()).or_default() += 1;
        let took = struck.elapsed().as_secs_f64();
        self.tell(&format!("{whose}the {} is back after {took:.1} s", victim.name()));
        Ok(())
    }

    fn heal(&mut self, stack: &Stack, region: &RegionId) {
        self.broken.remove(region);
        for node in stack.nodes.iter().filter(|node| node.region == *region) {
            node.wire().heal();
            self.tell(&format!("{region}: healed"));
        }
    }

    /// Nothing breaks any more.
    pub(crate) fn end(&mut self, stack: &Stack) {
        for region in self.broken.keys().cloned().collect::<Vec<_>>() {
            self.heal(stack, &region);
        }
    }

    fn tell(&mut self, text: &str) {
        let line = format!("{:>5.0} s  {text}", self.started.elapsed().as_secs_f64());
        if self.paper == Paper::Lines {
            say(&format!("chaos {line}\n"));
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// What happened last, for a screen.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::from("chaos\n");
        for line in &self.lines {
            writeln!(text, "{line}").ok();
        }
        text
    }

    /// What was done in all.
    pub(crate) fn sum(&self) -> String {
        let kills: Vec<_> = self
            .kills
            .iter()
            .map(|(name, count)| format!("{count} of the {name}"))
            .collect();
        let kills = if kills.is_empty() {
            "none".to_owned()
        } else {
            kills.join(", ")
        };
        format!(
            "chaos: networks broken {} times; processes killed: {kills}\n",
            self.cuts
        )
    }
}
