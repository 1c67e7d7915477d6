//! Writes a solution in the three files the official evaluator reads, and summary.json.

use std::fs;
use std::path::Path;

use super::ReplayError;
use super::instance::Instance;
use super::outcome::{Outcome, Trip};
use super::summary::Summary;

/// Writes all four files into `dir`, which is created.
pub fn write(dir: &Path, instance: &Instance, outcome: &Outcome, summary: &Summary) -> Result<(), ReplayError> {
    let fault = |path: &Path, source| ReplayError::File {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(|source| fault(dir, source))?;
    let mut trips: Vec<&Trip> = outcome.trips.iter().collect();
    trips.sort_by_key(|trip| (trip.assigned_min, trip.pickup_min, trip.courier));
    for (name, text) in [
        ("solution_info_assignments.txt", assignments(instance, &trips)),
        ("solution_info_orders.txt", orders(instance, &trips)),
        ("solution_info_couriers.txt", couriers(instance, &trips)),
        ("summary.json", json(summary)),
    ] {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|source| fault(&path, source))?;
    }
    Ok(())
}

fn assignments(instance: &Instance, trips: &[&Trip]) -> String {
    let mut text = String::from("assignment_time pickup_time courier bundle\n");
    for trip in trips {
        let bundle: Vec<&str> = trip
            .stops
            .iter()
            .map(|stop| instance.orders[stop.order].name.as_str())
            .collect();
        let courier = &instance.couriers[trip.courier].name;
        text += &format!(
            "{} {} {courier} {}\n",
            trip.assigned_min,
            trip.pickup_min,
            bundle.join(" ")
        );
    }
    text
}

/// Only delivered orders have a line: the evaluator counts the rest as not delivered.
fn orders(instance: &Instance, trips: &[&Trip]) -> String {
    let mut rows: Vec<(usize, String)> = Vec::new();
    for trip in trips {
        for stop in &trip.stops {
            let order = &instance.orders[stop.order];
            let courier = &instance.couriers[trip.courier].name;
            let times = format!(
                "{} {} {} {}",
                order.placed_min, order.ready_min, trip.pickup_min, stop.dropoff_min
            );
            rows.push((stop.order, format!("{} {times} {courier}\n", order.name)));
        }
    }
    rows.sort();
    let head = String::from("order placement_time ready_time pickup_time dropoff_time courier\n");
    rows.into_iter().fold(head, |text, (_, row)| text + &row)
}

/// One line per move, grouped by courier; origin "0" is where the courier started.
fn couriers(instance: &Instance, trips: &[&Trip]) -> String {
    let mut text = String::from("courier departure_time origin destination\n");
    for (index, row) in instance.couriers.iter().enumerate() {
        let mut own: Vec<&&Trip> = trips.iter().filter(|trip| trip.courier == index).collect();
        own.sort_by_key(|trip| trip.pickup_min);
        let mut at = "0";
        for trip in own {
            let Some(first) = trip.stops.first() else { continue };
            let restaurant = &instance.restaurants[instance.orders[first.order].restaurant].name;
            text += &format!("{} {} {at} {restaurant}\n", row.name, trip.depart_min);
            at = restaurant;
            for stop in &trip.stops {
                let order = &instance.orders[stop.order].name;
                text += &format!("{} {} {at} {order}\n", row.name, stop.depart_min);
                at = order;
            }
        }
    }
    text
}

/// summary.json, fields in the order in which the measures are defined.
pub fn json(row: &Summary) -> String {
    // Names come from directories; what would need escaping is left out.
    let name: String = row
        .instance
        .chars()
        .filter(|c| !c.is_control() && *c != '"' && *c != '\\')
        .collect();
    let mut fields = vec![format!("\"instance\": \"{name}\"")];
    for (key, value) in [
        ("orders", row.orders),
        ("delivered", row.delivered),
        ("impossible", row.impossible),
    ] {
        fields.push(format!("\"{key}\": {value}"));
    }
    for (key, value) in [
        ("ctd_mean", row.ctd_mean),
        ("ctd_p90", row.ctd_p90),
        ("rtp_mean", row.rtp_mean),
        ("rtp_p90", row.rtp_p90),
        ("rtd_mean", row.rtd_mean),
        ("pctd", row.pctd),
        ("floor", row.floor),
        ("share_over_40", row.share_over_40),
        ("orders_per_courier_hour", row.orders_per_courier_hour),
        ("cost_per_order", row.cost_per_order),
    ] {
        fields.push(format!("\"{key}\": {value:.4}"));
    }
    // Beyond what the benchmark asks for: what its rules leave open.
    fields.push(format!("\"undelivered_beyond_impossible\": {}", row.undelivered_beyond));
    fields.push(format!("\"delivered_over_limit\": {}", row.over_limit));
    fields.push(format!("\"cycles\": {}", row.cycles));
    fields.push(format!("\"cycle_ms_p99\": {:.3}", row.cycle_ms_p99));
    format!("{{\n  {}\n}}\n", fields.join(",\n  "))
}
