//! Who orders what, where and when: fixed by the seed before the first request.

use rand::Rng as _;
use rand::rngs::StdRng;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{RestaurantId, UserId};
use tomato_shared::time::DurationMs;

use super::chance::{happens, stream};
use super::habits::Habits;
use super::names::STREETS;
use super::world::{World, pick, place_near};
use crate::request::{ChosenOption, Item, Payment, PutMenuItem};
use crate::view::Address;

/// Customers live this close to the restaurant they order from, in metres.
const CUSTOMERS_WITHIN_M: f64 = 2_500.0;

/// One order to be.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPlan {
    /// 0, 1, 2 and so on.
    pub number: u64,
    /// When the app is opened, counted from the start of the traffic.
    pub opens_after: DurationMs,
    /// How long the customer looks around first.
    pub browse: DurationMs,
    pub customer: UserId,
    /// Where, or `None` to leave it to the region.
    pub restaurant: Option<RestaurantId>,
    pub items: Vec<Item>,
    pub deliver_to: Address,
    pub payment: Payment,
    pub tip_minor: Option<i64>,
    /// How far ahead it is wanted; `None` for as soon as possible.
    pub ahead: Option<DurationMs>,
    /// Whether the customer has the promotion's code.
    pub promo: bool,
    /// Whether the customer asks for a quote first.
    pub quoted: bool,
    pub fate: Fate,
}

/// What the customer will do besides waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Waits and opens the door.
    Patient,
    /// Gives up after this long, if it is still possible then.
    GivesUp(DurationMs),
    /// Does not open the door.
    Absent,
}

/// The endless list of a city's orders.
#[derive(Debug)]
pub struct Plans<'a> {
    world: &'a World,
    habits: &'a Habits,
    seed: u64,
    number: u64,
    clock: f64,
}

impl<'a> Plans<'a> {
    /// The plans of a city under a seed.
    pub fn new(seed: u64, world: &'a World, habits: &'a Habits) -> Self {
        Self {
            world,
            habits,
            seed,
            number: 0,
            clock: 0.0,
        }
    }
}

impl Iterator for Plans<'_> {
    type Item = OrderPlan;

    fn next(&mut self) -> Option<OrderPlan> {
        let number = self.number;
        self.number += 1;
        let mut rng = stream(self.seed, &format!("plan {}", self.world.ground.region), number);
        // Arrivals of independent customers: exponential gaps.
        self.clock += -(1.0 - rng.random::<f64>()).ln() / self.habits.orders_per_min * 60_000.0;
        Some(plan(
            &mut rng,
            self.world,
            self.habits,
            (number, DurationMs(self.clock as i64)),
        ))
    }
}

fn plan(rng: &mut StdRng, world: &World, habits: &Habits, (number, opens_after): (u64, DurationMs)) -> OrderPlan {
    let any = happens(rng, habits.any_restaurant);
    // Only chains can be taken over, and only they are sure to be found without naming a restaurant.
    let eligible: Vec<_> = world
        .restaurants
        .iter()
        .filter(|restaurant| restaurant.chain || !any)
        .collect();
    let restaurant = pick(rng, &eligible);
    let menu = &restaurant.put.menu;
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        let dish = &menu[rng.random_range(0..menu.len())];
        if items.iter().all(|item| item.item_id != dish.id) {
            items.push(item(rng, dish));
        }
    }
    let ahead_min = habits.ahead_min;
    let payment = payment(rng, habits);
    let fate = fate(rng, habits, &payment);
    let browse = super::chance::seconds(rng, habits.browse_s);
    let customer: UserId = pick(rng, &world.customers);
    OrderPlan {
        number,
        opens_after,
        browse,
        customer,
        restaurant: (!any).then_some(restaurant.id),
        items,
        deliver_to: address(rng, world, (customer, restaurant.put.place)),
        payment,
        tip_minor: happens(rng, 0.4).then(|| 1_000 * rng.random_range(1..=5)),
        ahead: happens(rng, habits.scheduled)
            .then(|| DurationMs::from_mins(rng.random_range(ahead_min.0..=ahead_min.1))),
        promo: happens(rng, habits.promo),
        quoted: happens(rng, habits.quotes),
        fate,
    }
}

