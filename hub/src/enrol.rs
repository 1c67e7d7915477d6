//! Lets regions in, and out: a key pair per region, of which the hub keeps the public half.
//!
//! Works on the database file, so it may run beside a running hub, which notices within a second.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use tomato_shared::cell::RegionId;
use tomato_shared::money::Currency;
use tomato_shared::time::UnixMs;

use crate::clock;
use crate::config::HubConfig;
use crate::phones::{self, PhoneKeyFault};
use crate::store::forgotten;
pub use crate::store::forgotten::ForgottenOrder;
use crate::store::regions::{self, Registered};
use crate::store::{self, Beside, StoreFault};

/// Why a region cannot be let in or out.
#[derive(Debug, thiserror::Error)]
pub enum EnrolFault {
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreFault),
    /// No key pair can be made.
    #[error("no key pair can be made: {0}")]
    Key(#[from] nkeys::error::Error),
    /// The key for telephone numbers.
    #[error("the key for telephone numbers cannot be handed on")]
    PhoneKey(#[from] PhoneKeyFault),
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
    /// The fleet's key for hashes of telephone numbers, the same for every region, readable by its owner only.
    pub phone_key_file: PathBuf,
    /// The node's configuration, or what to add to it.
    pub snippet_file: PathBuf,
    /// What stands in it.
    pub snippet: String,
}

/// What a node's configuration says besides its link, for one that is ready to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Site {
    /// Writes a whole configuration: where apps will reach the node, with its scheme.
    #[arg(long, required = false)]
    pub public_url: String,
    /// ISO 4217 currency of all its prices.
    #[arg(long, required = false)]
    pub currency: Currency,
    /// IANA time zone, as Asia/Kolkata.
    #[arg(long, required = false)]
    pub time_zone: String,
    /// Middle of the region, in degrees.
    #[arg(long, required = false, allow_negative_numbers = true)]
    pub lat: f64,
    /// Middle of the region, in degrees.
    #[arg(long, required = false, allow_negative_numbers = true)]
    pub lng: f64,
    /// Rings of cells (about 2.1 km each) around it.
    #[arg(long, required = false)]
    pub rings: u32,
}

/// Registers a region and writes `<out>/<region>.seed`, `<out>/phone.key` (both mode 0600) and `<out>/<region>.toml`: with a `site` a configuration
/// that is ready to run, else what has to be added to one. The key of a registered region is replaced only if `rotate`; a
/// running hub then ends the link with the old one. A hub that does not know the region, as one that has lost its file, takes the
/// seed again that lies in `out`, so that the node needs nothing new.
///
/// # Errors
/// [`EnrolFault`]; the registry is changed only after the seed is on disk.
pub fn add(
    config: &HubConfig,
    region: &RegionId,
    (out, site): (&Path, Option<&Site>),
    rotate: bool,
) -> Result<Added, EnrolFault> {
    let mut conn = Beside::open(&config.database())?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EnrolFault::Write { path, source }
    };
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let out = out.canonicalize().map_err(failed(out))?;
    let seed_file = out.join(format!("{region}.seed"));
    // Never one that was revoked: then the hub knows the region.
    let kept = std::fs::read_to_string(&seed_file).ok().filter(|_| !rotate);
    let kept = kept.and_then(|seed| KeyPair::from_seed(seed.trim()).ok());
    let pair = match kept {
        Some(pair) if !regions::is_known(&conn, region)? => pair,
        Some(_) | None => KeyPair::new_user(),
    };
    // Under another name first: an existing seed must survive if the region turns out to be registered.
    let fresh = out.join(format!("{region}.seed.new"));
    write_secret(&fresh, &pair.seed()?).map_err(failed(&fresh))?;
    let registered = regions::register(&mut conn, region, &pair.public_key(), rotate, clock::now())?;
    if registered == Registered::Exists {
        std::fs::remove_file(&fresh).map_err(failed(&fresh))?;
        return Ok(Added::Exists);
    }
    std::fs::rename(&fresh, &seed_file).map_err(failed(&seed_file))?;
    let phone_key_file = out.join("phone.key");
    phones::give(&config.phone_key_file(), &phone_key_file)?;
    let mut snippet = link(region, config, (&seed_file, &phone_key_file));
    if let Some(site) = site {
        snippet = format!("{}\n{snippet}", whole(region, config, site));
    }
    let snippet_file = out.join(format!("{region}.toml"));
    std::fs::write(&snippet_file, &snippet).map_err(failed(&snippet_file))?;
    Ok(Added::Enrolled(Enrolment {
        seed_file,
        phone_key_file,
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
    let conn = Beside::open(&config.database())?;
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

fn link(region: &RegionId, config: &HubConfig, (seed_file, phone_key_file): (&Path, &Path)) -> String {
    let urls = config.leaf_urls().into_iter().map(toml::Value::String);
    let urls = toml::Value::Array(urls.collect());
    let ca = config.enrolment.ca_file.as_deref();
    let ca = ca.map(|ca| format!("ca_file = {}\n", quoted(&absolute(ca))));
    format!(
        "# Link of region {region} to the hub; keep the seed file secret.\n\
         [broker.leaf]\nhub_urls = {urls}\nseed_file = {}\n{}\n\
         # By which the hub finds the orders of who calls; keep this file secret, too.\n\
         [privacy]\nphone_key_file = {}\n",
        quoted(&seed_file.to_string_lossy()),
        ca.unwrap_or_default(),
        quoted(&phone_key_file.to_string_lossy())
    )
}

/// What a node has to be told, with who the hub trusts.
fn whole(region: &RegionId, config: &HubConfig, site: &Site) -> String {
    let (id, zone, url) = (
        quoted(region.as_str()),
        quoted(&site.time_zone),
        quoted(&site.public_url),
    );
    let mut text = format!(
        "# Region {region}, ready to run where these files are: tomato-node run --config FILE\n\
         # Everything else has its default, see config/node.toml; tomato-node check --config FILE names what is wrong.\n\n\
         data_dir = {}\n\n\
         [region]\nid = {id}\nname = {id}\ncurrency = {}\ntime_zone = {zone}\n\
         centre = {{ lat = {:?}, lng = {:?} }}\nrings = {}\npublic_url = {url}\n\n\
         [auth]\naudience = {}\n",
        quoted(&format!("data/{region}")),
        quoted(site.currency.code()),
        site.lat,
        site.lng,
        site.rings,
        quoted(&config.auth.audience),
    );
    for issuer in &config.auth.issuers {
        text.push_str(&format!(
            "\n[[auth.issuers]]\nissuer = {}\njwks_file = {}\n",
            quoted(&issuer.issuer),
            quoted(&absolute(&issuer.jwks_file))
        ));
    }
    text
}

/// As a string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A path that holds in any working directory.
fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
