//! What goes along with cells: given to the region that they go to, and fetched from the one that they left. Asked for by
//! request-reply on subjects that, by the hub's permissions, only these two can use.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;
use tomato_shared::sync::{ParcelReply, ParcelRequest};

use super::directory::Locator;
use super::link::LinkError;
use crate::engine::command::Command;
use crate::engine::model::By;
use crate::engine::moving::Parcel;
use crate::store;
use crate::writer::{Context, Writer};

/// Bytes of one answer; the broker's limit for a message is 1 MB.
const CHUNK_BYTES: usize = 512 * 1024;
/// Largest parcel that is fetched.
const PARCEL_BYTES_MAX: u64 = 1 << 30;
/// How long the other region may take for one chunk.
const ANSWER: Duration = Duration::from_secs(3);

/// Gives parcels out.
#[derive(Debug)]
pub struct Counter {
    /// The region.
    pub region: RegionId,
    /// Its broker.
    pub client: Client,
    /// Its file.
    pub path: PathBuf,
    /// Which moves there are.
    pub locator: Locator,
    /// Notes that a parcel was handed out, before it is.
    pub writer: Writer,
}

impl Counter {
    /// Runs until told to stop.
    ///
    /// # Errors
    /// Where the broker does not let us listen.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let mut asked = self.client.subscribe(subject::parcels_of(&self.region)).await?;
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(message) = asked.next() => self.answer(message).await,
            }
        }
    }

    async fn answer(&self, message: Message) {
        let Some(reply_to) = message.reply.clone() else { return };
        let reply = match self.chunk(&message).await {
            Ok(reply) => reply,
            Err(fault) => {
                tracing::warn!(fault, subject = %message.subject, "a parcel is not handed out");
                ParcelReply {
                    fault: Some(fault),
                    ..ParcelReply::default()
                }
            }
        };
        let sent = match rmp_serde::to_vec_named(&reply) {
            Ok(bytes) => self
                .client
                .publish(reply_to, bytes.into())
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::warn!(error, "a parcel was not sent");
        }
    }

    async fn chunk(&self, message: &Message) -> Result<ParcelReply, String> {
        let request: ParcelRequest = rmp_serde::from_slice(&message.payload).map_err(|error| error.to_string())?;
        let id = request.move_id;
        // The hub lets a region ask in its own name only.
        let asker = subject::asker(&message.subject).ok_or("it cannot be read who asks")?;
        let part = self.locator.part(id).filter(|part| part.other == asker);
        if part.ok_or("there is no such move to the asker")?.handed_out {
            // Already noted.
        } else {
            let noted = self
                .writer
                .submit(By::System, Command::HandOut(id), Context::default())
                .await;
            noted.map_err(|failure| format!("not noted: {failure:?}"))?;
        }
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let connection = store::pool::connect(&path).map_err(|error| error.to_string())?;
            store::moves::chunk(&connection, id, request.offset, CHUNK_BYTES).map_err(|error| error.to_string())
        });
        let found = read.await.map_err(|error| error.to_string())??;
        let (total_bytes, bytes) = found.ok_or("the parcel is not there any more")?;
        Ok(ParcelReply {
            total_bytes,
            bytes,
            fault: None,
        })
    }
}

/// Fetches a parcel as a whole.
pub async fn fetch(client: &Client, here: &RegionId, from: &RegionId, move_id: u64) -> Result<Parcel, String> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let offset = bytes.len() as u64;
        let request = rmp_serde::to_vec_named(&ParcelRequest { move_id, offset }).map_err(|error| error.to_string())?;
        let asked = client.request(subject::parcel(from, here), request.into());
        let answer = tokio::time::timeout(ANSWER, asked).await;
        let answer = answer
            .map_err(|_| format!("{from} does not answer"))?
            .map_err(|error| format!("{from}: {error}"))?;
        let reply: ParcelReply = rmp_serde::from_slice(&answer.payload).map_err(|error| error.to_string())?;
        if let Some(fault) = reply.fault {
            return Err(format!("{from}: {fault}"));
        }
        bytes.extend_from_slice(&reply.bytes);
        let len = bytes.len() as u64;
        if reply.total_bytes > PARCEL_BYTES_MAX
            || len > reply.total_bytes
            || (reply.bytes.is_empty() && len < reply.total_bytes)
        {
            return Err(format!("{from} sends {len} of {} bytes", reply.total_bytes));
        }
        if len == reply.total_bytes {
            return rmp_serde::from_slice(&bytes)
                .map_err(|error| format!("{from}: the parcel cannot be read: {error}"));
        }
    }
}
