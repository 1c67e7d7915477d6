//! Two regions side by side with a hub between them: what is asked of the wrong one, and drivers who cross.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tomato_node::store::reads;
use tomato_shared::cell::{CellSet, LatLng};
use tomato_shared::event::{Crossing, Decoded, Event, decode};
use tomato_shared::id::{DriverId, ItemId, OrderId, RestaurantId};
use tomato_shared::order::OrderState;
use tomato_shared::time::DurationMs;
use tomato_tests::city::City;
use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::city::world::Size;
use tomato_tests::client::{Answer, Api, Request};
use tomato_tests::proxy::Way;
use tomato_tests::request::Proof;
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::order::scene::id as new_id;

/// A simulated minute is a second.
const RATE: f64 = 60.0;
const SOON: Duration = Duration::from_secs(180);

/// `blr`, and `hyd` moved so that their cells meet; a city in `blr`, a map at both.
struct Border {
    stack: Stack,
    blr: Arc<City>,
    /// The middle of `hyd`, and a place of `hyd` next to `blr`.
    middle: LatLng,
    edge: LatLng,
}

impl Border {
    async fn open() -> Self {
        let ground = RegionFile::named("blr").ground();
        let step = |n: u32| ground.centre.offset_m(f64::from(n) * 500.0, 0.0);
        let apart = |place: &LatLng| {
            let cells = CellSet::disk(*place, 4);
            cells.iter().all(|cell| ground.cells.iter().all(|other| other != cell))
        };
        let middle = (1..200).map(step).find(apart).expect("apart somewhere");
        let other = CellSet::disk(middle, 4);
        let edge = (1..200).map(step).find(|place| other.contains(place)).expect("an edge");
        let hyd = RegionFile::named("hyd")
            .set("region.centre.lat", middle.lat())
            .set("region.centre.lng", middle.lng());
        let plan = StackPlan::default().region("blr").region_file(hyd).rate(RATE).proxied();
        let mut stack = Stack::prepare(plan).unwrap();
        stack.start().await.unwrap();
        let size = Size {
            restaurants: 3,
            drivers: 2,
            customers: 2,
        };
        let tracker = Arc::new(Tracker::default());
        let blr = stack.city("blr", (5, size), Habits::flawless(), &tracker).await;
        let border = Self {
            stack,
            blr,
            middle,
            edge,
        };
        border.mapped().await;
        border
    }

    fn api(&self, region: &str) -> &Api {
        let node = self.stack.nodes.iter().find(|node| node.region.as_str() == region);
        node.unwrap().server.public()
    }

    /// Both nodes know whose the other's cells are, and can talk.
    async fn mapped(&self) {
        for (here, place) in [("blr", self.middle), ("hyd", self.blr.world.ground.centre)] {
            let near = format!("/v1/restaurants?lat={}&lng={}", place.lat(), place.lng());
            let asked = async || {
                let answer = self
                    .api(here)
                    .send(&Request::new(Method::GET, near.clone()))
                    .await
                    .ok()?;
                (answer.status == 200 && !from(&answer).is_empty()).then_some(())
            };
            poll_until("an answer of the other region", SOON, asked).await.unwrap();
        }
    }

    fn order(&self) -> Value {
        let restaurant = &self.blr.world.restaurants[0];
        let plain = |item: &&tomato_tests::request::PutMenuItem| item.variants.is_empty() && item.options.is_empty();
        let item = restaurant.put.menu.iter().find(plain).unwrap();
        json!({
            "restaurant_id": restaurant.id,
            "items": [{"item_id": item.id, "quantity": 1}],
            "deliver_to": {"place": restaurant.put.place, "line": "12 Church Street"},
            "payment": {"method": "cash"},
        })
    }

    fn customer(&self, region: &str) -> Api {
        let id = self.blr.world.customers[0];
        self.api(region).with_token(&self.stack.issuer.customer(id))
    }
}

/// The region that has answered, where it was the other one.
fn from(answer: &Answer) -> &str {
    answer
        .headers
        .get("tomato-region")
        .map_or("", |name| name.to_str().unwrap())
}

