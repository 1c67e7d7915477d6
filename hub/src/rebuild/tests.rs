use std::collections::BTreeSet;

use bytes::Bytes;
use tomato_shared::id::OrderId;
use tomato_shared::subject::Origin;
use tomato_shared::time::UnixMs;

use super::*;
use crate::ingest::apply::{Arrival, Batch, apply};
use crate::measure::history::{History, Plant};
use crate::measure::statement::honest_statement;
use crate::store::reconcile::{self, Unmatched};
use crate::store::settle::{self, Signed, StatementLine};
use crate::store::{chain, ledger, rollups};

const START: UnixMs = UnixMs(1_763_886_600_000);
const END: UnixMs = UnixMs(START.0 + 90 * 86_400_000);

struct Hub {
    dir: tempfile::TempDir,
    conn: Connection,
}

impl Hub {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = store::open(&dir.path().join("hub.db")).unwrap();
        bring_up(&mut conn).unwrap();
        for region in ["ams", "blr"] {
            regions::register(&mut conn, &region.parse().unwrap(), region, false, START).unwrap();
        }
        Self { dir, conn }
    }

    /// Applies events in batches of `size`.
    fn take(&mut self, region: &str, said: &[(u64, Vec<u8>)], size: usize) {
        for chunk in said.chunks(size) {
            let arrival = |(seq, payload): &(u64, Vec<u8>)| Arrival {
                origin: Origin {
                    region: region.parse().unwrap(),
                    seq: *seq,
                },
                stream_seq: None,
                follows: None,
                payload: Bytes::copy_from_slice(payload),
            };
            let batch = Batch {
                arrivals: chunk.iter().map(arrival).collect(),
                position: None,
            };
            let outcome = apply(&mut self.conn, &batch, START).unwrap();
            assert_eq!(outcome.applied, u64::try_from(chunk.len()).unwrap());
        }
    }

    fn unmatched(&self) -> Vec<Unmatched> {
        reconcile::unmatched(&self.conn, END, 100).unwrap()
    }

    /// Accounts whose balance is not the sum of their entries.
    fn drift(&self) -> Vec<(String, String)> {
        let mut read = self
            .conn
            .prepare("SELECT account, party, debit_minor - credit_minor FROM balances")
            .unwrap();
        let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let mut sum = self
            .conn
            .prepare(
                "SELECT sum(amount_minor) FROM entries JOIN accounts ON number = account
                 WHERE name = ?1 AND party IS ?2",
            )
            .unwrap();
        let mut drifted = |row: &(String, String, i64)| {
            let (account, party, balance) = row;
            let party = ledger::key_of(account, party).map(|(_, party)| party);
            sum.query_row(rusqlite::params![account, party], |row| row.get::<_, i64>(0))
                .unwrap()
                != *balance
        };
        let rows: Vec<(String, String, i64)> = rows.unwrap().map(Result::unwrap).collect();
        let found = rows.into_iter().filter(|row| drifted(row));
        found.map(|(account, party, _)| (account, party)).collect()
    }

    fn whole(&self, sql: &str) -> i64 {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn history(region: &str, seed: u64) -> History {
    History::new(region.parse().unwrap(), seed, START, 20_000).unwrap()
}

/// `events` events, and then those that end what is under way.
fn finished(history: &mut History, events: usize) -> Vec<(u64, Vec<u8>)> {
    let mut said: Vec<_> = (0..events).map(|_| history.next()).collect();
    said.extend(std::iter::from_fn(|| history.drain()));
    said
}

#[test]
fn rebuild_gives_the_same_bytes_however_the_events_came() {
    let (blr, ams) = (
        finished(&mut history("blr", 1), 2_000),
        finished(&mut history("ams", 2), 900),
    );
    let mut hub = Hub::new();
    // In turns, and in batches of different sizes.
    for (turn, chunk) in blr.chunks(311).enumerate() {
        hub.take("blr", chunk, 1 + turn * 37);
        let from = (turn * 120).min(ams.len());
        hub.take("ams", &ams[from..(from + 120).min(ams.len())], 50);
    }
    let live = digest(&hub.conn).unwrap();
    let Hub { dir, conn } = hub;
    drop(conn);
    let path = dir.path().join("hub.db");
    let done = rebuild(&path).unwrap();
    assert_eq!((&done.before, &done.after), (&live, &live));
    // A projection that somebody changed is found out, and set right.
    let conn = store::open(&path).unwrap();
    conn.execute("UPDATE balances SET debit_minor = debit_minor + 1", [])
        .unwrap();
    assert!(
        conn.execute("UPDATE entries SET amount_minor = 1", []).is_err(),
        "the ledger is append-only"
    );
    assert!(conn.execute("DELETE FROM postings", []).is_err());
    drop(conn);
    let done = rebuild(&path).unwrap();
    assert_ne!(done.before, live);
    assert_eq!(done.after, live);
}

#[test]
fn books_of_every_legal_history_hold() {
    for seed in 0..40 {
        let mut hub = Hub::new();
        hub.take("blr", &finished(&mut history("blr", seed), 600), 113);
        let balances = ledger::balances(&hub.conn).unwrap();
        assert!(balances.len() >= 6, "{balances:?}");
        let sum: i64 = balances.iter().map(|balance| balance.balance_minor).sum();
        assert_eq!(sum, 0, "seed {seed}");
        assert_eq!(
            hub.whole(
                "SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY region, seq HAVING sum(amount_minor) <> 0)"
            ),
            0
        );
        assert_eq!(hub.drift(), [], "seed {seed}");
        assert_eq!(hub.whole("SELECT count(*) FROM anomalies"), 0, "seed {seed}");
        assert_eq!(hub.unmatched(), [], "seed {seed}");
    }
}

#[test]
fn whoever_changes_the_ledger_is_found_out() {
    let blr: RegionId = "blr".parse().unwrap();
    let changes = [
        "UPDATE entries SET amount_minor = amount_minor + 1 WHERE n = 0 AND seq = (SELECT min(seq) FROM entries)",
        "UPDATE postings SET cause = 'refunded' WHERE seq = (SELECT max(seq) FROM postings)",
        "DELETE FROM postings WHERE seq = (SELECT max(seq) FROM postings)",
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)",
        "INSERT INTO entries VALUES ('blr', 1, 0, 6, NULL, 5)",
        "UPDATE postings SET hash = zeroblob(32) WHERE seq = (SELECT min(seq) FROM postings)",
    ];
    for change in changes {
        let mut hub = Hub::new();
        hub.take("blr", &finished(&mut history("blr", 2), 400), 60);
        assert_eq!(chain::broken(&hub.conn, &blr).unwrap(), None);
        let free = "DROP TRIGGER postings_stay; DROP TRIGGER postings_are_kept;
             DROP TRIGGER entries_stay; DROP TRIGGER entries_are_kept;";
        hub.conn.execute_batch(free).unwrap();
        assert_eq!(hub.conn.execute(change, []).unwrap().min(1), 1, "{change}");
        assert!(chain::broken(&hub.conn, &blr).unwrap().is_some(), "{change}");
    }
}

