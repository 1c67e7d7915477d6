//! A city before its first order: restaurants with menus, and drivers. Made from a seed, written by an operator.

use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tomato_shared::cell::{CellSet, LatLng, RegionId};
use tomato_shared::id::{DriverId, ItemId, RestaurantId, UserId};
use tomato_shared::time::UnixMs;

use super::chance;
use super::names::{CHAINS, Dish, FIRST, KITCHENS, Kitchen, LAST, QUARTERS};
use crate::client::{Api, ApiError};
use crate::request::{Choice, Hours, Opening, OptionGroup, PutMenuItem, PutRestaurant};

/// Restaurants lie this close to the centre, in metres.
const RESTAURANTS_WITHIN_M: f64 = 2_500.0;
/// Drivers sign on this close to the centre.
const DRIVERS_WITHIN_M: f64 = 2_500.0;
/// Every how many-th restaurant belongs to a chain.
const CHAIN_EVERY: usize = 3;

/// The code of the city's promotion.
pub const PROMO_CODE: &str = "HUNGRY10";

/// Where a region is and what it owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    pub region: RegionId,
    pub centre: LatLng,
    pub cells: CellSet,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub restaurants: usize,
    pub drivers: usize,
    pub customers: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            restaurants: 12,
            drivers: 30,
            customers: 400,
        }
    }
}

/// A restaurant to be, and somebody who works there.
#[derive(Debug, Clone, PartialEq)]
pub struct SeededRestaurant {
    pub id: RestaurantId,
    pub staff: UserId,
    pub chain: bool,
    pub put: PutRestaurant,
}

/// A driver to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SeededDriver {
    pub id: DriverId,
    pub name: String,
    pub phone: String,
    pub start: LatLng,
}

/// A city from a seed: the same seed and ground give the same ids, names and places.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub ground: Ground,
    pub restaurants: Vec<SeededRestaurant>,
    pub drivers: Vec<SeededDriver>,
    pub customers: Vec<UserId>,
}

impl World {
    /// Makes up a city.
    pub fn generate(seed: u64, ground: Ground, size: Size) -> Self {
        let mut rng = chance::stream(seed, &format!("world {}", ground.region), 0);
        let chain_items: Vec<Vec<ItemId>> = CHAINS
            .iter()
            .map(|chain| chain.dishes.iter().map(|_| chance::id(&mut rng)).collect())
            .collect();
        let restaurants = (0..size.restaurants)
            .map(|number| {
                let chain = (number % CHAIN_EVERY == 0).then(|| (number / CHAIN_EVERY) % CHAINS.len());
                match chain {
                    Some(chain) => restaurant(&mut rng, &ground, &CHAINS[chain], Some(&chain_items[chain])),
                    None => restaurant(&mut rng, &ground, &KITCHENS[number % KITCHENS.len()], None),
                }
            })
            .collect();
        let drivers = (0..size.drivers)
            .map(|_| SeededDriver {
                id: chance::id(&mut rng),
                name: person(&mut rng),
                phone: format!("+9198450{:05}", rng.random_range(0..100_000)),
                start: place_near(&mut rng, &ground, ground.centre, DRIVERS_WITHIN_M),
            })
            .collect();
        let customers = (0..size.customers).map(|_| chance::id(&mut rng)).collect();
        Self {
            ground,
            restaurants,
            drivers,
            customers,
        }
    }

    /// Writes restaurants and drivers through the operator's API.
    pub async fn write(&self, operator: &Api) -> Result<(), ApiError> {
        for restaurant in &self.restaurants {
            operator.put_restaurant(restaurant.id, &restaurant.put).await?;
        }
        let promotion = json!({
            "saving": {"kind": "percent", "share_bp": 1_000, "max_minor": 5_000},
            "borne_by": "platform",
            "active": true,
            "starts_at": UnixMs(0),
            "ends_at": UnixMs(4_102_444_800_000),
            "uses_max": 1_000_000,
            "uses_per_customer_max": 20,
        });
        operator.put_promotion(PROMO_CODE, &promotion).await?;
        for driver in &self.drivers {
            operator.put_driver(driver.id, &driver.name, &driver.phone).await?;
        }
        Ok(())
    }
}

fn restaurant(rng: &mut StdRng, ground: &Ground, kitchen: &Kitchen, shared: Option<&Vec<ItemId>>) -> SeededRestaurant {
    let name = format!("{} {}", pick(rng, kitchen.names), pick(rng, QUARTERS));
    let items = kitchen
        .dishes
        .iter()
        .enumerate()
        .map(|(number, Dish(category, name, price_minor, counted))| PutMenuItem {
            id: shared.map_or_else(|| chance::id(rng), |ids| ids[number]),
            name: (*name).to_owned(),
            category: (*category).to_owned(),
            price_minor: *price_minor,
            available: true,
            capacity: counted.then(|| rng.random_range(4..=40)),
            variants: variants(category, *price_minor),
            options: options(category),
        });
    let menu = items.collect();
    // Some do not open all day; chains do, so that one branch can take over from another.
    let split = shared.is_none() && chance::happens(rng, 0.3);
    SeededRestaurant {
        id: chance::id(rng),
        staff: chance::id(rng),
        chain: shared.is_some(),
        put: PutRestaurant {
            name,
            place: place_near(rng, ground, ground.centre, RESTAURANTS_WITHIN_M),
            open: true,
            delivery_radius_m: 5_000,
            preparation_min: rng.random_range(8..=18),
            hours: split.then(split_hours),
            menu,
        },
    }
}

