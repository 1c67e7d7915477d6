//! Placing: what it costs, where it goes, what it holds; and the two plain walks to the customer's door.

use tomato_shared::event::{Event, PaymentMethod};
use tomato_shared::order::{DeliveryState, OrderState};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::world::{
    BURGER, CAKE, OPERATOR, SODA, World, accept, customer, driver, order_of, place, put, put_restaurant, restaurant,
    set_open,
};
use crate::engine::command::{Basket, Command, OrderCommand, PaymentOutcome, PlaceOrder};
use crate::engine::model::{By, PaymentState, Proof};

fn me() -> By {
    By::Customer(customer(1))
}

fn cash(wanted: PlaceOrder) -> PlaceOrder {
    PlaceOrder {
        method: PaymentMethod::Cash,
        card: String::new(),
        ..wanted
    }
}

#[test]
fn card_order_walks_to_the_door() {
    let mut world = World::new();
    let (kitchen, rider) = (By::Restaurant(restaurant(1)), By::Driver(driver(1)));
    world.check(
        me(),
        place(order_of(Some(restaurant(1)), &[(BURGER, 2)])),
        Ok(&["order.created", "inventory.reserved"]),
    );
    let id = *world.disk.orders.keys().next().unwrap();
    assert_eq!(world.stock(1, BURGER), (2, 0));
    world.check(
        By::Provider,
        world.authorised(id),
        Ok(&["payment.completed", "order.confirmed", "restaurant.assigned"]),
    );
    assert_eq!(world.stock(1, BURGER), (0, 2));
    world.check(kitchen, accept(id), Ok(&["order.preparing"]));
    assert_eq!(world.order(id).payment.state, PaymentState::Capturing);
    world.check(
        By::Provider,
        world.outcome(id, PaymentOutcome::Captured),
        Ok(&["payment.captured", "ledger.posted"]),
    );
    world.check(
        kitchen,
        Command::Order(id, OrderCommand::MarkReady),
        Ok(&["order.ready"]),
    );
    world.dispatch(&[1]);
    let offer = world.offer(id);
    world.check(rider, Command::AcceptOffer(offer), Ok(&["driver.assigned"]));
    world.check(rider, Command::Order(id, OrderCommand::Arrive), Ok(&["driver.arrived"]));
    world.check(
        rider,
        Command::Order(id, OrderCommand::PickUp),
        Ok(&["order.picked_up"]),
    );
    let proof = Proof::Pin {
        pin: world.order(id).pin.clone(),
    };
    world.check(
        rider,
        Command::Order(id, OrderCommand::Complete(proof)),
        Ok(&["order.delivered", "ledger.posted"]),
    );
    let order = world.order(id);
    assert_eq!(
        (order.state, order.delivery.state),
        (OrderState::Delivered, DeliveryState::Completed)
    );
    assert_eq!(order.payment.state, PaymentState::Captured);
    assert!(world.city.driver(driver(1)).unwrap().is_free());
    assert!(world.disk.tasks.is_empty());
}

#[test]
fn cash_order_walks_to_the_door_and_the_driver_has_the_cash() {
    let mut world = World::new();
    let (kitchen, rider) = (By::Restaurant(restaurant(1)), By::Driver(driver(1)));
    let created = [
        "order.created",
        "inventory.reserved",
        "payment.completed",
        "order.confirmed",
        "restaurant.assigned",
    ];
    world.check(
        me(),
        place(cash(order_of(Some(restaurant(1)), &[(BURGER, 1)]))),
        Ok(&created),
    );
    let id = *world.disk.orders.keys().next().unwrap();
    assert!(world.disk.tasks.is_empty(), "no provider is asked");
    world.ok(kitchen, accept(id));
    world.ok(kitchen, Command::Order(id, OrderCommand::MarkReady));
    world.dispatch(&[1]);
    let offer = world.offer(id);
    world.ok(rider, Command::AcceptOffer(offer));
    world.check(
        rider,
        Command::Order(id, OrderCommand::PickUp),
        Ok(&["order.picked_up"]),
    );
    let proof = Proof::Photo { reference: "p1".into() };
    world.check(
        rider,
        Command::Order(id, OrderCommand::Complete(proof)),
        Ok(&["payment.captured", "order.delivered", "ledger.posted", "ledger.posted"]),
    );
    let total = world.order(id).price.total_minor;
    assert!(matches!(&world.last.events[1].event, Event::OrderDelivered { cash_minor, .. } if *cash_minor == total));
    assert_eq!(world.order(id).payment.state, PaymentState::CashTaken);
}

#[test]
fn rating_is_asked_for_five_minutes_after_delivery_and_once() {
    let mut world = World::new();
    let id = world.picked_up(1);
    let proof = Proof::Signature { reference: "s1".into() };
    world.ok(By::Driver(driver(1)), Command::Order(id, OrderCommand::Complete(proof)));
    let told = world.disk.events.len();
    world.pass(DurationMs(299_999));
    assert_eq!(world.disk.events.len(), told);
    world.pass(DurationMs(1));
    assert_eq!(world.disk.events.last().unwrap().event, Event::RatingRequested {});
    world.pass(DurationMs::from_mins(600));
    assert_eq!(world.disk.events.len(), told + 1);
    assert!(
        world.city.order(id).is_none(),
        "an order that is over does not stay in memory"
    );
}

