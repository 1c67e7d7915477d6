//! One transaction's worth of commands: each is decided on what the ones before it left, written, and its answer held.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use tomato_shared::event::Envelope;
use tomato_shared::id::{DriverId, OrderId, UserId};
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::otlp::{Begun, Tracer};
use tomato_shared::time::DurationMs;

use super::{Context, Failure, Held, IdempotencyKey, Response, Submission, Tick, WriterStopped};
use crate::engine::city::City;
use crate::engine::command::Command;
use crate::engine::draft::Changes;
use crate::engine::model::{By, Order};
use crate::engine::policy::Policy;
use crate::engine::task::Task;
use crate::engine::{self, Decision, deed};
use crate::feed::Committed;
use crate::store::write::{self, Stamp, WriteError};
use crate::store::{StoreError, extras, load};

/// When a deadline whose command could not be written is tried again.
const TIMER_PAUSE: DurationMs = DurationMs::from_mins(1);

/// What a batch works on.
pub(super) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) city: &'a mut City,
    pub(super) policy: &'a Policy,
    pub(super) incarnation: u32,
    pub(super) head_seq: u64,
    pub(super) tick: Tick,
    pub(super) tracer: &'a Tracer,
    /// What is to be told after the commit.
    pub(super) news: News,
}

/// Everything that a commit makes known.
#[derive(Default)]
pub(super) struct News {
    pub(super) held: Vec<Held>,
    pub(super) committed: Vec<Committed>,
    pub(super) drivers: BTreeSet<DriverId>,
    pub(super) tasks: Vec<Task>,
    pub(super) catalogue_changed: bool,
    /// Spans of the batch's commands, which end with its commit.
    pub(super) spans: Vec<Begun>,
}

/// Why one command could not be written.
pub(super) enum Fault {
    /// A fault of the program (a constraint said no): the command is undone, the batch goes on.
    Command(String),
    /// The disk: nothing may follow.
    Disk(WriterStopped),
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sqlite(error) => fault("writing a decision", &error),
            WriteError::Encode(reason) => Self::Command(reason),
        }
    }
}

