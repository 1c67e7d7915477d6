//! What one dispatch round is told. All times are ms since the epoch, all points planar metres.

use super::hints::Demand;
use super::travel::Travel;
use tomato_shared::id::{DriverId, OrderId, RestaurantId};

/// A place on the plane; the caller projects (region centre, metres east and north).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Metres east of the region's centre.
    pub x_m: f64,
    /// Metres north of it.
    pub y_m: f64,
}

impl Point {
    /// Straight-line metres.
    pub fn distance_m(self, to: Point) -> f64 {
        let (dx_m, dy_m) = (self.x_m - to.x_m, self.y_m - to.y_m);
        (dx_m * dx_m + dy_m * dy_m).sqrt()
    }
}

/// When an order can be picked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Ready {
    /// Known exactly: the restaurant has said so, or the food stands there already (then `ready_ms <= now_ms`).
    At(i64),
    /// Not known: equally likely moments, ascending, none before now. See `prep::PrepModel::remaining`.
    Likely(Vec<i64>),
}

/// An order that nobody has picked up yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its id; of several with one id the first counts.
    pub id: OrderId,
    /// Who makes it.
    pub restaurant: RestaurantId,
    /// Where it is made.
    pub restaurant_at: Point,
    /// Where it goes.
    pub customer_at: Point,
    /// When the customer placed it; its waiting counts from here.
    pub placed_ms: i64,
    /// When it can be picked up, as far as is known.
    pub ready: Ready,
    /// Drivers who must not get this order (refused it, let the offer expire, barred by restaurant or customer).
    pub excluded: Vec<DriverId>,
}

/// What a driver is bound to before the next free moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// Nothing that can change: free at `free_ms`, at `at` (a driver on delivery is free after the last drop-off).
    None,
    /// On the way to, or waiting at, a restaurant. The set of orders may still change, the restaurant may not.
    Pickup {
        /// Where to.
        restaurant: RestaurantId,
        /// When the driver was sent: the set always keeps an order that was placed by then.
        sent_ms: i64,
        /// Expected or actual arrival.
        arrive_ms: i64,
        /// What the driver is to fetch, in the order of delivery.
        orders: Vec<OrderId>,
    },
}

/// A driver on shift, or one whose shift starts soon.
#[derive(Clone, Debug, PartialEq)]
pub struct Driver {
    /// Their id; of several with one id the first counts.
    pub id: DriverId,
    /// Where the driver is at `free_ms`; the restaurant while bound to a pickup.
    pub at: Point,
    /// When the driver can next leave for a restaurant; in the past means idle, in the future busy or not yet on shift.
    pub free_ms: i64,
    /// No pickup after this moment.
    pub shift_end_ms: i64,
    /// What binds them until then.
    pub duty: Duty,
    /// Probability that an offer is refused or expires, 0..=1000.
    pub refusal_permille: i64,
}

/// A trip a round had in mind for a driver; several per driver, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tentative {
    /// Who would go.
    pub driver: DriverId,
    /// What for, in the order of delivery.
    pub orders: Vec<OrderId>,
}

/// Everything one round needs.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// The moment of the round.
    pub now_ms: i64,
    /// Everything not picked up yet.
    pub orders: Vec<Order>,
    /// Everyone on shift, and who will be within the hour.
    pub drivers: Vec<Driver>,
    /// What the last round had in mind beyond its commitments (`Plan::tentative`); a warm start, never binding.
    pub tentative: Vec<Tentative>,
    /// Expected orders per place, for hints only; may be empty.
    pub demand: Vec<Demand>,
    /// How long ways take.
    pub travel: Travel,
}
