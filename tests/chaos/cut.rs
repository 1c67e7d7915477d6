//! A region is cut off from the hub in every way a network has, at full traffic, and healed: nothing is lost, doubled or out
//! of order, the region does not notice, and the hub catches up faster than the region goes on. Once behind a proxy, which
//! has more ways, and once with hub and regions in network namespaces, where the kernel itself loses the packets.

use std::time::Duration;

use tokio::time::Instant;

use super::books;
use super::report::Report;
use crate::proxy::{End, Proxy, Way};
use crate::stack::{Stack, StackPlan};
use crate::town::Town;
use crate::wait::poll_until;

/// The region that is cut, and the one that must not notice.
const CUT: &str = "blr";
const OTHER: &str = "hyd";
/// How long the hub may take to have what was decided until the heal: with a connection that was stalled, both servers
/// need up to 15 s to notice, and 2 s more to connect.
const CATCH_UP: Duration = Duration::from_secs(300);
/// How long what the hub has received may take it.
const UNDER_WAY: Duration = Duration::from_millis(1_500);
/// A backlog of less than so many seconds of traffic says nothing about a rate.
const BACKLOG_S_MIN: f64 = 60.0;

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How fast region time runs, and orders per simulated minute.
    pub rate: f64,
    pub orders_per_min: f64,
    /// How long the first cut lasts, in both directions.
    pub cut: Duration,
    /// How long every other fault lasts.
    pub fault: Duration,
    /// Catching up must be so many times as fast as the region goes on; 0 where the machine has other work.
    pub ratio_min: f64,
}

impl Plan {
    /// Ten real minutes, and one for every other fault.
    pub const LONG: Self = Self {
        rate: 60.0,
        orders_per_min: 2.0,
        cut: Duration::from_secs(600),
        fault: Duration::from_secs(60),
        ratio_min: 10.0,
    };
    /// For CI: enough to see each fault at work.
    pub const SHORT: Self = Self {
        rate: 120.0,
        orders_per_min: 2.0,
        cut: Duration::from_secs(10),
        fault: Duration::from_secs(3),
        ratio_min: 0.0,
    };
}

/// What is done to a network.
type Act<'a> = &'a dyn Fn() -> Result<(), String>;

/// A fault of a network, and how it is healed.
struct Fault<'a> {
    name: &'static str,
    begin: Act<'a>,
    heal: Act<'a>,
    /// From the region's events nothing may reach the hub.
    silent: bool,
    lasts: Duration,
}

/// What a proxy can do, and whether nothing must get through meanwhile.
struct ProxyFault {
    name: &'static str,
    begin: fn(&Proxy),
    silent: bool,
}

const PROXY_FAULTS: [ProxyFault; 8] = [
    ProxyFault {
        name: "cut",
        begin: Proxy::cut,
        silent: true,
    },
    ProxyFault {
        name: "cut towards the hub",
        begin: |wire| wire.cut_one_way(Way::ToServer),
        silent: true,
    },
    ProxyFault {
        name: "cut towards the region",
        begin: |wire| wire.cut_one_way(Way::ToClient),
        silent: false,
    },
    ProxyFault {
        name: "refused",
        begin: Proxy::refuse,
        silent: true,
    },
    ProxyFault {
        name: "half-open, region left",
        begin: |wire| wire.half_open(End::Client),
        silent: false,
    },
    ProxyFault {
        name: "half-open, hub left",
        begin: |wire| wire.half_open(End::Server),
        silent: false,
    },
    ProxyFault {
        name: "reset",
        begin: Proxy::reset,
        silent: false,
    },
    ProxyFault {
        name: "300 ms each way",
        begin: |wire| wire.delay(Duration::from_millis(300)),
        silent: false,
    },
];

/// Where the region stands.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    head: u64,
    applied: u64,
    other_applied: u64,
}

/// Runs every fault in turn under one uninterrupted traffic.
pub async fn run(plan: Plan) -> Report {
    Report::of("a region cut off from the hub", async |report| {
        rounds(plan, report).await
    })
    .await
}

