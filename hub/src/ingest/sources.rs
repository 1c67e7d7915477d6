//! Keeps the sources of the hub's stream equal to the registry, and wakes up those that sleep.
//!
//! A server that restarts asks for its sources before the regions' links are back, and then waits for the answer for
//! 30 s and more. Taking the source out and putting it back, unchanged, makes it ask again at once and go on where it
//! was. A crash in between leaves the source out; the next look at the registry puts it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, External, Info, RetentionPolicy, Source, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use tokio::sync::watch;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject::{self, HUB_STREAM};

use crate::config::StreamConfig;
use crate::live::{self, Live, Now};
use crate::registry::Active;

/// How often stream and registry are compared.
const LOOK: Duration = Duration::from_secs(1);
/// A source that is silent for longer sleeps: one that is awake is heard of every second, with or without messages.
const ASLEEP: Duration = Duration::from_secs(3);
/// A region must be ahead for so long before its source is suspected.
const BEHIND: Duration = Duration::from_secs(1);
/// Between two kicks of one source.
const KICK_PAUSE: Duration = Duration::from_secs(10);

/// What the keeper needs.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) context: Context,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: watch::Receiver<Active>,
    pub(crate) stream: StreamConfig,
}

#[derive(Debug, thiserror::Error)]
#[error("{doing}: {fault}")]
struct KeepFault {
    doing: &'static str,
    fault: String,
}

fn failed<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> KeepFault {
    move |fault| KeepFault {
        doing,
        fault: fault.to_string(),
    }
}

impl Keeper {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut stop: StopSignal) -> Result<(), std::convert::Infallible> {
        let mut kicked = BTreeMap::new();
        let mut told = String::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                _ = look.tick() => {}
                Ok(()) = self.registry.changed() => {}
            }
            // Stopping between the two updates of a kick is as good as a crash there.
            let kept = tokio::select! {
                () = stop.stopped() => return Ok(()),
                kept = self.keep(&mut kicked) => kept,
            };
            let text = kept.err().map_or_else(String::new, |fault| fault.to_string());
            if text != told {
                if text.is_empty() {
                    tracing::info!("the hub's stream is in order again");
                } else {
                    tracing::warn!(fault = text, "the hub's stream cannot be kept");
                }
                told = text;
            }
        }
    }

    async fn keep(&mut self, kicked: &mut BTreeMap<RegionId, Instant>) -> Result<(), KeepFault> {
        let wanted: BTreeSet<RegionId> = self.registry.borrow_and_update().keys().cloned().collect();
        let info = self.open(&wanted).await?;
        let config = match reconciled(&info.config, self.config(&wanted)) {
            None => info.config.clone(),
            Some(config) => {
                self.update(&config).await?;
                tracing::info!(sources = wanted.len(), "the stream follows registry and configuration");
                config
            }
        };
        let seen = sources_seen(&info, &wanted);
        self.live.set_sources(&seen);
        let now = Instant::now();
        for (region, state) in self.live.snapshot() {
            let rested = kicked
                .get(&region)
                .is_none_or(|at| now.saturating_duration_since(*at) >= KICK_PAUSE);
            if rested && seen.contains_key(&region) && sleeps(&state, now) {
                kicked.insert(region.clone(), now);
                self.kick(&config, &region).await?;
            }
        }
        Ok(())
    }

    async fn open(&self, wanted: &BTreeSet<RegionId>) -> Result<Info, KeepFault> {
        match self.context.get_stream(HUB_STREAM).await {
            Ok(stream) => Ok(stream.cached_info().clone()),
            Err(fault) => {
                let missing = matches!(fault.kind(), GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND);
                if !missing {
                    return Err(failed("the stream cannot be read")(fault));
                }
                tracing::info!(sources = wanted.len(), "making the hub's stream");
                let made = self.context.create_stream(self.config(wanted)).await;
                Ok(made.map_err(failed("the stream cannot be made"))?.cached_info().clone())
            }
        }
    }

    fn config(&self, wanted: &BTreeSet<RegionId>) -> Config {
        Config {
            name: HUB_STREAM.to_owned(),
            description: Some("every region's events, by sourcing only".to_owned()),
            // No subjects: with any, the regions' live messages would arrive a second time.
            sources: Some(wanted.iter().map(source).collect()),
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: usize::from(self.stream.replicas),
            max_age: Duration::from_secs(self.stream.max_age_hours * 3_600),
            max_bytes: i64::try_from(self.stream.max_bytes).unwrap_or(i64::MAX),
            allow_direct: true,
            ..Config::default()
        }
    }

    /// Two updates: without the source, and with the identical source again.
    async fn kick(&self, config: &Config, region: &RegionId) -> Result<(), KeepFault> {
        tracing::info!(%region, "kicking a source that sleeps");
        let mut without = config.clone();
        let name = subject::region_stream(region);
        without.sources = Some(
            config
                .sources
                .iter()
                .flatten()
                .filter(|one| one.name != name)
                .cloned()
                .collect(),
        );
        self.update(&without).await?;
        self.update(config).await
    }

    async fn update(&self, config: &Config) -> Result<(), KeepFault> {
        let updated = self.context.update_stream(config).await;
        updated.map(drop).map_err(failed("the stream's sources cannot be set"))
    }
}

/// The source of a region. Its identity (name, external API) must never change: the server would read it from the
/// start again. `external`, because nats-server 2.15 refuses `domain` from this client.
fn source(region: &RegionId) -> Source {
    Source {
        name: subject::region_stream(region),
        external: Some(External {
            api_prefix: subject::region_api(region),
            delivery_prefix: Some(subject::source_delivery(region)),
        }),
        ..Source::default()
    }
}

/// The stream's configuration with the wanted sources and limits; `None` if it has exactly these. Sources that are
/// present stay as they are.
fn reconciled(present: &Config, wanted: Config) -> Option<Config> {
    let named = |list: &[Source], source: &Source| list.iter().any(|one| one.name == source.name);
    let (has, wants) = (
        present.sources.clone().unwrap_or_default(),
        wanted.sources.unwrap_or_default(),
    );
    let kept = has.iter().filter(|source| named(&wants, source)).cloned();
    let missing = wants.iter().filter(|source| !named(&has, source)).cloned();
    let config = Config {
        sources: Some(kept.chain(missing).collect()),
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        ..present.clone()
    };
    let same = config.sources.as_deref() == Some(&has) && config.max_age == present.max_age;
    (!same || config.max_bytes != present.max_bytes).then_some(config)
}

fn sources_seen(info: &Info, wanted: &BTreeSet<RegionId>) -> BTreeMap<RegionId, live::Source> {
    let seen = wanted.iter().filter_map(|region| {
        let name = subject::region_stream(region);
        let source = info.sources.iter().find(|source| source.name == name)?;
        Some((region.clone(), live::Source { silent: source.active }))
    });
    seen.collect()
}

/// Whether a region is alive and has published more than the hub has, while its source does not move.
fn sleeps(region: &Now, now: Instant) -> bool {
    let published = region.heard.as_ref().map_or(0, |heard| heard.beat.published_seq);
    let silent = region
        .source
        .is_some_and(|source| source.silent.is_none_or(|span| span > ASLEEP));
    let behind = region.behind_for(now).is_some_and(|span| span >= BEHIND);
    silent && behind && published > region.cursor.seq && region.is_fresh(now)
}

#[cfg(test)]
mod tests;
