//! The hub's SQLite file: one writing connection, a few reading ones, own migrations.
//!
//! Knows tables and rows, nothing of NATS or HTTP. Each submodule owns the statements of some tables.

pub(crate) mod alerts;
pub(crate) mod anomalies;
pub(crate) mod archive;
pub(crate) mod chain;
pub(crate) mod directory;
pub(crate) mod editions;
pub(crate) mod events;
pub(crate) mod forgotten;
pub(crate) mod ledger;
pub(crate) mod map;
mod migrate;
pub(crate) mod misstated;
pub(crate) mod moves;
pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod people;
pub(crate) mod reconcile;
pub(crate) mod regions;
pub(crate) mod rollups;
pub(crate) mod settle;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Semaphore;

/// The first release in which the WAL-reset bug is repaired (3.51.3).
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a statement waits for another process (`tomato-hub region add`) to finish its transaction.
const BUSY: Duration = Duration::from_secs(30);
/// How long the hub lets a command of an operator go first, and how often it looks whether that has been.
const GIVE_WAY: Duration = Duration::from_secs(5);
const GIVE_WAY_LOOK: Duration = Duration::from_millis(2);
/// WAL pages between checkpoints: 128 MiB, so that pages which batch after batch changes are copied once for many.
const CHECKPOINT_PAGES: i64 = 32_768;
/// Pages that the writing connection keeps, in KiB: the newest rows of every table, and the upper parts of its indexes.
/// Without, catching up slows down as the file grows.
const WRITER_CACHE_KIB: i64 = 262_144;
/// The same for each reading connection.
const READER_CACHE_KIB: i64 = 32_768;

/// The file failed, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The file cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The directory of the file cannot be made.
    #[error("cannot create the directory of {path}")]
    Directory {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The linked SQLite has known faults.
    #[error("SQLite {found} is too old: 3.51.3 or newer is needed")]
    OldSqlite {
        /// The linked version.
        found: &'static str,
    },
    /// A setting did not take.
    #[error("PRAGMA {name} is {found}, not {wanted}")]
    Pragma {
        /// Which.
        name: &'static str,
        /// What SQLite says.
        found: String,
        /// What it was set to.
        wanted: &'static str,
    },
    /// The file was written by a newer program.
    #[error("the file has schema {found}, this program knows {known}: start the newer program, or restore a backup")]
    NewerFile {
        /// `user_version` of the file.
        found: i64,
        /// Newest schema of this program.
        known: i64,
    },
    /// A stored value is not what the program wrote.
    #[error("{table}.{column} holds {found:?}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Where.
        column: &'static str,
        /// What was found.
        found: String,
    },
    /// A statement failed.
    #[error("a statement failed")]
    Sql(#[from] rusqlite::Error),
    /// The file is closed: the hub is stopping.
    #[error("the file is closed")]
    Closed,
}

impl StoreFault {
    /// Whether going on could do harm (full or failing disk, broken file): the process must stop and start again,
    /// because after a failed commit nobody knows what is in the file.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Sql(fault) => !matches!(
                fault.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Open { .. }
            | Self::Directory { .. }
            | Self::OldSqlite { .. }
            | Self::Pragma { .. }
            | Self::NewerFile { .. }
            | Self::Corrupt { .. }
            | Self::Closed => true,
        }
    }
}

impl StoreFault {
    /// Whether the disk or the file itself is why, as where it is full, fails, or may not be written.
    pub(crate) fn is_of_file(&self) -> bool {
        match self {
            Self::Sql(fault) => matches!(
                fault.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::ReadOnly
                        | ErrorCode::CannotOpen
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                )
            ),
            Self::Open { .. } | Self::Directory { .. } => true,
            Self::OldSqlite { .. }
            | Self::Pragma { .. }
            | Self::NewerFile { .. }
            | Self::Corrupt { .. }
            | Self::Closed => false,
        }
    }
}

/// Opens the file for writing, making it and its directory where they are missing, and brings its schema up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreFault> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreFault::OldSqlite {
            found: rusqlite::version(),
        });
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|source| StoreFault::Directory {
            path: path.to_owned(),
            source,
        })?;
    }
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    assert_pragma(&conn, "journal_mode", "wal")?;
    assert_pragma(&conn, "synchronous", "2")?;
    assert_pragma(&conn, "foreign_keys", "1")?;
    migrate::run(&mut conn)?;
    Ok(conn)
}