/// Some of a dish, with one of its variants and as many options as have to be chosen, or one more.
fn item(rng: &mut StdRng, dish: &PutMenuItem) -> Item {
    let variant =
        (!dish.variants.is_empty()).then(|| dish.variants[rng.random_range(0..dish.variants.len())].key.clone());
    let mut options = Vec::new();
    for group in &dish.options {
        let count = rng.random_range(group.min..=group.max.min(group.min + 1)) as usize;
        let first = rng.random_range(0..group.choices.len());
        let chosen = group.choices.iter().cycle().skip(first).take(count);
        options.extend(chosen.map(|choice| ChosenOption {
            group: group.key.clone(),
            key: choice.key.clone(),
        }));
    }
    Item {
        item_id: dish.id,
        quantity: rng.random_range(1..=3),
        variant,
        options,
    }
}

fn address(rng: &mut StdRng, world: &World, (customer, near): (UserId, LatLng)) -> Address {
    Address {
        place: place_near(rng, &world.ground, near, CUSTOMERS_WITHIN_M),
        line: format!("{} {}", rng.random_range(1..200), pick(rng, STREETS)),
        note: if happens(rng, 0.3) {
            "Ring twice.".to_owned()
        } else {
            String::new()
        },
        phone: Some(phone(customer)),
    }
}

/// The telephone number of a customer.
pub fn phone(customer: UserId) -> String {
    let last = customer
        .bytes()
        .last_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    format!("+9199{:08}", last % 100_000_000)
}

fn payment(rng: &mut StdRng, habits: &Habits) -> Payment {
    if happens(rng, habits.cash) {
        return Payment::cash();
    }
    let cards = [
        ("card_declined", habits.card_declined / 2.0),
        ("card_insufficient_funds", habits.card_declined / 2.0),
        ("card_slow", habits.card_slow),
        ("card_timeout", habits.card_timeout),
        ("card_3ds", habits.card_3ds),
        ("card_3ds_abandoned", habits.card_3ds_abandoned),
        ("card_late", habits.card_late),
        ("card_capture_refused", habits.card_capture_refused),
        ("card_refund_slow", habits.card_refund_slow),
        ("card_refund_failed", habits.card_refund_failed),
    ];
    let mut draw = rng.random::<f64>();
    for (card, share) in cards {
        if draw < share {
            return Payment::card(card);
        }
        draw -= share;
    }
    Payment::card("card_ok")
}

/// Nobody sees how refunds behave on a card that is never sent anything back.
fn fate(rng: &mut StdRng, habits: &Habits, payment: &Payment) -> Fate {
    let returning = payment
        .card
        .as_deref()
        .is_some_and(|card| card.starts_with("card_refund_"));
    let (cancels, after_s) = if returning {
        (0.5, (60, 200))
    } else {
        (habits.customer_cancels, (2, 40))
    };
    if happens(rng, cancels) {
        Fate::GivesUp(super::chance::seconds(rng, after_s))
    } else if happens(rng, habits.customer_absent) {
        Fate::Absent
    } else {
        Fate::Patient
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::Size;
    use super::super::world::tests::bengaluru;
    use super::*;

    fn plans(seed: u64, count: usize) -> Vec<OrderPlan> {
        let world = World::generate(5, bengaluru(), Size::default());
        Plans::new(seed, &world, &Habits::default()).take(count).collect()
    }

    #[test]
    fn a_seed_plans_the_same_orders_again() {
        assert_eq!(plans(9, 200), plans(9, 200));
        assert_ne!(plans(9, 200), plans(10, 200));
        // A longer run begins like a shorter one.
        assert_eq!(plans(9, 50), plans(9, 200)[..50]);
    }

    #[test]
    fn plans_follow_the_habits() {
        let all = plans(9, 2_000);
        assert!(all.windows(2).all(|pair| pair[0].opens_after <= pair[1].opens_after));
        let minutes = all.last().unwrap().opens_after.0 as f64 / 60_000.0;
        assert!((minutes / 2_000.0 - 1.0).abs() < 0.1, "{minutes}");
        let share = |holds: fn(&OrderPlan) -> bool| all.iter().filter(|plan| holds(plan)).count() as f64 / 2_000.0;
        assert!((share(|plan| plan.payment == Payment::cash()) - 0.2).abs() < 0.05);
        assert!((share(|plan| plan.restaurant.is_none()) - 0.1).abs() < 0.03);
        assert!(share(|plan| plan.fate == Fate::Absent) < 0.03);
        assert!(all.iter().all(|plan| !plan.items.is_empty()));
    }
}
