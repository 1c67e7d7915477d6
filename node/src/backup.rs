//! `tomato-node backup`: a copy of the region's file as of one moment, made beside the running node and checked.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::{StoreError, pool};

/// Why there is no copy. A file that was there before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The region's file, or the copy.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of the copy cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// SQLite could not read all of it at once.
    #[error("the region's file is locked; try again")]
    Locked,
    /// The copy does not stand up to its check.
    #[error("the copy is not whole: {0}; the region's disk or this one fails")]
    Broken(String),
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The region's newest event in it.
    pub head_seq: i64,
    /// Orders in it.
    pub orders: i64,
    /// Size of the copy.
    pub bytes: u64,
}

/// Copies `from`, which a node may be writing, to `to`; checks the copy; only then gives it its name.
///
/// # Errors
/// [`BackupError`].
pub fn backup(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let failed = |source| BackupError::File {
        path: part.clone(),
        source,
    };
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    copy(from, &part)?;
    let copied = check(&part)?;
    let file = File::open(&part).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&part, to).map_err(failed)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok(Copied { bytes, ..copied })
}

/// All pages under one read transaction: the writer goes on meanwhile, and would otherwise make the copy begin again.
fn copy(from: &Path, part: &Path) -> Result<(), BackupError> {
    let failed = |source| StoreError::Sqlite {
        doing: "copy the region's file",
        source,
    };
    let source = pool::connect(from)?;
    let mut target = Connection::open(part).map_err(failed)?;
    let step = Backup::new(&source, &mut target)
        .and_then(|backup| backup.step(-1))
        .map_err(failed)?;
    if step != StepResult::Done {
        return Err(BackupError::Locked);
    }
    // One file to carry away, without a -wal beside it.
    let mode = target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
    mode.map_err(failed)?;
    target.close().map_err(|(_, error)| failed(error))?;
    Ok(())
}

fn check(part: &Path) -> Result<Copied, BackupError> {
    let connection = pool::connect(part)?;
    let look = || -> rusqlite::Result<(String, i64, i64)> {
        let check = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let head = connection.query_row("SELECT coalesce(max(seq), 0) FROM outbox", [], |row| row.get(0))?;
        let orders = connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))?;
        Ok((check, head, orders))
    };
    let (check, head_seq, orders) = look().map_err(|source| StoreError::Sqlite {
        doing: "check the copy",
        source,
    })?;
    if check != "ok" {
        return Err(BackupError::Broken(check));
    }
    Ok(Copied {
        head_seq,
        orders,
        bytes: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::{Region, Setting, count, customer, file, order_a_burger};

    #[tokio::test]
    async fn a_copy_is_made_while_the_region_goes_on() {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let region = Region::opened(directory.path(), Setting::default()).await;
        region.ok(customer(1), order_a_burger()).await;
        let to = other.path().join("region.db");
        std::fs::write(&to, "an older copy").unwrap();
        let copied = backup(&file(directory.path()), &to).unwrap();
        assert_eq!(
            (copied.orders, copied.bytes),
            (1, std::fs::metadata(&to).unwrap().len())
        );
        region.ok(customer(1), order_a_burger()).await;
        let copy = pool::connect(&to).unwrap();
        assert_eq!(count(&copy, "SELECT count(*) FROM orders"), 1);
        assert_eq!(count(&copy, "SELECT max(seq) FROM outbox"), copied.head_seq);
        region.close().await;
        drop(copy);
        // A region starts from it.
        let region = Region::start(other.path(), Setting::default());
        region.ok(customer(1), order_a_burger()).await;
        region.close().await;
    }

    #[test]
    fn what_cannot_be_copied_leaves_the_older_copy_alone() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("copy.db");
        std::fs::write(&to, "an older copy").unwrap();
        assert!(backup(&directory.path().join("none.db"), &to).is_err());
        let torn = directory.path().join("torn.db");
        std::fs::write(&torn, [7; 9_000]).unwrap();
        assert!(backup(&torn, &to).is_err());
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "an older copy");
    }
}
