//! Where the drivers are: the latest position of everybody who is signed on, in memory, by H3 cell.
//!
//! Positions are no rows: they are worthless after minutes, and after a restart the next ping brings them back. One
//! entry per signed-on driver is the bound; positions of anybody else are dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h3o::CellIndex;
use tomato_shared::cell::{DRIVER_RESOLUTION, LatLng};
use tomato_shared::id::{DriverId, OrderId, UserId};
use tomato_shared::sync::DriverPosition;
use tomato_shared::time::{DurationMs, UnixMs};

use crate::engine::command::Candidate;

/// How far a device's clock may run ahead of ours.
pub const FUTURE_MAX: DurationMs = DurationMs::from_secs(60);
/// Positions known worse than this are of no use for finding the nearest driver.
pub const ACCURACY_MAX_M: f32 = 200.0;
/// Faster is a jump of the receiver, not a driver.
pub const SPEED_MAX_KMH: f64 = 150.0;
/// Shorter jumps are ordinary noise.
pub const JUMP_MIN_M: f64 = 1_000.0;

/// Below the edge of the smallest and most distorted hexagon at [`DRIVER_RESOLUTION`] (the mean edge is 201 m).
const EDGE_MIN_M: f64 = 120.0;

/// What a signed-on driver is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Nothing: an offer can be made.
    Free,
    /// Thinking about an offer, or bringing something back.
    Busy,
    /// Bound to these orders of these customers, who may follow the way.
    Delivering(Arc<[(OrderId, UserId)]>),
}

/// A position as a device reported it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    /// Where.
    pub place: LatLng,
    /// When, by the device; never later than our own clock once accepted.
    pub at: UnixMs,
    /// Radius within which the device is, in metres, as far as it knows.
    pub accuracy_m: Option<f32>,
}

/// What became of reported positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// How many were taken in.
    pub accepted: usize,
    /// The last of those; `None` where none was taken in.
    pub latest: Option<Fix>,
    /// What the driver is doing; `None` when signed off, in which case nothing was taken in.
    pub duty: Option<Duty>,
    /// Free, and not on the map before these positions: orders that wait may now find this driver.
    pub appeared: bool,
}

/// The signed-on drivers of the region.
#[derive(Debug)]
pub struct Fleet {
    max_age: DurationMs,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    drivers: HashMap<DriverId, Entry>,
    /// Free drivers with a position.
    free: HashMap<CellIndex, Vec<DriverId>>,
}

#[derive(Debug)]
struct Entry {
    duty: Duty,
    fix: Option<Fix>,
}

/// Where free drivers are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Near {
    /// Around here.
    pub place: LatLng,
    /// So far, in metres.
    pub radius_m: f64,
    /// At most so many.
    pub limit: usize,
}

impl Fleet {
    /// `max_age`: older positions are as good as none.
    pub fn new(max_age: DurationMs) -> Self {
        Self {
            max_age,
            state: Mutex::default(),
        }
    }

    /// What a driver does from now on; `None` signs off and forgets the position.
    pub fn set_duty(&self, driver: DriverId, duty: Option<Duty>) {
        let mut state = self.lock();
        let fix = state.take(driver).and_then(|entry| entry.fix);
        if let Some(duty) = duty {
            state.put(driver, Entry { duty, fix });
        }
    }

