//! A provider for development and tests: behaves by the card's token, answers the same key the same way, moves nothing. What
//! it would have moved stands in a file of its own, for `reconcile`.
//!
//! | card | behaviour |
//! |---|---|
//! | `card_declined`, `card_insufficient_funds` | declined for good, with that code |
//! | `card_slow` | succeeds after 10 s |
//! | `card_timeout` | no answer for 60 s, then it turns out to have succeeded |
//! | `card_late` | no answer for 20 min, then it turns out to have succeeded: for most orders too late |
//! | `card_3ds` | wants the customer to confirm, who does so within 20 s |
//! | `card_3ds_abandoned` | wants the customer to confirm, who never does |
//! | `card_capture_refused` | is authorised, and refused when it is to be charged |
//! | `card_refund_slow` | refunds have no answer for 60 s, then it turns out to have succeeded |
//! | `card_refund_failed` | a refund is refused the first time |
//! | anything else | succeeds after the configured delay |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};
use tomato_shared::id::PaymentId;
use tomato_shared::time::{DurationMs, UnixMs};

use super::NoAnswer;
use crate::clock::Clock;
use crate::engine::command::PaymentOutcome;
use crate::engine::model::{ActionKind, PaymentAction};
use crate::engine::task::{Task, TaskKind};
use crate::reconcile::Movement;

/// How long `card_slow` takes.
const SLOW: DurationMs = DurationMs::from_secs(10);
/// How long `card_timeout` stays silent.
const SILENT: DurationMs = DurationMs::from_secs(60);
/// How long `card_late` does.
const LATE: DurationMs = DurationMs::from_mins(20);
/// How long the customer takes to confirm `card_3ds`.
const CONFIRMING: DurationMs = DurationMs::from_secs(20);

/// What moved, once each. Of a ledger that moves nothing, a power cut may take the end.
const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 2000;
    CREATE TABLE IF NOT EXISTS movements (id TEXT PRIMARY KEY, order_id TEXT NOT NULL, payment_id TEXT NOT NULL,
        amount_minor INTEGER NOT NULL, created_s INTEGER NOT NULL) STRICT";

/// The simulated provider.
#[derive(Debug)]
pub struct Simulated {
    clock: Clock,
    delay: DurationMs,
    ledger: Mutex<Connection>,
    /// When a silent call was first made; an entry goes when its answer is given.
    silent_since: Mutex<BTreeMap<(PaymentId, i64, u32), UnixMs>>,
}

