//! The plain Hungarian method on the dense matrix: the yardstick of a dispatch round, and an optimum to compare with
//! where every driver takes one order.

use tomato_node::engine::matching::{Problem, Ready};

/// Waiting of each order until pickup by each driver, ms: what the Hungarian minimises.
pub(crate) fn matrix(problem: &Problem) -> Vec<Vec<i64>> {
    problem
        .orders
        .iter()
        .map(|order| {
            let Ready::At(ready_ms) = order.ready else {
                unreachable!("the bench knows all ready times")
            };
            problem
                .drivers
                .iter()
                .map(|driver| {
                    let travel_ms = problem.travel.ms(driver.at, order.restaurant_at, problem.now_ms);
                    (driver.free_ms.max(problem.now_ms) + travel_ms + 120_000).max(ready_ms) - ready_ms
                })
                .collect()
        })
        .collect()
}

/// The column of each row at least cost; at least one row, rows <= columns. O(rows^2 x columns).
/// Source: Kuhn 1955 and Munkres 1957, with potentials.
pub(crate) fn hungarian(cost: &[Vec<i64>]) -> Vec<usize> {
    let (rows, columns) = (cost.len(), cost[0].len());
    let (mut row_price, mut column_price) = (vec![0i64; rows + 1], vec![0i64; columns + 1]);
    let mut row_of = vec![0usize; columns + 1];
    let mut way = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![i64::MAX; columns + 1];
        let mut used = vec![false; columns + 1];
        while row_of[column] != 0 {
            used[column] = true;
            let current = row_of[column];
            let (mut delta, mut next) = (i64::MAX, 0);
            for other in 1..=columns {
                if used[other] {
                    continue;
                }
                let reduced = cost[current - 1][other - 1] - row_price[current] - column_price[other];
                if reduced < least[other] {
                    least[other] = reduced;
                    way[other] = column;
                }
                if least[other] < delta {
                    delta = least[other];
                    next = other;
                }
            }
            for other in 0..=columns {
                if used[other] {
                    row_price[row_of[other]] += delta;
                    column_price[other] -= delta;
                } else {
                    least[other] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = way[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut out = vec![0; rows];
    for column in 1..=columns {
        if row_of[column] > 0 {
            out[row_of[column] - 1] = column - 1;
        }
    }
    out
}
