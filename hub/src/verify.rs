//! `tomato-hub verify`: does the hub hold what the regions hold? Each region's node hashes its own rows, the hub its own, and
//! what differs is looked at row by row. The ledger's chain of hashes is followed as well. Works beside a running hub, on regions that are at work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::client::Request;
use rusqlite::{Connection, Row};
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::runtime::nats::{BrokerError, connect, hub_access};
use tomato_shared::subject;
use tomato_shared::sync::{first_seq, incarnation_of};
use tomato_shared::verify::{ORDER_PARTS, ORDERS_MAX, OrderFacts, Sum, Sums, VerifyReply, VerifyRequest, put_entry};

use crate::config::HubConfig;
use crate::store::{self, StoreFault, archive, chain, ledger, regions};

/// Sequences of one sum, and of one request.
const STEP: u64 = 512;
const STRETCH: u64 = STEP * 1_024;
/// How long a node may hash.
const ANSWER: Duration = Duration::from_secs(60);
/// Between two looks at how far the hub is.
const LOOK: Duration = Duration::from_millis(100);
/// Events that are read at once.
const PAGE: usize = 2_048;
/// Parts whose orders are asked for at once.
const PARTS: usize = 64;
/// Differences of one kind and region that are listed.
const LISTED: usize = 100;

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// The hub's own file.
    #[error("the database cannot be used")]
    Store(#[from] StoreFault),
    /// The hub's broker.
    #[error("the broker cannot be used")]
    Broker(#[from] BrokerError),
    /// No such region.
    #[error("{0} is not registered: see tomato-hub region list")]
    Unknown(RegionId),
    /// A node that does not answer.
    #[error("{region} cannot be asked: {reason}")]
    Node {
        /// Which.
        region: RegionId,
        /// Why.
        reason: String,
    },
}

/// One region, compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Newest event compared.
    pub upto_seq: u64,
    /// Orders that the hub has.
    pub orders: usize,
    /// What differs, in words; empty where both are equal.
    pub differences: Vec<String>,
}

/// Compares one region, or all that are registered. A region whose node does not answer is a fault of its own.
///
/// # Errors
/// When the hub's own file or broker cannot be used.
pub async fn verify(
    config: &HubConfig,
    only: Option<&RegionId>,
    patience: Duration,
) -> Result<BTreeMap<RegionId, Result<Verified, VerifyFault>>, VerifyFault> {
    let conn = store::open_reader(&config.database())?;
    let registered = regions::list(&conn)?
        .into_iter()
        .filter(|region| region.removed_at.is_none());
    let mut wanted: Vec<RegionId> = registered.map(|region| region.id).collect();
    if let Some(only) = only {
        wanted.retain(|region| region == only);
        if wanted.is_empty() {
            return Err(VerifyFault::Unknown(only.clone()));
        }
    }
    let client = connect(
        &hub_access(&config.broker, &config.data_dir)?,
        "tomato-hub verify",
        subject::HUB_INBOX,
    )
    .await?;
    let mut done = BTreeMap::new();
    for region in wanted {
        let pair = Pair {
            conn: &conn,
            client: &client,
            region: &region,
            until: Instant::now() + patience,
        };
        let verified = pair.verify().await;
        done.insert(region, verified);
    }
    Ok(done)
}

/// The hub's file and a region's node.
struct Pair<'a> {
    conn: &'a Connection,
    client: &'a Client,
    region: &'a RegionId,
    until: Instant,
}

