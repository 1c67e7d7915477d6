//! The only reader of wall time.
//!
//! Region time starts at wall time and then follows the monotonic clock, so a wall clock that jumps while the node
//! runs moves no deadline. Between runs it never goes back behind the newest event. With `rate` above 1 the whole
//! system runs faster than real time: every process that shares `epoch` and `rate` agrees on what time it is.

use std::time::{Duration, Instant};

use tomato_shared::time::{DurationMs, UnixMs};

/// Region time; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_wall_ms: i64,
    started_region_ms: i64,
    rate: f64,
}

impl Clock {
    /// A clock that shows `epoch + (wall - epoch) * rate` now, or `floor` where that is later, and runs at `rate`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of a date are far below 2^53"
    )]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a date are far below 2^53")]
    pub fn start(epoch: UnixMs, rate: f64, floor: UnixMs) -> Self {
        let wall_ms = wall_ms();
        let region_ms = epoch.0 + ((wall_ms - epoch.0) as f64 * rate) as i64;
        Self {
            started: Instant::now(),
            started_wall_ms: wall_ms,
            started_region_ms: region_ms.max(floor.0),
            rate,
        }
    }

    /// Region time.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of a date are far below 2^53"
    )]
    pub fn now(&self) -> UnixMs {
        UnixMs(self.started_region_ms + (self.started.elapsed().as_secs_f64() * 1_000.0 * self.rate) as i64)
    }

    /// How much faster than real time the region runs.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Real milliseconds since 1970, for what other machines compare with theirs.
    pub fn wall_ms(&self) -> i64 {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.started_wall_ms.saturating_add(passed)
    }

    /// Real seconds since 1970, for tokens and certificates, which know nothing of `rate`.
    pub fn wall_seconds(&self) -> i64 {
        self.wall_ms() / 1_000
    }

    /// Region time that passes in a span of real time.
    #[expect(clippy::cast_possible_truncation, reason = "spans are far below 2^53 ms")]
    pub fn region(&self, span: Duration) -> DurationMs {
        DurationMs((span.as_secs_f64() * 1_000.0 * self.rate) as i64)
    }

    /// Real time that a span of region time takes; zero for spans that point back.
    #[expect(clippy::cast_precision_loss, reason = "spans are far below 2^53 ms")]
    pub fn real(&self, span: DurationMs) -> Duration {
        Duration::from_secs_f64((span.0.max(0) as f64 / 1_000.0 / self.rate).min(86_400.0))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_time_runs_at_its_rate_from_the_shared_epoch() {
        let epoch = UnixMs(wall_ms() - 1_000);
        let clock = Clock::start(epoch, 100.0, UnixMs(0));
        let ahead = clock.now() - epoch;
        assert!((100_000..160_000).contains(&ahead.0), "{ahead:?}");
        assert_eq!(clock.real(DurationMs(1_000)), Duration::from_millis(10));
    }

    #[test]
    fn region_time_never_goes_behind_what_was_decided() {
        let floor = UnixMs(wall_ms() + 86_400_000);
        assert!(Clock::start(UnixMs(0), 1.0, floor).now() >= floor);
    }
}
