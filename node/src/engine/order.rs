//! Placing an order, confirming it, and giving it up.

use tomato_shared::cell::EVENT_RESOLUTION;
use tomato_shared::event::{CancelReason, Event, Line, PaymentMethod, Price, Short};
use tomato_shared::id::{OrderId, RestaurantId, UserId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::{Answer, Basket, PlaceOrder, Refusal};
use super::draft::Draft;
use super::model::{By, Delivery, Order, Payment, PaymentGoal, PaymentState, Promo, ReservationState, Restaurant};
use super::policy::{Policy, Rates};
use super::timer::TimerKey;
use super::{books, driver, menu, order_answer, payment, promotion, provider, quote, restaurant, stock, visible};

/// What is ordered where, and for how much.
struct Deal {
    restaurant_id: RestaurantId,
    lines: Vec<Line>,
    price: Price,
    rates: Rates,
    deliver_at: Option<UnixMs>,
    promo: Option<Promo>,
}

/// Places an order: priced, in the area, stock held, its payment under way, all or nothing.
///
/// Refused, in this order: `forbidden`, `too_many_open_orders`, the quote's faults, `region_paused`, `feature_off` (orders for
/// later), `out_of_area`, `not_found`, `restaurant_closed`, `schedule_invalid`, `too_far_from_restaurant`, `no_restaurant`, `item_unknown`, `item_unavailable`,
/// `options_invalid`, `promo_invalid`, `order_value`, `feature_off` (cards, cash), `cards_unavailable`, `promo_used_up`, `sold_out`.
pub(super) fn place(draft: &mut Draft<'_>, wanted: &PlaceOrder) -> Result<Answer, Refusal> {
    let By::Customer(customer_id) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    let (city, policy) = (draft.city, draft.policy);
    if city.pending_orders(customer_id) >= policy.pending_orders_max
        || city.open_orders(customer_id) >= policy.open_orders_max
    {
        return Err(Rejection::TooManyOpenOrders.into());
    }
    let deal = deal(draft, wanted)?;
    let payment_state = provider::first_state(draft, customer_id, wanted.method, deal.price.total_minor)?;
    if let Some(promo) = &deal.promo {
        promotion::take(draft, promo, customer_id)?;
    }
    let restaurant = draft.restaurant(deal.restaurant_id)?.clone();
    if let Some(short) = stock::first_short(draft, deal.restaurant_id, &deal.lines) {
        return Err(sold_out(draft, deal.restaurant_id, &short));
    }
    let id = draft.ids.id(draft.now);
    let mut order = new_order(draft, customer_id, id, wanted, &deal, &restaurant);
    order.payment.state = payment_state;
    draft.changes.orders.insert(id, order);
    let phone = wanted.basket.deliver_to.phone.as_ref();
    let event = Event::OrderCreated {
        customer_id,
        restaurant_id: deal.restaurant_id,
        lines: deal.lines.clone(),
        price: deal.price,
        method: wanted.method,
        cell: wanted.basket.deliver_to.place.cell(EVENT_RESOLUTION),
        deliver_at: deal.deliver_at,
        promo_code: deal.promo.map(|promo| promo.code),
        map_version: draft.city.catalogue().territory.directory.map().version,
        phone_hash: draft
            .policy
            .phone_key
            .as_ref()
            .zip(phone)
            .map(|(key, phone)| key.hash(phone)),
    };
    draft.tell(id, event)?;
    let expires_at = draft.now + draft.policy.hold;
    let items = stock::hold(draft, id, deal.restaurant_id, &deal.lines, expires_at)?;
    if !items.is_empty() {
        draft.tell(id, Event::InventoryReserved { items, expires_at })?;
    }
    draft.set_timer(TimerKey::HoldExpiry(id), expires_at);
    payment::begin(draft, id)?;
    order_answer(draft, 201, id)
}

fn deal(draft: &Draft<'_>, wanted: &PlaceOrder) -> Result<Deal, Refusal> {
    let catalogue = draft.city.catalogue();
    let basket = &wanted.basket;
    let Some(signed) = &wanted.quote else {
        let in_stock = |row: &Restaurant, lines: &[Line]| stock::has_all(draft, row.id, lines);
        let restaurant = quote::choose(catalogue, draft.policy, basket, draft.now, in_stock)?;
        let (lines, price, promo) = quote::priced(catalogue, draft.policy, restaurant, basket, draft.now)?;
        return Ok(Deal {
            restaurant_id: restaurant.id,
            lines,
            price,
            rates: catalogue.tariff(draft.policy).rates,
            deliver_at: basket.deliver_at,
            promo,
        });
    };
    let terms = quote::verify(signed, &draft.policy.quote_key)?;
    if draft.by != By::Customer(terms.customer_id) || terms.place != basket.deliver_to.place {
        return Err(Rejection::QuoteInvalid.into());
    }
    if draft.now >= terms.expires_at {
        return Err(Rejection::QuoteExpired.into());
    }
    // The price stands as quoted; whether the restaurant can cook and deliver it is asked again.
    let again = Basket {
        restaurant_id: Some(terms.restaurant_id),
        items: terms.lines.iter().map(menu::wanted).collect(),
        deliver_at: terms.deliver_at,
        ..basket.clone()
    };
    let restaurant = quote::choose(catalogue, draft.policy, &again, draft.now, |_, _| true)?;
    let cook_at = quote::cooking_at(restaurant, &again, draft.policy, draft.now);
    menu::lines(restaurant, &again.items, cook_at)?;
    Ok(Deal {
        restaurant_id: terms.restaurant_id,
        lines: terms.lines,
        price: terms.price,
        rates: terms.rates,
        deliver_at: terms.deliver_at,
        promo: terms.promo,
    })
}

fn sold_out(draft: &mut Draft<'_>, restaurant_id: RestaurantId, short: &stock::Short) -> Refusal {
    draft.tell_region(Event::InventoryReservationFailed(Short {
        restaurant_id,
        item_id: short.item_id,
        wanted: short.wanted,
        left: short.left,
    }));
    let (name, left, wanted) = (&short.name, short.left, short.wanted);
    Refusal::with(Rejection::SoldOut, format!("{name}: {left} left, {wanted} wanted"))
}

fn new_order(
    draft: &mut Draft<'_>,
    customer_id: UserId,
    id: OrderId,
    wanted: &PlaceOrder,
    deal: &Deal,
    restaurant: &Restaurant,
) -> Order {
    let deliver_to = wanted.basket.deliver_to.clone();
    let soonest = quote::estimate(restaurant, deliver_to.place, draft.policy, draft.now);
    Order {
        id,
        version: 0,
        state: OrderState::Pending,
        customer_id,
        restaurant_id: restaurant.id,
        restaurant_name: restaurant.name.clone(),
        restaurant_place: restaurant.place,
        lines: deal.lines.clone(),
        price: deal.price,
        rates: deal.rates,
        deliver_to,
        pin: draft.ids.pin(),
        payment: Payment {
            id: draft.ids.id(draft.now),
            method: wanted.method,
            state: PaymentState::Authorising,
            goal: PaymentGoal::Hold,
            card: wanted.card.clone(),
            attempt: 1,
            transaction_id: String::new(),
            amount_minor: deal.price.total_minor,
            keep_minor: 0,
            refunds: Vec::new(),
            tips: Vec::new(),
            action: None,
            declined: None,
            asked_at: draft.now,
            disputes: Vec::new(),
            stray: false,
        },
        delivery: Delivery::searching(),
        declined_by: Vec::new(),
        placed_at: draft.now,
        confirmed_at: None,
        accept_by: None,
        ready_at: None,
        promised_at: None,
        estimated_delivery_at: deal.deliver_at.unwrap_or(soonest),
        ended_at: None,
        cancel_reason: None,
        deliver_at: deal.deliver_at,
        release_at: None,
        accepted_at: None,
        promo: deal.promo.clone(),
        change: None,
        rating: None,
    }
}

/// The money is promised: stock becomes a sale and the restaurant is asked, or will be in time for the wanted moment.
pub(super) fn confirm(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let (restaurant_id, place, deliver_at) = (order.restaurant_id, order.deliver_to.place, order.deliver_at);
    let restaurant = draft.restaurant(restaurant_id)?.clone();
    let soonest = quote::estimate(&restaurant, place, draft.policy, draft.now);
    let estimated_delivery_at = deliver_at.unwrap_or(soonest).max(soonest);
    draft.tell(id, Event::OrderConfirmed { estimated_delivery_at })?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.confirmed_at = Some(now);
    order.estimated_delivery_at = estimated_delivery_at;
    draft.clear_timer(TimerKey::HoldExpiry(id));
    stock::consume(draft, id);
    let Some(deliver_at) = deliver_at else {
        return restaurant::ask(draft, id, &restaurant);
    };
    let policy = draft.policy;
    let lead = (soonest - now).0 + policy.accept_within.0 + policy.release_margin.0;
    // Who opens only after that is asked when they open: they do in time to cook.
    let release_at = UnixMs(deliver_at.0 - lead).max(now);
    let opens_at = restaurant.hours.opens_at(release_at, &policy.zone);
    let release_at = opens_at.filter(|at| *at < deliver_at).unwrap_or(release_at);
    if release_at <= now {
        return restaurant::ask(draft, id, &restaurant);
    }
    draft.order_mut(id)?.release_at = Some(release_at);
    draft.set_timer(TimerKey::Release(id), release_at);
    let event = Event::OrderScheduled { release_at, deliver_at };
    draft.tell(id, event)
}

/// Gives an order up: a customer until the food is ready, a restaurant that has accepted it until pickup, an operator until
/// pickup. A customer who does so late pays for it; see [`late_fee`].
pub(super) fn cancel(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    let order = draft.order(id)?;
    let state = order.state;
    let mut fee_minor = 0;
    let (allowed, reason) = match draft.by {
        By::Customer(_) => {
            let fee = late_fee(draft.policy, order, draft.now);
            fee_minor = fee.unwrap_or(0);
            (fee.is_some(), CancelReason::Customer)
        }
        By::Operator(_) => (state != OrderState::OutForDelivery, CancelReason::Operator),
        By::Restaurant(_) => (
            matches!(state, OrderState::Preparing | OrderState::ReadyForPickup),
            CancelReason::Restaurant,
        ),
        By::Driver(_) | By::Provider | By::System => return Err(Rejection::Forbidden.into()),
    };
    // A restaurant that has not accepted yet says no by rejecting.
    let early = matches!(draft.by, By::Restaurant(_)) && matches!(state, OrderState::Pending | OrderState::Confirmed);
    if state.is_final() || early {
        return Err(Rejection::WrongState.into());
    }
    if !allowed {
        return Err(Rejection::TooLate.into());
    }
    end(draft, id, reason, fee_minor)?;
    order_answer(draft, 200, id)
}

/// What it costs the customer to give an order up now, in minor units: nothing until some time after the restaurant accepted
/// it, a share of the items until it is ready. `None` where it is too late; for cash as soon as it would cost something.
pub fn late_fee(policy: &Policy, order: &Order, now: UnixMs) -> Option<i64> {
    let rules = &policy.cancelling;
    match order.state {
        OrderState::Pending | OrderState::Confirmed => Some(0),
        OrderState::Preparing => {
            let accepted_at = order.accepted_at.unwrap_or(now);
            if now < accepted_at + rules.free_after_accept {
                return Some(0);
            }
            let fee_minor = rules.late.of(order.price.items_minor).min(order.price.total_minor);
            (order.payment.method == PaymentMethod::Card || fee_minor == 0).then_some(fee_minor)
        }
        OrderState::PaymentFailed
        | OrderState::ReadyForPickup
        | OrderState::OutForDelivery
        | OrderState::Delivered
        | OrderState::Cancelled => None,
    }
}

/// Ends an order: stock back while nothing was cooked, money back less `fee_minor`, driver free, deadlines gone.
pub(super) fn end(draft: &mut Draft<'_>, id: OrderId, reason: CancelReason, fee_minor: i64) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let uncooked = matches!(order.state, OrderState::Pending | OrderState::Confirmed);
    let uses = order.promo.clone().map(|promo| (promo.code, order.customer_id));
    draft.tell(id, Event::OrderCancelled { reason, fee_minor })?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.cancel_reason = Some(reason);
    order.release_at = None;
    if uncooked {
        let end = if reason == CancelReason::HoldExpired {
            ReservationState::Expired
        } else {
            ReservationState::Released
        };
        stock::give_back(draft, id, end)?;
    } else if reason != CancelReason::Restaurant {
        books::cooked_in_vain(draft, id, fee_minor)?;
    }
    if let Some((code, customer_id)) = uses {
        promotion::give_back(draft, &code, customer_id);
    }
    clear_timers(draft, id);
    driver::release(draft, id)?;
    payment::give_back(draft, id, fee_minor)
}

/// Drops every deadline of an order that is over.
pub(super) fn clear_timers(draft: &mut Draft<'_>, id: OrderId) {
    for key in [
        TimerKey::HoldExpiry(id),
        TimerKey::AcceptBy(id),
        TimerKey::SearchEnds(id),
        TimerKey::Release(id),
        TimerKey::Escalate(id),
        TimerKey::Overdue(id),
        TimerKey::ChangeExpiry(id),
    ] {
        draft.clear_timer(key);
    }
}

/// The provider has said no for good.
pub(super) fn payment_failed(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.delivery.state = DeliveryState::Cancelled;
    let uses = order.promo.clone().map(|promo| (promo.code, order.customer_id));
    if let Some((code, customer_id)) = uses {
        promotion::give_back(draft, &code, customer_id);
    }
    draft.clear_timer(TimerKey::HoldExpiry(id));
    stock::give_back(draft, id, ReservationState::Released)
}

/// The hold of an unpaid order ran out, or the time for another card. The payment stays under way; what it may still bring goes back.
pub(super) fn hold_expired(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    if order.state != OrderState::Pending {
        return Ok(());
    }
    match order.payment.declined.clone() {
        // No other card came.
        Some(decline) => payment::failed(draft, id, &decline.code),
        None => end(draft, id, CancelReason::HoldExpired, 0),
    }
}

/// Whether the hold of an unpaid order is over at `now`, whether or not its timer has fired.
pub(super) fn hold_is_over(draft: &Draft<'_>, id: OrderId, now: UnixMs) -> bool {
    let deadline = draft.city.deadline(TimerKey::HoldExpiry(id));
    draft.order(id).is_ok_and(|order| order.state == OrderState::Pending) && deadline.is_some_and(|at| at <= now)
}
