//! Looks for the highest rate that is sustained: up in steps, then halving the gap between what went and what did not.

/// Step upwards.
const UP: f64 = 1.3;
/// Step down where not even the first rate was sustained.
const DOWN: f64 = 0.6;
/// The gap that is good enough.
const CLOSE: f64 = 1.07;
/// Below this, in orders per second, nothing is sustained at all.
const LEAST: f64 = 20.0;

/// How a rate went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sustained,
    /// Not sustained, but so little short of it that a neighbour on the machine may be the reason.
    Narrow,
    Failed,
}

/// One search. Asks for a rate, is told how it went.
#[derive(Debug)]
pub(crate) struct Search {
    sustained: Option<f64>,
    failed: Option<f64>,
    next: f64,
    narrow: bool,
}

impl Search {
    pub(crate) fn from(rate: f64) -> Self {
        Self {
            sustained: None,
            failed: None,
            next: rate.max(LEAST),
            narrow: false,
        }
    }

    /// The highest rate that was sustained.
    pub(crate) fn sustained(&self) -> Option<f64> {
        self.sustained
    }

    /// The rate to try now; `None` once the answer is known closely enough.
    pub(crate) fn next(&self) -> Option<f64> {
        let open = match (self.sustained, self.failed) {
            (Some(low), Some(high)) => high / low > CLOSE,
            (None, _) => self.next >= LEAST,
            (Some(_), None) => true,
        };
        open.then(|| round(self.next))
    }

    /// Takes in how [`Search::next`] went. A narrow failure is tried once more.
    pub(crate) fn learn(&mut self, verdict: Verdict) {
        let rate = round(self.next);
        if verdict == Verdict::Narrow && !self.narrow {
            self.narrow = true;
            return;
        }
        self.narrow = false;
        if verdict == Verdict::Sustained {
            self.sustained = Some(rate);
        } else {
            self.failed = Some(rate);
        }
        self.next = match (self.sustained, self.failed) {
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * UP,
            (None, Some(high)) => high * DOWN,
            (None, None) => rate,
        };
    }
}

/// Two or three significant digits, for people.
fn round(rate: f64) -> f64 {
    let unit = if rate >= 2_000.0 { 50.0 } else { 10.0 };
    (rate / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(start: f64, truth: f64) -> (Option<f64>, u32) {
        let (mut search, mut rounds) = (Search::from(start), 0);
        while let Some(rate) = search.next() {
            rounds += 1;
            search.learn(if rate <= truth {
                Verdict::Sustained
            } else {
                Verdict::Failed
            });
        }
        (search.sustained(), rounds)
    }

    #[test]
    fn the_highest_sustained_rate_is_found_closely_and_soon() {
        for (start, truth) in [
            (1_000.0, 4_321.0),
            (9_000.0, 1_234.0),
            (5_000.0, 21_000.0),
            (500.0, 500.0),
        ] {
            let (found, rounds) = find(start, truth);
            let found = found.unwrap();
            assert!(
                found <= truth && found * CLOSE * 1.01 > truth,
                "{start} {truth}: {found}"
            );
            assert!(rounds <= 12, "{start} {truth}: {rounds} rounds");
        }
        assert_eq!(find(1_000.0, 1.0).0, None);
    }

    #[test]
    fn a_narrow_failure_gets_a_second_chance_and_only_one() {
        let mut search = Search::from(1_000.0);
        search.learn(Verdict::Narrow);
        assert_eq!(search.next(), Some(1_000.0));
        search.learn(Verdict::Narrow);
        assert_eq!(search.next(), Some(600.0));
    }
}
