//! Instances of the Meal Delivery Routing Problem (Reyes et al. 2018): real orders, restaurants and courier shifts of a
//! day, in metres and whole minutes. Read from a directory; nothing of them is kept in this project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tomato_shared::cell::{CellSet, LatLng};

/// An order of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub name: String,
    pub at: Metres,
    pub placement_min: i64,
    pub restaurant: String,
    pub ready_min: i64,
}

/// A driver's shift (a courier, in the words of the instances).
#[derive(Debug, Clone, PartialEq)]
pub struct Courier {
    pub name: String,
    pub at: Metres,
    pub on_min: i64,
    pub off_min: i64,
}

/// A restaurant.
#[derive(Debug, Clone, PartialEq)]
pub struct Restaurant {
    pub name: String,
    pub at: Metres,
}

/// A place in metres from the instance's reference point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metres {
    pub east: f64,
    pub north: f64,
}

/// A day.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub name: String,
    pub orders: Vec<Order>,
    pub couriers: Vec<Courier>,
    pub restaurants: Vec<Restaurant>,
    pub metres_per_min: f64,
    pub pickup_min: i64,
    pub dropoff_min: i64,
}

impl Instance {
    /// Reads the four files of a directory. The error names file and line.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let table = |file: &str, columns: usize| Table::read(&folder.join(file), columns);
        let orders = table("orders.txt", 6)?.rows(|row| {
            Ok(Order {
                name: row.text(0),
                at: row.place(1)?,
                placement_min: row.number(3)?,
                restaurant: row.text(4),
                ready_min: row.number(5)?,
            })
        })?;
        let couriers = table("couriers.txt", 5)?.rows(|row| {
            Ok(Courier {
                name: row.text(0),
                at: row.place(1)?,
                on_min: row.number(3)?,
                off_min: row.number(4)?,
            })
        })?;
        let restaurants = table("restaurants.txt", 3)?.rows(|row| {
            Ok(Restaurant {
                name: row.text(0),
                at: row.place(1)?,
            })
        })?;
        let parameters = table("instance_parameters.txt", 7)?
            .rows(|row| Ok((row.number::<f64>(0)?, row.number::<i64>(1)?, row.number::<i64>(2)?)))?;
        let &(metres_per_min, pickup_min, dropoff_min) = parameters
            .first()
            .ok_or("instance_parameters.txt: holds no line of parameters")?;
        let instance = Self {
            name,
            orders,
            couriers,
            restaurants,
            metres_per_min,
            pickup_min,
            dropoff_min,
        };
        instance.check()?;
        Ok(instance)
    }

    fn check(&self) -> Result<(), String> {
        let known: BTreeSet<_> = self.restaurants.iter().map(|restaurant| &restaurant.name).collect();
        if let Some(lost) = self.orders.iter().find(|order| !known.contains(&order.restaurant)) {
            return Err(format!(
                "orders.txt: {} is of {}, which is not in restaurants.txt",
                lost.name, lost.restaurant
            ));
        }
        if self.orders.is_empty() || self.metres_per_min <= 0.0 {
            return Err("an instance needs orders and a speed above zero".to_owned());
        }
        Ok(())
    }

    /// The minute at which the first thing happens, and the last at which one is planned.
    pub fn span_min(&self) -> (i64, i64) {
        let starts = self.orders.iter().map(|order| order.placement_min);
        let ends = self.orders.iter().map(|order| order.ready_min);
        let first = starts.chain(self.couriers.iter().map(|courier| courier.on_min)).min();
        let last = ends.chain(self.couriers.iter().map(|courier| courier.off_min)).max();
        (first.unwrap_or(0), last.unwrap_or(0))
    }

    /// Orders in the order of their placement.
    pub fn by_placement(&self) -> Vec<&Order> {
        let mut orders: Vec<_> = self.orders.iter().collect();
        orders.sort_by(|a, b| (a.placement_min, &a.name).cmp(&(b.placement_min, &b.name)));
        orders
    }

    /// The least possible minutes from click to door: cooking, both halves of service, the way.
    pub fn floor_min(&self, order: &Order) -> i64 {
        let restaurant = self
            .restaurants
            .iter()
            .find(|restaurant| restaurant.name == order.restaurant);
        let way = restaurant.map_or(0.0, |restaurant| {
            ((restaurant.at.east - order.at.east).hypot(restaurant.at.north - order.at.north) / self.metres_per_min)
                .ceil()
        });
        let service = (self.pickup_min - self.pickup_min / 2) + self.dropoff_min / 2;
        order.ready_min - order.placement_min + service + way as i64
    }
}

