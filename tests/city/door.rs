//! The doors of customers: what a driver finds out by ringing, and nobody learns from the API.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tomato_shared::id::OrderId;

/// What happens when the driver rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// The customer says the PIN.
    Pin(String),
    /// Nobody opens, and the order may not be left there.
    Absent,
    /// Leave it there and take a photo.
    LeaveIt,
}

/// All doors of a city.
#[derive(Debug, Default)]
pub struct Doors(Mutex<BTreeMap<OrderId, Door>>);

impl Doors {
    /// The customer decides what will happen at the door.
    pub fn set(&self, order: OrderId, door: Door) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(order, door);
    }

    /// The driver rings. Doors of unknown customers (of an earlier run on the same data) have a safe place.
    pub fn ring(&self, order: OrderId) -> Door {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&order)
            .cloned()
            .unwrap_or(Door::LeaveIt)
    }
}
