//! Kitchens, the people who order at them, and what must be true when they have gone home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tomato_shared::cell::{Cell, LatLng, REGION_RESOLUTION};
use tomato_shared::directory::{Directory, Map};
use tomato_shared::event::{Decoded, Event, decode};
use tomato_shared::id::{ItemId, RestaurantId, UserId};
use tomato_tests::client::{Answer, Api, ApiError, Request, new_key};
use tomato_tests::process::ask_hub;
use tomato_tests::stack::Stack;
use tomato_tests::wait::wait_until;

use crate::directory::REGIONS;
use crate::order::scene::id;

pub(super) const LIMIT: Duration = Duration::from_secs(180);
/// Counted, at each kitchen.
pub(super) const CAPACITY: u64 = 10_000;

/// A restaurant alone in its cell.
#[derive(Debug, Clone)]
pub(super) struct Kitchen {
    pub(super) id: RestaurantId,
    pub(super) item: ItemId,
    pub(super) place: LatLng,
    pub(super) cell: Cell,
}

/// Kitchens in cells of Bengaluru, as far apart as they are numbered.
pub(super) async fn kitchens(stack: &mut Stack, count: u32) -> Vec<Kitchen> {
    let node = stack.node("blr");
    let mut kitchens: Vec<Kitchen> = Vec::new();
    for north in 0..count {
        let place = node.ground.centre.offset_m(0.0, f64::from(north) * 3_000.0 - 6_000.0);
        let kitchen = Kitchen {
            id: id(),
            item: id(),
            place,
            cell: place.cell(REGION_RESOLUTION),
        };
        let put = json!({
            "name": format!("Kitchen {north}"), "place": place, "open": true, "delivery_radius_m": 1_000, "preparation_min": 10,
            "menu": [{"id": kitchen.item, "name": "Dosa", "price_minor": 9_900, "available": true, "capacity": CAPACITY}],
        });
        let path = format!("/v1/restaurants/{}", kitchen.id);
        node.api.command::<Value>(Method::PUT, &path, &put).await.unwrap();
        kitchens.push(kitchen);
    }
    let cells: BTreeSet<Cell> = kitchens.iter().map(|kitchen| kitchen.cell).collect();
    assert_eq!(cells.len(), kitchens.len());
    kitchens
}

/// Asks for a move and returns its number.
pub(super) fn ask(folder: &Path, from: &str, to: &str, cell: Cell) -> String {
    let said = ask_hub(
        folder,
        &["cells", "move", "--from", from, "--to", to, &cell.to_string()],
    )
    .unwrap();
    said.split(' ').nth(1).unwrap_or_else(|| panic!("{said}")).to_owned()
}

fn state(folder: &Path, number: &str) -> String {
    let status = ask_hub(folder, &["cells", "status"]).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with(&format!("move {number}\t")));
    let words = line
        .and_then(|line| line.split('\t').nth(3))
        .unwrap_or_else(|| panic!("{status}"));
    words.split(' ').next().unwrap().to_owned()
}

pub(super) async fn reaches(folder: &Path, number: &str, wanted: &str) {
    wait_until(&format!("move {number} to be {wanted}"), LIMIT, async || {
        (state(folder, number) == wanted).then_some(())
    })
    .await;
}

/// No move begins before both regions go by the newest map, and a region that is halted does not get to it.
pub(super) async fn all_know_the_map(stack: &Stack, folder: &Path) {
    let status = ask_hub(folder, &["cells", "status"]).unwrap();
    let newest = status.split(' ').nth(2).and_then(|version| version.parse().ok());
    assert!(newest.is_some(), "{status}");
    let hub = stack.hub.as_ref().unwrap();
    wait_until("every region to go by the newest map", LIMIT, async || {
        let regions = hub.api.hub_regions().await.ok()?;
        let all = regions.iter().all(|row| row.map_version == newest);
        all.then_some(())
    })
    .await;
}

pub(super) async fn owner(api: &Api, cell: Cell) -> String {
    let found = api.get::<Value>(&format!("/v1/locate?cell={cell}")).await.unwrap();
    found["region"].as_str().unwrap().to_owned()
}

