//! The power of a machine is cut again and again, under load: of a region's (node and broker), or of the hub's. What was
//! acknowledged before is there when the power is back.
//!
//! Each run has its control: the same machine whose programs are told that `fsync` was done when it was not. It must lose
//! something, or the rig would not see a loss.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;
use tomato_shared::id::OrderId;

use super::books;
use super::report::Report;
use super::shop::Shop;
use crate::disk::Disk;
use crate::process::{exists, signal};
use crate::server::Server;
use crate::settings::RegionFile;
use crate::stack::{Stack, StackPlan};
use crate::wait::poll_until;

const REGION: &str = "blr";
const MEGABYTES: u64 = 512;
const LIMIT: Duration = Duration::from_secs(300);
/// Orders acknowledged between two cuts, at least, and customers at a time.
const ORDERS: u64 = 40;
const AT_ONCE: usize = 6;
/// Most cuts of the control.
const CONTROLS: u32 = 5;

/// Whose power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// A region's node with its broker.
    Region,
    /// The hub with its broker.
    Hub,
}

impl Machine {
    fn folder(self) -> &'static str {
        match self {
            Self::Region => REGION,
            Self::Hub => "hub",
        }
    }
}

/// Why power cannot be cut here, if so.
pub fn unavailable() -> Option<String> {
    Disk::unavailable()
}

/// Cuts the power so many times, and once more of the control.
pub async fn run(machine: Machine, cuts: u32) -> Report {
    let name = format!("power cuts of the {machine:?} machine").to_lowercase();
    let mut report = Report::of(&name, async |report| rounds(machine, cuts, report).await).await;
    match controls(machine).await {
        Ok(lost) => {
            report.row("control without fsync: lost", lost);
            report.expect(lost > 0, || "the rig sees no loss where there must be one".into());
        }
        Err(problem) => report.fault(format!("control: {problem}")),
    }
    report
}

/// A stack of which one machine is on a disk of its own.
struct Rig {
    // Dropped in this order: the programs, then the disk, then the directory of both.
    stack: Stack,
    disk: Disk,
    folder: TempDir,
    machine: Machine,
    lost_tails: u64,
}

/// What the cuts have done so far.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    lost: u64,
    slowest: Duration,
}

async fn rounds(machine: Machine, cuts: u32, report: &mut Report) -> Result<(), String> {
    let mut rig = Rig::start(machine, None).await?;
    let shop = Shop::open(&rig.stack, REGION).await;
    let mut tally = Tally::default();
    let outcome = cut_again_and_again(&mut rig, &shop, cuts, &mut tally).await;
    report.row("power cuts", tally.cuts);
    report.row("orders acknowledged", shop.count());
    report.none("acknowledged and lost", tally.lost);
    if machine == Machine::Region {
        report.row("cuts after which the hub had more than the stream", rig.lost_tails);
    }
    let slowest_s = format!("{:.1}", tally.slowest.as_secs_f64());
    report.row("slowest return until the hub has all, s", slowest_s);
    for complaint in shop.complaints() {
        report.fault(complaint);
    }
    outcome?;
    rig.compare(&shop, report).await?;
    rig.stack.stop().await
}

async fn cut_again_and_again(rig: &mut Rig, shop: &Arc<Shop>, cuts: u32, tally: &mut Tally) -> Result<(), String> {
    for _ in 0..cuts {
        let customers = shop.start(AT_ONCE);
        rig.until_worth_cutting(shop).await?;
        let promised = rig.cut(shop).await?;
        tally.lost += rig.missing(&promised)?;
        tally.cuts += 1;
        let (told, back) = (rig.log_bytes()?, Instant::now());
        rig.server().start().await?;
        drop(customers);
        shop.ask_again().await;
        rig.until_hub_has_all().await?;
        tally.slowest = tally.slowest.max(back.elapsed());
        rig.look_at_tail(&promised, told)?;
    }
    Ok(())
}

/// How much the control loses. On a slow machine the kernel may have written everything by itself before the cut; then once more.
async fn controls(machine: Machine) -> Result<u64, String> {
    for _ in 0..CONTROLS {
        let lost = control(machine).await?;
        if lost > 0 {
            return Ok(lost);
        }
    }
    Ok(0)
}

