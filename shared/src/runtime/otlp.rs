//! Traces: spans to an OpenTelemetry collector, as OTLP over HTTP in JSON.
//!
//! Written by hand: the protocol's JSON is documented and small, and the libraries for it would be a good part of the
//! build. Spans wait in a bounded queue; what finds no room, or no collector, is dropped and never waited for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::config::{Faults, Validate};
use super::shutdown::StopSignal;

/// Spans that wait.
const QUEUE_MAX: usize = 16_384;
/// Spans of one message.
const BATCH_MAX: usize = 512;
/// Longest time that spans wait for company.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The `[otlp]` section.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Collector, as `http://127.0.0.1:4318`; spans go to `/v1/traces` there. Default empty: no traces.
    pub endpoint: String,
    /// Share of requests that are traced where the caller does not say. Default 1, 0 to 1.
    pub share: f64,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            share: 1.0,
        }
    }
}

impl Validate for OtlpConfig {
    fn validate(&self, faults: &mut Faults) {
        let known = ["http://", "https://"]
            .iter()
            .any(|scheme| self.endpoint.starts_with(scheme));
        faults.require(
            known || self.endpoint.is_empty(),
            "endpoint",
            "is not an http or https address",
            "give the collector's, as http://127.0.0.1:4318",
        );
        faults.range("share", self.share, 0.0..=1.0);
    }
}

/// W3C trace context: `00-<trace>-<span>-<flags>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl fmt::Display for Context {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled } = *self;
        write!(out, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled))
    }
}

/// Not a trace context.
#[derive(Debug, thiserror::Error)]
#[error("not a traceparent")]
pub struct ContextError;

impl FromStr for Context {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace, span, flags] = parts[..] else {
            return Err(ContextError);
        };
        if (trace.len(), span.len(), flags.len()) != (32, 16, 2) {
            return Err(ContextError);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| ContextError)?;
        Ok(Self {
            trace: u128::from_str_radix(trace, 16).map_err(|_| ContextError)?,
            span: u64::from_str_radix(span, 16).map_err(|_| ContextError)?,
            sampled: flags & 1 == 1,
        })
    }
}

/// On which side of a conversation a span is; the numbers are OTLP's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Work of its own.
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Asks somebody.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Takes a message in.
    Consumer = 5,
}

/// A span that has begun; tell [`Tracer::end`] when it has ended, or drop it and nobody hears of it.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// What continues it.
    pub context: Context,
    parent: u64,
    at: Instant,
}

/// A span as it is sent.
#[derive(Debug)]
struct Span {
    begun: Begun,
    ended: Instant,
    name: &'static str,
    side: Side,
    attributes: Vec<(&'static str, String)>,
    failed: bool,
}

/// Takes spans; cheap to clone. The default takes none.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Span>,
    share: f64,
    dropped: Arc<AtomicU64>,
}

/// Sends what the tracer takes.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Receiver<Span>,
    dropped: Arc<AtomicU64>,
    url: String,
    resource: Value,
    /// The same moment by both clocks.
    anchor: (Instant, u128),
}

impl Tracer {
    /// A tracer and what sends its spans; `None` where no endpoint is set. `resource` names the program, as
    /// `("service.name", "tomato-node")`; `wall_ms`: what time it is now.
    pub fn new(config: &OtlpConfig, resource: &[(&str, &str)], wall_ms: i64) -> Option<(Self, Exporter)> {
        if config.endpoint.is_empty() {
            return None;
        }
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let inner = Inner {
            queue: sender,
            share: config.share,
            dropped: dropped.clone(),
        };
        let attributes: Vec<_> = resource.iter().map(|(key, text)| attribute(key, text)).collect();
        let exporter = Exporter {
            queue,
            dropped,
            url: format!("{}/v1/traces", config.endpoint.trim_end_matches('/')),
            resource: json!({"attributes": attributes}),
            anchor: (Instant::now(), u128::try_from(wall_ms).unwrap_or_default() * 1_000_000),
        };
        Some((Self(Some(Arc::new(inner))), exporter))
    }

    /// Begins the first span here of a request, which may belong to its caller's trace. `None` where it is not traced.
    pub fn root(&self, parent: Option<&str>) -> Option<Begun> {
        let inner = self.0.as_ref()?;
        if let Some(parent) = parent.and_then(|text| text.parse::<Context>().ok()) {
            return begin(parent);
        }
        let [trace, dice] = [random()?, random()?];
        // The upper 32 bits as a number from 0 to 1.
        let fate = f64::from(u32::try_from(dice >> 96).unwrap_or(0)) / f64::from(u32::MAX);
        let sampled = fate < inner.share || inner.share >= 1.0;
        begin(Context {
            trace: trace | 1,
            span: 0,
            sampled,
        })
    }

    /// Begins a span below another one. `None` where it is not traced.
    pub fn child(&self, parent: Option<&str>) -> Option<Begun> {
        self.0.as_ref()?;
        begin(parent?.parse().ok()?)
    }

