//! Whose a driver is, where regions meet. A driver belongs to one region at a time, in an epoch that is nobody else's.
//!
//! ```text
//! giver   Ours(e) -- hand_over --> Leaving(e+1, to) -- handed_over --> Theirs(to)
//!                                   | told again and again           ^
//!                                   v                                | "it is mine"
//! taker   anything before e+1 -- take_over --> Ours(e+1) ------------'
//! ```
//!
//! The giver lets go in one transaction and the taker takes in another, so between them the driver is nobody's, and never
//! two regions'. A message that is lost is sent again; one that comes twice, late or out of order is of an epoch that the
//! receiver knows and changes nothing. A link that is cut makes the driver wait. No clock takes part.
//!
//! A loan is the same, for one order: a borrowed driver who has nothing to do goes home at once, in the decision that
//! left them idle. The lender never takes a driver back by itself; whoever does not answer an offer is home after its
//! end. What a driver earns stands in the books of the region that they earned it in, as does the cash that they took.

use serde::{Deserialize, Serialize};
use tomato_shared::cell::{LatLng, RegionId};
use tomato_shared::event::{Crossing, Event};
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::Refusal;
use super::draft::Draft;
use super::model::{Driver, Loan, Span, Standing, Vehicle};
use super::{dispatch, shift};

/// A driver on the way from one region to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who gave them.
    pub from: RegionId,
    /// In which epoch they are the taker's.
    pub epoch: u64,
    /// For the delivery of this order only.
    #[serde(default)]
    pub loan: Option<OrderId>,
    /// Personal: goes from region to region, and into no event.
    pub name: String,
    /// Personal.
    pub phone: String,
    /// Signed on.
    pub online: bool,
    /// What they move with.
    #[serde(default)]
    pub vehicle: Vehicle,
    /// When they want to stop.
    #[serde(default)]
    pub ends_at: Option<UnixMs>,
    /// When they are expected to work.
    #[serde(default)]
    pub planned: Vec<Span>,
    /// Where they were last.
    #[serde(default)]
    pub place: Option<LatLng>,
}

impl Arrival {
    /// What the taker has to know of a driver who leaves `from`; `None` of one who does not.
    pub fn of(row: &Driver, from: &RegionId, place: Option<LatLng>) -> Option<(RegionId, Self)> {
        let Standing::Leaving {
            to,
            loan,
            online,
            ends_at,
        } = &row.custody.standing
        else {
            return None;
        };
        let arrival = Self {
            from: from.clone(),
            epoch: row.custody.epoch,
            loan: *loan,
            name: row.name.clone(),
            phone: row.phone.clone(),
            online: *online,
            vehicle: row.vehicle,
            ends_at: *ends_at,
            planned: row.planned.clone(),
            place,
        };
        Some((to.clone(), arrival))
    }
}

/// What is done with a driver who goes from one region to another.
#[derive(Debug, Clone)]
pub enum Step {
    /// The driver goes to another region; with an order, for its delivery only.
    HandOver {
        /// To whom.
        to: RegionId,
        /// For what.
        loan: Option<OrderId>,
    },
    /// The driver comes from another region.
    TakeOver(Box<Arrival>),
    /// The other region knows that the driver is its own, in this epoch.
    HandedOver(u64),
}

pub(super) fn step(draft: &mut Draft<'_>, id: DriverId, step: &Step) -> Result<(), Refusal> {
    match step {
        Step::HandOver { to, loan } => hand_over(draft, id, to, *loan),
        Step::TakeOver(arrival) => take_over(draft, id, arrival),
        Step::HandedOver(epoch) => handed_over(draft, id, *epoch),
    }
}

/// Gives an idle driver to another region.
fn hand_over(draft: &mut Draft<'_>, id: DriverId, to: &RegionId, loan: Option<OrderId>) -> Result<(), Refusal> {
    let row = draft.driver(id)?;
    if !row.is_ours() || row.borrowed().is_some() || *to == draft.policy.region {
        return Err(Rejection::DriverElsewhere.into());
    }
    if !row.online {
        return Err(Rejection::DriverOffline.into());
    }
    if !row.is_free() || row.shift_is_over(draft.now) {
        return Err(Rejection::DriverBusy.into());
    }
    give(draft, id, to, loan)
}

/// Signs the driver off here, and lets go.
fn give(draft: &mut Draft<'_>, id: DriverId, to: &RegionId, loan: Option<OrderId>) -> Result<(), Refusal> {
    let row = draft.driver(id)?;
    let (online, ends_at) = (row.online, row.shift.and_then(|shift| shift.ends_at));
    if online {
        shift::end(draft, id)?;
    }
    let row = draft.driver_mut(id)?;
    row.custody.epoch += 1;
    row.custody.standing = Standing::Leaving {
        to: to.clone(),
        loan,
        online,
        ends_at,
    };
    let epoch = row.custody.epoch;
    draft.tell_region(Event::DriverHandedOver(Crossing {
        driver_id: id,
        other: to.clone(),
        epoch,
        loan: loan.is_some(),
    }));
    Ok(())
}

/// Takes a driver of another region. Who was taken already, or has gone on since, is not taken again.
fn take_over(draft: &mut Draft<'_>, id: DriverId, arrival: &Arrival) -> Result<(), Refusal> {
    let known = draft.driver(id).ok().map(|row| row.custody.epoch);
    if known.is_some_and(|epoch| epoch >= arrival.epoch) {
        return Ok(());
    }
    // The giver says that the driver was never this region's, which is at work with them: people have to look.
    if draft
        .driver(id)
        .is_ok_and(|row| row.is_ours() && row.online && !row.is_free())
    {
        return Err(Rejection::DriverBusy.into());
    }
    shift::put(draft, id, &arrival.name, &arrival.phone)?;
    let row = draft.driver_mut(id)?;
    row.planned.clone_from(&arrival.planned);
    row.vehicle = arrival.vehicle;
    row.custody.epoch = arrival.epoch;
    let loan = arrival.loan.map(|order_id| Loan {
        home: arrival.from.clone(),
        order_id,
    });
    row.custody.standing = Standing::Ours { loan };
    draft.tell_region(Event::DriverTakenOver(Crossing {
        driver_id: id,
        other: arrival.from.clone(),
        epoch: arrival.epoch,
        loan: arrival.loan.is_some(),
    }));
    if arrival.online {
        shift::sign_on(draft, id, None, arrival.ends_at)?;
        shift::end_if_over(draft, id)?;
    }
    match arrival.loan {
        // Where the order needs nobody any more, the driver goes home by the same decision.
        Some(order_id) => dispatch::offer_to_borrowed(draft, order_id, id, arrival.place),
        None => Ok(()),
    }
}

/// The taker knows: there is nothing left to tell.
fn handed_over(draft: &mut Draft<'_>, id: DriverId, epoch: u64) -> Result<(), Refusal> {
    let row = draft.driver(id)?;
    let Standing::Leaving { to, .. } = &row.custody.standing else {
        return Ok(());
    };
    if row.custody.epoch == epoch {
        let region = to.clone();
        draft.driver_mut(id)?.custody.standing = Standing::Theirs { region };
    }
    Ok(())
}

/// Borrowed drivers whom a decision left with nothing to do go home.
pub(super) fn send_home(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let idle = |row: &&Driver| row.offered.is_empty() && row.delivering.is_empty();
    let changed = draft.changes.drivers.values().filter(idle);
    let home = changed.filter_map(|row| Some((row.id, row.borrowed()?.home.clone())));
    for (id, home) in home.collect::<Vec<_>>() {
        give(draft, id, &home, None)?;
    }
    Ok(())
}
