//! The two sides: a node with its broker, and the yardstick. Each a real process of its own on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use rusqlite::Connection;
use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_tests::client::{Api, Request, connections};
use tomato_tests::ports;
use tomato_tests::process::Program;
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::bare;
use crate::market;
use crate::meter::Meter;
use crate::sizes::Sizes;

const REGION: &str = "blr";
const START_LIMIT: Duration = Duration::from_secs(20);

/// Somebody who takes orders.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) meter: Meter,
    process: Process,
}

enum Process {
    Node(Box<Stack>),
    Bare(Program),
}

/// What a node has still to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Backlog {
    /// Orders confirmed so far.
    pub(crate) confirmed: u64,
    /// Events committed so far.
    pub(crate) events: u64,
    /// Events in the stream so far.
    pub(crate) published: u64,
}

/// What stands in a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stored {
    pub(crate) orders: u64,
    pub(crate) reservations: u64,
    /// Rows of all tables that orders write to.
    pub(crate) rows: u64,
    /// Size of the file when closed.
    pub(crate) bytes: u64,
}

/// Centre of the region that is used.
pub(crate) fn centre() -> LatLng {
    RegionFile::named(REGION).ground().centre
}

impl Contender {
    /// Starts a node without a hub, and writes its restaurants as an operator. Its issuer is the one of `folder`.
    pub(crate) async fn node(folder: &Path) -> Result<Self, String> {
        let plan = StackPlan::default()
            .region_file(RegionFile::named(REGION))
            .without_hub();
        let mut stack = Stack::prepare(plan.folder(folder.to_owned()).log_filter("warn"))?;
        stack.start().await?;
        let node = stack.node(REGION);
        let refused = |error| format!("the node does not take its restaurants: {error}");
        for (id, restaurant) in market::restaurants(node.ground.centre) {
            node.api.put_restaurant(id, &restaurant).await.map_err(refused)?;
        }
        let address = node.server.base().trim_start_matches("http://");
        let addr = address.parse().map_err(|error| format!("{address}: {error}"))?;
        let meter = Meter {
            server: node.server.pid().ok_or("the node ended while it was set up")?,
            broker: node.server.nats_pid(),
            database: node.server.data().join("region.db"),
        };
        if meter.broker.is_none() {
            return Err(format!(
                "the node runs without its nats-server\n{}",
                node.server.tails()
            ));
        }
        Ok(Self {
            name: "node",
            addr,
            meter,
            process: Process::Node(Box::new(stack)),
        })
    }

    /// Starts the yardstick.
    pub(crate) async fn bare(folder: &Path, sizes: &Sizes) -> Result<Self, String> {
        let folder = folder.join("bare");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (addr, file) = (ports::free(), bare::sizes_file(&folder));
        let text = serde_json::to_vec(sizes).map_err(|error| error.to_string())?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let executable = std::env::current_exe().map_err(|error| error.to_string())?;
        let args = [
            "bare",
            "--listen",
            &addr.to_string(),
            "--dir",
            &folder.display().to_string(),
        ];
        let args = args.into_iter().map(str::to_owned).collect();
        let mut program = Program::new("bare", executable, args, folder.join("log"));
        program.start()?;
        let public = Api::new(&connections(), &format!("http://{addr}"));
        let livez = Request::new(Method::GET, "/livez");
        let alive = poll_until("the yardstick to answer", START_LIMIT, async || {
            public.send(&livez).await.is_ok().then_some(())
        });
        alive
            .await
            .map_err(|problem| format!("{problem}\n{}", program.tail()))?;
        let meter = Meter {
            server: program.pid().ok_or("the yardstick ended at once")?,
            broker: None,
            database: bare::database(&folder),
        };
        Ok(Self {
            name: "bare",
            addr,
            meter,
            process: Process::Bare(program),
        })
    }

    /// How far it is; nothing for the yardstick, which leaves nothing to be done.
    pub(crate) async fn backlog(&mut self) -> Backlog {
        let Process::Node(stack) = &mut self.process else {
            return Backlog::default();
        };
        // A confirmed order has a deadline for its restaurant, a short row of its own.
        let confirmed = count(&self.meter.database, "timers WHERE kind = 2").unwrap_or(0);
        let overview = stack.node(REGION).api.overview().await.ok();
        Backlog {
            confirmed,
            events: overview.as_ref().map_or(0, |overview| overview.outbox.head_seq),
            published: overview.map_or(0, |overview| overview.outbox.published_seq),
        }
    }

    /// The end of its log.
    pub(crate) fn tail(&mut self) -> String {
        match &mut self.process {
            Process::Node(stack) => stack.node(REGION).server.tails(),
            Process::Bare(program) => program.tail(),
        }
    }

    /// Stops it, and says what it leaves behind.
    pub(crate) async fn finish(&mut self) -> Result<Stored, String> {
        match &mut self.process {
            Process::Node(stack) => stack.stop().await?,
            Process::Bare(program) => drop(program.stop().await),
        }
        stored(&self.meter.database)
    }
}

fn stored(database: &Path) -> Result<Stored, String> {
    let tables = ["orders", "reservations", "timers", "tasks", "idempotency", "outbox"];
    let rows = tables
        .iter()
        .map(|table| count(database, table))
        .sum::<Result<u64, String>>()?;
    // The last connection to close has moved the WAL into the file.
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    Ok(Stored {
        orders: count(database, "orders")?,
        reservations: count(database, "reservations")?,
        rows,
        bytes: size(database.to_owned()) + size(database.with_extension("db-wal")),
    })
}

fn count(database: &Path, rows: &str) -> Result<u64, String> {
    let explain = |error: rusqlite::Error| format!("{}: {error}", database.display());
    let connection =
        Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(explain)?;
    let sql = format!("SELECT count(*) FROM {rows}");
    let found: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(explain)?;
    Ok(found.unsigned_abs())
}
