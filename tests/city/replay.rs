//! Replays an MDRP instance against a region: customers order at the given minute, restaurants accept at once and are
//! ready at the given minute, drivers work the given shifts. Afterwards every order is delivered or explained.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use report::{Line, Report};
use tokio::task::JoinSet;
use tomato_shared::cell::{CellSet, LatLng, RegionId};
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;
use tomato_shared::time::{DurationMs, UnixMs};

use super::chance;
use super::door::Door;
use super::driver::{Manners, Shift};
use super::mdrp::{Instance, Projection};
use super::plan::Fate;
use super::restaurant::{Cooking, Timetable};
use super::world::{Ground, SeededDriver, SeededRestaurant, World};
use super::{City, Staff, customer};
use crate::client::{Api, new_key};
use crate::live::Follower;
use crate::request::{Item, NewOrder, Payment, PutMenuItem, PutRestaurant};
use crate::view::Address;

/// Restaurants of the instances deliver anywhere.
const DELIVERY_RADIUS_M: u32 = 50_000;

/// The instance as a city: one dish per restaurant, one customer per order.
pub fn world(seed: u64, instance: &Instance, projection: &Projection, (region, centre): (RegionId, LatLng)) -> World {
    let mut rng = chance::stream(seed, &instance.name, 0);
    let restaurants = instance.restaurants.iter().map(|restaurant| SeededRestaurant {
        id: chance::id(&mut rng),
        staff: chance::id(&mut rng),
        chain: false,
        put: PutRestaurant {
            name: restaurant.name.clone(),
            place: projection.place(restaurant.at),
            open: true,
            delivery_radius_m: DELIVERY_RADIUS_M,
            preparation_min: 15,
            hours: None,
            menu: vec![PutMenuItem {
                id: chance::id(&mut rng),
                name: "Meal".to_owned(),
                category: String::new(),
                price_minor: 30_000,
                available: true,
                capacity: None,
                variants: Vec::new(),
                options: Vec::new(),
            }],
        },
    });
    let restaurants = restaurants.collect();
    let drivers = instance.couriers.iter().map(|courier| SeededDriver {
        id: chance::id(&mut rng),
        name: courier.name.clone(),
        phone: "+919845000000".to_owned(),
        start: projection.place(courier.at),
    });
    let drivers = drivers.collect();
    let customers = instance.orders.iter().map(|_| chance::id(&mut rng)).collect();
    let ground = Ground {
        region,
        centre,
        cells: CellSet::disk(centre, projection.rings),
    };
    World {
        ground,
        restaurants,
        drivers,
        customers,
    }
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    city: Arc<City>,
    instance: Arc<Instance>,
    projection: Projection,
    timetable: Timetable,
    starts_at: UnixMs,
    first_min: i64,
}

impl Replay {
    /// A replay whose first minute is now. `city` was made from [`world`] and is written to its node.
    pub fn new(city: Arc<City>, instance: Instance, projection: Projection) -> Self {
        let (first_min, _) = instance.span_min();
        Self {
            starts_at: city.clock.now(),
            city,
            instance: Arc::new(instance),
            projection,
            timetable: Timetable::default(),
            first_min,
        }
    }

    fn at(&self, minute: i64) -> UnixMs {
        self.starts_at + DurationMs::from_mins(minute - self.first_min)
    }

    /// Runs the day to its end; orders that nobody can bring any more are cancelled by `operator`.
    pub async fn run(self, operator: &Api) -> Report {
        let mut staff = Staff::start_with(&self.city, &Cooking::ByTimetable(self.timetable.clone()), self.shifts());
        let replay = Arc::new(self);
        let (told, mut placed) = tokio::sync::mpsc::unbounded_channel();
        let mut customers = JoinSet::new();
        for (number, order) in replay.instance.orders.iter().enumerate() {
            replay
                .city
                .tracker
                .asks(&replay.city.world.ground.region, number as u64);
            let (replay, told, ordered_at) = (replay.clone(), told.clone(), replay.at(order.placement_min));
            customers.spawn(async move {
                replay.city.clock.pause_until(ordered_at).await;
                replay.customer(number, told).await;
            });
        }
        drop(told);
        // All have ordered when the last sender is gone.
        let evening = async {
            while placed.recv().await.is_some() {}
            staff.drivers_gone().await;
            replay.cancel_the_rest(operator).await;
        };
        let day = async { while customers.join_next().await.is_some() {} };
        tokio::join!(evening, day);
        replay.report()
    }

