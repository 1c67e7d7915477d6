//! What the hub tells a region: other fees, promotions, what is switched off, whether to take orders.
//!
//! One document per region, version after version. The region keeps the newest that it has taken in, in its own file, and goes
//! by it as long as no newer one comes, also without the hub. What a document leaves out is as the region's configuration and
//! its own operators say, so the empty document takes everything back.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::promotion::Promotion;
use crate::time::UnixMs;

/// Most promotions of a document.
pub const PROMOTIONS_MAX: usize = 100;
/// Largest document as JSON, in bytes; as the link carries it, it is smaller.
pub const BYTES_MAX: usize = 256 * 1024;
/// Longest reason of a pause, in characters.
const REASON_MAX: usize = 200;

/// One version for one region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Edition {
    /// Rises with each; 0 is the empty one before the first. Made from the hub's clock, so that a hub that was restored from an
    /// old copy of its file never gives a number again.
    pub version: u64,
    /// When it was made, by the hub's clock.
    pub made_at: UnixMs,
    /// What it says.
    pub control: Control,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ControlDocument")]
pub struct Control {
    /// In place of the fees of the region's configuration.
    pub fees: FeeChanges,
    /// Besides the region's own; where both have a code, this one counts.
    pub promotions: Vec<Promotion>,
    /// What is switched off.
    pub off: BTreeSet<Feature>,
    /// Shown to customers, as the reason why the region takes no new orders; it takes them where this is absent. What is under
    /// way goes on.
    pub paused: Option<String>,
}

/// Fees for new quotes and orders; those that were quoted or placed before keep theirs. In minor units of the region's currency,
/// shares in basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeeChanges {
    /// Charged for every delivery.
    pub delivery_base_minor: Option<i64>,
    /// Charged for every started kilometre between restaurant and customer.
    pub delivery_per_km_minor: Option<i64>,
    /// The platform's fee, as a share of the items.
    pub service_bp: Option<u32>,
    /// The platform's share of what a restaurant sells.
    pub commission_bp: Option<u32>,
    /// Smallest sum of items that is accepted.
    pub items_min_minor: Option<i64>,
}

/// Something that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// New orders paid by card.
    Cards,
    /// New orders paid in cash.
    Cash,
    /// New orders for later.
    Scheduled,
    /// Drivers lent to other regions and borrowed from them.
    Loans,
}

impl Control {
    /// Everything that is wrong with it: the place, as RFC 6901 has it, and what is wrong there.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = self.fees.faults();
        let mut add = |pointer: String, message: &str| faults.push((pointer, message.to_owned()));
        if self.promotions.len() > PROMOTIONS_MAX {
            add("/promotions".into(), "are more than 100");
        }
        let mut codes = BTreeSet::new();
        for (at, promotion) in self.promotions.iter().enumerate() {
            for (pointer, message) in promotion.faults() {
                add(format!("/promotions/{at}{pointer}"), message);
            }
            if promotion.version != 0 {
                add(format!("/promotions/{at}/version"), "is not for you to set");
            }
            if !codes.insert(&promotion.code) {
                add(format!("/promotions/{at}/code"), "is there twice");
            }
        }
        if let Some(reason) = &self.paused {
            let fits = (1..=REASON_MAX).contains(&reason.chars().count());
            if !fits || reason.chars().any(char::is_control) {
                add("/paused".into(), "is not a line of 1 to 200 characters");
            }
        }
        faults
    }
}

impl FeeChanges {
    fn faults(&self) -> Vec<(String, String)> {
        let limits = [
            ("delivery_base_minor", self.delivery_base_minor, 1_000_000),
            ("delivery_per_km_minor", self.delivery_per_km_minor, 1_000_000),
            ("service_bp", self.service_bp.map(i64::from), 10_000),
            ("commission_bp", self.commission_bp.map(i64::from), 10_000),
            ("items_min_minor", self.items_min_minor, 1_000_000),
        ];
        let broken = limits
            .into_iter()
            .filter(|(_, value, most)| value.is_some_and(|value| !(0..=*most).contains(&value)));
        broken
            .map(|(name, _, most)| (format!("/fees/{name}"), format!("is not from 0 to {most}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_document_changes_nothing_and_travels_as_it_is() {
        let empty: Control = serde_json::from_value(json!({})).unwrap();
        assert_eq!(empty, Control::default());
        assert!(empty.faults().is_empty());
    }

    #[test]
    fn whole_document_survives_the_link_and_the_file() {
        let control: Control = serde_json::from_value(json!({
            "fees": {"delivery_base_minor": 0, "commission_bp": 10_000},
            "promotions": [{
                "code": "RAIN-1", "saving": {"kind": "percent", "share_bp": 1_000, "max_minor": 5_000},
                "borne_by": "platform", "active": true, "starts_at": "2026-01-01T00:00:00Z",
                "ends_at": "2026-02-01T00:00:00Z", "uses_max": 10, "uses_per_customer_max": 1,
                "restaurant_ids": ["rst_01h455vb4pex5vsknk084sn02q"],
            }],
            "off": ["loans", "cash"],
            "paused": "Cyclone until noon.",
        }))
        .unwrap();
        assert_eq!(control.faults(), []);
        let edition = Edition {
            version: 7,
            made_at: UnixMs(1_000),
            control,
        };
        let link = rmp_serde::to_vec_named(&edition).unwrap();
        assert_eq!(rmp_serde::from_slice::<Edition>(&link).unwrap(), edition);
        let file = serde_json::to_string(&edition).unwrap();
        assert_eq!(serde_json::from_str::<Edition>(&file).unwrap(), edition);
    }

    #[test]
    fn every_fault_is_named_and_nothing_unknown_is_passed_over() {
        let promotion = json!({
            "code": "rain", "version": 3, "saving": {"kind": "amount", "amount_minor": -1},
            "borne_by": "driver", "active": true, "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2026-01-01T00:00:00Z", "items_min_minor": -1, "uses_max": 0, "uses_per_customer_max": 1_001,
        });
        let control: Control = serde_json::from_value(json!({
            "fees": {"delivery_base_minor": -1, "delivery_per_km_minor": 1_000_001, "service_bp": 10_001,
                "commission_bp": 10_001, "items_min_minor": -1},
            "promotions": [promotion, promotion],
            "paused": "",
        }))
        .unwrap();
        let faults = control.faults();
        let found: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        let of_promotion = [
            "ends_at",
            "borne_by",
            "saving/amount_minor",
            "code",
            "items_min_minor",
            "uses_max",
            "uses_per_customer_max",
            "version",
        ];
        let of_fees = [
            "delivery_base_minor",
            "delivery_per_km_minor",
            "service_bp",
            "commission_bp",
            "items_min_minor",
        ];
        let mut wanted: Vec<String> = of_fees.map(|name| format!("/fees/{name}")).into();
        wanted.extend(of_promotion.map(|name| format!("/promotions/0/{name}")));
        wanted.extend(of_promotion.map(|name| format!("/promotions/1/{name}")));
        wanted.extend(["/promotions/1/code".into(), "/paused".into()]);
        assert_eq!(found, wanted);
        for unknown in [
            json!({"fee": {}}),
            json!({"fees": {"tax_bp": 1}}),
            json!({"off": ["kitchens"]}),
            json!({"promotions": [{"code": "A", "colour": "red"}]}),
        ] {
            assert!(serde_json::from_value::<Control>(unknown.clone()).is_err(), "{unknown}");
        }
    }
}
