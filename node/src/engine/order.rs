//! Placing an order and giving one up.

use tomato_shared::cell::EVENT_RESOLUTION;
use tomato_shared::event::{CancelReason, Event, Line, PaymentMethod, Price};
use tomato_shared::id::{OrderId, RestaurantId};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::{Answer, PlaceOrder, Refusal};
use super::draft::Draft;
use super::model::{By, Delivery, Order, Payment, PaymentGoal, PaymentState, ReservationState, Restaurant};
use super::timer::TimerKey;
use super::{driver, order_answer, payment, quote, restaurant, stock, visible};

/// What is ordered where, and for how much.
struct Basket {
    restaurant_id: RestaurantId,
    lines: Vec<Line>,
    price: Price,
}

/// Places an order: priced, in the area, stock held, its payment under way, all or nothing.
///
/// Refused, in this order: `forbidden`, `too_many_open_orders`, the quote's faults, `out_of_area`, `not_found`, `restaurant_closed`,
/// `too_far_from_restaurant`, `no_restaurant`, `item_unknown`, `item_unavailable`, `order_value`, `sold_out`.
pub(super) fn place(draft: &mut Draft<'_>, wanted: &PlaceOrder) -> Result<Answer, Refusal> {
    let By::Customer(customer_id) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    if draft.city.pending_orders(customer_id) >= draft.policy.pending_orders_max {
        return Err(Rejection::TooManyOpenOrders.into());
    }
    let basket = basket(draft, wanted)?;
    let restaurant = draft.restaurant(basket.restaurant_id)?.clone();
    if let Some((line, left)) = stock::first_short(draft, basket.restaurant_id, &basket.lines) {
        return Err(sold_out(draft, basket.restaurant_id, &line.clone(), left));
    }
    let id = draft.ids.id(draft.now);
    let order = new_order(draft, id, wanted, &basket, &restaurant)?;
    draft.changes.orders.insert(id, order);
    draft.tell(
        id,
        Event::OrderCreated {
            customer_id,
            restaurant_id: basket.restaurant_id,
            lines: basket.lines.clone(),
            price: basket.price,
            method: wanted.method,
            cell: wanted.deliver_to.place.cell(EVENT_RESOLUTION),
            deliver_at: None,
            promo_code: None,
        },
    )?;
    let expires_at = draft.now + draft.policy.hold;
    let items = stock::hold(draft, id, basket.restaurant_id, &basket.lines, expires_at)?;
    if !items.is_empty() {
        draft.tell(id, Event::InventoryReserved { items, expires_at })?;
    }
    draft.set_timer(TimerKey::HoldExpiry(id), expires_at);
    payment::begin(draft, id)?;
    order_answer(draft, 201, id)
}

fn basket(draft: &Draft<'_>, wanted: &PlaceOrder) -> Result<Basket, Refusal> {
    let place = wanted.deliver_to.place;
    let Some(signed) = &wanted.quote else {
        let in_stock = |row: &Restaurant, lines: &[Line]| stock::has_all(draft, row.id, lines);
        let catalogue = draft.city.catalogue();
        let restaurant = quote::choose(
            catalogue,
            draft.policy,
            wanted.restaurant_id,
            &wanted.items,
            place,
            in_stock,
        )?;
        let lines = quote::lines(restaurant, &wanted.items)?;
        let price = quote::price(restaurant, &lines, place, wanted.tip_minor, draft.policy)?;
        return Ok(Basket {
            restaurant_id: restaurant.id,
            lines,
            price,
        });
    };
    let terms = quote::verify(signed, &draft.policy.quote_key)?;
    if draft.by != By::Customer(terms.customer_id) || terms.place != place {
        return Err(Rejection::QuoteInvalid.into());
    }
    if draft.now >= terms.expires_at {
        return Err(Rejection::QuoteExpired.into());
    }
    // The price stands as quoted; whether the restaurant can deliver now is asked again.
    let items: Vec<_> = terms.lines.iter().map(|line| (line.item_id, line.quantity)).collect();
    let chosen = Some(terms.restaurant_id);
    let restaurant = quote::choose(draft.city.catalogue(), draft.policy, chosen, &items, place, |_, _| true)?;
    quote::lines(restaurant, &items)?;
    Ok(Basket {
        restaurant_id: terms.restaurant_id,
        lines: terms.lines,
        price: terms.price,
    })
}

fn sold_out(draft: &mut Draft<'_>, restaurant_id: RestaurantId, line: &Line, left: u32) -> Refusal {
    let wanted = line.quantity;
    draft.tell_region(Event::InventoryReservationFailed {
        restaurant_id,
        item_id: line.item_id,
        wanted,
        left,
    });
    Refusal::with(
        Rejection::SoldOut,
        format!("{}: {left} left, {wanted} wanted", line.name),
    )
}

