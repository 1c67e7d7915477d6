//! Lets the registered regions, and no others, into a managed broker; with an external one that is its operator's.
//!
//! nats-server reads its users again, but keeps the links of those who are gone. So after a region was revoked, or has a new
//! key, every link is ended once the server has read its users: those who may come back do within seconds. No single link is
//! picked out, because the name of a link is what its owner says.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tomato_shared::runtime::nats::{Broker, BrokerError, LeafUser, ManagedServer, connect};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject;

use crate::registry::Active;

/// How long the server may take to read its users.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(100);
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The users of a registry.
pub(crate) fn leaf_users(registry: &Active) -> Vec<LeafUser> {
    let user = |(region, key): (&tomato_shared::cell::RegionId, &String)| LeafUser {
        region: region.clone(),
        public_nkey: key.clone(),
    };
    registry.iter().map(user).collect()
}

/// Runs until `stop`. `admitted`: whom the broker has let in since its start.
pub(crate) async fn run(
    broker: Arc<Broker>,
    mut admitted: Active,
    mut registry: watch::Receiver<Active>,
    mut stop: StopSignal,
) -> Result<(), BrokerError> {
    let Broker::Managed(server) = &*broker else {
        stop.stopped().await;
        return Ok(());
    };
    let system = connect(&server.system_access(), "tomato-hub admission", subject::HUB_INBOX).await?;
    loop {
        let changed = tokio::select! {
            () = stop.stopped() => return Ok(()),
            changed = registry.changed() => changed,
        };
        if changed.is_err() {
            // The watcher is gone: the process is stopping.
            stop.stopped().await;
            return Ok(());
        }
        let active = registry.borrow_and_update().clone();
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            () = admit(server, &system, (&admitted, &active)) => {}
        }
        admitted = active;
    }
}

async fn admit(server: &ManagedServer, system: &Client, (before, now): (&Active, &Active)) {
    let read_at = loaded_at(system).await;
    if let Err(fault) = server.reload(&leaf_users(now)) {
        return tracing::error!(%fault, "the broker keeps its old users");
    }
    tracing::info!(regions = now.len(), "the broker lets these regions in");
    let revoked = before.iter().filter(|(region, key)| now.get(*region) != Some(*key));
    let revoked: Vec<&str> = revoked.map(|(region, _)| region.as_str()).collect();
    if revoked.is_empty() {
        return;
    }
    match tokio::time::timeout(PATIENCE, end_links(system, read_at)).await {
        Ok(links) => tracing::info!(
            ?revoked,
            links,
            "keys revoked, and every link ended: the others come back"
        ),
        Err(_) => tracing::error!(
            ?revoked,
            "the broker has not read its users, links of revoked regions may live on; restart the hub"
        ),
    }
}

/// Ends all links once the server has read its configuration again; says how many.
async fn end_links(system: &Client, read_at: Option<String>) -> usize {
    loop {
        let now = loaded_at(system).await;
        if now.is_some()
            && now != read_at
            && let Some(links) = kick_all(system).await
        {
            return links;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// When the server last read its configuration.
async fn loaded_at(system: &Client) -> Option<String> {
    let about = ask(system, "$SYS.REQ.SERVER.PING.VARZ", &json!({})).await?;
    about["data"]["config_load_time"].as_str().map(str::to_owned)
}

async fn kick_all(system: &Client) -> Option<usize> {
    let links = ask(system, "$SYS.REQ.SERVER.PING.LEAFZ", &json!({})).await?;
    let kick = format!("$SYS.REQ.SERVER.{}.KICK", links["server"]["id"].as_str()?);
    let links = links["data"]["leafs"].as_array()?;
    for link in links {
        ask(system, &kick, &json!({"cid": link["id"]})).await?;
    }
    Some(links.len())
}

async fn ask(system: &Client, subject: &str, body: &Value) -> Option<Value> {
    let asked = system.request(subject.to_owned(), body.to_string().into());
    let answer = tokio::time::timeout(ANSWER, asked).await.ok()?.ok()?;
    serde_json::from_slice(&answer.payload).ok()
}
