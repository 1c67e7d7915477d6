//! Fills a database with the histories of many regions, and times what people ask of it.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nkeys::KeyPair;
use rusqlite::Connection;
use tomato_shared::cell::RegionId;
use tomato_shared::subject::Origin;
use tomato_shared::time::UnixMs;

use super::history::{History, Plant};
use super::statement::honest_statement;
use crate::ingest::apply::{Arrival, Batch, apply};
use crate::projections::analytics::{DAY_MS, Level};
use crate::rebuild::bring_up;
use crate::store::orders::Filter;
use crate::store::rollups::{By, Wanted};
use crate::store::settle::{self, Signed, StatementLine};
use crate::store::{self, StoreFault, archive, ledger, map, orders, reconcile, regions, rollups};

/// Events per transaction, as when the hub catches up.
const BATCH: u64 = 10_000;
/// Times that each question is asked; the median counts.
pub const ASKED: usize = 11;

/// Faults, one in each of the first regions.
const PLANTS: [Plant; 3] = [Plant::MissingRefund, Plant::DoubledCapture, Plant::WrongAmount];

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Events of all regions together.
    pub events: u64,
    /// Regions, at least 1.
    pub regions: u64,
    /// Over how many days the history is spread.
    pub days: i64,
}

/// A question and how long its answer took.
#[derive(Debug, Clone)]
pub struct Timed {
    /// What was asked.
    pub what: &'static str,
    /// Median of [`ASKED`].
    pub took: Duration,
    /// The slowest of them, the first in a file that nobody has read yet.
    pub slowest: Duration,
    /// Rows or groups of the answer.
    pub rows: usize,
}

/// How fast events went in while the database grew by a tenth of them.
#[derive(Debug, Clone, Copy)]
pub struct Tenth {
    /// Events in the database at its end.
    pub events: u64,
    /// Events per second of time in transactions.
    pub rate: u128,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Applied events.
    pub events: u64,
    /// Orders that they were about.
    pub orders: u64,
    /// Time in transactions; making up the events is not in it.
    pub ingest: Duration,
    /// Ingest over size.
    pub tenths: Vec<Tenth>,
    /// Lines of the providers' statements of the last five weeks, and how long their import took.
    pub statements: (u64, Duration),
    /// Size of the database.
    pub bytes: u64,
    /// Questions.
    pub asked: Vec<Timed>,
}

/// Makes `hub.db` in a directory that has none, fills it and asks.
///
/// # Errors
/// [`StoreFault`], as when the disk is full.
pub fn run(directory: &Path, plan: Plan) -> Result<Report, StoreFault> {
    let mut conn = store::open(&directory.join("hub.db"))?;
    bring_up(&mut conn)?;
    let names: Vec<RegionId> = (0..plan.regions.max(1))
        .filter_map(|n| format!("r{n:02}").parse().ok())
        .collect();
    let start = UnixMs(crate::clock::now().0 - plan.days * DAY_MS);
    let (mut events, mut ingest) = (0, Duration::ZERO);
    // An order has some 14 events.
    let orders = (plan.events / plan.regions.max(1) / 14).max(1);
    let span_ms = u64::try_from(plan.days * DAY_MS).unwrap_or(0);
    let mut histories = Vec::new();
    for (seed, region) in (1..).zip(&names) {
        // A key that no node has: the broker takes it, and nobody comes.
        regions::register(&mut conn, region, &KeyPair::new_user().public_key(), false, start)?;
        histories.extend(History::new(region.clone(), seed, start, (span_ms / orders).max(1)));
    }
    // So that reconciliation has something to find.
    for (history, plant) in histories.iter_mut().zip(PLANTS) {
        history.plant(plant);
    }
    let (mut turn, mut tenths) = (0, Vec::new());
    let mut since = (0, Duration::ZERO);
    while events < plan.events && !histories.is_empty() {
        // Forty events of one region, then of the next: a batch holds many regions, as the hub's stream does.
        let mut batch = Batch::default();
        while u64::try_from(batch.arrivals.len()).unwrap_or(BATCH) < BATCH {
            let place = turn % histories.len();
            let (region, history) = (&names[place], &mut histories[place]);
            batch.arrivals.extend((0..40).map(|_| arrival(region, history.next())));
            turn += 1;
        }
        let began = Instant::now();
        events += apply(&mut conn, &batch, start)?.applied;
        ingest += began.elapsed();
        if (events - since.0) * 10 >= plan.events || events >= plan.events {
            let rate = u128::from(events - since.0) * 1_000 / (ingest - since.1).as_millis().max(1);
            tenths.push(Tenth { events, rate });
            since = (events, ingest);
        }
    }
    let statements = import(&mut conn, &names)?;
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (orders, bytes) = (
        count("SELECT count(*) FROM orders")?,
        count("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")?,
    );
    let mut asked = ask_rollups(&conn, &names)?;
    asked.extend(ask_now(&conn)?);
    asked.extend(ask_orders(&conn, &names, start)?);
    Ok(Report {
        events,
        orders: u64::try_from(orders).unwrap_or(0),
        ingest,
        tenths,
        statements,
        bytes: u64::try_from(bytes).unwrap_or(0),
        asked,
    })
}