/// Lunch and dinner, and on until one at night.
fn split_hours() -> Hours {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let spans = [("05:00", "15:30"), ("17:00", "01:00")];
    let of_day = |day| spans.map(|(from, to)| Opening { day, from, to });
    Hours {
        week: days.into_iter().flat_map(of_day).collect(),
    }
}

fn choice(key: &str, name: &str, price_minor: i64) -> Choice {
    Choice {
        key: key.to_owned(),
        name: name.to_owned(),
        price_minor,
        available: true,
    }
}

/// Sizes, for what comes in sizes.
fn variants(category: &str, price_minor: i64) -> Vec<Choice> {
    match category {
        "Pizza" => vec![
            choice("medium", "Medium", price_minor),
            choice("large", "Large", price_minor * 3 / 2),
        ],
        "Biryani" => vec![
            choice("single", "For one", price_minor),
            choice("family", "Family pack", price_minor * 3),
        ],
        _ => Vec::new(),
    }
}

/// What can be added, or has to be chosen.
fn options(category: &str) -> Vec<OptionGroup> {
    let group = |key: &str, name: &str, (min, max): (u32, u32), choices: Vec<Choice>| OptionGroup {
        key: key.to_owned(),
        name: name.to_owned(),
        min,
        max,
        choices,
    };
    match category {
        "Pizza" => vec![
            group(
                "crust",
                "Crust",
                (1, 1),
                vec![choice("thin", "Thin", 0), choice("pan", "Pan", 3_000)],
            ),
            group(
                "extras",
                "Extras",
                (0, 2),
                vec![
                    choice("olives", "Olives", 2_500),
                    choice("cheese", "More cheese", 4_000),
                ],
            ),
        ],
        "Tiffin" => vec![group(
            "chutney",
            "Chutneys",
            (1, 2),
            vec![
                choice("coconut", "Coconut", 0),
                choice("tomato", "Tomato", 500),
                choice("mint", "Mint", 500),
            ],
        )],
        _ => Vec::new(),
    }
}

/// A place at most `within_m` metres from `from`, in one of the region's cells.
pub(super) fn place_near(rng: &mut StdRng, ground: &Ground, from: LatLng, within_m: f64) -> LatLng {
    for _ in 0..100 {
        let angle = rng.random_range(0.0..std::f64::consts::TAU);
        // The root spreads places evenly over the disk.
        let distance = within_m * rng.random::<f64>().sqrt();
        let place = from.offset_m(distance * angle.cos(), distance * angle.sin());
        if ground.cells.contains(&place) {
            return place;
        }
    }
    ground.centre
}

pub(super) fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

fn person(rng: &mut StdRng) -> String {
    format!("{} {}", pick(rng, FIRST), pick(rng, LAST))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Three rings of cells around the middle of Bengaluru.
    pub(crate) fn bengaluru() -> Ground {
        let centre = LatLng::new(12.9716, 77.5946).unwrap();
        Ground {
            region: "blr".parse().unwrap(),
            centre,
            cells: CellSet::disk(centre, 3),
        }
    }

    #[test]
    fn a_seed_makes_the_same_city_again() {
        let city = |seed| World::generate(seed, bengaluru(), Size::default());
        assert_eq!(city(1), city(1));
        assert_ne!(city(1), city(2));
    }

    #[test]
    fn cities_lie_in_their_cells_and_have_chains_and_counted_items() {
        let world = World::generate(3, bengaluru(), Size::default());
        let inside = |place: &LatLng| world.ground.cells.contains(place);
        assert!(world.restaurants.iter().all(|restaurant| inside(&restaurant.put.place)));
        assert!(world.drivers.iter().all(|driver| inside(&driver.start)));
        let items = || world.restaurants.iter().flat_map(|restaurant| &restaurant.put.menu);
        assert!(items().any(|item| item.capacity.is_some()) && items().any(|item| item.capacity.is_none()));
        let branches = world.restaurants.iter().filter(|restaurant| restaurant.chain);
        let mut first_items: Vec<_> = branches.map(|branch| branch.put.menu[0].id).collect();
        let branches = first_items.len();
        first_items.sort();
        first_items.dedup();
        assert!(
            first_items.len() < branches,
            "at least two branches of a chain share their items"
        );
    }
}
