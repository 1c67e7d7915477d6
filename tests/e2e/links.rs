//! Links to the hub by TLS, and by WebSocket as networks want it that only let HTTPS out: the real programs, with what
//! `tomato-hub region add` has written.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tomato_shared::cell::RegionId;
use tomato_tests::ports;
use tomato_tests::process::ask_hub;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;
use toml::{Table, Value};

use crate::Town;
use crate::regions::{LIMIT, until_seen};

const ORDERS: u64 = 2;

/// An authority of our own, and a certificate of the hub that it has signed.
fn certify(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let cert = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("hub.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("hub.key"), key.serialize_pem()).unwrap();
}

/// A file of a stack, changed as an operator would.
fn edit(file: &Path, change: impl FnOnce(&mut Table)) {
    let mut table: Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    change(&mut table);
    std::fs::write(file, table.to_string()).unwrap();
}

fn table<'t>(table: &'t mut Table, name: &str) -> &'t mut Table {
    let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    inner.as_table_mut().unwrap()
}

/// Lets a region in again, and puts what the hub says of the link into its file.
fn enrol(folder: &Path, region: &str) -> Table {
    let keys = folder.join("keys");
    let out = keys.to_str().unwrap();
    let args = ["region", "add", "--region", region, "--rotate", "--out", out];
    let mut written: Table = ask_hub(folder, &args).unwrap().parse().unwrap();
    let leaf = table(table(&mut written, "broker"), "leaf").clone();
    edit(&folder.join(format!("{region}.toml")), |file| {
        table(file, "broker").insert("leaf".into(), Value::Table(leaf.clone()));
    });
    leaf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_come_by_tls_and_by_websocket_and_not_without_a_certificate_that_they_trust() {
    let plan = StackPlan::default()
        .region("blr")
        .region("hyd")
        .region("maa")
        .rate(120.0);
    let mut stack = Stack::prepare(plan).unwrap();
    let folder = stack.folder().to_owned();
    certify(&folder);
    let web = ports::free();
    let path = |name: &str| Value::String(folder.join(name).display().to_string());
    let config = folder.join("hub.toml");
    edit(&config, |hub| {
        table(hub, "enrolment").insert("ca_file".into(), path("ca.pem"));
        let leaf = table(table(hub, "broker"), "leaf");
        leaf.insert("tls_cert_file".into(), path("hub.pem"));
        leaf.insert("tls_key_file".into(), path("hub.key"));
        leaf.insert("websocket_port".into(), i64::from(web.port()).into());
    });
    let scheme = |leaf: &Table| {
        leaf["hub_urls"][0]
            .as_str()
            .unwrap()
            .split_once("://")
            .unwrap()
            .0
            .to_owned()
    };
    assert_eq!(scheme(&enrol(&folder, "blr")), "tls");
    enrol(&folder, "maa");
    edit(&config, |hub| {
        let urls = vec![Value::String(format!("wss://localhost:{}", web.port()))];
        table(hub, "enrolment").insert("leaf_urls".into(), urls.into());
    });
    assert_eq!(scheme(&enrol(&folder, "hyd")), "wss");
    // maa trusts only those whom every system trusts.
    edit(&folder.join("maa.toml"), |file| {
        table(table(file, "broker"), "leaf").remove("ca_file");
    });
    stack.start().await.unwrap();
    for (region, seed) in [("blr", 61), ("hyd", 62)] {
        let id: RegionId = region.parse().unwrap();
        until_seen(stack.hub(), &id, "up").await;
        let town = Town::open(&stack, region, seed).await;
        town.serve(ORDERS, async {}).await;
        let whole = poll_until("every order at the hub", LIMIT, async || {
            let hub = &stack.hub.as_ref()?.api;
            let row = hub.hub_region(&id).await.ok()??;
            let orders = hub.hub_orders(&id).await.ok()?;
            (row.missing_events == 0 && orders.len() == ORDERS as usize).then_some(())
        });
        whole.await.unwrap();
    }
    // It sells all the same.
    let town = Town::open(&stack, "maa", 63).await;
    town.serve(ORDERS, async {}).await;
    let outbox = stack.node("maa").api.overview().await.unwrap().outbox;
    assert_eq!(outbox.watermark_seq, 0, "the hub has heard nothing of it");
    let maa: RegionId = "maa".parse().unwrap();
    until_seen(stack.hub(), &maa, "never").await;
    drop(town);
    stack.stop().await.unwrap();
}
