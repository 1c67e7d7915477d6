//! Drivers between two regions with one broker between them.

use std::collections::BTreeMap;

use tomato_shared::cell::{Cell, CellSet, REGION_RESOLUTION};
use tomato_shared::directory::{Map, Move, Phase};

use super::elsewhere::{Pair, far, from, region};
use super::*;
use crate::config::BordersConfig;
use crate::dispatch::plane::Plane;
use crate::engine::command::Command;
use crate::engine::matching::{Plan, Planned};
use crate::engine::model::By;
use crate::region::borders::Borders;
use crate::region::loans::Loans;
use crate::writer::Context;

/// Both regions look after their borders, without patience.
fn watch_borders(pair: &Pair) {
    let config = BordersConfig {
        hand_over_after_ms: 1,
        loan_after_ms: 1,
    };
    for rig in [&pair.blr, &pair.hyd] {
        let borders = Borders::new(rig.app.clone(), rig.app.peers.clone().unwrap(), &config);
        tokio::spawn(borders.run(rig.supervisor.stop_signal()));
    }
}

/// A second driver of `blr`, signed on and at a place.
async fn other_driver(pair: &Pair, place: LatLng) -> String {
    let (operator, driver) = (pair.blr.operator(), pair.blr.driver(OTHER_DRIVER));
    let me = json!({"name": "Ravi", "phone": "+91 80 2"});
    pair.blr
        .put(&format!("/v1/drivers/{OTHER_DRIVER}"), &operator, me)
        .await
        .expect(200);
    pair.blr
        .put("/v1/drivers/me/status", &driver, json!({"online": true}))
        .await
        .expect(200);
    let fix = json!([{"lat": place.lat(), "lng": place.lng(), "at": pair.blr.clock.now()}]);
    pair.blr
        .post("/v1/drivers/me/locations", &driver, fix)
        .await
        .expect(204);
    driver
}

/// Whose the driver is, as the driver hears it from `blr`.
async fn has_driver(pair: &Pair, driver: &str, name: &str) -> Option<Value> {
    let me = pair.blr.get("/v1/drivers/me", driver).await;
    let here = me.status == 200 && me.json["driver"]["region"].is_null();
    (here && from(&me) == name).then_some(me.json)
}

#[tokio::test]
async fn who_idles_goes_along_when_their_cells_do() {
    let pair = Pair::new().await;
    watch_borders(&pair);
    let beside = centre().offset_m(0.0, 4_000.0);
    let driver = other_driver(&pair, beside).await;
    assert!(has_driver(&pair, &driver, "").await.is_some());
    let cell = beside.cell(REGION_RESOLUTION);
    for rig in [&pair.blr, &pair.hyd] {
        let mut map = rig.app.locator.directory().map().clone();
        map.version += 1;
        map.hand_over(&region("blr"), &region("hyd"), &CellSet::new([cell]));
        let taken = rig
            .writer
            .submit(By::System, Command::TakeMap(Box::new(map)), Context::default());
        taken.await.unwrap();
    }
    until("the driver with the cells", || has_driver(&pair, &driver, "hyd")).await;
}

