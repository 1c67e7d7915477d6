//! The rules: what was seen in, what fires out.

use tomato_shared::cell::RegionId;

use crate::config::AlertConfig;

/// What is known of one region at one moment. Spans in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) region: Option<RegionId>,
    /// Since the last heartbeat; `None`: never heard, which is no alert.
    pub(crate) silent_ms: Option<i64>,
    pub(crate) missing_events: u64,
    pub(crate) oldest_missing_ms: Option<i64>,
    /// Node's clock less the hub's.
    pub(crate) skew_ms: i64,
    /// Orders whose payment was decided in the last 15 minutes, and of these the declined ones.
    pub(crate) payments: i64,
    pub(crate) payments_failed: i64,
    /// How long the oldest unanswered restaurant has been asked.
    pub(crate) oldest_unaccepted_ms: Option<i64>,
    /// Orders that need a driver or have one.
    pub(crate) waiting: i64,
    pub(crate) drivers_online: i64,
    pub(crate) unmatched: usize,
    pub(crate) oldest_unmatched_ms: Option<i64>,
}

/// A rule whose condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Firing {
    pub(crate) rule: &'static str,
    pub(crate) region: RegionId,
    /// For a person.
    pub(crate) detail: String,
}

/// Payments below which a share of declined ones says nothing.
const FEW_PAYMENTS: i64 = 20;

/// What fires. A limit of 0 turns its rule off.
pub(crate) fn firing(limits: &AlertConfig, seen: &[Seen]) -> Vec<Firing> {
    let mut found = Vec::new();
    for one in seen {
        let Some(region) = &one.region else { continue };
        let rules: [(&'static str, Option<String>); 7] = [
            ("region_silent", silent(limits, one)),
            ("sync_lag", lag(limits, one)),
            ("clock_skew", skew(limits, one)),
            ("payment_failures", payments(limits, one)),
            ("unaccepted_orders", unaccepted(limits, one)),
            ("no_drivers", drivers(limits, one)),
            ("ledger_mismatch", ledger(limits, one)),
        ];
        found.extend(rules.into_iter().filter_map(|(rule, detail)| {
            Some(Firing {
                rule,
                region: region.clone(),
                detail: detail?,
            })
        }));
    }
    found
}

/// Whether a span is over a limit in seconds.
fn over(ms: i64, limit_s: u32) -> bool {
    limit_s > 0 && ms > i64::from(limit_s) * 1_000
}

fn silent(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let ms = seen.silent_ms.filter(|ms| over(*ms, limits.region_silent_s))?;
    Some(format!("not heard for {}", span(ms)))
}

fn lag(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let ms = seen.oldest_missing_ms.filter(|ms| over(*ms, limits.sync_lag_s))?;
    Some(format!(
        "{} events are missing, the oldest for {}",
        seen.missing_events,
        span(ms)
    ))
}

fn skew(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    over(seen.skew_ms.abs(), limits.clock_skew_s).then(|| {
        let direction = if seen.skew_ms > 0 { "ahead" } else { "behind" };
        format!("the region's clock is {} {direction}", span(seen.skew_ms.abs()))
    })
}

fn payments(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let (failed, all) = (seen.payments_failed, seen.payments);
    let limit = i64::from(limits.payment_failures_percent);
    let fires = limit > 0 && all >= FEW_PAYMENTS && failed * 100 > all * limit;
    fires.then(|| format!("{failed} of {all} payments declined in 15 min"))
}

fn unaccepted(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let ms = seen
        .oldest_unaccepted_ms
        .filter(|ms| over(*ms, limits.unaccepted_orders_s))?;
    Some(format!("a restaurant has not answered for {}", span(ms)))
}

fn drivers(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let fires = limits.no_drivers && seen.waiting > 0 && seen.drivers_online == 0;
    fires.then(|| format!("{} orders and no driver signed on", seen.waiting))
}

fn ledger(limits: &AlertConfig, seen: &Seen) -> Option<String> {
    let ms = seen
        .oldest_unmatched_ms
        .filter(|ms| over(*ms, limits.ledger_mismatch_s))?;
    Some(format!("{} unmatched, the oldest for {}", seen.unmatched, span(ms)))
}

/// A span for a person.
fn span(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_fires_beyond_its_limit_and_not_at_it() {
        let limits = AlertConfig::default();
        let check = |change: fn(&mut Seen), expected: Option<(&str, &str)>| {
            let mut seen = Seen {
                region: "blr".parse().ok(),
                drivers_online: 3,
                ..Seen::default()
            };
            change(&mut seen);
            let found = firing(&limits, &[seen]);
            let found: Vec<_> = found.iter().map(|one| (one.rule, one.detail.as_str())).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        };
        check(|_| {}, None);
        check(|seen| seen.silent_ms = Some(30_000), None);
        check(
            |seen| seen.silent_ms = Some(31_000),
            Some(("region_silent", "not heard for 31 s")),
        );
        check(
            |seen| (seen.missing_events, seen.oldest_missing_ms) = (14, Some(125_000)),
            Some(("sync_lag", "14 events are missing, the oldest for 2 min")),
        );
        check(|seen| seen.skew_ms = -30_000, None);
        check(
            |seen| seen.skew_ms = -90_000,
            Some(("clock_skew", "the region's clock is 90 s behind")),
        );
        check(|seen| (seen.payments, seen.payments_failed) = (19, 19), None);
        check(
            |seen| (seen.payments, seen.payments_failed) = (20, 9),
            Some(("payment_failures", "9 of 20 payments declined in 15 min")),
        );
        check(
            |seen| seen.oldest_unaccepted_ms = Some(10_800_000),
            Some(("unaccepted_orders", "a restaurant has not answered for 3 h")),
        );
        check(
            |seen| (seen.waiting, seen.drivers_online) = (2, 0),
            Some(("no_drivers", "2 orders and no driver signed on")),
        );
        check(
            |seen| (seen.unmatched, seen.oldest_unmatched_ms) = (3, Some(200_000_000)),
            Some(("ledger_mismatch", "3 unmatched, the oldest for 2 days")),
        );
    }

    #[test]
    fn limit_of_zero_turns_a_rule_off() {
        let limits = AlertConfig {
            region_silent_s: 0,
            ..AlertConfig::default()
        };
        let seen = Seen {
            region: "blr".parse().ok(),
            silent_ms: Some(i64::MAX),
            ..Seen::default()
        };
        assert_eq!(firing(&limits, &[seen]), []);
    }
}
