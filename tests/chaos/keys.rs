//! What a region's key opens: one's own, and nothing of the hub's, of another region's or of the system's.
//!
//! The attacker is whoever has the key of region `blr`, in both places where it can be used: as the owner of `blr`'s broker,
//! whose leaf link bears the key, and as a client at the hub's own port. Denied means silence, so each attack is watched
//! from the hub and from the other region, and for each kind something of `blr`'s own must succeed.

mod subjects;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tomato_shared::cell::RegionId;
use tomato_shared::subject;

use super::report::Report;
use crate::stack::{Stack, StackPlan};
use crate::wait::poll_until;

const MINE: &str = "blr";
const THEIRS: &str = "hyd";
const AT_HUB: &str = "client at the hub";
/// How long an answer that must not come is awaited.
const SILENCE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(30);

/// Runs all attacks from both places.
pub async fn run() -> Report {
    Report::of("a region's key against what is not the region's", attacks).await
}

async fn attacks(report: &mut Report) -> Result<(), String> {
    let plan = StackPlan::default().region(MINE).region(THEIRS).log_filter("warn");
    let mut stack = Stack::prepare(plan)?;
    stack.start().await?;
    let stage = Stage::open(&stack).await?;
    let seed = std::fs::read_to_string(stack.folder().join("keys").join(format!("{MINE}.seed")));
    let seed = seed.map_err(|error| format!("{MINE}.seed: {error}"))?;
    let hub_url = stack.hub().server.broker()?.url;
    let at_hub = ConnectOptions::with_nkey(seed.trim().to_owned()).custom_inbox_prefix(subject::inbox(&stage.mine));
    let at_hub = at_hub
        .connect(hub_url)
        .await
        .map_err(|error| format!("the key at the hub: {error}"))?;
    let owner = stack
        .node(MINE)
        .server
        .broker()?
        .connect(&subject::inbox(&stage.mine))
        .await?;
    for (place, attacker) in [("owner of the broker", owner), (AT_HUB, at_hub)] {
        let allowed = stage
            .publishing(&attacker, &subjects::own(&stage.mine, &stage.theirs))
            .await?;
        report.row(&format!("{place}: own, published"), allowed.len());
        report.expect(allowed.len() == subjects::own(&stage.mine, &stage.theirs).len(), || {
            format!("{place}: the control fails: of its own only {allowed:?}")
        });
        let tried = subjects::foreign(&stage.mine, &stage.theirs);
        let seen = stage.publishing(&attacker, &tried).await?;
        told(report, (place, "published"), tried.len(), &seen);

        let own = (vec![format!("tomato.ctl.{MINE}.x")], Vec::new());
        let heard = stage
            .listening(&attacker, &[subject::control(&stage.mine)], own)
            .await?;
        report.expect(!heard.is_empty(), || {
            format!("{place}: the control fails: it does not hear its own")
        });
        let tried = subjects::ears(&stage.theirs);
        let heard = stage
            .listening(&attacker, &tried, subjects::spoken(&stage.theirs))
            .await?;
        told(report, (place, "listened"), tried.len(), &heard);

        let tried = subjects::requests(&stage.theirs, place == AT_HUB);
        let answered = asking(&attacker, &tried).await;
        told(report, (place, "asked"), tried.len(), &answered);
        stage.borrowed_hand(&attacker, place, report).await?;
    }
    stage.unharmed(&stack).await?;
    stack.stop().await
}

fn told(report: &mut Report, (place, what): (&str, &str), tried: usize, succeeded: &BTreeSet<String>) {
    report.row(&format!("{place}: foreign, {what}"), tried);
    report.none(&format!("{place}: {what} with success"), succeeded.len() as u64);
    succeeded
        .iter()
        .for_each(|subject| report.fault(format!("{place} {what}: {subject}")));
}

/// Those who watch, and what they have seen.
struct Stage {
    mine: RegionId,
    theirs: RegionId,
    hub: Client,
    other: Client,
    seen: Arc<Mutex<BTreeSet<String>>>,
    _watching: JoinSet<()>,
}

