//! How drivers move: along straight lines, at one speed, in simulated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tomato_shared::cell::LatLng;
use tomato_shared::time::{DurationMs, UnixMs};

use super::clock::Clock;
use crate::client::Api;
use crate::request::Fix;

/// A moving driver's phone notes its position this often.
const FIX_EVERY: DurationMs = DurationMs::from_secs(5);
/// A waiting driver's phone notes it this often.
const FIX_EVERY_WAITING: DurationMs = DurationMs::from_secs(20);
/// Most positions in one request.
const FIXES_MAX: usize = 100;

/// Distance and time on a plane that touches the earth at `origin`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Travel {
    pub origin: LatLng,
    pub speed_m_per_min: f64,
    /// Whether every way takes whole minutes, rounded up, as in the MDRP.
    pub whole_minutes: bool,
}

impl Travel {
    /// Straight-line metres.
    pub fn distance_m(&self, from: LatLng, to: LatLng) -> f64 {
        let north_m = to.lat() - from.lat();
        let east_m = (to.lng() - from.lng()) * self.origin.lat().to_radians().cos();
        // The same earth radius as in `LatLng::offset_m`, so that offsets come back exactly.
        north_m.hypot(east_m).to_radians() * 6_371_008.8
    }

    /// How long the way takes.
    pub fn time(&self, from: LatLng, to: LatLng) -> DurationMs {
        let minutes = self.distance_m(from, to) / self.speed_m_per_min;
        // A centimetre of rounding must not cost a minute.
        let minutes = if self.whole_minutes {
            (minutes - 1e-4).ceil().max(0.0)
        } else {
            minutes
        };
        DurationMs((minutes * 60_000.0) as i64)
    }
}

#[derive(Debug, Clone, Copy)]
struct Leg {
    from: LatLng,
    to: LatLng,
    leaves_at: UnixMs,
    arrives_at: UnixMs,
}

impl Leg {
    fn position(&self, at: UnixMs) -> LatLng {
        let (whole, done) = ((self.arrives_at - self.leaves_at).0, (at - self.leaves_at).0);
        let share = if done >= whole {
            1.0
        } else {
            (done.max(0) as f64) / (whole as f64)
        };
        let between = |from: f64, to: f64| from + (to - from) * share;
        LatLng::new(
            between(self.from.lat(), self.to.lat()),
            between(self.from.lng(), self.to.lng()),
        )
        .unwrap_or(self.to)
    }
}

/// Where a driver is; shared by the driver and the phone that sends positions.
#[derive(Debug, Clone)]
pub struct Motion {
    leg: Arc<Mutex<Leg>>,
}

impl Motion {
    /// Standing at a place.
    pub fn standing(at: LatLng) -> Self {
        let leg = Leg {
            from: at,
            to: at,
            leaves_at: UnixMs(0),
            arrives_at: UnixMs(0),
        };
        Self {
            leg: Arc::new(Mutex::new(leg)),
        }
    }

    fn leg(&self) -> MutexGuard<'_, Leg> {
        self.leg.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the driver is at a moment.
    pub fn position(&self, at: UnixMs) -> LatLng {
        self.leg().position(at)
    }

    /// Whether the driver is under way.
    pub fn is_moving(&self, at: UnixMs) -> bool {
        self.leg().arrives_at > at
    }

    /// Sets out for a place; answers when the driver will be there.
    pub fn go(&self, to: LatLng, now: UnixMs, travel: &Travel) -> UnixMs {
        let mut leg = self.leg();
        let from = leg.position(now);
        *leg = Leg {
            from,
            to,
            leaves_at: now,
            arrives_at: now + travel.time(from, to),
        };
        leg.arrives_at
    }
}

/// The phone: sends positions until it is dropped. One request holds all that was noted since the last, and `pace`
/// (real time) bounds how often one is made however fast the clock runs.
pub(super) async fn send_positions(api: Api, clock: Clock, motion: Motion, pace: Duration) {
    let mut noted_until = clock.now();
    loop {
        let moving = motion.is_moving(clock.now());
        let every = if moving { FIX_EVERY } else { FIX_EVERY_WAITING };
        let mut fixes = Vec::new();
        let now = clock.now();
        let mut at = if moving { noted_until + every } else { now };
        while at <= now && fixes.len() < FIXES_MAX {
            let place = motion.position(at);
            fixes.push(Fix {
                lat: place.lat(),
                lng: place.lng(),
                at,
            });
            at = at + every;
        }
        noted_until = now;
        if !fixes.is_empty() {
            // A lost position is replaced by the next one; apps do not insist.
            drop(api.locations(&fixes).await);
        }
        clock.pause(every.max(clock.simulated(pace))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn travel(whole_minutes: bool) -> Travel {
        Travel {
            origin: LatLng::new(12.97, 77.59).unwrap(),
            speed_m_per_min: 320.0,
            whole_minutes,
        }
    }

    #[test]
    fn whole_minutes_are_rounded_up_but_not_for_a_centimetre() {
        let (from, plan) = (travel(true).origin, travel(true));
        let minutes = |metres: f64| plan.time(from, from.offset_m(metres * 0.6, metres * 0.8)).0 / 60_000;
        assert_eq!(
            [
                minutes(0.0),
                minutes(1.0),
                minutes(320.0),
                minutes(321.0),
                minutes(3_200.0)
            ],
            [0, 1, 1, 2, 10]
        );
        assert!((travel(false).time(from, from.offset_m(480.0, 0.0)).0 - 90_000).abs() < 10);
    }

    #[test]
    fn a_driver_is_on_the_line_between() {
        let (start, plan) = (travel(false).origin, travel(false));
        let goal = start.offset_m(3_200.0, 0.0);
        let motion = Motion::standing(start);
        let arrives_at = motion.go(goal, UnixMs(1_000_000), &plan);
        assert!((arrives_at.0 - 1_600_000).abs() < 50);
        let half = motion.position(UnixMs(1_300_000));
        assert!((plan.distance_m(start, half) - 1_600.0).abs() < 1.0);
        assert_eq!(motion.position(arrives_at), goal);
        // A new goal on the way begins where the driver is.
        motion.go(start, UnixMs(1_300_000), &plan);
        assert!((plan.distance_m(motion.position(UnixMs(1_300_000)), half)) < 0.01);
        assert!(motion.is_moving(UnixMs(1_300_001)) && !motion.is_moving(UnixMs(1_700_000)));
    }
}
