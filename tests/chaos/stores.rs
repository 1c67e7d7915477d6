//! Stores that are gone or full, under traffic: the region's stream deleted, the hub's stream deleted, the region's JetStream
//! full, the hub gone with all it had. Everything heals without a person, but that a new hub has to be told its regions.

use std::time::Duration;

use async_nats::jetstream::{self, Context};
use tokio::time::Instant;
use tomato_shared::subject;

use super::books;
use super::report::Report;
use crate::server::Server;
use crate::settings::RegionFile;
use crate::stack::{Stack, StackPlan};
use crate::town::Town;
use crate::wait::poll_until;

const REGION: &str = "blr";
const RATE: f64 = 120.0;
/// How long the hub may take to have everything again.
const HEAL: Duration = Duration::from_secs(300);
/// Orders that have to be placed while something is wrong.
const MEANWHILE: u64 = 10;
/// What fills the region's JetStream, and the least it may be limited to.
const FILLER: &str = "FILLER";
const FILLER_BYTES: usize = 900_000;
const STORE_BYTES: i64 = 64 << 20;

/// Runs all of it, one after the other.
pub async fn run() -> Report {
    Report::of("streams deleted, a store full, the hub gone", rounds).await
}

async fn rounds(report: &mut Report) -> Result<(), String> {
    let region = RegionFile::named(REGION).set("broker.server.max_file_store_bytes", STORE_BYTES);
    let mut stack = Stack::prepare(StackPlan::default().region_file(region).rate(RATE))?;
    stack.start().await?;
    let town = Town::open(&stack, REGION, 71).await;
    let faults = async {
        town.until_placed(MEANWHILE).await?;
        heal(
            &stack,
            &town,
            ("region's stream deleted", delete_region_stream(&stack).await?),
            report,
        )
        .await?;
        heal(
            &stack,
            &town,
            ("hub's stream deleted", delete_hub_stream(&stack).await?),
            report,
        )
        .await?;
        fill_region_store(&stack, &town, report).await?;
        lose_hub(&mut stack).await?;
        heal(&stack, &town, ("hub lost and enrolled anew", Instant::now()), report).await
    };
    town.serve_while(faults).await??;
    report.close(town, &stack, "").await;
    books::audit(&stack, report).await?;
    stack.stop().await
}

/// Waits for more orders, and until the hub has what was decided by then.
async fn heal(stack: &Stack, town: &Town, (name, since): (&str, Instant), report: &mut Report) -> Result<(), String> {
    town.until_placed(town.counts().placed + MEANWHILE).await?;
    let (node, hub) = (
        stack.nodes.first().ok_or("no region")?,
        stack.hub.as_ref().ok_or("no hub")?,
    );
    let head = node
        .api
        .overview()
        .await
        .map_err(|error| error.to_string())?
        .outbox
        .head_seq;
    let mut applied = 0;
    let healed = poll_until(name, HEAL, async || {
        applied = hub.api.hub_region(&node.region).await.ok()??.applied_seq;
        (applied >= head).then_some(())
    });
    healed
        .await
        .map_err(|error| format!("{error}: the hub is at {applied} of {head}"))?;
    report.row(
        &format!("{name}: healed after, s"),
        format!("{:.1}", since.elapsed().as_secs_f64()),
    );
    Ok(())
}

async fn delete_region_stream(stack: &Stack) -> Result<Instant, String> {
    let node = stack.nodes.first().ok_or("no region")?;
    let context = context(&node.server, &subject::inbox(&node.region)).await?;
    let deleted = context.delete_stream(subject::region_stream(&node.region)).await;
    deleted.map(|_| Instant::now()).map_err(|error| error.to_string())
}

async fn delete_hub_stream(stack: &Stack) -> Result<Instant, String> {
    let hub = stack.hub.as_ref().ok_or("no hub")?;
    let context = context(&hub.server, subject::HUB_INBOX).await?;
    let deleted = context.delete_stream(subject::HUB_STREAM).await;
    deleted.map(|_| Instant::now()).map_err(|error| error.to_string())
}

/// Fills what the region's broker may store: orders go on, and the hub gets them from the node itself. Then makes room.
async fn fill_region_store(stack: &Stack, town: &Town, report: &mut Report) -> Result<(), String> {
    let node = stack.nodes.first().ok_or("no region")?;
    let context = context(&node.server, &subject::inbox(&node.region)).await?;
    let config = jetstream::stream::Config {
        name: FILLER.into(),
        subjects: vec!["filler".into()],
        ..Default::default()
    };
    context.create_stream(config).await.map_err(|error| error.to_string())?;
    let mut filled = 0;
    for bytes in [FILLER_BYTES, 1_000] {
        while context
            .publish("filler", vec![0; bytes].into())
            .await
            .map_err(|error| error.to_string())?
            .await
            .is_ok()
        {
            filled += bytes;
        }
    }
    let outbox = async || {
        node.api
            .overview()
            .await
            .map(|seen| seen.outbox)
            .map_err(|error| error.to_string())
    };
    let full = outbox().await?;
    let since = Instant::now();
    heal(stack, town, ("region's store full, hub by repair", since), report).await?;
    let stuck = outbox().await?;
    report.row("region's store: filled with, MB", filled >> 20);
    report.expect(
        stuck.published_seq < stuck.head_seq && stuck.published_seq <= full.published_seq + 100,
        || {
            format!(
                "the store was never full: published {} of {}",
                stuck.published_seq, stuck.head_seq
            )
        },
    );
    context.delete_stream(FILLER).await.map_err(|error| error.to_string())?;
    let since = Instant::now();
    poll_until("the relay to go on", HEAL, async || {
        let now = outbox().await.ok()?;
        (now.published_seq >= stuck.head_seq).then_some(())
    })
    .await?;
    report.row(
        "region's store: room again, published after, s",
        format!("{:.1}", since.elapsed().as_secs_f64()),
    );
    Ok(())
}

/// The hub is gone with its database and its streams. A new one takes its place, and every region gets a new key.
async fn lose_hub(stack: &mut Stack) -> Result<(), String> {
    let hub = &mut stack.hub().server;
    hub.kill9();
    poll_until("the hub's broker to end", HEAL, async || {
        hub.nats_pid().is_none().then_some(())
    })
    .await?;
    std::fs::remove_dir_all(hub.data()).map_err(|error| error.to_string())?;
    stack.enrol_again()?;
    stack.hub().server.start().await?;
    let node = &mut stack.node(REGION).server;
    node.stop().await?;
    node.start().await
}

async fn context(server: &Server, inbox: &str) -> Result<Context, String> {
    Ok(jetstream::new(server.broker()?.connect(inbox).await?))
}