    /// Takes positions in, oldest first. Passed over are those not newer than the last, those from the future (by more
    /// than [`FUTURE_MAX`]), those known worse than [`ACCURACY_MAX_M`], and implausible jumps.
    pub fn report(&self, driver: DriverId, fixes: &[Fix], now: UnixMs) -> Reported {
        let mut state = self.lock();
        let Some(entry) = state.take(driver) else {
            return Reported {
                accepted: 0,
                latest: None,
                duty: None,
                appeared: false,
            };
        };
        let fresh_since = now + DurationMs(-self.max_age.0);
        let (mut last, mut accepted) = (entry.fix, 0);
        for fix in fixes {
            if self.plausible(last.as_ref(), fix, now) {
                // A clock ahead of ours must neither keep a position fresh for longer nor shut out the next one.
                last = Some(Fix {
                    at: fix.at.min(now),
                    ..*fix
                });
                accepted += 1;
            }
        }
        let reported = Reported {
            accepted,
            latest: last.filter(|_| accepted > 0),
            appeared: accepted > 0 && entry.duty == Duty::Free && entry.fix.is_none_or(|fix| fix.at < fresh_since),
            duty: Some(entry.duty.clone()),
        };
        state.put(driver, Entry { fix: last, ..entry });
        reported
    }

    /// Whether the driver is signed on.
    pub fn knows(&self, driver: DriverId) -> bool {
        self.lock().drivers.contains_key(&driver)
    }

    /// Free drivers with a fresh position near a place who are `wanted`, nearest first, ties by id.
    pub fn near(&self, near: &Near, now: UnixMs, wanted: impl Fn(DriverId) -> bool) -> Vec<Candidate> {
        let Near { place, radius_m, limit } = *near;
        let state = self.lock();
        let ask = Ask {
            place,
            radius_m,
            since: now + DurationMs(-self.max_age.0),
        };
        let mut found = Vec::new();
        let mut ring = 0;
        let rings = place
            .cell(DRIVER_RESOLUTION)
            .0
            .grid_disk_distances_fast(rings_within(radius_m));
        for (walked, step) in rings.enumerate() {
            // Near one of the twelve pentagons the walk breaks off; over an almost empty map it is not worth its while.
            let Some((cell, distance)) = step.filter(|_| walked <= state.free.len()) else {
                found.clear();
                let everybody = state.free.values().flatten();
                found.extend(
                    everybody
                        .filter(|id| wanted(**id))
                        .filter_map(|id| state.candidate(*id, &ask)),
                );
                break;
            };
            if distance > ring {
                ring = distance;
                let sure = found
                    .iter()
                    .filter(|near: &&Candidate| near.distance_m <= nearest_of_ring(ring))
                    .count();
                if sure >= limit {
                    break;
                }
            }
            let here = state.free.get(&cell).into_iter().flatten();
            found.extend(
                here.filter(|id| wanted(**id))
                    .filter_map(|id| state.candidate(*id, &ask)),
            );
        }
        found.sort_by(|a, b| {
            a.distance_m
                .total_cmp(&b.distance_m)
                .then(a.driver_id.cmp(&b.driver_id))
        });
        found.truncate(limit);
        found
    }

    /// Free drivers with a fresh position, and where they are.
    pub fn free(&self, now: UnixMs) -> Vec<(DriverId, LatLng)> {
        let (state, since) = (self.lock(), now + DurationMs(-self.max_age.0));
        let all = state.free.values().flatten();
        let placed = all.filter_map(|id| Some((*id, state.drivers.get(id)?.fix?)));
        let fresh = placed.filter(|(_, fix)| fix.at >= since);
        fresh.map(|(id, fix)| (id, fix.place)).collect()
    }

    /// How many are signed on.
    pub fn online(&self) -> usize {
        self.lock().drivers.len()
    }

    /// How many of them have something to do.
    pub fn busy(&self) -> usize {
        let state = self.lock();
        state.drivers.values().filter(|entry| entry.duty != Duty::Free).count()
    }

    /// The last position of a signed-on driver, fresh or not.
    pub fn position(&self, driver: DriverId) -> Option<Fix> {
        self.lock().drivers.get(&driver).and_then(|entry| entry.fix)
    }

