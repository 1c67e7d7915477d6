//! PURE: what a region decides. No clock, no I/O, no randomness of its own, no order that depends on hashing: time,
//! ids and positions come in as arguments, so the same code runs live, in simulation and in replay.
//!
//! [`decide`] takes the working set, a command and who asks, and gives back rows and events, or a [`Refusal`].
//! | module | decides |
//! |---|---|
//! | [`order`] | placing, confirming and giving up |
//! | [`quote`] [`menu`] [`promotion`] | prices, choices, discounts, estimates |
//! | [`stock`] | holds, what becomes of them |
//! | [`payment`] [`provider`] [`books`] | what to ask the provider next; what it says unasked; what moves in the accounts |
//! | [`restaurant`] [`change`] | acceptance, take-over by the next, delays, swaps |
//! | [`catalogue`] | menus, hours, pauses |
//! | [`dispatch`] [`round`] | which driver is asked: the nearest, or by a plan |
//! | [`offer`] [`driver`] [`shift`] | what drivers are asked; pickup, hand-over; signing on and off |
//! | [`custody`] | whose a driver is, where regions meet |
//! | [`feedback`] | ratings, tips, refunds |
//! | [`territory`] [`moving`] | which cells are the region's; what goes along when they change hands |
//! | [`control`] | whether orders are taken; what the hub says of that, of fees, promotions and switches |
//! | [`deed`] | what of an operator's acts goes into the audit log |
//! | [`matching`] [`snapshot`] | the whole plan: which driver fetches which orders, when; what it is made from |

pub mod books;
pub mod catalogue;
pub mod change;
pub mod city;
pub mod command;
pub mod control;
pub mod custody;
pub mod deed;
pub mod dispatch;
pub mod dispute;
pub mod draft;
pub mod driver;
pub mod feedback;
pub mod matching;
pub mod menu;
pub mod model;
pub mod moving;
pub mod offer;
pub mod order;
pub mod payment;
pub mod policy;
pub mod promotion;
pub mod provider;
pub mod quote;
pub mod restaurant;
pub mod round;
pub mod shift;
pub mod snapshot;
pub mod stock;
pub mod task;
pub mod territory;
pub mod timer;
pub mod view;

use tomato_shared::event::Event;
use tomato_shared::id::OrderId;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use city::City;
use command::{Answer, Command, OrderCommand, Refusal};
use draft::{Changes, Draft};
use model::{By, Rating};
use policy::Policy;
use timer::TimerKey;
use view::Reply;

/// What came of a command: an answer with everything it changes, or a refusal that changes no row.
#[derive(Debug)]
pub struct Decision {
    /// What the caller is told.
    pub answer: Result<Answer, Refusal>,
    /// What is written. After a refusal at most an event that tells of it, or what counts the tries of a PIN.
    pub changes: Changes,
}

/// Decides one command. `seed` feeds new ids; the same arguments give the same decision.
pub fn decide(city: &City, policy: &Policy, by: By, command: &Command, now: UnixMs, seed: u128) -> Decision {
    let mut draft = Draft::new(city, policy, by, now, seed);
    let answer = run(&mut draft, command).and_then(|answer| custody::send_home(&mut draft).map(|()| answer));
    let kept = draft.kept;
    let mut changes = draft.changes;
    if answer.is_err() && !kept {
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
        Command::Order(id, command) => with_order(draft, *id, command),
        Command::AcceptOffer(id) => offer::accept(draft, *id),
        Command::DeclineOffer(id) => offer::decline(draft, *id),
        Command::Restaurant(id, command) => catalogue::run(draft, *id, command),
        Command::Driver(id, command) => shift::run(draft, *id, command),
        Command::PutPromotion(wanted) => promotion::put(draft, wanted),
        Command::PauseRegion { paused, reason } => control::pause(draft, *paused, reason),
        Command::PaymentOutcome {
            order_id,
            payment_id,
            nth,
            attempt,
            outcome,
        } => {
            let call = provider::Call {
                order_id: *order_id,
                payment_id: *payment_id,
                nth: *nth,
                attempt: *attempt,
            };
            payment::outcome(draft, call, outcome)
        }
        Command::ProviderEvent(event) => provider::heard(draft, event),
        Command::CardsDown(down) => provider::cards_down(draft, *down),
        Command::TimerDue(key) => timer_due(draft, *key),
        Command::TakeControl(edition) => control::take(draft, edition),
        Command::TakeMap(map) => moving::take_map(draft, map),
        Command::TakeIn(id, parcel) => moving::take_in(draft, *id, parcel),
        Command::HandOut(id) => moving::hand_out(draft, *id),
        Command::Dispatch(waiting) => dispatch::nearest(draft, waiting),
        Command::Round(planned) => round::carry_out(draft, planned),
    }
}