/// How much is lost by a machine that does not wait for its disk.
async fn control(machine: Machine) -> Result<u64, String> {
    let folder = TempDir::with_prefix("tomato-shim-").map_err(|error| error.to_string())?;
    let shim = compiled("no_fsync", folder.path())?;
    let mut rig = Rig::start(machine, Some(&shim)).await?;
    let shop = Shop::open(&rig.stack, REGION).await;
    let customers = shop.start(AT_ONCE);
    rig.until_worth_cutting(&shop).await?;
    let promised = rig.cut(&shop).await?;
    drop(customers);
    rig.missing(&promised)
}

/// Compiles a library of this directory that stands between a program and its disk.
pub(super) fn compiled(name: &str, folder: &Path) -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("chaos")
        .join(name)
        .with_extension("c");
    let library = folder.join(name).with_extension("so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    match built {
        Ok(status) if status.success() => Ok(library),
        Ok(status) => Err(format!("cc: {status}")),
        Err(error) => Err(format!("cc: {error}")),
    }
}

/// What was told somebody before the cut.
struct Promised {
    orders: Vec<OrderId>,
    /// What the hub has told the region to be durable there.
    watermark: u64,
    /// What the hub had from the region's stream.
    applied: u64,
}

impl Rig {
    async fn start(machine: Machine, preload: Option<&Path>) -> Result<Self, String> {
        let folder = TempDir::with_prefix("tomato-power-").map_err(|error| error.to_string())?;
        let stack_folder = folder.path().join("stack");
        std::fs::create_dir(&stack_folder).map_err(|error| error.to_string())?;
        let disk = Disk::make(&folder.path().join("disk"), MEGABYTES)?;
        let link = stack_folder.join(machine.folder());
        std::os::unix::fs::symlink(disk.path(), link).map_err(|error| error.to_string())?;
        // Nobody cooks here: orders wait for their restaurant to the end.
        let region = RegionFile::named(REGION).set("orders.accept_within_ms", 3_600_000);
        let mut stack = Stack::prepare(StackPlan::default().region_file(region).folder(stack_folder))?;
        if let Some(library) = preload {
            let server = match machine {
                Machine::Region => &mut stack.node(REGION).server,
                Machine::Hub => &mut stack.hub().server,
            };
            server.env("LD_PRELOAD", &library.display().to_string());
        }
        stack.start().await?;
        Ok(Self {
            stack,
            disk,
            folder,
            machine,
            lost_tails: 0,
        })
    }

    fn server(&mut self) -> &mut Server {
        match self.machine {
            Machine::Region => &mut self.stack.node(REGION).server,
            Machine::Hub => &mut self.stack.hub().server,
        }
    }

    /// Waits until enough was promised since the last cut; a few more by chance, so that cuts meet every moment.
    async fn until_worth_cutting(&mut self, shop: &Shop) -> Result<(), String> {
        let (orders, mark) = (shop.count() + ORDERS, self.outbox().await?.watermark_seq);
        let more = rand::random_range(0..ORDERS);
        poll_until("orders and watermarks", LIMIT, async || {
            let outbox = self.outbox().await.ok()?;
            (shop.count() >= orders + more && outbox.watermark_seq > mark).then_some(())
        })
        .await
    }

    async fn outbox(&self) -> Result<crate::view::Outbox, String> {
        let node = self.stack.nodes.first().ok_or("no region")?;
        node.api
            .overview()
            .await
            .map(|seen| seen.outbox)
            .map_err(|error| error.to_string())
    }

    /// Power off, every process of the machine dead, power on; nothing is started. Returns what had been promised.
    ///
    /// The processes are frozen first: nobody hears of anything any more, as nobody does of a machine without power. With the
    /// ioctl alone an `fsync` that is under way reports success at times, though its transaction was aborted.
    async fn cut(&mut self, shop: &Shop) -> Result<Promised, String> {
        let watermark = self.outbox().await?.watermark_seq;
        let server = self.server();
        let broker = server.nats_pid();
        let pids = [server.pid(), broker];
        for pid in pids.into_iter().flatten() {
            signal(pid, Signal::STOP);
        }
        let promised = Promised {
            orders: shop.answered(),
            watermark,
            applied: self.applied().await,
        };
        self.disk.cut_power()?;
        self.server().kill9();
        if let Some(pid) = broker {
            signal(pid, Signal::KILL);
            let gone = async || (!exists(pid)).then_some(());
            poll_until("the broker to die", LIMIT, gone).await?;
        }
        self.disk.power_on().await?;
        Ok(promised)
    }

