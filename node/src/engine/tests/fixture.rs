//! A small city to decide in: three restaurants in a row, five drivers, their menus and prices.

use tomato_shared::cell::{CellSet, LatLng};
use tomato_shared::event::{Bearer, PaymentMethod, RejectWhy};
use tomato_shared::id::{DriverId, Id, ItemId, OrderId, RestaurantId, UserId};
use tomato_shared::money::BasisPoints;
use tomato_shared::phone::PhoneKey;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::engine::command::{
    Basket, Candidate, Command, DriverCommand, OrderCommand, PlaceOrder, PutRestaurant, RestaurantCommand, WantedItem,
};
use crate::engine::model::{
    Address, By, Hours, MenuItem, OptionChoice, OptionGroup, Promotion, Proof, Restaurant, Saving, Variant,
};
use crate::engine::policy::{Cancelling, DispatchKind, DispatchPolicy, DriverPay, Fees, Policy};

pub(crate) const START: UnixMs = UnixMs(1_763_886_600_000);

/// Sold by all, counted: 10 at each.
pub(crate) const BURGER: ItemId = ItemId::from_bytes([1; 16]);
/// Sold by all, not counted.
pub(crate) const SODA: ItemId = ItemId::from_bytes([2; 16]);
/// Sold by the first two, counted: 3 at each.
pub(crate) const CAKE: ItemId = ItemId::from_bytes([3; 16]);
/// Sold by the first two, counted: 6 at each. Has sizes, a crust to choose and extras.
pub(crate) const PIZZA: ItemId = ItemId::from_bytes([5; 16]);
/// On every menu and never available.
pub(crate) const SOUP: ItemId = ItemId::from_bytes([4; 16]);
pub(crate) const OPERATOR: By = By::Operator(UserId::from_bytes([9; 16]));

pub(crate) fn customer(n: u8) -> UserId {
    id(100 + n)
}

/// Restaurants 1, 2 and 3 lie 200, 1,200 and 2,200 m east of the centre.
pub(crate) fn restaurant(n: u8) -> RestaurantId {
    id(n)
}

pub(crate) fn driver(n: u8) -> DriverId {
    id(n)
}

fn id<K: tomato_shared::id::Kind>(n: u8) -> Id<K> {
    Id::from_bytes([n; 16])
}

pub(crate) fn centre() -> LatLng {
    LatLng::new(12.9716, 77.5946).unwrap()
}

pub(crate) fn address() -> Address {
    Address {
        place: centre(),
        line: "12, Church Street".into(),
        note: String::new(),
        phone: None,
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        region: "blr".parse().unwrap(),
        cells: CellSet::disk(centre(), 3),
        zone: jiff::tz::TimeZone::get("Asia/Kolkata").unwrap(),
        currency: "INR".parse().unwrap(),
        fees: Fees {
            delivery_base_minor: 2_000,
            delivery_per_km_minor: 500,
            service: BasisPoints(200),
            tax: BasisPoints(500),
            commission: BasisPoints(1_500),
            zones: Vec::new(),
            items_min_minor: 1_000,
            total_max_minor: 1_000_000,
        },
        hold: DurationMs::from_mins(10),
        accept_within: DurationMs::from_mins(5),
        escalate_after: DurationMs::from_secs(90),
        overdue_after: DurationMs::from_mins(10),
        change_ttl: DurationMs::from_mins(5),
        restaurant_radius_m: 5_000.0,
        restaurants_asked_max: 3,
        pending_orders_max: 3,
        open_orders_max: 100,
        another_card: DurationMs(0),
        deferred_max_minor: 0,
        schedule_max: DurationMs::from_mins(72 * 60),
        release_margin: DurationMs::from_mins(5),
        last_order_before: DurationMs(0),
        quote_ttl: DurationMs::from_mins(10),
        quote_key: b"the region's own secret".to_vec(),
        phone_key: Some(PhoneKey::from_bytes([7; 32])),
        rating_after: DurationMs::from_mins(5),
        feedback_within: DurationMs::from_mins(7 * 24 * 60),
        cancelling: Cancelling {
            free_after_accept: DurationMs::from_secs(60),
            late: BasisPoints(5_000),
            absent: BasisPoints(0),
        },
        driver_pay: DriverPay {
            base_minor: 2_000,
            per_km_minor: 500,
            cash_max_minor: 0,
        },
        dispatch: DispatchPolicy {
            kind: DispatchKind::Nearest,
            cycle: DurationMs::from_secs(5),
            bundle_max: 3,
            two_restaurants: true,
            handover: DurationMs::from_mins(2),
            position_age_max: DurationMs::from_mins(1),
            radius_m: 3_000.0,
            retry: DurationMs::from_secs(30),
            give_up: DurationMs::from_mins(60),
            offer_ttl: DurationMs::from_secs(30),
            cancellations_max: 3,
            speed_m_per_min: 300.0,
            orders_per_round: 100,
            candidates_max: 8,
        },
    }
}