impl Batch<'_> {
    /// Decides and writes one submission.
    pub(super) fn submission(&mut self, submission: Submission) -> Result<(), WriterStopped> {
        let Submission {
            by,
            command,
            context,
            reply,
        } = submission;
        self.news.spans.extend(self.tracer.child(context.trace.as_deref()));
        let result = match self.stored_answer(context.key) {
            Ok(Some(result)) => result,
            Ok(None) => self.command(by, &command, &context)?,
            Err(error) => return Err(stopped("reading an answer", &error)),
        };
        self.news.held.push(Held { reply, result });
        Ok(())
    }

    /// Decides and writes one command that the region itself gives.
    pub(super) fn own(&mut self, command: &Command) -> Result<(), WriterStopped> {
        let Err(failure) = self.command(By::System, command, &Context::default())? else {
            return Ok(());
        };
        tracing::warn!(?command, ?failure, "own command not carried out");
        // At once again it would come to the same, and nothing else would get done.
        let mut changes = Changes::default();
        match (command, failure) {
            (Command::TimerDue(key), Failure::Refused(_)) => {
                changes.timers.insert(*key, None);
            }
            (Command::TimerDue(key), _) => {
                changes.timers.insert(*key, Some(self.tick.now + TIMER_PAUSE));
            }
            _ => changes.dispatch_at = Some(Some(self.tick.now + self.policy.dispatch.retry)),
        }
        match self.write(&changes, By::System, &Context::default()) {
            Ok(_) => {
                self.city.apply(&changes);
                Ok(())
            }
            Err(Fault::Disk(stop)) => Err(stop),
            Err(Fault::Command(reason)) => Err(WriterStopped {
                doing: "putting off a deadline",
                reason,
            }),
        }
    }

    fn command(
        &mut self,
        by: By,
        command: &Command,
        context: &Context,
    ) -> Result<Result<Response, Failure>, WriterStopped> {
        let visitor = match self.fetch(command)? {
            Ok(visitor) => visitor,
            Err(failure) => return Ok(Err(failure)),
        };
        let seed = seed()?;
        let Decision { answer, changes } = engine::decide(self.city, self.policy, by, command, self.tick.now, seed);
        let result = match answer {
            Ok(answer) => match serde_json::to_vec(&answer.reply) {
                Ok(body) => Ok(Response {
                    status: answer.status,
                    body: Bytes::from(body),
                }),
                Err(_) => Err(Failure::Broken),
            },
            Err(refusal) => Err(Failure::Refused(refusal)),
        };
        let result = self.commit_one(by, command, &changes, context, result)?;
        if let Some(id) = visitor {
            self.city.forget_final(id);
        }
        Ok(result)
    }

    /// Writes a decision and its answer under a savepoint, then takes it into memory.
    fn commit_one(
        &mut self,
        by: By,
        command: &Command,
        changes: &Changes,
        context: &Context,
        result: Result<Response, Failure>,
    ) -> Result<Result<Response, Failure>, WriterStopped> {
        let point = |sql| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
        };
        point("SAVEPOINT command").map_err(|error| stopped("setting a savepoint", &error))?;
        let written = self.write(changes, by, context).and_then(|envelopes| {
            if let (Some(key), Ok(response)) = (context.key, &result) {
                self.remember(key, response)?;
            }
            if let (By::Operator(operator), Ok(_)) = (by, &result) {
                self.log_deed(operator, command)?;
            }
            Ok(envelopes)
        });
        let point = |sql| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
        };
        match written {
            Ok(envelopes) => {
                point("RELEASE command").map_err(|error| stopped("releasing a savepoint", &error))?;
                self.city.apply(changes);
                self.note(changes, envelopes, context.trace.as_deref());
                Ok(result)
            }
            Err(Fault::Disk(stop)) => Err(stop),
            Err(Fault::Command(reason)) => {
                tracing::error!(reason, "a decision could not be written and was undone");
                point("ROLLBACK TO command").map_err(|error| stopped("undoing a command", &error))?;
                point("RELEASE command").map_err(|error| stopped("undoing a command", &error))?;
                Ok(Err(Failure::Broken))
            }
        }
    }

    /// Loads the order of a command when it is not in memory. `Some` if it must be dropped again.
    fn fetch(&mut self, command: &Command) -> Result<Result<Option<OrderId>, Failure>, WriterStopped> {
        let Some(id) = command.order_id().filter(|id| self.city.order(*id).is_none()) else {
            return Ok(Ok(None));
        };
        match load::order(self.connection, id) {
            Ok(Some(order)) => {
                self.city.put_order(order);
                Ok(Ok(Some(id)))
            }
            Ok(None) => Ok(Ok(None)),
            // One row that cannot be read is no reason to stop the city.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%id, %error, "an order cannot be read");
                Ok(Err(Failure::Broken))
            }
            Err(error) => Err(WriterStopped {
                doing: "reading an order",
                reason: error.to_string(),
            }),
        }
    }

    fn write(&self, changes: &Changes, by: By, context: &Context) -> Result<Vec<Envelope>, Fault> {
        let stamp = Stamp {
            region: &self.policy.region,
            incarnation: self.incarnation,
            head_seq: self.head_seq,
            at: self.tick.now,
            by,
            device_at: context.device_at,
            trace: context.trace.as_deref(),
            key: context.key.map(|key| key.key),
        };
        write::write(self.connection, changes, &stamp).map_err(Fault::from)
    }

    fn log_deed(&self, operator: UserId, command: &Command) -> Result<(), Fault> {
        match deed::of(command) {
            Some(deed) => extras::put_deed(self.connection, operator, self.tick.now, &deed).map_err(Fault::from),
            None => Ok(()),
        }
    }

    fn note(&mut self, changes: &Changes, envelopes: Vec<Envelope>, trace: Option<&str>) {
        self.head_seq += envelopes.len() as u64;
        self.news.drivers.extend(changes.drivers.keys());
        self.news.catalogue_changed |= !changes.restaurants.is_empty()
            || !changes.promotions.is_empty()
            || changes.region.is_some()
            || changes.territory.is_some()
            || changes.control.is_some();
        for task in changes.tasks.values().flatten() {
            self.news.tasks.push(Task {
                trace: trace.map(str::to_owned),
                ..task.clone()
            });
        }
        let mut rows: Vec<(OrderId, Arc<Order>)> = Vec::new();
        for envelope in envelopes {
            let order = envelope
                .order
                .and_then(|order| match rows.iter().find(|(id, _)| *id == order.id) {
                    Some((_, row)) => Some(row.clone()),
                    None => {
                        let row = Arc::new(changes.orders.get(&order.id)?.clone());
                        rows.push((order.id, row.clone()));
                        Some(row)
                    }
                });
            let driver_id = order.as_ref().and_then(|order| order.delivery.driver_id);
            let driver = driver_id.and_then(|id| self.city.driver(id)).cloned().map(Arc::new);
            self.news.committed.push(Committed {
                envelope: Arc::new(envelope),
                order,
                driver,
            });
        }
        for id in changes.orders.keys() {
            self.city.forget_final(*id);
        }
    }

    pub(super) fn stored_answer(
        &self,
        key: Option<IdempotencyKey>,
    ) -> rusqlite::Result<Option<Result<Response, Failure>>> {
        let Some(key) = key else { return Ok(None) };
        let sql = "SELECT fingerprint, status, body FROM idempotency WHERE key = ?1";
        let found: Option<([u8; 16], u16, Vec<u8>)> = self
            .connection
            .prepare_cached(sql)?
            .query_row([key.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        Ok(found.map(|(fingerprint, status, body)| {
            if fingerprint == key.fingerprint {
                Ok(Response {
                    status,
                    body: Bytes::from(body),
                })
            } else {
                Err(Failure::Refused(Rejection::IdempotencyKeyReused.into()))
            }
        }))
    }

    pub(super) fn remember(&self, key: IdempotencyKey, response: &Response) -> Result<(), Fault> {
        let sql = "INSERT INTO idempotency (key, fingerprint, status, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![
            key.key,
            key.fingerprint,
            response.status,
            &response.body[..],
            self.tick.now.0
        ];
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(row))
            .map(|_| ())
            .map_err(|error| fault("remembering an answer", &error))
    }
}

/// 128 bits from the operating system.
fn seed() -> Result<u128, WriterStopped> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| WriterStopped {
        doing: "drawing ids",
        reason: error.to_string(),
    })?;
    Ok(u128::from_be_bytes(bytes))
}

fn fault(doing: &'static str, error: &rusqlite::Error) -> Fault {
    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        Fault::Command(error.to_string())
    } else {
        Fault::Disk(stopped(doing, error))
    }
}

pub(super) fn stopped(doing: &'static str, error: &rusqlite::Error) -> WriterStopped {
    WriterStopped {
        doing,
        reason: error.to_string(),
    }
}

impl From<StoreError> for WriterStopped {
    fn from(error: StoreError) -> Self {
        Self {
            doing: "reading",
            reason: error.to_string(),
        }
    }
}
