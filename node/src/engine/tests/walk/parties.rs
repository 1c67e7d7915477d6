//! What is asked of the city itself in a walk: menus, hours, switches, promotions, drivers' shifts and cash.

use tomato_shared::event::Bearer;
use tomato_shared::time::DurationMs;

use super::super::world::{
    BURGER, CAKE, OPERATOR, PIZZA, SODA, driver, promotion, put, put_promotion, put_restaurant, restaurant, set_open,
    sign,
};
use super::Walk;
use crate::engine::command::{Command, DriverCommand, RestaurantCommand as R};
use crate::engine::model::{By, Closure, Hours, Opening, Saving, Span, Vehicle, Weekday};

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

impl Walk {
    fn minutes(&mut self, bound: u32) -> DurationMs {
        DurationMs::from_mins(i64::from(self.rng.below(bound)))
    }

    /// A new menu, or a door that opens or closes.
    pub(super) fn edit(&mut self) -> (By, Command) {
        let n = self.rng.small(3);
        let own = By::Restaurant(restaurant(n));
        let (by, command) = match self.rng.below(20) {
            0..5 => (own, self.switch()),
            5..7 => (own, self.item()),
            7 => {
                let hours = self.hours();
                let expected_version = None;
                (
                    own,
                    R::PutHours {
                        hours,
                        expected_version,
                    },
                )
            }
            8 => (OPERATOR, R::Suspend(self.rng.below(6) == 0)),
            9..12 => return (OPERATOR, self.promotion()),
            12..14 => {
                let paused = self.rng.below(3) == 0 && !self.world.city.catalogue().region.paused;
                let reason = "storm".to_owned();
                return (OPERATOR, Command::PauseRegion { paused, reason });
            }
            14 => (own, self.menu(n)),
            _ => return (OPERATOR, set_open(restaurant(n), true)),
        };
        (by, Command::Restaurant(restaurant(n), command))
    }

    fn switch(&mut self) -> R {
        let pause = (self.rng.below(3) == 0).then(|| self.minutes(10));
        let busy = (self.rng.below(3) == 0).then(|| (self.rng.below(20), self.minutes(30)));
        R::SetStatus {
            open: (self.rng.below(2) == 0).then(|| self.rng.below(5) > 0),
            pause,
            busy,
        }
    }

    fn item(&mut self) -> R {
        R::SetItem {
            item_id: *self.rng.pick(&[BURGER, CAKE, SODA, PIZZA]),
            available: self.rng.below(9) > 0,
            off: (self.rng.below(3) == 0).then(|| self.minutes(20)),
            left: (self.rng.below(2) == 0).then(|| self.rng.below(40)),
        }
    }

    fn hours(&mut self) -> Hours {
        let time = |text: &str| text.parse().unwrap();
        let lunch = WEEK.map(|day| Opening {
            day,
            from: time("09:00"),
            to: time("15:00"),
        });
        let dinner = WEEK.map(|day| Opening {
            day,
            from: time("15:30"),
            to: time("01:00"),
        });
        let closure = Closure {
            from: "2025-11-23T16:00".parse().unwrap(),
            to: "2025-11-23T16:20".parse().unwrap(),
            reason: String::new(),
        };
        match self.rng.below(3) {
            0 => Hours::default(),
            1 => Hours {
                week: lunch.into_iter().chain(dinner).collect(),
                closures: Vec::new(),
            },
            _ => Hours {
                week: Vec::new(),
                closures: vec![closure],
            },
        }
    }

    fn menu(&mut self, n: u8) -> R {
        let mut wanted = put_restaurant(n);
        wanted.capacities.retain(|_| self.rng.below(4) > 0);
        for (_, capacity) in &mut wanted.capacities {
            *capacity += self.rng.below(30);
        }
        let prices = wanted.restaurant.menu.iter_mut().map(|item| &mut item.price_minor);
        prices.for_each(|price| *price += i64::from(self.rng.below(2_000)));
        if self.rng.below(2) == 0 {
            let Command::Restaurant(_, command) = put(wanted) else {
                unreachable!("a restaurant is put");
            };
            return command;
        }
        R::PutMenu {
            menu: wanted.restaurant.menu,
            capacities: wanted.capacities,
            expected_version: None,
        }
    }

    pub(super) fn promotion(&mut self) -> Command {
        let code = *self.rng.pick(&["TEN", "WAY", "OFF"]);
        let mut wanted = promotion(code);
        match code {
            "WAY" => wanted.saving = Saving::FreeDelivery,
            "OFF" => wanted.saving = Saving::Amount { amount_minor: 15_000 },
            _ => {}
        }
        wanted.borne_by = *self.rng.pick(&[Bearer::Platform, Bearer::Restaurant]);
        wanted.active = self.rng.below(8) > 0;
        wanted.uses_max = self.rng.below(12);
        wanted.uses_per_customer_max = self.rng.below(4);
        put_promotion(wanted)
    }

    pub(super) fn signing(&mut self) -> (By, Command) {
        let id = driver(self.rng.small(5));
        let command = match self.rng.below(12) {
            0 => return (By::Driver(id), sign(id, false)),
            1..3 => DriverCommand::SetOnline {
                online: true,
                vehicle: Some(*self.rng.pick(&[Vehicle::Foot, Vehicle::Bicycle])),
                until: Some(self.world.now + self.minutes(90)),
            },
            6 => {
                let starts_at = self.world.now;
                let ends_at = starts_at + self.minutes(600);
                let plan = DriverCommand::Plan(vec![Span { starts_at, ends_at }]);
                return (OPERATOR, Command::Driver(id, plan));
            }
            7..9 => {
                let in_hand = self.world.city.driver(id).map_or(0, |row| row.cash_minor);
                let amount_minor = *self.rng.pick(&[in_hand, in_hand / 2, in_hand + 1]);
                return (OPERATOR, Command::Driver(id, DriverCommand::DepositCash(amount_minor)));
            }
            _ => return (By::Driver(id), sign(id, true)),
        };
        (By::Driver(id), Command::Driver(id, command))
    }
}
