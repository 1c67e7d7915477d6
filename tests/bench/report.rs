//! What was found, as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::contender::{Backlog, Stored};
use crate::machine::Machine;
use crate::meter::Used;
use crate::place_order::json_file;
use crate::round::{ANSWERED_MIN, P99_MAX_US, Round, Side};
use crate::search::Search;
use crate::sizes::Sizes;

/// Rows of one order that is placed, besides its reservations and their stock: order, timer, task, answer, two events.
const ROWS_FIXED: f64 = 6.0;

/// One side when all is over.
pub(crate) struct Result {
    pub(crate) side: Side,
    pub(crate) stored: Stored,
}

/// Everything.
pub(crate) struct Report {
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    pub(crate) fixed_rate: Option<u32>,
    pub(crate) machine: Machine,
    pub(crate) sizes: Sizes,
    pub(crate) results: Vec<Result>,
    pub(crate) took: Duration,
}

/// The numbers of one side, as the table shows them.
#[derive(Debug, serde::Serialize)]
struct Figures {
    sustained: Option<f64>,
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    server_cpu_s_per_1000: f64,
    writer_cpu_s_per_1000: f64,
    broker_cpu_s_per_1000: f64,
    generator_cpu_s_per_1000: f64,
    writer_busy_percent: f64,
    others_cores: f64,
    commits_per_s: f64,
    orders_per_commit: f64,
    rows_placing: f64,
    rows_kept: f64,
    database_bytes_per_order: f64,
    disk_bytes_per_order: f64,
    confirmed_percent: Option<f64>,
    published_percent: Option<f64>,
}

impl Result {
    fn sustained(&self) -> Option<f64> {
        self.side.search.as_ref().and_then(Search::sustained)
    }

    fn figures(&self) -> Option<Figures> {
        let finals = &self.side.finals;
        let first = finals.first()?;
        let mut latency = first.outcome.latency_us.clone();
        for round in &finals[1..] {
            latency.add(&round.outcome.latency_us).ok()?;
        }
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1_000.0;
        let sum = |part: fn(&Round) -> Used| finals.iter().fold(Used::default(), |sum, round| sum.plus(&part(round)));
        let (loaded, whole) = (sum(|round| round.loaded), sum(|round| round.whole));
        let placed = finals.iter().map(|round| round.outcome.placed()).sum::<u64>().max(1) as f64;
        let (stored, orders) = (self.stored, self.stored.orders.max(1) as f64);
        let added = |part: fn(&Backlog) -> u64| finals.iter().map(|round| part(&round.added)).sum::<u64>() as f64;
        let events = added(|added| added.events);
        let node = events > 0.0;
        Some(Figures {
            sustained: self.sustained(),
            rate: first.rate,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            server_cpu_s_per_1000: whole.server_s / placed * 1_000.0,
            writer_cpu_s_per_1000: whole.writer_s / placed * 1_000.0,
            broker_cpu_s_per_1000: whole.broker_s / placed * 1_000.0,
            generator_cpu_s_per_1000: loaded.generator_s / placed * 1_000.0,
            writer_busy_percent: loaded.writer_s / loaded.elapsed_s * 100.0,
            others_cores: loaded.others_s / loaded.elapsed_s,
            commits_per_s: loaded.commits as f64 / loaded.elapsed_s,
            orders_per_commit: placed / loaded.commits.max(1) as f64,
            rows_placing: ROWS_FIXED + 2.0 * stored.reservations as f64 / orders,
            rows_kept: stored.rows as f64 / orders,
            database_bytes_per_order: stored.bytes as f64 / orders,
            disk_bytes_per_order: whole.disk_bytes as f64 / placed,
            confirmed_percent: node.then(|| added(|added| added.confirmed) / placed * 100.0),
            published_percent: node.then(|| added(|added| added.published) / events * 100.0),
        })
    }
}