#[test]
fn planted_faults_turn_up_with_their_reason() {
    for (plant, reason) in [
        (Plant::MissingRefund, "refund_missing"),
        (Plant::DoubledCapture, "ledger_amount"),
        (Plant::WrongAmount, "ledger_amount"),
    ] {
        let mut hub = Hub::new();
        let mut history = history("blr", 7);
        let mut said: Vec<_> = (0..300).map(|_| history.next()).collect();
        let order = history.plant(plant);
        said.extend(finished(&mut history, 300));
        hub.take("blr", &said, 50);
        let found = hub.unmatched();
        let found: Vec<_> = found.iter().map(|one| (one.order_id, one.reason)).collect();
        assert_eq!(found, [(Some(order), reason)], "{plant:?}");
    }
}

fn finance() -> Signed {
    Signed {
        by: "usr_finance".into(),
        at: END,
    }
}

#[test]
fn statement_is_matched_three_ways() {
    let mut hub = Hub::new();
    hub.take("blr", &finished(&mut history("blr", 3), 900), 100);
    let blr: RegionId = "blr".parse().unwrap();
    let honest = honest_statement(&hub.conn, &blr, (START, END)).unwrap();
    let lines = u64::try_from(honest.lines.len()).unwrap();
    assert_eq!(settle::import(&mut hub.conn, &honest, &finance()).unwrap(), lines);
    assert_eq!(
        settle::import(&mut hub.conn, &honest, &finance()).unwrap(),
        0,
        "the same lines again"
    );
    assert_eq!(hub.unmatched(), []);

    let refund = honest.lines.iter().position(|line| line.kind == "refund").unwrap();
    type Change = fn(&mut Vec<StatementLine>, usize);
    let faults: [(Change, &str); 5] = [
        (|lines, refund| drop(lines.remove(refund)), "provider_refund_missing"),
        (
            |lines, _| {
                let again = StatementLine {
                    id: "again".into(),
                    ..lines[0].clone()
                };
                lines.push(again);
            },
            "provider_amount",
        ),
        (|lines, _| lines[0].amount_minor += 1, "provider_amount"),
        (
            |lines, _| lines[0].transaction_id = "nobody's".into(),
            "provider_unknown",
        ),
        (|lines, _| lines[0].currency = "EUR".into(), "provider_currency"),
    ];
    for (change, reason) in faults {
        let mut hub = Hub::new();
        hub.take("blr", &finished(&mut history("blr", 3), 900), 100);
        let mut statement = honest.clone();
        change(&mut statement.lines, refund);
        settle::import(&mut hub.conn, &statement, &finance()).unwrap();
        let reasons: BTreeSet<_> = hub.unmatched().iter().map(|one| one.reason).collect();
        let expected: BTreeSet<_> = match reason {
            "provider_unknown" => [reason, "provider_missing"].into(),
            _ => [reason].into(),
        };
        assert_eq!(reasons, expected);
        let live = digest(&hub.conn).unwrap();
        let tx = hub.conn.transaction().unwrap();
        replay(&tx).unwrap();
        assert_eq!(digest(&tx).unwrap(), live, "{reason}: a rebuild finds the same");
    }

    // The statement comes before the events.
    let (mut hub, said) = (Hub::new(), finished(&mut history("blr", 3), 900));
    hub.take("blr", &said[..500], 100);
    settle::import(&mut hub.conn, &honest, &finance()).unwrap();
    assert!(hub.unmatched().iter().any(|one| one.reason == "provider_unknown"));
    hub.take("blr", &said[500..], 7);
    assert_eq!(hub.unmatched(), []);
}

