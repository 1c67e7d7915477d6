//! Lets regions in, and out: a key pair per region, of which the hub keeps the public half.
//!
//! Works on the database file, so it may run beside a running hub, which notices within a second.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use crate::clock;
use crate::config::HubConfig;
use crate::store::forgotten;
pub use crate::store::forgotten::ForgottenOrder;
use crate::store::regions::{self, Registered};
use crate::store::{self, StoreFault};

/// Why a region cannot be let in or out.
#[derive(Debug, thiserror::Error)]
pub enum EnrolFault {
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreFault),
    /// No key pair can be made.
    #[error("no key pair can be made: {0}")]
    Key(#[from] nkeys::error::Error),
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// What `region add` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The region has a new key.
    Enrolled(Enrolment),
    /// The region had a key, which still holds; nothing was written.
    Exists,
}

/// The files for the operator of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The secret half of the key, readable by its owner only.
    pub seed_file: PathBuf,
    /// TOML for the node's configuration.
    pub snippet_file: PathBuf,
    /// What stands in it.
    pub snippet: String,
}

/// Registers a region and writes `<out>/<region>.seed` (mode 0600) and `<out>/<region>.toml`. The key of a registered
/// region is replaced only if `rotate`; the old one then holds until its link ends.
///
/// # Errors
/// [`EnrolFault`]; the registry is changed only after the seed is on disk.
pub fn add(config: &HubConfig, region: &RegionId, out: &Path, rotate: bool) -> Result<Added, EnrolFault> {
    let mut conn = store::open(&config.database())?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EnrolFault::Write { path, source }
    };
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let out = out.canonicalize().map_err(failed(out))?;
    let pair = KeyPair::new_user();
    // Under another name first: an existing seed must survive if the region turns out to be registered.
    let fresh = out.join(format!("{region}.seed.new"));
    write_secret(&fresh, &pair.seed()?).map_err(failed(&fresh))?;
    let registered = regions::register(&mut conn, region, &pair.public_key(), rotate, clock::now())?;
    if registered == Registered::Exists {
        std::fs::remove_file(&fresh).map_err(failed(&fresh))?;
        return Ok(Added::Exists);
    }
    let seed_file = out.join(format!("{region}.seed"));
    std::fs::rename(&fresh, &seed_file).map_err(failed(&seed_file))?;
    let snippet = snippet(region, &config.leaf_urls(), &seed_file);
    let snippet_file = out.join(format!("{region}.toml"));
    std::fs::write(&snippet_file, &snippet).map_err(failed(&snippet_file))?;
    Ok(Added::Enrolled(Enrolment {
        seed_file,
        snippet_file,
        snippet,
    }))
}

/// One line of `region list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The region.
    pub region: RegionId,
    /// Public key of its link.
    pub public_key: String,
    /// When it was registered.
    pub added_at: UnixMs,
    /// When its key was last replaced.
    pub rotated_at: Option<UnixMs>,
    /// When it was removed.
    pub removed_at: Option<UnixMs>,
    /// Newest event that the hub has applied; 0 before the first.
    pub applied_seq: u64,
}

/// All regions that were ever registered, by name.
///
/// # Errors
/// When the database cannot be used.
pub fn list(config: &HubConfig) -> Result<Vec<Listed>, EnrolFault> {
    let conn = store::open(&config.database())?;
    let cursors = regions::cursors(&conn)?;
    let listed = regions::list(&conn)?.into_iter().map(|region| Listed {
        applied_seq: cursors.get(&region.id).map_or(0, |cursor| cursor.seq),
        region: region.id,
        public_key: region.public_key,
        added_at: region.added_at,
        rotated_at: region.rotated_at,
        removed_at: region.removed_at,
    });
    Ok(listed.collect())
}

/// Every order of which a region has forgotten events.
///
/// # Errors
/// When the database cannot be used.
pub fn forgotten(config: &HubConfig) -> Result<Vec<ForgottenOrder>, EnrolFault> {
    Ok(forgotten::forgotten_orders(&store::open(&config.database())?)?)
}

/// Takes a region out: it cannot connect any more, and its events stay. False if it was not registered.
///
/// # Errors
/// When the database cannot be used.
pub fn remove(config: &HubConfig, region: &RegionId) -> Result<bool, EnrolFault> {
    let conn = store::open(&config.database())?;
    Ok(regions::remove(&conn, region, clock::now())?)
}

fn write_secret(path: &Path, seed: &str) -> std::io::Result<()> {
    // Left behind by an attempt that was killed; its key was never registered.
    match std::fs::remove_file(path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{seed}")?;
    file.sync_all()
}

fn snippet(region: &RegionId, leaf_urls: &[String], seed_file: &Path) -> String {
    let urls: Vec<toml::Value> = leaf_urls.iter().cloned().map(toml::Value::String).collect();
    let urls = toml::Value::Array(urls);
    let seed = toml::Value::String(seed_file.to_string_lossy().into_owned());
    format!(
        "# Link of region {region} to the hub: add this to the node's configuration, and keep the seed file secret.\n\
         [broker.leaf]\nhub_urls = {urls}\nseed_file = {seed}\n"
    )
}

#[cfg(test)]
mod tests;
