//! The search state: one schedule per driver, orders without a driver, and the two moves everything is built of:
//! take an order out, put an order in where it costs least.

use super::grid::Grid;
use super::trip::{Schedule, Trip};
use super::work::Work;

/// Drivers looked at per order once the work budget has run out.
const CANDIDATES_DEGRADED: usize = 4;

/// Where an order would go and what that adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Insertion {
    pub(super) added_ms: i64,
    pub(super) cab: usize,
    pub(super) schedule: Schedule,
    pub(super) cost_ms: i64,
}

/// Schedules under construction.
pub(super) struct Search<'w> {
    pub(super) work: &'w Work<'w>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) costs: Vec<i64>,
    /// Driver of each order.
    pub(super) cab_of: Vec<Option<u32>>,
    /// Drivers worth looking at, per restaurant.
    pub(super) near: Vec<Vec<(i64, u32)>>,
    /// Schedule evaluations so far.
    pub(super) spent: u64,
}

impl<'w> Search<'w> {
    /// Starts from the pickups under way.
    pub(super) fn new(work: &'w Work<'w>) -> Search<'w> {
        let mut search = Search {
            work,
            schedules: vec![Schedule::default(); work.cabs.len()],
            costs: vec![0; work.cabs.len()],
            cab_of: vec![None; work.jobs.len()],
            near: Vec::new(),
            spent: 0,
        };
        for (index, cab) in work.cabs.iter().enumerate() {
            if let Some((restaurant, _)) = cab.bound {
                let free: Vec<u32> = cab
                    .bound_orders
                    .iter()
                    .copied()
                    .filter(|&job| search.cab_of[job as usize].is_none())
                    .collect();
                for &job in &free {
                    search.cab_of[job as usize] = Some(index as u32);
                }
                search.schedules[index].insert(0, Trip::new(restaurant, &free));
                search.costs[index] = work.cost_anyway(index, &search.schedules[index]).0;
            }
        }
        search.near = near(work);
        search
    }

    /// Takes over what the last round had in mind, as far as it still holds.
    pub(super) fn resume(&mut self) {
        let work = self.work;
        for trip in &work.problem.tentative {
            let Ok(cab) = work.cabs.binary_search_by_key(&trip.driver, |cab| cab.id) else {
                continue;
            };
            let jobs: Vec<u32> = trip
                .orders
                .iter()
                .filter_map(|&id| work.job_of(id))
                .filter(|&job| self.cab_of[job as usize].is_none() && !work.excluded(job, cab as u32))
                .take(work.bundle_max())
                .collect();
            let Some(&first) = jobs.first() else { continue };
            let mut resumed = Trip::new(work.jobs[first as usize].restaurant, &[first]);
            let fit = |&job: &u32| {
                let fits = work.fits(&resumed, work.jobs[job as usize].restaurant);
                if fits && job != first {
                    resumed.insert(resumed.orders().len(), job);
                }
                fits
            };
            let jobs: Vec<u32> = jobs.into_iter().filter(fit).collect();
            let mut schedule = self.schedules[cab];
            if schedule.trips().len() >= work.trips_max() {
                continue;
            }
            schedule.insert(schedule.trips().len(), resumed);
            let Some(cost_ms) = work.cost(cab, &schedule) else {
                continue;
            };
            self.schedules[cab] = schedule;
            self.costs[cab] = cost_ms;
            for job in jobs {
                self.cab_of[job as usize] = Some(cab as u32);
            }
        }
    }

    /// Total cost in ms, orders without a driver included.
    pub(super) fn total_ms(&self) -> i64 {
        let unserved = self.cab_of.iter().filter(|cab| cab.is_none()).count() as i64;
        self.costs.iter().sum::<i64>() + unserved * self.work.config.unserved_ms
    }

    /// Takes `job` out of its schedule. A pickup under way may be left without what the driver was sent for; its cost is
    /// then prohibitive until something else fills it.
    pub(super) fn remove(&mut self, job: u32) {
        let Some(cab) = self.cab_of[job as usize] else { return };
        let cab = cab as usize;
        let mut schedule = self.schedules[cab];
        let Some(at) = schedule.trips().iter().position(|trip| trip.orders().contains(&job)) else {
            return;
        };
        let bound = at == 0 && self.work.cabs[cab].bound.is_some();
        if schedule.trips()[at].orders().len() == 1 && !bound {
            schedule.remove(at);
        } else {
            let trip = schedule.trip_mut(at);
            trip.remove(job);
            if let Some(&first) = trip.orders().first() {
                trip.restaurant = self.work.jobs[first as usize].restaurant;
            }
        }
        self.spent += 1;
        self.costs[cab] = self.work.cost_anyway(cab, &schedule).0;
        self.schedules[cab] = schedule;
        self.cab_of[job as usize] = None;
    }

    /// Puts `job` where `insertion` says.
    pub(super) fn apply(&mut self, job: u32, insertion: &Insertion) {
        self.schedules[insertion.cab] = insertion.schedule;
        self.costs[insertion.cab] = insertion.cost_ms;
        self.cab_of[job as usize] = Some(insertion.cab as u32);
    }

    /// The cheapest place for `job`, or `None` when leaving it out is cheaper still.
    pub(super) fn best(&mut self, job: u32) -> Option<Insertion> {
        let stop = self.work.jobs[job as usize].restaurant as usize;
        let mut best: Option<Insertion> = None;
        let near = std::mem::take(&mut self.near[stop]);
        let least_ms = self.least_ms(job);
        // Beyond the budget the first few drivers must do.
        let looked_at = if self.spent < self.work.config.work_max {
            near.len()
        } else {
            near.len().min(CANDIDATES_DEGRADED)
        };
        for &(reach_ms, cab) in &near[..looked_at] {
            // Sorted by arrival: who comes later cannot even serve this order alone for less.
            if best.as_ref().is_some_and(|found| found.added_ms <= least_ms + reach_ms) {
                break;
            }
            self.try_cab(job, cab as usize, &mut best);
        }
        for index in 0..self.work.stops[stop].orders.len() {
            let other = self.work.stops[stop].orders[index];
            if let Some(cab) = self.cab_of[other as usize]
                && !near.iter().any(|&(_, other)| other == cab)
            {
                self.try_cab(job, cab as usize, &mut best);
            }
        }
        self.near[stop] = near;
        best.filter(|insertion| insertion.added_ms < self.work.config.unserved_ms)
    }

    /// What the order's own waiting costs at least, less the arrival of whoever fetches it.
    fn least_ms(&self, job: u32) -> i64 {
        let (job, config) = (&self.work.jobs[job as usize], self.work.config);
        config.pickup_before_ms + config.pickup_after_ms + job.leg_ms + config.dropoff_before_ms - job.placed_ms
    }

    fn try_cab(&mut self, job: u32, cab: usize, best: &mut Option<Insertion>) {
        if self.work.excluded(job, cab as u32) {
            return;
        }
        let restaurant = self.work.jobs[job as usize].restaurant;
        let schedule = self.schedules[cab];
        for (at, trip) in schedule.trips().iter().enumerate() {
            // The restaurant of a pickup under way stays; what it is left with may be nothing for a moment.
            let bound = at == 0 && self.work.cabs[cab].bound.is_some();
            let fits = trip.restaurant == restaurant || !bound;
            if !fits || trip.orders().len() >= self.work.bundle_max() || !self.work.fits(trip, restaurant) {
                continue;
            }
            for place in 0..=trip.orders().len() {
                let mut tried = schedule;
                let trip = tried.trip_mut(at);
                trip.insert(place, job);
                trip.restaurant = self.work.jobs[trip.orders()[0] as usize].restaurant;
                self.consider(cab, tried, best);
            }
        }
        if schedule.trips().len() < self.work.trips_max() {
            let first = usize::from(self.work.cabs[cab].bound.is_some());
            for at in first..=schedule.trips().len() {
                let mut tried = schedule;
                tried.insert(at, Trip::new(restaurant, &[job]));
                self.consider(cab, tried, best);
            }
        }
    }

    fn consider(&mut self, cab: usize, schedule: Schedule, best: &mut Option<Insertion>) {
        self.spent += 1;
        let Some(cost_ms) = self.work.cost(cab, &schedule) else {
            return;
        };
        let added_ms = cost_ms - self.costs[cab];
        // Ties go to the driver seen first; `near` is sorted by arrival, then id.
        if best.as_ref().is_none_or(|found| added_ms < found.added_ms) {
            *best = Some(Insertion {
                added_ms,
                cab,
                schedule,
                cost_ms,
            });
        }
    }
}

/// Up to here every driver is looked at for every restaurant; beyond, only those around it.
const SCAN_MAX: usize = 400;

/// The drivers who could reach each restaurant first: (arrival, driver), ascending.
fn near(work: &Work) -> Vec<Vec<(i64, u32)>> {
    let count = work.config.candidates;
    let grid = (work.cabs.len() > SCAN_MAX).then(|| Grid::new(work.cabs.iter().map(|cab| cab.at).collect()));
    let mut near = Vec::with_capacity(work.stops.len());
    for stop in &work.stops {
        let around: Vec<u32> = match &grid {
            // A driver farther off may be free earlier, so more than needed are fetched.
            Some(grid) => grid.around(stop.at, 4 * count),
            None => (0..work.cabs.len() as u32).collect(),
        };
        let mut reach: Vec<(i64, u32)> = around
            .into_iter()
            .map(|index| {
                let cab = &work.cabs[index as usize];
                (cab.free_ms + work.travel_ms(cab.at, stop.at), index)
            })
            .collect();
        let keep = count.min(reach.len());
        if keep < reach.len() && keep > 0 {
            reach.select_nth_unstable(keep - 1);
            reach.truncate(keep);
        }
        reach.sort_unstable();
        near.push(reach);
    }
    near
}
