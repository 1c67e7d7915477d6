//! PURE: what a region decides. No clock, no I/O, no randomness of its own, no order that depends on hashing: time,
//! ids and positions come in as arguments, so the same code runs live, in simulation and in replay.
//!
//! [`decide`] takes the working set, a command and who asks, and gives back rows and events, or a [`Refusal`].
//! | module | decides |
//! |---|---|
//! | [`order`] | placing and giving up |
//! | [`stock`] | holds, what becomes of them |
//! | [`quote`] | prices and estimates |
//! | [`payment`] | what to ask the provider next |
//! | [`restaurant`] | acceptance, take-over by the next, menus |
//! | [`dispatch`] | which driver is asked |
//! | [`driver`] | offers, pickup, hand-over |
//! | [`matching`] | the whole plan: which driver fetches which orders, when |

pub mod city;
pub mod command;
pub mod dispatch;
pub mod draft;
pub mod driver;
pub mod matching;
pub mod model;
pub mod order;
pub mod payment;
pub mod policy;
pub mod quote;
pub mod restaurant;
pub mod stock;
pub mod timer;
pub mod view;

use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use city::City;
use command::{Answer, Command, Refusal};
use draft::{Changes, Draft};
use model::By;
use policy::Policy;
use timer::TimerKey;
use view::Reply;

/// What came of a command: an answer with everything it changes, or a refusal that changes no row.
#[derive(Debug)]
pub struct Decision {
    /// What the caller is told.
    pub answer: Result<Answer, Refusal>,
    /// What is written. After a refusal at most an event that tells of it.
    pub changes: Changes,
}

/// Decides one command. `seed` feeds new ids; the same arguments give the same decision.
pub fn decide(city: &City, policy: &Policy, by: By, command: &Command, now: UnixMs, seed: u128) -> Decision {
    let mut draft = Draft::new(city, policy, by, now, seed);
    let answer = run(&mut draft, command);
    let mut changes = draft.changes;
    if answer.is_err() {
        let events = std::mem::take(&mut changes.events);
        // A refusal leaves no row behind; of its events only those that belong to no order may stand.
        changes = Changes {
            events: events.into_iter().filter(|event| event.order.is_none()).collect(),
            ..Changes::default()
        };
    }
    Decision { answer, changes }
}

fn run(draft: &mut Draft<'_>, command: &Command) -> Result<Answer, Refusal> {
    match command {
        Command::PlaceOrder(wanted) => order::place(draft, wanted),
        Command::CancelOrder(id) => order::cancel(draft, *id),
        Command::AcceptOrder { order_id, ready_in } => restaurant::accept(draft, *order_id, *ready_in),
        Command::RejectOrder(id) => restaurant::reject(draft, *id),
        Command::MarkReady(id) => restaurant::mark_ready(draft, *id),
        Command::PutRestaurant(wanted) => restaurant::put(draft, wanted),
        Command::SetOpen { restaurant_id, open } => restaurant::set_open(draft, *restaurant_id, *open),
        Command::SetOnline { driver_id, online } => driver::set_online(draft, *driver_id, *online),
        Command::PutDriver { driver_id, name, phone } => driver::put(draft, *driver_id, name, phone),
        Command::AcceptOffer(id) => driver::accept_offer(draft, *id),
        Command::DeclineOffer(id) => driver::decline_offer(draft, *id),
        Command::Arrive(id) => driver::arrive(draft, *id),
        Command::PickUp(id) => driver::pick_up(draft, *id),
        Command::Complete { order_id, proof } => driver::complete(draft, *order_id, proof),
        Command::FailDelivery { order_id, reason } => driver::fail(draft, *order_id, reason),
        Command::GiveBack(id) => driver::give_back(draft, *id),
        Command::PaymentOutcome {
            order_id,
            payment_id,
            outcome,
        } => payment::outcome(draft, *order_id, *payment_id, outcome),
        Command::TimerDue(key) => timer_due(draft, *key),
        Command::Dispatch(waiting) => dispatch::nearest(draft, waiting),
    }
}

fn timer_due(draft: &mut Draft<'_>, key: TimerKey) -> Result<Answer, Refusal> {
    draft.clear_timer(key);
    match key {
        TimerKey::HoldExpiry(id) => order::hold_expired(draft, id)?,
        TimerKey::AcceptBy(id) => restaurant::unanswered(draft, id)?,
        TimerKey::OfferExpiry(id) => driver::offer_expired(draft, id)?,
        TimerKey::SearchEnds(id) => driver::search_ended(draft, id)?,
        TimerKey::RatingRequest(id) => draft.tell(id, tomato_shared::event::Event::RatingRequested {})?,
    }
    Ok(done())
}

/// An answer with nothing to tell.
fn done() -> Answer {
    Answer {
        status: 200,
        reply: Reply::Done {},
    }
}

/// The order as its caller may see it.
fn order_answer(draft: &Draft<'_>, status: u16, id: tomato_shared::id::OrderId) -> Result<Answer, Refusal> {
    let order = draft.order(id)?;
    let driver = order.delivery.driver_id.and_then(|id| draft.driver(id).ok());
    Ok(Answer {
        status,
        reply: Reply::Order(Box::new(view::order(order, driver, draft.by))),
    })
}

/// Refuses whoever may not know of the order, as if it did not exist.
fn visible(draft: &Draft<'_>, id: tomato_shared::id::OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let sees = match draft.by {
        By::Customer(customer) => order.customer_id == customer,
        By::Restaurant(restaurant) => order.restaurant_id == restaurant,
        By::Driver(driver) => {
            order.delivery.driver_id == Some(driver)
                || order
                    .delivery
                    .offer
                    .as_ref()
                    .is_some_and(|offer| offer.driver_id == driver)
        }
        By::Operator(_) | By::Provider | By::System => true,
    };
    if sees { Ok(()) } else { Err(Rejection::NotFound.into()) }
}

#[cfg(test)]
pub(crate) mod tests;
