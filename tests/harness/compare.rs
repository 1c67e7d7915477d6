//! Does the hub say what the regions say? Totals, money, and every single order.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;

use crate::city::tracker::Tracker;
use crate::client::ApiError;
use crate::hub_view::Totals;
use crate::process::{in_namespace, said_by, workspace_program};
use crate::stack::{Stack, TestHub, TestNode};
use crate::view::Overview;
use crate::wait::poll_until;

/// Differences that are listed one by one.
const LISTED: usize = 20;

/// A line of the table: counts, and money in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    pub placed: u64,
    pub delivered: u64,
    pub cancelled: u64,
    pub payment_failed: u64,
    pub active: u64,
    pub revenue_minor: i64,
    pub refunded_minor: i64,
}

impl From<&Overview> for Row {
    fn from(overview: &Overview) -> Self {
        Self {
            placed: overview.placed,
            delivered: overview.delivered,
            cancelled: overview.cancelled,
            payment_failed: overview.payment_failed,
            active: overview.active,
            revenue_minor: overview.revenue_minor,
            refunded_minor: overview.refunded_minor,
        }
    }
}

impl From<&Totals> for Row {
    fn from(totals: &Totals) -> Self {
        Self {
            placed: totals.placed,
            delivered: totals.delivered,
            cancelled: totals.cancelled,
            payment_failed: totals.payment_failed,
            active: totals.active,
            revenue_minor: totals.money.iter().map(|money| money.revenue_minor).sum(),
            refunded_minor: totals.money.iter().map(|money| money.refunded_minor).sum(),
        }
    }
}

/// What a region says, and what the hub says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub region: Row,
    pub hub: Row,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    pub pairs: Vec<Pair>,
    /// Everything that differs, in words; empty when all agree.
    pub differences: Vec<String>,
}

/// Compares until hub and regions agree, or `limit` has passed; the differences of the last look remain. Where they agree,
/// `tomato-hub verify` has to find the same.
pub async fn settle(stack: &Stack, tracker: &Tracker, limit: Duration) -> Result<Comparison, String> {
    let mut last = Err("nothing was compared".to_owned());
    let agreed = poll_until("hub and regions to agree", limit, async || {
        last = compare(stack, tracker).await.map_err(|error| error.to_string());
        last.as_ref()
            .is_ok_and(|found| found.differences.is_empty())
            .then_some(())
    });
    // At the deadline the last look says more than that time is up.
    drop(agreed.await);
    let mut found = last?;
    if found.differences.is_empty() && stack.hub.is_some() {
        let mut command = verification(stack)?;
        let verified = tokio::task::spawn_blocking(move || said_by(&mut command)).await;
        found
            .differences
            .extend(verified.map_err(|error| error.to_string())?.err());
    }
    Ok(found)
}

/// What `tomato-hub verify` says, row by row and by hash; an error where anything differs. The hub has to run, and every
/// region.
pub fn verify(stack: &Stack) -> Result<String, String> {
    said_by(&mut verification(stack)?)
}

/// The command, in the hub's namespace where it has one.
fn verification(stack: &Stack) -> Result<Command, String> {
    let program = workspace_program("tomato-hub")?;
    let mut command = match &stack.network {
        None => Command::new(program),
        Some(network) => {
            let [enter, which] = in_namespace(&network.hub().namespace);
            let mut within = Command::new(enter);
            within.arg(which).arg(program);
            within
        }
    };
    command
        .args(["verify", "--config"])
        .arg(stack.folder().join("hub.toml"));
    Ok(command)
}

/// Compares once.
pub async fn compare(stack: &Stack, tracker: &Tracker) -> Result<Comparison, ApiError> {
    let mut found = Comparison::default();
    let Some(hub) = &stack.hub else { return Ok(found) };
    let overview = hub.api.hub_overview().await?;
    for node in &stack.nodes {
        let region = Row::from(&node.api.overview().await?);
        let totals = overview.regions.iter().find(|row| row.region == node.region);
        let pair = Pair {
            name: node.region.to_string(),
            region,
            hub: totals.map_or(Row::default(), |row| Row::from(&row.totals)),
        };
        if pair.region != pair.hub {
            found
                .differences
                .push(format!("{}: region {:?}, hub {:?}", pair.name, pair.region, pair.hub));
        }
        found.pairs.push(pair);
        compare_events(node, hub, &mut found).await?;
        compare_orders(node, hub, tracker, &mut found).await?;
    }
    Ok(found)
}