    fn shifts(&self) -> Vec<Shift> {
        let manners = Manners::Dutiful {
            pickup: DurationMs::from_mins(self.instance.pickup_min),
            dropoff: DurationMs::from_mins(self.instance.dropoff_min),
        };
        let drivers = self.instance.couriers.iter().zip(&self.city.world.drivers);
        let shift = |(courier, driver): (&super::mdrp::Courier, &SeededDriver)| Shift {
            driver: driver.id,
            start: driver.start,
            on_at: Some(self.at(courier.on_min)),
            off_at: Some(self.at(courier.off_min)),
            manners,
        };
        drivers.map(shift).collect()
    }

    async fn customer(&self, number: usize, told: tokio::sync::mpsc::UnboundedSender<OrderId>) {
        let (city, wish) = (&self.city, &self.instance.orders[number]);
        let region = &city.world.ground.region;
        let restaurant = city
            .world
            .restaurants
            .iter()
            .find(|restaurant| restaurant.put.name == wish.restaurant);
        let Some(restaurant) = restaurant else { return };
        let token = city.issuer.customer(city.world.customers[number]);
        let api = city.api.with_token(&token);
        let follower = Follower::start(api.base(), &token);
        let order = NewOrder {
            quote: None,
            restaurant_id: Some(restaurant.id),
            items: Some(vec![Item::plain(restaurant.put.menu[0].id, 1)]),
            deliver_to: Address {
                place: self.projection.place(wish.at),
                line: wish.name.clone(),
                note: String::new(),
                phone: None,
            },
            payment: Payment::cash(),
            deliver_at: None,
            promo_code: None,
            tip_minor: None,
        };
        match api.place(&new_key(), &order).await {
            Ok(order) => {
                self.timetable.set(order.id, self.at(wish.ready_min));
                city.tracker.placed(region, number as u64, &order);
                city.doors
                    .set(order.id, order.pin.clone().map_or(Door::LeaveIt, Door::Pin));
                told.send(order.id).ok();
                drop(told);
                customer::follow(city, &api, follower, (Fate::Patient, order)).await;
            }
            Err(error) => {
                city.tracker.complain(format!("order {}: {error}", wish.name));
                city.tracker.refused(region, number as u64, error.code());
            }
        }
    }

    async fn cancel_the_rest(&self, operator: &Api) {
        for (id, record) in self.city.tracker.records(&self.city.world.ground.region) {
            if record.state.is_final() {
                continue;
            }
            if let Err(error) = operator.cancel(id).await {
                self.city.tracker.complain(format!("operator cancels {id}: {error}"));
            }
        }
    }

    fn report(&self) -> Report {
        let region = &self.city.world.ground.region;
        let records: BTreeMap<u64, _> = self
            .city
            .tracker
            .records(region)
            .into_values()
            .map(|record| (record.plan, record))
            .collect();
        let minute = |at: UnixMs| (at - self.starts_at).0 as f64 / 60_000.0 + self.first_min as f64;
        let (_, last_min) = self.instance.span_min();
        let lines = self.instance.orders.iter().enumerate().map(|(number, order)| {
            let record = records.get(&(number as u64));
            let click_to_door = record.and_then(|record| record.click_to_door());
            Line {
                order: order.name.clone(),
                state: record.map_or("REFUSED", |record| record.state.name()),
                placed_min: record.map(|record| minute(record.placed_at)),
                ready_min: order.ready_min,
                picked_up_min: record.and_then(|record| record.picked_up_at).map(minute),
                click_to_door_min: click_to_door.map(|span| span.0 as f64 / 60_000.0),
                floor_min: self.instance.floor_min(order),
                explanation: match record {
                    None => "the region refused it".to_owned(),
                    Some(record) if record.state == OrderState::Delivered => String::new(),
                    Some(record) if record.reason.as_deref() == Some("Operator") => {
                        let ready = order.ready_min;
                        format!("ready at minute {ready}; no driver before the last shift ended at minute {last_min}")
                    }
                    Some(record) => record.reason.clone().unwrap_or_default(),
                },
            }
        });
        Report {
            instance: self.instance.name.clone(),
            lines: lines.collect(),
        }
    }
}
