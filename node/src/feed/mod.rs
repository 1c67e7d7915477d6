//! Committed events on their way to WebSocket subscribers.
//!
//! | module | does |
//! |---|---|
//! | [`audience`] | decides who hears of an event, and under which name |
//! | [`frame`] | a message as bytes, serialised once per kind of viewer and encoding |
//! | [`mailbox`] | the bounded queue of one subscriber |
//! | [`totals`] | running counts of the region, for its overview |
//!
//! [`Feed::publish`] runs on the writer's thread: it puts pointers into queues and wakes readers, and never waits for
//! one. The sockets' own tasks do the serialising. A queue that is full is emptied, and its reader told to start anew
//! from a snapshot; so memory is bounded, and a gap is never silent.

pub mod audience;
pub mod frame;
pub mod mailbox;
pub mod totals;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tomato_shared::event::{Envelope, Event};
use tomato_shared::id::{DriverId, OrderId, RestaurantId, UserId};

use crate::engine::model::{By, Driver, Order};
use crate::fleet::Fix;
use frame::{Location, Message};
use mailbox::{Item, Mailbox};
use totals::Totals;

/// Items that wait for one subscriber.
pub const QUEUE_MAX: usize = 64;
/// Messages kept for subscribers who come back.
pub const RING_MAX: usize = 4_096;
/// Missed messages that are told one by one; who missed more starts from a snapshot.
pub const RESUME_MAX: usize = 256;
/// Deliveries remembered as over, so that a position that was under way is not told after the end.
const ENDED_MAX: usize = 4_096;

/// An event, and the rows as they are after the whole command that caused it.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The event.
    pub envelope: Arc<Envelope>,
    /// Its order.
    pub order: Option<Arc<Order>>,
    /// The order's driver, while one is bound.
    pub driver: Option<Arc<Driver>>,
}

/// The region's live feed.
#[derive(Debug)]
pub struct Feed {
    state: Arc<Mutex<State>>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    head_seq: u64,
    /// Every message after this sequence is in the ring.
    floor_seq: u64,
    ring: VecDeque<Arc<Message>>,
    topics: HashMap<Topic, Vec<Arc<Mailbox>>>,
    ended: HashSet<OrderId>,
    ended_order: VecDeque<OrderId>,
    totals: Totals,
}

/// What one may listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Topic {
    Customer(UserId),
    Restaurant(RestaurantId),
    Driver(DriverId),
    Operators,
}

/// A place in the feed; dropping it gives the place up.
#[derive(Debug)]
pub struct Subscription {
    who: By,
    topic: Option<Topic>,
    mailbox: Arc<Mailbox>,
    missed: VecDeque<Arc<Message>>,
    resumed: bool,
    state: Arc<Mutex<State>>,
}

impl Feed {
    /// A feed behind `head_seq`, the sequence of the newest event; `totals` as of that event.
    pub fn new(head_seq: u64, totals: Totals) -> Self {
        let state = State {
            head_seq,
            floor_seq: head_seq,
            ring: VecDeque::new(),
            topics: HashMap::new(),
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
            totals,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            dropped: Arc::default(),
        }
    }

    /// Takes in what was committed, in the order of `seq`. Called by the writer after the commit; never waits.
    pub fn publish(&self, batch: Vec<Committed>) {
        let mut state = lock(&self.state);
        for committed in batch {
            state.head_seq = committed.envelope.seq;
            state.totals.take(&committed);
            state.note_end(&committed.envelope.event, committed.order.as_deref());
            let Some(message) = Message::new(committed) else {
                continue;
            };
            let message = Arc::new(message);
            state.hand_out(&message);
            state.keep(message);
        }
    }

    /// Tells a customer where the driver of their order is. `order_id`: as of the driver's duty; a delivery that is
    /// over by now is passed over.
    pub fn location(&self, order_id: OrderId, customer_id: UserId, fix: &Fix) {
        let state = lock(&self.state);
        if state.ended.contains(&order_id) {
            return;
        }
        let Some(listeners) = state.topics.get(&Topic::Customer(customer_id)) else {
            return;
        };
        let location = Arc::new(Location::new(order_id, fix));
        for mailbox in listeners {
            mailbox.push(Item::Location(Arc::clone(&location)));
        }
    }

