//! Who owns which cells: the same answer from every node and the hub, and from every node without the hub.

use std::time::Duration;

use serde_json::Value;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(180);
pub(crate) const REGIONS: [&str; 3] = ["blr", "hyd", "maa"];

/// Three cities and a hub, running, of which each knows all.
pub(crate) async fn three(rate: f64) -> Stack {
    let plan = REGIONS
        .iter()
        .fold(StackPlan::default().rate(rate), |plan, region| plan.region(region));
    let mut stack = Stack::prepare(plan).unwrap();
    stack.start().await.unwrap();
    for region in REGIONS {
        everybody_says(&mut stack, region).await;
    }
    stack
}

/// Who serves the middle of a city, by its own file.
fn middle(stack: &Stack, region: &str) -> String {
    let node = stack.nodes.iter().find(|node| node.region.as_str() == region).unwrap();
    let centre = node.ground.centre;
    format!("/v1/locate?lat={}&lng={}", centre.lat(), centre.lng())
}

async fn nodes_say(stack: &mut Stack, region: &str) {
    let path = middle(stack, region);
    let url = stack.node(region).server.public().base().to_owned();
    for node in &stack.nodes {
        let public = node.server.public().clone();
        let found = wait_until("a node that knows the whole map", LIMIT, async || {
            let found = public.get::<Value>(&path).await.ok()?;
            (found["region"] == region && found["map_version"].as_u64()? > 0).then_some(found)
        })
        .await;
        assert_eq!(
            found["public_url"].as_str().unwrap().trim_end_matches('/'),
            url.trim_end_matches('/')
        );
        assert!(found["as_of"].is_string(), "{found}");
    }
}

async fn everybody_says(stack: &mut Stack, region: &str) {
    nodes_say(stack, region).await;
    let path = middle(stack, region);
    let hub = stack.hub().server.public().clone();
    let found = hub.get::<Value>(&path).await.unwrap();
    assert_eq!(found["region"], region);
    let by_cell = hub
        .get::<Value>(&format!("/v1/locate?cell={}", found["cell"].as_str().unwrap()))
        .await;
    assert_eq!(by_cell.unwrap()["region"], region);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_says_who_serves_a_place_also_without_the_hub() {
    let mut stack = three(1.0).await;
    let nowhere = "/v1/locate?lat=0&lng=0";
    for api in [
        stack.hub().server.public().clone(),
        stack.nodes[0].server.public().clone(),
    ] {
        let refused = api.get::<Value>(nowhere).await.unwrap_err();
        assert_eq!(refused.code(), "nobody_serves", "{refused:?}");
    }
    stack.hub().server.kill9();
    for region in REGIONS {
        nodes_say(&mut stack, region).await;
    }
    // Not only from memory: the copy is in the region's file.
    let node = stack.node("blr");
    node.server.kill9();
    node.server.start().await.unwrap();
    for region in REGIONS {
        nodes_say(&mut stack, region).await;
    }
    stack.hub().server.start().await.unwrap();
    for region in REGIONS {
        everybody_says(&mut stack, region).await;
    }
    stack.stop().await.unwrap();
}
