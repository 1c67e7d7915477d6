//! Money in integer minor units. No floating point comes near an amount.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency, kept as its three letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three letters.
    pub fn code(&self) -> &str {
        // The letters come from the table of ISO codes, which is ASCII.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the decimal point: 2 for INR, 0 for JPY, 3 for KWD.
    pub fn exponent(&self) -> u8 {
        iso_currency::Currency::from_code(self.code())
            .and_then(iso_currency::Currency::exponent)
            .and_then(|exponent| u8::try_from(exponent).ok())
            .unwrap_or(2)
    }
}

/// A text that is not a currency.
#[derive(Debug, thiserror::Error)]
#[error("not an ISO 4217 currency code: want three capital letters as in INR")]
pub struct CurrencyError;

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        iso_currency::Currency::from_code(text)
            .map(|_| Self(letters))
            .ok_or(CurrencyError)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "An ISO 4217 currency.", "pattern": "^[A-Z]{3}$"})
    }
}

/// An amount in minor units of a currency: `Money { minor: 59900, currency: INR }` is 599.00 rupees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// Minor units (paise, cents); negative for what is owed back.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.exponent());
        if digits == 0 {
            return write!(f, "{} {}", self.minor, self.currency);
        }
        let unit = 10u64.pow(u32::from(self.currency.exponent()));
        let size = self.minor.unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:0digits$} {}", size / unit, size % unit, self.currency)
    }
}

/// A share in basis points: 10,000 are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BasisPoints(pub u32);

impl BasisPoints {
    /// The share of `minor`, rounded half away from zero.
    pub fn of(self, minor: i64) -> i64 {
        let scaled = i128::from(minor) * i128::from(self.0);
        let rounded = (scaled.abs() + 5_000) / 10_000 * scaled.signum();
        i64::try_from(rounded).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_checked() {
        assert_eq!("INR".parse::<Currency>().unwrap().exponent(), 2);
        assert_eq!("JPY".parse::<Currency>().unwrap().exponent(), 0);
        for bad in ["", "inr", "RUPEE", "ZZZ"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_written_with_their_minor_digits() {
        let text = |minor, code: &str| {
            Money {
                minor,
                currency: code.parse().unwrap(),
            }
            .to_string()
        };
        assert_eq!(text(59_905, "INR"), "599.05 INR");
        assert_eq!(text(-5, "EUR"), "-0.05 EUR");
        assert_eq!(text(700, "JPY"), "700 JPY");
    }

    #[test]
    fn shares_round_half_away_from_zero() {
        assert_eq!(BasisPoints(500).of(1_010), 51);
        assert_eq!(BasisPoints(500).of(-1_010), -51);
        assert_eq!(BasisPoints(1_800).of(29_900), 5_382);
        assert_eq!(BasisPoints(u32::MAX).of(i64::MAX), i64::MAX);
    }
}
