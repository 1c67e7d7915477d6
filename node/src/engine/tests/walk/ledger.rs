//! The provider of a walk: it acts once per idempotency key, whether its answers arrived or not.

use std::collections::{BTreeMap, BTreeSet};

use tomato_shared::id::{OrderId, PaymentId, RefundId};
use tomato_shared::order::OrderState;

use super::super::world::World;
use super::rng::Rng;
use crate::engine::command::{Command, PaymentOutcome};
use crate::engine::model::{PaymentState, RefundState, TipState};
use crate::engine::task::{Task, TaskKind};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<PaymentId, Account>,
    /// Answers by idempotency key.
    answers: BTreeMap<Key, Command>,
    /// What the provider holds of each order: taken and not sent back, tips included.
    held: BTreeMap<OrderId, i64>,
}

type Key = (PaymentId, u32, TaskKind, Option<RefundId>);

#[derive(Debug, Default)]
struct Account {
    total_minor: i64,
    held_minor: i64,
    taken_minor: i64,
    returned_minor: i64,
    captures: u32,
    refunds: BTreeSet<RefundId>,
}

impl Ledger {
    /// Acts on a call once, and answers the same key the same way ever after.
    pub(super) fn call(&mut self, task: &Task, declines: bool) -> Command {
        let key = (task.payment_id, task.attempt, task.kind, task.refund_id);
        let (accounts, held) = (&mut self.accounts, &mut self.held);
        let act = || {
            let account = accounts.entry(task.payment_id).or_default();
            let before = account.kept_minor();
            let outcome = account.act(task, declines);
            *held.entry(task.order_id).or_insert(0) += account.kept_minor() - before;
            Command::PaymentOutcome {
                order_id: task.order_id,
                payment_id: task.payment_id,
                nth: task.nth,
                attempt: task.attempt,
                outcome,
            }
        };
        self.answers.entry(key).or_insert_with(act).clone()
    }

    /// Something that was said before.
    pub(super) fn again(&self, rng: &mut Rng) -> Option<Command> {
        let nth = rng.below(u32::try_from(self.answers.len()).unwrap());
        self.answers.values().nth(nth as usize).cloned()
    }

    /// What the provider holds of an order.
    pub(super) fn held_minor(&self, id: OrderId) -> i64 {
        self.held.get(&id).copied().unwrap_or(0)
    }

    /// I14: never two captures, never more sent back than was taken, never more taken than was promised.
    pub(super) fn check(&self) {
        for (id, account) in &self.accounts {
            assert!(account.captures <= 1, "{id}: {account:?}");
            assert!(
                (0..=account.taken_minor).contains(&account.returned_minor),
                "{id}: {account:?}"
            );
            assert!(
                account.taken_minor == 0 || account.taken_minor == account.total_minor,
                "{id}: {account:?}"
            );
        }
    }

    /// I17 and its counterpart, once every call is answered: what is kept of an order is what its row says.
    pub(super) fn settled(&self, world: &World) {
        for order in world.disk.orders.values() {
            let (id, payment) = (order.id, &order.payment);
            let none = Account::default();
            let account = self.accounts.get(&payment.id).unwrap_or(&none);
            assert_eq!(account.held_minor, 0, "{id}: held on to");
            let done = payment
                .refunds
                .iter()
                .filter(|refund| refund.state == RefundState::Done);
            let returned: i64 = done.map(|refund| refund.amount_minor).sum();
            let refused = payment
                .refunds
                .iter()
                .any(|refund| refund.state == RefundState::Refused);
            let kept = account.kept_minor();
            let tips = payment.tips.iter().filter(|tip| tip.state == TipState::Done);
            let tips: i64 = tips.map(|tip| tip.amount_minor).sum();
            assert_eq!(self.held_minor(id), kept + tips, "{id}: tips");
            match (order.state, payment.state) {
                (OrderState::Delivered, PaymentState::Captured) => {
                    assert_eq!(kept, payment.amount_minor - returned, "{id}");
                    assert!(refused || kept <= order.price.total_minor, "{id}: too much is kept");
                }
                (OrderState::Cancelled, PaymentState::Refunded) => {
                    assert_eq!(kept, payment.amount_minor - returned, "{id}");
                    assert!(kept <= payment.keep_minor, "{id}: kept");
                }
                (OrderState::Cancelled, PaymentState::Refunding) => assert!(refused, "{id}: not sent back"),
                (OrderState::Delivered, PaymentState::CashTaken | PaymentState::Declined)
                | (
                    OrderState::Cancelled | OrderState::PaymentFailed,
                    PaymentState::Voided | PaymentState::Declined | PaymentState::CashWaived,
                ) => assert_eq!(kept, 0, "{id}: kept"),
                left => panic!("{id}: {left:?}"),
            }
        }
    }
}

impl Account {
    fn kept_minor(&self) -> i64 {
        self.taken_minor - self.returned_minor
    }

    fn act(&mut self, task: &Task, declines: bool) -> PaymentOutcome {
        let amount = task.amount_minor;
        assert!(amount > 0, "{task:?}");
        let code = "card_declined".to_owned();
        if !matches!(task.kind, TaskKind::Authorise | TaskKind::Tip) {
            assert_eq!(task.transaction_id, format!("tx_{}", task.payment_id));
        }
        match task.kind {
            TaskKind::Authorise if declines => PaymentOutcome::Declined { code },
            TaskKind::Authorise => {
                assert_eq!(self.total_minor, 0, "a second authorisation: {self:?}");
                (self.total_minor, self.held_minor) = (amount, amount);
                PaymentOutcome::Authorised {
                    transaction_id: format!("tx_{}", task.payment_id),
                }
            }
            TaskKind::Capture => {
                assert_eq!(self.held_minor, amount, "a capture of what is not held: {self:?}");
                self.held_minor = 0;
                if declines {
                    return PaymentOutcome::CaptureRefused { code };
                }
                self.taken_minor += amount;
                self.captures += 1;
                PaymentOutcome::Captured
            }
            TaskKind::Void => {
                assert_eq!(self.held_minor, amount, "a void of what is not held: {self:?}");
                self.held_minor = 0;
                PaymentOutcome::Voided
            }
            TaskKind::Refund => {
                assert!(amount <= self.kept_minor(), "a refund of what was not taken: {self:?}");
                if declines {
                    return PaymentOutcome::RefundRefused { code };
                }
                assert!(
                    self.refunds.insert(task.refund_id.unwrap()),
                    "one refund twice: {self:?}"
                );
                self.returned_minor += amount;
                PaymentOutcome::Refunded
            }
            TaskKind::Tip => {
                assert_eq!(self.total_minor, 0, "a tip twice: {self:?}");
                self.total_minor = amount;
                if declines {
                    return PaymentOutcome::TipDeclined { code };
                }
                self.taken_minor = amount;
                self.captures += 1;
                PaymentOutcome::TipTaken
            }
        }
    }
}