fn new_order(
    draft: &mut Draft<'_>,
    id: OrderId,
    wanted: &PlaceOrder,
    basket: &Basket,
    restaurant: &Restaurant,
) -> Result<Order, Refusal> {
    let By::Customer(customer_id) = draft.by else {
        return Err(Rejection::Forbidden.into());
    };
    let state = match wanted.method {
        PaymentMethod::Card => PaymentState::Authorising,
        PaymentMethod::Cash => PaymentState::CashDue,
    };
    Ok(Order {
        id,
        version: 0,
        state: OrderState::Pending,
        customer_id,
        restaurant_id: restaurant.id,
        restaurant_name: restaurant.name.clone(),
        restaurant_place: restaurant.place,
        lines: basket.lines.clone(),
        price: basket.price,
        deliver_to: wanted.deliver_to.clone(),
        pin: draft.ids.pin(),
        payment: Payment {
            id: draft.ids.id(draft.now),
            method: wanted.method,
            state,
            goal: PaymentGoal::Hold,
            card: wanted.card.clone(),
            attempt: 1,
            transaction_id: String::new(),
        },
        delivery: Delivery {
            state: DeliveryState::Searching,
            offer: None,
            driver_id: None,
            excluded: Vec::new(),
            declined: Vec::new(),
            cancellations: 0,
            assigned_at: None,
            picked_up_at: None,
            proof: None,
        },
        declined_by: Vec::new(),
        placed_at: draft.now,
        confirmed_at: None,
        accept_by: None,
        ready_at: None,
        estimated_delivery_at: quote::estimate(restaurant, wanted.deliver_to.place, draft.policy, draft.now),
        ended_at: None,
        cancel_reason: None,
    })
}

/// The money is promised: stock becomes a sale and the restaurant is asked.
pub(super) fn confirm(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let order = draft.order(id)?;
    let (restaurant_id, place) = (order.restaurant_id, order.deliver_to.place);
    let restaurant = draft.restaurant(restaurant_id)?.clone();
    let estimated_delivery_at = quote::estimate(&restaurant, place, draft.policy, draft.now);
    draft.tell(id, Event::OrderConfirmed { estimated_delivery_at })?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.confirmed_at = Some(now);
    order.estimated_delivery_at = estimated_delivery_at;
    draft.clear_timer(TimerKey::HoldExpiry(id));
    stock::consume(draft, id);
    restaurant::ask(draft, id, &restaurant)
}

/// A customer gives an order up until the restaurant has accepted; an operator until it is picked up.
pub(super) fn cancel(draft: &mut Draft<'_>, id: OrderId) -> Result<Answer, Refusal> {
    visible(draft, id)?;
    let state = draft.order(id)?.state;
    let in_time = matches!(state, OrderState::Pending | OrderState::Confirmed);
    let (allowed, reason) = match draft.by {
        By::Customer(_) => (in_time, CancelReason::Customer),
        By::Operator(_) => (true, CancelReason::Operator),
        By::Restaurant(_) | By::Driver(_) | By::Provider | By::System => return Err(Rejection::Forbidden.into()),
    };
    if state.is_final() {
        return Err(Rejection::WrongState.into());
    }
    if !allowed {
        return Err(Rejection::TooLate.into());
    }
    end(draft, id, reason)?;
    order_answer(draft, 200, id)
}

/// Ends an order: stock back while nothing was cooked, money back, driver free, deadlines gone.
pub(super) fn end(draft: &mut Draft<'_>, id: OrderId, reason: CancelReason) -> Result<(), Refusal> {
    let uncooked = matches!(draft.order(id)?.state, OrderState::Pending | OrderState::Confirmed);
    draft.tell(id, Event::OrderCancelled { reason, fee_minor: 0 })?;
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.cancel_reason = Some(reason);
    if uncooked {
        let end = if reason == CancelReason::HoldExpired {
            ReservationState::Expired
        } else {
            ReservationState::Released
        };
        stock::give_back(draft, id, end)?;
    }
    for key in [
        TimerKey::HoldExpiry(id),
        TimerKey::AcceptBy(id),
        TimerKey::SearchEnds(id),
    ] {
        draft.clear_timer(key);
    }
    driver::release(draft, id)?;
    payment::give_back(draft, id)
}

/// The provider has said no for good.
pub(super) fn payment_failed(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    let now = draft.now;
    let order = draft.order_mut(id)?;
    order.ended_at = Some(now);
    order.delivery.state = DeliveryState::Cancelled;
    draft.clear_timer(TimerKey::HoldExpiry(id));
    stock::give_back(draft, id, ReservationState::Released)
}

/// The hold of an unpaid order ran out. The payment stays under way; what it may still bring goes back.
pub(super) fn hold_expired(draft: &mut Draft<'_>, id: OrderId) -> Result<(), Refusal> {
    if draft.order(id)?.state == OrderState::Pending {
        end(draft, id, CancelReason::HoldExpired)
    } else {
        Ok(())
    }
}

/// Whether the hold of an unpaid order is over at `now`, timer or not.
pub(super) fn hold_is_over(draft: &Draft<'_>, id: OrderId, now: UnixMs) -> bool {
    draft
        .order(id)
        .is_ok_and(|order| order.state == OrderState::Pending && now >= order.placed_at + draft.policy.hold)
}
