//! What a replay yields: every pickup with its deliveries. The check, the measures and the files rest on this alone.

/// One finished pickup with its deliveries. Minutes from the start of the day.
#[derive(Clone, Debug)]
pub struct Trip {
    /// Index of the courier.
    pub courier: usize,
    /// When the set of orders was last settled.
    pub assigned_min: i64,
    /// When the courier left for the restaurant.
    pub depart_min: i64,
    /// When the courier reached it.
    pub arrive_min: i64,
    /// When the food was taken.
    pub pickup_min: i64,
    /// Orders in the order of delivery with departure towards them and drop-off.
    pub stops: Vec<Stop>,
}

/// One delivery of a trip.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Index of the order.
    pub order: usize,
    /// When the courier left for this door.
    pub depart_min: i64,
    /// When the customer got it.
    pub dropoff_min: i64,
}

/// What a replay yields.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every pickup, in order of time.
    pub trips: Vec<Trip>,
    /// Rounds in which an order waited.
    pub cycles: usize,
    /// Wall ms of each cycle, in order.
    pub cycle_ms: Vec<f64>,
}
