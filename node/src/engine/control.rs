//! Whether the region takes orders, and what the hub says of that, of fees, promotions and switches.

use std::sync::Arc;

use tomato_shared::control::Edition;
use tomato_shared::event::{Event, RegionStatusChanged};
use tomato_shared::rejection::Rejection;

use super::city::RegionStatus;
use super::command::{Answer, Refusal};
use super::done;
use super::draft::Draft;
use super::model::By;
use super::view::{Reply, region};

/// Takes a newer document in, as a whole; an older one, or the same, changes nothing.
pub(super) fn take(draft: &mut Draft<'_>, edition: &Edition) -> Result<Answer, Refusal> {
    let catalogue = draft.city.catalogue();
    if edition.version > catalogue.control.version {
        tell(draft, &catalogue.region, edition);
        draft.changes.control = Some(Arc::new(edition.clone()));
    }
    Ok(done())
}

/// An operator stops or resumes the taking of orders; what is under way goes on. What the hub has stopped stays so.
pub(super) fn pause(draft: &mut Draft<'_>, paused: bool, reason: &str) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let catalogue = draft.city.catalogue();
    let status = RegionStatus {
        paused,
        reason: reason.to_owned(),
        ..catalogue.region.clone()
    };
    if catalogue.region != status {
        tell(draft, &status, &catalogue.control);
        draft.changes.region = Some(status.clone());
    }
    Ok(Answer {
        status: 200,
        reply: Reply::Region(region(&status, &catalogue.control)),
    })
}

/// Says so where the region takes orders again, or none any more, or for another reason.
fn tell(draft: &mut Draft<'_>, status: &RegionStatus, edition: &Edition) {
    let paused = status.paused_under(edition);
    if draft.city.catalogue().paused() != paused {
        draft.tell_region(Event::RegionStatusChanged(RegionStatusChanged {
            paused: paused.is_some(),
            reason: paused.unwrap_or(&status.reason).to_owned(),
        }));
    }
}
