//! What waits for the writer: one bounded queue per class, emptied in order of class.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::command::{Command, DriverCommand, OrderCommand};

/// How much a command matters when there is too much to do. What was begun comes before what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Money, and orders under way.
    InFlight,
    /// New orders.
    New,
    /// Menus, drivers' data, bookkeeping.
    Other,
}

impl Class {
    const COUNT: usize = 3;

    /// The class of a command.
    pub const fn of(command: &Command) -> Self {
        match command {
            Command::PlaceOrder(_) => Self::New,
            Command::Restaurant(..)
            | Command::PutPromotion(_)
            | Command::PauseRegion { .. }
            | Command::Driver(_, DriverCommand::Put { .. } | DriverCommand::Plan(_) | DriverCommand::DepositCash(_))
            | Command::Order(_, OrderCommand::Rate { .. }) => Self::Other,
            Command::TakeControl(_)
            | Command::TakeMap(_)
            | Command::TakeIn(..)
            | Command::HandOut(_)
            | Command::Order(
                _,
                OrderCommand::Pay { .. }
                | OrderCommand::Cancel
                | OrderCommand::Accept(_)
                | OrderCommand::Reject { .. }
                | OrderCommand::Delay(_)
                | OrderCommand::MarkReady
                | OrderCommand::ProposeChange { .. }
                | OrderCommand::AnswerChange(_)
                | OrderCommand::Tip { .. }
                | OrderCommand::Refund { .. }
                | OrderCommand::Assign(_)
                | OrderCommand::Unassign
                | OrderCommand::Arrive
                | OrderCommand::PickUp
                | OrderCommand::Complete(_)
                | OrderCommand::FailDelivery(_)
                | OrderCommand::Return
                | OrderCommand::GiveBack,
            )
            | Command::Driver(_, DriverCommand::SetOnline { .. } | DriverCommand::Cross(_))
            | Command::AcceptOffer(_)
            | Command::DeclineOffer(_)
            | Command::PaymentOutcome { .. }
            | Command::ProviderEvent(_)
            | Command::CardsDown(_)
            | Command::TimerDue(_)
            | Command::Dispatch(_)
            | Command::Round(_) => Self::InFlight,
        }
    }
}

/// One part in so many of a batch is kept for each later class that has something: urgent work comes first, but cannot
/// keep new orders and watermarks out for good.
const SHARE: usize = 8;

/// Entries that wait, oldest first within a class.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    bounds: [usize; Class::COUNT],
}

#[derive(Debug)]
struct State<T> {
    queues: [VecDeque<T>; Class::COUNT],
    closed: bool,
}

impl<T> Inbox<T> {
    /// Bounds in the order of [`Class`].
    pub(super) fn new(bounds: [usize; Class::COUNT]) -> Self {
        let state = State {
            queues: std::array::from_fn(|_| VecDeque::new()),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            bounds,
        }
    }

    /// Puts an entry in; gives it back where its class is full or the inbox is closed.
    pub(super) fn push(&self, class: Class, entry: T) -> Result<(), T> {
        let mut state = self.lock();
        let queue = &mut state.queues[class as usize];
        if queue.len() >= self.bounds[class as usize] {
            return Err(entry);
        }
        if state.closed {
            return Err(entry);
        }
        state.queues[class as usize].push_back(entry);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until something is there, `wait` is over or the inbox is closed, and takes up to `max` entries.
    /// `None` once it is closed and empty.
    pub(super) fn take(&self, max: usize, wait: Duration) -> Option<Vec<T>> {
        let empty = |state: &mut State<T>| !state.closed && state.queues.iter().all(VecDeque::is_empty);
        let (mut state, _) = self
            .filled
            .wait_timeout_while(self.lock(), wait, empty)
            .unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        for class in 0..Class::COUNT {
            let later = &state.queues[class + 1..];
            let kept: usize = later.iter().map(|queue| queue.len().min(max / SHARE)).sum();
            let room = (max - taken.len()).saturating_sub(kept);
            let queue = &mut state.queues[class];
            taken.extend(queue.drain(..queue.len().min(room)));
        }
        if taken.is_empty() && state.closed {
            None
        } else {
            Some(taken)
        }
    }

    /// Takes nothing in any more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Takes nothing in any more and lets go of what waits, which answers whoever waits for it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::replace(&mut state.queues, std::array::from_fn(|_| VecDeque::new()));
        drop(state);
        drop(left);
        self.filled.notify_all();
    }

    /// Whether nothing is taken in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many wait, by class.
    pub(super) fn depth(&self) -> [usize; Class::COUNT] {
        let state = self.lock();
        std::array::from_fn(|class| state.queues[class].len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        // A panic elsewhere cannot leave the queues half changed: every change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_entries_come_first_and_each_class_is_bounded() {
        let inbox = Inbox::new([2, 1, 1]);
        assert_eq!(inbox.push(Class::New, "new"), Ok(()));
        assert_eq!(inbox.push(Class::New, "too many"), Err("too many"));
        assert_eq!(inbox.push(Class::InFlight, "pickup"), Ok(()));
        assert_eq!(inbox.depth(), [1, 1, 0]);
        assert_eq!(inbox.take(10, Duration::ZERO), Some(vec!["pickup", "new"]));
        assert_eq!(inbox.take(10, Duration::ZERO), Some(vec![]));
    }

    #[test]
    fn endless_urgent_work_leaves_a_share_for_the_rest() {
        let inbox = Inbox::new([100, 100, 100]);
        for entry in 0..60 {
            let class = if entry < 40 { Class::InFlight } else { Class::New };
            assert_eq!(inbox.push(class, entry), Ok(()));
        }
        let taken = inbox.take(16, Duration::ZERO).unwrap();
        assert_eq!(taken.iter().filter(|entry| **entry >= 40).count(), 2);
        assert_eq!(taken.len(), 16);
    }

    #[test]
    fn closed_inbox_hands_out_what_waits() {
        let inbox = Inbox::new([1, 1, 1]);
        assert_eq!(inbox.push(Class::Other, 1), Ok(()));
        inbox.close();
        assert_eq!(inbox.push(Class::InFlight, 2), Err(2));
        assert_eq!(inbox.take(10, Duration::from_secs(60)), Some(vec![1]));
        assert_eq!(inbox.take(10, Duration::from_secs(60)), None);
    }
}
