//! Why a node does not start, and how it ends.

use tomato_shared::runtime::jwt::KeysError;
use tomato_shared::runtime::nats::BrokerError;
use tomato_shared::runtime::serve::BindError;

use crate::config::SecretError;
use crate::payments::ProviderError;
use crate::push::SetupError;
use crate::store::StoreError;

/// Why a node does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The region's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The payment provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A push service's key, or words.
    #[error(transparent)]
    Push(#[from] SetupError),
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The operating system.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something that validation should have found.
    #[error("the configuration lacks the region's id or currency")]
    Config,
}

impl StartError {
    /// Whether the region's file could not be read or written, as on a full or failing disk.
    pub fn is_of_file(&self) -> bool {
        matches!(self, Self::Store(StoreError::Sqlite { .. } | StoreError::File { .. }))
    }
}

/// How a node ended that did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The disk below the region's file is full, or fails. What was under way is known only to the next start.
    #[error(
        "the region's file cannot be written, the log says why; make room or mend the disk, then start the node again"
    )]
    File,
    /// Something else.
    #[error("a part of the node failed; the log says which")]
    Part,
}