#[test]
fn settlement_pays_each_debt_once() {
    let mut hub = Hub::new();
    let mut history = history("blr", 5);
    let first: Vec<_> = (0..900).map(|_| history.next()).collect();
    hub.take("blr", &first, 100);
    let owed = "SELECT -sum(amount_minor) FROM entries JOIN accounts ON number = account
         WHERE name IN ('restaurant_payable', 'driver_payable')";
    let owed_before = hub.whole(owed);
    let regions = ["blr".parse().unwrap()];
    let paid = settle::run(&mut hub.conn, &regions, END, &finance()).unwrap();
    assert_eq!(paid.iter().map(|payout| payout.amount_minor).sum::<i64>(), owed_before);
    let again = settle::run(&mut hub.conn, &regions, END, &finance()).unwrap();
    assert_eq!(again, paid, "the same run is the same payouts");
    let later = UnixMs(END.0 + 1);
    assert_eq!(settle::run(&mut hub.conn, &regions, later, &finance()).unwrap(), []);
    hub.take("blr", &finished(&mut history, 300), 100);
    let later = UnixMs(END.0 + 2);
    let rest = settle::run(&mut hub.conn, &regions, later, &finance()).unwrap();
    let sum: i64 = rest.iter().map(|payout| payout.amount_minor).sum();
    assert_eq!(sum, hub.whole(owed) - owed_before);
    let ids: BTreeSet<_> = paid.iter().chain(&rest).map(|payout| &payout.payout_id).collect();
    assert_eq!(ids.len(), paid.len() + rest.len());
}

