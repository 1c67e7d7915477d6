//! Promotions: what they take off, who bears it, and how often.

use tomato_shared::event::Bearer;
use tomato_shared::event::books::Account;
use tomato_shared::rejection::Rejection;

use super::world::{
    BURGER, OPERATOR, SODA, World, complete, customer, driver, order_of, place, promotion, put_promotion, reject,
    restaurant, with_code,
};
use crate::engine::command::{Command, OrderCommand, PaymentOutcome, PlaceOrder};
use crate::engine::model::{By, Promotion, Saving};

fn me() -> By {
    By::Customer(customer(1))
}

fn with(change: fn(&mut Promotion)) -> World {
    let mut world = World::new();
    let mut wanted = promotion("TEN");
    change(&mut wanted);
    world.ok(OPERATOR, put_promotion(wanted));
    world
}

fn burgers(n: u32) -> PlaceOrder {
    with_code("TEN", order_of(Some(restaurant(1)), &[(BURGER, n)]))
}

#[track_caller]
fn discount(change: fn(&mut Promotion), wanted: PlaceOrder, expected: i64) {
    let mut world = with(change);
    let id = world.placed(wanted);
    let price = world.order(id).price;
    assert_eq!(price.discount_minor, expected);
    let net = price.items_minor + price.delivery_fee_minor + price.service_fee_minor - expected;
    assert_eq!(price.tax_minor, world.policy.fees.tax.of(net), "taxed is what is paid");
    assert_eq!(price.total_minor, net + price.tax_minor + price.tip_minor);
}

#[test]
fn share_is_taken_off_the_items_up_to_its_most() {
    discount(|_| (), burgers(1), 2_000);
    discount(|_| (), burgers(3), 3_000);
}

#[test]
fn amount_is_taken_off_but_no_more_than_the_items() {
    let amount = |p: &mut Promotion| {
        p.saving = Saving::Amount { amount_minor: 30_000 };
    };
    discount(amount, burgers(1), 20_000);
    discount(amount, burgers(2), 30_000);
}

#[test]
fn delivery_is_free_and_taxed_as_free() {
    discount(|p| p.saving = Saving::FreeDelivery, burgers(1), 2_500);
}

#[test]
fn saving_below_nothing_is_nothing() {
    discount(|p| p.saving = Saving::Amount { amount_minor: -5 }, burgers(1), 0);
    let less = |p: &mut Promotion| {
        p.saving = Saving::Percent {
            share_bp: 1_000,
            max_minor: -5,
        };
    };
    discount(less, burgers(1), 0);
}

#[test]
fn uses_are_counted_for_each_and_for_all() {
    let mut world = with(|_| ());
    let other = By::Customer(customer(2));
    world.placed(burgers(1));
    world.placed(burgers(1));
    world.check(me(), place(burgers(1)), Err(Rejection::PromoUsedUp));
    world.ok(other, place(burgers(1)));
    world.check(other, place(burgers(1)), Err(Rejection::PromoUsedUp));
}

#[test]
fn order_that_comes_to_nothing_gives_its_use_back() {
    let mut world = with(|p| p.uses_max = 1);
    let first = world.placed(burgers(1));
    world.ok(me(), Command::Order(first, OrderCommand::Cancel));
    let second = world.placed(burgers(1));
    let code = "card_declined".into();
    world.ok(By::Provider, world.outcome(second, PaymentOutcome::Declined { code }));
    let third = world.placed(burgers(1));
    world.pass(world.policy.hold);
    assert!(world.order(third).state.is_final());
    let fourth = world.placed(burgers(1));
    world.ok(By::Provider, world.authorised(fourth));
    world.check(me(), place(burgers(1)), Err(Rejection::PromoUsedUp));
    assert_eq!(world.city.promo_total("TEN"), 1);
}

#[test]
fn refused_order_uses_nothing() {
    let mut world = with(|p| p.uses_max = 1);
    world.check(me(), place(burgers(11)), Err(Rejection::SoldOut));
    world.ok(me(), place(burgers(1)));
}

#[test]
fn quoted_discount_stands_although_the_promotion_was_switched_off() {
    let mut world = with(|_| ());
    let (policy, now) = (&world.policy, world.now);
    let found = crate::engine::quote::quote(world.city.catalogue(), policy, customer(1), &burgers(1).basket, now);
    let quoted = || PlaceOrder {
        quote: Some(found.clone().unwrap().quote),
        ..order_of(None, &[])
    };
    let mut off = promotion("TEN");
    off.active = false;
    world.ok(OPERATOR, put_promotion(off));
    let id = world.placed(quoted());
    assert_eq!(world.order(id).price.discount_minor, 2_000);
    // How often it is used counts all the same.
    world.placed(quoted());
    world.check(me(), place(quoted()), Err(Rejection::PromoUsedUp));
}

#[test]
fn discount_goes_along_to_the_next_restaurant() {
    let mut world = with(|p| p.restaurant_ids = vec![restaurant(1)]);
    let id = world.placed(burgers(1));
    world.ok(By::Provider, world.authorised(id));
    let price = world.order(id).price;
    world.ok(By::Restaurant(restaurant(1)), reject(id));
    assert_eq!(
        (world.order(id).restaurant_id, world.order(id).price),
        (restaurant(2), price)
    );
}

#[test]
fn edit_raises_the_version_and_an_old_one_is_refused() {
    let mut world = with(|_| ());
    let mut edit = promotion("TEN");
    edit.version = 1;
    world.ok(OPERATOR, put_promotion(edit.clone()));
    assert_eq!(world.city.catalogue().promotions["TEN"].version, 2);
    world.check(OPERATOR, put_promotion(edit), Err(Rejection::VersionConflict));
}

/// Who ends up with how much of one delivered burger with ten percent off.
fn shared(borne_by: Bearer) -> (i64, i64) {
    let mut world = World::new();
    let mut wanted = promotion("TEN");
    wanted.borne_by = borne_by;
    world.ok(OPERATOR, put_promotion(wanted));
    let id = world.placed(burgers(1));
    world.ok(By::Provider, world.authorised(id));
    let kitchen = By::Restaurant(restaurant(1));
    world.ok(kitchen, super::world::accept(id));
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
    world.ok(By::Driver(driver(1)), complete(id));
    let balances = world.balances(id);
    let restaurant_id = restaurant(1);
    let of = |account| balances.get(&account).copied().unwrap_or(0);
    assert_eq!(of(Account::CustomerPayments), 0);
    (of(Account::RestaurantPayable { restaurant_id }), of(Account::Discounts))
}

#[test]
fn who_bears_a_discount_pays_for_it() {
    assert_eq!(shared(Bearer::Platform), (-17_000, 2_000));
    assert_eq!(shared(Bearer::Restaurant), (-15_000, 0));
}

#[test]
fn order_below_the_smallest_sum_gets_nothing() {
    let mut world = with(|_| ());
    let soda = with_code("TEN", order_of(Some(restaurant(1)), &[(SODA, 2)]));
    world.check(me(), place(soda), Err(Rejection::PromoInvalid));
}
