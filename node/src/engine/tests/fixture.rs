//! A small city to decide in: three restaurants in a row, five drivers, their menus and prices.

use tomato_shared::cell::{CellSet, LatLng};
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{DriverId, Id, ItemId, OrderId, RestaurantId, UserId};
use tomato_shared::money::BasisPoints;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::engine::command::{Candidate, Command, PlaceOrder, PutRestaurant};
use crate::engine::model::{Address, By, MenuItem, Restaurant};
use crate::engine::policy::{DispatchPolicy, Fees, Policy};

pub(crate) const START: UnixMs = UnixMs(1_763_886_600_000);

/// Sold by all, counted: 10 at each.
pub(crate) const BURGER: ItemId = ItemId::from_bytes([1; 16]);
/// Sold by all, not counted.
pub(crate) const SODA: ItemId = ItemId::from_bytes([2; 16]);
/// Sold by the first two, counted: 3 at each.
pub(crate) const CAKE: ItemId = ItemId::from_bytes([3; 16]);
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
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        region: "blr".parse().unwrap(),
        cells: CellSet::disk(centre(), 3),
        currency: "INR".parse().unwrap(),
        fees: Fees {
            delivery_base_minor: 2_000,
            delivery_per_km_minor: 500,
            service: BasisPoints(200),
            tax: BasisPoints(500),
            items_min_minor: 1_000,
            total_max_minor: 1_000_000,
        },
        hold: DurationMs::from_mins(10),
        accept_within: DurationMs::from_mins(5),
        restaurant_radius_m: 5_000.0,
        restaurants_asked_max: 3,
        pending_orders_max: 3,
        quote_ttl: DurationMs::from_mins(10),
        quote_key: b"the region's own secret".to_vec(),
        rating_after: DurationMs::from_mins(5),
        dispatch: DispatchPolicy {
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
        price_minor,
        available: id != SOUP,
        counted: false,
    }
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
    }
    let restaurant = Restaurant {
        id: restaurant(n),
        version: 0,
        name: format!("Kitchen {n}"),
        place: centre().offset_m(f64::from(n) * 1_000.0 - 800.0, 0.0),
        open: true,
        delivery_radius_m: 4_000,
        preparation_min: 15,
        menu,
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
        restaurant_id,
        items: items.to_vec(),
        quote: None,
        deliver_to: address(),
        method: PaymentMethod::Card,
        card: "card_ok".into(),
        tip_minor: 0,
    }
}

pub(crate) fn place(wanted: PlaceOrder) -> Command {
    Command::PlaceOrder(Box::new(wanted))
}

/// The commands that open the city: three restaurants and five drivers, who are signed on.
pub(crate) fn opening() -> Vec<Command> {
    let restaurants = (1..=3).map(|n| Command::PutRestaurant(Box::new(put_restaurant(n))));
    let drivers = (1..=5).flat_map(|n| {
        let put = Command::PutDriver {
            driver_id: driver(n),
            name: format!("Driver {n}"),
            phone: format!("+91 98450 0000{n}"),
        };
        let on = Command::SetOnline {
            driver_id: driver(n),
            online: true,
        };
        [put, on]
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
    Command::AcceptOrder {
        order_id,
        ready_in: DurationMs::from_mins(15),
    }
}
