//! The money invariants of a walk: what was posted, order by order and driver by driver.

use std::collections::BTreeMap;

use tomato_shared::event::books::Account;
use tomato_shared::event::{Event, Price};
use tomato_shared::id::{OrderId, UserId};
use tomato_shared::order::OrderState;

use super::super::world::World;
use super::ledger::Ledger;
use crate::engine::command::Command;
use crate::engine::model::{Order, PaymentState, Refund, RefundState};

#[derive(Debug, Default)]
pub(super) struct Books {
    orders: BTreeMap<OrderId, BTreeMap<Account, i64>>,
    region: BTreeMap<Account, i64>,
}

impl Books {
    pub(super) fn step(&mut self, world: &World, command: &Command) {
        for new in &world.last.events {
            let Event::LedgerPosted { entries, .. } = &new.event else {
                continue;
            };
            // I20.
            let sum: i64 = entries.iter().map(|entry| entry.amount_minor).sum();
            assert_eq!(sum, 0, "{command:?}: {entries:?}");
            assert!(
                entries.iter().all(|entry| entry.amount_minor != 0),
                "{command:?}: {entries:?}"
            );
            for entry in entries {
                *self.region.entry(entry.account).or_insert(0) += entry.amount_minor;
                if let Some((id, _)) = new.order {
                    let accounts = self.orders.entry(id).or_default();
                    *accounts.entry(entry.account).or_insert(0) += entry.amount_minor;
                }
            }
        }
        for order in world.last.orders.values() {
            let at_rest = !world.disk.tasks.keys().any(|key| key.order_id == order.id);
            adds_up(order);
            if at_rest && order.state.is_final() {
                self.settled(order);
            }
        }
        for row in world.city.drivers() {
            let driver_id = row.id;
            let in_hand = self.region.get(&Account::CashInHand { driver_id });
            assert_eq!(in_hand.copied().unwrap_or(0), row.cash_minor, "{driver_id}: cash");
            assert!(row.cash_minor >= 0, "{driver_id}: cash");
        }
        promotions(world, command);
    }

    fn of(&self, id: OrderId, account: Account) -> i64 {
        self.orders
            .get(&id)
            .and_then(|accounts| accounts.get(&account))
            .copied()
            .unwrap_or(0)
    }

    /// What a customer paid and is neither earned nor sent back is nothing, unless the provider refused something.
    fn settled(&self, order: &Order) {
        let payment = &order.payment;
        let left = self.of(order.id, Account::CustomerPayments);
        let earned = if order.state == OrderState::Delivered {
            order.price.total_minor
        } else {
            payment.keep_minor
        };
        if payment.state == PaymentState::Declined {
            assert!(left == 0 || left == earned, "{}: {left} of {earned}", order.id);
            return;
        }
        let sum = |counts: &dyn Fn(&Refund) -> bool| -> i64 {
            let refunds = payment.refunds.iter().filter(|refund| counts(refund));
            refunds.map(|refund| refund.amount_minor).sum()
        };
        let done = sum(&|refund| refund.unearned && refund.state == RefundState::Done);
        let refused = sum(&|refund| refund.unearned && refund.state == RefundState::Refused);
        let expected = if payment.state.is_taken() {
            earned + done - payment.amount_minor
        } else {
            0
        };
        assert_eq!(left, expected, "{}: {payment:?}", order.id);
        assert!((-refused..=0).contains(&left), "{}: {payment:?}", order.id);
        // Nobody bears what was never earned.
        let borne = sum(&|refund| !refund.unearned && refund.state != RefundState::Refused);
        assert!(borne <= earned, "{}: {payment:?}", order.id);
    }

    /// Once every call is answered: what the books say of the provider is what it has.
    pub(super) fn quiescent(&self, world: &World, ledger: &Ledger) {
        for id in world.disk.orders.keys() {
            let posted = self.of(*id, Account::ProviderClearing);
            assert_eq!(posted, ledger.held_minor(*id), "{id}: provider clearing");
        }
        let sum: i64 = self.region.values().sum();
        assert_eq!(sum, 0, "the accounts of the region");
    }
}

/// The parts of a price are the whole, no part is negative, and no more goes back than came.
fn adds_up(order: &Order) {
    let Price {
        items_minor,
        delivery_fee_minor,
        service_fee_minor,
        tax_minor,
        discount_minor,
        tip_minor,
        total_minor,
        ..
    } = order.price;
    let parts = [items_minor, delivery_fee_minor, service_fee_minor, tax_minor, tip_minor];
    assert!(
        parts.iter().all(|part| *part >= 0) && discount_minor >= 0,
        "{:?}",
        order.price
    );
    assert_eq!(
        parts.iter().sum::<i64>() - discount_minor,
        total_minor,
        "{:?}",
        order.price
    );
    let lines = order
        .lines
        .iter()
        .map(|line| line.unit_minor * i64::from(line.quantity));
    assert_eq!(lines.sum::<i64>(), items_minor, "{:?}", order.lines);
    let payment = &order.payment;
    assert!(payment.returned_minor() <= payment.amount_minor, "{payment:?}");
    assert!(payment.keep_minor <= total_minor, "{payment:?}");
    let waiting = payment
        .refunds
        .iter()
        .any(|refund| refund.state == RefundState::Waiting);
    assert!(!waiting || payment.state == PaymentState::Capturing, "{payment:?}");
}

/// Uses are the orders that count, and no order was taken beyond them.
fn promotions(world: &World, command: &Command) {
    let mut uses: BTreeMap<(String, UserId), u32> = BTreeMap::new();
    let mut totals: BTreeMap<String, u32> = BTreeMap::new();
    for order in world.disk.orders.values() {
        let counts = !matches!(order.state, OrderState::Cancelled | OrderState::PaymentFailed);
        let Some(promo) = order.promo.as_ref() else { continue };
        *uses.entry((promo.code.clone(), order.customer_id)).or_insert(0) += u32::from(counts);
        *totals.entry(promo.code.clone()).or_insert(0) += u32::from(counts);
    }
    for (key, found) in &uses {
        assert_eq!(world.city.promo_uses(key), *found, "{key:?}");
    }
    for (code, found) in &totals {
        assert_eq!(world.city.promo_total(code), *found, "{code}");
    }
    if !matches!(command, Command::PlaceOrder(_)) {
        return;
    }
    for key in world.last.promo_uses.keys() {
        let row = &world.city.catalogue().promotions[&key.0];
        let (one, all) = (world.city.promo_uses(key), world.city.promo_total(&key.0));
        assert!(
            one <= row.uses_per_customer_max && all <= row.uses_max,
            "{key:?}: {one}, {all}"
        );
    }
}
