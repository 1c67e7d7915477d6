//! The city simulator: customers, restaurants and drivers as actors of their own, that know nothing but the public HTTP
//! and WebSocket API, and what people tell each other at a door.
//!
//! | module | owns |
//! |---|---|
//! | [`clock`] [`chance`] | simulated time; seeded randomness |
//! | [`world`] [`plan`] [`habits`] | what there is, who orders what when, how people behave |
//! | [`customer`] [`restaurant`] [`driver`] | the actors |
//! | [`motion`] [`door`] | what goes on in the street |
//! | [`tracker`] | what became of every order |
//! | [`traffic`] | keeps orders coming until enough were placed |
//! | [`mdrp`] [`replay`] | a recorded day of real orders, and its replay |
//!
//! Actors keep no truth: each asks or is told where things stand and does the next thing, so that a node which is
//! killed and started again below them goes on where it was.

pub mod chance;
pub mod clock;
pub mod customer;
pub mod door;
pub mod driver;
pub mod habits;
pub mod mdrp;
pub mod motion;
mod names;
pub mod plan;
pub mod replay;
pub mod restaurant;
pub mod tracker;
pub mod traffic;
pub mod world;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tomato_shared::time::DurationMs;

use self::clock::Clock;
use self::door::Doors;
use self::driver::Shift;
use self::habits::Habits;
use self::motion::Travel;
use self::restaurant::Cooking;
use self::tracker::Tracker;
use self::world::World;
use crate::client::Api;
use crate::tokens::Issuer;

/// Most position requests per real second over all drivers of a city.
const POSITIONS_PER_S: f64 = 80.0;
/// How long an actor trusts the WebSocket before it asks over HTTP, in simulated time and within real bounds.
const POLL: DurationMs = DurationMs::from_secs(20);
const POLL_LEAST: Duration = Duration::from_secs(2);
const POLL_MOST: Duration = Duration::from_secs(10);

/// What all actors of a region share.
#[derive(Debug)]
pub struct City {
    pub seed: u64,
    pub world: World,
    pub habits: Habits,
    pub clock: Clock,
    /// The region's node, without a token.
    pub api: Api,
    pub issuer: Arc<Issuer>,
    pub tracker: Arc<Tracker>,
    pub doors: Doors,
    pub travel: Travel,
}

impl City {
    /// A city whose people are not there yet. `api`: its node.
    pub fn new(setting: Setting, world: World, api: Api) -> Arc<Self> {
        let travel = Travel {
            origin: world.ground.centre,
            speed_m_per_min: setting.habits.speed_m_per_min,
            whole_minutes: setting.whole_minutes,
        };
        Arc::new(Self {
            seed: setting.seed,
            world,
            habits: setting.habits,
            clock: setting.clock,
            api,
            issuer: setting.issuer,
            tracker: setting.tracker,
            doors: Doors::default(),
            travel,
        })
    }

    /// How long actors wait for the WebSocket before they ask.
    fn poll(&self) -> Duration {
        self.clock.real_within(POLL, POLL_LEAST, POLL_MOST)
    }

    /// Least real time between two position requests of one driver.
    fn position_pace(&self) -> Duration {
        Duration::from_secs_f64(self.world.drivers.len() as f64 / POSITIONS_PER_S)
    }
}

/// What a city is made with, besides its world.
#[derive(Debug, Clone)]
pub struct Setting {
    pub seed: u64,
    pub habits: Habits,
    pub clock: Clock,
    pub issuer: Arc<Issuer>,
    pub tracker: Arc<Tracker>,
    /// Whether ways take whole minutes, as in the MDRP.
    pub whole_minutes: bool,
}

/// The people at work; they go home when this is dropped.
#[derive(Debug)]
pub struct Staff {
    restaurants: JoinSet<()>,
    drivers: JoinSet<()>,
}

impl Staff {
    /// All restaurants and drivers of a city begin to work, from now on and without end.
    pub fn start(city: &Arc<City>) -> Self {
        let shifts = city.world.drivers.iter().map(Shift::endless).collect();
        Self::start_with(city, &Cooking::ByHabit, shifts)
    }

    /// The same with a way of cooking and with shifts.
    pub fn start_with(city: &Arc<City>, cooking: &Cooking, shifts: Vec<Shift>) -> Self {
        let mut staff = Self {
            restaurants: JoinSet::new(),
            drivers: JoinSet::new(),
        };
        for number in 0..city.world.restaurants.len() {
            staff
                .restaurants
                .spawn(restaurant::run(city.clone(), number, cooking.clone()));
        }
        for (number, shift) in shifts.into_iter().enumerate() {
            staff.drivers.spawn(driver::run(city.clone(), number, shift));
        }
        staff
    }

    /// Waits until every driver has gone home; without end where shifts have none.
    pub async fn drivers_gone(&mut self) {
        while self.drivers.join_next().await.is_some() {}
    }
}