#[test]
fn analytics_are_a_recount_of_the_orders() {
    use crate::projections::analytics::Level;
    let mut hub = Hub::new();
    hub.take("blr", &finished(&mut history("blr", 9), 3_000), 200);
    for level in Level::ALL {
        let wanted = rollups::Wanted {
            level,
            regions: vec!["blr".parse().unwrap()],
            from_ms: 0,
            to_ms: i64::MAX,
            spans: true,
        };
        let found = rollups::whole(&hub.conn, &wanted).unwrap();
        let counts = &found.counts;
        let recount = |condition: &str| hub.whole(&format!("SELECT count(*) FROM orders WHERE {condition}"));
        assert_eq!(counts.created, recount("1"), "{level:?}");
        assert_eq!(counts.delivered, recount("state = 'DELIVERED'"), "{level:?}");
        assert_eq!(counts.cancelled(), recount("state = 'CANCELLED'"), "{level:?}");
        assert_eq!(counts.payment_failed, recount("state = 'PAYMENT_FAILED'"), "{level:?}");
        assert_eq!(counts.ready, recount("ready_at_ms IS NOT NULL"), "{level:?}");
        assert_eq!(counts.active(), 0);
        let money = counts.money[&"INR".parse().unwrap()];
        let sum =
            |column: &str, condition: &str| hub.whole(&format!("SELECT sum({column}) FROM orders WHERE {condition}"));
        assert_eq!(
            money.revenue_minor,
            sum("total_minor", "state = 'DELIVERED'"),
            "{level:?}"
        );
        assert_eq!(money.refunded_minor, sum("refunded_minor", "1"), "{level:?}");
        let door = found.spans.get(crate::projections::tally::Span::ClickToDoor).unwrap();
        assert_eq!(door.len(), counts.delivered);
        if matches!(
            level,
            Level::Ever | Level::RegionMonth | Level::RegionDay | Level::RegionHour
        ) {
            assert!(counts.busy_ms > 0 && counts.online_ms >= counts.busy_ms, "{level:?}");
        }
    }
}

#[test]
fn sums_are_the_same_by_whichever_stretches_they_are_read() {
    use crate::projections::analytics::{DAY_MS, HOUR_MS, Level};
    use crate::projections::tally::Tally;
    let mut hub = Hub::new();
    // Some hundred days, the regions in turns.
    let slow = |region: &str, seed| History::new(region.parse().unwrap(), seed, START, 12_000_000).unwrap();
    let (blr, ams) = (
        finished(&mut slow("blr", 3), 9_000),
        finished(&mut slow("ams", 4), 4_000),
    );
    let mut ams = ams.chunks(400);
    for chunk in blr.chunks(900) {
        hub.take("blr", chunk, 250);
        hub.take("ams", ams.next().unwrap_or_default(), 400);
    }
    hub.take("ams", &ams.flatten().cloned().collect::<Vec<_>>(), 400);
    let days = hub.whole("SELECT count(*) FROM rollups WHERE level = 1 AND region = ''");
    assert!(days > 70, "{days}");
    for (level, unit_ms) in [
        (Level::RegionDay, DAY_MS),
        (Level::RegionHour, HOUR_MS),
        (Level::CellDay, DAY_MS),
    ] {
        for (from, to) in [(0, 1_000_000), (3, 90), (1, 33), (5, 6), (40, 75)] {
            let wanted = |regions: &[&str]| rollups::Wanted {
                level,
                regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
                from_ms: level.start(START) + from * unit_ms,
                to_ms: level.start(START) + to * unit_ms,
                spans: true,
            };
            let fine = |regions: &[&str]| {
                let by = rollups::By {
                    time: true,
                    region: true,
                    cell: true,
                };
                let mut sum = Tally::default();
                for tally in rollups::sum(&hub.conn, &wanted(regions), by).unwrap().values() {
                    sum.add(tally);
                }
                sum
            };
            for regions in [&["blr"][..], &["ams"], &["ams", "blr"]] {
                let whole = rollups::whole(&hub.conn, &wanted(regions)).unwrap();
                assert_eq!(whole, fine(regions), "{level:?} {from} {to} {regions:?}");
                // The shorter history ends before.
                let maybe_none = unit_ms == HOUR_MS || to - from < 30 || regions == ["ams"];
                assert!(
                    maybe_none || whole.counts.created > 0,
                    "{level:?} {from} {to} {regions:?}"
                );
            }
        }
    }
}

#[test]
fn order_ids_can_be_told_beforehand() {
    let mut history = history("blr", 1);
    let told: OrderId = history.plant(Plant::WrongAmount);
    let said = finished(&mut history, 200);
    let named = said.iter().any(|(_, payload)| match event::decode(payload).unwrap() {
        event::Decoded::Known(envelope) => envelope.order.is_some_and(|order| order.id == told),
        event::Decoded::Unknown(_) => false,
    });
    assert!(named);
}
