//! From the finished search to what is done now: only trips that must start before the next round, and changed sets.

use super::problem::Tentative;
use super::search::Search;
use super::trip::{Timing, Trip};
use super::work::Cab;
use super::{Assignment, MINUTE_MS, Planned};

/// The first trip of every driver who must leave before the next round, and every changed pickup under way; by driver.
pub(super) fn commit(search: &Search) -> Vec<Assignment> {
    let work = search.work;
    let mut out = Vec::new();
    for (index, cab) in work.cabs.iter().enumerate() {
        let Some(timing) = work.first_timing(index, &search.schedules[index]) else {
            continue;
        };
        let trip = search.schedules[index].trips()[0];
        let changed = cab.bound.is_some();
        let due = if changed {
            trip.orders() != cab.bound_orders
        } else {
            let soon_ms = work.now_ms + work.config.lead_ms;
            cab.free_ms <= soon_ms && timing.depart_ms < soon_ms + work.config.cycle_ms
        };
        // Empty: what the driver was sent for is gone (taken by another, by a fault elsewhere); the caller must free them.
        if due && !trip.orders().is_empty() {
            out.push(Assignment {
                driver: cab.id,
                restaurant: work.stops[trip.restaurant as usize].id,
                orders: trip.orders().iter().map(|&job| work.jobs[job as usize].id).collect(),
                changed,
                arrive_ms: timing.arrive_ms,
                pickup_ms: timing.pickup_ms,
                why: why(search, cab, index, &trip, timing),
            });
        }
    }
    out
}

/// One line for the dispatch board: the figures the decision rests on.
fn why(search: &Search, cab: &Cab, index: usize, trip: &Trip, timing: Timing) -> String {
    let work = search.work;
    let minutes = |ms: i64| ms as f64 / MINUTE_MS as f64;
    let ready_ms = trip
        .orders()
        .iter()
        .map(|&job| work.jobs[job as usize].ready_ms[work.moments / 2])
        .max()
        .unwrap_or(work.now_ms);
    let mut why = format!(
        "arrives in {:.0} min, food {} {:.0} min, pickup in {:.0} min",
        minutes(timing.arrive_ms - work.now_ms),
        if ready_ms <= work.now_ms {
            "ready since"
        } else {
            "expected in"
        },
        minutes((ready_ms - work.now_ms).abs()),
        minutes(timing.pickup_ms - work.now_ms),
    );
    let second = |job: &&u32| work.jobs[**job as usize].restaurant != trip.restaurant;
    match (trip.orders().iter().filter(second).count(), trip.orders().len()) {
        (0, 1) => {}
        (0, all) => why += &format!("; {all} orders of one restaurant together"),
        (some, all) => why += &format!("; {all} orders together, {some} of them of a second restaurant near by"),
    }
    if cab.bound.is_some() {
        why += "; set changed before pickup";
    } else if let Some(&(reach_ms, _)) = search.near[trip.restaurant as usize]
        .iter()
        .find(|&&(_, other)| other as usize != index)
    {
        let later = minutes(reach_ms - timing.arrive_ms);
        why += &format!(
            "; best other driver could be there {:.0} min {}",
            later.abs(),
            if later < 0.0 {
                "sooner but is needed elsewhere"
            } else {
                "later"
            }
        );
    }
    why + &format!("; load {} %", work.load_permille / 10)
}

/// What is planned for every order, by id.
pub(super) fn planned(search: &Search) -> Vec<Planned> {
    let work = search.work;
    let mut out: Vec<Planned> = work
        .jobs
        .iter()
        .map(|job| Planned {
            order: job.id,
            driver: None,
            pickup_ms: 0,
            door_ms: 0,
            runner_up: None,
        })
        .collect();
    for (index, cab) in work.cabs.iter().enumerate() {
        work.visit(index, &search.schedules[index], |job, pickup_ms, door_ms| {
            let row = &mut out[job as usize];
            let near = &search.near[work.jobs[job as usize].restaurant as usize];
            let others = || near.iter().filter(|&&(_, other)| other as usize != index);
            (row.driver, row.pickup_ms, row.door_ms) = (Some(cab.id), pickup_ms, door_ms);
            row.runner_up = others()
                .next()
                .map(|&(reach_ms, other)| (work.cabs[other as usize].id, reach_ms));
        });
    }
    out
}

/// Every planned trip that is not under way: the next round's warm start.
pub(super) fn tentative(search: &Search) -> Vec<Tentative> {
    let work = search.work;
    let mut out = Vec::new();
    for (index, cab) in work.cabs.iter().enumerate() {
        for trip in search.schedules[index]
            .trips()
            .iter()
            .skip(usize::from(cab.bound.is_some()))
        {
            out.push(Tentative {
                driver: cab.id,
                orders: trip.orders().iter().map(|&job| work.jobs[job as usize].id).collect(),
            });
        }
    }
    out
}
