use tempfile::TempDir;
use tomato_shared::sync::{Watermark, incarnation_of};

use super::*;
use crate::writer::Failure;
use crate::writer::tests::{Region, Setting, customer, file, order_a_burger, within};

fn rows(connection: &Connection) -> Vec<(u64, Envelope)> {
    let rows = outbox::rows(connection, 0, 10_000).unwrap();
    rows.into_iter()
        .map(|row| match decode(&row.payload).unwrap() {
            Decoded::Known(envelope) => (row.seq, *envelope),
            Decoded::Unknown(header) => panic!("{header:?}"),
        })
        .collect()
}

/// A region with orders that has been restored: the hub knows more, and it has gone on by itself.
async fn restored(directory: &TempDir, agreed_seq: Option<u64>) -> (u64, u64) {
    let mut region = Region::opened(directory.path(), Setting::default()).await;
    let restored_seq = region.head.borrow().seq;
    region.ok(customer(1), order_a_burger()).await;
    let head = *region.head.borrow();
    assert!(head.seq > restored_seq);
    let told = Watermark {
        incarnation: 1,
        seq: head.seq + 7,
        agreed_seq: None,
    };
    region.writer.watermark(told);
    within(region.head.wait_for(|head| head.fence.is_some())).await.unwrap();
    assert_eq!(region.submit(customer(2), order_a_burger()).await, Err(Failure::Fenced));
    region.writer.watermark(Watermark { agreed_seq, ..told });
    let known = |head: &crate::writer::Head| head.fence.is_some_and(|fence| fence.agreed_seq == agreed_seq);
    within(region.head.wait_for(known)).await.unwrap();
    region.close().await;
    (restored_seq, head.seq)
}

#[tokio::test]
async fn a_new_incarnation_tells_again_what_the_hub_has_not() {
    let directory = TempDir::new().unwrap();
    let mut reference = Region::opened(TempDir::new().unwrap().path(), Setting::default()).await;
    let agreed = reference.head.borrow_and_update().seq;
    reference.close().await;
    let (restored_seq, head_seq) = restored(&directory, Some(agreed)).await;
    assert_eq!(restored_seq, agreed);
    // The fence outlives the process.
    let region = Region::start(directory.path(), Setting::default());
    assert_eq!(region.submit(customer(2), order_a_burger()).await, Err(Failure::Fenced));
    region.close().await;

    let mut store = store::open(&file(directory.path())).unwrap();
    let meta = meta::load_or_create(&store.connection, &"blr".parse().unwrap(), &[]).unwrap();
    let before = rows(&store.connection);
    let taken = renew(&mut store, &meta, UnixMs(99)).unwrap();
    let wanted = Taken {
        incarnation: 2,
        agreed_seq: agreed,
        hub_seq: head_seq + 7,
        retold: head_seq - agreed,
    };
    assert_eq!(taken, wanted);
    let after = rows(&store.connection);
    assert_eq!(after.len(), before.len() + 1);
    for (seq, envelope) in &after {
        assert_eq!((envelope.seq, envelope.incarnation), (*seq, incarnation_of(*seq)));
    }
    let told: Vec<u64> = after.iter().map(|(seq, _)| *seq).filter(|seq| *seq > agreed).collect();
    assert_eq!(told, (first_seq(2)..=first_seq(2) + taken.retold).collect::<Vec<_>>());
    let events = |rows: &[(u64, Envelope)]| -> Vec<Event> {
        let started = |event: &Event| matches!(event, Event::IncarnationStarted { .. });
        rows.iter()
            .map(|(_, row)| row.event.clone())
            .filter(|event| !started(event))
            .collect()
    };
    assert_eq!(events(&after), events(&before), "nothing is lost and the order stays");
    let orphans = "SELECT count(*) FROM postings WHERE seq NOT IN (SELECT seq FROM outbox)";
    let orphans: i64 = store.connection.query_row(orphans, [], |row| row.get(0)).unwrap();
    assert_eq!(orphans, 0);
    let meta = meta::load_or_create(&store.connection, &"blr".parse().unwrap(), &[]).unwrap();
    assert!(
        matches!(renew(&mut store, &meta, UnixMs(99)), Err(Refused::NotFenced)),
        "once is enough"
    );
    drop(store);

    // It goes on, and what the hub says of the old incarnation does not fence it again.
    let region = Region::start(directory.path(), Setting::default());
    let old = Watermark {
        incarnation: 1,
        seq: head_seq + 9,
        agreed_seq: Some(agreed),
    };
    region.writer.watermark(old);
    region.ok(customer(2), order_a_burger()).await;
    assert!(region.head.borrow().seq > first_seq(2) + taken.retold);
    region.close().await;
}

#[tokio::test]
async fn nothing_is_renewed_before_the_hub_has_compared() {
    let directory = TempDir::new().unwrap();
    restored(&directory, None).await;
    let mut store = store::open(&file(directory.path())).unwrap();
    let meta = meta::load_or_create(&store.connection, &"blr".parse().unwrap(), &[]).unwrap();
    let before = rows(&store.connection);
    assert!(matches!(renew(&mut store, &meta, UnixMs(0)), Err(Refused::NotCompared)));
    assert_eq!(rows(&store.connection), before);
}
