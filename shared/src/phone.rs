//! Telephone numbers of customers: personal, so they stay in their region. What leaves it is a hash under a key that only
//! the fleet has, by which central ops find the orders of somebody who calls.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Digits of a number with its country code, as ITU-T E.164 allows them; shorter ones are no subscriber's.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A telephone number as E.164 writes it, `+919845012345`. Reads what people type: spaces, hyphens, dots, slashes and
/// brackets between the digits, and `00` in place of `+`. Nothing that prints it for debugging shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Phone(String);

/// A text that is no telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("want a telephone number with + and its country code, 8 to 15 digits, as +91 98450 12345")]
pub struct PhoneError;

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let typed: String = text.chars().filter(|one| !" -./()\u{a0}".contains(*one)).collect();
        let digits = typed.strip_prefix('+').or_else(|| typed.strip_prefix("00"));
        let digits = digits.ok_or(PhoneError)?;
        // No country code begins with 0.
        let fits = DIGITS.contains(&digits.len()) && !digits.starts_with('0');
        if fits && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            Ok(Self(format!("+{digits}")))
        } else {
            Err(PhoneError)
        }
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;

    fn try_from(text: String) -> Result<Self, PhoneError> {
        text.parse()
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(..)")
    }
}

/// The fleet's secret for [`PhoneHash`]. There are so few telephone numbers that whoever has it can find the number of a
/// hash by trying all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneKey([u8; 32]);

impl PhoneKey {
    /// The key with exactly these bytes, from a good source of randomness.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As its file has it: 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// The other way round; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes(text.trim()).map(Self)
    }

    /// The hash of a number: the first half of HMAC-SHA-256 over its E.164 text.
    pub fn hash(&self, phone: &Phone) -> PhoneHash {
        let mut hash = [0; 16];
        // Any length of key will do, so there always is one.
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            let whole = mac.chain_update(phone.0.as_bytes()).finalize().into_bytes();
            hash.copy_from_slice(&whole[..16]);
        }
        PhoneHash(hash)
    }
}

impl fmt::Debug for PhoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneKey(..)")
    }
}

/// What stands for a telephone number outside its region: 16 bytes, 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PhoneHash([u8; 16]);

/// A text that is no hash of a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("want the 32 hexadecimal digits of a telephone number's hash")]
pub struct PhoneHashError;

impl PhoneHash {
    /// The hash with exactly these bytes, as read from a database.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes that are stored.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for PhoneHash {
    type Err = PhoneHashError;

    fn from_str(text: &str) -> Result<Self, PhoneHashError> {
        bytes(text).map(Self).ok_or(PhoneHashError)
    }
}

impl TryFrom<String> for PhoneHash {
    type Error = PhoneHashError;

    fn try_from(text: String) -> Result<Self, PhoneHashError> {
        text.parse()
    }
}

impl From<PhoneHash> for String {
    fn from(hash: PhoneHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for PhoneHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PhoneHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * LEN || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; LEN];
    for (slot, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_one_however_it_is_typed() {
        for typed in [
            "+919845012345",
            " +91 98450 12345 ",
            "+91-98450-12345",
            "0091 (98450) 12.345",
            "+91/98450/12345",
        ] {
            assert_eq!(
                String::from(typed.parse::<Phone>().unwrap()),
                "+919845012345",
                "{typed}"
            );
        }
        for wrong in [
            "",
            "+",
            "98450 12345",
            "+09845012345",
            "+9198450",
            "+9198450123456789",
            "+91 98450 1234x",
            "++919845012345",
            "+91 9845\u{0661}12345",
        ] {
            assert_eq!(wrong.parse::<Phone>(), Err(PhoneError), "{wrong}");
        }
        assert_eq!(format!("{:?}", "+919845012345".parse::<Phone>()), "Ok(Phone(..))");
    }

    #[test]
    fn hash_is_of_the_key_and_of_the_number() {
        let (one, other) = (PhoneKey::from_bytes([7; 32]), PhoneKey::from_bytes([8; 32]));
        let phone: Phone = "+919845012345".parse().unwrap();
        let hash = one.hash(&phone);
        // By another program: HMAC-SHA-256 of the text under 32 bytes of 7.
        assert_eq!(hash.to_string(), "1cd9e9acdec36cf19288f237cbdf1a63");
        assert_ne!(one.hash(&"+919845012346".parse().unwrap()), hash);
        assert_ne!(other.hash(&phone), hash);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(PhoneKey::from_hex(&format!("{}\n", one.to_hex())), Some(one));
        for wrong in ["", "07", &"0g".repeat(16), &"+7".repeat(16), &"0A".repeat(16)] {
            assert_eq!(wrong.parse::<PhoneHash>(), Err(PhoneHashError), "{wrong}");
        }
    }
}
