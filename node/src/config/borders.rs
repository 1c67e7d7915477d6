//! `[borders]`: drivers where this region meets others.

use serde::Deserialize;
use tomato_shared::runtime::config::{Faults, Validate};

/// `[borders]`: drivers where this region meets others.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BordersConfig {
    /// How long a driver idles in another region's cells before that region has them, in milliseconds. Default 60,000, 1,000
    /// to 3,600,000.
    pub hand_over_after_ms: i64,
    /// How long an order waits for this region's drivers before a neighbour is asked for one of its own, in milliseconds; with
    /// `matching`, only one that would have to wait for so long still. 0 asks nobody. Default 60,000, 0 to 3,600,000.
    pub loan_after_ms: i64,
}

impl Default for BordersConfig {
    fn default() -> Self {
        Self {
            hand_over_after_ms: 60_000,
            loan_after_ms: 60_000,
        }
    }
}

impl Validate for BordersConfig {
    fn validate(&self, faults: &mut Faults) {
        faults.range("hand_over_after_ms", self.hand_over_after_ms, 1_000..=3_600_000);
        faults.range("loan_after_ms", self.loan_after_ms, 0..=3_600_000);
    }
}
