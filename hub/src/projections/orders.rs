//! Where each order stands.

use tomato_shared::cell::{Cell, RegionId};
use tomato_shared::event::{CancelReason, Event, OrderRef, PaymentMethod};
use tomato_shared::id::{DriverId, OrderId, RestaurantId, UserId};
use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::{Anomaly, AnomalyKind};

/// One row of the projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) region: RegionId,
    /// Version of the newest folded event.
    pub(crate) version: u32,
    pub(crate) state: OrderState,
    pub(crate) customer_id: UserId,
    /// The restaurant that was asked last.
    pub(crate) restaurant_id: RestaurantId,
    /// The driver who is bound to it, or who brought it.
    pub(crate) driver_id: Option<DriverId>,
    pub(crate) method: PaymentMethod,
    pub(crate) total_minor: i64,
    /// What went back after it had been taken.
    pub(crate) refunded_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) cell: Cell,
    pub(crate) placed_at: UnixMs,
    pub(crate) updated_at: UnixMs,
    pub(crate) final_at: Option<UnixMs>,
    pub(crate) cancel_reason: Option<CancelReason>,
}

/// An event about an order, as the hub received it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderEvent<'a> {
    /// By the stream's source.
    pub(crate) region: &'a RegionId,
    pub(crate) order: OrderRef,
    pub(crate) at: UnixMs,
    /// `None`: of a newer writer; only the order's version and time are known to change.
    pub(crate) event: Option<&'a Event>,
}

/// The row after an event. `before`: the row of the same order, if it exists. The row is changed as far as the event
/// makes sense; what does not is returned as anomalies.
pub(crate) fn fold(before: Option<&OrderRow>, incoming: OrderEvent<'_>) -> (Option<OrderRow>, Vec<Anomaly>) {
    let mut found = Vec::new();
    let mut note = |kind, detail: String| {
        found.push(Anomaly {
            order_id: Some(incoming.order.id),
            kind,
            detail,
        });
    };
    let name = incoming.event.map_or("an unknown event", Event::name);
    let Some(before) = before else {
        let created = incoming.event.and_then(|event| create(event, &incoming));
        if created.is_none() && !tells_of_no_order(incoming.event) {
            note(
                AnomalyKind::UnknownOrder,
                format!("{name} of an order that was never created"),
            );
        } else if created.is_some() && incoming.order.version != 1 {
            note(
                AnomalyKind::VersionGap,
                format!("created with version {}", incoming.order.version),
            );
        }
        return (created, found);
    };
    if before.region != *incoming.region {
        note(
            AnomalyKind::ForeignOrder,
            format!("{name} from {}, the order is {}'s", incoming.region, before.region),
        );
        return (Some(before.clone()), found);
    }
    if matches!(incoming.event, Some(Event::OrderCreated { .. })) {
        note(
            AnomalyKind::CreatedTwice,
            format!("created again with version {}", incoming.order.version),
        );
        return (Some(before.clone()), found);
    }
    let mut row = before.clone();
    if incoming.order.version != before.version.saturating_add(1) {
        note(
            AnomalyKind::VersionGap,
            format!("{name} is version {} after {}", incoming.order.version, before.version),
        );
    }
    row.version = before.version.max(incoming.order.version);
    row.updated_at = before.updated_at.max(incoming.at);
    let Some(event) = incoming.event else {
        return (Some(row), found);
    };
    if let Some(step) = event.step() {
        let Some(state) = before.state.step(step) else {
            note(
                AnomalyKind::IllegalStep,
                format!("{name} in state {}", before.state.name()),
            );
            return (Some(row), found);
        };
        row.state = state;
        row.final_at = state.is_final().then_some(incoming.at);
    }
    details(&mut row, event);
    (Some(row), found)
}

fn create(event: &Event, incoming: &OrderEvent<'_>) -> Option<OrderRow> {
    let Event::OrderCreated {
        customer_id,
        restaurant_id,
        lines: _,
        price,
        method,
        cell,
        ..
    } = event
    else {
        return None;
    };
    Some(OrderRow {
        id: incoming.order.id,
        region: incoming.region.clone(),
        version: incoming.order.version,
        state: OrderState::Pending,
        customer_id: *customer_id,
        restaurant_id: *restaurant_id,
        driver_id: None,
        method: *method,
        total_minor: price.total_minor,
        refunded_minor: 0,
        currency: price.currency,
        cell: *cell,
        placed_at: incoming.at,
        updated_at: incoming.at,
        final_at: None,
        cancel_reason: None,
    })
}

/// A reservation that failed may carry the id of the order that therefore never came to be.
fn tells_of_no_order(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::InventoryReservationFailed { .. }))
}

fn details(row: &mut OrderRow, event: &Event) {
    match event {
        Event::RestaurantAssigned { restaurant_id, .. } | Event::OrderPreparing { restaurant_id, .. } => {
            row.restaurant_id = *restaurant_id;
        }
        Event::DriverAssigned { driver_id, .. }
        | Event::OrderPickedUp { driver_id }
        | Event::OrderDelivered { driver_id, .. } => row.driver_id = Some(*driver_id),
        Event::DriverCancelled { .. } | Event::DriverUnassigned { .. } => row.driver_id = None,
        Event::OrderChanged { price, .. } => row.total_minor = price.total_minor,
        Event::DeliveryFailed { .. } => row.cancel_reason = Some(CancelReason::DeliveryFailed),
        Event::OrderCancelled { reason, .. } => row.cancel_reason = Some(*reason),
        Event::PaymentRefunded {
            amount_minor,
            voided: false,
            ..
        } => row.refunded_minor = row.refunded_minor.saturating_add(*amount_minor),
        Event::PaymentRefunded { voided: true, .. }
        | Event::OrderCreated { .. }
        | Event::InventoryReserved { .. }
        | Event::InventoryReservationFailed { .. }
        | Event::InventoryReleased { .. }
        | Event::PaymentCompleted { .. }
        | Event::PaymentCaptured { .. }
        | Event::PaymentFailed { .. }
        | Event::OrderConfirmed { .. }
        | Event::RestaurantDeclined { .. }
        | Event::RestaurantAssignmentFailed { .. }
        | Event::OrderReady { .. }
        | Event::DriverOffered { .. }
        | Event::DriverOfferEnded { .. }
        | Event::DriverArrived { .. }
        | Event::RatingRequested { .. }
        | Event::DriverStatusChanged { .. }
        | Event::OrderScheduled { .. }
        | Event::RefundRequested { .. }
        | Event::RefundFailed { .. }
        | Event::LedgerPosted { .. }
        | Event::OrderOverdue { .. }
        | Event::OrderDelayed { .. }
        | Event::ChangeProposed { .. }
        | Event::ChangeEnded { .. }
        | Event::DeliveryReturned { .. }
        | Event::OrderRated { .. }
        | Event::OrderTipped { .. }
        | Event::TipFailed { .. }
        | Event::CashDeposited { .. }
        | Event::RegionStatusChanged { .. }
        | Event::RestaurantUpdated { .. } => {}
    }
}

#[cfg(test)]
mod tests;
