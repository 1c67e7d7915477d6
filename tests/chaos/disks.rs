//! Disks that are full, or fail, under customers who order: below a node, and below its broker alone. The node stops, says why,
//! ends with a status of its own, and is well again when the disk is; what was answered is there, and nothing is there twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;

use super::books;
use super::power::compiled;
use super::report::Report;
use super::shop::Shop;
use crate::client::Request;
use crate::compare::verify;
use crate::disk::Disk;
use crate::server::Server;
use crate::settings::RegionFile;
use crate::stack::{Stack, StackPlan};
use crate::view::Outbox;
use crate::wait::poll_until;

const REGION: &str = "blr";
/// Orders before and after a fault, and customers at a time.
const ORDERS: u64 = 30;
const AT_ONCE: usize = 4;
const LIMIT: Duration = Duration::from_secs(300);
/// Attempts to store something before a broker is restarted.
const GIVEN_UP: usize = 3;
/// `EX_IOERR`: what a node, or the hub, ends with whose file failed.
const DISK_FAILED: i32 = 74;

/// A region with customers, whose data, or a part of it, may lie on a disk of its own.
struct Scene {
    // Dropped in this order: the programs, then the disk, then the directory of both.
    stack: Stack,
    shop: Arc<Shop>,
    disk: Option<Disk>,
    _folder: TempDir,
}

impl Scene {
    /// `on_disk`: what is on the disk of so many megabytes, below the stack's folder.
    async fn open(on_disk: Option<(&str, u64)>, env: &[(&str, &Path)]) -> Result<Self, String> {
        let explain = |error: std::io::Error| error.to_string();
        let folder = TempDir::with_prefix("tomato-disk-").map_err(explain)?;
        let stack_folder = folder.path().join("stack");
        let disk = match on_disk {
            None => None,
            Some((name, megabytes)) => {
                let (disk, link) = (
                    Disk::make(&folder.path().join("disk"), megabytes)?,
                    stack_folder.join(name),
                );
                std::fs::create_dir_all(link.parent().unwrap_or(&stack_folder)).map_err(explain)?;
                std::os::unix::fs::symlink(disk.path(), link).map_err(explain)?;
                Some(disk)
            }
        };
        // Nobody cooks here: orders wait for their restaurant to the end.
        let region = RegionFile::named(REGION).set("orders.accept_within_ms", 3_600_000);
        let mut stack = Stack::prepare(StackPlan::default().region_file(region).folder(stack_folder))?;
        for (key, value) in env {
            stack.node(REGION).server.env(key, &value.display().to_string());
        }
        stack.start().await?;
        let shop = Shop::open(&stack, REGION).await;
        Ok(Self {
            stack,
            shop,
            disk,
            _folder: folder,
        })
    }

    fn server(&mut self) -> &mut Server {
        &mut self.stack.node(REGION).server
    }

    async fn until_more_orders(&self) -> Result<(), String> {
        let wanted = self.shop.count() + ORDERS;
        let reached = async || (self.shop.count() >= wanted).then_some(());
        poll_until("more orders", LIMIT, reached).await
    }

    async fn outbox(&self) -> Result<Outbox, String> {
        let node = self.stack.nodes.first().ok_or("no region")?;
        let seen = node.api.overview().await;
        seen.map(|seen| seen.outbox).map_err(|error| error.to_string())
    }

    /// Fills the disk to the last byte. Removing the file makes room.
    fn fill(&self) -> Result<PathBuf, String> {
        let disk = self.disk.as_ref().ok_or("no disk")?;
        let balloon = disk.path().join("balloon");
        let size = usize::try_from(disk.free_bytes()?).map_err(|error| error.to_string())?;
        // It need not all go in: somebody else writes, too.
        std::fs::write(&balloon, vec![0; size]).ok();
        Ok(balloon)
    }

