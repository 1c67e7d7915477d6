//! Where a page starts: opaque to clients, checked when it comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tomato_shared::id::{Id, Kind, RestaurantId};

/// Largest page.
pub const LIMIT_MAX: usize = 100;
/// Page size where none is asked for.
pub const LIMIT_DEFAULT: usize = 20;

/// A cursor behind one id; the prefix of the kind keeps lists apart.
pub fn of_id<K: Kind>(id: &Id<K>) -> String {
    write(K::PREFIX, id.bytes())
}

/// Reads what [`of_id`] wrote for the same kind.
pub fn id<K: Kind>(text: &str) -> Option<Id<K>> {
    read(K::PREFIX, text).map(Id::from_bytes)
}

/// A cursor behind a restaurant at a distance.
pub fn of_near(distance_m: f64, id: &RestaurantId) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&distance_m.to_bits().to_be_bytes());
    bytes[8..].copy_from_slice(id.bytes());
    write("near", &bytes)
}

/// Reads what [`of_near`] wrote.
pub fn near(text: &str) -> Option<(f64, RestaurantId)> {
    let bytes: [u8; 24] = read("near", text)?;
    let (distance, id) = bytes.split_at(8);
    let distance_m = f64::from_bits(u64::from_be_bytes(distance.try_into().ok()?));
    let id = RestaurantId::from_bytes(id.try_into().ok()?);
    distance_m.is_finite().then_some((distance_m, id))
}

/// A cursor behind an act in the audit log.
pub fn of_deed(id: i64) -> String {
    write("deed", &id.to_be_bytes())
}

/// Reads what [`of_deed`] wrote.
pub fn deed(text: &str) -> Option<i64> {
    read("deed", text).map(i64::from_be_bytes)
}

/// A cursor behind a message to a device or webhook.
pub fn of_message(nth: i64) -> String {
    write("sent", &nth.to_be_bytes())
}

/// Reads what [`of_message`] wrote.
pub fn message(text: &str) -> Option<i64> {
    read("sent", text).map(i64::from_be_bytes)
}

fn write(list: &str, place: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([list.as_bytes(), place].concat())
}

fn read<const N: usize>(list: &str, text: &str) -> Option<[u8; N]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    bytes.strip_prefix(list.as_bytes())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use tomato_shared::id::{DriverId, OrderId};

    use super::*;

    #[test]
    fn cursors_come_back_as_they_were_and_only_to_their_list() {
        let order = OrderId::from_bytes([7; 16]);
        let text = of_id(&order);
        assert_eq!(id(&text), Some(order));
        assert_eq!(id::<tomato_shared::id::kind::Driver>(&text), None);
        assert_eq!(near(&text), None);
        let driver = DriverId::from_bytes([7; 16]);
        assert_ne!(of_id(&driver), text);
        let restaurant = RestaurantId::from_bytes([3; 16]);
        assert_eq!(near(&of_near(1_234.5, &restaurant)), Some((1_234.5, restaurant)));
        assert_eq!(near(&of_near(f64::NAN, &restaurant)), None);
        for bad in ["", "!", "b3Jk", "xAAA", &format!("{text}AAAA")] {
            assert_eq!(id::<tomato_shared::id::kind::Order>(bad), None, "{bad}");
        }
    }
}