/// Lays an instance around a city's centre.
#[derive(Debug, Clone)]
pub struct Projection {
    centre: LatLng,
    middle: Metres,
    /// East-west and north-south extent of the instance, in metres.
    pub extent_m: (f64, f64),
    /// Rings of cells around the centre that hold every place of the instance.
    pub rings: u32,
}

impl Projection {
    /// The middle of the instance comes to lie on `centre`; `rings` is the least that holds everything.
    pub fn around(centre: LatLng, instance: &Instance) -> Self {
        let places = || {
            let orders = instance.orders.iter().map(|order| order.at);
            let couriers = instance.couriers.iter().map(|courier| courier.at);
            orders
                .chain(couriers)
                .chain(instance.restaurants.iter().map(|restaurant| restaurant.at))
        };
        let range = |axis: fn(Metres) -> f64| {
            let (low, high) = (
                places().map(axis).fold(f64::MAX, f64::min),
                places().map(axis).fold(f64::MIN, f64::max),
            );
            ((low + high) / 2.0, high - low)
        };
        let ((east, width), (north, height)) = (range(|at| at.east), range(|at| at.north));
        let mut projection = Self {
            centre,
            middle: Metres { east, north },
            extent_m: (width, height),
            rings: 0,
        };
        let holds = |rings| {
            let cells = CellSet::disk(centre, rings);
            places().all(|at| cells.contains(&projection.place(at)))
        };
        // Far beyond any city; a larger instance would not be one.
        let rings = (0..60).find(|rings| holds(*rings)).unwrap_or(60);
        projection.rings = rings;
        projection
    }

    /// Where a place of the instance lies on earth.
    pub fn place(&self, at: Metres) -> LatLng {
        self.centre
            .offset_m(at.east - self.middle.east, at.north - self.middle.north)
    }
}

struct Table {
    file: String,
    lines: Vec<Vec<String>>,
}

struct Row<'a> {
    file: &'a str,
    line: usize,
    cells: &'a [String],
}

impl Table {
    fn read(path: &Path, columns: usize) -> Result<Self, String> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
        let mut lines = Vec::new();
        for (number, line) in text
            .lines()
            .enumerate()
            .skip(1)
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let cells: Vec<String> = line.split('\t').map(|cell| cell.trim().to_owned()).collect();
            if cells.len() < columns {
                return Err(format!(
                    "{file}, line {}: {} columns, want {columns}",
                    number + 1,
                    cells.len()
                ));
            }
            lines.push(cells);
        }
        Ok(Self { file, lines })
    }

    fn rows<T>(&self, read: impl Fn(&Row<'_>) -> Result<T, String>) -> Result<Vec<T>, String> {
        let rows = self.lines.iter().enumerate().map(|(index, cells)| Row {
            file: &self.file,
            line: index + 2,
            cells,
        });
        rows.map(|row| read(&row)).collect()
    }
}

impl Row<'_> {
    fn text(&self, column: usize) -> String {
        self.cells[column].clone()
    }

    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, String> {
        let cell = &self.cells[column];
        cell.parse()
            .map_err(|_| format!("{}, line {}: {cell:?} is not a number", self.file, self.line))
    }

    fn place(&self, column: usize) -> Result<Metres, String> {
        Ok(Metres {
            east: self.number(column)?,
            north: self.number(column + 1)?,
        })
    }
}

/// Mean, 90th percentile and so on of minutes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
}

impl Spread {
    /// Of values; `None` without any.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.max(1) - 1).copied()
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self {
            mean,
            p50: at(0.5)?,
            p90: at(0.9)?,
        })
    }
}

/// Counts words.
pub fn tally(words: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
