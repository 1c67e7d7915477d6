//! Drivers at work: who they are, when they sign on and off, the cash they carry.

use tomato_shared::event::{CashDeposited, Event};
use tomato_shared::id::DriverId;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::{Answer, DriverCommand, Refusal};
use super::draft::Draft;
use super::model::{By, Custody, Driver, Shift, Span, Vehicle};
use super::timer::TimerKey;
use super::view::{self, Reply};
use super::{books, custody, offer};

/// Something is done with a driver: by an operator, or by themselves where that is their own business.
pub(super) fn run(draft: &mut Draft<'_>, id: DriverId, command: &DriverCommand) -> Result<Answer, Refusal> {
    let own = matches!(command, DriverCommand::SetOnline { .. });
    let between_regions = matches!(command, DriverCommand::Cross(_));
    match draft.by {
        By::Operator(_) if !between_regions => {}
        By::System if between_regions => {}
        By::Driver(caller) if caller == id && own => {}
        By::Driver(_) | By::Customer(_) | By::Restaurant(_) | By::Operator(_) | By::Provider | By::System => {
            return Err(Rejection::Forbidden.into());
        }
    }
    // Cash that was taken here is handed in here, wherever the driver is now.
    let everywhere = between_regions || matches!(command, DriverCommand::DepositCash(_));
    if let Some(region) = draft
        .driver(id)
        .ok()
        .filter(|_| !everywhere)
        .and_then(Driver::elsewhere)
    {
        return Err(Refusal::with(Rejection::DriverElsewhere, format!("it is {region}")));
    }
    match command {
        DriverCommand::Cross(step) => custody::step(draft, id, step)?,
        DriverCommand::Put { name, phone } => put(draft, id, name, phone)?,
        DriverCommand::Plan(spans) => draft.driver_mut(id)?.planned = sorted(spans),
        DriverCommand::SetOnline {
            online: true,
            vehicle,
            until,
        } => {
            if until.is_some_and(|until| until <= draft.now) {
                return Err(Rejection::ShiftOver.into());
            }
            sign_on(draft, id, *vehicle, *until)?;
        }
        DriverCommand::SetOnline { online: false, .. } => sign_off(draft, id)?,
        DriverCommand::DepositCash(amount_minor) => deposit(draft, id, *amount_minor)?,
    }
    answer(draft, id)
}

/// Writes who it is. Whoever is new here belongs here, unless `custody` says otherwise afterwards.
pub(super) fn put(draft: &mut Draft<'_>, id: DriverId, name: &str, phone: &str) -> Result<(), Refusal> {
    if draft.driver(id).is_err() {
        let fresh = Driver {
            id,
            version: 1,
            name: String::new(),
            phone: String::new(),
            online: false,
            vehicle: Vehicle::default(),
            shift: None,
            planned: Vec::new(),
            cash_minor: 0,
            offered: Vec::new(),
            delivering: Vec::new(),
            trip: 0,
            asked: 0,
            refused: 0,
            custody: Custody::default(),
        };
        draft.changes.drivers.insert(id, fresh);
    }
    let row = draft.driver_mut(id)?;
    name.clone_into(&mut row.name);
    phone.clone_into(&mut row.phone);
    Ok(())
}

fn sorted(spans: &[Span]) -> Vec<Span> {
    let mut planned = spans.to_vec();
    planned.sort_by_key(|span| span.starts_at);
    planned
}

/// Signs a driver on. Whoever is on already may change vehicle and end. One whose end has passed on the way here is on until
/// [`end_if_over`].
pub(super) fn sign_on(
    draft: &mut Draft<'_>,
    id: DriverId,
    vehicle: Option<Vehicle>,
    ends_at: Option<UnixMs>,
) -> Result<(), Refusal> {
    let now = draft.now;
    let row = draft.driver(id)?;
    let was_online = row.online;
    let started_at = row.shift.filter(|_| was_online).map_or(now, |shift| shift.started_at);
    let shift = Some(Shift { started_at, ends_at });
    if was_online && row.shift == shift && vehicle.is_none_or(|vehicle| vehicle == row.vehicle) {
        return Ok(());
    }
    let row = draft.driver_mut(id)?;
    row.online = true;
    row.shift = shift;
    row.vehicle = vehicle.unwrap_or(row.vehicle);
    match ends_at {
        Some(at) => draft.set_timer(TimerKey::ShiftEnds(id), at),
        None => draft.clear_timer(TimerKey::ShiftEnds(id)),
    }
    if !was_online {
        draft.tell_region(Event::DriverStatusChanged {
            driver_id: id,
            online: true,
        });
        // Whoever comes online is matched against what waits.
        if draft.city.waiting_len() > 0 {
            draft.dispatch_now();
        }
    }
    Ok(())
}

/// Signs a driver off. Who carries an order cannot; an open offer ends.
fn sign_off(draft: &mut Draft<'_>, id: DriverId) -> Result<(), Refusal> {
    let row = draft.driver(id)?;
    if !row.online {
        return Ok(());
    }
    if !row.delivering.is_empty() {
        return Err(Rejection::DriverBusy.into());
    }
    end(draft, id)
}

/// The driver wanted to stop now: signed off, or after the delivery under way.
pub(super) fn ended(draft: &mut Draft<'_>, id: DriverId) -> Result<(), Refusal> {
    end_if_over(draft, id)
}

/// Signs a driver off whose shift is over and who carries nothing.
pub(super) fn end_if_over(draft: &mut Draft<'_>, id: DriverId) -> Result<(), Refusal> {
    let row = draft.driver(id)?;
    if row.online && row.delivering.is_empty() && row.shift_is_over(draft.now) {
        end(draft, id)
    } else {
        Ok(())
    }
}

/// Signs a driver off.
pub(super) fn end(draft: &mut Draft<'_>, id: DriverId) -> Result<(), Refusal> {
    if let Some(&order_id) = draft.driver(id)?.offered.first() {
        offer::end(draft, order_id, true)?;
    }
    let now = draft.now;
    let row = draft.driver_mut(id)?;
    row.online = false;
    if let Some(shift) = row.shift.take() {
        draft.changes.shifts.push((id, shift, now));
    }
    draft.clear_timer(TimerKey::ShiftEnds(id));
    draft.tell_region(Event::DriverStatusChanged {
        driver_id: id,
        online: false,
    });
    Ok(())
}

/// An operator takes in cash that a driver has collected.
fn deposit(draft: &mut Draft<'_>, id: DriverId, amount_minor: i64) -> Result<(), Refusal> {
    let row = draft.driver_mut(id)?;
    if amount_minor <= 0 || amount_minor > row.cash_minor {
        let in_hand = row.cash_minor;
        return Err(Refusal::with(
            Rejection::RefundTooLarge,
            format!("{in_hand} is in the driver's hands"),
        ));
    }
    row.cash_minor -= amount_minor;
    draft.tell_region(Event::CashDeposited(CashDeposited {
        driver_id: id,
        amount_minor,
    }));
    books::cash_deposited(draft, id, amount_minor);
    Ok(())
}

fn answer(draft: &Draft<'_>, id: DriverId) -> Result<Answer, Refusal> {
    Ok(Answer {
        status: 200,
        reply: Reply::Driver(view::driver(draft.driver(id)?)),
    })
}
