//! The region's own books: every movement of money as a balanced posting, in the transaction of its cause.
//!
//! | cause | debit | credit |
//! |---|---|---|
//! | captured | provider clearing | customer payments |
//! | cash taken | cash in hand | customer payments |
//! | delivered | customer payments, discounts | restaurant, driver, taxes, fees |
//! | given up after cooking began | customer payments (what is kept), refunds | restaurant, fees |
//! | failed trip | fees | driver |
//! | refunded | customer payments, or whoever bears it | provider clearing, or cash office |
//! | tipped | provider clearing | driver |
//! | disputed | disputes | provider clearing |
//! | dispute won | provider clearing | disputes |
//! | dispute lost | refunds, or customer payments where the order was given up | disputes |
//! | cash deposited | cash office | cash in hand |
//!
//! The accounts are those of [`tomato_shared::event::books`].

use tomato_shared::event::books::{Account, Cause, Entry};
use tomato_shared::event::{Bearer, DisputeState, Event, PaymentMethod};
use tomato_shared::id::{DriverId, OrderId};

use super::command::Refusal;
use super::draft::Draft;
use super::model::{Dispute, Order, PaymentGoal, Refund};
use super::policy::Policy;
use super::quote;

const fn debit(account: Account, amount_minor: i64) -> Entry {
    Entry { account, amount_minor }
}

const fn credit(account: Account, amount_minor: i64) -> Entry {
    Entry {
        account,
        amount_minor: -amount_minor,
    }
}

/// Posts entries about an order. Nothing is posted where nothing moves.
fn post(draft: &mut Draft<'_>, id: OrderId, cause: Cause, entries: Vec<Entry>) -> Result<(), Refusal> {
    let entries = balanced(entries);
    if entries.is_empty() {
        return Ok(());
    }
    let currency = draft.order(id)?.price.currency;
    draft.tell(
        id,
        Event::LedgerPosted {
            cause,
            currency,
            entries,
        },
    )
}

fn balanced(mut entries: Vec<Entry>) -> Vec<Entry> {
    let sum: i128 = entries.iter().map(|entry| i128::from(entry.amount_minor)).sum();
    assert!(sum == 0, "a posting that does not sum to zero: {entries:?}");
    entries.retain(|entry| entry.amount_minor != 0);
    entries
}

/// The provider took the customer's money.
pub(super) fn captured(draft: &mut Draft<'_>, id: OrderId, amount_minor: i64) -> Result<(), Refusal> {
    let entries = vec![
        debit(Account::ProviderClearing, amount_minor),
        credit(Account::CustomerPayments, amount_minor),
    ];
    post(draft, id, Cause::Captured, entries)
}

/// A driver took cash at the door.
pub(super) fn cash_taken(
    draft: &mut Draft<'_>,
    id: OrderId,
    driver_id: DriverId,
    amount_minor: i64,
) -> Result<(), Refusal> {
    let entries = vec![
        debit(Account::CashInHand { driver_id }, amount_minor),
        credit(Account::CustomerPayments, amount_minor),
    ];
    post(draft, id, Cause::CashTaken, entries)
}

/// What the restaurant gets of the items, what the platform keeps of them, and the discount that the platform bears.
struct Shares {
    restaurant_minor: i64,
    commission_minor: i64,
    platform_discount_minor: i64,
}

fn shares(order: &Order) -> Shares {
    let commission_minor = order.rates.commission.of(order.price.items_minor);
    let discount_minor = order.price.discount_minor;
    let of_restaurant = order
        .promo
        .as_ref()
        .is_some_and(|promo| promo.borne_by == Bearer::Restaurant);
    let (restaurant_bears, platform_discount_minor) = if of_restaurant {
        (discount_minor, 0)
    } else {
        (0, discount_minor)
    };
    Shares {
        restaurant_minor: order.price.items_minor - commission_minor - restaurant_bears,
        commission_minor,
        platform_discount_minor,
    }
}

/// What a driver earns by a delivery, besides tips, in minor units.
pub(super) fn driver_fee_minor(order: &Order, policy: &Policy) -> i64 {
    let way_m = order.restaurant_place.distance_m(&order.deliver_to.place);
    let pay = &policy.driver_pay;
    pay.base_minor
        .saturating_add(pay.per_km_minor.saturating_mul(quote::started_km(way_m)))
}

/// An order was delivered: what the customer paid is shared out.
pub(super) fn delivered(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let (price, restaurant_id) = (order.price, order.restaurant_id);
    let shares = shares(order);
    let driver_fee_minor = driver_fee_minor(order, draft.policy);
    let fees_minor = price.delivery_fee_minor + price.service_fee_minor + shares.commission_minor - driver_fee_minor;
    let driver = Account::DriverPayable { driver_id };
    let entries = vec![
        debit(Account::CustomerPayments, price.total_minor),
        debit(Account::Discounts, shares.platform_discount_minor),
        credit(Account::RestaurantPayable { restaurant_id }, shares.restaurant_minor),
        credit(driver, driver_fee_minor),
        credit(driver, price.tip_minor),
        credit(Account::Taxes, price.tax_minor),
        credit(Account::Fees, fees_minor),
    ];
    post(draft, id, Cause::Delivered, entries)
}

