use tomato_shared::time::UnixMs;

use super::regions::{self, Registered};
use super::*;

#[test]
fn second_process_sees_a_registered_region() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/hub.db");
    let running = open(&path).unwrap();
    let before = regions::data_version(&running).unwrap();
    let mut command = open(&path).unwrap();
    let blr = "blr".parse().unwrap();
    let mut add = |key, rotate| regions::register(&mut command, &blr, key, rotate, UnixMs(5)).unwrap();
    assert_eq!(add("UA", false), Registered::Added);
    assert_eq!(add("UB", false), Registered::Exists);
    assert_eq!(regions::list(&running).unwrap()[0].public_key, "UA");
    assert_eq!(add("UB", true), Registered::Rotated);
    assert!(regions::remove(&running, &blr, UnixMs(6)).unwrap());
    assert!(!regions::remove(&running, &blr, UnixMs(7)).unwrap());
    assert_eq!(add("UC", false), Registered::Restored);
    assert_ne!(regions::data_version(&running).unwrap(), before);
    let found = regions::list(&running).unwrap();
    assert_eq!((found[0].public_key.as_str(), found[0].removed_at), ("UC", None));
}

#[tokio::test]
async fn pool_serves_readers_while_the_writer_works_and_closes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.db");
    let writer = Pool::writer(&path).unwrap();
    let readers = Pool::readers(&path, 2).unwrap();
    writer
        .run(|conn| {
            conn.execute("INSERT INTO passed_by VALUES ('blr', 5)", [])?;
            Ok(())
        })
        .await
        .unwrap();
    let count = |conn: &mut Connection| Ok(conn.query_row("SELECT count(*) FROM passed_by", [], |row| row.get(0))?);
    let (a, b, c): (Result<i64, _>, Result<i64, _>, Result<i64, _>) =
        tokio::join!(readers.run(count), readers.run(count), readers.run(count));
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (1, 1, 1));
    let refused = readers.run(|conn| Ok(conn.execute("DELETE FROM passed_by", [])?)).await;
    assert!(matches!(refused, Err(StoreFault::Sql(_))));
    readers.close().await;
    writer.close().await;
    assert!(matches!(writer.run(|_| Ok(())).await, Err(StoreFault::Closed)));
    assert!(!path.with_extension("db-wal").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_of_an_operator_goes_before_the_hub_which_writes_without_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.db");
    let writer = Pool::writer(&path).unwrap();
    let mut command = Beside::open(&path).unwrap();
    let add = |conn: &mut Connection| Ok(conn.execute("INSERT INTO passed_by VALUES ('hub', 2)", [])?);
    let of_hub = writer.clone();
    let write = tokio::spawn(async move { of_hub.run(add).await });
    let tx = command.transaction().unwrap();
    let seen: i64 = tx
        .query_row("SELECT count(*) FROM passed_by", [], |row| row.get(0))
        .unwrap();
    // Would fail on the snapshot if the hub had written since.
    tx.execute("INSERT INTO passed_by VALUES ('command', 1)", []).unwrap();
    tx.commit().unwrap();
    drop(command);
    assert_eq!(seen, 0);
    write.await.unwrap().unwrap();
    let count =
        |conn: &mut Connection| Ok(conn.query_row("SELECT count(*) FROM passed_by", [], |row| row.get::<_, i64>(0))?);
    assert_eq!(writer.run(count).await.unwrap(), 2);
}

#[test]
fn payments_of_a_transaction_are_found_without_reading_those_of_the_region() {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = open(&dir.path().join("hub.db")).unwrap();
    crate::rebuild::bring_up(&mut conn).unwrap();
    let mut plan = conn
        .prepare(&format!("EXPLAIN QUERY PLAN {}", misstated::PAID))
        .unwrap();
    let steps = plan
        .query_map(["txn", "blr"], |row| row.get::<_, String>("detail"))
        .unwrap();
    let steps: Vec<_> = steps.map(Result::unwrap).collect();
    assert!(steps[0].contains("(transaction_id=? AND region=?)"), "{steps:?}");
}
