//! A customer with one wish: looks around, orders, follows the order to its end.

use std::sync::Arc;

use rand::Rng as _;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::time::UnixMs;

use super::City;
use super::chance::{happens, stream};
use super::door::Door;
use super::plan::{Fate, OrderPlan};
use super::world::PROMO_CODE;
use crate::client::{Api, ApiError, new_key};
use crate::live::Follower;
use crate::request::{NewOrder, NewQuote};
use crate::view::Order;

/// Codes with which a wish may be refused in a healthy city.
const REFUSALS: [&str; 10] = [
    "sold_out",
    "item_unavailable",
    "restaurant_closed",
    "no_restaurant",
    "too_many_open_orders",
    "quote_expired",
    "price_changed",
    "too_far_from_restaurant",
    "schedule_invalid",
    "promo_used_up",
];

/// Cards that somebody has besides the first.
const CARDS_MORE: u64 = 2;

/// Tries to order as planned, and follows the order; returns when it is final or was refused.
pub async fn run(city: Arc<City>, plan: OrderPlan) {
    let region = &city.world.ground.region;
    let token = city.issuer.customer(plan.customer);
    let api = city.api.with_token(&token);
    if let Err(error) = look_around(&city, &api, &plan).await {
        city.tracker
            .complain(format!("customer {}: looking around: {error}", plan.customer));
    }
    let follower = Follower::start(api.base(), &token);
    match order(&city, &api, &plan).await {
        Ok(order) => {
            city.tracker.placed(region, plan.number, &order);
            city.doors.set(order.id, door(&city, &plan, &order));
            let id = order.id;
            let follower = follow(&city, &api, follower, (plan.fate, order)).await;
            if let Some(order) = follower.order(id).filter(|order| order.state == OrderState::Delivered) {
                afterwards(&city, &api, (plan.number, &follower), &order).await;
            }
        }
        Err(error) => {
            if !REFUSALS.contains(&error.code()) {
                city.tracker
                    .complain(format!("customer {}: plan {}: {error}", plan.customer, plan.number));
            }
            city.tracker.refused(region, plan.number, error.code());
        }
    }
}

/// Opens the app: the list, a menu, some thought.
async fn look_around(city: &City, api: &Api, plan: &OrderPlan) -> Result<(), ApiError> {
    api.restaurants_near(plan.deliver_to.place, 20).await?;
    if let Some(id) = plan.restaurant {
        api.restaurant(id).await?;
    }
    city.clock.pause(plan.browse).await;
    Ok(())
}

async fn order(city: &City, api: &Api, plan: &OrderPlan) -> Result<Order, ApiError> {
    let mut order = NewOrder {
        quote: None,
        restaurant_id: None,
        items: None,
        deliver_to: plan.deliver_to.clone(),
        payment: plan.payment.clone(),
        deliver_at: None,
        promo_code: None,
        tip_minor: None,
    };
    let deliver_at = plan.ahead.map(|ahead| city.clock.now() + ahead);
    let promo_code = plan.promo.then(|| PROMO_CODE.to_owned());
    if plan.quoted {
        let quote = NewQuote {
            restaurant_id: plan.restaurant,
            items: plan.items.clone(),
            deliver_to: plan.deliver_to.clone(),
            deliver_at,
            promo_code,
            tip_minor: plan.tip_minor,
        };
        order.quote = Some(api.quote(&quote).await?.quote);
    } else {
        order.restaurant_id = plan.restaurant;
        order.items = Some(plan.items.clone());
        order.tip_minor = plan.tip_minor;
        order.deliver_at = deliver_at;
        order.promo_code = promo_code;
    }
    api.place(&new_key(), &order).await
}

fn door(city: &City, plan: &OrderPlan, order: &Order) -> Door {
    let mut rng = stream(city.seed, "door", plan.number);
    match (&plan.fate, &order.pin) {
        (Fate::Absent, _) => Door::Absent,
        (Fate::Patient | Fate::GivesUp(_), Some(pin)) if !happens(&mut rng, city.habits.photo) => {
            Door::Pin(pin.clone())
        }
        (Fate::Patient | Fate::GivesUp(_), _) => Door::LeaveIt,
    }
}

