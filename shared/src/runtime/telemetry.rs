//! Logs: structured lines on standard error, where systemd, containers and terminals all look.

use serde::Deserialize;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::config::{Faults, Validate};

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// The `[log]` section.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`. Default `text`.
    pub format: LogFormat,
    /// What is logged, as in `RUST_LOG`: `info`, or `info,async_nats=debug`. Default `info`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

impl Validate for LogConfig {
    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = EnvFilter::builder().parse(&self.filter) {
            faults.add("filter", error, "write levels as in `info,async_nats=debug`");
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse; [`LogConfig::validate`] would have said so.
    #[error("log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was set up before in this process.
    #[error("logging is already set up")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error, also for crates that use `log`. Once per process, before anything else runs.
/// Lines are written as they come: nothing is buffered, so there is nothing to flush at exit.
///
/// # Errors
/// [`LogError`].
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    subscriber(config, std::io::stderr)?.try_init()?;
    Ok(())
}

fn subscriber<W>(config: &LogConfig, writer: W) -> Result<impl tracing::Subscriber + Send + Sync + use<W>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&config.filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: Box<dyn tracing_subscriber::Layer<_> + Send + Sync> = match config.format {
        // Escape codes are noise in files and journals, and standard error is rarely a terminal where this runs.
        LogFormat::Text => Box::new(layer.with_ansi(false)),
        LogFormat::Json => Box::new(
            layer
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false),
        ),
    };
    Ok(tracing_subscriber::registry().with(layer).with(filter))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let config = LogConfig {
            format,
            filter: "warn,relay=debug".into(),
        };
        let subscriber = subscriber(&config, move || sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("hidden");
            tracing::debug!(target: "relay", region = "blr", "shown");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_json() {
        let line: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json)).unwrap();
        assert_eq!(
            (&line["message"], &line["region"], &line["level"]),
            (&"shown".into(), &"blr".into(), &"DEBUG".into())
        );
    }

    #[test]
    fn text_lines_are_plain() {
        let text = logged(LogFormat::Text);
        assert!(
            text.contains("shown region=\"blr\"") && !text.contains('\x1b') && text.lines().count() == 1,
            "{text}"
        );
    }

    #[test]
    fn a_wrong_filter_is_a_fault() {
        let mut faults = Faults::default();
        LogConfig {
            filter: "tomato=loud".into(),
            ..LogConfig::default()
        }
        .validate(&mut faults);
        assert_eq!(faults.paths().collect::<Vec<_>>(), ["filter"]);
        let mut faults = Faults::default();
        LogConfig::default().validate(&mut faults);
        assert!(faults.is_empty());
    }
}