    /// Waits until the node has said that it cannot write, and why, and has ended with its status.
    async fn until_it_gave_up(&mut self, reason: &str, report: &mut Report) -> Result<(), String> {
        let (since, mut said) = (Instant::now(), String::new());
        let server = &mut self.stack.node(REGION).server;
        let public = server.public().clone();
        let readyz = Request::new(Method::GET, "/readyz?verbose");
        let status = poll_until("the node to give up", LIMIT, async || {
            if let Ok(answer) = public.send(&readyz).await
                && answer.status == 503
            {
                said = writer_says(&answer.json());
            }
            server.ended()
        });
        let status = status.await?;
        report.row("gave up after, s", format!("{:.1}", since.elapsed().as_secs_f64()));
        report.expect(status.code() == Some(DISK_FAILED), || format!("it ended with {status}"));
        report.expect(said.contains(reason), || format!("/readyz said only {said:?}"));
        report.row("/readyz said", said);
        Ok(())
    }

    /// Every order that was answered is there, once; no other; hub and region say the same.
    async fn settle(mut self, report: &mut Report) -> Result<(), String> {
        self.shop.ask_again().await;
        let node = self.stack.nodes.first().ok_or("no region")?;
        // Payments are under way, and what they lead to would be decided while it is compared.
        poll_until("payments to end", LIMIT, async || {
            let orders = node.api.all_orders().await.ok()?;
            orders
                .iter()
                .all(|order| order.state != OrderState::Pending)
                .then_some(())
        })
        .await?;
        let head = self.outbox().await?.head_seq;
        poll_until("the hub to have all", LIMIT, async || {
            (self.outbox().await.ok()?.watermark_seq >= head).then_some(())
        })
        .await?;
        let there = node.api.all_orders().await.map_err(|error| error.to_string())?;
        let there: BTreeSet<OrderId> = there.iter().map(|order| order.id).collect();
        report.row("orders acknowledged", self.shop.count());
        self.shop.compare(&there, "acknowledged and lost", report);
        books::audit(&self.stack, report).await?;
        verify(&self.stack)
            .err()
            .into_iter()
            .for_each(|text| report.fault(text));
        self.shop.complaints().into_iter().for_each(|text| report.fault(text));
        self.stack.stop().await
    }
}

fn writer_says(health: &Value) -> String {
    let checks = health["checks"].as_array().into_iter().flatten();
    let writer = checks.filter(|check| check["name"] == "writer" && check["ok"] == false);
    let details = writer.filter_map(|check| check["detail"].as_str());
    details.collect::<Vec<_>>().join("; ")
}

/// The disk below a node is full.
pub async fn full() -> Report {
    Report::of("a full disk below a region", full_round).await
}

async fn full_round(report: &mut Report) -> Result<(), String> {
    let mut scene = Scene::open(Some((REGION, 192)), &[]).await?;
    let customers = scene.shop.start(AT_ONCE);
    scene.until_more_orders().await?;
    let balloon = scene.fill()?;
    scene.until_it_gave_up("full", report).await?;
    // Started too early it gives up again, in the same way.
    let server = scene.server();
    if server.start().await.is_ok() {
        poll_until("the node to give up again", LIMIT, async || server.ended()).await?;
    }
    let status = server.ended().ok_or("it runs on a full disk")?;
    report.expect(status.code() == Some(DISK_FAILED), || {
        format!("started too early: {status}")
    });
    std::fs::remove_file(balloon).map_err(|error| error.to_string())?;
    scene.server().start().await?;
    scene.until_more_orders().await?;
    drop(customers);
    scene.settle(report).await
}

/// The disk below a node does not say whether a commit is there.
pub async fn failing() -> Report {
    Report::of("an I/O error at a region's commit", failing_round).await
}