    /// Listens for what `who` may know. With `after`, what was missed since that sequence comes first, if it is still
    /// at hand (see [`Subscription::resumed`]); otherwise the caller starts with a snapshot, read after this call.
    pub fn subscribe(&self, who: By, after: Option<u64>) -> Subscription {
        let mailbox = Arc::new(Mailbox::new(QUEUE_MAX, Arc::clone(&self.dropped)));
        let topic = Topic::of(who);
        let mut state = lock(&self.state);
        let missed = after.and_then(|after| state.missed(who, after));
        if let Some(topic) = topic {
            state.topics.entry(topic).or_default().push(Arc::clone(&mailbox));
        }
        Subscription {
            who,
            topic,
            mailbox,
            resumed: missed.is_some(),
            missed: missed.unwrap_or_default(),
            state: Arc::clone(&self.state),
        }
    }

    /// Sequence of the newest event.
    pub fn head_seq(&self) -> u64 {
        lock(&self.state).head_seq
    }

    /// Counts as of the newest event.
    pub fn totals(&self) -> totals::Counts {
        lock(&self.state).totals.counts()
    }

    /// Items that found no room in a subscriber's queue, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many listen.
    pub fn subscribers(&self) -> usize {
        lock(&self.state).topics.values().map(Vec::len).sum()
    }
}

impl Subscription {
    /// Whether the missed messages follow; if not, start with a snapshot.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Who listens.
    pub fn who(&self) -> By {
        self.who
    }

    /// The next item, once there is one. May be dropped and called again without losing any.
    pub async fn next(&mut self) -> Item {
        if let Some(message) = self.missed.pop_front() {
            return Item::Message(message);
        }
        self.mailbox.take().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(topic) = self.topic else { return };
        let mut state = lock(&self.state);
        if let Some(listeners) = state.topics.get_mut(&topic) {
            listeners.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
            if listeners.is_empty() {
                state.topics.remove(&topic);
            }
        }
    }
}

impl State {
    fn hand_out(&self, message: &Arc<Message>) {
        for who in message.parties() {
            if message.name_for(who).is_none() {
                continue;
            }
            let listeners = Topic::of(who).and_then(|topic| self.topics.get(&topic));
            for mailbox in listeners.into_iter().flatten() {
                mailbox.push(Item::Message(Arc::clone(message)));
            }
        }
    }

    fn keep(&mut self, message: Arc<Message>) {
        if self.ring.len() >= RING_MAX
            && let Some(oldest) = self.ring.pop_front()
        {
            self.floor_seq = oldest.seq();
        }
        self.ring.push_back(message);
    }

    /// What `who` missed; `None` where that is not known any more, or too much.
    fn missed(&self, who: By, after: u64) -> Option<VecDeque<Arc<Message>>> {
        // A restaurant or driver may have lost an order meanwhile, and must not be shown what it was like before.
        let keeps_orders = matches!(who, By::Customer(_) | By::Operator(_));
        if !keeps_orders || after < self.floor_seq || after > self.head_seq {
            return None;
        }
        let newer = self.ring.partition_point(|message| message.seq() <= after);
        let missed: VecDeque<_> = self
            .ring
            .range(newer..)
            .filter(|message| message.name_for(who).is_some())
            .take(RESUME_MAX + 1)
            .cloned()
            .collect();
        (missed.len() <= RESUME_MAX).then_some(missed)
    }

    fn note_end(&mut self, event: &Event, order: Option<&Order>) {
        let Some(order) = order else { return };
        if audience::ends_delivery(event) {
            if self.ended.insert(order.id) {
                self.ended_order.push_back(order.id);
            }
        } else if matches!(event, Event::DriverAssigned { .. }) && self.ended.remove(&order.id) {
            self.ended_order.retain(|id| *id != order.id);
        }
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

impl Topic {
    fn of(who: By) -> Option<Self> {
        match who {
            By::Customer(id) => Some(Self::Customer(id)),
            By::Restaurant(id) => Some(Self::Restaurant(id)),
            By::Driver(id) => Some(Self::Driver(id)),
            By::Operator(_) => Some(Self::Operators),
            By::Provider | By::System => None,
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Every change is a push or a removal; a panic between two of them loses at most a message of a live view.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
