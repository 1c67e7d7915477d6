use rusqlite::Connection;
use serde::Serialize;

use super::*;
use tomato_shared::event::{Event, OrderRef};
use tomato_shared::sync::first_seq;

use crate::life::{START, TOTAL_MINOR, Talker, created};
use crate::projections::analytics::Level;
use crate::projections::tally::Counts;
use crate::rebuild::{bring_up, digest};
use crate::store::orders;
use crate::store::rollups::{self, Wanted};

const NOW: UnixMs = UnixMs(1_763_886_700_000);

fn store() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = crate::store::open(&dir.path().join("hub.db")).unwrap();
    bring_up(&mut conn).unwrap();
    for region in ["ams", "blr"] {
        regions::register(&mut conn, &region.parse().unwrap(), &format!("U{region}"), false, NOW).unwrap();
    }
    (dir, conn)
}

fn arrival(region: &str, seq: u64, payload: &[u8]) -> Arrival {
    Arrival {
        origin: Origin {
            region: region.parse().unwrap(),
            seq,
        },
        stream_seq: Some(seq),
        follows: None,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn numbered(region: &str, payloads: &[Vec<u8>]) -> Vec<Arrival> {
    (1..)
        .zip(payloads)
        .map(|(seq, payload)| arrival(region, seq, payload))
        .collect()
}

fn run(conn: &mut Connection, arrivals: &[Arrival]) -> Outcome {
    let batch = Batch {
        arrivals: arrivals.to_vec(),
        position: None,
    };
    apply(conn, &batch, NOW).unwrap()
}

#[test]
fn batches_of_any_size_give_the_same_rows() {
    let mut talker = Talker::new("blr");
    let payloads: Vec<_> = (0..10).flat_map(|n| talker.order(n % 3 != 0, 60_000 * n)).collect();
    let arrivals = numbered("blr", &payloads);
    let (_dir, mut whole) = store();
    run(&mut whole, &arrivals);
    for size in [1, 3, 8] {
        let (_dir, mut conn) = store();
        for chunk in arrivals.chunks(size) {
            run(&mut conn, chunk);
            // Everything once more: redelivery changes nothing.
            assert_eq!(run(&mut conn, chunk).applied, 0);
        }
        assert_eq!(digest(&conn).unwrap(), digest(&whole).unwrap());
    }
    let counts = ever(&whole, &talker.region);
    let inr = counts.money[&"INR".parse().unwrap()];
    assert_eq!(
        (counts.created, counts.delivered, counts.cancelled(), counts.active()),
        (10, 6, 4, 0)
    );
    assert_eq!(
        (inr.revenue_minor, inr.refunded_minor),
        (6 * TOTAL_MINOR, 4 * TOTAL_MINOR)
    );
}

fn ever(conn: &Connection, region: &RegionId) -> Counts {
    let wanted = Wanted {
        level: Level::Ever,
        regions: vec![region.clone()],
        from_ms: 0,
        to_ms: 1,
        spans: false,
    };
    rollups::whole(conn, &wanted).unwrap().counts
}

#[test]
fn gap_holds_its_region_and_no_other() {
    let (_dir, mut conn) = store();
    let (blr, ams) = (Talker::new("blr").order(true, 1), Talker::new("ams").order(true, 1));
    let mut arrivals = numbered("blr", &blr);
    arrivals.remove(2);
    arrivals.extend(numbered("ams", &ams));
    let outcome = run(&mut conn, &arrivals);
    assert_eq!(outcome.held, BTreeMap::from([("blr".parse().unwrap(), 7)]));
    assert_eq!(outcome.applied, 2 + 7);
    let outcome = run(&mut conn, &numbered("blr", &blr));
    assert_eq!((outcome.applied, outcome.repeated, outcome.held.len()), (5, 2, 0));
}

#[test]
fn forged_and_broken_messages_are_quarantined_and_leave_a_gap() {
    let (_dir, mut conn) = store();
    let forged = Talker::new("blr").order(true, 1);
    let honest = Talker::new("ams").order(true, 1);
    for (payload, reason) in [
        (forged[0].as_slice(), "names another region than its source"),
        (honest[1].as_slice(), "names another sequence than its source"),
        (b"\x00garbage".as_slice(), "not an envelope"),
    ] {
        let outcome = run(&mut conn, &[arrival("ams", 1, payload)]);
        assert_eq!((outcome.applied, outcome.quarantined), (0, 1), "{reason}");
        assert_eq!(outcome.held, BTreeMap::from([("ams".parse().unwrap(), 1)]));
        assert_eq!(
            run(&mut conn, &[arrival("ams", 1, payload)]).quarantined,
            0,
            "kept once"
        );
        let stored: String = conn
            .query_row("SELECT reason FROM quarantine ORDER BY id DESC", [], |row| row.get(0))
            .unwrap();
        assert_eq!(stored, reason);
    }
    assert_eq!(run(&mut conn, &numbered("ams", &honest)).applied, 7);
}

#[test]
fn quarantine_is_bounded() {
    let (_dir, conn) = store();
    let region: RegionId = "ams".parse().unwrap();
    for seq in 0..1_100 {
        let refused = Quarantined {
            region: &region,
            seq,
            reason: "not an envelope",
            payload: &[7; 70_000],
        };
        events::quarantine(&conn, refused, NOW).unwrap();
    }
    let (rows, longest): (i64, i64) = conn
        .query_row("SELECT count(*), max(length(payload)) FROM quarantine", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((rows, longest), (1_000, 65_536));
    conn.execute("DELETE FROM quarantine", []).unwrap();
}

/// What a restored region says first.
fn restart(talker: &mut Talker, incarnation: u32, follows_seq: u64) -> Arrival {
    (talker.incarnation, talker.seq) = (incarnation, first_seq(incarnation) - 1);
    let started = Event::IncarnationStarted {
        follows_seq,
        forgets_to_seq: 21,
    };
    let payload = talker.say(None, START, started);
    arrival("blr", talker.seq, &payload)
}

#[test]
fn a_restored_region_goes_on_and_what_it_forgot_is_listed() {
    let (_dir, mut conn) = store();
    let blr: RegionId = "blr".parse().unwrap();
    let mut talker = Talker::new("blr");
    let first = [talker.order(true, 1), talker.order(true, 1), talker.order(false, 1)].concat();
    assert_eq!(run(&mut conn, &numbered("blr", &first)).applied, 21);
    let started = restart(&mut talker, 2, 9);
    // Two orders go on, told again; a third is new.
    let again: Vec<Arrival> = first[9..14]
        .iter()
        .map(|payload| match event::decode(payload).unwrap() {
            event::Decoded::Known(old) => talker.say(old.order, old.at, old.event),
            event::Decoded::Unknown(header) => panic!("{header:?}"),
        })
        .map(|payload| (payload, ()))
        .zip(first_seq(2) + 1..)
        .map(|((payload, ()), seq)| arrival("blr", seq, &payload))
        .collect();
    let early = run(&mut conn, &again);
    assert_eq!(
        (early.applied, early.held.len()),
        (0, 1),
        "not before it is said what they follow"
    );
    let outcome = run(&mut conn, &[vec![started], again].concat());
    assert_eq!((outcome.applied, outcome.anomalies), (6, 1));
    let cursor = regions::cursors(&conn).unwrap()[&blr];
    assert_eq!((cursor.incarnation, cursor.seq), (2, first_seq(2) + 5));
    let counts = ever(&conn, &blr);
    assert_eq!(
        (counts.created, counts.delivered),
        (2, 2),
        "the third order is not its past any more"
    );
    let forgotten = forgotten::forgotten_orders(&conn).unwrap();
    let seen: Vec<_> = forgotten.iter().map(|order| (order.events, order.known)).collect();
    assert_eq!(seen, [(5, true), (7, false)]);
    // The same as if the projections are made from the events.
    let before = digest(&conn).unwrap();
    rebuild::replay(&conn).unwrap();
    assert_eq!(digest(&conn).unwrap(), before);
    // The old incarnation is over, its events change nothing.
    assert_eq!(run(&mut conn, &numbered("blr", &first)).applied, 0);
    let stale = restart(&mut talker, 1, 0);
    assert_eq!(run(&mut conn, &[stale]).applied, 0);
    // And a further one.
    let third = restart(&mut talker, 3, first_seq(2) + 5);
    let outcome = run(&mut conn, &[third]);
    assert_eq!((outcome.applied, outcome.anomalies), (1, 0), "nothing was forgotten");
}

#[test]
fn a_new_incarnation_waits_for_what_it_follows() {
    let (_dir, mut conn) = store();
    let mut talker = Talker::new("blr");
    let first = talker.order(true, 1);
    run(&mut conn, &numbered("blr", &first)[..3]);
    let started = restart(&mut talker, 2, 7);
    let outcome = run(&mut conn, std::slice::from_ref(&started));
    assert_eq!(outcome.held.values().copied().collect::<Vec<_>>(), [first_seq(2)]);
    run(&mut conn, &numbered("blr", &first));
    assert_eq!(run(&mut conn, &[started]).applied, 1);
    let outcome = run(&mut conn, &[arrival("blr", first_seq(3), b"\x00garbage")]);
    assert_eq!((outcome.applied, outcome.quarantined), (0, 1));
}

#[test]
fn an_event_that_continues_another_past_is_refused() {
    let (_dir, mut conn) = store();
    let blr: RegionId = "blr".parse().unwrap();
    let events = numbered("blr", &Talker::new("blr").order(true, 1));
    let follows = |nth: usize, before: &Arrival| Arrival {
        follows: Some(mark(&before.payload)),
        ..events[nth].clone()
    };
    run(&mut conn, &events[..3]);
    let outcome = run(&mut conn, &[follows(3, &events[0])]);
    assert_eq!((outcome.applied, outcome.quarantined), (0, 1));
    assert!(outcome.apart.contains(&blr));
    // In one batch, and from one to the next.
    let outcome = run(&mut conn, &[follows(3, &events[2]), follows(4, &events[3])]);
    assert_eq!((outcome.applied, outcome.apart.len()), (2, 0));
    // The same event again is no news; another under its sequence is.
    let other = Talker::new("blr").order(false, 9_000);
    assert_eq!(run(&mut conn, &events[..4]).apart.len(), 0);
    assert!(run(&mut conn, &numbered("blr", &other)).apart.contains(&blr));
    let wrong = Talker {
        incarnation: 2,
        seq: 5,
        ..Talker::new("blr")
    }
    .order(true, 1);
    let outcome = run(&mut conn, &[arrival("blr", 6, &wrong[0])]);
    assert_eq!(
        (outcome.applied, outcome.quarantined),
        (0, 1),
        "an incarnation has its own sequences"
    );
}

#[test]
fn event_of_an_unknown_type_is_kept_in_its_place() {
    #[derive(Serialize)]
    struct Newer {
        region: &'static str,
        incarnation: u32,
        seq: u64,
        at: UnixMs,
        order: OrderRef,
        event: serde_json::Value,
    }
    let (_dir, mut conn) = store();
    let mut talker = Talker::new("blr");
    let order = OrderRef {
        id: talker.next_order(),
        version: 1,
    };
    let first = talker.say(Some(order), START, created());
    let newer = Newer {
        region: "blr",
        incarnation: 1,
        seq: 2,
        at: START,
        order: OrderRef { version: 2, ..order },
        event: serde_json::json!({"type": "order.teleported", "data": {"to": "moon"}}),
    };
    let second = rmp_serde::to_vec_named(&newer).unwrap();
    let outcome = run(&mut conn, &numbered("blr", &[first, second.clone()]));
    assert_eq!((outcome.applied, outcome.anomalies), (2, 0));
    assert_eq!(archive::after(&conn, &talker.region, 1, 5).unwrap(), [(2, second)]);
    assert_eq!(
        orders::load(&conn, &talker.region, order.id).unwrap().unwrap().version,
        2
    );
}

#[test]
fn message_of_an_unregistered_region_is_read_again_when_it_registers() {
    let (_dir, mut conn) = store();
    let payloads = Talker::new("pnq").order(true, 1);
    let outcome = run(&mut conn, &numbered("pnq", &payloads));
    assert_eq!(outcome, Outcome::default());
    assert_eq!(events::take_passed_by(&conn).unwrap(), None);
    regions::register(&mut conn, &"pnq".parse().unwrap(), "Upnq", false, NOW).unwrap();
    assert_eq!(events::take_passed_by(&conn).unwrap(), Some(1));
    assert_eq!(events::take_passed_by(&conn).unwrap(), None);
    assert_eq!(run(&mut conn, &numbered("pnq", &payloads)).applied, 7);
}

#[test]
fn illegal_step_is_stored_as_an_anomaly() {
    let (_dir, mut conn) = store();
    let mut talker = Talker::new("blr");
    let order = talker.next_order();
    let rows = [
        (1, created()),
        (
            2,
            Event::OrderPickedUp {
                driver_id: tomato_shared::id::Id::from_bytes([6; 16]),
            },
        ),
    ]
    .map(|(version, event)| talker.say(Some(OrderRef { id: order, version }), START, event));
    assert_eq!(run(&mut conn, &numbered("blr", &rows)).anomalies, 1);
    let kind: String = conn
        .query_row("SELECT kind FROM anomalies", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kind, "illegal_step");
    assert_eq!(ever(&conn, &talker.region).active(), 1);
}
