//! What the hub says: in force as a whole, never an older word after a newer, and nothing that was agreed changes under it.

use tomato_shared::control::{Control, Edition, Feature, FeeChanges};
use tomato_shared::event::books::Account;
use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, OPERATOR, SODA, World, accept, basket_of, complete, customer, driver, for_time, order_of, place, promotion,
    put_promotion, restaurant, with_code,
};
use crate::engine::command::{Basket, Command, OrderCommand, PaymentOutcome, PlaceOrder};
use crate::engine::model::{By, Saving};
use crate::engine::quote;

fn me() -> By {
    By::Customer(customer(1))
}

fn kitchen() -> By {
    By::Restaurant(restaurant(1))
}

fn says(version: u64, change: impl FnOnce(&mut Control)) -> Command {
    let mut edition = Edition {
        version,
        ..Edition::default()
    };
    change(&mut edition.control);
    Command::TakeControl(Box::new(edition))
}

fn dearer(control: &mut Control) {
    control.fees = FeeChanges {
        delivery_base_minor: Some(4_000),
        delivery_per_km_minor: Some(0),
        service_bp: Some(1_000),
        commission_bp: Some(5_000),
        items_min_minor: Some(15_000),
    };
}

fn burgers(n: u32) -> PlaceOrder {
    order_of(Some(restaurant(1)), &[(BURGER, n)])
}

fn quoted(world: &World, basket: &Basket) -> PlaceOrder {
    quoted_to(1, world, basket)
}

fn quoted_to(n: u8, world: &World, basket: &Basket) -> PlaceOrder {
    let found = quote::quote(world.city.catalogue(), &world.policy, customer(n), basket, world.now);
    PlaceOrder {
        quote: Some(found.unwrap().quote),
        ..order_of(None, &[])
    }
}

/// What the platform keeps of one burger that is delivered now.
fn commission(world: &mut World, wanted: PlaceOrder, meanwhile: impl FnOnce(&mut World)) -> i64 {
    let id = world.placed(wanted);
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen(), accept(id));
    meanwhile(world);
    world.ok(By::Provider, world.outcome(id, PaymentOutcome::Captured));
    world.ok(kitchen(), Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
    world.ok(By::Driver(driver(1)), complete(id));
    let restaurant_id = restaurant(1);
    let owed = world.balances(id)[&Account::RestaurantPayable { restaurant_id }];
    world.order(id).price.items_minor + owed
}

#[test]
fn fees_are_the_hubs_where_it_says_so_and_the_regions_where_it_does_not() {
    let mut world = World::new();
    let before = world.placed(burgers(1));
    let own = world.order(before).price;
    world.check(By::System, says(5, dearer), Ok(&[]));
    let id = world.placed(burgers(1));
    let price = world.order(id).price;
    assert_eq!((price.delivery_fee_minor, price.service_fee_minor), (4_000, 2_000));
    let taxed = price.items_minor + 4_000 + 2_000;
    assert_eq!(
        price.tax_minor,
        world.policy.fees.tax.of(taxed),
        "taxes are the region's own"
    );
    world.check(
        me(),
        place(order_of(Some(restaurant(1)), &[(SODA, 1)])),
        Err(Rejection::OrderValue),
    );
    // The empty document takes everything back.
    world.ok(By::System, says(6, |_| ()));
    world.ok(By::Provider, world.authorised(before));
    let again = world.placed(burgers(1));
    assert_eq!(world.order(again).price, own);
}

#[test]
fn older_word_changes_nothing_and_the_same_is_said_once() {
    let mut world = World::new();
    world.check(
        By::System,
        says(7, |control| control.paused = Some("storm".into())),
        Ok(&["region.status.changed"]),
    );
    for version in [7, 6, 0] {
        world.check(By::System, says(version, |_| ()), Ok(&[]));
        assert!(world.last.control.is_none(), "{version} is written");
        assert_eq!(world.city.catalogue().paused(), Some("storm"));
    }
    world.check(By::System, says(8, |_| ()), Ok(&["region.status.changed"]));
    assert_eq!(world.city.catalogue().control.version, 8);
}