/// A line of the table: its name, digits after the point, the number.
type Line = (&'static str, usize, fn(&Figures) -> Option<f64>);

const LINES: [Line; 18] = [
    ("at this rate, orders/s", 0, |f| Some(f.rate)),
    ("  latency p50, ms", 1, |f| Some(f.p50_ms)),
    ("  latency p99, ms", 1, |f| Some(f.p99_ms)),
    ("  latency p99.9, ms", 1, |f| Some(f.p999_ms)),
    ("  CPU s per 1,000 orders: server", 3, |f| Some(f.server_cpu_s_per_1000)),
    ("    of which the writer's thread", 3, |f| Some(f.writer_cpu_s_per_1000)),
    ("    its nats-server", 3, |f| Some(f.broker_cpu_s_per_1000)),
    ("    load generator", 3, |f| Some(f.generator_cpu_s_per_1000)),
    ("  writer's thread on CPU, %", 0, |f| Some(f.writer_busy_percent)),
    ("  others on this machine, cores", 2, |f| Some(f.others_cores)),
    ("  commits per s", 0, |f| Some(f.commits_per_s)),
    ("  orders per commit", 1, |f| Some(f.orders_per_commit)),
    ("  rows written by placing, per order", 1, |f| Some(f.rows_placing)),
    ("  rows kept per order", 1, |f| Some(f.rows_kept)),
    ("  database bytes per order", 0, |f| Some(f.database_bytes_per_order)),
    ("  bytes to disk per order", 0, |f| Some(f.disk_bytes_per_order)),
    ("  confirmed under load, %", 1, |f| f.confirmed_percent),
    ("  events in the stream under load, %", 1, |f| f.published_percent),
];

impl Report {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let figures: Vec<_> = self.results.iter().map(Result::figures).collect();
        let names = self.results.iter().map(|result| result.side.contender.name);
        let mut text = self.head();
        let mut line = |name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!("{cell:>12}")).collect();
            writeln!(text, "{name:<38}{cells}").ok();
        };
        line("", names.map(str::to_owned).chain(["node/bare".to_owned()]).collect());
        let floods: Vec<_> = self.results.iter().map(|result| result.side.flood).collect();
        line("first flood, orders/s", cells(&floods, 0));
        if self.fixed_rate.is_none() {
            let sustained: Vec<_> = self.results.iter().map(Result::sustained).collect();
            line("sustained, orders/s", cells(&sustained, 0));
        }
        for (name, digits, get) in LINES {
            let numbers: Vec<_> = figures.iter().map(|figures| figures.as_ref().and_then(get)).collect();
            line(name, cells(&numbers, digits));
        }
        text + &self.foot()
    }

    fn head(&self) -> String {
        let (answered, p99_ms) = (ANSWERED_MIN * 100.0, P99_MAX_US / 1_000);
        let rate = match self.fixed_rate {
            Some(rate) => format!("{rate} orders/s"),
            None => {
                format!("sustained: {answered} % answered 201 in the round, p99 <= {p99_ms} ms; costs at 70 % of it")
            }
        };
        format!(
            "place-order: open loop, {} connections, rounds of {} s in turns, cards; {rate}\n\n",
            self.connections, self.seconds
        )
    }

    fn foot(&self) -> String {
        let machine = &self.machine;
        format!(
            "\n{} x {}, Linux {}, {}\n{}; SQLite {}; {}; commit {}; {:.0} s in all\n\
             The node's costs include payment outcomes, a second transaction of each order, and the relay; bare has neither.\n",
            machine.cores,
            machine.cpu,
            machine.kernel,
            machine.file_system,
            machine.rustc,
            machine.sqlite,
            machine.nats_server,
            machine.commit,
            self.took.as_secs_f64(),
        )
    }

    /// For programs.
    pub(crate) fn save(&self) -> std::result::Result<(), String> {
        let side = |result: &Result| {
            let rows = |rounds: &[Round]| rounds.iter().map(Round::row).collect::<Vec<_>>();
            let value = json!({
                "flood": result.side.flood,
                "figures": result.figures(),
                "stored": result.stored,
                "search": rows(&result.side.rounds),
                "rounds": rows(&result.side.finals),
            });
            (result.side.contender.name.to_owned(), value)
        };
        let sides: serde_json::Map<String, Value> = self.results.iter().map(side).collect();
        let report = json!({
            "bench": "place-order",
            "seconds": self.seconds,
            "connections": self.connections,
            "rate": self.fixed_rate,
            "machine": self.machine,
            "column_bytes": self.sizes,
            "sides": sides,
            "took_s": self.took.as_secs_f64(),
        });
        let (file, text) = (json_file(), format!("{report:#}\n"));
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("as JSON: {}", file.display());
        Ok(())
    }
}

/// The numbers of both sides and how they compare; bare comes first.
fn cells(numbers: &[Option<f64>], digits: usize) -> Vec<String> {
    let show = |number: &Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.digits$}"));
    let mut cells: Vec<String> = numbers.iter().map(show).collect();
    let ratio = match *numbers {
        [Some(bare), Some(node)] if bare > 0.0 => format!("{:.2}", node / bare),
        _ => String::new(),
    };
    cells.push(ratio);
    cells
}
