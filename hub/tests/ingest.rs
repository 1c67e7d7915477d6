//! The hub with real nats-servers: its own, and one per region, linked as leafs.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use support::life::{START, TOTAL_MINOR, Talker};
use support::node::Node;
use support::{Page, World, eventually};
use tokio_tungstenite::tungstenite::Message;
use tomato_hub::Hub;
use tomato_shared::runtime::shutdown::Exit;
use tomato_shared::time::UnixMs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_mid_stream_loses_and_doubles_nothing() {
    let world = World::new();
    let enrolment = world.enrol("blr");
    let mut node = Node::start(&world, "blr", &enrolment).await;
    // The region was there long before the hub.
    node.commit_orders(400);
    node.publish().await;
    let mut hub = world.spawn();
    for round in 1..=3u64 {
        // In the middle of what is there, once the hub is up.
        let connected = || async {
            let checks = world.get("/readyz?verbose").await?;
            (checks["checks"][1]["ok"] == true).then_some(())
        };
        eventually("the broker", connected).await;
        let middle = 1_000 * round;
        eventually("some events", || async {
            (world.applied("blr") > middle).then_some(())
        })
        .await;
        hub.kill();
        node.commit_orders(200);
        hub = world.spawn();
        node.publish().await;
    }
    world.wait_applied("blr", 7_000).await;
    node.wait_watermark(7_000).await;
    world.assert_whole("blr", 1_000);
    let overview = eventually("the API", || world.get("/v1/overview")).await;
    assert_eq!(overview["sum"]["placed"], 1_000);
    assert_eq!(overview["regions"][0]["money"][0]["revenue_minor"], 750 * TOTAL_MINOR);
    hub.kill();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_added_at_run_time_joins_without_a_restart() {
    let world = World::new();
    let hub = Hub::start(world.config()).await.unwrap();
    let first = world.enrol("blr");
    let mut blr = Node::start(&world, "blr", &first).await;
    blr.commit_orders(4);
    blr.publish().await;
    world.wait_applied("blr", 28).await;
    let pid = std::fs::read_to_string(world.path("hub/nats/server.pid")).unwrap();

    let second = world.enrol("ams");
    let mut ams = Node::start(&world, "ams", &second).await;
    ams.commit_orders(8);
    ams.publish().await;
    world.wait_applied("ams", 56).await;
    world.assert_whole("ams", 8);
    ams.wait_watermark(56).await;
    assert_eq!(std::fs::read_to_string(world.path("hub/nats/server.pid")).unwrap(), pid);
    let view = eventually("a heartbeat", || async {
        world
            .region("ams")
            .await
            .filter(|region| region["link"] == "up" && region["missing_events"] == 0)
    });
    let view = view.await;
    assert_eq!((&view["head_seq"], &view["applied_seq"]), (&56.into(), &56.into()));
    assert_eq!(view["public_url"], "http://ams.example");

    // A removed region's events stay.
    tomato_hub::enrol::remove(&world.config(), &"ams".parse().unwrap()).unwrap();
    let registered = || async { world.region("ams").await.filter(|region| region["registered"] == false) };
    eventually("the removal", registered).await;
    world.assert_whole("ams", 8);
    assert_eq!(hub.shutdown().await, Exit::Clean);
    blr.stop().await;
    ams.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gap_is_repaired_by_the_node_and_others_go_on() {
    let world = World::new();
    let (first, second) = (world.enrol("blr"), world.enrol("ams"));
    let mut blr = Node::start(&world, "blr", &first).await;
    let mut ams = Node::start(&world, "ams", &second).await;
    blr.state.answers.store(false, Ordering::SeqCst);
    blr.commit_orders(20);
    blr.publish().await;
    // What the region's stream loses, no source can deliver.
    let stream = blr.context.get_stream("EV_blr").await.unwrap();
    for seq in 31..=60 {
        assert!(stream.delete_message(seq).await.unwrap());
    }
    let hub = Hub::start(world.config()).await.unwrap();
    let held = || async {
        let region = world.region("blr").await?;
        let problem = region["gap"]["problem"].as_str()?.contains("did not answer");
        (problem && region["applied_seq"] == 30 && region["gap"]["to_seq"] == 140).then_some(())
    };
    eventually("blr to wait at 30", held).await;
    ams.commit_orders(4);
    ams.publish().await;
    world.wait_applied("ams", 28).await;
    assert_eq!(world.applied("blr"), 30);

    blr.state.answers.store(true, Ordering::SeqCst);
    world.wait_applied("blr", 140).await;
    blr.wait_watermark(140).await;
    world.assert_whole("blr", 20);
    // The stream takes over again.
    let asked = blr.state.asked.load(Ordering::SeqCst);
    blr.commit_orders(4);
    blr.publish().await;
    world.wait_applied("blr", 168).await;
    assert_eq!(blr.state.asked.load(Ordering::SeqCst), asked);
    assert_eq!(hub.shutdown().await, Exit::Clean);
    blr.stop().await;
    ams.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_whose_stream_is_silent_is_asked_for_its_events() {
    let world = World::new();
    let mut node = Node::start(&world, "blr", &world.enrol("blr")).await;
    let hub = Hub::start(world.config()).await.unwrap();
    // Committed, and never published: the region's broker is full, or its relay is stuck.
    node.commit_orders(4);
    world.wait_applied("blr", 28).await;
    world.assert_whole("blr", 4);
    node.wait_watermark(28).await;
    // The relay comes back with all of it: nothing is counted twice.
    node.publish().await;
    node.commit_orders(4);
    node.publish().await;
    world.wait_applied("blr", 56).await;
    world.assert_whole("blr", 8);
    assert_eq!(hub.shutdown().await, Exit::Clean);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_repeated_messages_are_quarantined_and_change_nothing() {
    let world = World::new();
    let (first, second) = (world.enrol("blr"), world.enrol("ams"));
    let mut blr = Node::start(&world, "blr", &first).await;
    let mut ams = Node::start(&world, "ams", &second).await;
    let hub = Hub::start(world.config()).await.unwrap();
    blr.commit_orders(4);
    blr.publish().await;
    ams.commit_orders(4);
    // In the place of row 1: an event that speaks for blr; of row 2: row 1 once more; of row 3: no envelope at all.
    let mut forger = Talker::new("blr");
    let forged = forger.order(true, 1);
    ams.publish_instead(&forged[0]).await;
    let own = ams.state.outbox.lock().unwrap()[0].clone();
    ams.publish_instead(&own).await;
    ams.publish_instead(b"\x00garbage").await;
    ams.publish().await;
    world.wait_applied("ams", 28).await;
    world.wait_applied("blr", 28).await;
    world.assert_whole("ams", 4);
    world.assert_whole("blr", 4);
    let refused = world
        .number("SELECT count(*) FROM quarantine WHERE region = 'ams'")
        .unwrap();
    assert!((1..=3).contains(&refused), "{refused}");
    assert_eq!(
        world.number("SELECT count(*) FROM quarantine WHERE region = 'blr'"),
        Some(0)
    );
    assert_eq!(hub.shutdown().await, Exit::Clean);
    blr.stop().await;
    ams.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_a_newer_node_is_kept_and_passed() {
    #[derive(Serialize)]
    struct Newer {
        region: &'static str,
        incarnation: u32,
        seq: u64,
        at: UnixMs,
        event: serde_json::Value,
    }
    let world = World::new();
    let mut node = Node::start(&world, "blr", &world.enrol("blr")).await;
    let hub = Hub::start(world.config()).await.unwrap();
    node.commit_orders(1);
    node.talker.seq += 1;
    let newer = Newer {
        region: "blr",
        incarnation: 1,
        seq: node.talker.seq,
        at: START,
        event: serde_json::json!({"type": "order.teleported", "data": {"to": "moon"}}),
    };
    node.commit(&[rmp_serde::to_vec_named(&newer).unwrap()]);
    node.commit_orders(1);
    node.publish().await;
    world.wait_applied("blr", 15).await;
    let kept = "SELECT count(*) FROM events WHERE seq = 8 AND instr(payload, CAST('order.teleported' AS BLOB)) > 0";
    assert_eq!(world.number(kept), Some(1));
    assert_eq!(
        world.number("SELECT count(*) FROM orders WHERE state = 'DELIVERED'"),
        Some(2)
    );
    assert_eq!(hub.shutdown().await, Exit::Clean);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sleeping_source_is_kicked_after_the_hubs_server_was_killed() {
    let world = World::new();
    let mut node = Node::start(&world, "blr", &world.enrol("blr")).await;
    // Without repair, only the stream can bring anything.
    node.state.answers.store(false, Ordering::SeqCst);
    let hub = Hub::start(world.config()).await.unwrap();
    node.commit_orders(4);
    node.publish().await;
    world.wait_applied("blr", 28).await;
    let pid = std::fs::read_to_string(world.path("hub/nats/server.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    node.commit_orders(4);
    node.publish().await;
    let start = Instant::now();
    world.wait_applied("blr", 56).await;
    // Left alone, the source sleeps for 40 s.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    world.assert_whole("blr", 8);
    node.wait_watermark(56).await;
    assert_eq!(hub.shutdown().await, Exit::Clean);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hub_serves_without_a_broker_and_after_a_clean_restart() {
    let world = World::new();
    let mut node = Node::start(&world, "blr", &world.enrol("blr")).await;
    let hub = Hub::start(world.config()).await.unwrap();
    node.commit_orders(4);
    node.publish().await;
    world.wait_applied("blr", 28).await;
    let beaten = || async {
        world
            .number("SELECT count(*) FROM heartbeats")
            .filter(|rows| *rows == 1)
    };
    eventually("a stored heartbeat", beaten).await;
    assert_eq!(hub.shutdown().await, Exit::Clean);
    node.stop().await;

    let config = std::fs::read_to_string(world.path("hub.toml")).unwrap();
    let managed = config.find("[broker.server]").unwrap();
    let external = format!(
        "{}[broker]\nmode = \"external\"\nurl = \"nats://127.0.0.1:9\"\n",
        &config[..managed]
    );
    std::fs::write(world.path("hub.toml"), external).unwrap();
    let hub = Hub::start(world.config()).await.unwrap();
    let region = world.region("blr").await.unwrap();
    assert_eq!(
        (&region["link"], &region["head_seq"], &region["applied_seq"]),
        (&"down".into(), &28.into(), &28.into())
    );
    assert_eq!(world.get("/v1/overview").await.unwrap()["sum"]["delivered"], 3);
    assert_eq!(world.get("/readyz?verbose").await.unwrap()["checks"][1]["ok"], false);
    assert_eq!(hub.shutdown().await, Exit::Clean);
}

/// What a page was told of regions, alerts aside, or why it was let go.
async fn told(page: &mut Page) -> Result<Value, String> {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(60), page.next())
            .await
            .unwrap();
        match frame.unwrap().unwrap() {
            Message::Text(text) => {
                let mut told: Value = serde_json::from_str(&text).unwrap();
                if told["regions"] != json!({}) {
                    return Ok(told["regions"].take());
                }
            }
            Message::Close(frame) => return Err(frame.unwrap().reason.as_str().to_owned()),
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hear_of_what_was_applied_until_the_hub_stops() {
    let world = World::new();
    let (first, second) = (world.enrol("blr"), world.enrol("ams"));
    let mut blr = Node::start(&world, "blr", &first).await;
    let mut ams = Node::start(&world, "ams", &second).await;
    let hub = Hub::start(world.config()).await.unwrap();
    let (mut all, mut of_ams) = (world.live(None).await, world.live(Some(&["ams"])).await);
    blr.commit_orders(4);
    blr.publish().await;
    let (mut seq, mut orders) = (0, BTreeSet::new());
    while seq < 28 {
        let moved = told(&mut all).await.unwrap()["blr"].take();
        let next = moved["applied_seq"].as_u64().unwrap();
        assert!(
            seq < next && world.applied("blr") >= next,
            "told before it was committed"
        );
        seq = next;
        orders.extend(moved["orders"].as_array().unwrap().iter().map(ToString::to_string));
    }
    let listed = world.get("/v1/orders?region=blr").await.unwrap();
    let listed = listed["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["id"].to_string());
    assert_eq!(orders, listed.collect());

    ams.commit_orders(1);
    ams.publish().await;
    let regions = told(&mut of_ams).await.unwrap();
    let names: Vec<_> = regions.as_object().unwrap().keys().collect();
    assert_eq!(names, ["ams"], "of blr it heard nothing");
    // The pages are not asked to go: they are told, and the hub does not wait for them.
    assert_eq!(hub.shutdown().await, Exit::Clean);
    for page in [&mut all, &mut of_ams] {
        let end = loop {
            if let Err(end) = told(page).await {
                break end;
            }
        };
        assert_eq!(end, "stopping");
    }
    blr.stop().await;
    ams.stop().await;
}
