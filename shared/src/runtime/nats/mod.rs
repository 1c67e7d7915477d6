//! The message broker of one program: a nats-server that it runs itself, or one that is run for it.
//!
//! A region's server is a leaf of the hub's, with its own JetStream domain and an nkey whose allow-list is enforced at
//! the hub. The broker carries and does not decide: programs start, and regions serve, while it is down, so nothing
//! here waits for it unless asked to.

mod binary;
mod client;
mod conf;
mod files;
mod options;
mod permissions;
mod server;
mod supervisor;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cell::RegionId;

pub use client::connect;
pub use options::{BrokerMode, HubBroker, LeafLink, LeafPort, LeafUser, LocalServer, RegionBroker, Secret};
pub use permissions::{LeafPermissions, leaf_permissions};
pub use server::{LinkLog, ManagedServer, Restarter};

/// Where a client finds the broker, and who it is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BrokerAccess {
    /// One or more `nats://host:port` or `tls://host:port`, separated by commas.
    pub url: String,
    /// User name, if the broker asks for one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// How another program of the same machine, as `tomato-hub verify`, reaches the broker of a hub that runs there.
///
/// # Errors
/// [`BrokerError`] when an option is unusable, or a managed broker has never been started in `data_dir`.
pub fn hub_access(options: &HubBroker, data_dir: &Path) -> Result<BrokerAccess, BrokerError> {
    match options.mode {
        BrokerMode::External => {
            options::external_access(options.url.as_ref(), options.user.as_ref(), options.password.as_ref())
        }
        BrokerMode::Managed => server::access_of_running(&options.server, data_dir),
    }
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No nats-server was found.
    #[error("no nats-server: tried {}; run ./scripts/install-nats, or set broker.server.binary", .tried.join(", "))]
    NoBinary {
        /// What was tried, with the reason each was refused.
        tried: Vec<String>,
    },
    /// A file or directory of the server cannot be used.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was being done, such as `cannot write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Another live process owns the data directory.
    #[error("{dir} is in use by another running node or hub; give each its own data directory")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// An option that only shows to be wrong when it is used.
    #[error("{0}")]
    Option(String),
    /// The server did not come up in time.
    #[error("nats-server at {url} is not ready after {waited_ms} ms: {reason}; see {log}")]
    NotReady {
        /// Where it should listen.
        url: String,
        /// How long we waited.
        waited_ms: u128,
        /// What the last attempt saw.
        reason: String,
        /// The server's log.
        log: PathBuf,
    },
}

/// A broker as configured: ours to run, or somebody else's.
#[derive(Debug)]
pub enum Broker {
    /// Runs under this process and stops with it.
    Managed(Box<ManagedServer>),
    /// Run by somebody else.
    External(BrokerAccess),
}

impl Broker {
    /// The broker of region `region`. A managed server gets its files under `<data_dir>/nats` and starts in the
    /// background: this returns before it is ready.
    ///
    /// # Errors
    /// [`BrokerError`] when the binary, a file or an option is unusable.
    pub fn region(region: &RegionId, options: &RegionBroker, data_dir: &Path) -> Result<Self, BrokerError> {
        match options.mode {
            BrokerMode::External => Ok(Self::External(options::external_access(
                options.url.as_ref(),
                options.user.as_ref(),
                options.password.as_ref(),
            )?)),
            BrokerMode::Managed => Ok(Self::Managed(Box::new(ManagedServer::region(
                region, options, data_dir,
            )?))),
        }
    }

    /// The broker of the hub, which lets in the regions of `users`; otherwise as [`Broker::region`].
    ///
    /// # Errors
    /// [`BrokerError`] when the binary, a file or an option is unusable.
    pub fn hub(options: &HubBroker, users: &[LeafUser], data_dir: &Path) -> Result<Self, BrokerError> {
        match options.mode {
            BrokerMode::External => Ok(Self::External(options::external_access(
                options.url.as_ref(),
                options.user.as_ref(),
                options.password.as_ref(),
            )?)),
            BrokerMode::Managed => Ok(Self::Managed(Box::new(ManagedServer::hub(options, users, data_dir)?))),
        }
    }

    /// Where our client connects.
    pub fn access(&self) -> BrokerAccess {
        match self {
            Self::Managed(server) => server.access(),
            Self::External(access) => access.clone(),
        }
    }

    /// What a managed server's log tells of the link to the hub.
    pub fn link_log(&self) -> LinkLog {
        match self {
            Self::Managed(server) => server.link_log(),
            Self::External(_) => LinkLog::default(),
        }
    }

    /// Restarts a managed server from elsewhere.
    pub fn restarter(&self) -> Restarter {
        match self {
            Self::Managed(server) => server.restarter(),
            Self::External(_) => Restarter::default(),
        }
    }

    /// Waits until a managed server takes clients; an external one is not asked.
    ///
    /// # Errors
    /// [`BrokerError::NotReady`] after `timeout`.
    pub async fn ready(&self, timeout: Duration) -> Result<(), BrokerError> {
        match self {
            Self::Managed(server) => server.ready(timeout).await,
            Self::External(_) => Ok(()),
        }
    }

    /// Stops a managed server, at most about five seconds.
    pub async fn stop(self) {
        match self {
            Self::Managed(server) => server.stop().await,
            Self::External(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
