//! Brings a file to the newest schema. A migration is never changed after its release; a change is a new file.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreFault;

/// Migration n (from 1) takes the schema from n - 1 to n, which `PRAGMA user_version` holds.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_folds_and_money.sql"),
];

/// Applies what is missing, each migration in a transaction of its own with its version number.
pub(super) fn run(conn: &mut Connection) -> Result<(), StoreFault> {
    upgrade(conn, MIGRATIONS)
}

fn upgrade(conn: &mut Connection, migrations: &[&str]) -> Result<(), StoreFault> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let version = |conn: &Connection| conn.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    // Whoever has nothing to do does not wait for who writes.
    while version(conn)? != known {
        // Immediate: two programs that start together take turns, and each reads the version the other has left.
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = version(&tx)?;
        if found > known {
            return Err(StoreFault::NewerFile { found, known });
        }
        let Some(sql) = usize::try_from(found).ok().and_then(|next| migrations.get(next)) else {
            return Ok(());
        };
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.commit()?;
        tracing::info!(schema = found + 1, "database migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(conn: &Connection) -> i64 {
        conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn migrations_run_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x INTEGER) STRICT;", "ALTER TABLE a ADD COLUMN y TEXT;"];
        upgrade(&mut conn, &steps[..1]).unwrap();
        upgrade(&mut conn, &steps).unwrap();
        upgrade(&mut conn, &steps).unwrap();
        assert_eq!(version(&conn), 2);
        conn.execute("INSERT INTO a VALUES (1, 'b')", []).unwrap();
    }

    #[test]
    fn failing_migration_leaves_nothing_behind() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"];
        assert!(upgrade(&mut conn, &steps).is_err());
        assert_eq!(version(&conn), 0);
        assert!(conn.prepare("SELECT * FROM a").is_err());
    }

    #[test]
    fn newer_file_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", 9_999).unwrap();
        assert!(matches!(
            run(&mut conn),
            Err(StoreFault::NewerFile { found: 9_999, .. })
        ));
    }
}
