//! Made-up instances of the MDRP's statistical shape, for cross-validation: two demand peaks, clustered restaurants,
//! gamma-like preparation times, shifts of 1.5 to 4 hours that follow demand only roughly.

use crate::engine::matching::Point;

use super::instance::{CourierRow, Instance, OrderRow, RestaurantRow};

/// What varies between instances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) orders: usize,
    /// Overall load: orders per courier-hour, 1.2 (slack) to 2.5 (overloaded at the peaks).
    pub(super) orders_per_courier_hour: f64,
    /// Side of the square city, metres.
    pub(super) side_m: f64,
    pub(super) m_per_min: f64,
    /// Factor on preparation times (1 or 1.25 in the MDRP).
    pub(super) prep_factor: f64,
}

/// The suite used for tuning: every third shape is small, loads and cities cycle with coprime periods.
pub(super) fn suite(count: usize) -> Vec<Shape> {
    (0..count)
        .map(|at| Shape {
            seed: at as u64 + 1,
            orders: [260, 420, 800, 330, 600][at % 5],
            orders_per_courier_hour: [1.4, 1.8, 2.2, 2.0, 1.6, 2.4, 1.9][at % 7],
            side_m: [9_000.0, 12_000.0, 25_000.0][at % 3],
            m_per_min: [320.0, 425.0][at % 2],
            prep_factor: [1.0, 1.0, 1.25, 1.25][at % 4],
        })
        .collect()
}

/// A fixed sequence (SplitMix64): the same shape gives the same instance on every machine.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, from twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Gamma with a whole-number shape: a sum of exponentials.
    fn gamma(&mut self, shape: usize, mean: f64) -> f64 {
        (0..shape).map(|_| -(1.0 - self.unit()).ln()).sum::<f64>() * mean / shape as f64
    }
}

/// Makes the instance of a shape.
pub(super) fn generate(shape: &Shape) -> Instance {
    let mut dice = Dice(shape.seed.wrapping_mul(7919));
    let restaurants = restaurants(shape, &mut dice);
    let orders = orders(shape, &restaurants, &mut dice);
    let couriers = couriers(shape, &orders, &restaurants, &mut dice);
    Instance {
        name: format!("synth{}", shape.seed),
        orders,
        couriers,
        restaurants: restaurants.into_iter().map(|(row, _)| row).collect(),
        m_per_min: shape.m_per_min,
        pickup_service_min: 4.0,
        dropoff_service_min: 4.0,
        max_ctd_min: 90.0,
        pay_per_order: 10.0,
        pay_per_hour: 15.0,
    }
}

/// Restaurants in three clusters plus strays, each with its mean preparation time.
fn restaurants(shape: &Shape, dice: &mut Dice) -> Vec<(RestaurantRow, f64)> {
    let count = (shape.orders as f64 / [2.7, 4.5, 6.0][shape.seed as usize % 3]) as usize;
    let centres: Vec<Point> = (0..3)
        .map(|_| Point {
            x_m: (0.25 + 0.5 * dice.unit()) * shape.side_m,
            y_m: (0.25 + 0.5 * dice.unit()) * shape.side_m,
        })
        .collect();
    (0..count)
        .map(|at| {
            let centre = centres[at % 3];
            let spread = if at % 4 == 0 { 0.25 } else { 0.1 } * shape.side_m;
            let place = Point {
                x_m: (centre.x_m + dice.normal() * spread).round(),
                y_m: (centre.y_m + dice.normal() * spread).round(),
            };
            let mean = shape.prep_factor * (17.0 + 5.0 * dice.normal()).clamp(7.0, 35.0);
            (
                RestaurantRow {
                    name: format!("r{}", at + 1),
                    at: place,
                },
                mean,
            )
        })
        .collect()
}

/// Share of a day's demand per hour from opening, lunch and dinner.
const DEMAND: [f64; 14] = [1.0, 4.0, 5.0, 5.0, 4.0, 3.0, 3.0, 6.0, 13.0, 15.0, 11.0, 6.0, 3.0, 1.0];

fn orders(shape: &Shape, restaurants: &[(RestaurantRow, f64)], dice: &mut Dice) -> Vec<OrderRow> {
    let total: f64 = DEMAND.iter().sum();
    (0..shape.orders)
        .map(|at| {
            let mut pick = dice.unit() * total;
            let hour = DEMAND.iter().position(|&share| {
                pick -= share;
                pick < 0.0
            });
            let placed_min = (hour.unwrap_or(0) as f64 * 60.0 + dice.unit() * 60.0) as i64;
            // Squaring prefers low indices: some restaurants are popular.
            let restaurant = (dice.unit().powf(2.5) * restaurants.len() as f64) as usize;
            let (row, mean) = &restaurants[restaurant];
            let reach_m = 7.5 * 320.0 * (0.35 + dice.gamma(4, 0.65));
            let angle = dice.unit() * std::f64::consts::TAU;
            OrderRow {
                name: format!("o{}", at + 1),
                at: Point {
                    x_m: (row.at.x_m + reach_m * angle.cos()).round(),
                    y_m: (row.at.y_m + reach_m * angle.sin()).round(),
                },
                placed_min,
                restaurant,
                ready_min: placed_min + dice.gamma(6, *mean) as i64,
            }
        })
        .collect()
}

/// Shifts until the courier hours are used up, started where demand is, with some noise.
fn couriers(
    shape: &Shape,
    orders: &[OrderRow],
    restaurants: &[(RestaurantRow, f64)],
    dice: &mut Dice,
) -> Vec<CourierRow> {
    let mut hours = shape.orders as f64 / shape.orders_per_courier_hour;
    let mut out = Vec::new();
    while hours > 0.0 {
        let order = &orders[(dice.unit() * orders.len() as f64) as usize];
        let length = [90, 120, 120, 150, 180, 180, 180, 240][(dice.unit() * 8.0) as usize];
        let middle = order.ready_min + (dice.normal() * 40.0) as i64;
        let on_min = ((middle - length / 2).max(0) + 15) / 30 * 30;
        let home = &restaurants[(dice.unit() * restaurants.len() as f64) as usize].0;
        out.push(CourierRow {
            name: format!("c{}", out.len() + 1),
            at: Point {
                x_m: (home.at.x_m + dice.normal() * 1_500.0).round(),
                y_m: (home.at.y_m + dice.normal() * 1_500.0).round(),
            },
            on_min,
            off_min: on_min + length,
        });
        hours -= length as f64 / 60.0;
    }
    out
}