fn item(id: ItemId, name: &str, price_minor: i64) -> MenuItem {
    MenuItem {
        id,
        name: name.into(),
        category: String::new(),
        description: String::new(),
        price_minor,
        available: id != SOUP,
        off_until: None,
        counted: false,
        variants: Vec::new(),
        options: Vec::new(),
    }
}

fn pizza() -> MenuItem {
    let size = |key: &str, price_minor, available| Variant {
        key: key.into(),
        name: key.into(),
        price_minor,
        available,
    };
    let choice = |key: &str, price_minor, available| OptionChoice {
        key: key.into(),
        name: key.into(),
        price_minor,
        available,
    };
    let group = |key: &str, min, max, choices| OptionGroup {
        key: key.into(),
        name: key.into(),
        min,
        max,
        choices,
    };
    let extras = vec![
        choice("cheese", 1_000, true),
        choice("olives", 800, true),
        choice("truffle", 9_000, false),
    ];
    MenuItem {
        variants: vec![
            size("small", 10_000, true),
            size("large", 14_000, true),
            size("huge", 20_000, false),
        ],
        options: vec![
            group("crust", 1, 1, vec![choice("thin", 0, true), choice("thick", 500, true)]),
            group("extra", 0, 2, extras),
        ],
        ..item(PIZZA, "pizza", 99_999)
    }
}

/// A pizza of that size, thin, with these extras.
pub(crate) fn pizza_of(quantity: u32, size: &str, extras: &[&str]) -> WantedItem {
    let extra = |key: &&str| ("extra".to_owned(), (*key).to_owned());
    let crust = std::iter::once(("crust".to_owned(), "thin".to_owned()));
    WantedItem {
        item_id: PIZZA,
        quantity,
        variant: Some(size.into()),
        options: crust.chain(extras.iter().map(extra)).collect(),
    }
}

/// Ten percent off everything, at most 3,000, three times, twice by one customer.
pub(crate) fn promotion(code: &str) -> Promotion {
    Promotion {
        code: code.into(),
        version: 0,
        saving: Saving::Percent {
            share_bp: 1_000,
            max_minor: 3_000,
        },
        borne_by: Bearer::Platform,
        active: true,
        starts_at: UnixMs(START.0 - 1),
        ends_at: START + DurationMs::from_mins(60 * 24 * 7),
        items_min_minor: 10_000,
        uses_max: 3,
        uses_per_customer_max: 2,
        restaurant_ids: Vec::new(),
    }
}

pub(crate) fn put_promotion(promotion: Promotion) -> Command {
    Command::PutPromotion(Box::new(promotion))
}

/// An order with a promotion's code.
pub(crate) fn with_code(code: &str, wanted: PlaceOrder) -> PlaceOrder {
    let promo_code = Some(code.to_owned());
    let basket = Basket {
        promo_code,
        ..wanted.basket
    };
    PlaceOrder { basket, ..wanted }
}

/// An order for a wanted time.
pub(crate) fn for_time(deliver_at: UnixMs, wanted: PlaceOrder) -> PlaceOrder {
    let deliver_at = Some(deliver_at);
    let basket = Basket {
        deliver_at,
        ..wanted.basket
    };
    PlaceOrder { basket, ..wanted }
}

