//! A strict check of a replay's own solution against the MDRP's rules, from the instance and the trips alone: it shares
//! no code with the simulation beyond the instance's travel times.

use super::instance::Instance;
use super::outcome::{Outcome, Trip};
use crate::engine::matching::Point;

/// Every broken rule, one sentence each; empty when the solution stands.
pub fn check(instance: &Instance, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = vec![false; instance.orders.len()];
    let mut by_courier: Vec<Vec<&Trip>> = vec![Vec::new(); instance.couriers.len()];
    for trip in &outcome.trips {
        by_courier[trip.courier].push(trip);
        check_orders(instance, trip, &mut seen, &mut faults);
    }
    for (courier, trips) in by_courier.iter_mut().enumerate() {
        trips.sort_by_key(|trip| trip.pickup_min);
        let row = &instance.couriers[courier];
        let (mut at, mut free_min) = (row.at, row.on_min);
        for trip in trips.iter() {
            (at, free_min) = check_trip(instance, trip, at, free_min, &mut faults);
        }
    }
    faults
}

/// The trip's orders: one restaurant, known when assigned and when leaving, nothing twice.
fn check_orders(instance: &Instance, trip: &Trip, seen: &mut [bool], faults: &mut Vec<String>) {
    let Some(first) = trip.stops.first() else {
        faults.push(format!("courier {} picked up nothing", trip.courier));
        return;
    };
    let restaurant = instance.orders[first.order].restaurant;
    let mut earliest_placed = i64::MAX;
    for stop in &trip.stops {
        let order = &instance.orders[stop.order];
        if std::mem::replace(&mut seen[stop.order], true) {
            faults.push(format!("{} delivered twice", order.name));
        }
        if order.restaurant != restaurant {
            faults.push(format!("{} shares a trip with another restaurant", order.name));
        }
        if order.placed_min > trip.assigned_min {
            faults.push(format!("{} assigned before it was placed", order.name));
        }
        earliest_placed = earliest_placed.min(order.placed_min);
    }
    if earliest_placed > trip.depart_min {
        faults.push(format!(
            "courier {} left for orders not yet placed",
            instance.couriers[trip.courier].name
        ));
    }
    if trip.assigned_min > trip.pickup_min {
        faults.push(format!("{} assigned after pickup", instance.orders[first.order].name));
    }
}

/// Times and places of one trip. Returns where and when the courier is free.
fn check_trip(instance: &Instance, trip: &Trip, at: Point, free_min: i64, faults: &mut Vec<String>) -> (Point, i64) {
    let name = &instance.couriers[trip.courier].name;
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{name} at {}: {what}", trip.pickup_min));
        }
    };
    let Some(first) = trip.stops.first() else {
        return (at, free_min);
    };
    let restaurant = &instance.restaurants[instance.orders[first.order].restaurant];
    let half_pickup = instance.half_pickup_min();
    let half_dropoff = instance.half_dropoff_min();
    let ready = trip
        .stops
        .iter()
        .map(|stop| instance.orders[stop.order].ready_min)
        .max()
        .unwrap_or(0);
    expect(trip.depart_min >= free_min, "left while busy or before the shift");
    expect(
        trip.arrive_min == trip.depart_min + instance.travel_min(at, restaurant.at),
        "wrong travel time",
    );
    let earliest = ready.max(trip.arrive_min + half_pickup);
    expect(
        trip.pickup_min == earliest.max(trip.assigned_min),
        "pickup is not arrival + service, ready or last change",
    );
    expect(
        trip.pickup_min <= instance.couriers[trip.courier].off_min,
        "pickup after the shift",
    );
    let (mut at, mut leave) = (restaurant.at, trip.pickup_min + half_pickup);
    for stop in &trip.stops {
        let order = &instance.orders[stop.order];
        expect(stop.depart_min == leave, "did not leave when free");
        expect(
            stop.dropoff_min == leave + instance.travel_min(at, order.at) + half_dropoff,
            "wrong drop-off time",
        );
        leave = stop.dropoff_min + half_dropoff;
        at = order.at;
    }
    (at, leave)
}
