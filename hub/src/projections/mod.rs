//! Folds from events to rows: pure, so that a rebuild from the stored events gives the same rows.
//!
//! | module | folds into |
//! |---|---|
//! | [`orders`] | where each order stands |
//! | [`totals`] | counts, money and delivery times per region, from the change of one order |

pub(crate) mod orders;
pub(crate) mod totals;

use tomato_shared::id::OrderId;

/// An event that contradicts the state it meets. It is kept and reported; the rest of the stream goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anomaly {
    pub(crate) order_id: Option<OrderId>,
    pub(crate) kind: AnomalyKind,
    pub(crate) detail: String,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnomalyKind {
    /// The order's state does not allow the step.
    IllegalStep,
    /// The event is about an order that was never created.
    UnknownOrder,
    /// The order's events are not numbered 1, 2, 3.
    VersionGap,
    /// A region speaks about an order of another region.
    ForeignOrder,
    /// An order that exists is created again.
    CreatedTwice,
}

impl AnomalyKind {
    /// As it is stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IllegalStep => "illegal_step",
            Self::UnknownOrder => "unknown_order",
            Self::VersionGap => "version_gap",
            Self::ForeignOrder => "foreign_order",
            Self::CreatedTwice => "created_twice",
        }
    }
}
