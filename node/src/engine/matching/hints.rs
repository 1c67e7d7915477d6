//! Where idle drivers should wait: cells in which orders will come sooner than drivers.

use super::problem::Point;
use super::search::Search;
use tomato_shared::id::DriverId;

/// Orders expected around a point until `Config::horizon_ms` from now, in thousandths; from the node's own history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Middle of the cell.
    pub at: Point,
    /// Expected orders, per mille.
    pub orders_permille: i64,
}

/// Suggests that an idle driver waits elsewhere. Never binding; the benchmark's rules allow none.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Who may go.
    pub driver: DriverId,
    /// Where to.
    pub to: Point,
    /// Expected orders there beyond what the drivers there can take, per mille.
    pub shortage_permille: i64,
    /// One line for the dispatch board.
    pub why: String,
}

/// At most one hint per idle driver without a planned trip. Largest shortage first, nearest driver first, ties by id.
/// A driver counts for the demand point nearest to where the driver will be free before the horizon.
pub(super) fn hints(search: &Search) -> Vec<Hint> {
    let work = search.work;
    let demand = &work.problem.demand;
    if demand.is_empty() {
        return Vec::new();
    }
    let end_ms = work.now_ms + work.config.horizon_ms;
    let mut short: Vec<i64> = demand.iter().map(|cell| cell.orders_permille).collect();
    let mut idle: Vec<(usize, usize)> = Vec::new();
    for (index, cab) in work.cabs.iter().enumerate() {
        let (free_ms, at) = work.end(index, &search.schedules[index]);
        if free_ms < end_ms && cab.shift_end_ms > free_ms {
            let cell = nearest_cell(demand, at);
            short[cell] -= 1000;
            if cab.bound.is_none() && cab.free_ms <= work.now_ms && search.schedules[index].trips().is_empty() {
                idle.push((index, cell));
            }
        }
    }
    let mut out = Vec::new();
    while let Some((cell, &shortage)) = short
        .iter()
        .enumerate()
        .max_by_key(|&(at, &value)| (value, std::cmp::Reverse(at)))
        && shortage >= work.config.hint_shortage_permille
    {
        let to = demand[cell].at;
        let found = idle
            .iter()
            .enumerate()
            // Nobody is called away from where the need is as great.
            .filter(|(_, (_, home))| *home != cell && short[*home] + 1000 <= 0)
            .map(|(place, &(cab, _))| (work.travel_ms(work.cabs[cab].at, to), cab, place))
            .filter(|&(travel_ms, _, _)| travel_ms <= work.config.hint_travel_ms_max)
            .min();
        let Some((travel_ms, cab, place)) = found else {
            short[cell] = 0;
            continue;
        };
        let (_, home) = idle.remove(place);
        short[home] += 1000;
        short[cell] -= 1000;
        out.push(Hint {
            driver: work.cabs[cab].id,
            to,
            shortage_permille: shortage,
            why: format!(
                "{:.1} orders more than drivers expected there; {} min away",
                shortage as f64 / 1000.0,
                travel_ms / 60_000
            ),
        });
    }
    out
}

fn nearest_cell(demand: &[Demand], at: Point) -> usize {
    let near = demand.iter().enumerate().min_by(|a, b| {
        a.1.at
            .distance_m(at)
            .total_cmp(&b.1.at.distance_m(at))
            .then(a.0.cmp(&b.0))
    });
    near.map_or(0, |(index, _)| index)
}
