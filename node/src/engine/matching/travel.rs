//! Travel times behind one struct: a router's table where it has the pair, else learned speeds, else straight line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::Point;

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_MINUTE: f64 = 60_000.0;

/// How long a driver needs from one point to another.
#[derive(Clone, Debug)]
pub struct Travel {
    /// Street metres per straight metre; 1 in the benchmark.
    pub detour_factor: f64,
    /// Metres per minute where nothing was learned.
    pub speed_m_per_min: f64,
    /// Rounds up to this many ms; 60,000 in the benchmark, 1 live.
    pub round_up_ms: i64,
    /// Learned from finished trips; empty when nothing has been learned.
    pub learned: LearnedSpeeds,
    /// Filled by an external router for the pairs it was asked about; wins over everything else.
    pub table: Arc<Table>,
}

/// Ways from one place to another, in ms.
pub type Table = BTreeMap<(TablePoint, TablePoint), i64>;

/// Places of a router's table are this far apart: near enough, and a driver under way is not a new place every second.
const TABLE_STEP_M: f64 = 100.0;

/// A point rounded to `TABLE_STEP_M`, the key of a router's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TablePoint(pub i64, pub i64);

impl Default for Travel {
    /// About 19 km/h over a third more than the straight line.
    fn default() -> Travel {
        Travel {
            detour_factor: 1.35,
            ..Travel::straight(320.0, 1)
        }
    }
}

impl From<Point> for TablePoint {
    fn from(point: Point) -> TablePoint {
        let step = |m: f64| (m / TABLE_STEP_M).round() as i64;
        TablePoint(step(point.x_m), step(point.y_m))
    }
}

impl Travel {
    /// The benchmark's rule: ceil(Euclid / speed) whole minutes.
    pub fn straight(speed_m_per_min: f64, round_up_ms: i64) -> Travel {
        Travel {
            detour_factor: 1.0,
            speed_m_per_min,
            round_up_ms,
            learned: LearnedSpeeds::default(),
            table: Arc::default(),
        }
    }

    /// Ms from `from` to `to` for a departure at `at_ms`. Never negative; 0 for the same point.
    pub fn ms(&self, from: Point, to: Point, at_ms: i64) -> i64 {
        if !self.table.is_empty()
            && let Some(&ms) = self.table.get(&(from.into(), to.into()))
        {
            return ms;
        }
        let speed = self.learned.speed(from, at_ms).unwrap_or(self.speed_m_per_min);
        let ms = from.distance_m(to) * self.detour_factor / speed * MS_PER_MINUTE;
        let step = self.round_up_ms.max(1);
        // A hair is taken off first: 2.0000000001 minutes must not become three.
        // Rounding up by truncation: `ceil` is a library call on the oldest x86-64, and this is the hottest line there is.
        let steps = ms / step as f64 - 1e-9;
        let whole = steps as i64;
        (whole + i64::from(steps > whole as f64)) * step
    }
}

/// Mean speeds per square cell and hour of day, shrunk towards the default by `prior_trips`.
#[derive(Clone, Debug, Default)]
pub struct LearnedSpeeds {
    /// Side of a cell.
    pub cell_m: f64,
    /// How many trips of ten minutes the prior counts as.
    pub prior_trips: f64,
    /// Speed before anything was seen, metres per minute.
    pub prior_m_per_min: f64,
    trips: BTreeMap<(i64, i64, i64), (f64, f64)>,
}

impl LearnedSpeeds {
    /// Empty model. `cell_m`: side of a cell in metres; `prior_m_per_min` counts as `prior_trips` observed trips.
    pub fn new(cell_m: f64, prior_m_per_min: f64, prior_trips: f64) -> LearnedSpeeds {
        LearnedSpeeds {
            cell_m,
            prior_trips,
            prior_m_per_min,
            trips: BTreeMap::new(),
        }
    }

    fn key(&self, from: Point, at_ms: i64) -> (i64, i64, i64) {
        let hour = at_ms.div_euclid(MS_PER_HOUR).rem_euclid(24);
        (
            (from.x_m / self.cell_m).floor() as i64,
            (from.y_m / self.cell_m).floor() as i64,
            hour,
        )
    }

    /// Notes a finished leg: straight metres and the ms it took.
    pub fn observe(&mut self, from: Point, to: Point, at_ms: i64, took_ms: i64) {
        let key = self.key(from, at_ms);
        let sums = self.trips.entry(key).or_insert((0.0, 0.0));
        sums.0 += from.distance_m(to);
        sums.1 += took_ms as f64 / MS_PER_MINUTE;
    }

    /// Metres per minute in the cell and hour of departure; `None` when the model is empty.
    pub fn speed(&self, from: Point, at_ms: i64) -> Option<f64> {
        if self.trips.is_empty() {
            return None;
        }
        let (metres, minutes) = self.trips.get(&self.key(from, at_ms)).copied().unwrap_or((0.0, 0.0));
        // The prior counts as trips of ten minutes each.
        let prior_minutes = self.prior_trips * 10.0;
        Some((metres + prior_minutes * self.prior_m_per_min) / (minutes + prior_minutes))
    }
}
