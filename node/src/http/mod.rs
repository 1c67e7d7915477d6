//! stub, replaced by the merge

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;
use tomato_shared::runtime::jwt::Verifier;

use crate::clock::Clock;
use crate::engine::city::Catalogue;
use crate::engine::policy::Policy;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::store::StoreError;
use crate::writer::{Head, Writer};

/// What HTTP works with.
pub struct Parts {
    pub writer: Writer,
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
    pub head: watch::Receiver<Head>,
    pub published: Arc<AtomicU64>,
    pub fleet: Arc<Fleet>,
    pub feed: Arc<Feed>,
    pub clock: Clock,
    pub policy: Arc<Policy>,
    pub verifier: Arc<Verifier>,
    /// The region's file, for the read pool.
    pub path: PathBuf,
    pub readers: usize,
    pub public_url: String,
}

pub struct App(Parts);

impl App {
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        Ok(Self(parts))
    }
}

pub fn router(app: Arc<App>) -> axum::Router {
    drop(app);
    axum::Router::new()
}