impl Stage {
    async fn open(stack: &Stack) -> Result<Self, String> {
        let region = |name: &str| {
            stack
                .nodes
                .iter()
                .find(|node| node.region.as_str() == name)
                .ok_or("no region")
        };
        let (mine, theirs) = (region(MINE)?.region.clone(), region(THEIRS)?.region.clone());
        let hub = stack
            .hub
            .as_ref()
            .ok_or("no hub")?
            .server
            .broker()?
            .connect(subject::HUB_INBOX)
            .await?;
        let other = region(THEIRS)?
            .server
            .broker()?
            .connect(&subject::inbox(&theirs))
            .await?;
        directory(&hub, &theirs).await?;
        let (seen, mut watching) = (Arc::<Mutex<BTreeSet<String>>>::default(), JoinSet::new());
        for client in [&hub, &other] {
            let mut all = client.subscribe(">").await.map_err(|error| error.to_string())?;
            client.flush().await.map_err(|error| error.to_string())?;
            let seen = seen.clone();
            watching.spawn(async move {
                while let Some(message) = all.next().await {
                    let text = String::from_utf8_lossy(&message.payload).into_owned();
                    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
                }
            });
        }
        let stage = Self {
            mine,
            theirs,
            hub,
            other,
            seen,
            _watching: watching,
        };
        stage.until_linked().await?;
        Ok(stage)
    }

    /// Waits until both regions hear the hub.
    async fn until_linked(&self) -> Result<(), String> {
        let mut control = self
            .other
            .subscribe(subject::control(&self.theirs))
            .await
            .map_err(|error| error.to_string())?;
        poll_until("the link of the other region", LIMIT, async || {
            let probe = format!("{}.probe", subject::control(&self.theirs).trim_end_matches(".>"));
            self.hub.publish(probe, "probe".into()).await.ok()?;
            tokio::time::timeout(Duration::from_millis(200), control.next())
                .await
                .ok()?
                .map(drop)
        })
        .await
    }

