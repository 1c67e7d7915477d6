//! What happened where and when, from the change of one order.
//!
//! Every step counts at the time it happened and in the cell the order goes to. Stretches begin at whole minutes, hours
//! and days of UTC. Finer ones are kept for less long: what is older than [`Level::kept_ms`] before the latest event of
//! its region is gone, and what arrives for it later counts only in the coarser ones.

use std::collections::BTreeMap;

use tomato_shared::cell::Cell;
use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::drivers::Stretch;
use super::orders::OrderRow;
use super::tally::{Counts, Reason, Span, Tally};

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// Thirty-two days: no month of a calendar, but a long step through a year.
const MONTH_MS: i64 = 32 * DAY_MS;

/// How finely a rollup tells time and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// All time, the whole region.
    Ever,
    RegionDay,
    RegionHour,
    RegionMinute,
    CellDay,
    CellHour,
    CellMinute,
    RegionMonth,
    CellMonth,
}

impl Level {
    pub(crate) const ALL: [Self; 9] = [
        Self::Ever,
        Self::RegionDay,
        Self::RegionHour,
        Self::RegionMinute,
        Self::CellDay,
        Self::CellHour,
        Self::CellMinute,
        Self::RegionMonth,
        Self::CellMonth,
    ];

    /// As it is stored.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ever => 0,
            Self::RegionDay => 1,
            Self::RegionHour => 2,
            Self::RegionMinute => 3,
            Self::CellDay => 4,
            Self::CellHour => 5,
            Self::CellMinute => 6,
            Self::RegionMonth => 7,
            Self::CellMonth => 8,
        }
    }

    /// Length of a stretch; `None`: all time is one.
    pub(crate) const fn stretch_ms(self) -> Option<i64> {
        match self {
            Self::Ever => None,
            Self::RegionMonth | Self::CellMonth => Some(MONTH_MS),
            Self::RegionDay | Self::CellDay => Some(DAY_MS),
            Self::RegionHour | Self::CellHour => Some(HOUR_MS),
            Self::RegionMinute | Self::CellMinute => Some(MINUTE_MS),
        }
    }

    /// How long a rollup is kept; `None`: for good.
    pub(crate) const fn kept_ms(self) -> Option<i64> {
        match self {
            Self::Ever | Self::RegionMonth | Self::CellMonth | Self::RegionDay | Self::CellDay => None,
            Self::RegionHour => Some(400 * DAY_MS),
            Self::CellHour => Some(35 * DAY_MS),
            Self::RegionMinute => Some(2 * DAY_MS),
            Self::CellMinute => Some(6 * HOUR_MS),
        }
    }

    pub(crate) const fn by_cell(self) -> bool {
        matches!(
            self,
            Self::CellMonth | Self::CellDay | Self::CellHour | Self::CellMinute
        )
    }

    /// The next longer stretches, which hold the same; minutes do not have drivers' work, hours do.
    pub(crate) const fn coarser(self) -> Option<Self> {
        match self {
            Self::RegionHour => Some(Self::RegionDay),
            Self::CellHour => Some(Self::CellDay),
            Self::RegionDay => Some(Self::RegionMonth),
            Self::CellDay => Some(Self::CellMonth),
            Self::Ever | Self::RegionMinute | Self::CellMinute | Self::RegionMonth | Self::CellMonth => None,
        }
    }

    /// Where the stretch with `at` begins.
    pub(crate) fn start(self, at: UnixMs) -> i64 {
        self.stretch_ms().map_or(0, |ms| at.0 - at.0.rem_euclid(ms))
    }

    /// Stretches that begin before this are gone, where the latest event is of `latest`.
    pub(crate) fn cut(self, latest: UnixMs) -> Option<i64> {
        // By whole hours, so that old rows go once an hour and not with every batch.
        let hour = latest.0 - latest.0.rem_euclid(HOUR_MS);
        self.kept_ms().map(|kept| hour.saturating_sub(kept))
    }
}

/// What a batch adds to the rollups of a region, by level, start and cell (0: the whole region).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deltas(pub(crate) BTreeMap<(Level, i64, i64), Tally>);

