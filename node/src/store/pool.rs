//! Reading beside the writer: a few threads, each with its own read-only connection, behind a bounded queue.
//!
//! SQLite blocks its thread, so reads stay off the async runtime. In WAL mode readers and the writer do not wait for
//! each other; a read sees the newest commit as of its start.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::StoreError;

/// Prepared statements kept per connection; more than there are queries.
const STATEMENTS_MAX: usize = 64;
/// Reads that wait per connection. At 10 ms each the last waits about as long as [`WAIT_MAX`].
const QUEUE_PER_READER: usize = 200;
/// Longest time from asking to the answer.
pub const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a read may wait for a lock. WAL readers wait only while the file is being recovered.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// Why a read brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Too many reads wait; nothing was read.
    #[error("too many reads wait")]
    Busy,
    /// SQLite or a row failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reading code failed.
    #[error("a read panicked")]
    Broken,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Read-only connections; cheap to clone. The threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Handle>,
}

#[derive(Debug)]
struct Handle(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    limit: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// Opens `readers` (1 or more) connections to an existing file.
    pub fn open(path: &Path, readers: usize) -> Result<Self, StoreError> {
        let readers = readers.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            limit: readers * QUEUE_PER_READER,
        });
        let pool = Self {
            shared: Arc::new(Handle(Arc::clone(&shared))),
        };
        for nth in 0..readers {
            let connection = connect(path)?;
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("reader-{nth}"))
                .spawn(move || shared.work(&connection))
                .map_err(|source| StoreError::File {
                    path: path.to_owned(),
                    source,
                })?;
        }
        Ok(pool)
    }

    /// Reads on one of the threads. `Busy` when the queue is full, or the answer takes longer than [`WAIT_MAX`].
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (sender, receiver) = oneshot::channel();
        let job = move |connection: &Connection| {
            // Whoever asked may have stopped waiting.
            if !sender.is_closed() {
                drop(sender.send(query(connection)));
            }
        };
        self.shared.0.push(Box::new(job))?;
        match tokio::time::timeout(WAIT_MAX, receiver).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) => Err(ReadError::Broken),
            Err(_) => Err(ReadError::Busy),
        }
    }

    /// How many reads wait.
    pub fn depth(&self) -> usize {
        self.shared.0.lock().jobs.len()
    }
}

/// Opens one read-only connection.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite("open a reader"))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection
        .busy_timeout(BUSY_MAX)
        .and_then(|()| connection.pragma_update(None, "query_only", true))
        .map_err(StoreError::sqlite("set up a reader"))?;
    Ok(connection)
}

impl Shared {
    fn push(&self, job: Job) -> Result<(), ReadError> {
        let mut queue = self.lock();
        if queue.jobs.len() >= self.limit {
            return Err(ReadError::Busy);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    fn work(&self, connection: &Connection) {
        while let Some(job) = self.next() {
            // The job's sender is dropped by a panic, which tells whoever waits.
            if std::panic::catch_unwind(AssertUnwindSafe(|| job(connection))).is_err() {
                tracing::error!("a read panicked");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.filled.notify_all();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region.db");
        (directory, path)
    }

    #[tokio::test]
    async fn readers_see_commits_and_cannot_write() {
        let (_directory, path) = file();
        let store = crate::store::open(&path).unwrap();
        let pool = Pool::open(&path, 2).unwrap();
        let count = |connection: &Connection| {
            let row = connection.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0));
            row.map_err(StoreError::sqlite("count"))
        };
        assert_eq!(pool.read(count).await.unwrap(), 0);
        let insert = "INSERT INTO meta (key, value) VALUES ('k', 1)";
        store.connection.execute(insert, []).unwrap();
        assert_eq!(pool.read(count).await.unwrap(), 1);
        let refused = pool.read(move |connection| connection.execute(insert, []).map_err(StoreError::sqlite("write")));
        assert!(matches!(refused.await, Err(ReadError::Store(_))));
    }

    #[tokio::test]
    async fn a_full_queue_says_busy_and_a_panic_costs_one_read() {
        let (_directory, path) = file();
        let _store = crate::store::open(&path).unwrap();
        let pool = Pool::open(&path, 1).unwrap();
        // Without the message and its backtrace, which can take longer than a read may.
        let panics = |_: &Connection| -> Result<(), StoreError> { std::panic::resume_unwind(Box::new("as planned")) };
        let broken = pool.read(panics).await;
        assert!(matches!(broken, Err(ReadError::Broken)));
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (begun, started) = oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.read(move |_| {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    Ok(())
                })
                .await
            }
        });
        started.await.unwrap();
        for _ in 0..QUEUE_PER_READER {
            pool.shared.0.push(Box::new(|_| ())).unwrap();
        }
        assert!(matches!(pool.read(|_| Ok(())).await, Err(ReadError::Busy)));
        go.send(()).unwrap();
        // On a slow machine nobody waits for it any more.
        assert!(matches!(first.await.unwrap(), Ok(()) | Err(ReadError::Busy)));
        while pool.depth() > 0 {
            tokio::task::yield_now().await;
        }
        pool.read(|_| Ok(())).await.unwrap();
    }
}