impl Pair<'_> {
    async fn verify(&self) -> Result<Verified, VerifyFault> {
        let mut differences: Vec<String> = chain::broken(self.conn, self.region)?
            .map(|fault| format!("the ledger: {fault}"))
            .into_iter()
            .collect();
        let reach = self.ask(&VerifyRequest::Reach {}).await?;
        if !self.reaches(reach.head_seq).await? {
            let upto = self.applied()?;
            let behind = format!("the hub is at event {upto}, the region at {}", reach.head_seq);
            tell(&mut differences, behind);
        }
        for (from, to) in self.stretches(&reach.ends)? {
            self.stretch(true, (from, to), &mut differences).await?;
            self.stretch(false, (from, to), &mut differences).await?;
        }
        let orders = self.orders(&mut differences).await?;
        Ok(Verified {
            upto_seq: self.applied()?,
            orders,
            differences,
        })
    }

    async fn ask(&self, request: &VerifyRequest) -> Result<VerifyReply, VerifyFault> {
        let failed = |reason: String| VerifyFault::Node {
            region: self.region.clone(),
            reason,
        };
        let body = rmp_serde::to_vec_named(request).map_err(|fault| failed(fault.to_string()))?;
        loop {
            let request = Request::new().payload(body.clone().into()).timeout(Some(ANSWER));
            match self.client.send_request(subject::verify(self.region), request).await {
                Ok(message) => {
                    return rmp_serde::from_slice(&message.payload).map_err(|fault| failed(fault.to_string()));
                }
                // Also while this program's own connection comes up.
                Err(_) if Instant::now() < self.until => tokio::time::sleep(LOOK).await,
                Err(fault) => return Err(failed(fault.to_string())),
            }
        }
    }

    fn applied(&self) -> Result<u64, StoreFault> {
        Ok(regions::cursor(self.conn, self.region)?.map_or(0, |cursor| cursor.seq))
    }

    /// First and last sequence of each incarnation, of whoever has more of it. What the region decides from now on is not
    /// among them.
    fn stretches(&self, ends: &[u64]) -> Result<Vec<(u64, u64)>, StoreFault> {
        let mut last: BTreeMap<u32, u64> = ends.iter().map(|end| (incarnation_of(*end), *end)).collect();
        let mut below = self.applied()?;
        while let Some((seq, _)) = archive::at_or_before(self.conn, self.region, below)? {
            let incarnation = incarnation_of(seq);
            let end = last.entry(incarnation).or_insert(seq);
            *end = seq.max(*end);
            below = first_seq(incarnation) - 1;
        }
        Ok(last
            .into_iter()
            .map(|(incarnation, end)| (first_seq(incarnation), end))
            .collect())
    }

    /// The events, or the entries of the books, of a stretch.
    async fn stretch(
        &self,
        is_events: bool,
        (from, to): (u64, u64),
        found: &mut Vec<String>,
    ) -> Result<(), VerifyFault> {
        let mut start = from;
        while start <= to {
            let end = to.min(start + STRETCH - 1);
            for part in self.parts(is_events, (start, end), STEP).await? {
                for seq in self.parts(is_events, (part, end.min(part + STEP - 1)), 1).await? {
                    let what = if is_events { "event" } else { "entries of event" };
                    let verb = if is_events { "is" } else { "are" };
                    tell(found, format!("{what} {seq} {verb} not the same at the node"));
                }
            }
            start = end + 1;
        }
        Ok(())
    }

    /// The first sequences of the parts that differ. What the node has swept is not compared.
    async fn parts(&self, is_events: bool, (from_seq, to_seq): (u64, u64), step: u64) -> Result<Vec<u64>, VerifyFault> {
        let request = if is_events {
            VerifyRequest::Events { from_seq, to_seq, step }
        } else {
            VerifyRequest::Entries { from_seq, to_seq, step }
        };
        let reply = self.ask(&request).await?;
        let Some(sums) = Sums::new(from_seq, to_seq, step) else {
            return Ok(Vec::new());
        };
        let own = if is_events {
            self.events(sums, (from_seq, to_seq))?
        } else {
            self.entries(sums, (from_seq, to_seq))?
        };
        let starts = (from_seq..=to_seq).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let pairs = starts.zip(own.iter().zip(&reply.sums));
        let kept = |start: u64| !is_events || start + step > reply.oldest_seq;
        let apart = pairs.filter(|(start, (own, node))| own != node && kept(*start));
        Ok(apart.map(|(start, _)| start).collect())
    }

    fn events(&self, mut sums: Sums, (from, to): (u64, u64)) -> Result<Vec<u64>, StoreFault> {
        let mut next = from;
        while next <= to {
            let page = archive::after(self.conn, self.region, next - 1, PAGE)?;
            let Some((newest, _)) = page.last() else { break };
            next = newest + 1;
            for (seq, payload) in page.iter().filter(|(seq, _)| *seq <= to) {
                if let Some(sum) = sums.at(*seq) {
                    sum.put(payload);
                }
            }
        }
        Ok(sums.values())
    }

    fn entries(&self, mut sums: Sums, stretch: (u64, u64)) -> Result<Vec<u64>, StoreFault> {
        ledger::each(self.conn, self.region, stretch, |entry| {
            if let Some(sum) = sums.at(entry.seq) {
                put_entry(
                    sum,
                    (entry.seq, entry.n),
                    (entry.account, &entry.party),
                    entry.amount_minor,
                );
            }
        })?;
        Ok(sums.values())
    }

    /// Compares orders as they stand, of a region that is at work: what the hub has must be neither behind the node's answer
    /// once it has applied all of it, nor ahead of it before.
    async fn orders(&self, found: &mut Vec<String>) -> Result<usize, VerifyFault> {
        let (own, count) = self.order_sums()?;
        let reply = self.ask(&VerifyRequest::Orders {}).await?;
        let pairs = own.into_iter().zip(&reply.sums);
        let apart: Vec<u16> = (0..)
            .zip(pairs)
            .filter(|(_, (own, node))| own != *node)
            .map(|(part, _)| part)
            .collect();
        let mut groups: Vec<Vec<u16>> = apart.chunks(PARTS).map(<[u16]>::to_vec).collect();
        while let Some(group) = groups.pop() {
            let parts: BTreeSet<u16> = group.iter().copied().collect();
            let before = self.own_orders(&parts)?;
            let reply = self.ask(&VerifyRequest::Parts { parts: group.clone() }).await?;
            if reply.orders.len() >= ORDERS_MAX {
                if let [part] = group.as_slice() {
                    tell(found, format!("part {part} has too many orders to look at one by one"));
                }
                let halves = group.chunks(group.len().div_ceil(2).max(1));
                groups.extend(halves.filter(|half| half.len() < group.len()).map(<[u16]>::to_vec));
                continue;
            }
            // Where it does not, what the hub has not applied yet is told, order by order.
            self.reaches(reply.head_seq).await?;
            compare(&before, &reply.orders, &self.own_orders(&parts)?, found);
        }
        Ok(count)
    }

    /// A sum for each part, and how many orders they are.
    fn order_sums(&self) -> Result<(Vec<u64>, usize), StoreFault> {
        let mut sums = vec![Sum::default(); usize::from(ORDER_PARTS)];
        let mut count = 0;
        let mut statement = self.conn.prepare_cached(ORDERS)?;
        for order in statement.query_map([self.region.as_str()], facts)? {
            let order = order?;
            count += 1;
            if let Some(sum) = sums.get_mut(usize::from(order.part())) {
                order.put(sum);
            }
        }
        Ok((sums.into_iter().map(Sum::value).collect(), count))
    }

    fn own_orders(&self, parts: &BTreeSet<u16>) -> Result<BTreeMap<[u8; 16], OrderFacts>, StoreFault> {
        let mut statement = self.conn.prepare_cached(ORDERS)?;
        let rows = statement.query_map([self.region.as_str()], facts)?;
        let wanted = rows.filter(|row| row.as_ref().map_or(true, |order| parts.contains(&order.part())));
        let pairs: Result<_, rusqlite::Error> = wanted.map(|row| row.map(|order| (order.id, order))).collect();
        Ok(pairs?)
    }

    /// Waits until the hub has applied up to `seq`; false when it takes too long.
    async fn reaches(&self, seq: u64) -> Result<bool, StoreFault> {
        while self.applied()? < seq {
            if Instant::now() >= self.until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(true)
    }
}

