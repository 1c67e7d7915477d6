//! Who is at work, and how much of it is spent on orders.

use tomato_shared::time::UnixMs;

/// One driver in one region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DriverRow {
    /// `None` while signed off.
    pub(crate) online_since: Option<UnixMs>,
    /// Orders bound to the driver.
    pub(crate) orders: u32,
    /// Time at work is counted up to here.
    pub(crate) counted_to: UnixMs,
}

/// What happens to a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Online,
    Offline,
    Bound,
    Free,
}

/// A stretch of work that ends with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: UnixMs,
    pub(crate) to: UnixMs,
    /// At least one order was bound.
    pub(crate) busy: bool,
}

/// Changes the row, and returns the work between the change before and this one. A driver with orders works, even if
/// signed off.
pub(crate) fn fold(row: &mut DriverRow, change: Change, at: UnixMs) -> Option<Stretch> {
    let working = row.online_since.is_some() || row.orders > 0;
    let stretch = (working && at > row.counted_to).then_some(Stretch {
        from: row.counted_to,
        to: at,
        busy: row.orders > 0,
    });
    row.counted_to = row.counted_to.max(at);
    match change {
        Change::Online => row.online_since = row.online_since.or(Some(at)),
        Change::Offline => row.online_since = None,
        Change::Bound => row.orders = row.orders.saturating_add(1),
        Change::Free => row.orders = row.orders.saturating_sub(1),
    }
    stretch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_once_and_split_by_what_it_was() {
        use Change::{Bound, Free, Offline, Online};
        let mut row = DriverRow::default();
        let steps = [
            (Online, 10, None),
            (Bound, 30, Some((10, 30, false))),
            (Bound, 40, Some((30, 40, true))),
            (Free, 50, Some((40, 50, true))),
            // Signs off with an order in hand, and brings it.
            (Offline, 60, Some((50, 60, true))),
            (Free, 80, Some((60, 80, true))),
            // A clock that was set back counts nothing twice.
            (Online, 70, None),
            (Offline, 90, Some((80, 90, false))),
            (Online, 100, None),
        ];
        for (change, at, expected) in steps {
            let found = fold(&mut row, change, UnixMs(at));
            let found = found.map(|stretch| (stretch.from.0, stretch.to.0, stretch.busy));
            assert_eq!(found, expected, "{change:?} at {at}");
        }
    }
}
