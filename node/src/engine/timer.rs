//! Deadlines. Each is a row, so that a restart forgets none; when one comes, it is a command like any other.

use tomato_shared::id::{DriverId, OrderId};

/// Names a deadline; setting it again moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// The hold of an unpaid order ends.
    HoldExpiry(OrderId),
    /// The restaurant had to answer.
    AcceptBy(OrderId),
    /// The driver had to answer.
    OfferExpiry(OrderId),
    /// Time to ask for a rating.
    RatingRequest(OrderId),
    /// No driver was found for too long.
    SearchEnds(OrderId),
    /// Time to ask the restaurant for a scheduled order.
    Release(OrderId),
    /// The restaurant has been silent for a while.
    Escalate(OrderId),
    /// Something promised is late.
    Overdue(OrderId),
    /// The customer had to answer a proposed change.
    ChangeExpiry(OrderId),
    /// The driver wanted to stop.
    ShiftEnds(DriverId),
}

impl TimerKey {
    /// Number of the kind and the bytes of the subject's id, as stored. Numbers are never reused.
    pub const fn to_stored(self) -> (i64, [u8; 16]) {
        match self {
            Self::HoldExpiry(id) => (1, *id.bytes()),
            Self::AcceptBy(id) => (2, *id.bytes()),
            Self::OfferExpiry(id) => (3, *id.bytes()),
            Self::RatingRequest(id) => (4, *id.bytes()),
            Self::SearchEnds(id) => (5, *id.bytes()),
            Self::Release(id) => (6, *id.bytes()),
            Self::Escalate(id) => (7, *id.bytes()),
            Self::Overdue(id) => (8, *id.bytes()),
            Self::ChangeExpiry(id) => (9, *id.bytes()),
            Self::ShiftEnds(id) => (10, *id.bytes()),
        }
    }

    /// The key of a stored pair; `None` for a kind that this version does not know.
    pub const fn from_stored(kind: i64, subject: [u8; 16]) -> Option<Self> {
        let order = OrderId::from_bytes(subject);
        match kind {
            1 => Some(Self::HoldExpiry(order)),
            2 => Some(Self::AcceptBy(order)),
            3 => Some(Self::OfferExpiry(order)),
            4 => Some(Self::RatingRequest(order)),
            5 => Some(Self::SearchEnds(order)),
            6 => Some(Self::Release(order)),
            7 => Some(Self::Escalate(order)),
            8 => Some(Self::Overdue(order)),
            9 => Some(Self::ChangeExpiry(order)),
            10 => Some(Self::ShiftEnds(DriverId::from_bytes(subject))),
            _ => None,
        }
    }

    /// The order the deadline belongs to.
    pub const fn order_id(self) -> Option<OrderId> {
        match self {
            Self::HoldExpiry(id)
            | Self::AcceptBy(id)
            | Self::OfferExpiry(id)
            | Self::RatingRequest(id)
            | Self::SearchEnds(id)
            | Self::Release(id)
            | Self::Escalate(id)
            | Self::Overdue(id)
            | Self::ChangeExpiry(id) => Some(id),
            Self::ShiftEnds(_) => None,
        }
    }
}
