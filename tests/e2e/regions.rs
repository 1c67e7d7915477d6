//! Regions that come and go while the hub runs: let in with one command and started from what it wrote; revoked, and cut off
//! at once and for good, while they sell on.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tomato_shared::cell::{Cell, REGION_RESOLUTION, RegionId};
use tomato_tests::client::{Api, Request, connections};
use tomato_tests::compare::verify;
use tomato_tests::ports;
use tomato_tests::process::ask_hub;
use tomato_tests::server::Server;
use tomato_tests::stack::{Stack, StackPlan, TestHub};
use tomato_tests::wait::poll_until;

use crate::Town;

pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// The node's word on its link, and whether it takes orders.
async fn link(server: &Server) -> Option<(bool, String, u16)> {
    let readyz = Request::new(Method::GET, "/readyz?verbose");
    let answer = server.public().send(&readyz).await.ok()?;
    let health: Value = answer.json();
    let check = health["checks"]
        .as_array()?
        .iter()
        .find(|check| check["name"] == "link")?;
    let detail = check["detail"].as_str().unwrap_or_default().to_owned();
    Some((check["ok"].as_bool()?, detail, answer.status.as_u16()))
}

async fn until_refused(server: &Server) {
    let refused = poll_until("the node to say that it is refused", LIMIT, async || {
        link(server).await.filter(|(ok, _, _)| !ok)
    });
    let (_, detail, status) = refused.await.unwrap();
    assert!(detail.contains("authorisation refused"), "{detail}");
    assert_eq!(status, 200, "it sells on");
}

pub(crate) async fn until_seen(hub: &TestHub, region: &RegionId, wanted: &str) {
    let what = format!("{region} to be {wanted} at the hub");
    let seen = poll_until(&what, LIMIT, async || {
        let row = hub.api.hub_region(region).await.ok()??;
        (row.link == wanted).then_some(())
    });
    seen.await.unwrap();
}

/// Waits until the hub and hyd say that a cell is `wanted`'s, or give that as the reason why it is nobody's.
async fn until_owned(stack: &Stack, cell: Cell, wanted: &str) {
    let locate = Request::new(Method::GET, format!("/v1/locate?cell={cell}"));
    let says = async |server: &Server| {
        let found: Value = server.public().send(&locate).await.ok()?.json();
        (found["region"] == wanted || found["code"] == wanted).then_some(())
    };
    let hyd = stack.nodes.iter().find(|node| node.region.as_str() == "hyd").unwrap();
    let known = poll_until(wanted, LIMIT, async || {
        says(&stack.hub.as_ref()?.server).await?;
        says(&hyd.server).await
    });
    known.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_region_is_cut_off_at_once_and_for_good_and_others_are_not() {
    let mut stack = Stack::prepare(StackPlan::default().region("blr").region("hyd").rate(120.0)).unwrap();
    stack.start().await.unwrap();
    let (blr, hyd): (RegionId, RegionId) = ("blr".parse().unwrap(), "hyd".parse().unwrap());
    for region in [&blr, &hyd] {
        until_seen(stack.hub(), region, "up").await;
    }
    let cell = stack.node("blr").ground.centre.cell(REGION_RESOLUTION);
    until_owned(&stack, cell, "blr").await;
    let broker = stack.hub().server.nats_pid();
    ask_hub(stack.folder(), &["region", "revoke", "--region", "blr"]).unwrap();
    until_refused(&stack.node("blr").server).await;
    until_seen(stack.hub(), &blr, "down").await;
    until_seen(stack.hub(), &hyd, "up").await;
    assert_eq!(stack.hub().server.nats_pid(), broker, "nothing was restarted");
    // It goes on selling, and its old key opens nothing any more.
    let town = Town::open(&stack, "blr", 81).await;
    town.serve(3, async {}).await;
    stack.node("blr").server.stop().await.unwrap();
    stack.node("blr").server.start().await.unwrap();
    until_refused(&stack.node("blr").server).await;
    let applied = stack.hub().api.hub_region(&blr).await.unwrap().unwrap().applied_seq;
    let head = stack.node("blr").api.overview().await.unwrap().outbox.head_seq;
    assert!(applied < head, "the hub has {applied} of {head}");
    // Without it nobody serves its cells, and others do not wait for it.
    ask_hub(stack.folder(), &["cells", "release", "blr"]).unwrap();
    until_owned(&stack, cell, "nobody_serves").await;
    // Let in again it gets a new key and its cells, and the hub what it lacks.
    ask_hub(
        stack.folder(),
        &[
            "region",
            "add",
            "--region",
            "blr",
            "--out",
            stack.folder().join("keys").to_str().unwrap(),
        ],
    )
    .unwrap();
    stack.node("blr").server.stop().await.unwrap();
    stack.node("blr").server.start().await.unwrap();
    until_owned(&stack, cell, "blr").await;
    town.close(&stack, 3).await;
    assert_eq!(link(&stack.node("blr").server).await.map(|(ok, _, _)| ok), Some(true));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_starts_from_what_add_has_written_and_appears_at_a_hub_that_runs() {
    let mut stack = Stack::prepare(StackPlan::default()).unwrap();
    stack.start().await.unwrap();
    let broker = poll_until("the hub's broker", LIMIT, async || stack.hub().server.nats_pid()).await;
    let broker = Some(broker.unwrap());
    let (out, blr) = (stack.folder().join("keys"), "blr".parse::<RegionId>().unwrap());
    let site = "--currency INR --time-zone Asia/Kolkata --lat 12.9716 --lng 77.5946 --rings 4";
    let (http, nats) = (ports::free(), ports::free());
    let url = format!("http://{http}");
    let mut args = vec![
        "region",
        "add",
        "--region",
        "blr",
        "--out",
        out.to_str().unwrap(),
        "--public-url",
        &url,
    ];
    args.extend(site.split(' '));
    let printed = ask_hub(stack.folder(), &args).unwrap();
    let config = out.join("blr.toml");
    assert_eq!(printed, std::fs::read_to_string(&config).unwrap());
    // Only what a second region on one machine has to have of its own.
    let data = stack.folder().join("blr");
    let public = Api::new(&connections(), &url);
    let mut node = Server::new("tomato-node", &config, data.clone(), public).unwrap();
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    for (key, value) in [
        ("TOMATO__DATA_DIR", data.to_str().unwrap()),
        ("TOMATO__HTTP__LISTEN", &http.to_string()),
        ("TOMATO__BROKER__SERVER__PORT", &nats.port().to_string()),
        ("TOMATO__BROKER__SERVER__BINARY", binary.to_str().unwrap()),
    ] {
        node.env(key, value);
    }
    node.start().await.unwrap();
    until_seen(stack.hub(), &blr, "up").await;
    let verified = poll_until("hub and region to be equal", LIMIT, async || verify(&stack).ok());
    assert!(verified.await.unwrap().contains("0 differences"));
    assert_eq!(stack.hub().server.nats_pid(), broker, "nothing was restarted");
    node.stop().await.unwrap();
    stack.stop().await.unwrap();
}
