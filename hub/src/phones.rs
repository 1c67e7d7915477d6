//! The fleet's key for hashes of telephone numbers. The hub makes it once and gives it to every region with the region's
//! own files; numbers themselves stay in the regions. Beside the database, not in it: a copy of the one says nothing without the other.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tomato_shared::phone::PhoneKey;

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum PhoneKeyFault {
    /// The file, or one beside it.
    #[error("{path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else stands there.
    #[error(
        "{path} is no key: want 64 hexadecimal digits; put the file back that every region has, or take it away for a new one"
    )]
    Content {
        /// Which file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("no key can be made: the system gives no random numbers")]
    Random,
}

/// The key in a file, readable by its owner only; made if it is missing.
///
/// # Errors
/// [`PhoneKeyFault`]: nothing was replaced.
pub(crate) fn load_or_create(path: &Path) -> Result<PhoneKey, PhoneKeyFault> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| PhoneKeyFault::Random)?;
    save(path, &PhoneKey::from_bytes(bytes))?;
    // Another process may have been faster: what is there by now counts.
    load(path)?.ok_or_else(|| PhoneKeyFault::Content { path: path.to_owned() })
}

/// Gives the key to whoever runs a region, in a file of its own. A hub that has lost its own takes it back from there, so
/// that the regions need nothing new.
///
/// # Errors
/// [`PhoneKeyFault`].
pub(crate) fn give(own: &Path, copy: &Path) -> Result<(), PhoneKeyFault> {
    let given = load(copy)?;
    if let (None, Some(key)) = (load(own)?, &given) {
        save(own, key)?;
    }
    let key = load_or_create(own)?;
    if given.as_ref() == Some(&key) {
        return Ok(());
    }
    remove(copy)?;
    save(copy, &key)
}

fn load(path: &Path) -> Result<Option<PhoneKey>, PhoneKeyFault> {
    match std::fs::read_to_string(path) {
        Ok(text) => match PhoneKey::from_hex(&text) {
            Some(key) => Ok(Some(key)),
            None => Err(PhoneKeyFault::Content { path: path.to_owned() }),
        },
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io(path)(source)),
    }
}

/// Written beside and linked into place: never half of a key, and never over one.
fn save(path: &Path, key: &PhoneKey) -> Result<(), PhoneKeyFault> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(io(directory))?;
    }
    let draft = path.with_extension(format!("new.{}", std::process::id()));
    remove(&draft)?;
    let write = || {
        let options = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft);
        let mut file = options?;
        writeln!(file, "{}", key.to_hex())?;
        file.sync_all()
    };
    write().map_err(io(&draft))?;
    let linked = std::fs::hard_link(&draft, path);
    remove(&draft)?;
    match linked {
        Err(fault) if fault.kind() != ErrorKind::AlreadyExists => Err(io(path)(fault)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), PhoneKeyFault> {
    match std::fs::remove_file(path) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => Err(io(path)(fault)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> PhoneKeyFault {
    let path = path.to_owned();
    move |source| PhoneKeyFault::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn key_is_made_once_given_to_regions_and_taken_back_from_them() {
        let dir = tempfile::tempdir().unwrap();
        let (own, copy) = (dir.path().join("hub/phone.key"), dir.path().join("out/phone.key"));
        let key = load_or_create(&own).unwrap();
        assert_eq!(load_or_create(&own).unwrap(), key);
        give(&own, &copy).unwrap();
        for path in [&own, &copy] {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!((mode & 0o777, load(path).unwrap().as_ref()), (0o600, Some(&key)));
        }
        std::fs::remove_file(&own).unwrap();
        give(&own, &copy).unwrap();
        assert_eq!(load_or_create(&own).unwrap(), key, "a lost key comes back");
        // A region's file of another fleet gives way.
        std::fs::write(&copy, "ab".repeat(32)).unwrap();
        give(&own, &copy).unwrap();
        assert_eq!(load(&copy).unwrap(), Some(key));
        assert_eq!(
            std::fs::read_dir(dir.path().join("out")).unwrap().count(),
            1,
            "no draft is left"
        );
        std::fs::write(&own, "not a key").unwrap();
        assert!(matches!(load_or_create(&own), Err(PhoneKeyFault::Content { .. })));
    }
}
