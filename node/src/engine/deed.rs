//! What an operator has done, for the audit log: which act, on what, with which numbers. No personal data.

use serde_json::{Value, json};

use super::command::{Command, DriverCommand, OrderCommand, RefundAmount, RestaurantCommand};

/// One privileged act.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What was done, `order.refund`.
    pub action: &'static str,
    /// Id of what it was done to; empty for the region.
    pub subject: String,
    /// What more there is to know.
    pub detail: Value,
}

fn deed(action: &'static str, subject: impl ToString, detail: Value) -> Deed {
    Deed {
        action,
        subject: subject.to_string(),
        detail,
    }
}

/// The act that a command is when an operator gives it; `None` for what only the region itself asks for.
pub fn of(command: &Command) -> Option<Deed> {
    match command {
        Command::PlaceOrder(_) => Some(deed("order.place", "", json!({}))),
        Command::Order(id, command) => {
            let (action, detail) = with_order(command);
            Some(deed(action, id, detail))
        }
        Command::AcceptOffer(id) => Some(deed("offer.accept", id, json!({}))),
        Command::DeclineOffer(id) => Some(deed("offer.decline", id, json!({}))),
        Command::Restaurant(id, command) => {
            let (action, detail) = with_restaurant(command);
            Some(deed(action, id, detail))
        }
        Command::Driver(id, command) => {
            let (action, detail) = with_driver(command);
            Some(deed(action, id, detail))
        }
        Command::PutPromotion(row) => {
            let detail = json!({"active": row.active, "uses_max": row.uses_max});
            Some(deed("promotion.put", &row.code, detail))
        }
        Command::PauseRegion { paused, reason } => {
            let action = if *paused { "region.pause" } else { "region.resume" };
            Some(deed(action, "", json!({"reason": reason})))
        }
        Command::PaymentOutcome { .. }
        | Command::ProviderEvent(_)
        | Command::CardsDown(_)
        | Command::TakeControl(_)
        | Command::TakeMap(_)
        | Command::TakeIn(..)
        | Command::HandOut(_)
        | Command::TimerDue(_)
        | Command::Dispatch(_)
        | Command::Round(_) => None,
    }
}

fn with_order(command: &OrderCommand) -> (&'static str, Value) {
    match command {
        OrderCommand::Pay { .. } => ("order.pay", json!({})),
        OrderCommand::Cancel => ("order.cancel", json!({})),
        OrderCommand::Accept(ready_in) => ("order.accept", json!({"ready_in_ms": ready_in.0})),
        OrderCommand::Reject { why, .. } => ("order.reject", json!({"reason": why.name()})),
        OrderCommand::Delay(ready_in) => ("order.delay", json!({"ready_in_ms": ready_in.0})),
        OrderCommand::MarkReady => ("order.ready", json!({})),
        OrderCommand::ProposeChange { .. } => ("order.change.propose", json!({})),
        OrderCommand::AnswerChange(agreed) => ("order.change.answer", json!({"agreed": agreed})),
        OrderCommand::Rate { .. } => ("order.rate", json!({})),
        OrderCommand::Tip { amount_minor, .. } => ("order.tip", json!({"amount_minor": amount_minor})),
        OrderCommand::Refund {
            amount,
            reason,
            borne_by,
        } => {
            let amount_minor = match amount {
                RefundAmount::Minor(minor) => Some(*minor),
                RefundAmount::Rest | RefundAmount::Lines(_) => None,
            };
            let detail = json!({"amount_minor": amount_minor, "reason": reason.name(), "borne_by": borne_by.name()});
            ("order.refund", detail)
        }
        OrderCommand::Assign(driver_id) => ("order.assign", json!({"driver_id": driver_id})),
        OrderCommand::Unassign => ("order.unassign", json!({})),
        OrderCommand::Arrive => ("delivery.arrive", json!({})),
        OrderCommand::PickUp => ("delivery.pickup", json!({})),
        OrderCommand::Complete(proof) => ("delivery.complete", json!({"proof": proof.kind()})),
        OrderCommand::FailDelivery(reason) => ("delivery.fail", json!({"reason": reason})),
        OrderCommand::Return => ("delivery.return", json!({})),
        OrderCommand::GiveBack => ("delivery.cancel", json!({})),
    }
}

fn with_restaurant(command: &RestaurantCommand) -> (&'static str, Value) {
    match command {
        RestaurantCommand::Put(wanted) => ("restaurant.put", json!({"items": wanted.restaurant.menu.len()})),
        RestaurantCommand::PutMenu { menu, .. } => ("restaurant.menu", json!({"items": menu.len()})),
        RestaurantCommand::PutHours { .. } => ("restaurant.hours", json!({})),
        RestaurantCommand::SetStatus { open, pause, .. } => {
            let pause_ms = pause.map(|span| span.0);
            ("restaurant.status", json!({"open": open, "pause_ms": pause_ms}))
        }
        RestaurantCommand::Suspend(suspended) => ("restaurant.suspend", json!({"suspended": suspended})),
        RestaurantCommand::SetItem { item_id, available, .. } => {
            ("restaurant.item", json!({"item_id": item_id, "available": available}))
        }
    }
}

fn with_driver(command: &DriverCommand) -> (&'static str, Value) {
    match command {
        DriverCommand::Put { .. } => ("driver.put", json!({})),
        DriverCommand::Plan(spans) => ("driver.plan", json!({"shifts": spans.len()})),
        DriverCommand::SetOnline { online, .. } => ("driver.status", json!({"online": online})),
        DriverCommand::DepositCash(amount_minor) => ("driver.cash", json!({"amount_minor": amount_minor})),
        // Regions among themselves; no operator's doing.
        DriverCommand::Cross(_) => ("driver.cross", json!({})),
    }
}