    /// Whether a text has arrived at the hub or the other region.
    fn has_seen(&self, text: &str) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(text)
    }

    /// Lets the hub's own server speak: a consumer of the directory that delivers what is there to a subject on which only the
    /// hub may speak. JetStream keeps the subject of what it delivers, so it counts who hears it, not on which.
    async fn borrowed_hand(&self, attacker: &Client, place: &str, report: &mut Report) -> Result<(), String> {
        let bucket = subject::DIRECTORY_BUCKET;
        let api = format!("$JS.{}.API.CONSUMER.CREATE.KV_{bucket}", subject::HUB_DOMAIN);
        let targets = [
            subject::watermark(&self.theirs),
            subject::repair(&self.theirs),
            "tomato.ctl.all.x".into(),
        ];
        let mut made = BTreeSet::new();
        for (number, target) in targets.iter().enumerate() {
            let name = format!("hand{number}");
            let body = format!(
                r#"{{"stream_name":"KV_{bucket}","config":{{"name":"{name}","deliver_subject":"{target}","deliver_policy":"all","ack_policy":"none","filter_subject":"$KV.{bucket}.>"}}}}"#
            );
            for create in [
                api.clone(),
                format!("{api}.{name}"),
                format!("{api}.{name}.$KV.{bucket}.>"),
            ] {
                made.extend(asking(attacker, &[(create, body.clone())]).await);
            }
        }
        told(report, (place, "let the hub say"), targets.len(), &made);
        Ok(())
    }

    /// Publishes on each subject. Those that anybody else has received.
    async fn publishing(&self, attacker: &Client, subjects: &[String]) -> Result<BTreeSet<String>, String> {
        let run: u64 = rand::random();
        let token = |number: usize| format!("forged {run} {number}");
        for (number, subject) in subjects.iter().enumerate() {
            let published = attacker.publish(subject.clone(), token(number).into()).await;
            published.map_err(|error| format!("{subject}: {error}"))?;
        }
        // What is allowed and sent last arrives after everything that got through: the link keeps order.
        poll_until("the attacker's sign of life", LIMIT, async || {
            let sentinel = format!("sentinel {run}");
            attacker
                .publish(subject::heartbeat(&self.mine), sentinel.clone().into())
                .await
                .ok()?;
            attacker.flush().await.ok()?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.has_seen(&sentinel).then_some(())
        })
        .await?;
        let arrived = subjects
            .iter()
            .enumerate()
            .filter(|(number, _)| self.has_seen(&token(*number)));
        Ok(arrived.map(|(_, subject)| subject.clone()).collect())
    }

    /// Listens on each pattern while hub and other region speak on these subjects. Those on which it heard them.
    async fn listening(
        &self,
        attacker: &Client,
        patterns: &[String],
        (hubs, others): (Vec<String>, Vec<String>),
    ) -> Result<BTreeSet<String>, String> {
        let run: u64 = rand::random();
        let secret = format!("secret {run}");
        let mut ears = Vec::new();
        for pattern in patterns {
            let ear = attacker
                .subscribe(pattern.clone())
                .await
                .map_err(|error| format!("{pattern}: {error}"))?;
            ears.push((pattern, ear));
        }
        let mut own = attacker
            .subscribe(subject::control_all())
            .await
            .map_err(|error| error.to_string())?;
        attacker.flush().await.map_err(|error| error.to_string())?;
        let everyone = format!("{}.probe", subject::control_all().trim_end_matches(".>"));
        // Twice: the first round may be spoken before all interest has crossed the link, the second is not.
        for round in 0..2 {
            let end = format!("end {run} {round}");
            poll_until("what the attacker may hear", LIMIT, async || {
                for (speaker, subjects) in [(&self.hub, &hubs), (&self.other, &others)] {
                    for subject in subjects {
                        speaker.publish(subject.clone(), secret.clone().into()).await.ok()?;
                    }
                    speaker.flush().await.ok()?;
                }
                self.hub.publish(everyone.clone(), end.clone().into()).await.ok()?;
                let heard = tokio::time::timeout(Duration::from_millis(300), own.next())
                    .await
                    .ok()??;
                (heard.payload == end).then_some(())
            })
            .await?;
        }
        let hearing = ears.into_iter().map(async |(pattern, mut ear)| {
            let hears = async {
                while let Some(message) = ear.next().await {
                    if message.payload == secret {
                        return true;
                    }
                }
                false
            };
            let heard = tokio::time::timeout(Duration::from_millis(300), hears)
                .await
                .unwrap_or(false);
            heard.then(|| pattern.clone())
        });
        Ok(join_all(hearing).await.into_iter().flatten().collect())
    }

    /// What was attacked is as it was.
    async fn unharmed(&self, stack: &Stack) -> Result<(), String> {
        let context = async_nats::jetstream::new(self.hub.clone());
        let mut stream = context
            .get_stream(subject::HUB_STREAM)
            .await
            .map_err(|error| error.to_string())?;
        stream.info().await.map_err(|error| error.to_string())?;
        let bucket = context
            .get_key_value(subject::DIRECTORY_BUCKET)
            .await
            .map_err(|error| error.to_string())?;
        let value = bucket
            .get(format!("region.{}", self.theirs))
            .await
            .map_err(|error| error.to_string())?;
        if value.as_deref() != Some(b"theirs".as_slice()) {
            return Err(format!("the directory of {} was changed: {value:?}", self.theirs));
        }
        let stream = context.get_stream(format!("KV_{}", subject::DIRECTORY_BUCKET)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let mirror = stream.consumer_info(format!("mirror-{}", self.theirs)).await;
        mirror.map_err(|error| format!("the other region's mirror: {error}"))?;
        for node in &stack.nodes {
            node.api.overview().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// A directory with a key of the other region in it.
async fn directory(hub: &Client, theirs: &RegionId) -> Result<(), String> {
    let context = async_nats::jetstream::new(hub.clone());
    let bucket = match context.get_key_value(subject::DIRECTORY_BUCKET).await {
        Ok(bucket) => bucket,
        Err(_) => {
            let config = async_nats::jetstream::kv::Config {
                bucket: subject::DIRECTORY_BUCKET.to_owned(),
                history: 5,
                ..Default::default()
            };
            context
                .create_key_value(config)
                .await
                .map_err(|error| error.to_string())?
        }
    };
    let put = bucket.put(format!("region.{theirs}"), "theirs".into()).await;
    put.map_err(|error| error.to_string())?;
    // What the other region's mirror reads by.
    let mirror = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some(format!("mirror-{theirs}")),
        ..Default::default()
    };
    let stream = context.get_stream(format!("KV_{}", subject::DIRECTORY_BUCKET)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let made = stream.get_or_create_consumer(&format!("mirror-{theirs}"), mirror).await;
    made.map(drop).map_err(|error| error.to_string())
}

/// Sends each request. Those that were answered.
async fn asking(attacker: &Client, requests: &[(String, String)]) -> BTreeSet<String> {
    let asked = requests.iter().map(async |(subject, body)| {
        let request = async_nats::Request::new()
            .payload(body.clone().into())
            .timeout(Some(SILENCE));
        let answer = attacker.send_request(subject.clone(), request).await.ok()?;
        Some(format!("{subject}: {}", String::from_utf8_lossy(&answer.payload)))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