fn placing(key: &str, order: &Value) -> Request {
    Request::new(Method::POST, "/v1/orders")
        .header("idempotency-key", key)
        .json(order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_through_both_nodes_is_one_order_and_a_dead_owner_is_named() {
    let mut border = Border::open().await;
    let (order, wrong, right) = (border.order(), border.customer("hyd"), border.customer("blr"));
    let first = wrong.send(&placing("k", &order)).await.unwrap();
    assert_eq!((first.status.as_u16(), from(&first)), (201, "blr"), "{}", first.json());
    let tries = (0..50).map(|nth| {
        let api = if nth % 2 == 0 { wrong.clone() } else { right.clone() };
        let request = placing("k", &order);
        tokio::spawn(async move { api.send(&request).await.unwrap() })
    });
    for again in futures_util::future::join_all(tries).await {
        let again = again.unwrap();
        assert_eq!((again.status, again.body), (first.status, first.body.clone()));
    }
    assert_eq!(border.stack.node("blr").api.all_orders().await.unwrap().len(), 1);
    assert_eq!(border.stack.node("hyd").api.all_orders().await.unwrap().len(), 0);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let read = Request::new(Method::GET, format!("/v1/orders/{id}"));
    // The node forgets what it was told when it is killed, and asks.
    border.stack.node("hyd").server.kill9();
    border.stack.node("hyd").server.start().await.unwrap();
    let answer = poll_until("the order through the wrong node", SOON, async || {
        let answer = wrong.send(&read).await.ok()?;
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(from(&answer.await.unwrap()), "blr");

    border.stack.node("blr").server.kill9();
    let url = border.api("blr").base().to_owned();
    for request in [placing("other", &order), placing("k", &order)] {
        let away = wrong.send(&request).await.unwrap();
        let problem = away.json();
        assert_eq!(away.status, 503, "{problem}");
        assert_eq!(
            (&problem["region"], &problem["region_url"]),
            (&json!("blr"), &json!(url)),
            "{problem}"
        );
        assert!(away.headers.contains_key("retry-after"));
    }
    border.stack.node("blr").server.start().await.unwrap();
    let back = poll_until("the owner", SOON, async || {
        let answer = wrong.send(&placing("k", &order)).await.ok()?;
        (answer.status == 201).then_some(answer)
    });
    assert_eq!(back.await.unwrap().body, first.body);
    assert_eq!(border.stack.node("blr").api.all_orders().await.unwrap().len(), 1);
    border.stack.stop().await.unwrap();
}

/// Reports a place to a node again and again, until `done`.
async fn drive(border: &Border, driver: &Api, at: LatLng, what: &str, done: impl AsyncFn() -> bool) {
    let there = async || {
        let fix = json!([{"lat": at.lat(), "lng": at.lng(), "at": border.stack.clock.now()}]);
        let report = Request::new(Method::POST, "/v1/drivers/me/locations").json(&fix);
        // Between two regions nobody takes it.
        drop(driver.send(&report).await);
        done().await.then_some(())
    };
    poll_until(what, SOON, there).await.unwrap();
}

/// Cuts the taker off when the giver has let go, both ways or one, and heals it again. Whether the driver was nobody's then.
async fn cut_in_the_middle(border: &Border, lost: Option<Way>) -> bool {
    let file = border.stack.folder().join("blr").join("region.db");
    let connection = tomato_node::store::pool::connect(&file).unwrap();
    let on_the_way = || !reads::leaving(&connection, None, 1).unwrap().is_empty();
    let mut often = tokio::time::interval(Duration::from_millis(2));
    let began = Instant::now();
    while !on_the_way() {
        often.tick().await;
        assert!(began.elapsed() < SOON, "nobody was handed over");
    }
    let wire = border.stack.nodes[1].wire();
    match lost {
        Some(way) => wire.cut_one_way(way),
        None => wire.cut(),
    }
    let cut_at = border.stack.clock.now();
    let later = async || (border.stack.clock.now() - cut_at > DurationMs::from_mins(2)).then_some(());
    poll_until("two simulated minutes", SOON, later).await.unwrap();
    let waited = on_the_way();
    wire.heal();
    waited
}

/// Whose the driver is, as a node tells the driver's app.
async fn whose(driver: &Api, own: &str) -> Option<String> {
    let answer = driver.send(&Request::new(Method::GET, "/v1/drivers/me")).await.ok()?;
    let name = if from(&answer).is_empty() { own } else { from(&answer) };
    (answer.status == 200 && answer.json()["driver"]["region"].is_null()).then(|| name.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_who_idles_over_the_border_is_the_other_regions_whatever_the_links_do() {
    let mut border = Border::open().await;
    let id = border.blr.world.drivers[0].id;
    let driver = border.api("blr").with_token(&border.stack.issuer.driver(id));
    driver.set_online(true).await.unwrap();
    let home = border.blr.world.ground.centre;
    let (mut rounds, mut halved) = (0, 0);
    // Now and then the other side is faster than the cut.
    for lost in [None, Some(Way::ToServer), Some(Way::ToClient)].into_iter().cycle() {
        let over = drive(&border, &driver, border.edge, "the driver over there", async || {
            whose(&driver, "blr").await.as_deref() == Some("hyd")
        });
        let (waited, ()) = tokio::join!(cut_in_the_middle(&border, lost), over);
        rounds += 1;
        halved += u32::from(waited);
        drive(&border, &driver, home, "the driver back home", async || {
            whose(&driver, "blr").await.as_deref() == Some("blr")
        })
        .await;
        assert!(rounds < 12, "no hand-over was cut in two");
        if rounds >= 3 && halved > 0 {
            break;
        }
    }
    // Nobody is given to a region that cannot be reached.
    border.stack.node("hyd").server.kill9();
    drive(&border, &driver, border.edge, "a while over there", {
        let until = border.stack.clock.now().0 + 5 * 60_000;
        let clock = border.stack.clock;
        async move || clock.now().0 > until
    })
    .await;
    assert_eq!(whose(&driver, "blr").await.as_deref(), Some("blr"));
    border.stack.node("hyd").server.start().await.unwrap();
    drive(&border, &driver, border.edge, "the driver over there", async || {
        whose(&driver, "blr").await.as_deref() == Some("hyd")
    })
    .await;
    let folder = border.stack.folder().to_owned();
    border.stack.stop().await.unwrap();
    let logs = ["blr", "hyd"].map(|region| tenures(&folder.join(region).join("region.db"), id));
    let [blr, hyd] = logs;
    assert!(hyd.taken.len() >= 4, "{hyd:?}");
    println!("{halved} of {rounds} hand-overs were cut in two");
    one_owner(&[blr, hyd]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kitchen_at_the_edge_borrows_a_driver_of_the_other_side_for_one_delivery() {
    let mut border = Border::open().await;
    let (restaurant, id): (RestaurantId, DriverId) = (new_id(), new_id());
    // The last place of blr before the border.
    let step = |n: u32| border.edge.offset_m(f64::from(n) * -100.0, 0.0);
    let cells = &border.blr.world.ground.cells;
    let place = (1..100)
        .map(step)
        .find(|place| cells.contains(place))
        .expect("blr next to it");
    let (issuer, boss) = (border.stack.issuer.clone(), border.stack.nodes[0].api.clone());
    let dish: ItemId = new_id();
    let put = json!({
        "name": "Last dosa", "place": place, "open": true, "delivery_radius_m": 3_000, "preparation_min": 10,
        "menu": [{"id": dish, "name": "Dosa", "price_minor": 9_900, "available": true}],
    });
    let path = format!("/v1/restaurants/{restaurant}");
    boss.command::<Value>(Method::PUT, &path, &put).await.unwrap();
    border.stack.nodes[1]
        .api
        .put_driver(id, "Ravi", "+919845012345")
        .await
        .unwrap();
    let driver = border.api("hyd").with_token(&issuer.driver(id));
    driver.set_online(true).await.unwrap();
    let order = json!({
        "restaurant_id": restaurant, "items": [{"item_id": dish, "quantity": 1}],
        "deliver_to": {"place": place, "line": "12 Church Street"}, "payment": {"method": "cash"},
    });
    let placed = border
        .customer("hyd")
        .send(&placing("loan", &order))
        .await
        .unwrap()
        .json();
    let staff = border.api("blr").with_token(&issuer.restaurant(new_id(), restaurant));
    let order_id: OrderId = placed["id"].as_str().unwrap().parse().unwrap();
    staff.accept(restaurant, order_id, 1).await.unwrap();
    staff.ready(restaurant, order_id).await.unwrap();
    // The driver's app talks to its own node all the time.
    let asked = async || driver.driver_home().await.is_ok_and(|home| !home.offers.is_empty());
    drive(&border, &driver, border.edge, "an offer of the other region", asked).await;
    assert_eq!(whose(&driver, "hyd").await.as_deref(), Some("blr"));
    let offer = driver.driver_home().await.unwrap().offers[0]
        .delivery
        .offer
        .clone()
        .unwrap();
    let delivery = driver.accept_offer(offer.id).await.unwrap().delivery.id;
    driver.pick_up(delivery).await.unwrap();
    let pin = placed["pin"].as_str().unwrap().to_owned();
    let done = driver.complete(delivery, &Proof::Pin { pin }).await.unwrap();
    assert_eq!(done.state, OrderState::Delivered);
    drive(&border, &driver, border.edge, "the driver back home", async || {
        whose(&driver, "hyd").await.as_deref() == Some("hyd")
    })
    .await;
    let folder = border.stack.folder().to_owned();
    border.stack.stop().await.unwrap();
    one_owner(&["blr", "hyd"].map(|region| tenures(&folder.join(region).join("region.db"), id)));
}

/// When a region let go of a driver, and when it took them: epochs and moments of its outbox.
#[derive(Debug, Default)]
struct Tenures {
    given: BTreeMap<u64, i64>,
    taken: BTreeMap<u64, i64>,
}

fn tenures(file: &std::path::Path, id: DriverId) -> Tenures {
    let connection = tomato_node::store::pool::connect(file).unwrap();
    let mut statement = connection.prepare("SELECT payload FROM outbox ORDER BY seq").unwrap();
    let payloads = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let mut found = Tenures::default();
    for payload in payloads {
        let Decoded::Known(envelope) = decode(&payload.unwrap()).unwrap() else {
            continue;
        };
        match envelope.event {
            Event::DriverHandedOver(Crossing { driver_id, epoch, .. }) if driver_id == id => {
                assert_eq!(found.given.insert(epoch, envelope.at.0), None, "an epoch is given once");
            }
            Event::DriverTakenOver(Crossing { driver_id, epoch, .. }) if driver_id == id => {
                assert_eq!(found.taken.insert(epoch, envelope.at.0), None, "an epoch is taken once");
            }
            _ => {}
        }
    }
    found
}

/// In the logs of all regions together the driver is given away, then taken, epoch after epoch: never two owners.
fn one_owner(logs: &[Tenures]) {
    let merged = |pick: fn(&Tenures) -> &BTreeMap<u64, i64>| {
        let mut all = BTreeMap::new();
        for (epoch, at) in logs.iter().flat_map(pick) {
            assert_eq!(all.insert(*epoch, *at), None, "epoch {epoch} in two regions");
        }
        all
    };
    let (given, taken) = (merged(|log| &log.given), merged(|log| &log.taken));
    let last = *given.keys().last().expect("given at least once");
    assert_eq!(
        given.keys().copied().collect::<Vec<_>>(),
        (2..=last).collect::<Vec<_>>()
    );
    assert_eq!(given.keys().collect::<Vec<_>>(), taken.keys().collect::<Vec<_>>());
    for (epoch, at) in &given {
        // Both clocks are this machine's.
        assert!(taken[epoch] >= *at, "taken before it was given, epoch {epoch}");
        assert!(
            given.get(&(epoch + 1)).is_none_or(|next| *next >= taken[epoch]),
            "epoch {epoch}"
        );
    }
}