/// What customers saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Region, order and kitchen of every order that was answered 201.
    pub(super) placed: Vec<(String, String, usize)>,
    /// Requests, the repeated ones included.
    pub(super) requests: u64,
    /// Orders that took more than one.
    pub(super) repeated: u64,
    /// Longest time from the first request of an order to its answer.
    pub(super) longest: Duration,
    /// Codes of what was refused.
    pub(super) refused: BTreeMap<String, u64>,
}

/// The doors of all regions.
#[derive(Clone)]
pub(super) struct Doors(Vec<(String, Api)>);

impl Doors {
    fn of(stack: &Stack) -> Self {
        let door = |node: &tomato_tests::stack::TestNode| (node.region.to_string(), node.server.public().clone());
        Self(stack.nodes.iter().map(door).collect())
    }

    fn get(&self, region: &str) -> &Api {
        &self.0.iter().find(|(name, _)| name == region).unwrap().1
    }
}

/// One order: placed at whom a node says it belongs to, and asked for again with the same key until it is placed.
async fn order(doors: &Doors, token: &str, kitchen: (usize, &Kitchen), seen: &Mutex<Seen>) {
    let (nth, kitchen) = kitchen;
    let (key, began) = (new_key(), Instant::now());
    let body = json!({
        "restaurant_id": kitchen.id, "items": [{"item_id": kitchen.item, "quantity": 1}],
        "deliver_to": {"place": kitchen.place, "line": "12 Church Street"}, "payment": {"method": "cash"},
    });
    // Who is told to ask again does not do so at once.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    for tries in 1u64.. {
        pace.tick().await;
        let asked = &doors.0[usize::try_from(tries).unwrap() % doors.0.len()].1;
        let Ok(found) = asked.get::<Value>(&format!("/v1/locate?cell={}", kitchen.cell)).await else {
            continue;
        };
        let region = found["region"].as_str().unwrap().to_owned();
        let door = doors.get(&region).with_token(token);
        let request = Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", &key)
            .json(&body);
        let answer = door.send(&request).await;
        if note(&mut seen.lock().unwrap(), answer, (&region, nth), tries, began) {
            return;
        }
        assert!(began.elapsed() < LIMIT, "an order was refused for a minute");
    }
}

/// Whether the order is placed.
fn note(
    seen: &mut Seen,
    answer: Result<Answer, ApiError>,
    (region, nth): (&str, usize),
    tries: u64,
    began: Instant,
) -> bool {
    seen.requests += 1;
    let code = match answer {
        Ok(answer) if answer.status == 201 => {
            let order = answer.json()["id"].as_str().unwrap().to_owned();
            // Whoever was asked may have handed it to the owner.
            let owner = answer.headers.get("tomato-region");
            let owner = owner.map_or(region, |name| name.to_str().unwrap());
            seen.placed.push((owner.to_owned(), order, nth));
            seen.repeated += u64::from(tries > 1);
            seen.longest = seen.longest.max(began.elapsed());
            return true;
        }
        Ok(answer) => {
            let code = answer.json()["code"].as_str().unwrap_or("none").to_owned();
            let known = [
                "cell_moving",
                "other_region",
                "region_silent",
                "region_unreachable",
                "unavailable",
                "timeout",
            ];
            assert!(known.contains(&code.as_str()), "{}", answer.json());
            code
        }
        // Killed: whether it was done is not known, so the same key again.
        Err(ApiError::Unreachable(_)) => "no answer".into(),
        Err(error) => panic!("{error:?}"),
    };
    *seen.refused.entry(code).or_default() += 1;
    false
}

/// People who order at all kitchens in turn, until they are told to stop.
pub(super) struct Crowd {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    people: Vec<tokio::task::JoinHandle<()>>,
}

