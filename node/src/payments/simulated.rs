//! A provider for development and tests: behaves by the card's token, answers the same key the same way, moves nothing.
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
use std::sync::{Mutex, PoisonError};

use tomato_shared::id::PaymentId;
use tomato_shared::time::{DurationMs, UnixMs};

use super::NoAnswer;
use crate::clock::Clock;
use crate::engine::command::PaymentOutcome;
use crate::engine::model::{ActionKind, PaymentAction};
use crate::engine::task::{Task, TaskKind};

/// How long `card_slow` takes.
const SLOW: DurationMs = DurationMs::from_secs(10);
/// How long `card_timeout` stays silent.
const SILENT: DurationMs = DurationMs::from_secs(60);
/// How long `card_late` does.
const LATE: DurationMs = DurationMs::from_mins(20);
/// How long the customer takes to confirm `card_3ds`.
const CONFIRMING: DurationMs = DurationMs::from_secs(20);

/// The simulated provider.
#[derive(Debug)]
pub struct Simulated {
    clock: Clock,
    delay: DurationMs,
    /// When a silent call was first made; an entry goes when its answer is given.
    silent_since: Mutex<BTreeMap<(PaymentId, i64, u32), UnixMs>>,
}

impl Simulated {
    /// Answers after `delay` of region time.
    pub fn new(clock: Clock, delay: DurationMs) -> Self {
        Self {
            clock,
            delay,
            silent_since: Mutex::default(),
        }
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
            TaskKind::Capture => Ok(PaymentOutcome::Captured),
            TaskKind::Void => Ok(PaymentOutcome::Voided),
            TaskKind::Refund if card == "card_refund_failed" && task.attempt == 1 => {
                Ok(PaymentOutcome::RefundRefused { code: card.to_owned() })
            }
            TaskKind::Refund if card == "card_refund_slow" && !self.has_waited(task, SILENT) => {
                Err("the simulated card stays silent".into())
            }
            TaskKind::Refund => Ok(PaymentOutcome::Refunded),
            TaskKind::Tip if card == "card_declined" => Ok(PaymentOutcome::TipDeclined { code: card.to_owned() }),
            TaskKind::Tip => Ok(PaymentOutcome::TipTaken),
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