/// Rates, tips and complains, each as the seed has it.
async fn afterwards(city: &City, api: &Api, (plan, follower): (u64, &Follower), order: &Order) {
    let mut rng = stream(city.seed, "afterwards", plan);
    let habits = &city.habits;
    let (rates, tips) = (happens(&mut rng, habits.rates), happens(&mut rng, habits.tips_after));
    let (complains, stars) = (happens(&mut rng, habits.complains), rng.random_range(3..=5));
    let mut steps = Vec::new();
    if rates {
        steps.push(("rates", api.rate(order.id, stars, Some(5)).await));
    }
    if rates && tips && order.payment.method == PaymentMethod::Card {
        steps.push(("tips", api.tip(order.id, 2_000).await));
    }
    if complains && order.payment.state == "CAPTURED" {
        let operator = city.api.with_token(&city.issuer.operator());
        let minor = order.lines[0].unit_minor.clamp(1, order.price.total_minor);
        steps.push(("is refunded", operator.refund(order.id, minor, "quality").await));
    }
    for (what, outcome) in steps {
        match outcome {
            Ok(order) => {
                city.tracker.saw(&order);
                follower.put(order);
            }
            Err(error) => city.tracker.complain(format!("customer {what} {}: {error}", order.id)),
        }
    }
}

/// Watches an order until it is final.
pub(super) async fn follow(city: &City, api: &Api, mut follower: Follower, (fate, order): (Fate, Order)) -> Follower {
    let id = order.id;
    let (mut answered, mut cards_left) = (None, CARDS_MORE);
    let mut gives_up_at = match fate {
        Fate::GivesUp(after) => Some(order.placed_at + after),
        Fate::Patient | Fate::Absent => None,
    };
    follower.put(order);
    loop {
        let state = newest(city, &follower, id);
        if state.is_final() {
            return follower;
        }
        if let Some(change) = follower.order(id).and_then(|order| order.change)
            && answered != Some(change.expires_at)
        {
            answered = Some(change.expires_at);
            answer_change(city, api, &follower, id).await;
            continue;
        }
        if follower
            .order(id)
            .is_some_and(|order| order.payment.state == "DECLINED")
            && cards_left > 0
        {
            cards_left -= 1;
            another_card(city, api, &follower, (id, cards_left)).await;
            continue;
        }
        if gives_up_at.is_some_and(|at| at <= city.clock.now()) {
            gives_up_at = None;
            give_up(city, api, &follower, id).await;
            continue;
        }
        let news = follower.changed(patience(city, gives_up_at)).await;
        if !news {
            match api.order(id).await {
                Ok(order) => follower.put(order),
                Err(error) => city.tracker.complain(format!("customer reads {id}: {error}")),
            }
        }
    }
}

fn newest(city: &City, follower: &Follower, id: OrderId) -> OrderState {
    match follower.order(id) {
        Some(order) => {
            city.tracker.saw(&order);
            order.state
        }
        None => OrderState::Pending,
    }
}

fn patience(city: &City, gives_up_at: Option<UnixMs>) -> std::time::Duration {
    let poll = city.poll();
    gives_up_at.map_or(poll, |at| poll.min(city.clock.real(at - city.clock.now())))
}

/// Agrees to what the restaurant proposes, or not.
async fn answer_change(city: &City, api: &Api, follower: &Follower, id: OrderId) {
    let bytes = u64::from_le_bytes(id.bytes()[8..].try_into().unwrap_or_default());
    let mut rng = stream(city.seed, "change", bytes);
    let agreed = !happens(&mut rng, city.habits.change_declined);
    match api.answer_change(id, agreed).await {
        Ok(order) => follower.put(order),
        // The kitchen went on, or somebody else had the last of it.
        Err(error) if ["change_gone", "sold_out"].contains(&error.code()) => {}
        Err(error) => city.tracker.complain(format!("customer answers {id}: {error}")),
    }
}

/// Whose card was declined tries another, or leaves it.
async fn another_card(city: &City, api: &Api, follower: &Follower, (id, cards_left): (OrderId, u64)) {
    let bytes = u64::from_le_bytes(id.bytes()[8..].try_into().unwrap_or_default());
    let mut rng = stream(city.seed, "another card", bytes ^ cards_left);
    if !happens(&mut rng, city.habits.another_card) {
        return;
    }
    let card = if happens(&mut rng, 0.5) {
        "card_declined"
    } else {
        "card_ok"
    };
    match api.pay(id, card).await {
        Ok(order) => follower.put(order),
        // The time for it was over.
        Err(error) if error.code() == "wrong_state" => {}
        Err(error) => city.tracker.complain(format!("customer pays {id} again: {error}")),
    }
}

async fn give_up(city: &City, api: &Api, follower: &Follower, id: OrderId) {
    match api.cancel(id).await {
        Ok(order) => follower.put(order),
        // The restaurant was faster.
        Err(error) if ["wrong_state", "too_late"].contains(&error.code()) => {}
        Err(error) => city.tracker.complain(format!("customer cancels {id}: {error}")),
    }
}
