//! The steps between which a crash may fall: each commit, and each call that changes something at the provider. A test can have
//! the node stand still at the n-th of them, and kill it (-9) just there; a release build has nothing of this.
//!
//! `stop-at` in the data directory holds how many steps are still to be passed. At the last one the node writes that step's name
//! into `stopped-at`, and neither it nor any other step is passed any more.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many steps are still to be passed.
pub const WANTED: &str = "stop-at";
/// The name of the step at which the node stands still.
pub const REACHED: &str = "stopped-at";

static FOLDER: OnceLock<Mutex<PathBuf>> = OnceLock::new();

/// From now on tests may stop this process by files in `folder`. Does nothing in a release build.
pub(crate) fn watch(folder: &Path) {
    if cfg!(debug_assertions) {
        FOLDER.get_or_init(|| Mutex::new(folder.to_owned()));
    }
}

/// A step is about to be made, or was just made.
pub(crate) fn pass(name: &str) {
    let Some(folder) = FOLDER.get() else { return };
    let folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = folder.join(WANTED);
    let left = std::fs::read_to_string(&wanted).ok();
    let written = match left.and_then(|text| text.trim().parse::<u64>().ok()) {
        None => Ok(()),
        Some(0) => {
            drop(std::fs::remove_file(&wanted));
            drop(std::fs::write(folder.join(REACHED), name));
            // The lock is kept: whoever comes to another step waits as well.
            loop {
                std::thread::park();
            }
        }
        Some(left) => std::fs::write(&wanted, (left - 1).to_string()),
    };
    if let Err(error) = written {
        tracing::error!(%error, "the steps of a test cannot be counted");
    }
}