#[test]
fn price_is_the_sum_of_its_parts() {
    let mut world = World::new();
    let plain = order_of(Some(restaurant(2)), &[(BURGER, 2), (SODA, 1)]);
    let wanted = PlaceOrder {
        basket: Basket {
            tip_minor: 700,
            ..plain.basket
        },
        ..plain
    };
    let id = world.placed(wanted);
    let price = world.order(id).price;
    // 1,200 m: two started kilometres. 2 % of the items, then 5 % of items and fees; nothing on the tip.
    assert_eq!(
        (price.items_minor, price.delivery_fee_minor, price.service_fee_minor),
        (44_000, 3_000, 880)
    );
    assert_eq!(
        (price.tax_minor, price.tip_minor, price.total_minor),
        (2_394, 700, 50_974)
    );
}

#[test]
fn lines_of_one_item_are_one_line_and_one_hold() {
    let mut world = World::new();
    let id = world.placed(order_of(Some(restaurant(1)), &[(BURGER, 2), (SODA, 1), (BURGER, 3)]));
    let lines: Vec<_> = world
        .order(id)
        .lines
        .iter()
        .map(|line| (line.item_id, line.quantity))
        .collect();
    assert_eq!(lines, [(BURGER, 5), (SODA, 1)]);
    assert_eq!(world.stock(1, BURGER), (5, 0));
}

#[test]
fn without_a_choice_the_nearest_open_restaurant_that_has_everything_cooks() {
    let chosen = |prepare: fn(&mut World)| {
        let mut world = World::new();
        prepare(&mut world);
        let id = world.placed(order_of(None, &[(BURGER, 1), (CAKE, 2)]));
        world.order(id).restaurant_id
    };
    assert_eq!(chosen(|_| ()), restaurant(1));
    let close = |world: &mut World| world.ok(OPERATOR, set_open(restaurant(1), false));
    assert_eq!(chosen(close), restaurant(2));
    // Restaurant 1 has cake for one more, not for two.
    let short = |world: &mut World| {
        world.placed(order_of(Some(restaurant(1)), &[(CAKE, 2)]));
    };
    assert_eq!(chosen(short), restaurant(2));
}

#[test]
fn sold_out_is_told_and_changes_no_row() {
    let mut world = World::new();
    world.ok(me(), place(order_of(Some(restaurant(1)), &[(CAKE, 3)])));
    let before = world.disk.stock.clone();
    world.check(
        me(),
        place(order_of(Some(restaurant(1)), &[(CAKE, 1)])),
        Err(Rejection::SoldOut),
    );
    let failed = Event::InventoryReservationFailed(tomato_shared::event::Short {
        restaurant_id: restaurant(1),
        item_id: CAKE,
        wanted: 1,
        left: 0,
    });
    assert_eq!(
        world
            .last
            .events
            .iter()
            .map(|new| (new.order, &new.event))
            .collect::<Vec<_>>(),
        [(None, &failed)]
    );
    assert_eq!(world.disk.stock, before);
    assert_eq!(world.disk.orders.len(), 1);
}

#[test]
fn stock_that_is_no_longer_counted_limits_nobody_and_old_holds_still_come_back() {
    let mut world = World::new();
    let id = world.placed(order_of(Some(restaurant(1)), &[(CAKE, 3)]));
    let mut wanted = put_restaurant(1);
    wanted.capacities.retain(|(item, _)| *item != CAKE);
    world.ok(OPERATOR, put(wanted));
    world.check(
        me(),
        place(order_of(Some(restaurant(1)), &[(CAKE, 5)])),
        Ok(&["order.created"]),
    );
    assert_eq!(world.stock(1, CAKE), (3, 0));
    world.ok(me(), Command::Order(id, OrderCommand::Cancel));
    assert_eq!(world.stock(1, CAKE), (0, 0));
}

#[test]
fn menu_edit_takes_back_nothing_that_is_promised_or_sold() {
    let mut world = World::new();
    world.placed(order_of(Some(restaurant(1)), &[(BURGER, 4)]));
    let sold = world.confirmed();
    assert_eq!(world.stock(1, BURGER), (4, 1));
    let mut wanted = put_restaurant(1);
    wanted.capacities = vec![(BURGER, 2), (CAKE, 3)];
    world.check(OPERATOR, put(wanted), Ok(&["restaurant.updated"]));
    assert_eq!(world.disk.stock[&(restaurant(1), BURGER)].capacity, 5);
    assert_eq!(world.order(sold).state, OrderState::Confirmed);
    world.check(
        me(),
        place(order_of(Some(restaurant(1)), &[(BURGER, 1)])),
        Err(Rejection::SoldOut),
    );
}
