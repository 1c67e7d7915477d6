//! Finds the points near a point without looking at all of them.

use super::problem::Point;

/// Most cells along one side; bounds the memory of a map with far strays.
const SIDE_MAX: i64 = 256;

/// Points in square cells, about two to a cell.
pub(super) struct Grid {
    points: Vec<Point>,
    cells: Vec<Vec<u32>>,
    corner: Point,
    cell_m: f64,
    side: i64,
}

impl Grid {
    pub(super) fn new(points: Vec<Point>) -> Grid {
        let low = |value: fn(&Point) -> f64| points.iter().map(value).fold(f64::INFINITY, f64::min);
        let high = |value: fn(&Point) -> f64| points.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let corner = Point {
            x_m: low(|point| point.x_m),
            y_m: low(|point| point.y_m),
        };
        let width_m = (high(|point| point.x_m) - corner.x_m)
            .max(high(|point| point.y_m) - corner.y_m)
            .max(1.0);
        let side = (((points.len() as f64 / 2.0).sqrt() as i64) + 1).min(SIDE_MAX);
        let cells = vec![Vec::new(); (side * side) as usize];
        let mut grid = Grid {
            points,
            cells,
            corner,
            cell_m: width_m / side as f64 + 1e-6,
            side,
        };
        for index in 0..grid.points.len() {
            let (column, row) = grid.cell(grid.points[index]);
            grid.cells[(row * grid.side + column) as usize].push(index as u32);
        }
        grid
    }

    fn cell(&self, point: Point) -> (i64, i64) {
        let along = |from: f64, to: f64| (((to - from) / self.cell_m) as i64).clamp(0, self.side - 1);
        (along(self.corner.x_m, point.x_m), along(self.corner.y_m, point.y_m))
    }

    /// The `count` points nearest to `point` (all, if there are fewer), nearest first, ties by index. Exact up to the
    /// corners of the last ring of cells looked at.
    pub(super) fn around(&self, point: Point, count: usize) -> Vec<u32> {
        let (column, row) = self.cell(point);
        let mut found: Vec<(f64, u32)> = Vec::new();
        let mut last_ring = self.side;
        for ring in 0..=self.side {
            if ring > last_ring {
                break;
            }
            self.ring(column, row, ring, |index| {
                found.push((point.distance_m(self.points[index as usize]), index))
            });
            if found.len() >= count && last_ring == self.side {
                // The ring after may still hold nearer points than the corners of this one.
                last_ring = ring + 1;
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(count);
        found.into_iter().map(|(_, index)| index).collect()
    }

    fn ring(&self, column: i64, row: i64, ring: i64, mut visit: impl FnMut(u32)) {
        for y in (row - ring).max(0)..=(row + ring).min(self.side - 1) {
            let edge = (y - row).abs() == ring;
            let step = if edge || ring == 0 { 1 } else { 2 * ring };
            let mut x = column - ring;
            while x <= column + ring {
                if (0..self.side).contains(&x) {
                    for &index in &self.cells[(y * self.side + x) as usize] {
                        visit(index);
                    }
                }
                x += step;
            }
        }
    }
}
