//! Rounds of a plan in a walk: most of them sensible, some out of date, some nonsense, now and then an exchange.

use tomato_shared::id::OrderId;

use super::super::world::driver;
use super::Walk;
use crate::engine::command::{Command, Intent, Round};
use crate::engine::draft::Draft;
use crate::engine::driver::ahead;
use crate::engine::model::{By, Driver};

impl Walk {
    pub(super) fn plan(&mut self) {
        let open: Vec<OrderId> = self.world.city.orders().map(|order| order.id).collect();
        let mut intents = Vec::new();
        for _ in 0..self.rng.below(4) {
            let n = self.rng.small(6);
            let Some(row) = self.world.city.driver(driver(n)).cloned() else {
                continue;
            };
            let mut order_ids = self.fetches(&row);
            let changed = !order_ids.is_empty();
            for _ in 0..=self.rng.below(3) {
                order_ids.extend(self.rng.recent(&open).filter(|id| !order_ids.contains(id)));
            }
            if changed && self.rng.below(3) == 0 {
                order_ids.remove(0);
            }
            intents.push(self.intent(&row, order_ids, changed));
        }
        if self.rng.below(3) == 0 {
            intents.extend(self.exchange());
        }
        let left = self.rng.recent(&open).filter(|_| self.rng.below(4) == 0);
        let left = left.into_iter().collect();
        self.run(By::System, Command::Round(Round { intents, left }));
    }

    fn intent(&mut self, row: &Driver, order_ids: Vec<OrderId>, changed: bool) -> Intent {
        let odd = self.rng.below(20) == 0;
        Intent {
            driver_id: row.id,
            driver_version: row.version + self.rng.below(20) / 19,
            order_ids,
            changed: changed != odd,
            distance_m: self.rng.below(3_000),
        }
    }

    fn fetches(&self, row: &Driver) -> Vec<OrderId> {
        let world = &self.world;
        ahead(&Draft::new(&world.city, &world.policy, By::System, world.now, 0), row)
    }

    /// Everybody who is on the way to a counter gets what the next one was to fetch.
    fn exchange(&mut self) -> Vec<Intent> {
        let rows: Vec<Driver> = self.world.city.drivers().cloned().collect();
        let bound = rows.into_iter().map(|row| (self.fetches(&row), row));
        let bound: Vec<_> = bound.filter(|(ids, _)| !ids.is_empty()).collect();
        let others = bound.iter().cycle().skip(1).map(|(ids, _)| ids.clone());
        let swaps: Vec<_> = bound.iter().zip(others).collect();
        let swaps = swaps.into_iter().map(|((_, row), ids)| (row.clone(), ids));
        swaps
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(row, ids)| self.intent(&row, ids, true))
            .collect()
    }
}