/// An order was given up after the restaurant had begun to cook, through no fault of its own: it is paid for that, out of
/// what is kept of the customer's money and for the rest by the platform.
pub(super) fn cooked_in_vain(draft: &mut Draft<'_>, id: OrderId, keep_minor: i64) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let restaurant_id = order.restaurant_id;
    let owed_minor = shares(order).restaurant_minor.max(0);
    let lost_minor = (owed_minor - keep_minor).max(0);
    let entries = vec![
        debit(Account::CustomerPayments, keep_minor),
        debit(Account::Refunds, lost_minor),
        credit(Account::RestaurantPayable { restaurant_id }, owed_minor),
        credit(Account::Fees, keep_minor + lost_minor - owed_minor),
    ];
    post(draft, id, Cause::CancelFee, entries)
}

/// A driver is paid for a trip that brought nothing.
pub(super) fn failed_trip(draft: &mut Draft<'_>, id: OrderId, driver_id: DriverId) -> Result<i64, Refusal> {
    let fee_minor = driver_fee_minor(draft.order(id)?, draft.policy);
    let entries = vec![
        debit(Account::Fees, fee_minor),
        credit(Account::DriverPayable { driver_id }, fee_minor),
    ];
    post(draft, id, Cause::FailedTrip, entries)?;
    Ok(fee_minor)
}

/// Money went back to the customer. For what was given up or changed, it was never earned; else somebody bears it.
pub(super) fn refunded(draft: &mut Draft<'_>, id: OrderId, refund: &Refund) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let platform = Account::Refunds;
    let from = match (refund.unearned, refund.borne_by) {
        (true, _) => Account::CustomerPayments,
        (false, Bearer::Platform) => platform,
        (false, Bearer::Restaurant) => Account::RestaurantPayable {
            restaurant_id: order.restaurant_id,
        },
        (false, Bearer::Driver) => order
            .delivery
            .driver_id
            .map_or(platform, |driver_id| Account::DriverPayable { driver_id }),
    };
    let to = match order.payment.method {
        PaymentMethod::Card => Account::ProviderClearing,
        PaymentMethod::Cash => Account::CashOffice,
    };
    let entries = vec![debit(from, refund.amount_minor), credit(to, refund.amount_minor)];
    post(draft, id, Cause::Refunded, entries)
}

/// The provider took `moved_minor` away for a dispute, or gave it back where negative; what is lost is lost by the platform, or
/// by nobody where it was never earned.
pub(super) fn disputed(draft: &mut Draft<'_>, id: OrderId, dispute: &Dispute, moved_minor: i64) -> Result<(), Refusal> {
    let payment = &draft.order(id)?.payment;
    let given_up = payment.goal == PaymentGoal::Return && dispute.payment_id == payment.id;
    let unearned_minor = if given_up {
        (payment.amount_minor - payment.keep_minor - payment.refunded_minor()).max(0)
    } else {
        0
    };
    let lost_minor = if dispute.state == DisputeState::Lost {
        dispute.withdrawn_minor
    } else {
        0
    };
    let unearned_minor = unearned_minor.min(lost_minor);
    let entries = vec![
        debit(Account::Disputes, moved_minor - lost_minor),
        debit(Account::CustomerPayments, unearned_minor),
        debit(Account::Refunds, lost_minor - unearned_minor),
        credit(Account::ProviderClearing, moved_minor),
    ];
    post(draft, id, Cause::Disputed, entries)
}

/// A tip after delivery.
pub(super) fn tipped(
    draft: &mut Draft<'_>,
    id: OrderId,
    driver_id: DriverId,
    amount_minor: i64,
) -> Result<(), Refusal> {
    let entries = vec![
        debit(Account::ProviderClearing, amount_minor),
        credit(Account::DriverPayable { driver_id }, amount_minor),
    ];
    post(draft, id, Cause::Tipped, entries)
}

/// A driver handed cash in.
pub(super) fn cash_deposited(draft: &mut Draft<'_>, driver_id: DriverId, amount_minor: i64) {
    let entries = balanced(vec![
        debit(Account::CashOffice, amount_minor),
        credit(Account::CashInHand { driver_id }, amount_minor),
    ]);
    draft.tell_region(Event::LedgerPosted {
        cause: Cause::CashDeposited,
        currency: draft.policy.currency,
        entries,
    });
}
