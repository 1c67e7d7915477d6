//! The states of an order and of its delivery, and the one table of legal transitions.
//!
//! The node decides with this table and the hub folds with it, so that the two cannot disagree about what an event
//! does to an order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// Placed and priced, stock held, the payment's outcome is awaited.
    Pending,
    /// Money authorised or captured, or cash chosen; a restaurant has to accept.
    Confirmed,
    /// The provider said no for good. Final.
    PaymentFailed,
    /// The restaurant cooks.
    Preparing,
    /// Waiting at the restaurant for its driver.
    ReadyForPickup,
    /// With the driver.
    OutForDelivery,
    /// With the customer. Final.
    Delivered,
    /// Given up; whatever was paid goes back. Final.
    Cancelled,
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStep {
    /// The payment is authorised, or cash was chosen.
    Confirm,
    /// The provider declined.
    FailPayment,
    /// The restaurant accepts.
    Accept,
    /// The restaurant has cooked.
    MakeReady,
    /// The driver takes the order along.
    PickUp,
    /// The driver hands it over.
    Deliver,
    /// The driver could not hand it over.
    FailDelivery,
    /// Given up before pickup: by the customer, the restaurant, an operator or for want of a driver.
    Cancel,
}

impl OrderState {
    /// All states, in the order of a life.
    pub const ALL: [OrderState; 8] = [
        OrderState::Pending,
        OrderState::Confirmed,
        OrderState::PaymentFailed,
        OrderState::Preparing,
        OrderState::ReadyForPickup,
        OrderState::OutForDelivery,
        OrderState::Delivered,
        OrderState::Cancelled,
    ];

    /// The state after `step`, or `None` where the step is not legal.
    pub const fn step(self, step: OrderStep) -> Option<OrderState> {
        use {OrderState as S, OrderStep as T};
        match (self, step) {
            (S::Pending, T::Confirm) => Some(S::Confirmed),
            (S::Pending, T::FailPayment) => Some(S::PaymentFailed),
            (S::Confirmed, T::Accept) => Some(S::Preparing),
            (S::Preparing, T::MakeReady) => Some(S::ReadyForPickup),
            (S::ReadyForPickup, T::PickUp) => Some(S::OutForDelivery),
            (S::OutForDelivery, T::Deliver) => Some(S::Delivered),
            (S::OutForDelivery, T::FailDelivery) => Some(S::Cancelled),
            (S::Pending | S::Confirmed | S::Preparing | S::ReadyForPickup, T::Cancel) => Some(S::Cancelled),
            (
                S::Pending
                | S::Confirmed
                | S::PaymentFailed
                | S::Preparing
                | S::ReadyForPickup
                | S::OutForDelivery
                | S::Delivered
                | S::Cancelled,
                _,
            ) => None,
        }
    }

    /// Whether nothing more can happen to the order itself (ratings, tips and refunds still can).
    pub const fn is_final(self) -> bool {
        matches!(self, Self::PaymentFailed | Self::Delivered | Self::Cancelled)
    }

    /// The name as it stands in the API and in SQLite, `READY_FOR_PICKUP`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::Preparing => "PREPARING",
            Self::ReadyForPickup => "READY_FOR_PICKUP",
            Self::OutForDelivery => "OUT_FOR_DELIVERY",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Where the driver's side of an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryState {
    /// No driver yet.
    Searching,
    /// Shown to one driver, who has until the offer's expiry to answer.
    Offered,
    /// A driver has accepted and is on the way to the restaurant.
    Assigned,
    /// The driver waits at the restaurant.
    AtRestaurant,
    /// The driver has the order.
    PickedUp,
    /// Handed over. Final.
    Completed,
    /// Could not be handed over; the driver brings it back to the restaurant.
    Returning,
    /// Could not be handed over, and is back. Final.
    Returned,
    /// Could not be handed over, and need not come back. Final.
    Failed,
    /// The order was given up. Final.
    Cancelled,
}

impl DeliveryState {
    /// Whether a driver is bound to the delivery.
    pub const fn has_driver(self) -> bool {
        matches!(
            self,
            Self::Assigned | Self::AtRestaurant | Self::PickedUp | Self::Returning
        )
    }

    /// Whether nothing more can happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Returned | Self::Failed | Self::Cancelled)
    }

    /// The name as it stands in the API and in SQLite.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Searching => "SEARCHING",
            Self::Offered => "OFFERED",
            Self::Assigned => "ASSIGNED",
            Self::AtRestaurant => "AT_RESTAURANT",
            Self::PickedUp => "PICKED_UP",
            Self::Completed => "COMPLETED",
            Self::Returning => "RETURNING",
            Self::Returned => "RETURNED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [OrderStep; 8] = [
        OrderStep::Confirm,
        OrderStep::FailPayment,
        OrderStep::Accept,
        OrderStep::MakeReady,
        OrderStep::PickUp,
        OrderStep::Deliver,
        OrderStep::FailDelivery,
        OrderStep::Cancel,
    ];

    #[test]
    fn final_states_absorb() {
        for state in OrderState::ALL.into_iter().filter(|state| state.is_final()) {
            assert!(STEPS.iter().all(|step| state.step(*step).is_none()), "{state:?}");
        }
    }

    #[test]
    fn every_state_is_reached_and_every_other_state_can_end() {
        let mut reached = vec![OrderState::Pending];
        let mut next = 0;
        while next < reached.len() {
            for step in STEPS {
                if let Some(state) = reached[next].step(step).filter(|state| !reached.contains(state)) {
                    reached.push(state);
                }
            }
            next += 1;
        }
        assert_eq!(reached.len(), OrderState::ALL.len());
        for state in OrderState::ALL {
            assert!(
                state.is_final() || STEPS.iter().any(|step| state.step(*step).is_some()),
                "{state:?} is stuck"
            );
        }
    }

    #[test]
    fn nobody_eats_unpaid() {
        for state in OrderState::ALL {
            let leads_to_food = state.step(OrderStep::Accept).is_some();
            assert_eq!(leads_to_food, state == OrderState::Confirmed, "{state:?}");
        }
    }

    #[test]
    fn names_are_the_serialised_form() {
        for state in OrderState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.name()));
            assert_eq!(OrderState::from_name(state.name()), Some(state));
        }
        assert_eq!(OrderState::from_name("EATEN"), None);
    }
}
