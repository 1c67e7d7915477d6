//! The region's clock as apps know it, and the one place where simulated people take their time.

use std::time::Duration;

use tomato_shared::time::{DurationMs, UnixMs};

/// Simulated time: `epoch + (real - epoch) * rate`, the same formula in every process of a system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// Where simulated and real time meet.
    pub epoch: UnixMs,
    /// Simulated seconds per real second; above zero.
    pub rate: f64,
}

impl Clock {
    /// A clock that runs `rate` times as fast as real time from this moment on.
    pub fn starting_now(rate: f64) -> Self {
        assert!(rate.is_finite() && rate > 0.0, "a clock rate is a number above zero");
        Self {
            epoch: real_now(),
            rate,
        }
    }

    /// Simulated now.
    pub fn now(&self) -> UnixMs {
        self.at(real_now())
    }

    /// Simulated time at a real moment.
    pub fn at(&self, real: UnixMs) -> UnixMs {
        let since = (real - self.epoch).0 as f64;
        UnixMs(self.epoch.0 + (since * self.rate) as i64)
    }

    /// How long a simulated span takes in reality; zero for spans that point back.
    pub fn real(&self, span: DurationMs) -> Duration {
        Duration::from_secs_f64((span.0.max(0) as f64) / 1_000.0 / self.rate)
    }

    /// How much simulated time passes in a real span.
    pub fn simulated(&self, real: Duration) -> DurationMs {
        DurationMs((real.as_secs_f64() * 1_000.0 * self.rate) as i64)
    }

    /// A simulated span as a real one, but within bounds that the machine can bear.
    pub fn real_within(&self, span: DurationMs, least: Duration, most: Duration) -> Duration {
        self.real(span).clamp(least, most)
    }

    /// Somebody takes their time: `span` of simulated time passes.
    pub async fn pause(&self, span: DurationMs) {
        human::pause(self.real(span)).await;
    }

    /// Somebody waits for a moment of simulated time.
    pub async fn pause_until(&self, at: UnixMs) {
        self.pause(at - self.now()).await;
    }
}

/// Real time in milliseconds since 1970.
pub fn real_now() -> UnixMs {
    #[expect(clippy::disallowed_methods, reason = "apps have only their own clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMs(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

mod human {
    use std::time::Duration;

    /// The only sleep of the simulator. It stands for people; nothing may wait for the system in this way.
    pub(super) async fn pause(real: Duration) {
        if !real.is_zero() {
            tokio::time::sleep(real).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_runs_at_its_rate_from_the_epoch() {
        let clock = Clock {
            epoch: UnixMs(1_000_000),
            rate: 60.0,
        };
        assert_eq!(clock.at(UnixMs(1_000_000)), UnixMs(1_000_000));
        assert_eq!(clock.at(UnixMs(1_002_000)), UnixMs(1_120_000));
        assert_eq!(clock.real(DurationMs::from_mins(1)), Duration::from_secs(1));
        assert_eq!(clock.real(DurationMs(-5)), Duration::ZERO);
        assert_eq!(clock.simulated(Duration::from_millis(500)), DurationMs::from_secs(30));
        let poll = clock.real_within(DurationMs::from_secs(6), Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(poll, Duration::from_secs(1));
    }
}
