//! Takes in what the hub tells the region, and says how far that has come.
//!
//! The hub gives a document again and again until a heartbeat says that it is in force, so one that is lost on the way, or
//! comes while the writer is busy, comes again.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tomato_shared::cell::RegionId;
use tomato_shared::control::Edition;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::Obeyed;

use super::link::LinkError;
use crate::engine::city::Catalogue;
use crate::engine::command::Command;
use crate::engine::model::By;
use crate::writer::{Context, Writer};

/// Longest fault told, in characters: a document can have many.
const FAULT_MAX: usize = 500;

/// How the region stands to what the hub says; cheap to clone.
#[derive(Debug, Clone)]
pub struct Obedience {
    catalogue: watch::Receiver<Arc<Catalogue>>,
    fault: Arc<Mutex<Option<String>>>,
}

impl Obedience {
    /// Over what the writer publishes.
    pub fn new(catalogue: watch::Receiver<Arc<Catalogue>>) -> Self {
        Self {
            catalogue,
            fault: Arc::default(),
        }
    }

    /// What the hub is told.
    pub fn now(&self) -> Obeyed {
        let catalogue = self.catalogue.borrow().clone();
        Obeyed {
            version: catalogue.control.version,
            fault: self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            paused: catalogue.paused().map(str::to_owned),
        }
    }

    /// Remembers how it went with the last document; says so once.
    fn went(&self, outcome: Result<(), String>) {
        let fault: Option<String> = outcome.err().map(|reason| reason.chars().take(FAULT_MAX).collect());
        let mut before = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = fault.as_ref().filter(|_| *before != fault) {
            tracing::warn!(reason, "the hub's document is not taken in; what was in force stays so");
        }
        *before = fault;
    }
}

/// Listens to the hub.
#[derive(Debug)]
pub struct Listener {
    /// The region.
    pub region: RegionId,
    /// The region's broker.
    pub client: Client,
    /// Puts a newer document into the region's file.
    pub writer: Writer,
    /// Which document is there.
    pub obedience: Obedience,
    /// Has the hub told at once what has changed.
    pub beat: Arc<Notify>,
}

impl Listener {
    /// Runs until told to stop.
    ///
    /// # Errors
    /// Where the broker does not let us listen.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let mut given = self.client.subscribe(subject::edition(&self.region)).await?;
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(message) = given.next() => {
                    self.obedience.went(self.given(&message).await);
                    self.beat.notify_one();
                }
            }
        }
    }

    async fn given(&self, message: &Message) -> Result<(), String> {
        let edition = readable(&message.payload)?;
        let (version, ours) = (edition.version, self.obedience.now().version);
        if version < ours {
            return Err(format!("version {version} is older than {ours}, which is in force"));
        }
        if version == ours {
            return Ok(());
        }
        let command = Command::TakeControl(Box::new(edition));
        let taken = self.writer.submit(By::System, command, Context::default()).await;
        taken.map_err(|failure| format!("version {version} is not written: {failure:?}"))?;
        tracing::info!(version, "a document of the hub is in force");
        Ok(())
    }
}

/// A document that can be gone by as a whole.
fn readable(payload: &[u8]) -> Result<Edition, String> {
    let edition: Edition = rmp_serde::from_slice(payload)
        .map_err(|error| format!("it cannot be read ({error}); the hub may be newer than this node"))?;
    let faults = edition.control.faults();
    if faults.is_empty() {
        return Ok(edition);
    }
    let faults: Vec<String> = faults
        .iter()
        .map(|(pointer, message)| format!("{pointer} {message}"))
        .collect();
    Err(format!("version {}: {}", edition.version, faults.join("; ")))
}

#[cfg(test)]
mod tests {
    use tomato_shared::control::Control;
    use tomato_shared::time::UnixMs;

    use super::*;

    #[test]
    fn document_is_taken_as_a_whole_or_not_at_all() {
        let edition = |paused: &str| Edition {
            version: 5,
            made_at: UnixMs(1),
            control: Control {
                paused: Some(paused.into()),
                ..Control::default()
            },
        };
        let bytes = |edition: &Edition| rmp_serde::to_vec_named(edition).unwrap();
        assert_eq!(readable(&bytes(&edition("storm"))), Ok(edition("storm")));
        let fault = readable(&bytes(&edition("two\nlines"))).unwrap_err();
        assert!(fault.contains("version 5: /paused"), "{fault}");
        let newer = serde_json::json!({"version": 6, "made_at": 1, "control": {"kitchens": []}});
        let fault = readable(&rmp_serde::to_vec_named(&newer).unwrap()).unwrap_err();
        assert!(fault.contains("kitchens"), "{fault}");
        assert!(readable(b"").is_err());
    }

    #[test]
    fn fault_stands_until_a_document_is_taken_in() {
        let obedience = Obedience::new(watch::channel(Arc::default()).1);
        assert_eq!(obedience.now(), Obeyed::default());
        obedience.went(Err("no".into()));
        assert_eq!(obedience.now().fault.as_deref(), Some("no"));
        obedience.went(Ok(()));
        assert_eq!(obedience.now(), Obeyed::default());
    }
}