    /// Ends a span.
    pub fn end(
        &self,
        begun: Begun,
        (name, side): (&'static str, Side),
        attributes: Vec<(&'static str, String)>,
        failed: bool,
    ) {
        let Some(inner) = &self.0 else { return };
        let span = Span {
            begun,
            ended: Instant::now(),
            name,
            side,
            attributes,
            failed,
        };
        if inner.queue.try_send(span).is_err() {
            inner.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether spans are taken.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Spans that found no room, or no collector.
    pub fn dropped(&self) -> u64 {
        let inner = self.0.as_ref();
        inner.map_or(0, |inner| inner.dropped.load(Ordering::Relaxed))
    }
}

fn begin(parent: Context) -> Option<Begun> {
    let span = u64::try_from(random()? >> 64).ok()?;
    parent.sampled.then_some(Begun {
        context: Context {
            span: span | 1,
            ..parent
        },
        parent: parent.span,
        at: Instant::now(),
    })
}

fn random() -> Option<u128> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(u128::from_be_bytes(bytes))
}

impl Exporter {
    /// Sends until told to stop, then what is left.
    ///
    /// # Errors
    /// Where no HTTP client can be made. A collector that is away is no error.
    pub async fn run(mut self, mut stop: StopSignal) -> Result<(), reqwest::Error> {
        let client = reqwest::Client::builder().timeout(WITHIN).build()?;
        let mut spans = Vec::with_capacity(BATCH_MAX);
        let mut well = true;
        loop {
            let stopped = tokio::select! {
                () = stop.stopped() => true,
                () = self.gather(&mut spans) => false,
            };
            if stopped {
                while let Ok(span) = self.queue.try_recv() {
                    spans.push(span);
                }
            }
            if !spans.is_empty() {
                let sent = self.send(&client, &spans).await;
                if let (Err(error), true) = (&sent, well) {
                    tracing::warn!(%error, "the collector takes no traces; they are dropped until it does");
                }
                well = sent.is_ok();
                if !well {
                    self.dropped.fetch_add(spans.len() as u64, Ordering::Relaxed);
                }
                spans.clear();
            }
            if stopped {
                return Ok(());
            }
        }
    }

    /// Spans of up to [`EVERY`], or a full message.
    async fn gather(&mut self, spans: &mut Vec<Span>) {
        let room = BATCH_MAX - spans.len().min(BATCH_MAX - 1);
        if self.queue.recv_many(spans, room).await == 0 {
            // No tracer is left; the stop signal is about to come.
            return std::future::pending().await;
        }
        let filled = async {
            while spans.len() < BATCH_MAX && self.queue.recv_many(spans, BATCH_MAX - spans.len()).await > 0 {}
        };
        // Either way what has come is in `spans`.
        tokio::time::timeout(EVERY, filled).await.ok();
    }

    async fn send(&self, client: &reqwest::Client, spans: &[Span]) -> Result<(), reqwest::Error> {
        let spans: Vec<Value> = spans.iter().map(|span| self.written(span)).collect();
        let body = json!({"resourceSpans": [{
            "resource": self.resource,
            "scopeSpans": [{"scope": {"name": "tomato"}, "spans": spans}],
        }]});
        let request = client.post(&self.url).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await?;
        response.error_for_status().map(|_| ())
    }

    fn written(&self, span: &Span) -> Value {
        let nanos = |at: Instant| {
            let (then, wall) = self.anchor;
            // 64-bit numbers are texts in the JSON of protobuf.
            (wall + at.saturating_duration_since(then).as_nanos()).to_string()
        };
        let Context { trace, span: id, .. } = span.begun.context;
        let attributes = span.attributes.iter().map(|(key, text)| attribute(key, text));
        let mut written = json!({
            "traceId": format!("{trace:032x}"),
            "spanId": format!("{id:016x}"),
            "name": span.name,
            "kind": span.side as u8,
            "startTimeUnixNano": nanos(span.begun.at),
            "endTimeUnixNano": nanos(span.ended),
            "attributes": attributes.collect::<Vec<_>>(),
            "status": if span.failed { json!({"code": 2}) } else { json!({}) },
        });
        if span.begun.parent != 0 {
            written["parentSpanId"] = format!("{:016x}", span.begun.parent).into();
        }
        written
    }
}

fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": text}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_as_they_are_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<Context>().unwrap().to_string(), text);
        for bad in [
            "",
            "00-1-2-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<Context>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_caller_does_not_trace_is_not_traced_and_nothing_is_where_there_is_no_collector() {
        assert!(Tracer::new(&OtlpConfig::default(), &[], 0).is_none());
        assert!(Tracer::default().root(None).is_none());
        let config = OtlpConfig {
            endpoint: "http://127.0.0.1:1".into(),
            share: 0.0,
        };
        let (tracer, _exporter) = Tracer::new(&config, &[], 0).unwrap();
        let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let silent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert!(tracer.root(Some(sampled)).is_some() && tracer.root(Some(silent)).is_none());
        assert!(tracer.root(None).is_none(), "share 0");
    }
}
