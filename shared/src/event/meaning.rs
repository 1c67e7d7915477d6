//! What an event is called, and what it does to the state of its order.

use super::{CancelReason, Event};
use crate::order::OrderStep;

impl Event {
    /// The name under which the event is published and serialised.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrderCreated { .. } => "order.created",
            Self::InventoryReserved { .. } => "inventory.reserved",
            Self::InventoryReservationFailed { .. } => "inventory.reservation.failed",
            Self::InventoryReleased { .. } => "inventory.released",
            Self::PaymentCompleted { .. } => "payment.completed",
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentFailed { .. } => "payment.failed",
            Self::PaymentRefunded { .. } => "payment.refunded",
            Self::OrderConfirmed { .. } => "order.confirmed",
            Self::RestaurantAssigned { .. } => "restaurant.assigned",
            Self::RestaurantDeclined { .. } => "restaurant.declined",
            Self::RestaurantAssignmentFailed { .. } => "restaurant.assignment.failed",
            Self::OrderPreparing { .. } => "order.preparing",
            Self::OrderReady { .. } => "order.ready",
            Self::DriverOffered { .. } => "driver.offered",
            Self::DriverOfferEnded { .. } => "driver.offer.ended",
            Self::DriverAssigned { .. } => "driver.assigned",
            Self::DriverArrived { .. } => "driver.arrived",
            Self::DriverCancelled { .. } => "driver.cancelled",
            Self::OrderPickedUp { .. } => "order.picked_up",
            Self::OrderDelivered { .. } => "order.delivered",
            Self::DeliveryFailed { .. } => "delivery.failed",
            Self::OrderCancelled { .. } => "order.cancelled",
            Self::RatingRequested { .. } => "order.rating.requested",
            Self::DriverStatusChanged { .. } => "driver.status.changed",
            Self::OrderScheduled { .. } => "order.scheduled",
            Self::RefundRequested { .. } => "payment.refund.requested",
            Self::RefundFailed { .. } => "payment.refund.failed",
            Self::CaptureFailed { .. } => "payment.capture.failed",
            Self::PaymentActionRequired { .. } => "payment.action_required",
            Self::PaymentDisputed { .. } => "payment.disputed",
            Self::PaymentDeclined { .. } => "payment.declined",
            Self::PaymentRetried { .. } => "payment.retried",
            Self::ProofRefused { .. } => "delivery.proof.refused",
            Self::LedgerPosted { .. } => "ledger.posted",
            Self::OrderOverdue { .. } => "order.overdue",
            Self::OrderDelayed { .. } => "order.delayed",
            Self::ChangeProposed { .. } => "order.change.proposed",
            Self::OrderChanged { .. } => "order.changed",
            Self::ChangeEnded { .. } => "order.change.ended",
            Self::DriverUnassigned { .. } => "driver.unassigned",
            Self::DeliveryReturned { .. } => "delivery.returned",
            Self::OrderRated { .. } => "order.rated",
            Self::OrderTipped { .. } => "order.tipped",
            Self::TipFailed { .. } => "order.tip.failed",
            Self::DriverHandedOver(_) => "driver.handed_over",
            Self::DriverTakenOver(_) => "driver.taken_over",
            Self::CashDeposited(_) => "driver.cash.deposited",
            Self::RegionStatusChanged(_) => "region.status.changed",
            Self::IncarnationStarted { .. } => "region.incarnation.started",
            Self::CellsMoved(_) => "region.cells.moved",
            Self::RestaurantUpdated { .. } => "restaurant.updated",
        }
    }

    /// What the event does to its order's state; `None` where the state stays.
    pub const fn step(&self) -> Option<OrderStep> {
        match self {
            Self::OrderConfirmed { .. } => Some(OrderStep::Confirm),
            Self::PaymentFailed { .. } => Some(OrderStep::FailPayment),
            Self::OrderPreparing { .. } => Some(OrderStep::Accept),
            Self::OrderReady { .. } => Some(OrderStep::MakeReady),
            Self::OrderPickedUp { .. } => Some(OrderStep::PickUp),
            Self::OrderDelivered { .. } => Some(OrderStep::Deliver),
            // A failed hand-over is always told together with the cancellation that ends the order.
            Self::DeliveryFailed { .. } => Some(OrderStep::FailDelivery),
            Self::OrderCancelled {
                reason: CancelReason::DeliveryFailed,
                ..
            } => None,
            Self::OrderCancelled { .. } => Some(OrderStep::Cancel),
            Self::OrderCreated { .. }
            | Self::InventoryReserved { .. }
            | Self::InventoryReservationFailed { .. }
            | Self::InventoryReleased { .. }
            | Self::PaymentCompleted { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentRefunded { .. }
            | Self::RestaurantAssigned { .. }
            | Self::RestaurantDeclined { .. }
            | Self::RestaurantAssignmentFailed { .. }
            | Self::DriverOffered { .. }
            | Self::DriverOfferEnded { .. }
            | Self::DriverAssigned { .. }
            | Self::DriverArrived { .. }
            | Self::DriverCancelled { .. }
            | Self::RatingRequested { .. }
            | Self::DriverStatusChanged { .. }
            | Self::OrderScheduled { .. }
            | Self::RefundRequested { .. }
            | Self::RefundFailed { .. }
            | Self::CaptureFailed { .. }
            | Self::PaymentActionRequired { .. }
            | Self::PaymentDisputed { .. }
            | Self::PaymentDeclined { .. }
            | Self::PaymentRetried { .. }
            | Self::ProofRefused { .. }
            | Self::LedgerPosted { .. }
            | Self::OrderOverdue { .. }
            | Self::OrderDelayed { .. }
            | Self::ChangeProposed { .. }
            | Self::OrderChanged { .. }
            | Self::ChangeEnded { .. }
            | Self::DriverUnassigned { .. }
            | Self::DeliveryReturned { .. }
            | Self::OrderRated { .. }
            | Self::OrderTipped { .. }
            | Self::TipFailed { .. }
            | Self::CashDeposited(_)
            | Self::DriverHandedOver(_)
            | Self::DriverTakenOver(_)
            | Self::RegionStatusChanged(_)
            | Self::IncarnationStarted { .. }
            | Self::CellsMoved(_)
            | Self::RestaurantUpdated { .. } => None,
        }
    }
}
