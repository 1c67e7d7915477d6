//! Every way in which the domain says no.
//!
//! A rejection is an answer, not a failure: nothing was changed, and the code says what to do next. Codes are part of
//! the API and never change their meaning.

use serde::Serialize;

/// What an answer to a rejected command says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request can never succeed.
    Never,
    /// The same request may succeed later, when the world has changed.
    Later,
}

macro_rules! rejections {
    ($($(#[doc = $doc:literal])+ $name:ident $code:literal $status:literal $retry:ident $title:literal;)*) => {
        /// Why a command was not carried out. Checked in this order where several apply.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rejection {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Rejection {
            /// All rejections, in order of precedence.
            pub const ALL: &'static [Rejection] = &[$(Rejection::$name),*];

            /// The stable code, as it stands in `code` of a problem.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that fits.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether the same request can succeed later.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            /// One sentence for a person: what is wrong and what to do.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

rejections! {
    /// The region does not take orders now.
    RegionPaused "region_paused" 503 Later "This region takes no orders at the moment; try again later.";
    /// The thing does not exist, or the caller may not know that it does.
    NotFound "not_found" 404 Never "There is no such thing, or it is not yours.";
    /// The caller's role may not do this.
    Forbidden "forbidden" 403 Never "Your role may not do this.";
    /// The key was used for another request.
    IdempotencyKeyReused "idempotency_key_reused" 422 Never "This Idempotency-Key was used for a request with another body; use a new key.";
    /// No region of this node owns the place.
    OutOfArea "out_of_area" 422 Never "The place is outside the area that this region serves; ask /v1/locate who serves it.";
    /// The place is being handed to another region.
    CellMoving "cell_moving" 503 Later "This place is being handed to another region; try again in a moment.";
    /// The place belongs to another region.
    OtherRegion "other_region" 421 Never "The place belongs to another region; order there.";
    /// The restaurant does not deliver there.
    TooFarFromRestaurant "too_far_from_restaurant" 422 Never "The restaurant does not deliver that far.";
    /// The restaurant is closed or paused.
    RestaurantClosed "restaurant_closed" 422 Later "The restaurant takes no orders at the moment.";
    /// No open restaurant nearby has every item.
    NoRestaurant "no_restaurant" 422 Later "No open restaurant within reach has every item.";
    /// An item is not on the menu.
    ItemUnknown "item_unknown" 422 Never "A menu item does not exist at this restaurant.";
    /// An item is off the menu for now.
    ItemUnavailable "item_unavailable" 422 Later "A menu item is not available at the moment.";
    /// The variant or options do not fit the item.
    OptionsInvalid "options_invalid" 422 Never "The chosen variant or options do not fit the menu item.";
    /// The order cannot be delivered at the wanted time.
    ScheduleInvalid "schedule_invalid" 422 Never "The order cannot be delivered at that time; choose another.";
    /// The promotion does not exist, is over or is for other orders.
    PromoInvalid "promo_invalid" 422 Never "The promotion code cannot be used for this order.";
    /// The promotion was used as often as it can be.
    PromoUsedUp "promo_used_up" 409 Never "The promotion code has been used up.";
    /// Fewer are left than ordered.
    SoldOut "sold_out" 409 Later "A menu item is sold out, or fewer are left than you want.";
    /// The order's value is below the restaurant's minimum, or above what one order may cost.
    OrderValue "order_value" 422 Never "The order's value is outside what is accepted.";
    /// The quote is not ours, or was changed.
    QuoteInvalid "quote_invalid" 422 Never "The quote is not valid; ask for a new one.";
    /// The quote's time is over.
    QuoteExpired "quote_expired" 409 Never "The quote has expired; ask for a new one.";
    /// Prices changed since the quote.
    PriceChanged "price_changed" 409 Never "Prices have changed; ask for a new quote.";
    /// As many as there may be.
    LimitReached "limit_reached" 409 Later "There are as many of these as there may be; remove one first.";
    /// Too many unpaid orders of one customer.
    TooManyOpenOrders "too_many_open_orders" 429 Later "You have too many unpaid orders; finish or cancel one first.";
    /// The order is in a state in which this cannot be done.
    WrongState "wrong_state" 409 Never "The order is in a state in which this cannot be done; read it again.";
    /// The time to do this is over.
    TooLate "too_late" 409 Never "It is too late to do this.";
    /// The proposed change has ended.
    ChangeGone "change_gone" 409 Never "The proposed change has ended; read the order again.";
    /// The payment provider cannot be reached.
    CardsUnavailable "cards_unavailable" 422 Later "Cards cannot be charged at the moment; pay in cash, or try again later.";
    /// The hub has switched it off in this region.
    FeatureOff "feature_off" 422 Later "This is switched off in this region at the moment.";
    /// More than what is left of the payment.
    RefundTooLarge "refund_too_large" 422 Never "The refund is larger than what is left of the payment.";
    /// The offer has ended, or went to somebody else.
    OfferGone "offer_gone" 409 Never "The offer has ended.";
    /// The driver belongs to another region.
    DriverElsewhere "driver_elsewhere" 409 Later "The driver belongs to another region now.";
    /// The driver is not signed on.
    DriverOffline "driver_offline" 409 Never "Sign on first.";
    /// The shift would have ended before it begins.
    ShiftOver "shift_over" 422 Never "The shift would be over already; give an end that is to come, or none.";
    /// The driver carries an order.
    DriverBusy "driver_busy" 409 Later "Finish or cancel your delivery first.";
    /// The proof does not match.
    ProofWrong "proof_wrong" 422 Never "The proof of delivery is wrong: the PIN does not match.";
    /// Too many wrong PINs.
    ProofLocked "proof_locked" 409 Never "The PIN was wrong too often; show a photo or a signature instead.";
    /// The edited thing has changed since it was read.
    VersionConflict "version_conflict" 412 Never "It has changed since you read it; read it again and repeat your edit.";
}

impl Serialize for Rejection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_say_what_they_mean() {
        let mut codes: Vec<_> = Rejection::ALL.iter().map(|rejection| rejection.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rejection::ALL.len());
        for rejection in Rejection::ALL {
            assert!((400..=599).contains(&rejection.status()), "{rejection:?}");
            assert!(rejection.title().ends_with('.'), "{rejection:?}");
        }
    }
}