impl Simulated {
    /// Answers after `delay` of region time; keeps its ledger in the file `ledger`.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn new(clock: Clock, delay: DurationMs, ledger: &Path) -> rusqlite::Result<Self> {
        let ledger = Connection::open(ledger)?;
        ledger.execute_batch(SCHEMA)?;
        Ok(Self {
            clock,
            delay,
            ledger: Mutex::new(ledger),
            silent_since: Mutex::default(),
        })
    }

    /// What would have been moved since then, in seconds since 1970.
    ///
    /// # Errors
    /// [`NoAnswer`] where the file cannot be read.
    pub fn movements(&self, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        read(&ledger, since_s).map_err(|error| NoAnswer(error.to_string()))
    }

    /// Writes down what a call moves: `amount_minor` is positive where money comes.
    fn moves(&self, task: &Task, id: &str, amount_minor: i64) -> Result<(), NoAnswer> {
        let row = params![
            id,
            task.order_id.to_string(),
            task.payment_id.to_string(),
            amount_minor,
            self.clock.wall_seconds()
        ];
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let written = ledger
            .prepare_cached("INSERT OR IGNORE INTO movements VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut statement| statement.execute(row));
        written.map(|_| ()).map_err(|error| NoAnswer(error.to_string()))
    }

    /// Makes the call of a task. Repeating it is harmless.
    ///
    /// # Errors
    /// [`NoAnswer`] while a silent card is silent.
    pub async fn call(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let delay = if task.card == "card_slow" { SLOW } else { self.delay };
        tokio::time::sleep(self.clock.real(delay)).await;
        let card = task.card.as_str();
        match task.kind {
            TaskKind::Authorise => self.authorise(task),
            TaskKind::Capture if card == "card_capture_refused" => {
                Ok(PaymentOutcome::CaptureRefused { code: card.to_owned() })
            }
            TaskKind::Capture => {
                self.moves(task, &task.transaction_id, task.amount_minor)?;
                Ok(PaymentOutcome::Captured)
            }
            TaskKind::Void => Ok(PaymentOutcome::Voided),
            TaskKind::Refund if card == "card_refund_failed" && task.attempt == 1 => {
                Ok(PaymentOutcome::RefundRefused { code: card.to_owned() })
            }
            TaskKind::Refund if card == "card_refund_slow" && !self.has_waited(task, SILENT) => {
                Err("the simulated card stays silent".into())
            }
            TaskKind::Refund => {
                let refund = task.refund_id.map(|id| id.to_string()).unwrap_or_default();
                self.moves(task, &format!("sim_{refund}"), -task.amount_minor)?;
                Ok(PaymentOutcome::Refunded)
            }
            TaskKind::Tip if card == "card_declined" => Ok(PaymentOutcome::TipDeclined { code: card.to_owned() }),
            TaskKind::Tip => {
                self.moves(task, &format!("sim_tip_{}", task.payment_id), task.amount_minor)?;
                Ok(PaymentOutcome::TipTaken)
            }
        }
    }

    fn authorise(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let transaction_id = format!("sim_{}_{}", task.payment_id, task.attempt);
        let silence = match task.card.as_str() {
            "card_declined" | "card_insufficient_funds" => {
                return Ok(PaymentOutcome::Declined {
                    code: task.card.clone(),
                });
            }
            "card_3ds_abandoned" => return Ok(confirm(transaction_id)),
            "card_3ds" if !self.has_waited(task, CONFIRMING) => return Ok(confirm(transaction_id)),
            "card_timeout" => Some(SILENT),
            "card_late" => Some(LATE),
            _ => None,
        };
        if silence.is_some_and(|silence| !self.has_waited(task, silence)) {
            return Err("the simulated card stays silent".into());
        }
        Ok(PaymentOutcome::Authorised { transaction_id })
    }

    /// Whether the call was first made so long ago.
    fn has_waited(&self, task: &Task, span: DurationMs) -> bool {
        let (now, key) = (self.clock.now(), (task.payment_id, task.kind.to_stored(), task.nth));
        let mut silent = self.silent_since.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *silent.entry(key).or_insert(now);
        let waited = now - since >= span;
        if waited {
            silent.remove(&key);
        }
        waited
    }
}

/// All that a simulated provider would have moved, by the file in which it keeps that.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_ledger(path: &Path) -> rusqlite::Result<Vec<Movement>> {
    read(&Connection::open(path)?, 0)
}

fn read(ledger: &Connection, since_s: i64) -> rusqlite::Result<Vec<Movement>> {
    let sql =
        "SELECT id, order_id, payment_id, amount_minor, created_s FROM movements WHERE created_s >= ?1 ORDER BY id";
    let mut statement = ledger.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Movement {
            id: row.get(0)?,
            order: row.get(1)?,
            payment: row.get(2)?,
            amount_minor: row.get(3)?,
            created_s: row.get(4)?,
        })
    };
    statement.query_map([since_s], row)?.collect()
}

fn confirm(transaction_id: String) -> PaymentOutcome {
    PaymentOutcome::ActionRequired {
        action: PaymentAction {
            kind: ActionKind::Confirm,
            url: Some(format!("https://bank.example/confirm/{transaction_id}")),
            token: transaction_id.clone(),
            key: String::new(),
        },
        transaction_id,
    }
}