/// Imports what the provider says of the last five weeks, region by region; in the first one it has charged once too often.
fn import(conn: &mut Connection, names: &[RegionId]) -> Result<(u64, Duration), StoreFault> {
    let now = crate::clock::now();
    let signed = Signed {
        by: "usr_bench".into(),
        at: now,
    };
    let (mut lines, mut took) = (0, Duration::ZERO);
    for (nth, region) in names.iter().enumerate() {
        let mut statement = honest_statement(conn, region, (UnixMs(now.0 - 35 * DAY_MS), now))?;
        if nth == 0
            && let Some(first) = statement.lines.first().cloned()
        {
            statement.lines.push(StatementLine {
                id: "once more".into(),
                ..first
            });
        }
        let began = Instant::now();
        lines += settle::import(conn, &statement, &signed)?;
        took += began.elapsed();
    }
    Ok((lines, took))
}

fn arrival(region: &RegionId, (seq, payload): (u64, Vec<u8>)) -> Arrival {
    Arrival {
        origin: Origin {
            region: region.clone(),
            seq,
        },
        stream_seq: None,
        follows: None,
        payload: Bytes::from(payload),
    }
}

fn timed(what: &'static str, mut ask: impl FnMut() -> Result<usize, StoreFault>) -> Result<Timed, StoreFault> {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..ASKED {
        let began = Instant::now();
        rows = ask()?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(Timed {
        what,
        took: times[ASKED / 2],
        slowest: times[ASKED - 1],
        rows,
    })
}

/// What analytics is asked.
fn ask_rollups(conn: &Connection, names: &[RegionId]) -> Result<Vec<Timed>, StoreFault> {
    let now = crate::clock::now();
    let all = |level: Level, days: i64, spans: bool| Wanted {
        level,
        regions: names.to_vec(),
        from_ms: now.0 - days * DAY_MS,
        to_ms: i64::MAX,
        spans,
    };
    let one = |level: Level, days: i64| Wanted {
        regions: names.iter().take(1).cloned().collect(),
        ..all(level, days, true)
    };
    let [time, region, cell] = [0, 1, 2].map(|place| By {
        time: place == 0,
        region: place == 1,
        cell: place == 2,
    });
    let whole_days = Level::RegionDay;
    let totals = Wanted {
        from_ms: 0,
        ..all(Level::Ever, 0, true)
    };
    let questions = [
        (
            "a year by day, all regions, counts and money",
            all(whole_days, 366, false),
            time,
        ),
        (
            "a year by day, all regions, with percentiles",
            all(whole_days, 366, true),
            time,
        ),
        (
            "a year by day, one region, with percentiles",
            one(whole_days, 366),
            time,
        ),
        (
            "a year in each region, with percentiles",
            all(whole_days, 366, true),
            region,
        ),
        (
            "a year by cell, one region, with percentiles",
            one(Level::CellDay, 366),
            cell,
        ),
        (
            "a week by hour, all regions, with percentiles",
            all(Level::RegionHour, 7, true),
            time,
        ),
        (
            "a day by minute, all regions, counts and money",
            all(Level::RegionMinute, 1, false),
            time,
        ),
        (
            "a month by cell, one region, with percentiles",
            one(Level::CellDay, 30),
            cell,
        ),
        ("totals of each region", totals, region),
    ];
    questions
        .into_iter()
        .map(|(what, wanted, by)| timed(what, || Ok(rollups::sum(conn, &wanted, by)?.len())))
        .collect()
}

