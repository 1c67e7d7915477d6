//! An MDRP instance: four tab-separated files of one directory (grubhub/mdrplib; Reyes et al. 2018).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::ReplayError;
use crate::engine::matching::Point;

/// An order as the files tell it. Minutes from the start of the day.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// As the files and the solution call it.
    pub name: String,
    /// The customer's door.
    pub at: Point,
    /// When it was placed; before that nobody knows of it.
    pub placed_min: i64,
    /// Index of its restaurant.
    pub restaurant: usize,
    /// From when on it can be picked up.
    pub ready_min: i64,
}

/// A courier's shift. Minutes from the start of the day.
#[derive(Clone, Debug)]
pub struct CourierRow {
    /// As the files and the solution call them.
    pub name: String,
    /// Where the shift begins.
    pub at: Point,
    /// First minute of the shift.
    pub on_min: i64,
    /// No pickup after this minute.
    pub off_min: i64,
}

/// A restaurant.
#[derive(Clone, Debug)]
pub struct RestaurantRow {
    /// As the files and the solution call it.
    pub name: String,
    /// Where it is.
    pub at: Point,
}

/// One instance. Service minutes are the whole stop: half before, half after the event.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The name of its directory.
    pub name: String,
    /// In the order of the file.
    pub orders: Vec<OrderRow>,
    /// In the order of the file.
    pub couriers: Vec<CourierRow>,
    /// In the order of the file.
    pub restaurants: Vec<RestaurantRow>,
    /// Speed of every courier.
    pub m_per_min: f64,
    /// The whole stop at a restaurant.
    pub pickup_service_min: f64,
    /// The whole stop at a door.
    pub dropoff_service_min: f64,
    /// What an order that is not delivered counts as.
    pub max_ctd_min: f64,
    /// Pay of a courier per delivered order.
    pub pay_per_order: f64,
    /// What a courier gets at least per hour of shift.
    pub pay_per_hour: f64,
}

impl Instance {
    /// Whole minutes: ceil(metres / speed).
    pub fn travel_min(&self, from: Point, to: Point) -> i64 {
        (from.distance_m(to) / self.m_per_min - 1e-9).ceil().max(0.0) as i64
    }

    /// Click to door that nothing can beat.
    pub fn floor_min(&self, order: &OrderRow) -> f64 {
        let travel = self.travel_min(self.restaurants[order.restaurant].at, order.at);
        (order.ready_min - order.placed_min + travel) as f64
            + (self.pickup_service_min + self.dropoff_service_min) / 2.0
    }

    /// Ready after the last courier has gone.
    pub fn impossible(&self, order: &OrderRow) -> bool {
        order.ready_min > self.couriers.iter().map(|courier| courier.off_min).max().unwrap_or(0)
    }

    /// Whole minutes from arrival at a restaurant to pickup, and again from pickup to leaving. Halves are cut off, as
    /// the official evaluator does.
    pub fn half_pickup_min(&self) -> i64 {
        (self.pickup_service_min / 2.0) as i64
    }

    /// Whole minutes from arrival at a door to drop-off, and again from drop-off to leaving.
    pub fn half_dropoff_min(&self) -> i64 {
        (self.dropoff_service_min / 2.0) as i64
    }

    /// Reads a directory. Errors name the file, the line and what is wrong with it.
    pub fn read(dir: &Path) -> Result<Instance, ReplayError> {
        let mut restaurants = Vec::new();
        let mut index = BTreeMap::new();
        for row in Table::read(dir, "restaurants.txt", &["restaurant", "x", "y"])?.rows() {
            index.insert(row.text(0).to_owned(), restaurants.len());
            restaurants.push(RestaurantRow {
                name: row.text(0).to_owned(),
                at: row.point(1)?,
            });
        }
        let columns = ["order", "x", "y", "placement_time", "restaurant", "ready_time"];
        let mut orders = Vec::new();
        for row in Table::read(dir, "orders.txt", &columns)?.rows() {
            let Some(&restaurant) = index.get(row.text(4)) else {
                return Err(row.fault(format!("restaurants.txt has no restaurant {:?}", row.text(4))));
            };
            orders.push(OrderRow {
                name: row.text(0).to_owned(),
                at: row.point(1)?,
                placed_min: row.minute(3)?,
                restaurant,
                ready_min: row.minute(5)?,
            });
        }
        let mut couriers = Vec::new();
        for row in Table::read(dir, "couriers.txt", &["courier", "x", "y", "on_time", "off_time"])?.rows() {
            couriers.push(CourierRow {
                name: row.text(0).to_owned(),
                at: row.point(1)?,
                on_min: row.minute(3)?,
                off_min: row.minute(4)?,
            });
        }
        let table = Table::read(dir, "instance_parameters.txt", &PARAMETERS)?;
        let row = table
            .rows()
            .next()
            .ok_or_else(|| table.fault(2, "has no values".to_owned()))?;
        let m_per_min = row.number(0, 1e6)?;
        if m_per_min <= 0.0 {
            return Err(row.fault("meters_per_minute has to be above 0".to_owned()));
        }
        let minutes = MINUTES_MAX as f64;
        Ok(Instance {
            name: dir
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            orders,
            couriers,
            restaurants,
            m_per_min,
            pickup_service_min: row.number(1, minutes)?,
            dropoff_service_min: row.number(2, minutes)?,
            max_ctd_min: row.number(4, minutes)?,
            pay_per_order: row.number(5, 1e6)?,
            pay_per_hour: row.number(6, 1e6)?,
        })
    }
}