const ORDERS: &str =
    "SELECT order_id, version, state, total_minor, customer_id, restaurant_id FROM orders WHERE region = ?1
    ORDER BY order_id";

fn facts(row: &Row<'_>) -> rusqlite::Result<OrderFacts> {
    Ok(OrderFacts {
        id: row.get(0)?,
        version: row.get(1)?,
        state: row.get(2)?,
        total_minor: row.get(3)?,
        customer: row.get(4)?,
        restaurant: row.get(5)?,
    })
}

fn compare(
    before: &BTreeMap<[u8; 16], OrderFacts>,
    node: &[OrderFacts],
    after: &BTreeMap<[u8; 16], OrderFacts>,
    found: &mut Vec<String>,
) {
    let node: BTreeMap<_, _> = node.iter().map(|order| (order.id, order)).collect();
    let version = |order: Option<&OrderFacts>| order.map_or(0, |order| order.version);
    for id in node.keys().chain(before.keys()).copied().collect::<BTreeSet<_>>() {
        let (early, there, late) = (before.get(&id), node.get(&id).copied(), after.get(&id));
        let in_between = (version(early)..=version(late)).contains(&version(there));
        let same = [early, late]
            .into_iter()
            .flatten()
            .filter(|own| own.version == version(there))
            .all(|own| there == Some(own));
        if !in_between || !same {
            let id = OrderId::from_bytes(id);
            tell(
                found,
                format!("{id}: the node has {}, the hub has {}", words(there), words(late)),
            );
        }
    }
}

fn words(order: Option<&OrderFacts>) -> String {
    order.map_or_else(
        || "nothing".to_owned(),
        |order| format!("{} at version {}, {}", order.state, order.version, order.total_minor),
    )
}

fn tell(found: &mut Vec<String>, difference: String) {
    if found.len() < LISTED {
        found.push(difference);
    } else if found.len() == LISTED {
        found.push("and more".to_owned());
    }
}
