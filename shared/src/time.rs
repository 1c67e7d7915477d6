//! Points in time and spans, in milliseconds. RFC 3339 in UTC in JSON, an integer in SQLite and MessagePack.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates: a far deadline stays a far deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub i64);

/// A span in milliseconds; negative when it points back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DurationMs(pub i64);

impl DurationMs {
    /// `n` seconds.
    pub const fn from_secs(n: i64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// `n` minutes.
    pub const fn from_mins(n: i64) -> Self {
        Self::from_secs(n.saturating_mul(60))
    }
}

impl Add<DurationMs> for UnixMs {
    type Output = UnixMs;

    fn add(self, span: DurationMs) -> UnixMs {
        UnixMs(self.0.saturating_add(span.0))
    }
}

impl Sub<UnixMs> for UnixMs {
    type Output = DurationMs;

    fn sub(self, earlier: UnixMs) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }
}

impl std::str::FromStr for UnixMs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at: Result<jiff::Timestamp, _> = text.parse();
        at.map(|at| Self(at.as_millisecond()))
            .map_err(|_| "not a time: want RFC 3339 as in 2026-11-23T08:30:00.000Z")
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            // Beyond the year 9999: not representable in RFC 3339.
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for UnixMs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for UnixMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(Self(i64::deserialize(deserializer)?));
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for UnixMs {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339; in UTC with milliseconds in answers.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_rfc_3339_and_messagepack_an_integer() {
        let at = UnixMs(1_763_886_600_250);
        assert_eq!(serde_json::to_string(&at).unwrap(), "\"2025-11-23T08:30:00.250Z\"");
        assert_eq!(
            serde_json::from_str::<UnixMs>("\"2025-11-23T14:00:00.250+05:30\"").unwrap(),
            at
        );
        assert_eq!(
            rmp_serde::from_slice::<UnixMs>(&rmp_serde::to_vec(&at).unwrap()).unwrap(),
            at
        );
        assert!(serde_json::from_str::<UnixMs>("\"yesterday\"").is_err());
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixMs(i64::MAX) + DurationMs(1), UnixMs(i64::MAX));
        assert_eq!(UnixMs(5_000) - UnixMs(2_000), DurationMs(3_000));
    }
}
