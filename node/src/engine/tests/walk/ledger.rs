//! The provider's own record: what it holds, took and sent back, whether its answers arrived or not.

use std::collections::BTreeMap;

use tomato_shared::id::{OrderId, PaymentId};
use tomato_shared::order::OrderState;

use super::super::world::World;
use super::rng::Rng;
use crate::engine::command::{Command, PaymentOutcome};
use crate::engine::model::PaymentState;
use crate::engine::payment::{Task, TaskKind};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<PaymentId, Account>,
    /// Answers by idempotency key.
    answers: BTreeMap<(PaymentId, u32, TaskKind), (OrderId, PaymentOutcome)>,
}

#[derive(Debug, Default)]
struct Account {
    total_minor: i64,
    held_minor: i64,
    taken_minor: i64,
    returned_minor: i64,
    captures: u32,
    refunds: u32,
}

impl Ledger {
    /// Acts on a call once, and answers the same key the same way ever after.
    pub(super) fn call(&mut self, task: &Task, declines: bool) -> Command {
        let key = (task.payment_id, task.attempt, task.kind);
        let act = || {
            let account = self.accounts.entry(task.payment_id).or_default();
            (task.order_id, account.act(task, declines))
        };
        let (order_id, outcome) = self.answers.entry(key).or_insert_with(act).clone();
        command(order_id, task.payment_id, outcome)
    }

    /// Something that was said before.
    pub(super) fn again(&self, rng: &mut Rng) -> Option<Command> {
        let nth = rng.below(u32::try_from(self.answers.len()).unwrap());
        let ((payment_id, ..), (order_id, outcome)) = self.answers.iter().nth(nth as usize)?;
        Some(command(*order_id, *payment_id, outcome.clone()))
    }

    /// I14: what is kept of an order is nothing or its total, and there are never two captures.
    pub(super) fn check(&self) {
        for (id, account) in &self.accounts {
            let kept = account.taken_minor - account.returned_minor;
            assert!(kept == 0 || kept == account.total_minor, "{id}: {account:?}");
            assert!(account.captures <= 1 && account.refunds <= 1, "{id}: {account:?}");
        }
    }

    /// I17 and its counterpart, once every call is answered: nothing is kept of what was given up, all of what was delivered.
    pub(super) fn settled(&self, world: &World) {
        for order in world.disk.orders.values() {
            let none = Account::default();
            let account = self.accounts.get(&order.payment.id).unwrap_or(&none);
            let kept = account.taken_minor - account.returned_minor;
            assert_eq!(account.held_minor, 0, "{}: held on to", order.id);
            match (order.state, order.payment.state) {
                (OrderState::Delivered, PaymentState::Captured) => assert_eq!(kept, order.price.total_minor),
                (OrderState::Delivered, PaymentState::CashTaken) => assert_eq!(account.taken_minor, 0),
                (
                    OrderState::Cancelled | OrderState::PaymentFailed,
                    PaymentState::Voided | PaymentState::Refunded | PaymentState::Declined | PaymentState::CashWaived,
                ) => assert_eq!(kept, 0, "{}: kept", order.id),
                left => panic!("{}: {left:?}", order.id),
            }
        }
    }
}

fn command(order_id: OrderId, payment_id: PaymentId, outcome: PaymentOutcome) -> Command {
    Command::PaymentOutcome {
        order_id,
        payment_id,
        outcome,
    }
}

impl Account {
    fn act(&mut self, task: &Task, declines: bool) -> PaymentOutcome {
        let amount = task.amount_minor;
        match task.kind {
            TaskKind::Authorise if declines => {
                return PaymentOutcome::Declined {
                    code: "card_declined".into(),
                };
            }
            TaskKind::Authorise => {
                assert_eq!(self.total_minor, 0, "a second authorisation: {self:?}");
                (self.total_minor, self.held_minor) = (amount, amount);
                return PaymentOutcome::Authorised {
                    transaction_id: format!("tx_{}", task.payment_id),
                };
            }
            TaskKind::Capture => {
                assert_eq!(self.held_minor, amount, "a capture of what is not held: {self:?}");
                (self.held_minor, self.taken_minor) = (0, self.taken_minor + amount);
                self.captures += 1;
            }
            TaskKind::Void => {
                assert_eq!(self.held_minor, amount, "a void of what is not held: {self:?}");
                self.held_minor = 0;
            }
            TaskKind::Refund => {
                assert_eq!(self.taken_minor, amount, "a refund of what was not taken: {self:?}");
                self.returned_minor += amount;
                self.refunds += 1;
            }
        }
        assert_eq!(task.transaction_id, format!("tx_{}", task.payment_id));
        match task.kind {
            TaskKind::Authorise | TaskKind::Capture => PaymentOutcome::Captured,
            TaskKind::Void => PaymentOutcome::Voided,
            TaskKind::Refund => PaymentOutcome::Refunded,
        }
    }
}
