//! Deadlines. Each is a row, so that a restart forgets none; when one comes, it is a command like any other.

use tomato_shared::id::OrderId;

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
}

impl TimerKey {
    /// Number of the kind and the subject, as stored. Numbers are never reused.
    pub const fn to_stored(self) -> (i64, OrderId) {
        match self {
            Self::HoldExpiry(id) => (1, id),
            Self::AcceptBy(id) => (2, id),
            Self::OfferExpiry(id) => (3, id),
            Self::RatingRequest(id) => (4, id),
            Self::SearchEnds(id) => (5, id),
        }
    }

    /// The key of a stored pair; `None` for a kind that this version does not know.
    pub const fn from_stored(kind: i64, subject: OrderId) -> Option<Self> {
        match kind {
            1 => Some(Self::HoldExpiry(subject)),
            2 => Some(Self::AcceptBy(subject)),
            3 => Some(Self::OfferExpiry(subject)),
            4 => Some(Self::RatingRequest(subject)),
            5 => Some(Self::SearchEnds(subject)),
            _ => None,
        }
    }

    /// The order the deadline belongs to.
    pub const fn order_id(self) -> OrderId {
        self.to_stored().1
    }
}
