//! Folds from events to rows: pure, so that a rebuild from the stored events gives the same rows.
//!
//! | module | folds into |
//! |---|---|
//! | [`orders`] | where each order stands, and what its events and its books say about its money |
//! | [`payments`] | payments and refunds, as their provider should know them |
//! | [`ledger`] | the regions' postings, checked, chained and added up |
//! | [`drivers`] | who is at work, and how much of it is spent on orders |
//! | [`analytics`] | what happened where and when, from the change of one order |
//! | [`tally`], [`sketch`] | what analytics counts, and how spans of time are counted |
//! | [`pack`] | how these are written in few bytes |

pub(crate) mod analytics;
pub(crate) mod drivers;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod pack;
pub(crate) mod payments;
pub(crate) mod sketch;
pub(crate) mod tally;

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
    /// The event is about an order that its region never created.
    UnknownOrder,
    /// The order's events are not numbered 1, 2, 3.
    VersionGap,
    /// An order that exists is created again.
    CreatedTwice,
    /// A posting whose entries do not sum to zero, or that has none.
    UnbalancedPosting,
    /// A posting in another currency than its region's books or its order.
    ForeignCurrency,
    /// The region goes on from an older copy of its file, and has forgotten what it had told.
    EventsForgotten,
}

impl AnomalyKind {
    /// As it is stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IllegalStep => "illegal_step",
            Self::UnknownOrder => "unknown_order",
            Self::VersionGap => "version_gap",
            Self::CreatedTwice => "created_twice",
            Self::UnbalancedPosting => "unbalanced_posting",
            Self::ForeignCurrency => "foreign_currency",
            Self::EventsForgotten => "events_forgotten",
        }
    }
}
