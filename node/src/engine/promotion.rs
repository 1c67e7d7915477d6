//! Promotions: written by operators, taken with an order, given back where the order comes to nothing.

use std::sync::Arc;

use tomato_shared::id::UserId;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, Promo, Promotion};
use super::view::Reply;

/// Writes a promotion as a whole.
pub(super) fn put(draft: &mut Draft<'_>, wanted: &Promotion) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let catalogue = draft.city.catalogue();
    if catalogue.hubs_promotion(&wanted.code).is_some() {
        let detail = "the hub has a promotion with this code, which counts before the region's own; it is edited there";
        return Err(Refusal::with(Rejection::Forbidden, detail));
    }
    let current = catalogue.promotions.get(&wanted.code);
    let version = current.map_or(0, |row| row.version);
    if wanted.version != 0 && wanted.version != version {
        return Err(Rejection::VersionConflict.into());
    }
    let row = Promotion {
        version: version + 1,
        ..wanted.clone()
    };
    draft.changes.promotions.insert(row.code.clone(), Arc::new(row.clone()));
    Ok(Answer {
        status: 200,
        reply: Reply::Promotion(Box::new(row)),
    })
}

/// Uses a promotion up by one, if it can still be used: as often as it says now, or as it said when it was quoted, where it has
/// gone since.
pub(super) fn take(draft: &mut Draft<'_>, promo: &Promo, customer_id: UserId) -> Result<(), Refusal> {
    let quoted = (promo.uses_max, promo.uses_per_customer_max);
    let row = draft.city.catalogue().promotion(&promo.code);
    let (uses_max, by_one_max) = row.map_or(quoted, |row| (row.uses_max, row.uses_per_customer_max));
    let uses = draft.promo_uses(&promo.code, customer_id);
    if uses >= by_one_max || draft.city.promo_total(&promo.code) >= uses_max {
        return Err(Rejection::PromoUsedUp.into());
    }
    draft
        .changes
        .promo_uses
        .insert((promo.code.clone(), customer_id), uses + 1);
    Ok(())
}

/// Gives a use back: the order it was for came to nothing.
pub(super) fn give_back(draft: &mut Draft<'_>, code: &str, customer_id: UserId) {
    let uses = draft.promo_uses(code, customer_id).saturating_sub(1);
    draft.changes.promo_uses.insert((code.to_owned(), customer_id), uses);
}
