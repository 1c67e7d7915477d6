//! The bounded queue between the feed and one socket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::frame::{Location, Message};

/// What a subscriber gets.
#[derive(Debug, Clone)]
pub enum Item {
    /// Something happened to an order.
    Message(Arc<Message>),
    /// A driver moved.
    Location(Arc<Location>),
    /// Too much came at once: what waited is gone. Read a snapshot; what comes after this item is complete again.
    Overflow,
}

/// Filled by the feed, emptied by one reader.
#[derive(Debug)]
pub(super) struct Mailbox {
    limit: usize,
    /// Items that found no room, of all mailboxes together.
    dropped: Arc<AtomicU64>,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    overflown: bool,
}

impl Mailbox {
    pub(super) fn new(limit: usize, dropped: Arc<AtomicU64>) -> Self {
        Self {
            limit,
            dropped,
            state: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Puts an item in, without waiting. Of one order's positions only the newest waits.
    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        if state.overflown {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Item::Location(new) = &item {
            let same = |old: &Item| matches!(old, Item::Location(old) if old.order_id() == new.order_id());
            state.queue.retain(|old| !same(old));
        }
        if state.queue.len() >= self.limit {
            self.dropped.fetch_add(state.queue.len() as u64 + 1, Ordering::Relaxed);
            state.queue.clear();
            state.overflown = true;
        } else {
            state.queue.push_back(item);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Takes an item out, once there is one.
    pub(super) async fn take(&self) -> Item {
        loop {
            // A permit of an earlier item at worst makes this look once more than needed.
            if let Some(item) = self.try_take() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self) -> Option<Item> {
        let mut state = self.lock();
        if state.overflown {
            state.overflown = false;
            return Some(Item::Overflow);
        }
        state.queue.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