    /// How many signed-on drivers have a fresh position, and the positions of at most `limit` of them: those with the
    /// lowest ids, so that a look a moment later shows the same drivers.
    pub fn positions(&self, now: UnixMs, limit: usize) -> (usize, Vec<DriverPosition>) {
        let since = now + DurationMs(-self.max_age.0);
        let mut found: Vec<_> = {
            let state = self.lock();
            let fresh = state.drivers.iter().filter_map(|(id, entry)| {
                let fix = entry.fix.filter(|fix| fix.at >= since)?;
                Some((*id, fix.place, entry.duty.clone()))
            });
            fresh.collect()
        };
        found.sort_by_key(|(id, _, _)| *id);
        let known = found.len();
        let coarse = |degrees: f64| (degrees * 1e4).round() / 1e4;
        let view = |(driver_id, place, duty): (DriverId, LatLng, Duty)| DriverPosition {
            driver_id,
            lat: coarse(place.lat()),
            lng: coarse(place.lng()),
            order_ids: match duty {
                Duty::Delivering(whose) => whose.iter().map(|(order_id, _)| *order_id).collect(),
                Duty::Free | Duty::Busy => Vec::new(),
            },
        };
        (known, found.into_iter().take(limit).map(view).collect())
    }

    fn plausible(&self, last: Option<&Fix>, fix: &Fix, now: UnixMs) -> bool {
        let known_well = fix
            .accuracy_m
            .is_none_or(|accuracy_m| (0.0..=ACCURACY_MAX_M).contains(&accuracy_m));
        if !known_well || fix.at > now + FUTURE_MAX {
            return false;
        }
        let Some(last) = last else { return true };
        let since = fix.at.min(now) - last.at;
        if since.0 <= 0 {
            return false;
        }
        let way_m = last.place.distance_m(&fix.place);
        // After a while without positions the last one proves nothing, and it may itself have been the wrong one.
        way_m <= JUMP_MIN_M || since > self.max_age || way_m / ms_f64(since) <= SPEED_MAX_KMH / 3_600.0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between `take` and `put` leaves at worst one driver without an entry.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, driver: DriverId) -> Option<Entry> {
        let entry = self.drivers.remove(&driver)?;
        if let Some(cell) = entry.free_at()
            && let Some(here) = self.free.get_mut(&cell)
        {
            here.retain(|id| *id != driver);
            if here.is_empty() {
                self.free.remove(&cell);
            }
        }
        Some(entry)
    }

    fn candidate(&self, driver_id: DriverId, ask: &Ask) -> Option<Candidate> {
        let fix = self.drivers.get(&driver_id)?.fix?;
        let distance_m = fix.place.distance_m(&ask.place);
        (fix.at >= ask.since && distance_m <= ask.radius_m).then_some(Candidate { driver_id, distance_m })
    }

    fn put(&mut self, driver: DriverId, entry: Entry) {
        if let Some(cell) = entry.free_at() {
            self.free.entry(cell).or_default().push(driver);
        }
        self.drivers.insert(driver, entry);
    }
}

/// What [`Fleet::near`] looks for.
struct Ask {
    place: LatLng,
    radius_m: f64,
    since: UnixMs,
}

impl Entry {
    fn free_at(&self) -> Option<CellIndex> {
        let fix = self.fix.filter(|_| self.duty == Duty::Free)?;
        Some(fix.place.cell(DRIVER_RESOLUTION).0)
    }
}

/// No place in ring `ring` is nearer than this to any place in the middle cell: rings are at least 1.5 edges apart, and
/// each of the two places may lie one edge off its cell's centre.
fn nearest_of_ring(ring: u32) -> f64 {
    EDGE_MIN_M * (1.5 * f64::from(ring) - 2.0)
}

/// The first ring that is wholly outside the radius, less one.
fn rings_within(radius_m: f64) -> u32 {
    // Far beyond the size of a region; bounds the numbers, not the walk, which ends when it is not worth its while.
    (0..1_000)
        .find(|ring| nearest_of_ring(ring + 1) > radius_m)
        .unwrap_or(1_000)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "differences of times of one day are far below 2^53 ms"
)]
fn ms_f64(span: DurationMs) -> f64 {
    span.0 as f64
}

#[cfg(test)]
mod tests;
