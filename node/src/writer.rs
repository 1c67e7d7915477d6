//! The one writer of the region's file: see the module's lower half for the loop.

use axum::body::Bytes;

use crate::engine::command::{Command, Refusal};
use crate::engine::model::By;

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// JSON body; for a repeated key the stored bytes.
    pub body: Bytes,
}

/// Why a command has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The domain says no; nothing was changed.
    Refused(Refusal),
    /// Too much is waiting; nothing was done, try again later.
    Overloaded,
    /// The node is stopping, or its disk failed: whether the command was carried out is not known.
    Unavailable,
}

/// Makes a command repeatable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of principal, route and the client's key.
    pub key: [u8; 16],
    /// Hash of the body.
    pub fingerprint: [u8; 16],
}

/// Sends commands to the writer.
#[derive(Debug, Clone)]
pub struct Writer {}

impl Writer {
    /// Has a command decided and committed; resolves after the commit.
    pub async fn submit(
        &self,
        by: By,
        command: Command,
        key: Option<IdempotencyKey>,
        trace: Option<String>,
    ) -> Result<Response, Failure> {
        let _ = (by, command, key, trace);
        Err(Failure::Unavailable)
    }
}