async fn rounds(plan: Plan, report: &mut Report) -> Result<(), String> {
    let stack = StackPlan::default().region(CUT).region(OTHER).rate(plan.rate).proxied();
    let mut stack = Stack::prepare(stack)?;
    stack.start().await?;
    let faults = async |stack: &Stack, town: &Town, report: &mut Report| {
        let wire = wire(stack)?;
        let done = |act: fn(&Proxy)| {
            move || {
                act(wire);
                Ok(())
            }
        };
        let (cut, heal) = (done(Proxy::cut), done(Proxy::heal));
        for (number, ProxyFault { name, begin, silent }) in PROXY_FAULTS.into_iter().enumerate() {
            let begin = done(begin);
            let fault = Fault {
                name,
                begin: &begin,
                heal: &heal,
                silent,
                lasts: if number == 0 { plan.cut } else { plan.fault },
            };
            round(stack, town, fault, plan.ratio_min, report).await?;
        }
        flap(stack, plan.fault, (&cut, &heal), plan.ratio_min, report).await
    };
    under_traffic(stack, plan, report, faults).await
}

/// The same between machines of their own; see [`crate::network`].
pub async fn run_apart(plan: Plan) -> Report {
    let name = "a region cut off from the hub, each on a machine of its own";
    Report::of(name, async |report| rounds_apart(plan, report).await).await
}

