//! The region's file: one SQLite database, written by one thread, read by a few.
//!
//! | module | does |
//! |---|---|
//! | [`mod@write`] | the rows and outbox entries of a decision, inside the writer's transaction |
//! | [`extras`] | the rows beside the orders: books, promotions, stars, audit log |
//! | [`moves`] | the map, and what goes along with cells that change hands |
//! | [`push`] | devices, webhooks and messages |
//! | [`load`] | what a start needs in memory |
//! | [`pool`] [`reads`] | read-only connections, and what they are asked |

pub mod extras;
pub mod load;
pub mod meta;
pub mod moves;
pub mod outbox;
pub mod pool;
pub mod push;
pub mod reads;
pub mod write;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// The schema, one file per version, in order. A released file never changes.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_region.sql")];
/// First SQLite without the WAL-reset corruption (3.51.3).
const SQLITE_MIN: i32 = 3_051_003;

/// Why the file cannot be used. All of these stop the start.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or lock file cannot be made.
    #[error("{}: {source}; the node needs a directory it can write to ([store] path)", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another node; stop that one first, a region has one writer", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// SQLite said no.
    #[error("{doing}: {source}")]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// A setting did not stick.
    #[error("PRAGMA {name} is {found}, must be {wanted}; the file or its file system does not allow a safe mode")]
    Pragma {
        /// Which setting.
        name: &'static str,
        /// What SQLite reports.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// Too old a library.
    #[error("SQLite {0} is too old: 3.51.3 or newer is needed")]
    Version(&'static str),
    /// The file was written by a newer program.
    #[error("the file has schema version {found}, this program knows {known}; run the newer tomato-node")]
    Newer {
        /// Of the file.
        found: i64,
        /// Of this program.
        known: usize,
    },
    /// The file belongs to another region.
    #[error(
        "the file belongs to region {found}, the configuration says {configured}; correct [region] id or [store] path"
    )]
    OtherRegion {
        /// In the file.
        found: String,
        /// In the configuration.
        configured: String,
    },
    /// A row cannot be read.
    #[error("row of {table} cannot be read: {reason}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// For `map_err`.
    pub fn sqlite(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { doing, source }
    }
}

/// The open file and the lock that keeps other writers out.
#[derive(Debug)]
pub struct Store {
    /// The writing connection.
    pub connection: Connection,
    _lock: File,
}

/// Opens the region's file for writing, creates or migrates it, and asserts every setting that safety rests on.
pub fn open(path: &Path) -> Result<Store, StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(StoreError::Version(rusqlite::version()));
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|source| StoreError::File {
            path: directory.to_owned(),
            source,
        })?;
    }
    let lock = lock(path)?;
    let mut connection = Connection::open(path).map_err(StoreError::sqlite("open the region's file"))?;
    connection.set_prepared_statement_cache_capacity(64);
    settle_pragmas(&connection)?;
    migrate(&mut connection)?;
    Ok(Store {
        connection,
        _lock: lock,
    })
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let path = path.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StoreError::File {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

/// Name, value as set, value as reported. `synchronous=FULL` is 2: a commit is on disk before anybody hears of it.
const PRAGMAS: [(&str, &str, &str); 6] = [
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("foreign_keys", "ON", "1"),
    ("cell_size_check", "ON", "1"),
    // 32 MiB: a large batch writes more than the default of 1,000 pages, and would checkpoint at every commit.
    ("wal_autocheckpoint", "8000", "8000"),
    // Each command runs under a savepoint, whose journal would otherwise go to a temporary file.
    ("temp_store", "MEMORY", "2"),
];

fn settle_pragmas(connection: &Connection) -> Result<(), StoreError> {
    for (name, set, wanted) in PRAGMAS {
        // Some settings answer with a row, others with none.
        match connection.pragma_update_and_check(None, name, set, |_| Ok(())) {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(source) => {
                return Err(StoreError::Sqlite {
                    doing: "set a PRAGMA",
                    source,
                });
            }
        }
        let found: rusqlite::types::Value = connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(StoreError::sqlite("read a PRAGMA"))?;
        let found = match found {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Null | rusqlite::types::Value::Real(_) | rusqlite::types::Value::Blob(_) => {
                String::new()
            }
        };
        if found != wanted {
            return Err(StoreError::Pragma { name, found, wanted });
        }
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::sqlite("read the schema version"))?;
    let done = usize::try_from(found)
        .ok()
        .filter(|done| *done <= MIGRATIONS.len())
        .ok_or(StoreError::Newer {
            found,
            known: MIGRATIONS.len(),
        })?;
    for (version, sql) in (1i64..).zip(MIGRATIONS).skip(done) {
        let transaction = connection
            .transaction()
            .map_err(StoreError::sqlite("begin a migration"))?;
        transaction
            .execute_batch(sql)
            .map_err(StoreError::sqlite("migrate the region's file"))?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(StoreError::sqlite("write the schema version"))?;
        transaction.commit().map_err(StoreError::sqlite("commit a migration"))?;
        tracing::info!(version, "schema migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
