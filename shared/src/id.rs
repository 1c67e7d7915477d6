//! Typed ids. Outside: a prefix and the UUID in 26 characters of Crockford base32, as in the TypeID 0.3 specification
//! (`ord_01jd2qk3hze5g8v9x6y7z0abcd`), in which text order is byte order. Inside (SQLite, MessagePack): the 16 bytes.
//!
//! UUIDv7 (RFC 9562) puts milliseconds first, so that new rows land at the end of their index. Nothing may read
//! the time back out of an id, or trust ids to be ordered: clocks can be wrong.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::UnixMs;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of the UUID part: 26 x 5 bits hold 128 bits; the first character is therefore at most `7`.
const TEXT_LEN: usize = 26;

/// What an id names. Implemented by the empty types in [`kind`].
pub trait Kind {
    /// Three lower-case letters before the underscore.
    const PREFIX: &'static str;
    /// The word for a person, used in error texts.
    const NAME: &'static str;
    /// The name of the id's type, as schemas have it.
    const TYPE: &'static str;
}

/// An id of one kind; ids of two kinds cannot be mixed up.
pub struct Id<K>([u8; 16], PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($alias:ident $kind:ident $prefix:literal $name:literal;)*) => {
        /// The empty types that tell ids apart.
        pub mod kind {
            $(
                #[doc = concat!("Marks the id of a ", $name, ".")]
                #[derive(Debug)]
                pub enum $kind {}
                impl super::Kind for $kind {
                    const PREFIX: &'static str = $prefix;
                    const NAME: &'static str = $name;
                    const TYPE: &'static str = stringify!($alias);
                }
            )*
        }
        $(
            #[doc = concat!("Id of a ", $name, ", `", $prefix, "_...`.")]
            pub type $alias = Id<kind::$kind>;
        )*
    };
}

kinds! {
    OrderId Order "ord" "order";
    UserId User "usr" "user";
    RestaurantId Restaurant "rst" "restaurant";
    DriverId Driver "drv" "driver";
    ItemId Item "itm" "menu item";
    PaymentId Payment "pay" "payment";
    DeliveryId Delivery "del" "delivery";
    OfferId Offer "ofr" "offer";
    RefundId Refund "rfd" "refund";
    WebhookId Webhook "whk" "webhook endpoint";
    MessageId Message "msg" "message";
}

impl<K: Kind> Id<K> {
    /// Builds a UUIDv7 from a time and 10 random bytes (of which 74 bits are kept).
    pub fn v7(at: UnixMs, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.0).unwrap_or(0);
        Self(
            *uuid::Builder::from_unix_timestamp_millis(millis, &random)
                .as_uuid()
                .as_bytes(),
            PhantomData,
        )
    }

    /// The id with exactly these bytes, as read from a database or a message.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes, PhantomData)
    }

    /// The 16 bytes that are stored.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A text that is not an id of the wanted kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no {name} id: want \"{prefix}_\" and {TEXT_LEN} characters of 0-9 a-z without i l o u")]
pub struct IdError {
    name: &'static str,
    prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError {
            name: K::NAME,
            prefix: K::PREFIX,
        };
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or_else(fail)?
            .as_bytes();
        if digits.len() != TEXT_LEN || digits[0] > b'7' {
            return Err(fail());
        }
        let mut value: u128 = 0;
        for digit in digits {
            let five = ALPHABET.iter().position(|letter| letter == digit).ok_or_else(fail)?;
            value = value << 5 | five as u128;
        }
        Ok(Self(value.to_be_bytes(), PhantomData))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let mut text = [0u8; TEXT_LEN];
        for (place, slot) in text.iter_mut().enumerate() {
            let five = (value >> (5 * (TEXT_LEN - 1 - place))) & 31;
            *slot = ALPHABET[five as usize];
        }
        write!(
            f,
            "{}_{}",
            K::PREFIX,
            std::str::from_utf8(&text).map_err(|_| fmt::Error)?
        )
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Written out because a derive would ask the same of `K`, which is never stored.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<K: Kind> JsonSchema for Id<K> {
    fn schema_name() -> Cow<'static, str> {
        K::TYPE.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": format!("Id of a {}.", K::NAME),
            "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{{}}}$", K::PREFIX, TEXT_LEN - 1),
        })
    }
}

struct IdVisitor<K>(PhantomData<fn() -> K>);

impl<'de, K: Kind> Visitor<'de> for IdVisitor<K> {
    type Value = Id<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} id, \"{}_\" and {TEXT_LEN} characters", K::NAME, K::PREFIX)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id<K>, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Id<K>, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(Id::from_bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Id<K>, A::Error> {
        let mut bytes = [0u8; 16];
        for (place, slot) in bytes.iter_mut().enumerate() {
            *slot = seq
                .next_element()?
                .ok_or_else(|| A::Error::invalid_length(place, &self))?;
        }
        Ok(Id::from_bytes(bytes))
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(IdVisitor(PhantomData))
        } else {
            deserializer.deserialize_bytes(IdVisitor(PhantomData))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let id = OrderId::v7(UnixMs(1_760_000_000_123), [7; 10]);
        let text = id.to_string();
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse::<OrderId>(), Ok(id));
        let packed = rmp_serde::to_vec_named(&id).unwrap();
        assert_eq!(packed.len(), 18);
        assert_eq!(rmp_serde::from_slice::<OrderId>(&packed).unwrap(), id);
        assert_eq!(
            serde_json::from_str::<OrderId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
    }

    #[test]
    fn text_order_is_byte_order() {
        let mut ids: Vec<OrderId> = (0..200u8)
            .map(|n| OrderId::from_bytes([n.wrapping_mul(37); 16]))
            .collect();
        ids.sort();
        assert!(ids.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
    }

    #[test]
    fn known_typeid_is_read() {
        // The example of the TypeID specification.
        let bytes = *uuid::uuid!("01890a5d-ac96-774b-bcce-b302099a8057").as_bytes();
        assert_eq!(UserId::from_bytes(bytes).to_string(), "usr_01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn other_kinds_and_garbage_are_refused() {
        let text = OrderId::v7(UnixMs(1), [0; 10]).to_string();
        assert!(text.parse::<UserId>().is_err());
        for bad in [
            "",
            "ord_",
            "ord_80000000000000000000000000",
            "ord_0000000000000000000000000!",
            "ord_00000",
        ] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }
}