#[tokio::test]
async fn a_driver_who_idles_in_another_regions_cells_is_handed_over() {
    let pair = Pair::new().await;
    watch_borders(&pair);
    let driver = other_driver(&pair, far()).await;
    let me = until("the driver over there", || has_driver(&pair, &driver, "hyd")).await;
    assert_eq!(
        (&me["driver"]["name"], &me["driver"]["online"]),
        (&json!("Ravi"), &json!(true))
    );
    until("the giver's own note", || async {
        let row = pair.blr.get("/v1/drivers", &pair.blr.operator()).await.json;
        (row["data"][1]["region"] == "hyd" && row["data"][1]["online"] == false).then_some(())
    })
    .await;
    // The app goes on talking to the node that it knows.
    let off = pair
        .blr
        .put("/v1/drivers/me/status", &driver, json!({"online": false}))
        .await
        .expect(200);
    assert_eq!((from(&off), &off.json["online"]), ("hyd", &json!(false)));
    let operator = pair.blr.operator();
    let path = format!("/v1/drivers/{OTHER_DRIVER}/status");
    let refused = pair
        .blr
        .put(&path, &operator, json!({"online": true}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "driver_elsewhere");
}

/// An order that is ready in `hyd`, and beside its restaurant an idle driver of `blr`.
struct Beside {
    pair: Pair,
    driver: String,
    placed: Value,
}

impl Beside {
    async fn new() -> Self {
        let beside = far().offset_m(2_300.0, 0.0);
        let pair = Pair::with(|mut map, _| {
            let edge = beside.cell(REGION_RESOLUTION);
            let cells = |map: &Map, name: &str| map.regions[&region(name)].cells.iter().collect::<Vec<_>>();
            let (mut blr, mut hyd) = (cells(&map, "blr"), cells(&map, "hyd"));
            hyd.retain(|cell| *cell != edge);
            blr.push(edge);
            for (name, cells) in [("blr", blr), ("hyd", hyd)] {
                map.regions.get_mut(&region(name)).unwrap().cells = CellSet::new(cells);
            }
            map
        })
        .await;
        let driver = other_driver(&pair, beside).await;
        let (customer, kitchen) = (pair.blr.customer(CUSTOMER), pair.blr.restaurant(OTHER_RESTAURANT));
        let mut menu = restaurant();
        menu["place"] = json!(far());
        let path = format!("/v1/restaurants/{OTHER_RESTAURANT}");
        pair.hyd.put(&path, &pair.blr.operator(), menu).await.expect(200);
        let mut body = basket();
        body["restaurant_id"] = json!(OTHER_RESTAURANT);
        body["deliver_to"]["place"] = json!(far());
        let placed = pair.hyd.place(&customer, "k", &body).await.expect(201).json;
        let act = |verb: &str| format!("{path}/orders/{}/{verb}", text(&placed["id"]));
        pair.hyd
            .post(&act("accept"), &kitchen, json!({"ready_in_min": 1}))
            .await
            .expect(200);
        pair.hyd.post(&act("ready"), &kitchen, json!({})).await.expect(200);
        Self { pair, driver, placed }
    }

    /// A region's plan: this driver of its own fetches the order so long from now.
    fn plans(&self, rig: &Rig, driver: Option<DriverId>, away: DurationMs) {
        let now = rig.app.clock.now();
        let row = Planned {
            order: text(&self.placed["id"]).parse().unwrap(),
            driver,
            pickup_ms: (now + away).0,
            door_ms: (now + away).0,
            runner_up: None,
        };
        let plan = Plan {
            orders: vec![row],
            ..Plan::default()
        };
        rig.app
            .board
            .show(&plan, &Plane::around(Some(far())), (now, None), &BTreeMap::new());
    }
}

#[tokio::test]
async fn a_region_that_plans_borrows_what_its_plan_lacks_and_lends_whom_it_does_not_need() {
    let beside = Beside::new().await;
    let (pair, driver) = (&beside.pair, &beside.driver);
    let at_home = async || has_driver(pair, driver, "").await.is_some();
    let look = async || {
        let peers = pair.hyd.app.peers.clone().unwrap();
        let mut loans = Loans::new(pair.hyd.app.clone(), peers, DurationMs(1));
        loans.look().await;
    };
    let (own, soon, late) = (Some(DRIVER), DurationMs(-1_000), DurationMs::from_mins(20));
    beside.plans(&pair.hyd, own, soon);
    look().await;
    assert!(at_home().await, "its own driver is there in time");
    beside.plans(&pair.hyd, own, late);
    for (lender, why) in [
        (Some(OTHER_DRIVER), "the lender needs this driver"),
        (None, "the lender has nobody itself"),
    ] {
        beside.plans(&pair.blr, lender, soon);
        look().await;
        assert!(at_home().await, "{why}");
    }
    beside.plans(&pair.blr, own, soon);
    look().await;
    assert!(!at_home().await, "nobody needs this driver more");
}

#[tokio::test]
async fn a_driver_is_borrowed_for_an_order_that_nobody_takes_and_goes_home() {
    let Beside { pair, driver, placed } = Beside::new().await;
    watch_borders(&pair);
    let me = until("an offer of the other region", || has_driver(&pair, &driver, "hyd")).await;
    let offer = text(&me["offers"][0]["delivery"]["offer"]["id"]);
    let taken = pair
        .blr
        .post(&format!("/v1/offers/{offer}/accept"), &driver, json!({}))
        .await
        .expect(200);
    assert_eq!(from(&taken), "hyd");
    let delivery = text(&taken.json["delivery"]["id"]);
    let step = |verb: &str| format!("/v1/deliveries/{delivery}/{verb}");
    pair.blr.post(&step("pickup"), &driver, json!({})).await.expect(200);
    let proof = json!({"proof": {"kind": "pin", "pin": placed["pin"]}});
    let done = pair.blr.post(&step("complete"), &driver, proof).await.expect(200);
    assert_eq!((from(&done), &done.json["state"]), ("hyd", &json!("DELIVERED")));
    until("the driver back home", || has_driver(&pair, &driver, "")).await;
}

/// Moves a cell from `blr` to `hyd`, as the hub does.
async fn move_cell(pair: &Pair, id: u64, cell: Cell) {
    let take = async |change: &dyn Fn(&mut Map)| {
        for rig in [&pair.blr, &pair.hyd] {
            let mut map = rig.app.locator.directory().map().clone();
            map.version += 1;
            change(&mut map);
            let command = Command::TakeMap(Box::new(map));
            rig.writer
                .submit(By::System, command, Context::default())
                .await
                .unwrap();
        }
    };
    let row = |phase| Move {
        id,
        from: region("blr"),
        to: region("hyd"),
        cells: CellSet::new([cell]),
        phase,
    };
    take(&|map| map.moves = vec![row(Phase::Leaving)]).await;
    take(&|map| {
        map.moves = vec![row(Phase::Arriving)];
        map.hand_over(&region("blr"), &region("hyd"), &CellSet::new([cell]));
    })
    .await;
    let file = crate::store::pool::connect(&pair.blr.app.path).unwrap();
    let (_, bytes) = crate::store::moves::chunk(&file, id, 0, 1 << 20).unwrap().unwrap();
    let parcel = Box::new(rmp_serde::from_slice(&bytes).unwrap());
    let taken = pair
        .hyd
        .writer
        .submit(By::System, Command::TakeIn(id, parcel), Context::default());
    taken.await.unwrap();
    take(&|map| map.moves.clear()).await;
}

#[tokio::test]
async fn a_key_means_the_same_order_wherever_its_cells_have_gone() {
    let pair = Pair::new().await;
    let customer = pair.blr.customer(CUSTOMER);
    let door = centre().offset_m(0.0, 3_000.0);
    let mut order = basket();
    order["deliver_to"]["place"] = json!(door);
    let first = pair.blr.place(&customer, "k", &order).await.expect(201);
    // The customer's cell goes, and then the kitchen's.
    for (id, place) in [(1, door), (2, centre())] {
        move_cell(&pair, id, place.cell(REGION_RESOLUTION)).await;
        for rig in [&pair.hyd, &pair.blr] {
            let again = rig.place(&customer, "k", &order).await.expect(201);
            assert_eq!((from(&again), &again.bytes), ("", &first.bytes));
        }
    }
    // What is new goes to whoever has the kitchen now, also from the node that had it.
    let new = pair.blr.place(&customer, "new", &order).await.expect(201);
    assert_eq!(from(&new), "hyd");
    assert_eq!(
        pair.hyd.place(&customer, "new", &order).await.expect(201).bytes,
        new.bytes
    );
    let menu = pair
        .blr
        .get(&format!("/v1/restaurants/{RESTAURANT}"), "")
        .await
        .expect(200);
    assert_eq!(from(&menu), "hyd");
    let kitchen = pair.blr.restaurant(RESTAURANT);
    let list = pair
        .blr
        .get(&format!("/v1/restaurants/{RESTAURANT}/orders"), &kitchen)
        .await
        .expect(200);
    assert_eq!((from(&list), &list.json["data"][0]["id"]), ("hyd", &new.json["id"]));
    // What was paid here is cooked here.
    let accept = format!("/v1/restaurants/{RESTAURANT}/orders/{}/accept", text(&first.json["id"]));
    let old = pair
        .hyd
        .post(&accept, &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    assert_eq!(from(&old), "blr");
}
