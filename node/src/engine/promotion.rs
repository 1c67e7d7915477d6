//! Promotions: written by operators, taken with an order, given back where the order comes to nothing.

use std::sync::Arc;

use tomato_shared::id::UserId;
use tomato_shared::rejection::Rejection;

use super::command::{Answer, Refusal};
use super::draft::Draft;
use super::model::{By, Promotion};
use super::view::Reply;

/// Writes a promotion as a whole.
pub(super) fn put(draft: &mut Draft<'_>, wanted: &Promotion) -> Result<Answer, Refusal> {
    if !matches!(draft.by, By::Operator(_)) {
        return Err(Rejection::Forbidden.into());
    }
    let current = draft.city.catalogue().promotions.get(&wanted.code);
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

/// Uses a promotion up by one, if it can still be used.
pub(super) fn take(draft: &mut Draft<'_>, code: &str, customer_id: UserId) -> Result<(), Refusal> {
    let row = draft.city.catalogue().promotions.get(code).cloned();
    let row = row.ok_or(Rejection::PromoInvalid)?;
    let uses = draft.promo_uses(code, customer_id);
    if uses >= row.uses_per_customer_max || draft.city.promo_total(code) >= row.uses_max {
        return Err(Rejection::PromoUsedUp.into());
    }
    draft
        .changes
        .promo_uses
        .insert((code.to_owned(), customer_id), uses + 1);
    Ok(())
}

/// Gives a use back: the order it was for came to nothing.
pub(super) fn give_back(draft: &mut Draft<'_>, code: &str, customer_id: UserId) {
    let uses = draft.promo_uses(code, customer_id).saturating_sub(1);
    draft.changes.promo_uses.insert((code.to_owned(), customer_id), uses);
}
