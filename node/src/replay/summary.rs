//! The measures of one replay and of a suite of them.

use super::instance::Instance;
use super::outcome::Outcome;

/// Measures as dispatch.md defines them; minutes unless the name says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Name of the instance, or what the means are over.
    pub instance: String,
    /// All orders.
    pub orders: usize,
    /// Orders delivered.
    pub delivered: usize,
    /// Orders ready only after the last courier's shift.
    pub impossible: usize,
    /// Undelivered orders less the impossible ones; negative when an order counted impossible was delivered.
    pub undelivered_beyond: i64,
    /// Click to door, minutes, delivered orders.
    pub ctd_mean: f64,
    /// Its 90th percentile over all orders, an undelivered one at the limit.
    pub ctd_p90: f64,
    /// Ready to pickup, minutes.
    pub rtp_mean: f64,
    /// Its 90th percentile.
    pub rtp_p90: f64,
    /// Ready to door, minutes.
    pub rtd_mean: f64,
    /// Click to door over all orders, an undelivered one at the limit.
    pub pctd: f64,
    /// What no dispatcher can beat.
    pub floor: f64,
    /// Share of all orders above 40 min.
    pub share_over_40: f64,
    /// Delivered orders per hour of shift.
    pub orders_per_courier_hour: f64,
    /// Pay over delivered orders.
    pub cost_per_order: f64,
    /// Rounds in which an order waited.
    pub cycles: usize,
    /// Wall ms of a round, 99th percentile; over a suite the largest.
    pub cycle_ms_p99: f64,
    /// Orders per pickup.
    pub orders_per_trip: f64,
    /// Delivered orders beyond the limit.
    pub over_limit: usize,
    /// The longest click to door.
    pub ctd_max: f64,
}

/// p-th percentile by linear interpolation between the ranks around it (numpy's default); 0 for an empty list.
pub fn percentile(values: &mut [f64], p: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let rank = p * (values.len() - 1) as f64;
    let low = rank.floor() as usize;
    let high = (low + 1).min(values.len() - 1);
    values[low] + (values[high] - values[low]) * (rank - low as f64)
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// Measures one outcome.
pub fn summarise(instance: &Instance, outcome: &Outcome) -> Summary {
    let (mut ctd, mut rtp, mut rtd) = (Vec::new(), Vec::new(), Vec::new());
    let mut served = vec![0usize; instance.couriers.len()];
    for trip in &outcome.trips {
        for stop in &trip.stops {
            let order = &instance.orders[stop.order];
            ctd.push((stop.dropoff_min - order.placed_min) as f64);
            rtp.push((trip.pickup_min - order.ready_min) as f64);
            rtd.push((stop.dropoff_min - order.ready_min) as f64);
            served[trip.courier] += 1;
        }
    }
    let orders = instance.orders.len();
    let delivered = ctd.len();
    let undelivered = orders - delivered;
    let mut with_lost = ctd.clone();
    with_lost.extend(std::iter::repeat_n(instance.max_ctd_min, undelivered));
    let hours = |index: usize| (instance.couriers[index].off_min - instance.couriers[index].on_min) as f64 / 60.0;
    let pay: f64 = (0..served.len())
        .map(|index| (instance.pay_per_order * served[index] as f64).max(instance.pay_per_hour * hours(index)))
        .sum();
    let impossible = instance
        .orders
        .iter()
        .filter(|order| instance.impossible(order))
        .count();
    Summary {
        instance: instance.name.clone(),
        orders,
        delivered,
        impossible,
        undelivered_beyond: undelivered as i64 - impossible as i64,
        ctd_mean: mean(&ctd),
        pctd: mean(&with_lost),
        over_limit: ctd.iter().filter(|&&value| value > instance.max_ctd_min).count(),
        ctd_max: ctd.iter().copied().fold(0.0, f64::max),
        share_over_40: with_lost.iter().filter(|&&value| value > 40.0).count() as f64 / orders.max(1) as f64,
        ctd_p90: percentile(&mut with_lost, 0.9),
        rtp_mean: mean(&rtp),
        rtp_p90: percentile(&mut rtp, 0.9),
        rtd_mean: mean(&rtd),
        floor: mean(
            &instance
                .orders
                .iter()
                .map(|order| instance.floor_min(order))
                .collect::<Vec<_>>(),
        ),
        orders_per_courier_hour: delivered as f64 / (0..served.len()).map(hours).sum::<f64>().max(1e-9),
        cost_per_order: pay / delivered.max(1) as f64,
        cycles: outcome.cycles,
        cycle_ms_p99: percentile(&mut outcome.cycle_ms.clone(), 0.99),
        orders_per_trip: delivered as f64 / outcome.trips.len().max(1) as f64,
    }
}

/// Plain means over instances; counts are summed.
pub fn suite(rows: &[Summary]) -> Summary {
    let of = |field: fn(&Summary) -> f64| mean(&rows.iter().map(field).collect::<Vec<_>>());
    Summary {
        instance: format!("suite of {}", rows.len()),
        orders: rows.iter().map(|row| row.orders).sum(),
        delivered: rows.iter().map(|row| row.delivered).sum(),
        impossible: rows.iter().map(|row| row.impossible).sum(),
        undelivered_beyond: rows.iter().map(|row| row.undelivered_beyond).sum(),
        ctd_mean: of(|row| row.ctd_mean),
        ctd_p90: of(|row| row.ctd_p90),
        rtp_mean: of(|row| row.rtp_mean),
        rtp_p90: of(|row| row.rtp_p90),
        rtd_mean: of(|row| row.rtd_mean),
        pctd: of(|row| row.pctd),
        floor: of(|row| row.floor),
        share_over_40: of(|row| row.share_over_40),
        orders_per_courier_hour: of(|row| row.orders_per_courier_hour),
        cost_per_order: of(|row| row.cost_per_order),
        cycles: rows.iter().map(|row| row.cycles).sum(),
        cycle_ms_p99: rows.iter().map(|row| row.cycle_ms_p99).fold(0.0, f64::max),
        orders_per_trip: of(|row| row.orders_per_trip),
        over_limit: rows.iter().map(|row| row.over_limit).sum(),
        ctd_max: rows.iter().map(|row| row.ctd_max).fold(0.0, f64::max),
    }
}

/// One line of a table.
pub fn line(row: &Summary) -> String {
    format!(
        "{:16} {:5} {:6.2} {:6.2} {:6.1} {:5.2} {:5.3} {:3} {:4} {:6.2} {:5.2} {:4.2} {:5.0} {:7.2}",
        row.instance,
        row.orders,
        row.pctd,
        row.floor,
        row.ctd_p90,
        row.rtp_mean,
        row.share_over_40,
        row.undelivered_beyond,
        row.over_limit,
        row.cost_per_order,
        row.orders_per_courier_hour,
        row.orders_per_trip,
        row.ctd_max,
        row.cycle_ms_p99
    )
}

/// Heads the lines of [`line()`]: `und` undelivered beyond the impossible, `late` delivered beyond the limit, `o/ch` orders
/// per courier-hour, `o/tr` orders per trip, `max` the longest click to door.
pub const HEAD: &str =
    "instance        orders  pCtD   floor   p90    RtP  >40  und late  cost  o/ch  o/tr  max  p99 ms";