/// The `n`th restaurant as an operator writes it.
pub(crate) fn put_restaurant(n: u8) -> PutRestaurant {
    let mut menu = vec![
        item(BURGER, "burger", 20_000),
        item(SODA, "soda", 4_000),
        item(SOUP, "soup", 9_000),
    ];
    let mut capacities = vec![(BURGER, 10)];
    if n < 3 {
        menu.push(item(CAKE, "cake", 15_000));
        capacities.push((CAKE, 3));
        menu.push(pizza());
        capacities.push((PIZZA, 6));
    }
    let restaurant = Restaurant {
        id: restaurant(n),
        version: 0,
        name: format!("Kitchen {n}"),
        place: centre().offset_m(f64::from(n) * 1_000.0 - 800.0, 0.0),
        open: true,
        suspended: false,
        paused_until: None,
        busy: None,
        hours: Hours::default(),
        delivery_radius_m: 4_000,
        delivery_cells: CellSet::default(),
        preparation_min: 15,
        menu,
        moved_to: None,
    };
    PutRestaurant {
        restaurant,
        capacities,
        expected_version: None,
    }
}

/// An order to the centre.
pub(crate) fn order_of(restaurant_id: Option<RestaurantId>, items: &[(ItemId, u32)]) -> PlaceOrder {
    PlaceOrder {
        basket: basket_of(restaurant_id, items),
        quote: None,
        method: PaymentMethod::Card,
        card: "card_ok".into(),
    }
}

pub(crate) fn basket_of(restaurant_id: Option<RestaurantId>, items: &[(ItemId, u32)]) -> Basket {
    let plain = |(item_id, quantity): &(ItemId, u32)| WantedItem {
        item_id: *item_id,
        quantity: *quantity,
        variant: None,
        options: Vec::new(),
    };
    Basket {
        restaurant_id,
        items: items.iter().map(plain).collect(),
        deliver_to: address(),
        deliver_at: None,
        promo_code: None,
        tip_minor: 0,
    }
}

pub(crate) fn put(wanted: PutRestaurant) -> Command {
    Command::Restaurant(wanted.restaurant.id, RestaurantCommand::Put(Box::new(wanted)))
}

pub(crate) fn set_open(restaurant_id: RestaurantId, open: bool) -> Command {
    let command = RestaurantCommand::SetStatus {
        open: Some(open),
        pause: None,
        busy: None,
    };
    Command::Restaurant(restaurant_id, command)
}

pub(crate) fn sign(driver_id: DriverId, online: bool) -> Command {
    let command = DriverCommand::SetOnline {
        online,
        vehicle: None,
        until: None,
    };
    Command::Driver(driver_id, command)
}

pub(crate) fn reject(order_id: OrderId) -> Command {
    let command = OrderCommand::Reject {
        why: RejectWhy::TooBusy,
        off: Vec::new(),
    };
    Command::Order(order_id, command)
}

pub(crate) fn place(wanted: PlaceOrder) -> Command {
    Command::PlaceOrder(Box::new(wanted))
}

/// The commands that open the city: three restaurants and five drivers, who are signed on.
pub(crate) fn opening() -> Vec<Command> {
    let restaurants = (1..=3).map(|n| put(put_restaurant(n)));
    let drivers = (1..=5).flat_map(|n| {
        let who = DriverCommand::Put {
            name: format!("Driver {n}"),
            phone: format!("+91 98450 0000{n}"),
        };
        [Command::Driver(driver(n), who), sign(driver(n), true)]
    });
    restaurants.chain(drivers).collect()
}

pub(crate) fn candidate(n: u8, distance_m: f64) -> Candidate {
    Candidate {
        driver_id: driver(n),
        distance_m,
    }
}

pub(crate) fn accept(order_id: OrderId) -> Command {
    Command::Order(order_id, OrderCommand::Accept(DurationMs::from_mins(15)))
}

/// Handed over, proved by a photo.
pub(crate) fn complete(order_id: OrderId) -> Command {
    let proof = Proof::Photo { reference: "p".into() };
    Command::Order(order_id, OrderCommand::Complete(proof))
}

pub(crate) fn fail(order_id: OrderId, reason: &str) -> Command {
    Command::Order(order_id, OrderCommand::FailDelivery(reason.into()))
}
