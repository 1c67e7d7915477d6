//! A provider for development and tests: behaves by the card's token, answers the same key the same way, moves nothing.
//!
//! | card | behaviour |
//! |---|---|
//! | `card_declined`, `card_insufficient_funds` | declined for good, with that code |
//! | `card_slow` | succeeds after 10 s |
//! | `card_timeout` | no answer for 60 s, then it turns out to have succeeded |
//! | anything else | succeeds after the configured delay |

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tomato_shared::id::PaymentId;
use tomato_shared::time::{DurationMs, UnixMs};

use super::NoAnswer;
use crate::clock::Clock;
use crate::engine::command::PaymentOutcome;
use crate::engine::task::{Task, TaskKind};

/// How long `card_slow` takes.
const SLOW: DurationMs = DurationMs::from_secs(10);
/// How long `card_timeout` stays silent.
const SILENT: DurationMs = DurationMs::from_secs(60);

/// The simulated provider.
#[derive(Debug)]
pub struct Simulated {
    clock: Clock,
    delay: DurationMs,
    /// When a silent payment was first asked for; an entry goes when its answer is given.
    silent_since: Mutex<BTreeMap<PaymentId, UnixMs>>,
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
    pub async fn call(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        let delay = if task.card == "card_slow" { SLOW } else { self.delay };
        tokio::time::sleep(self.clock.real(delay)).await;
        match task.kind {
            TaskKind::Authorise => self.authorise(task),
            TaskKind::Capture => Ok(PaymentOutcome::Captured),
            TaskKind::Void => Ok(PaymentOutcome::Voided),
            TaskKind::Refund => Ok(PaymentOutcome::Refunded),
            TaskKind::Tip if task.card == "card_declined" => Ok(PaymentOutcome::TipDeclined {
                code: task.card.clone(),
            }),
            TaskKind::Tip => Ok(PaymentOutcome::TipTaken),
        }
    }

    fn authorise(&self, task: &Task) -> Result<PaymentOutcome, NoAnswer> {
        match task.card.as_str() {
            "card_declined" | "card_insufficient_funds" => {
                return Ok(PaymentOutcome::Declined {
                    code: task.card.clone(),
                });
            }
            "card_timeout" => {
                let now = self.clock.now();
                let mut silent = self.silent_since.lock().unwrap_or_else(PoisonError::into_inner);
                let since = *silent.entry(task.payment_id).or_insert(now);
                if now - since < SILENT {
                    return Err(NoAnswer("the simulated card stays silent"));
                }
                silent.remove(&task.payment_id);
            }
            _ => {}
        }
        Ok(PaymentOutcome::Authorised {
            transaction_id: format!("sim_{}_{}", task.payment_id, task.attempt),
        })
    }
}