/// What the money page and the map are asked.
fn ask_now(conn: &Connection) -> Result<Vec<Timed>, StoreFault> {
    let now = crate::clock::now();
    Ok(vec![
        timed("balances of every region", || Ok(ledger::balances(conn)?.len()))?,
        timed(
            "what does not match",
            || Ok(reconcile::unmatched(conn, now, 500)?.len()),
        )?,
        timed("orders under way by cell", || Ok(map::open_by_cell(conn)?.len()))?,
    ])
}

/// What the search for orders is asked. `started`: where the history begins.
fn ask_orders(conn: &Connection, names: &[RegionId], started: UnixMs) -> Result<Vec<Timed>, StoreFault> {
    let now = crate::clock::now();
    let page = |filter: Filter| move || Ok(orders::page(conn, &filter, 51)?.len());
    let newest = orders::page(conn, &Filter::default(), 1)?;
    let newest = newest.first();
    let restaurant = Filter {
        restaurant: newest.map(|order| order.restaurant_id),
        ..Filter::default()
    };
    let customer = Filter {
        customer: newest.map(|order| order.customer_id),
        ..Filter::default()
    };
    let phone = Filter {
        phone_hash: newest.and_then(|order| order.phone_hash),
        ..Filter::default()
    };
    let driver = Filter {
        driver: newest.and_then(|order| order.driver_id),
        to: Some(UnixMs(now.0 - DAY_MS)),
        ..Filter::default()
    };
    // From the middle of the history, where nobody has looked for long.
    let middle = Filter {
        state: Some(tomato_shared::order::OrderState::Delivered),
        regions: names.last().map(|name| [name.clone()].into()),
        to: Some(UnixMs(started.0 + (now.0 - started.0) / 2)),
        ..Filter::default()
    };
    let old = orders::page(conn, &middle, 1)?.into_iter().next();
    let cancelled = Filter {
        state: Some(tomato_shared::order::OrderState::Cancelled),
        regions: names.first().map(|name| [name.clone()].into()),
        ..Filter::default()
    };
    Ok(vec![
        timed("newest orders", page(Filter::default()))?,
        timed("orders of a restaurant", page(restaurant))?,
        timed("orders of a customer", page(customer))?,
        timed("orders of a telephone number", page(phone))?,
        timed("orders of a driver, before yesterday", page(driver))?,
        timed("delivered orders of a region, of long ago", page(middle))?,
        timed("one order of long ago, with its timeline and entries", || {
            let Some(order) = &old else { return Ok(0) };
            let row = orders::find(conn, order.id)?;
            let entries = ledger::of_order(conn, order)?;
            Ok(row.len() + entries.len() + archive::some(conn, &order.region, &order.seqs.0)?.len())
        })?,
        timed("cancelled orders of a region", page(cancelled))?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            events: 20_000,
            regions: 3,
            days: 40,
        };
        let report = run(dir.path(), plan).unwrap();
        assert!(report.events >= plan.events && report.orders > 1_000, "{report:?}");
        assert_eq!(report.tenths.last().map(|tenth| tenth.events), Some(report.events));
        for asked in &report.asked {
            assert!(asked.rows > 0, "{asked:?}");
        }
        let planted = report.asked.iter().find(|asked| asked.what == "what does not match");
        // Refunds may be under way besides.
        assert!(planted.is_some_and(|asked| asked.rows > PLANTS.len()), "{planted:?}");
    }
}