#[test]
fn what_was_quoted_costs_that_and_what_was_placed_is_reckoned_by_its_own_rates() {
    let mut world = World::new();
    let basket = burgers(1).basket;
    let found = quote::quote(world.city.catalogue(), &world.policy, customer(1), &basket, world.now).unwrap();
    let by_quote = quoted(&world, &basket);
    let raise = |world: &mut World| world.ok(By::System, says(1, dearer));
    raise(&mut world);
    let id = world.placed(by_quote.clone());
    assert_eq!(world.order(id).price, found.price);
    world.ok(me(), Command::Order(id, OrderCommand::Cancel));
    assert_eq!(commission(&mut world, by_quote, |_| ()), 3_000, "as quoted");
    assert_eq!(
        commission(&mut world, burgers(1), |_| ()),
        10_000,
        "as the hub says now"
    );
    let mut world = World::new();
    assert_eq!(commission(&mut world, burgers(1), raise), 3_000, "as placed");
}

#[test]
fn swap_is_priced_as_the_order_was() {
    let mut world = World::new();
    let id = world.placed(order_of(Some(restaurant(1)), &[(BURGER, 1), (SODA, 1)]));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen(), accept(id));
    world.ok(By::System, says(1, dearer));
    let old = world.order(id).price;
    // Without the burger it is below what the hub wants of new orders.
    let propose = OrderCommand::ProposeChange {
        lines: vec![(0, 0)],
        add: Vec::new(),
    };
    world.ok(kitchen(), Command::Order(id, propose));
    let new = world.order(id).change.as_ref().unwrap().price;
    assert_eq!(new.delivery_fee_minor, old.delivery_fee_minor);
    assert_eq!(new.service_fee_minor, world.policy.fees.service.of(new.items_minor));
}

#[test]
fn paused_by_the_hub_it_takes_no_orders_whatever_its_operators_say_and_finishes_those_it_has() {
    let mut world = World::new();
    let id = world.preparing();
    let by_quote = quoted(&world, &burgers(1).basket);
    let pause = |paused| Command::PauseRegion {
        paused,
        reason: "rain".into(),
    };
    let storm = says(1, |control| control.paused = Some("storm".into()));
    world.check(By::System, storm, Ok(&["region.status.changed"]));
    for wanted in [burgers(1), by_quote] {
        let refused = world.run(me(), &place(wanted)).unwrap_err();
        assert_eq!(
            (refused.rejection, refused.detail.as_deref()),
            (Rejection::RegionPaused, Some("storm"))
        );
    }
    world.check(OPERATOR, pause(true), Ok(&[]));
    world.check(OPERATOR, pause(false), Ok(&[]));
    world.check(me(), place(burgers(1)), Err(Rejection::RegionPaused));
    world.ok(kitchen(), Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    world.ok(By::Driver(driver(1)), Command::AcceptOffer(world.offer(id)));
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::PickUp));
    world.ok(By::Driver(driver(1)), complete(id));
    world.check(OPERATOR, pause(true), Ok(&[]));
    // What its own operators said holds again.
    world.check(By::System, says(2, |_| ()), Ok(&["region.status.changed"]));
    let told = &world.last.events[0].event;
    assert!(matches!(told, Event::RegionStatusChanged(told) if told.paused && told.reason == "rain"));
    world.check(OPERATOR, pause(false), Ok(&["region.status.changed"]));
    world.ok(me(), place(burgers(1)));
}

#[test]
fn what_is_switched_off_is_refused_and_the_rest_is_sold() {
    let mut world = World::new();
    let off = |feature| move |control: &mut Control| control.off = [feature].into();
    let cash = || PlaceOrder {
        method: PaymentMethod::Cash,
        card: String::new(),
        ..burgers(1)
    };
    let later = for_time(world.now + DurationMs::from_mins(120), burgers(1));
    let by_quote = quoted(&world, &later.basket);
    world.ok(By::System, says(1, off(Feature::Cards)));
    world.check(me(), place(burgers(1)), Err(Rejection::FeatureOff));
    world.ok(me(), place(cash()));
    world.ok(By::System, says(2, off(Feature::Cash)));
    world.check(me(), place(cash()), Err(Rejection::FeatureOff));
    let id = world.placed(burgers(1));
    world.ok(me(), Command::Order(id, OrderCommand::Cancel));
    world.ok(By::System, says(3, off(Feature::Scheduled)));
    world.check(me(), place(later.clone()), Err(Rejection::FeatureOff));
    world.check(me(), place(by_quote), Err(Rejection::FeatureOff));
    world.ok(By::System, says(4, |_| ()));
    world.ok(me(), place(later));
}