async fn failing_round(report: &mut Report) -> Result<(), String> {
    let shims = TempDir::with_prefix("tomato-shim-").map_err(|error| error.to_string())?;
    let (shim, flag) = (compiled("fail_fsync", shims.path())?, shims.path().join("now"));
    let mut scene = Scene::open(None, &[("LD_PRELOAD", &shim), ("FAIL_FSYNC", &flag)]).await?;
    let customers = scene.shop.start(AT_ONCE);
    scene.until_more_orders().await?;
    std::fs::write(&flag, "").map_err(|error| error.to_string())?;
    scene.until_it_gave_up("committing: disk I/O error", report).await?;
    std::fs::remove_file(&flag).map_err(|error| error.to_string())?;
    scene.server().start().await?;
    scene.until_more_orders().await?;
    drop(customers);
    scene.settle(report).await
}

/// The disk below the hub does not say whether a commit is there: the hub ends, the region sells on, and the hub has everything
/// once it is started again.
pub async fn failing_below_hub() -> Report {
    Report::of("an I/O error at the hub's commit", failing_below_hub_round).await
}

async fn failing_below_hub_round(report: &mut Report) -> Result<(), String> {
    let shims = TempDir::with_prefix("tomato-shim-").map_err(|error| error.to_string())?;
    let (shim, flag) = (compiled("fail_fsync", shims.path())?, shims.path().join("now"));
    let mut scene = Scene::open(None, &[]).await?;
    let hub = &mut scene.stack.hub().server;
    hub.stop().await?;
    hub.env("LD_PRELOAD", &shim.display().to_string());
    hub.env("FAIL_FSYNC", &flag.display().to_string());
    hub.start().await?;
    let customers = scene.shop.start(AT_ONCE);
    scene.until_more_orders().await?;
    std::fs::write(&flag, "").map_err(|error| error.to_string())?;
    let hub = &mut scene.stack.hub().server;
    let status = poll_until("the hub to give up", LIMIT, async || hub.ended()).await?;
    report.expect(status.code() == Some(DISK_FAILED), || format!("it ended with {status}"));
    scene.until_more_orders().await?;
    std::fs::remove_file(&flag).map_err(|error| error.to_string())?;
    scene.stack.hub().server.start().await?;
    scene.until_more_orders().await?;
    drop(customers);
    scene.settle(report).await
}

/// Only the broker's disk is full: orders go on, the hub gets them from the node itself, and when there is room again the broker
/// takes them, too.
pub async fn full_below_broker() -> Report {
    Report::of("a full disk below a region's broker", broker_round).await
}

async fn broker_round(report: &mut Report) -> Result<(), String> {
    let scene = Scene::open(Some(("blr/nats", 64)), &[]).await?;
    let customers = scene.shop.start(AT_ONCE);
    scene.until_more_orders().await?;
    let balloon = scene.fill()?;
    poll_until("the broker to stop storing", LIMIT, async || {
        let before = scene.outbox().await.ok()?;
        scene.until_more_orders().await.ok()?;
        let after = scene.outbox().await.ok()?;
        (after.published_seq == before.published_seq && after.head_seq > before.head_seq).then_some(())
    })
    .await?;
    // A broker that is restarted too early does not come back, and the link to the hub ends with it.
    let log = scene.stack.folder().join(format!("{REGION}.log"));
    let lines = |of: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.matches(of).count()
    };
    poll_until("the broker to be given up", LIMIT, async || {
        (lines("does not say whether it has stored") > GIVEN_UP).then_some(())
    })
    .await?;
    let head = scene.outbox().await?.head_seq;
    poll_until("the hub to ask the node itself", LIMIT, async || {
        (scene.outbox().await.ok()?.watermark_seq >= head).then_some(())
    })
    .await?;
    report.none("restarts of the broker without room", lines("it is restarted") as u64);
    std::fs::remove_file(balloon).map_err(|error| error.to_string())?;
    let room = Instant::now();
    poll_until("the broker to store again", LIMIT, async || {
        (scene.outbox().await.ok()?.published_seq >= head).then_some(())
    })
    .await?;
    let healed_s = format!("{:.1}", room.elapsed().as_secs_f64());
    report.row("room again, published after, s", healed_s);
    report.row(
        "restarts of the broker because it stored nothing",
        lines("it is restarted"),
    );
    drop(customers);
    scene.settle(report).await
}
