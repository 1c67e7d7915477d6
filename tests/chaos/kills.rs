//! kill -9 under traffic, of each process in turn. A kill comes whenever a few more orders were placed, so it meets orders in
//! every state. Afterwards every order that was answered 2xx is there and final, and the hub has the same.

use std::time::Duration;

use tokio::time::Instant;

use super::books;
use super::report::Report;
use crate::stack::{Stack, StackPlan};
use crate::town::Town;
use crate::wait::poll_until;

const REGION: &str = "blr";
/// How fast region time runs, and orders placed between two kills.
const RATE: f64 = 120.0;
const STRIDE: u64 = 5;
/// How long a killed process may take to be back.
const BACK: Duration = Duration::from_secs(180);

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Node,
    Hub,
    RegionBroker,
    HubBroker,
}

impl Victim {
    pub const ALL: [Self; 4] = [Self::Node, Self::Hub, Self::RegionBroker, Self::HubBroker];

    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Hub => "hub",
            Self::RegionBroker => "region's broker",
            Self::HubBroker => "hub's broker",
        }
    }
}

/// Kills it and waits until it is back: node and hub are started again here, brokers by the program whose they are.
pub async fn strike(stack: &mut Stack, region: &str, victim: Victim) -> Result<(), String> {
    let server = match victim {
        Victim::Node | Victim::RegionBroker => &mut stack.node(region).server,
        Victim::Hub | Victim::HubBroker => &mut stack.hub().server,
    };
    match victim {
        Victim::Node | Victim::Hub => {
            server.kill9();
            server.start().await
        }
        Victim::RegionBroker | Victim::HubBroker => {
            let old = poll_until("a broker to kill", BACK, async || server.kill_nats()).await?;
            let started = async || server.nats_pid().filter(|pid| *pid != old);
            let new = poll_until("a new broker in place of the killed one", BACK, started).await;
            new.map(drop)
        }
    }
}

/// Kills the victim so many times.
pub async fn run(victim: Victim, kills: u32) -> Report {
    let name = format!("kill -9 of the {}", victim.name());
    Report::of(&name, async |report| rounds(victim, kills, report).await).await
}

async fn rounds(victim: Victim, kills: u32, report: &mut Report) -> Result<(), String> {
    let mut stack = Stack::prepare(StackPlan::default().region(REGION).rate(RATE))?;
    stack.start().await?;
    let town = Town::open(&stack, REGION, 11 + victim as u64).await;
    let (mut slowest, began) = (Duration::ZERO, Instant::now());
    let strikes = async {
        for _ in 0..kills {
            town.until_placed(town.counts().placed + STRIDE).await?;
            let struck = Instant::now();
            strike(&mut stack, REGION, victim).await?;
            slowest = slowest.max(struck.elapsed());
        }
        Ok::<_, String>(())
    };
    town.serve_while(strikes).await??;
    let served_s = began.elapsed().as_secs_f64();
    let ended = Instant::now();
    report.row("kills", kills);
    report.row("slowest return, s", format!("{:.1}", slowest.as_secs_f64()));
    let counts = report.close(town, &stack, "").await;
    report.row("orders a second", format!("{:.1}", counts.placed as f64 / served_s));
    report.row(
        "hub equal after the last order, s",
        format!("{:.1}", ended.elapsed().as_secs_f64()),
    );
    books::audit(&stack, report).await?;
    stack.stop().await
}
