//! One thread, group commit: whatever waits goes into one transaction, and is answered after its commit.

use std::path::Path;

use rand::Rng as _;
use rand::rngs::StdRng;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tomato_shared::id::{OrderId, UserId};
use tomato_tests::city::chance;
use tomato_tests::city::clock::real_now;

use super::Wanted;
use super::rows::{self, Fillers, Placed};
use crate::sizes::Sizes;

/// Orders of one transaction, and orders that may wait, as in the node's defaults.
const BATCH_MAX: usize = 512;
const WAITING_MAX: usize = 2_048;

type Entry = (Wanted, oneshot::Sender<()>);

/// Sends orders to the thread.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Entry>);

impl Writer {
    /// True once the order is committed; false where it never will be.
    pub(super) async fn submit(&self, wanted: Wanted) -> bool {
        let (reply, committed) = oneshot::channel();
        self.0.try_send((wanted, reply)).is_ok() && committed.await.is_ok()
    }
}

/// Creates the file and starts the thread. It ends with its last [`Writer`], or with the first error of SQLite.
pub(super) fn start(database: &Path, sizes: &Sizes, customers: &[UserId]) -> Result<Writer, String> {
    let connection = rows::open(database).map_err(|error| format!("{}: {error}", database.display()))?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let mut thread = Thread {
        connection,
        receiver,
        fillers: Fillers::new(sizes),
        customers: customers.to_owned(),
        rng: chance::stream(2, "bare order ids", 0),
        placed: 0,
        seq: 0,
    };
    let run = move || {
        if let Err(error) = thread.run() {
            eprintln!("the writer stopped: {error}");
        }
    };
    let spawned = std::thread::Builder::new().name("writer".into()).spawn(run);
    spawned.map_err(|error| format!("no thread: {error}"))?;
    Ok(Writer(sender))
}

struct Thread {
    connection: Connection,
    receiver: mpsc::Receiver<Entry>,
    fillers: Fillers,
    customers: Vec<UserId>,
    rng: StdRng,
    placed: usize,
    seq: i64,
}

impl Thread {
    fn run(&mut self) -> rusqlite::Result<()> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.receiver.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            self.commit(&batch)?;
            for (_, reply) in batch.drain(..) {
                // Whoever asked may have gone.
                reply.send(()).ok();
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &[Entry]) -> rusqlite::Result<()> {
        let at = real_now();
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (wanted, _) in batch {
            let placed = Placed {
                id: OrderId::v7(at, self.rng.random()),
                customer_id: self.customers[self.placed % self.customers.len()],
                at,
            };
            self.placed += 1;
            rows::write(&self.connection, wanted, &placed, &self.fillers, &mut self.seq)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}