impl Deltas {
    /// Counts what changed between two rows of one order, at `at`. `device_at`: when the device says it happened.
    pub(crate) fn change(
        &mut self,
        before: Option<&OrderRow>,
        after: &OrderRow,
        at: UnixMs,
        device_at: Option<UnixMs>,
    ) {
        let mut tally = Tally::default();
        if before.is_none() {
            tally.counts.created = 1;
            if let Some(device_at) = device_at {
                tally.spans.count(Span::Placement, (at - device_at).0);
            }
        }
        if before.is_some_and(|before| before.state != after.state) {
            reach(&mut tally, after);
        }
        let assigned = |row: &OrderRow| row.times.assigned;
        if before.and_then(assigned).is_none() {
            spend(&mut tally, Span::Assignment, after.times.preparing, assigned(after));
        }
        if let Some(before) = before {
            let refunded = after.money.refunded - before.money.refunded;
            let tips = after.money.tipped - before.money.tipped;
            if refunded != 0 || tips != 0 {
                let money = tally.counts.money.entry(after.currency).or_default();
                money.refunded_minor = refunded;
                money.tips_minor = tips;
            }
        }
        self.put(&tally, at, Some(after.cell));
    }

    /// Counts what an event says that leaves its order's row as it is.
    pub(crate) fn note(&mut self, event: &Event, row: &OrderRow, at: UnixMs) {
        let mut counts = Counts::default();
        if matches!(event, Event::RestaurantDeclined { .. }) {
            counts.declined = 1;
        } else if matches!(event, Event::DriverCancelled { .. }) {
            counts.given_back = 1;
        } else {
            return;
        }
        let tally = Tally {
            counts,
            ..Tally::default()
        };
        self.put(&tally, at, Some(row.cell));
    }

    /// Counts a driver's work, in the hours and days in which it was done; minutes do not have it.
    pub(crate) fn work(&mut self, stretch: Stretch) {
        for level in [Level::Ever, Level::RegionMonth, Level::RegionDay, Level::RegionHour] {
            let mut from = stretch.from;
            while from < stretch.to {
                let next = level
                    .stretch_ms()
                    .map_or(i64::MAX, |ms| level.start(from).saturating_add(ms));
                let to = UnixMs(next.min(stretch.to.0));
                let counts = &mut self.0.entry((level, level.start(from), 0)).or_default().counts;
                counts.online_ms += (to - from).0;
                counts.busy_ms += if stretch.busy { (to - from).0 } else { 0 };
                from = to;
            }
        }
    }

    /// Adds what is counted for whole regions; cells belong to one region each.
    pub(crate) fn join(&mut self, region: Self) {
        for (key, tally) in region.0.into_iter().filter(|((level, _, _), _)| !level.by_cell()) {
            self.0.entry(key).or_default().add(&tally);
        }
    }

    fn put(&mut self, tally: &Tally, at: UnixMs, cell: Option<Cell>) {
        if *tally == Tally::default() {
            return;
        }
        for level in Level::ALL {
            let cell = if level.by_cell() {
                cell.map(Cell::to_i64)
            } else {
                Some(0)
            };
            if let Some(cell) = cell {
                self.0.entry((level, level.start(at), cell)).or_default().add(tally);
            }
        }
    }
}

/// Counts that an order came into a state.
fn reach(tally: &mut Tally, row: &OrderRow) {
    let times = &row.times;
    let counts = &mut tally.counts;
    match row.state {
        OrderState::Pending => {}
        OrderState::Confirmed => {
            counts.paid = 1;
            if row.method == PaymentMethod::Card {
                spend(tally, Span::Payment, Some(times.placed), times.confirmed);
            }
        }
        OrderState::PaymentFailed => counts.payment_failed = 1,
        OrderState::Preparing => {
            counts.accepted = 1;
            spend(
                tally,
                Span::Acceptance,
                times.asked.or(times.confirmed),
                times.preparing,
            );
        }
        OrderState::ReadyForPickup => {
            counts.ready = 1;
            spend(tally, Span::Preparation, times.preparing, times.ready);
        }
        OrderState::OutForDelivery => {
            counts.picked_up = 1;
            spend(tally, Span::Pickup, times.ready, times.picked_up);
        }
        OrderState::Delivered => {
            counts.delivered = 1;
            let money = counts.money.entry(row.currency).or_default();
            money.revenue_minor = row.total_minor;
            spend(tally, Span::Delivery, times.picked_up, times.ended);
            if times.deliver.is_none() {
                spend(tally, Span::ClickToDoor, Some(times.placed), times.ended);
            }
        }
        OrderState::Cancelled => {
            if let Some(reason) = row.cancel_reason {
                counts.cancelled.insert(Reason(reason), 1);
            }
        }
    }
}

fn spend(tally: &mut Tally, span: Span, from: Option<UnixMs>, to: Option<UnixMs>) {
    if let Some((from, to)) = from.zip(to) {
        tally.spans.count(span, (to - from).0);
    }
}