impl Crowd {
    pub(super) fn start(stack: &Stack, kitchens: &[Kitchen], people: usize) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let run = |person: usize| {
            let (stop, seen, doors) = (stop.clone(), seen.clone(), Doors::of(stack));
            let (kitchens, issuer) = (kitchens.to_vec(), stack.issuer.clone());
            tokio::spawn(async move {
                for turn in person.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let nth = turn % kitchens.len();
                    let customer: UserId = id();
                    order(&doors, &issuer.customer(customer), (nth, &kitchens[nth]), &seen).await;
                }
            })
        };
        Self {
            people: (0..people).map(run).collect(),
            stop,
            seen,
        }
    }

    fn placed(&self) -> usize {
        self.seen.lock().unwrap().placed.len()
    }

    pub(super) async fn more_orders(&self, more: usize) {
        let before = self.placed();
        wait_until("more orders", LIMIT, async || {
            (self.placed() >= before + more).then_some(())
        })
        .await;
    }

    pub(super) async fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for person in self.people {
            person.await.unwrap();
        }
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Every version of the map that the hub has made.
fn maps(stack: &Stack) -> BTreeMap<u64, Directory> {
    let file = stack.folder().join("hub/hub.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(file, flags).unwrap();
    let mut statement = connection.prepare("SELECT doc FROM maps").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let maps = rows.map(|doc| serde_json::from_str::<Map>(&doc.unwrap()).unwrap());
    maps.map(|map| (map.version, Directory::new(map))).collect()
}

/// Restaurant and version of the map of every order in a region's outbox.
fn created(stack: &Stack, region: &str) -> BTreeMap<String, (RestaurantId, u64)> {
    let node = stack.nodes.iter().find(|node| node.region.as_str() == region).unwrap();
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(node.server.data().join("region.db"), flags).unwrap();
    let sql = "SELECT payload FROM outbox WHERE type = 'order.created'";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let envelopes = rows.filter_map(|payload| match decode(&payload.unwrap()).unwrap() {
        Decoded::Known(envelope) => Some(envelope),
        Decoded::Unknown(_) => None,
    });
    let facts = envelopes.filter_map(|envelope| match envelope.event {
        Event::OrderCreated {
            restaurant_id,
            map_version,
            ..
        } => Some((envelope.order.unwrap().id.to_string(), (restaurant_id, map_version))),
        _ => None,
    });
    facts.collect()
}

/// Every order that was answered is in exactly one region, which owned its cell by the map that it went by; nothing else is
/// anywhere; stock adds up; what is under way can be gone on with where it is.
pub(super) async fn audit(stack: &mut Stack, kitchens: &[Kitchen], seen: &Seen) {
    let maps = maps(stack);
    let mut homes: BTreeMap<String, (&str, RestaurantId)> = BTreeMap::new();
    let mut sold = vec![0; kitchens.len()];
    for region in REGIONS {
        for (order, (restaurant, version)) in created(stack, region) {
            let nth = kitchens.iter().position(|kitchen| kitchen.id == restaurant).unwrap();
            sold[nth] += 1;
            let owner = maps[&version].owner(kitchens[nth].cell).unwrap();
            assert_eq!(owner.region.as_str(), region, "{order} was placed by map {version}");
            assert_eq!(
                homes.insert(order.clone(), (region, restaurant)),
                None,
                "{order} is in two regions"
            );
        }
    }
    let placed: BTreeSet<&str> = seen.placed.iter().map(|(_, order, _)| order.as_str()).collect();
    assert_eq!(
        placed.len(),
        seen.placed.len(),
        "two customers were told of the same order"
    );
    assert_eq!(
        placed,
        homes.keys().map(String::as_str).collect(),
        "orders that nobody was told of, or that are nowhere"
    );
    for (nth, kitchen) in kitchens.iter().enumerate() {
        let region = owner(stack.hub().server.public(), kitchen.cell).await;
        let found = stack
            .node(&region)
            .server
            .public()
            .get::<Value>(&format!("/v1/restaurants/{}", kitchen.id))
            .await
            .unwrap();
        assert_eq!(
            found["menu"][0]["left"],
            CAPACITY - sold[nth],
            "{kitchen:?} at {region}"
        );
        let others = REGIONS.into_iter().filter(|other| *other != region);
        for other in others {
            let listed = stack
                .node(other)
                .server
                .public()
                .get::<Value>("/v1/restaurants?limit=100")
                .await
                .unwrap();
            let listed = listed["data"]
                .as_array()
                .unwrap()
                .iter()
                .any(|row| row["id"] == json!(kitchen.id));
            assert!(!listed, "{kitchen:?} is in {other}, too");
        }
    }
    for (order, (region, restaurant)) in homes.iter().step_by(7) {
        let api = stack.node(region).api.clone();
        let path = format!("/v1/restaurants/{restaurant}/orders/{order}/accept");
        let accepted = api
            .command::<Value>(Method::POST, &path, &json!({"ready_in_min": 10}))
            .await
            .unwrap();
        assert_eq!(accepted["state"], "PREPARING");
    }
}