async fn compare_events(node: &TestNode, hub: &TestHub, found: &mut Comparison) -> Result<(), ApiError> {
    let outbox = node.api.overview().await?.outbox;
    let applied = hub.api.hub_region(&node.region).await?.map_or(0, |row| row.applied_seq);
    if (outbox.head_seq, outbox.head_seq) != (applied, outbox.watermark_seq) {
        found.differences.push(format!(
            "{}: the region has decided {} events, the hub has applied {applied}, the region knows of {}",
            node.region, outbox.head_seq, outbox.watermark_seq
        ));
    }
    Ok(())
}

type Orders = BTreeMap<OrderId, (OrderState, u32, i64)>;

async fn compare_orders(
    node: &TestNode,
    hub: &TestHub,
    tracker: &Tracker,
    found: &mut Comparison,
) -> Result<(), ApiError> {
    let there = node.api.all_orders().await?;
    let there: Orders = there
        .iter()
        .map(|order| (order.id, (order.state, order.version, order.price.total_minor)))
        .collect();
    let here = hub.api.hub_orders(&node.region).await?;
    let here: Orders = here
        .iter()
        .map(|order| (order.id, (order.status, order.version, order.total_minor)))
        .collect();
    let mut differences = list_differences(&node.region, &there, &here);
    for (id, record) in tracker.records(&node.region) {
        match there.get(&id) {
            None => differences.push(format!(
                "{id}: was placed in {}, which does not have it any more",
                node.region
            )),
            Some((state, ..)) if *state != record.state => {
                let (customer, region) = (record.state.name(), state.name());
                differences.push(format!(
                    "{id}: the customer was told {customer}, {} has {region}",
                    node.region
                ));
            }
            Some(_) => {}
        }
    }
    let more = differences.len().saturating_sub(LISTED);
    differences.truncate(LISTED);
    found.differences.extend(differences);
    if more > 0 {
        found
            .differences
            .push(format!("and {more} more orders of {}", node.region));
    }
    Ok(())
}

fn list_differences(region: &RegionId, there: &Orders, here: &Orders) -> Vec<String> {
    let ids = there.keys().chain(here.keys().filter(|id| !there.contains_key(*id)));
    let tell = |known: Option<&(OrderState, u32, i64)>| match known {
        None => "nothing".to_owned(),
        Some((state, version, total)) => format!("{} at version {version}, {total}", state.name()),
    };
    ids.filter(|id| there.get(*id) != here.get(*id))
        .map(|id| {
            format!(
                "{id}: {region} has {}, the hub has {}",
                tell(there.get(id)),
                tell(here.get(id))
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_differ_or_are_missing_are_named() {
        let id = |byte| OrderId::from_bytes([byte; 16]);
        let there = Orders::from([
            (id(1), (OrderState::Delivered, 12, 500)),
            (id(2), (OrderState::Preparing, 4, 700)),
            (id(3), (OrderState::Pending, 2, 900)),
        ]);
        let mut here = there.clone();
        assert_eq!(
            list_differences(&"blr".parse().unwrap(), &there, &here),
            Vec::<String>::new()
        );
        here.insert(id(2), (OrderState::Confirmed, 3, 700));
        here.remove(&id(3));
        here.insert(id(4), (OrderState::Cancelled, 9, 100));
        let differences = list_differences(&"blr".parse().unwrap(), &there, &here);
        assert_eq!(differences.len(), 3);
        assert!(differences[0].contains("PREPARING at version 4, 700, the hub has CONFIRMED at version 3"));
        assert!(differences[1].ends_with("the hub has nothing") && differences[2].contains("blr has nothing"));
    }
}
