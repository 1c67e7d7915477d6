//! Ruin and recreate: takes a few related orders out and puts them back better, for as long as the work budget lasts.

use super::grid::Grid;
use super::search::Search;
use super::trip::Schedule;

/// Restaurants whose orders count as related.
const STOPS_RELATED: usize = 12;

/// A fixed sequence of numbers: the same problem must give the same plan, so nothing random enters.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

impl Search<'_> {
    /// First plan: orders in the order they get ready, each where it costs least.
    pub(super) fn construct(&mut self) {
        let work = self.work;
        let mut queue: Vec<u32> = (0..work.jobs.len() as u32)
            .filter(|&job| self.cab_of[job as usize].is_none())
            .collect();
        queue.sort_by_key(|&job| (work.jobs[job as usize].ready_ms[work.moments / 2], job));
        for job in queue {
            if let Some(insertion) = self.best(job) {
                self.apply(job, &insertion);
            }
        }
    }

    /// Improves until `improve_work` evaluations have been spent, or `work_max` in all.
    pub(super) fn improve(&mut self) {
        let jobs = self.work.jobs.len();
        if jobs < 2 {
            return;
        }
        let related = self.related();
        let mut sequence = Sequence(self.work.config.seed.wrapping_add(0x5eed));
        let config = self.work.config;
        let end = (self.spent + config.improve_work).min(config.work_max);
        while self.spent < end {
            let out = self.ruin(&mut sequence, &related);
            self.rebuild(&out);
        }
    }

    /// Chooses what to take out: a few related orders.
    fn ruin(&self, sequence: &mut Sequence, related: &[Vec<u32>]) -> Vec<u32> {
        let seed = sequence.below(related.len());
        let count = 1 + sequence.below(self.work.config.ruin_max);
        let mut out = vec![seed as u32];
        for &other in &related[seed] {
            if out.len() >= count {
                break;
            }
            if sequence.below(3) > 0 {
                out.push(other);
            }
        }
        let jobs = &self.work.jobs;
        match sequence.below(4) {
            0 => out.sort_by_key(|&job| (jobs[job as usize].ready_ms[self.work.moments / 2], job)),
            1 => out.sort_by_key(|&job| (-jobs[job as usize].leg_ms, job)),
            _ => {
                for at in (1..out.len()).rev() {
                    out.swap(at, sequence.below(at + 1));
                }
            }
        }
        out
    }

    /// Takes `out` out and puts it back in that order; undoes it all if that costs more than before.
    fn rebuild(&mut self, out: &[u32]) {
        self.spent += 1;
        let mut touched: Vec<(usize, Schedule, i64)> = Vec::new();
        let mut homes: Vec<(u32, Option<u32>)> = Vec::new();
        let mut delta_ms = 0;
        let unserved_ms = self.work.config.unserved_ms;
        for &job in out {
            let home = self.cab_of[job as usize];
            let saved = home.map(|cab| (cab as usize, self.schedules[cab as usize], self.costs[cab as usize]));
            self.remove(job);
            homes.push((job, home));
            match saved {
                Some(saved) => {
                    delta_ms += self.costs[saved.0] - saved.2;
                    touched.push(saved);
                }
                None => delta_ms -= unserved_ms,
            }
        }
        for &job in out {
            match self.best(job) {
                Some(insertion) => {
                    touched.push((insertion.cab, self.schedules[insertion.cab], self.costs[insertion.cab]));
                    delta_ms += insertion.added_ms;
                    self.apply(job, &insertion);
                }
                None => delta_ms += unserved_ms,
            }
        }
        if delta_ms <= 0 {
            return;
        }
        for (cab, schedule, cost_ms) in touched.into_iter().rev() {
            self.schedules[cab] = schedule;
            self.costs[cab] = cost_ms;
        }
        for (job, home) in homes {
            self.cab_of[job as usize] = home;
        }
    }

    /// For each order the others it competes or combines with: same restaurant first, then near restaurants.
    fn related(&self) -> Vec<Vec<u32>> {
        let work = self.work;
        let grid = Grid::new(work.stops.iter().map(|stop| stop.at).collect());
        let near_stops: Vec<Vec<u32>> = work
            .stops
            .iter()
            .map(|stop| grid.around(stop.at, STOPS_RELATED))
            .collect();
        (0..work.jobs.len() as u32)
            .map(|job| {
                let stop = work.jobs[job as usize].restaurant;
                let mut related: Vec<u32> = work.stops[stop as usize]
                    .orders
                    .iter()
                    .copied()
                    .filter(|&other| other != job)
                    .collect();
                for &other in &near_stops[stop as usize] {
                    if other != stop {
                        related.extend_from_slice(&work.stops[other as usize].orders);
                    }
                }
                related.truncate(24);
                related
            })
            .collect()
    }
}
