//! What crosses the links between a hub and two regions, and what does not.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::{Config, External, Source};
use async_nats::jetstream::{self, kv};
use futures_util::StreamExt as _;

use super::super::*;
use super::bench::*;

struct Fleet {
    _bench: Bench,
    _servers: [ManagedServer; 3],
    hub: Client,
    ams: Client,
    blr: Client,
}

/// A hub with two linked regions that have their event streams.
async fn fleet() -> Option<Fleet> {
    let mut bench = Bench::new()?;
    let (ams, blr) = (bench.enrol("ams"), bench.enrol("blr"));
    let servers = [bench.start("ams", &ams), bench.start("blr", &blr), bench.start_hub()];
    let [ams, blr, hub] = &servers;
    let (ams, blr, hub) = (
        client(ams, "ams").await,
        client(blr, "blr").await,
        client(hub, "hub").await,
    );
    for (region, client) in [("ams", &ams), ("blr", &blr)] {
        event_stream(client, region).await;
        linked(&hub, region).await;
    }
    Some(Fleet {
        _bench: bench,
        _servers: servers,
        hub,
        ams,
        blr,
    })
}

fn source(name: &str, api: &str, deliver: &str) -> Source {
    let external = External {
        api_prefix: api.into(),
        delivery_prefix: Some(deliver.into()),
    };
    Source {
        name: name.into(),
        external: Some(external),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_sources_the_streams_of_its_regions() {
    let Some(fleet) = fleet().await else { return };
    for (region, client) in [("ams", &fleet.ams), ("blr", &fleet.blr)] {
        for n in 0..10 {
            publish(client, &format!("tomato.ev.{region}.order.{n}.created")).await;
        }
    }
    let sources = ["ams", "blr"]
        .map(|r| source(&format!("EV_{r}"), &format!("$JS.{r}.API"), &format!("tomato.src.{r}")))
        .to_vec();
    let hub = jetstream::new(fleet.hub.clone());
    let config = Config {
        name: "EVENTS".into(),
        sources: Some(sources),
        ..Default::default()
    };
    let mut stream = hub.create_stream(config).await.unwrap();
    until("the hub has all events", async || {
        (stream.info().await.unwrap().state.messages == 20).then_some(())
    })
    .await;
    publish(&fleet.ams, "tomato.ev.ams.order.10.created").await;
    until("the hub has a later event", async || {
        (stream.info().await.unwrap().state.messages == 21).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_speaks_in_its_own_name_only() {
    let Some(fleet) = fleet().await else { return };
    // The subscriptions of a real hub, wildcards over all regions.
    let mut heard = fleet.hub.subscribe("tomato.hb.*").await.unwrap();
    let mut places = fleet.hub.subscribe("tomato.loc.>").await.unwrap();
    let mut orders = fleet.hub.subscribe("tomato.cmd.hub.>").await.unwrap();
    let mut foreign = fleet.ams.subscribe("tomato.>").await.unwrap();
    let mut commands = fleet.ams.subscribe("tomato.cmd.ams.>").await.unwrap();
    for client in [&fleet.hub, &fleet.ams] {
        client.flush().await.unwrap();
    }
    let send = async |subject: &str| fleet.blr.publish(subject.to_owned(), "x".into()).await.unwrap();
    // Interest travels behind the flush: once the good ones arrive, the forged ones sent before them have been refused.
    let round = async || {
        for forged in [
            "tomato.hb.ams",
            "tomato.loc.ams",
            "tomato.cmd.hub.ams.go",
            "tomato.cmd.ams.hub.go",
        ] {
            send(forged).await;
        }
        for secret in [
            "tomato.ev.blr.order.1.created",
            "tomato.ctl.all.x",
            "tomato.ctl.ams.x",
            "tomato.src.ams.x",
        ] {
            send(secret).await;
        }
        for good in [
            "tomato.hb.blr",
            "tomato.loc.blr",
            "tomato.cmd.hub.blr.go",
            "tomato.cmd.ams.blr.go",
        ] {
            send(good).await;
        }
    };
    for (subscriber, good) in [
        (&mut heard, "tomato.hb.blr"),
        (&mut places, "tomato.loc.blr"),
        (&mut orders, "tomato.cmd.hub.blr.go"),
        (&mut commands, "tomato.cmd.ams.blr.go"),
        (&mut foreign, "tomato.cmd.ams.blr.go"),
    ] {
        let first = until("a good message arrives", async || {
            round().await;
            tokio::time::timeout(Duration::from_millis(200), subscriber.next())
                .await
                .ok()
                .flatten()
        });
        assert_eq!(first.await.subject.as_str(), good);
        // What else has arrived by the time a later request was answered came in the region's own name.
        while let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(50), subscriber.next()).await {
            assert_eq!(next.subject.as_str(), good);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_and_hub_ask_each_other() {
    let Some(fleet) = fleet().await else { return };
    for (to, server) in [("ams", &fleet.ams), ("blr", &fleet.blr), ("hub", &fleet.hub)] {
        let mut asked = server.subscribe(format!("tomato.cmd.{to}.>")).await.unwrap();
        let client = server.clone();
        tokio::spawn(async move {
            while let Some(message) = asked.next().await {
                let Some(reply) = message.reply else { continue };
                client
                    .publish(reply, message.subject.as_str().to_owned().into())
                    .await
                    .unwrap();
            }
        });
    }
    for (from, client) in [("ams", &fleet.ams), ("blr", &fleet.blr), ("hub", &fleet.hub)] {
        for to in ["ams", "blr", "hub"] {
            let subject = format!("tomato.cmd.{to}.{from}.hello");
            let ask = async || client.request(subject.clone(), "".into()).await.ok();
            let answer = until("the other side answers", ask).await;
            assert_eq!(answer.payload, subject.as_bytes());
        }
    }
    let mut told = fleet.blr.subscribe("tomato.ctl.>").await.unwrap();
    for subject in ["tomato.ctl.all.map", "tomato.ctl.blr.stop"] {
        let heard = until("control arrives", async || {
            fleet.hub.publish(subject, "".into()).await.unwrap();
            tokio::time::timeout(Duration::from_millis(200), told.next())
                .await
                .ok()
                .flatten()
        });
        heard.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_read_by_regions_and_written_by_the_hub_only() {
    let Some(fleet) = fleet().await else { return };
    let config = kv::Config {
        bucket: "directory".into(),
        history: 5,
        ..Default::default()
    };
    let at_hub = jetstream::new(fleet.hub.clone())
        .create_key_value(config)
        .await
        .unwrap();
    at_hub.put("region.ams", "1".into()).await.unwrap();
    until("the region reads the key", async || {
        let at_hub = jetstream::with_domain(fleet.blr.clone(), "hub");
        at_hub
            .get_key_value("directory")
            .await
            .ok()?
            .get("region.ams")
            .await
            .ok()?
    })
    .await;

    let mut js = jetstream::with_domain(fleet.blr.clone(), "hub");
    js.set_timeout(Duration::from_millis(300));
    let direct = async |subject: &str| {
        let asked = fleet.blr.request(subject.to_owned(), "x".into());
        matches!(tokio::time::timeout(Duration::from_millis(300), asked).await, Ok(Ok(_)))
    };
    assert!(!direct("$JS.hub.API.$KV.directory.region.blr").await, "any key");
    for name in ["", ".x", ".x.$KV.directory.>"] {
        let create = format!("$JS.hub.API.CONSUMER.CREATE.KV_directory{name}");
        assert!(!direct(&create).await, "the hub's hand: {create}");
    }
    assert!(!direct("$JS.hub.API.INFO").await, "the hub's account");
    assert!(
        !direct("$JS.hub.API.STREAM.DELETE.KV_directory").await,
        "the hub's streams"
    );
    assert!(
        !direct("$JS.ams.API.STREAM.INFO.EV_ams").await,
        "another region's streams"
    );
    assert!(
        js.get_stream("KV_directory").await.is_ok(),
        "but the directory may be opened"
    );
    assert_eq!(at_hub.get("region.ams").await.unwrap().unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_run_over_tls_and_websocket() {
    let Some(mut bench) = Bench::new() else { return };
    let dir = bench.dir.path().to_owned();
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join("hub.crt"), dir.join("hub.key"));
    std::fs::write(&cert, authority.cert.pem()).unwrap();
    std::fs::write(&key, authority.signing_key.serialize_pem()).unwrap();
    let [web] = ports();
    bench.hub_options.leaf.tls_cert_file = Some(cert.clone());
    bench.hub_options.leaf.tls_key_file = Some(key);
    bench.hub_options.leaf.websocket_port = Some(web);
    let leaf_port = bench.hub_options.leaf.port;
    let (mut ams, mut blr, mut cpt) = (bench.enrol("ams"), bench.enrol("blr"), bench.enrol("cpt"));
    for (options, url, ca) in [
        (&mut ams, format!("tls://localhost:{leaf_port}"), Some(&cert)),
        (&mut blr, format!("wss://localhost:{web}"), Some(&cert)),
        // Without the authority the hub's certificate is not trusted.
        (&mut cpt, format!("tls://localhost:{leaf_port}"), None),
    ] {
        let leaf = options.leaf.as_mut().unwrap();
        (leaf.hub_urls, leaf.ca_file) = (vec![url], ca.cloned());
    }
    let hub = bench.start_hub();
    let at_hub = client(&hub, "hub").await;
    let mut kept = Vec::new();
    for (region, options) in [("cpt", &cpt), ("ams", &ams), ("blr", &blr)] {
        let server = bench.start(region, options);
        let at_region = client(&server, region).await;
        event_stream(&at_region, region).await;
        kept.push((server, at_region));
    }
    linked(&at_hub, "ams").await;
    linked(&at_hub, "blr").await;
    let untrusted = jetstream::with_domain(at_hub, "cpt");
    assert!(untrusted.get_stream("EV_cpt").await.is_err());
}