#[test]
fn hubs_promotion_counts_before_the_regions_own_and_its_uses_stay_counted() {
    let mut world = World::new();
    world.ok(OPERATOR, put_promotion(promotion("TEN")));
    let coded = || with_code("TEN", burgers(1));
    let free = |uses_max| {
        move |control: &mut Control| {
            let mut row = promotion("TEN");
            (row.saving, row.uses_max) = (Saving::FreeDelivery, uses_max);
            control.promotions = vec![row];
        }
    };
    world.ok(By::System, says(1, free(2)));
    let refused = world.run(OPERATOR, &put_promotion(promotion("TEN"))).unwrap_err();
    assert_eq!(refused.rejection, Rejection::Forbidden);
    world.ok(OPERATOR, put_promotion(promotion("OTHER")));
    let first = world.placed(coded());
    assert_eq!(world.order(first).price.discount_minor, 2_500);
    let by_quote = quoted(&world, &coded().basket);
    world.placed(coded());
    world.check(me(), place(coded()), Err(Rejection::PromoUsedUp));
    // A newer document gives no use back, and one more use is one more.
    world.ok(By::System, says(2, free(3)));
    world.check(me(), place(coded()), Err(Rejection::PromoUsedUp));
    world.ok(By::Customer(customer(2)), place(coded()));
    world.check(By::Customer(customer(3)), place(coded()), Err(Rejection::PromoUsedUp));
    // Without the hub's the region's own counts again, with the uses that the code has had.
    world.ok(By::System, says(3, |_| ()));
    world.check(By::Customer(customer(3)), place(coded()), Err(Rejection::PromoUsedUp));
    assert_eq!(world.city.promo_total("TEN"), 3);
    world.check(me(), place(by_quote), Err(Rejection::PromoUsedUp));
}

#[test]
fn quoted_promotion_is_honoured_after_the_hub_has_taken_it_away_but_not_more_often() {
    let mut world = World::new();
    let ten = |control: &mut Control| control.promotions = vec![promotion("HUB")];
    world.ok(By::System, says(1, ten));
    let basket = with_code("HUB", burgers(1)).basket;
    let by_quote = quoted(&world, &basket);
    let [second, third] = [2, 3].map(|n| quoted_to(n, &world, &basket));
    world.ok(By::System, says(2, |_| ()));
    world.check(me(), place(with_code("HUB", burgers(1))), Err(Rejection::PromoInvalid));
    let id = world.placed(by_quote.clone());
    assert_eq!(world.order(id).price.discount_minor, 2_000);
    world.placed(by_quote.clone());
    world.check(me(), place(by_quote), Err(Rejection::PromoUsedUp));
    world.ok(By::Customer(customer(2)), place(second));
    world.check(By::Customer(customer(3)), place(third), Err(Rejection::PromoUsedUp));
}

#[test]
fn free_delivery_of_a_promotion_that_has_gone_stays_free_in_a_swap() {
    let mut world = World::new();
    let free = |control: &mut Control| {
        let mut row = promotion("WAY");
        row.saving = Saving::FreeDelivery;
        control.promotions = vec![row];
    };
    world.ok(By::System, says(1, free));
    let id = world.placed(with_code("WAY", order_of(Some(restaurant(1)), &[(BURGER, 2)])));
    world.ok(By::Provider, world.authorised(id));
    world.ok(kitchen(), accept(id));
    world.ok(By::System, says(2, |_| ()));
    let (lines, add) = (vec![(0, 1)], basket_of(None, &[]).items);
    world.ok(
        kitchen(),
        Command::Order(id, OrderCommand::ProposeChange { lines, add }),
    );
    let new = world.order(id).change.as_ref().unwrap().price;
    assert_eq!(new.discount_minor, new.delivery_fee_minor);
}
