//! Every rule, from what regions say to the webhook of whoever is on call.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use serde_json::Value;
use tomato_shared::cell::RegionId;
use tomato_shared::event::{Event, OrderRef};
use tomato_shared::id::Id;
use tomato_shared::subject::Origin;
use tomato_shared::sync::Heartbeat;
use tomato_shared::time::UnixMs;

use super::*;
use crate::ingest::apply::{Arrival, Batch, apply};
use crate::life::{START, Talker, created};
use crate::live::Heard;
use crate::store::regions;
use crate::store::settle::Signed;

/// Each rule, and the region in which it fires.
const RULES: [(&str, &str); 7] = [
    ("region_silent", "silent"),
    ("sync_lag", "lagging"),
    ("clock_skew", "skewed"),
    ("payment_failures", "declined"),
    ("unaccepted_orders", "waiting"),
    ("no_drivers", "driverless"),
    ("ledger_mismatch", "unpaid"),
];

/// Somebody's pager: keeps what it took, and takes nothing while it is broken.
#[derive(Debug, Default)]
struct Pager {
    broken: AtomicBool,
    tries: Mutex<usize>,
    taken: Mutex<Vec<(String, Value)>>,
}

async fn page(State(pager): State<Arc<Pager>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    *pager.tries.lock().unwrap() += 1;
    if pager.broken.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let alert = serde_json::from_slice(&body).unwrap();
    pager.taken.lock().unwrap().push((key, alert));
    StatusCode::NO_CONTENT
}

/// What a region has said, up to a moment.
fn said(region: &str, now: UnixMs) -> Vec<Vec<u8>> {
    let mut talker = Talker::new(region);
    let mut said = Vec::new();
    let ago = |minutes: i64| UnixMs(now.0 - minutes * 60_000);
    let mut order = |at: UnixMs, events: Vec<Event>| {
        let id = talker.next_order();
        for (version, event) in (1..).zip([created()].into_iter().chain(events)) {
            said.push(talker.say(Some(OrderRef { id, version }), at, event));
        }
    };
    let confirmed = Event::OrderConfirmed {
        estimated_delivery_at: now,
    };
    let asked = Event::RestaurantAssigned {
        restaurant_id: Id::from_bytes([3; 16]),
        restaurant_name: "Kitchen".into(),
        accept_by: now,
    };
    let cooks = Event::OrderPreparing {
        restaurant_id: Id::from_bytes([3; 16]),
        ready_at: now,
    };
    match region {
        "declined" => (0..20).for_each(|_| {
            let failed = Event::PaymentFailed {
                payment_id: Id::from_bytes([5; 16]),
                reason: "card_declined".into(),
            };
            order(ago(1), vec![failed]);
        }),
        "waiting" => order(ago(20), vec![confirmed, asked]),
        "driverless" => order(ago(1), vec![confirmed, asked, cooks]),
        // Delivered, and nobody has paid.
        "unpaid" => said = talker.order(true, 60_000),
        _ => {}
    }
    said
}

fn beat(region: &str, now: UnixMs) -> Option<Heard> {
    let (head_seq, received_at, at) = match region {
        "silent" => (0, UnixMs(now.0 - 90_000), UnixMs(now.0 - 90_000)),
        "lagging" => (14, now, now),
        "skewed" => (0, now, UnixMs(now.0 - 90_000)),
        _ => return None,
    };
    Some(Heard {
        beat: Heartbeat {
            incarnation: 1,
            head_seq,
            published_seq: head_seq,
            oldest_unsynced_at: Some(UnixMs(at.0 - 120_000)),
            at,
            ..Heartbeat::default()
        },
        received_at,
        received: Some(Instant::now()),
    })
}

/// A hub in which every rule has a reason to fire, each in a region of its own.
fn troubled(dir: &std::path::Path, webhook_url: String) -> Watch {
    let path = dir.join("hub.db");
    let mut conn = crate::store::open(&path).unwrap();
    crate::rebuild::bring_up(&mut conn).unwrap();
    let (live, now) = (Arc::new(Live::default()), clock::now());
    let mut active = Active::new();
    for (_, name) in RULES {
        let region: RegionId = name.parse().unwrap();
        regions::register(&mut conn, &region, name, false, START).unwrap();
        let arrival = |(seq, payload)| Arrival {
            origin: Origin {
                region: region.clone(),
                seq,
            },
            stream_seq: None,
            follows: None,
            payload: Bytes::from(payload),
        };
        let batch = Batch {
            arrivals: (1..).zip(said(name, now)).map(arrival).collect(),
            position: None,
        };
        apply(&mut conn, &batch, now).unwrap();
        live.register(&region);
        if let Some(heard) = beat(name, now) {
            live.hear(&region, heard);
        }
        active.insert(region, name.to_owned());
    }
    Watch {
        config: AlertConfig {
            webhook_url: Some(webhook_url),
            ..AlertConfig::default()
        },
        readers: Pool::readers(&path, 1).unwrap(),
        writer: Pool::writer(&path).unwrap(),
        live,
        registry: tokio::sync::watch::channel(active).1,
        changes: Changes::default(),
    }
}

#[tokio::test]
async fn each_rule_is_told_once_and_stands_there_until_a_person_has_seen_it() {
    let pager = Arc::new(Pager::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/page", post(page))
        .with_state(Arc::clone(&pager));
    let limits = tomato_shared::runtime::serve::ServeLimits::default();
    tokio::spawn(tomato_shared::runtime::serve::serve(
        listener,
        router,
        limits,
        std::future::pending(),
    ));

    let dir = tempfile::tempdir().unwrap();
    let watch = troubled(dir.path(), url);
    let (client, mut changes) = (reqwest::Client::new(), watch.changes.listen());
    // The pager is broken: the alerts stand on the page, and are told when it works.
    pager.broken.store(true, Ordering::SeqCst);
    watch.round(Some(&client)).await.unwrap();
    assert!(changes.try_recv().unwrap().alerts, "whoever watches is told");
    let list = || async { watch.readers.run(|conn| alerts::list(conn, 100)).await.unwrap() };
    let open: BTreeMap<String, String> = list()
        .await
        .into_iter()
        .map(|one| (one.rule, one.region.to_string()))
        .collect();
    let expected = RULES.map(|(rule, region)| (rule.to_owned(), region.to_owned()));
    assert_eq!(open, expected.into());
    assert_eq!(*pager.tries.lock().unwrap(), 1, "one failure is enough for one round");
    pager.broken.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        watch.round(Some(&client)).await.unwrap();
    }
    let taken = pager.taken.lock().unwrap().clone();
    let told: BTreeMap<_, _> = taken
        .iter()
        .map(|(key, alert)| (key.clone(), alert["rule"].clone()))
        .collect();
    assert_eq!(
        (taken.len(), told.len()),
        (RULES.len(), RULES.len()),
        "each once: {told:?}"
    );
    assert!(
        taken
            .iter()
            .all(|(_, alert)| alert["detail"].as_str().is_some_and(|text| text.len() > 10))
    );
    assert_eq!(list().await.len(), RULES.len(), "what still holds stays one alert");

    let id = list().await[0].id;
    let signed = Signed {
        by: "usr_night_shift".into(),
        at: clock::now(),
    };
    let work = move |conn: &mut rusqlite::Connection| alerts::acknowledge(conn, id, &signed);
    watch.writer.run(work).await.unwrap();
    watch.round(Some(&client)).await.unwrap();
    let seen = list().await.into_iter().find(|alert| alert.id == id).unwrap();
    assert_eq!(
        (seen.acked_by.as_deref(), seen.closed_at),
        (Some("usr_night_shift"), None)
    );
}