    /// How far the hub is; 0 while it has no power.
    async fn applied(&self) -> u64 {
        let (Machine::Region, Some(hub)) = (self.machine, &self.stack.hub) else {
            return 0;
        };
        let rows = hub.api.hub_regions().await.unwrap_or_default();
        rows.iter().map(|row| row.applied_seq).max().unwrap_or(0)
    }

    /// How much of what was promised is not on the disk. Looks at a copy: the programs recover the files themselves.
    fn missing(&self, promised: &Promised) -> Result<u64, String> {
        let copy = TempDir::with_prefix("tomato-copy-").map_err(|error| error.to_string())?;
        let name = match self.machine {
            Machine::Region => "region.db",
            Machine::Hub => "hub.db",
        };
        for file in [name.to_owned(), format!("{name}-wal")] {
            // A file that is gone is a loss, not a problem of the rig.
            std::fs::copy(self.disk.path().join(&file), copy.path().join(&file)).ok();
        }
        let found = match self.machine {
            Machine::Region => orders(&copy.path().join(name)).map(|there| {
                let gone = promised.orders.iter().filter(|id| !there.contains(*id));
                gone.count() as u64
            }),
            Machine::Hub => cursor(&copy.path().join(name)).map(|seq| promised.watermark.saturating_sub(seq)),
        };
        // No table, no file, not even a database: everything is lost.
        Ok(found.unwrap_or(match self.machine {
            Machine::Region => promised.orders.len() as u64,
            Machine::Hub => promised.watermark,
        }))
    }

    /// Every order that was acknowledged, once; no other; and the hub has the same events.
    async fn compare(&mut self, shop: &Shop, report: &mut Report) -> Result<(), String> {
        let node = self.stack.nodes.first().ok_or("no region")?;
        let there = orders(&node.server.data().join("region.db")).map_err(|error| error.to_string())?;
        shop.compare(&there, "orders lost in the end", report);
        books::audit(&self.stack, report).await
    }

    async fn until_hub_has_all(&mut self) -> Result<(), String> {
        let head = self.outbox().await?.head_seq;
        let mut seen = 0;
        let reached = poll_until("the hub to have all", LIMIT, async || {
            let outbox = self.outbox().await.ok()?;
            seen = outbox.watermark_seq;
            (seen >= head).then_some(())
        });
        reached.await.map_err(|error| format!("{error}: {seen} of {head}"))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("stack").join(format!("{REGION}.log"))
    }

    fn log_bytes(&self) -> Result<usize, String> {
        let length = std::fs::metadata(self.log()).map_err(|error| error.to_string())?.len();
        usize::try_from(length).map_err(|error| error.to_string())
    }

    /// Whether the region's stream lacked events that the hub has (F1): where the relay found it, at its first look since the
    /// power came back.
    fn look_at_tail(&mut self, promised: &Promised, told: usize) -> Result<(), String> {
        if self.machine == Machine::Hub {
            return Ok(());
        }
        let log = std::fs::read(self.log()).map_err(|error| error.to_string())?;
        let log = String::from_utf8_lossy(log.get(told..).unwrap_or_default());
        let found = log.lines().find_map(|line| {
            let (_, rest) = line.split_once("publishing goes on")?;
            rest.split("stream=").nth(1)?.split(' ').next()?.parse::<u64>().ok()
        });
        let found = found.ok_or("the relay has not said where it began")?;
        self.lost_tails += u64::from(found < promised.applied);
        Ok(())
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn orders(file: &Path) -> rusqlite::Result<BTreeSet<OrderId>> {
    let connection = open(file)?;
    let mut statement = connection.prepare("SELECT id FROM orders")?;
    let ids = statement.query_map([], |row| row.get(0).map(OrderId::from_bytes))?;
    ids.collect()
}

fn cursor(file: &Path) -> rusqlite::Result<u64> {
    let sql = "SELECT seq FROM cursors WHERE region = ?1";
    let seq: i64 = open(file)?.query_row(sql, [REGION], |row| row.get(0))?;
    Ok(u64::try_from(seq).unwrap_or(0))
}