fn with_order(draft: &mut Draft<'_>, id: OrderId, command: &OrderCommand) -> Result<Answer, Refusal> {
    match command {
        OrderCommand::Pay { card } => provider::another_card(draft, id, card),
        OrderCommand::Cancel => order::cancel(draft, id),
        OrderCommand::Accept(ready_in) => restaurant::accept(draft, id, *ready_in),
        OrderCommand::Reject { why, off } => restaurant::reject(draft, id, *why, off),
        OrderCommand::Delay(ready_in) => restaurant::delay(draft, id, *ready_in),
        OrderCommand::MarkReady => restaurant::mark_ready(draft, id),
        OrderCommand::ProposeChange { lines, add } => change::propose(draft, id, lines, add),
        OrderCommand::AnswerChange(agreed) => change::answer(draft, id, *agreed),
        OrderCommand::Rate {
            restaurant_stars,
            driver_stars,
            comment,
        } => {
            let rating = Rating {
                restaurant_stars: *restaurant_stars,
                driver_stars: *driver_stars,
                comment: comment.clone(),
            };
            feedback::rate(draft, id, rating)
        }
        OrderCommand::Tip { amount_minor, card } => feedback::tip(draft, id, *amount_minor, card.as_ref()),
        OrderCommand::Refund {
            amount,
            reason,
            borne_by,
        } => feedback::refund(draft, id, amount, *reason, *borne_by),
        OrderCommand::Assign(driver_id) => driver::assign_by_hand(draft, id, *driver_id),
        OrderCommand::Unassign => driver::unassign_by_hand(draft, id),
        OrderCommand::Arrive => driver::arrive(draft, id),
        OrderCommand::PickUp => driver::pick_up(draft, id),
        OrderCommand::Complete(proof) => driver::complete(draft, id, proof),
        OrderCommand::FailDelivery(reason) => driver::fail(draft, id, reason),
        OrderCommand::Return => driver::bring_back(draft, id),
        OrderCommand::GiveBack => driver::give_back(draft, id),
    }
}

fn timer_due(draft: &mut Draft<'_>, key: TimerKey) -> Result<Answer, Refusal> {
    draft.clear_timer(key);
    match key {
        TimerKey::HoldExpiry(id) => order::hold_expired(draft, id)?,
        TimerKey::AcceptBy(id) => restaurant::unanswered(draft, id)?,
        TimerKey::OfferExpiry(id) => offer::expired(draft, id)?,
        TimerKey::SearchEnds(id) => driver::search_ended(draft, id)?,
        TimerKey::RatingRequest(id) => draft.tell(id, Event::RatingRequested {})?,
        TimerKey::Release(id) => restaurant::release(draft, id)?,
        TimerKey::Escalate(id) => restaurant::escalate(draft, id)?,
        TimerKey::Overdue(id) => restaurant::overdue(draft, id)?,
        TimerKey::ChangeExpiry(id) => change::expired(draft, id)?,
        TimerKey::ShiftEnds(id) => shift::ended(draft, id)?,
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
fn order_answer(draft: &Draft<'_>, status: u16, id: OrderId) -> Result<Answer, Refusal> {
    let order = draft.order(id)?;
    let driver = order.delivery.driver_id.and_then(|id| draft.driver(id).ok());
    Ok(Answer {
        status,
        reply: Reply::Order(Box::new(view::order(order, driver, draft.by))),
    })
}

/// Refuses whoever may not know of the order, as if it did not exist.
fn visible(draft: &Draft<'_>, id: OrderId) -> Result<(), Refusal> {
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
