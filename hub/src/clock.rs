//! The only reader of wall time. Everything else gets times as arguments.

use tomato_shared::time::UnixMs;

/// Now, by this machine's clock; 0 for a clock before 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> UnixMs {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .map_or(UnixMs(0), UnixMs)
}
