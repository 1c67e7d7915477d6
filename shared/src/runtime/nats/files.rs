//! The directory of a managed server: what is in it, who may read it, and how much it may hold.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BrokerError;
use super::options::Secret;

/// Paths in `<data directory>/nats`, which is held exclusively as long as this lives.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    /// Two nodes on one directory would each take the other's server for a stale one.
    _lock: File,
}

/// Passwords of the local users, made once and kept, so that a client can reconnect after either side restarted.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    pub(super) app: Secret,
    pub(super) sys: Secret,
}

#[derive(Deserialize, Serialize)]
struct PasswordFile {
    app: String,
    sys: String,
}

impl Files {
    /// The file with the seed, as the configuration beside it names it.
    pub(super) const SEED_INCLUDE: &'static str = "leaf-seed.inc";

    /// Makes and locks the directory.
    pub(super) fn open(data_dir: &Path) -> Result<Self, BrokerError> {
        let dir = data_dir.join("nats");
        let make = || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            // The server's command line names its configuration by this path: it must be the same at every start.
            dir.canonicalize()
        };
        let dir = make().map_err(io_error("cannot create", &dir))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(io_error("cannot open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(BrokerError::InUse { dir }),
            Err(std::fs::TryLockError::Error(error)) => Err(io_error("cannot lock", &path)(error)),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn conf(&self) -> PathBuf {
        self.dir.join("server.conf")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// What the server writes outside of its log: panics.
    pub(super) fn output(&self) -> PathBuf {
        self.dir.join("server.out")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.dir.join("server.pid")
    }

    pub(super) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Writes a file that only we may read; readers see the old or the new content, never half of it.
    pub(super) fn write_private(&self, path: &Path, text: &str) -> Result<(), BrokerError> {
        let draft = path.with_extension("new");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, path)
        };
        write().map_err(io_error("cannot write", path))
    }

    /// Reads the passwords, or makes them at the first start.
    pub(super) fn passwords(&self) -> Result<Passwords, BrokerError> {
        let path = self.dir.join("passwords.json");
        let stored = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| io_error("cannot read", &path)(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = PasswordFile {
                    app: random_hex(&path)?,
                    sys: random_hex(&path)?,
                };
                let text =
                    serde_json::to_string(&made).map_err(|error| io_error("cannot write", &path)(error.into()))?;
                self.write_private(&path, &text)?;
                made
            }
            Err(error) => return Err(io_error("cannot read", &path)(error)),
        };
        Ok(Passwords {
            app: Secret::new(stored.app),
            sys: Secret::new(stored.sys),
        })
    }

    /// The passwords of a server that was started before.
    pub(super) fn stored_passwords(data_dir: &Path) -> Result<Passwords, BrokerError> {
        let path = data_dir.join("nats/passwords.json");
        let text = std::fs::read_to_string(&path).map_err(io_error("cannot read", &path))?;
        let stored: PasswordFile =
            serde_json::from_str(&text).map_err(|error| io_error("cannot read", &path)(error.into()))?;
        Ok(Passwords {
            app: Secret::new(stored.app),
            sys: Secret::new(stored.sys),
        })
    }

    /// Checks the region's seed and puts it where the configuration includes it: `nkey:` of a leaf remote takes the
    /// seed itself, not a path, and the configuration is easier to share than a key.
    pub(super) fn install_seed(&self, seed_file: &Path) -> Result<(), BrokerError> {
        let text = std::fs::read_to_string(seed_file).map_err(io_error("cannot read the seed", seed_file))?;
        let seed = text.trim();
        let is_user = nkeys::KeyPair::from_seed(seed).is_ok_and(|pair| pair.public_key().starts_with('U'));
        if !is_user {
            let path = seed_file.display();
            return Err(BrokerError::Option(format!(
                "{path} is not an nkey seed of a user (SU...); take it from the enrolment that the hub printed"
            )));
        }
        self.write_private(&self.dir.join(Self::SEED_INCLUDE), &format!("nkey: {seed}\n"))
    }

    /// `wanted_bytes`, or less when the disk has less: what the store holds already and 80 % of what is free.
    pub(super) fn store_limit(&self, wanted_bytes: u64) -> Result<u64, BrokerError> {
        let free = free_bytes(&self.dir).map_err(io_error("cannot measure", &self.dir))?;
        let room = size_of_tree(&self.store()).saturating_add(free / 5 * 4);
        if room < wanted_bytes {
            tracing::warn!(
                wanted_bytes,
                limit_bytes = room,
                free_bytes = free,
                dir = %self.dir.display(),
                "the disk has less room than broker.server.max_file_store_bytes; streams are limited to what there is"
            );
        }
        Ok(wanted_bytes.min(room))
    }
}

/// Bytes that may still be written below `dir`.
pub(super) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

pub(super) fn io_error<'p>(what: &'static str, path: &'p Path) -> impl Fn(io::Error) -> BrokerError + 'p {
    move |source| BrokerError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn random_hex(path: &Path) -> Result<String, BrokerError> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io_error("no random bytes for", path)(io::Error::other("failed")))?;
    // A letter first: a bare token that starts with a digit would be read as a number.
    Ok(bytes
        .iter()
        .fold(String::from("p"), |text, byte| format!("{text}{byte:02x}")))
}

/// Bytes of all files below `dir`; what vanishes meanwhile counts as nothing.
fn size_of_tree(dir: &Path) -> u64 {
    let mut total = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => dirs.push(entry.path()),
                Ok(meta) => total += meta.len(),
                Err(_) => {}
            }
        }
    }
    total
}
