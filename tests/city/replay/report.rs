//! What became of a replayed day.

use std::fmt::Write as _;

use super::super::mdrp::Spread;

/// Minutes counted for an order that was not delivered, as in the published measures.
const UNDELIVERED_MIN: f64 = 90.0;

/// What became of one order of the instance; minutes as the instance counts them.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub order: String,
    pub state: &'static str,
    pub placed_min: Option<f64>,
    pub ready_min: i64,
    pub picked_up_min: Option<f64>,
    pub click_to_door_min: Option<f64>,
    pub floor_min: i64,
    /// Why it was not delivered; empty for delivered ones.
    pub explanation: String,
}

/// What became of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub instance: String,
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether every order was delivered or has an explanation.
    pub fn is_complete(&self) -> bool {
        self.lines
            .iter()
            .all(|line| line.click_to_door_min.is_some() || !line.explanation.is_empty())
    }

    /// One line per order.
    pub fn csv(&self) -> String {
        let number = |value: Option<f64>| value.map(|value| format!("{value:.2}")).unwrap_or_default();
        let mut text =
            "order,state,placed_min,ready_min,picked_up_min,click_to_door_min,floor_min,explanation\n".to_owned();
        for line in &self.lines {
            let (placed, picked, door) = (line.placed_min, line.picked_up_min, line.click_to_door_min);
            writeln!(
                text,
                "{},{},{},{},{},{},{},{}",
                line.order,
                line.state,
                number(placed),
                line.ready_min,
                number(picked),
                number(door),
                line.floor_min,
                line.explanation
            )
            .expect("a string takes every line");
        }
        text
    }

    /// Delivered orders: minutes from click to door.
    pub fn delivered(&self) -> Option<Spread> {
        Spread::of(self.lines.iter().filter_map(|line| line.click_to_door_min).collect())
    }

    /// All orders, those that were not delivered counted as 90 minutes.
    pub fn penalised(&self) -> Option<Spread> {
        Spread::of(
            self.lines
                .iter()
                .map(|line| line.click_to_door_min.unwrap_or(UNDELIVERED_MIN))
                .collect(),
        )
    }

    /// The mean that no dispatch can beat.
    pub fn floor(&self) -> Option<Spread> {
        Spread::of(self.lines.iter().map(|line| line.floor_min as f64).collect())
    }
}
