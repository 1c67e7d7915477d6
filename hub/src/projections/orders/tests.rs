use tomato_shared::event::{Decoded, decode};
use tomato_shared::id::Id;
use tomato_shared::order::OrderState;

use super::*;
use crate::life::{START, Talker, created};

fn fold_all(rows: &[Vec<u8>]) -> (Option<OrderRow>, Vec<AnomalyKind>) {
    let mut row = None;
    let mut kinds = Vec::new();
    for bytes in rows {
        let Decoded::Known(envelope) = decode(bytes).unwrap() else {
            panic!("known")
        };
        let incoming = OrderEvent {
            region: &envelope.region,
            seq: envelope.seq,
            order: envelope.order.unwrap(),
            at: envelope.at,
            event: Some(&envelope.event),
        };
        let (after, found) = fold(row.as_ref(), incoming);
        row = after;
        kinds.extend(found.into_iter().map(|anomaly| anomaly.kind));
    }
    (row, kinds)
}

fn at_version(version: u32) -> OrderRef {
    OrderRef {
        id: Id::from_bytes([9; 16]),
        version,
    }
}

#[test]
fn delivered_order_has_driver_and_times() {
    let (row, anomalies) = fold_all(&Talker::new("blr").order(true, 1_800_000));
    let row = row.unwrap();
    assert_eq!(anomalies, []);
    assert_eq!((row.state, row.version), (OrderState::Delivered, 7));
    assert_eq!(
        row.times.ended.unwrap() - row.times.placed,
        tomato_shared::time::DurationMs(1_800_000)
    );
    assert!(row.driver_id.is_some());
}

#[test]
fn cancelled_order_has_reason_and_refund() {
    let (row, anomalies) = fold_all(&Talker::new("blr").order(false, 5));
    let row = row.unwrap();
    assert_eq!(anomalies, []);
    assert_eq!(
        (row.state, row.cancel_reason, row.money.refunded),
        (OrderState::Cancelled, Some(CancelReason::NoDriver), row.total_minor)
    );
    assert_eq!(row.driver_id, None);
}

#[test]
fn contradictions_are_noted_and_change_no_state() {
    let mut talker = Talker::new("blr");
    let driver_id = Id::from_bytes([6; 16]);
    let rows = vec![
        talker.say(Some(at_version(1)), START, created()),
        talker.say(Some(at_version(2)), START, Event::OrderPickedUp { driver_id }),
        talker.say(Some(at_version(7)), START, Event::RatingRequested {}),
        talker.say(Some(at_version(8)), START, created()),
    ];
    let (row, kinds) = fold_all(&rows);
    assert_eq!(row.unwrap().state, OrderState::Pending);
    use AnomalyKind as K;
    assert_eq!(kinds, [K::IllegalStep, K::VersionGap, K::CreatedTwice]);
}

#[test]
fn order_that_was_never_created_stays_absent() {
    let mut talker = Talker::new("blr");
    let rating = talker.say(Some(at_version(4)), START, Event::RatingRequested {});
    assert_eq!(fold_all(&[rating]), (None, vec![AnomalyKind::UnknownOrder]));
    let refused = Event::InventoryReservationFailed(tomato_shared::event::Short {
        restaurant_id: Id::from_bytes([3; 16]),
        item_id: Id::from_bytes([4; 16]),
        wanted: 2,
        left: 1,
    });
    let refused = talker.say(Some(at_version(1)), START, refused);
    assert_eq!(fold_all(&[refused]), (None, vec![]));
}

#[test]
fn event_of_a_newer_writer_moves_only_the_version() {
    let mut talker = Talker::new("blr");
    let (before, _) = fold_all(&[talker.say(Some(at_version(1)), START, created())]);
    let incoming = OrderEvent {
        region: &talker.region,
        seq: 2,
        order: at_version(2),
        at: START,
        event: None,
    };
    let (after, anomalies) = fold(before.as_ref(), incoming);
    assert_eq!(anomalies, []);
    let after = after.unwrap();
    assert_eq!((after.version, after.state), (2, OrderState::Pending));
}

#[test]
fn places_of_events_come_back_as_they_were_stored() {
    for seqs in [vec![], vec![1], vec![1, 2, 127, 255, 128 * 128, 1 << 40, u64::MAX]] {
        let bytes = Seqs(seqs.clone()).to_bytes();
        assert_eq!(Seqs::from_bytes(&bytes), Some(Seqs(seqs)));
    }
    assert_eq!(Seqs(vec![70_000, 70_001, 70_003]).to_bytes().len(), 5);
    assert_eq!(Seqs::from_bytes(&[0x80]), None);
    assert_eq!(Seqs::from_bytes(&[0xff; 11]), None);
}
