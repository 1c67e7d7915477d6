//! How long a restaurant takes: learned from its own finished orders, against what it promised, with a spread, and what is
//! left for an order that has waited some time already.

use std::collections::BTreeMap;

use tomato_shared::id::RestaurantId;

const MS_PER_HOUR: i64 = 3_600_000;
/// Ratio of actual to expected preparation is kept in bins of a tenth, up to five times the mean.
const BINS: usize = 50;
const BIN_WIDTH: f64 = 0.1;
/// Moments handed to the planner.
const MOMENTS: usize = 15;

/// What is believed before anything has been seen.
#[derive(Clone, Debug)]
pub struct PrepPrior {
    /// A usual preparation, ms: what the orders below are counted in, and the promise where nobody promises.
    pub mean_ms: f64,
    /// How many orders the prior mean counts as, for the region.
    pub region_orders: f64,
    /// How many orders the region's mean counts as, for a restaurant.
    pub restaurant_orders: f64,
    /// How many orders a restaurant's mean counts as, for one of its hours.
    pub hour_orders: f64,
    /// Standard deviation over mean, of a gamma distribution.
    pub spread: f64,
    /// How many orders this shape counts as.
    pub spread_orders: f64,
}

impl Default for PrepPrior {
    /// Counts follow from the usual ratio of variance within to variance between restaurants, about 4 to 1.
    fn default() -> PrepPrior {
        PrepPrior {
            mean_ms: 17.0 * 60_000.0,
            region_orders: 30.0,
            restaurant_orders: 4.0,
            hour_orders: 20.0,
            spread: 0.5,
            spread_orders: 100.0,
        }
    }
}

/// Sums of promised and of actual preparation times, ms.
type Sum = (f64, f64);

/// Preparation times of one region's restaurants.
#[derive(Clone, Debug)]
pub struct PrepModel {
    prior: PrepPrior,
    region: Sum,
    restaurants: BTreeMap<RestaurantId, Sum>,
    hours: BTreeMap<(RestaurantId, i64), Sum>,
    /// Weight per ratio bin.
    shape: [f64; BINS],
}

impl PrepModel {
    /// A model that has seen nothing.
    pub fn new(prior: PrepPrior) -> PrepModel {
        let shape = gamma_bins(prior.spread, prior.spread_orders);
        PrepModel {
            prior,
            region: (0.0, 0.0),
            restaurants: BTreeMap::new(),
            hours: BTreeMap::new(),
            shape,
        }
    }

    /// Notes a finished preparation. To stay unbiased the caller reports orders some fixed time after placement (an
    /// hour, say), not as they get ready: the quick ones get ready first.
    ///
    /// `promised_ms`: how long the restaurant said it would take; a constant where it says nothing.
    pub fn observe(&mut self, restaurant: RestaurantId, placed_ms: i64, promised_ms: i64, ready_ms: i64) {
        let took_ms = (ready_ms - placed_ms).max(0) as f64;
        let ratio = took_ms / self.mean_ms(restaurant, placed_ms, promised_ms).max(1.0);
        let bin = ((ratio / BIN_WIDTH) as usize).min(BINS - 1);
        self.shape[bin] += 1.0;
        let hour = hour_of(placed_ms);
        for sum in [
            &mut self.region,
            self.restaurants.entry(restaurant).or_insert((0.0, 0.0)),
            self.hours.entry((restaurant, hour)).or_insert((0.0, 0.0)),
        ] {
            sum.0 += promised(promised_ms);
            sum.1 += took_ms;
        }
    }

    /// Forgets the observed spread; the prior's shape holds again.
    pub fn reset_shape(&mut self) {
        self.shape = gamma_bins(self.prior.spread, self.prior.spread_orders);
    }

    /// Expected preparation in ms for an order placed at `placed_ms`: what was promised, times by how much the restaurant
    /// misses its promises at that hour.
    pub fn mean_ms(&self, restaurant: RestaurantId, placed_ms: i64, promised_ms: i64) -> f64 {
        let prior = &self.prior;
        let shrink = |sum, towards, orders| shrink(sum, towards, orders * prior.mean_ms);
        let region = shrink(self.region, 1.0, prior.region_orders);
        let own = self.restaurants.get(&restaurant).copied().unwrap_or((0.0, 0.0));
        let own = shrink(own, region, prior.restaurant_orders);
        let hour = self
            .hours
            .get(&(restaurant, hour_of(placed_ms)))
            .copied()
            .unwrap_or((0.0, 0.0));
        promised(promised_ms) * shrink(hour, own, prior.hour_orders)
    }

    /// Equally likely moments, ascending, at which an order that is not ready at `now_ms` will be. Never empty, none
    /// before `now_ms`. Source: the empirical distribution of actual over expected time, cut at the time elapsed.
    pub fn remaining(&self, restaurant: RestaurantId, placed_ms: i64, promised_ms: i64, now_ms: i64) -> Vec<i64> {
        let mean_ms = self.mean_ms(restaurant, placed_ms, promised_ms);
        let elapsed = (now_ms - placed_ms).max(0) as f64 / mean_ms.max(1.0);
        // A thin exponential tail goes on past the last bin: an order may take longer than any before.
        let tail = self.shape.iter().sum::<f64>() * 0.002;
        let mut pieces: Vec<(f64, f64)> = Vec::with_capacity(BINS + 8);
        for (bin, &weight) in self.shape.iter().enumerate() {
            let (low, high) = (bin as f64 * BIN_WIDTH, (bin + 1) as f64 * BIN_WIDTH);
            if high > elapsed && weight > 0.0 {
                let from = low.max(elapsed);
                pieces.push(((from + high) / 2.0, weight * (high - from) / BIN_WIDTH));
            }
        }
        let start = elapsed.max(BIN_WIDTH);
        for step in 0..6 {
            pieces.push((start + 0.1 + 0.15 * step as f64, tail / 6.0));
        }
        pieces.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = pieces.iter().map(|piece| piece.1).sum();
        let mut moments = Vec::with_capacity(MOMENTS);
        let (mut seen, mut at) = (0.0, 0);
        for moment in 0..MOMENTS {
            let wanted = total * (moment as f64 + 0.5) / MOMENTS as f64;
            while at + 1 < pieces.len() && seen + pieces[at].1 < wanted {
                seen += pieces[at].1;
                at += 1;
            }
            moments.push((placed_ms + (pieces[at].0 * mean_ms) as i64).max(now_ms));
        }
        moments
    }
}

fn shrink(sum: Sum, towards: f64, weight_ms: f64) -> f64 {
    (sum.1 + towards * weight_ms) / (sum.0 + weight_ms)
}

/// A minute at least, so that ratios stay finite.
fn promised(ms: i64) -> f64 {
    ms.max(60_000) as f64
}

fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(MS_PER_HOUR).rem_euclid(24)
}

/// A gamma-shaped prior over the ratio bins: mean 1, standard deviation `spread`, total weight `orders`.
fn gamma_bins(spread: f64, orders: f64) -> [f64; BINS] {
    let shape = 1.0 / (spread * spread).max(0.01);
    let mut bins = [0.0; BINS];
    for (bin, weight) in bins.iter_mut().enumerate() {
        let x = (bin as f64 + 0.5) * BIN_WIDTH;
        *weight = ((shape - 1.0) * x.ln() - shape * (x - 1.0)).exp();
    }
    let total: f64 = bins.iter().sum();
    bins.map(|weight| weight * orders / total)
}