async fn rounds_apart(plan: Plan, report: &mut Report) -> Result<(), String> {
    let stack = StackPlan::default().region(CUT).region(OTHER).rate(plan.rate).apart();
    let mut stack = Stack::prepare(stack)?;
    stack.start().await?;
    let faults = async |stack: &Stack, town: &Town, report: &mut Report| {
        let network = stack.network.as_ref().ok_or("no network")?;
        let node = stack.nodes.first().ok_or("no region")?;
        let (cut, heal) = (|| network.cut(0), || network.heal(0));
        // The hub's end of the connection stays open, and nobody is at the other.
        let leave = || {
            network.cut(0)?;
            node.server.kill_nats().map(drop).ok_or("no broker to kill".to_owned())
        };
        let faults: [(_, Act<'_>, _, _); 4] = [
            ("link down", &cut, true, plan.cut),
            (
                "packets to the hub lost",
                &|| network.cut_towards_hub(0),
                true,
                plan.fault,
            ),
            (
                "packets to the region lost",
                &|| network.cut_towards_region(0),
                false,
                plan.fault,
            ),
            ("half-open, region left", &leave, true, plan.fault),
        ];
        for (name, begin, silent, lasts) in faults {
            let fault = Fault {
                name,
                begin,
                heal: &heal,
                silent,
                lasts,
            };
            round(stack, town, fault, plan.ratio_min, report).await?;
        }
        flap(stack, plan.fault, (&cut, &heal), plan.ratio_min, report).await
    };
    under_traffic(stack, plan, report, faults).await
}

/// Does what `faults` does to a stack that runs, while both regions are at work, and compares everything in the end.
async fn under_traffic(
    mut stack: Stack,
    plan: Plan,
    report: &mut Report,
    faults: impl AsyncFnOnce(&Stack, &Town, &mut Report) -> Result<(), String>,
) -> Result<(), String> {
    let town = Town::of_pace(&stack, (CUT, 51), plan.orders_per_min).await;
    let other = Town::of_pace(&stack, (OTHER, 52), plan.orders_per_min / 4.0).await;
    let faults = async {
        town.until_placed(5).await?;
        faults(&stack, &town, report).await
    };
    Town::serve_all_while(&[&town, &other], faults).await??;
    for (name, town) in [(CUT, town), (OTHER, other)] {
        report.close(town, &stack, &format!("{name}: ")).await;
    }
    books::audit(&stack, report).await?;
    stack.stop().await
}

/// One fault from its begin to the hub having everything that was decided until the heal.
async fn round(
    stack: &Stack,
    town: &Town,
    fault: Fault<'_>,
    ratio_min: f64,
    report: &mut Report,
) -> Result<(), String> {
    let lasts = fault.lasts;
    let (orders, before) = (town.counts(), standing(stack).await?);
    (fault.begin)()?;
    let begun = Instant::now();
    // What was under way when the fault began may still arrive, and be applied.
    tokio::time::sleep((lasts / 10).max(UNDER_WAY)).await;
    let early = standing(stack).await?;
    tokio::time::sleep_until(begun + lasts).await;
    let after = standing(stack).await?;
    (fault.heal)()?;
    if fault.silent {
        report.expect(after.applied == early.applied, || {
            format!(
                "{}: the hub has heard {} events through a cut",
                fault.name,
                after.applied - early.applied
            )
        });
    }
    let served = town.counts();
    report.expect(served.placed > orders.placed && after.head > before.head, || {
        format!("{}: the region has stopped: {served:?}", fault.name)
    });
    report.expect(after.other_applied > before.other_applied, || {
        format!("{}: the other region is cut off as well", fault.name)
    });
    let live_per_s = (after.head - before.head) as f64 / begun.elapsed().as_secs_f64();
    let caught = catch_up(stack, after).await?;
    tell(report, fault.name, &caught, live_per_s, ratio_min);
    Ok(())
}

/// Cuts and heals in quick turns.
async fn flap(
    stack: &Stack,
    lasts: Duration,
    (cut, heal): (Act<'_>, Act<'_>),
    ratio_min: f64,
    report: &mut Report,
) -> Result<(), String> {
    let (before, begun) = (standing(stack).await?, Instant::now());
    let mut turn = Duration::from_millis(200);
    while begun.elapsed() < lasts {
        cut()?;
        tokio::time::sleep(turn).await;
        heal()?;
        tokio::time::sleep(turn).await;
        // Up to longer than both servers need to give a link up.
        turn = (turn * 2).min(Duration::from_secs(12)).min(lasts / 2);
    }
    let after = standing(stack).await?;
    let live_per_s = (after.head - before.head) as f64 / begun.elapsed().as_secs_f64();
    let caught = catch_up(stack, after).await?;
    tell(report, "flapping", &caught, live_per_s, ratio_min);
    Ok(())
}

/// What catching up took.
struct Caught {
    backlog: u64,
    /// From the heal to the first event, and from there to the last of the backlog.
    silence: Duration,
    drain: Duration,
}

async fn catch_up(stack: &Stack, at_heal: Standing) -> Result<Caught, String> {
    let healed = Instant::now();
    let (mut first, mut latest) = (None, at_heal.applied);
    let done = poll_until("the hub to catch up", CATCH_UP, async || {
        latest = standing(stack).await.ok()?.applied;
        if latest > at_heal.applied && first.is_none() {
            first = Some(Instant::now());
        }
        (latest >= at_heal.head).then(Instant::now)
    });
    let done = done
        .await
        .map_err(|error| format!("{error}: at {latest} of {}", at_heal.head))?;
    let first = first.unwrap_or(healed);
    Ok(Caught {
        backlog: at_heal.head.saturating_sub(at_heal.applied),
        silence: first - healed,
        drain: done - first,
    })
}

fn tell(report: &mut Report, name: &str, caught: &Caught, live_per_s: f64, ratio_min: f64) {
    // A look every 250 ms at most: what a small backlog took is not known better.
    let drain_s = caught.drain.as_secs_f64().max(0.25);
    let rate = caught.backlog as f64 / drain_s;
    let (silence_s, times) = (caught.silence.as_secs_f64(), rate / live_per_s);
    let text = match caught.backlog {
        0 => format!("nothing behind, live {live_per_s:.0}/s"),
        backlog => format!(
            "{backlog} events behind; first after {silence_s:.1} s, then all in {drain_s:.1} s: {rate:.0}/s, \
             {times:.0} times the live {live_per_s:.0}/s"
        ),
    };
    report.row(name, &text);
    let says_something = caught.backlog as f64 > live_per_s * BACKLOG_S_MIN;
    report.expect(!says_something || rate >= live_per_s * ratio_min, || {
        format!("{name}: too slow: {text}")
    });
}

fn wire(stack: &Stack) -> Result<&Proxy, String> {
    let node = stack.nodes.iter().find(|node| node.region.as_str() == CUT);
    node.and_then(|node| node.proxy.as_ref())
        .ok_or_else(|| "no proxy".to_owned())
}

async fn standing(stack: &Stack) -> Result<Standing, String> {
    let hub = stack.hub.as_ref().ok_or("no hub")?;
    let rows = hub.api.hub_regions().await.map_err(|error| error.to_string())?;
    let applied = |name: &str| {
        rows.iter()
            .find(|row| row.region.as_str() == name)
            .map_or(0, |row| row.applied_seq)
    };
    let node = stack
        .nodes
        .iter()
        .find(|node| node.region.as_str() == CUT)
        .ok_or("no region")?;
    let overview = node.api.overview().await.map_err(|error| error.to_string())?;
    Ok(Standing {
        head: overview.outbox.head_seq,
        applied: applied(CUT),
        other_applied: applied(OTHER),
    })
}