const PARAMETERS: [&str; 7] = [
    "meters_per_minute",
    "pickup service minutes",
    "dropoff service minutes",
    "target click-to-door",
    "maximum click-to-door",
    "pay per order",
    "guaranteed pay per hour",
];

/// Latest moment an instance may name: ten weeks. A replay plays every minute, so a stray number must not run for ever.
const MINUTES_MAX: i64 = 100_000;
/// Farthest coordinate: once around the Earth, in metres.
const METRES_MAX: f64 = 4.1e7;

/// A tab-separated file in memory; the first line heads the columns, which count by place.
struct Table {
    path: PathBuf,
    columns: Vec<&'static str>,
    /// Line number and fields.
    lines: Vec<(usize, Vec<String>)>,
}

impl Table {
    fn read(dir: &Path, file: &str, columns: &[&'static str]) -> Result<Table, ReplayError> {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).map_err(|source| ReplayError::File {
            path: path.clone(),
            source,
        })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let table = Table {
            path,
            columns: columns.to_vec(),
            lines: lines
                .map(|(at, line)| (at + 1, line.split('\t').map(|field| field.trim().to_owned()).collect()))
                .collect(),
        };
        if table.lines.is_empty() {
            return Err(table.fault(1, "is empty".to_owned()));
        }
        for (line, fields) in &table.lines {
            if fields.len() < columns.len() {
                let found = fields.len();
                let what = format!(
                    "{found} tab-separated columns where these are expected: {}",
                    columns.join(", ")
                );
                return Err(table.fault(*line, what));
            }
        }
        Ok(table)
    }

    fn fault(&self, line: usize, what: String) -> ReplayError {
        ReplayError::Content {
            path: self.path.clone(),
            line,
            what,
        }
    }

    /// The lines below the head.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines.iter().skip(1).map(|(line, fields)| Row {
            table: self,
            line: *line,
            fields,
        })
    }
}

/// One line of a [`Table`], with at least the expected columns.
struct Row<'t> {
    table: &'t Table,
    line: usize,
    fields: &'t [String],
}

impl Row<'_> {
    fn fault(&self, what: String) -> ReplayError {
        self.table.fault(self.line, what)
    }

    fn text(&self, column: usize) -> &str {
        &self.fields[column]
    }

    /// A number from 0 to `max`.
    fn number(&self, column: usize, max: f64) -> Result<f64, ReplayError> {
        self.between(column, 0.0, max)
    }

    fn between(&self, column: usize, min: f64, max: f64) -> Result<f64, ReplayError> {
        let text = self.text(column);
        let number = text.parse::<f64>().ok().filter(|value| (min..=max).contains(value));
        number.ok_or_else(|| {
            let name = self.table.columns[column];
            self.fault(format!("{name}: expected a number from {min} to {max}, found {text:?}"))
        })
    }

    fn minute(&self, column: usize) -> Result<i64, ReplayError> {
        Ok(self.number(column, MINUTES_MAX as f64)? as i64)
    }

    fn point(&self, column: usize) -> Result<Point, ReplayError> {
        Ok(Point {
            x_m: self.between(column, -METRES_MAX, METRES_MAX)?,
            y_m: self.between(column + 1, -METRES_MAX, METRES_MAX)?,
        })
    }
}