/// A connection for a command of an operator beside the running hub, which lets it go first until this is dropped.
///
/// SQLite's lock is not fair: whoever waits for it looks ten times a second, and a hub that catches up on a slow disk leaves
/// it for microseconds only.
#[derive(Debug)]
pub(crate) struct Beside {
    conn: Connection,
    _turn: Option<File>,
}

impl Beside {
    /// Opens the file as [`open`] does, and asks the hub for its turn.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreFault> {
        let conn = open(path)?;
        let turn = turn_of(path).filter(|turn| turn.lock().is_ok());
        Ok(Self { conn, _turn: turn })
    }
}

impl Deref for Beside {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl DerefMut for Beside {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.conn
    }
}

/// The file whose lock commands hold while they are at work. Without it they may have to wait longer, no more.
fn turn_of(path: &Path) -> Option<File> {
    let path = path.with_extension("turn");
    let opened = File::options().create(true).append(true).open(&path);
    opened
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "commands may have to wait long"))
        .ok()
}

/// Waits until no command is at work.
async fn give_way(turn: &File) {
    let until = Instant::now() + GIVE_WAY;
    while let Err(TryLockError::WouldBlock) = turn.try_lock() {
        if Instant::now() >= until {
            return;
        }
        tokio::time::sleep(GIVE_WAY_LOOK).await;
    }
    turn.unlock().ok();
}

/// Opens the file for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreFault> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreFault> {
    let writes = mode.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    let cache_kib = if writes { WRITER_CACHE_KIB } else { READER_CACHE_KIB };
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY)?;
        if writes {
            conn.pragma_update(None, "journal_mode", "wal")?;
        }
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        // Negative: KiB instead of pages.
        conn.pragma_update(None, "cache_size", -cache_kib)?;
        conn.set_prepared_statement_cache_capacity(128);
        Ok(conn)
    };
    open().map_err(|source| StoreFault::Open {
        path: path.to_owned(),
        source,
    })
}

fn assert_pragma(conn: &Connection, name: &'static str, wanted: &'static str) -> Result<(), StoreFault> {
    let found = conn.pragma_query_value(None, name, |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other @ (rusqlite::types::ValueRef::Null
            | rusqlite::types::ValueRef::Real(_)
            | rusqlite::types::ValueRef::Blob(_)) => format!("{other:?}"),
        })
    })?;
    if found == wanted {
        Ok(())
    } else {
        Err(StoreFault::Pragma { name, found, wanted })
    }
}

/// Connections that wait for work. Statements run on blocking threads, never on those of the async runtime.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    size: u32,
    /// Set by work that failed because of the file.
    failed: Arc<AtomicBool>,
    /// Of the writing connection: see [`Beside`].
    turn: Option<Arc<File>>,
}

impl Pool {
    /// The one writing connection.
    pub(crate) fn writer(path: &Path) -> Result<Self, StoreFault> {
        let pool = Self::of(vec![open(path)?]);
        Ok(Self {
            turn: turn_of(path).map(Arc::new),
            ..pool
        })
    }

    /// `size` >= 1 reading connections to a file that a writer has opened before.
    pub(crate) fn readers(path: &Path, size: u32) -> Result<Self, StoreFault> {
        let connections: Result<Vec<_>, _> = (0..size.max(1)).map(|_| open_reader(path)).collect();
        Ok(Self::of(connections?))
    }

    fn of(connections: Vec<Connection>) -> Self {
        let size = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            size,
            failed: Arc::default(),
            turn: None,
        }
    }

    /// Runs `work` on a connection, in order of arrival. `work` runs to its end even if the caller gives up waiting.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreFault>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreFault> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreFault::Closed)?;
        if let Some(turn) = &self.turn {
            give_way(turn).await;
        }
        let idle = Arc::clone(&self.idle);
        let done = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut conn = taken.ok_or(StoreFault::Closed)?;
            let result = work(&mut conn);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            drop(permit);
            result
        });
        // A panic in `work` has dropped the connection; its transaction is rolled back and the pool is one smaller.
        let done = done.await.unwrap_or(Err(StoreFault::Closed));
        if done.as_ref().is_err_and(StoreFault::is_of_file) {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Whether any work has failed because of the file.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits for running work and closes the connections; later calls of [`Pool::run`] fail with `Closed`.
    pub(crate) async fn close(&self) {
        // Fails only if somebody else closes, too.
        if let Ok(all) = self.permits.acquire_many(self.size).await {
            all.forget();
        }
        self.permits.close();
        let connections = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        // The last connection that closes copies the WAL into the file; that is I/O, so not here.
        if tokio::task::spawn_blocking(move || drop(connections)).await.is_err() {
            tracing::warn!("closing the database failed");
        }
    }
}
